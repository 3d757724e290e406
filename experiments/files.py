"""What a run leaves behind: figure.svg, figure.png and results.json, each of them whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import interrupts
from jaxderiv.errors import InputError

if TYPE_CHECKING:
    import jax
    from matplotlib.figure import Figure

PACKAGES = ("jaxderiv", "jax", "jaxlib", "optax", "numpy", "scipy", "matplotlib", "torch")

# Okabe and Ito's palette, safe for the common forms of colour blindness; the scripts add line styles, which
# survive a black and white printer.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip

STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.framealpha": 0.9,
    "savefig.dpi": 160,
    "svg.hashsalt": "jaxderiv",  # the same numbers give the same bytes
}


def writable(out: Path) -> None:
    """Make the directory, so that a run of an hour does not end at a mistyped name.

    Raises:
        InputError: if it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InputError(f"--out is {str(out)!r}: {error.strerror}; allowed: a directory that can be written") from None


def write(out: Path, record: dict[str, Any], figure: Figure) -> None:
    """Write the three files beside their places, then move them there; earlier ones stay until then."""
    with interrupts.unfinished(out / f".unfinished-{os.getpid()}") as folder:
        figure.savefig(folder / "figure.svg", metadata={"Date": None})
        figure.savefig(folder / "figure.png")
        text = json.dumps(record, indent=1, allow_nan=False)
        (folder / "results.json").write_text(text + "\n", encoding="utf-8")
        with interrupts.ignored():
            for path in sorted(folder.iterdir()):
                os.replace(path, out / path.name)


def replace(path: Path, text: str) -> None:
    """Write one file, whole or not at all."""
    with interrupts.unfinished(path.parent / f".unfinished-{os.getpid()}") as folder:
        (folder / path.name).write_text(text, encoding="utf-8")
        with interrupts.ignored():
            os.replace(folder / path.name, path)


def environment(device: jax.Device) -> dict[str, Any]:
    """Where the numbers were computed."""
    return {
        "device": {"platform": device.platform, "kind": device.device_kind, "cpu_cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def _version(name: str) -> str | None:
    """None for a package that is optional and absent: the numbers may depend on that as well."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def plain(numbers: Any) -> Any:
    """Arrays as lists, numbers as Python's; what is not finite becomes null, which JSON can hold."""
    if isinstance(numbers, dict):
        return {str(name): plain(value) for name, value in numbers.items()}
    if isinstance(numbers, list | tuple):
        return [plain(value) for value in numbers]
    if isinstance(numbers, str):
        return numbers
    value = np.asarray(numbers).tolist()
    if isinstance(value, list):
        return plain(value)
    return value if np.isfinite(value) else None
