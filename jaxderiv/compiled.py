"""Compiled programs kept between runs of the command line: the second run does not compile what the first did.

JAX's own bound on their size (`jax_compilation_cache_max_size`) is not used: it needs another package, and reads the
whole directory, under a lock, for every program that it keeps.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import zlib
from pathlib import Path

MOST = 500_000_000  # bytes; beyond that the programs that were not used for longest go, until half of it is left

_CHOICES = {
    # Nearly all programs of a verification are small, and together they are most of its time.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # On some processors XLA takes back no program that it kept and says so at length for each of them
    # (https://github.com/jax-ml/jax/issues/38445); it then compiles, as without a cache.
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def place() -> Path:
    """Where they lie: what JAX_COMPILATION_CACHE_DIR says, else under XDG_CACHE_HOME or ~/.cache.

    There each kind of processor has a folder, for a home may be shared by several and a program fits only one.
    """
    if given := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "jaxderiv" / f"{platform.machine()}-{zlib.crc32(_processor().encode()):08x}"


def _processor() -> str:
    """What tells processors apart that do not run each other's programs; on Linux, their features."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def keep() -> None:
    """Ask JAX to keep them; without a place to write to, all goes on without.

    Processes that are started later inherit it. What the user has set is left as it is.
    """
    where, ours = place(), "JAX_COMPILATION_CACHE_DIR" not in os.environ
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(where, os.W_OK):
        return
    if ours:
        _shrink(where)
    for name, value in {"JAX_COMPILATION_CACHE_DIR": str(where), **_CHOICES}.items():
        os.environ.setdefault(name, value)
    if "jax" in sys.modules:  # which has read the environment already
        import jax

        jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
        least = float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def _shrink(where: Path) -> None:
    """Take away the oldest beyond the bound, and what an interrupted run left empty."""
    found = []
    for path in where.iterdir():
        try:
            facts = path.stat()
        except FileNotFoundError:  # another process takes it away
            continue
        if facts.st_size == 0 and time.time() - facts.st_mtime > 60:
            path.unlink(missing_ok=True)
        elif path.is_file():
            found.append((max(facts.st_atime, facts.st_mtime), facts.st_size, path))
    size = sum(bytes for _, bytes, _ in found)
    if size <= MOST:
        return
    for _, bytes, path in sorted(found):
        path.unlink(missing_ok=True)
        size -= bytes
        if size <= MOST / 2:
            return


def described() -> str:
    """The place and what is in it, in words."""
    where = place()
    if os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in ("0", "false", "off", "no", "n", "f"):
        return "not kept: JAX_ENABLE_COMPILATION_CACHE says so"
    if not where.is_dir():
        return f"{where} (cannot be made: programs are compiled anew each time)"
    if not os.access(where, os.W_OK):
        return f"{where} (cannot be written: programs are compiled anew each time)"
    size = sum(path.stat().st_size for path in where.iterdir() if path.is_file())
    return f"{where} ({size / 1e6:.1f} MB of at most {MOST / 1e6:.0f}; may be deleted at any time)"
