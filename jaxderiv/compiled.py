"""Compiled programs kept between runs of the command line: the second run does not compile what the first did."""

from __future__ import annotations

import os
from pathlib import Path

_CHOICES = {
    # Nearly all programs of a verification are small, and together they are most of its time.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def place() -> Path:
    """Where they lie: what JAX_COMPILATION_CACHE_DIR says, else under XDG_CACHE_HOME or ~/.cache."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(caches) / "jaxderiv"


def keep() -> None:
    """Ask JAX, which is not imported yet, to keep them; without a place to write to, all goes on without.

    Processes that are started later inherit it. What the user has set is left as it is.
    """
    where = place()
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(where, os.W_OK):
        for name, value in {"JAX_COMPILATION_CACHE_DIR": str(where), **_CHOICES}.items():
            os.environ.setdefault(name, value)


def described() -> str:
    """The place and what is in it, in words."""
    where = place()
    if not where.is_dir():
        return f"{where} (nothing yet)"
    if not os.access(where, os.W_OK):
        return f"{where} (cannot be written: programs are compiled anew each time)"
    size = sum(path.stat().st_size for path in where.iterdir() if path.is_file())
    return f"{where} ({size / 1e6:.1f} MB; may be deleted at any time)"
