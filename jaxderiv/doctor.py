"""What `jaxderiv doctor` says: versions, devices, precision, and what is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from typing import Any

import jaxderiv
from jaxderiv import compiled
from jaxderiv.verify.pool import cores

_NEEDED = ("jax", "jaxlib", "numpy", "mpmath", "optax", "matplotlib")


def diagnose() -> tuple[str, bool]:
    """The report, and whether everything that is needed is there."""
    rows = [("python", f"{platform.python_version()} ({platform.system()}, {platform.machine()})")]
    rows.append(("jaxderiv", jaxderiv.__version__))
    missing = []
    for name in _NEEDED:
        try:
            importlib.import_module(name)
            rows.append((name, importlib.metadata.version(name)))
        except Exception as error:  # a broken installation fails in many ways
            missing.append(f"{name}: {type(error).__name__}: {error}. Cure: pip install jaxderiv")
    if not any(fault.startswith(("mpmath", "jax:", "jaxlib")) for fault in missing):
        faults, found = _jax()
        rows += [*found, ("mpmath's arithmetic", _arithmetic())]
        missing += faults
    rows += [("cores", str(cores())), ("compiled programs", compiled.described())]
    hints = _hints(dict(rows))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value}" for name, value in rows]
    lines += ["", *(f"missing: {fault}" for fault in missing), *hints]
    return "\n".join(lines if missing or hints else [*lines, "Nothing is missing."]), not missing


def _jax() -> tuple[list[str], list[tuple[str, str]]]:
    import jax

    try:
        devices = ", ".join(f"{device.device_kind} ({device.platform}:{device.id})" for device in jax.devices())
    except RuntimeError as error:
        return [f"a device: {str(error).splitlines()[0]}. JAX_PLATFORMS=cpu always works"], []
    config: Any = jax.config  # whose flags a type checker does not see
    precision = config.jax_default_matmul_precision or "default of the platform"
    wide = "on" if config.jax_enable_x64 else "off"
    return [], [
        ("devices", devices),
        ("x64", f"{wide} by default; verdicts are in double precision anyway"),
        ("matmul precision", str(precision)),
    ]


def _arithmetic() -> str:
    from mpmath.libmp import BACKEND

    return {"gmpy": "gmpy2", "python": "pure Python"}.get(BACKEND, BACKEND)


def _hints(rows: dict[str, str]) -> list[str]:
    """What is not needed and would help."""
    hints = []
    if rows.get("mpmath's arithmetic") == "pure Python":
        hints.append("optional: gmpy2 makes high precision faster (pip install gmpy2)")
    card = shutil.which("nvidia-smi") is not None or os.path.exists("/dev/nvidia0")
    if card and "devices" in rows and not any(word in rows["devices"] for word in ("gpu", "cuda")):
        hints.append(
            "optional: there is an NVIDIA card that JAX does not see (pip install 'jaxderiv[cuda12]' or [cuda13])"
        )
    return hints
