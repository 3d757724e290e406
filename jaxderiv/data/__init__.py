"""Small real data sets, with their provenance in PROVENANCE.md beside this file.

Every loader reads a file of this package, checks its SHA-256 and returns NumPy arrays under names.

>>> galton().counts.sum()
np.int64(928)
>>> breast_cancer().X.shape, digits().X.shape
((569, 30), (1797, 64))
"""

from __future__ import annotations

import hashlib
import io
from importlib.resources import files
from typing import NamedTuple

import numpy as np

__all__ = ["SHA256", "BreastCancer", "Digits", "Galton", "breast_cancer", "digits", "galton"]

SHA256 = {
    "galton.csv": "32c7333d90f21e1c206d40339185fad9b9e58d3ad08f9b05776faf98d83992a6",
    "breast_cancer.csv": "ddac21cf58cef7fa9e5b519f4b012874e0e80560cceef34a8847ed0fdd333a5f",
    "digits.npz": "dff739c317c3d7a561cd1d11ae22ab4ac7f0557489c9e3935e97bec510d05737",
}


class Galton(NamedTuple):
    """The 102 non-empty cells of Galton's table of 928 adult children.

    Attributes:
        parent: mid-parent height in inches, (102,) float64: the middle of a class one inch wide.
        child: height of the adult child in inches, daughters' heights times 1.08, (102,) float64.
        counts: number of children in the cell, (102,) int64.
    """

    parent: np.ndarray
    child: np.ndarray
    counts: np.ndarray


class BreastCancer(NamedTuple):
    """Breast Cancer Wisconsin (Diagnostic): 569 biopsies.

    Attributes:
        X: 30 measures of the cell nuclei, (569, 30) float64, not standardised; units differ by column.
        y: 1 for benign (357), 0 for malignant (212), (569,) int64.
        features: the names of the 30 columns of X.
    """

    X: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]


class Digits(NamedTuple):
    """Optical Recognition of Handwritten Digits, test part: 1797 images of 8 x 8 pixels.

    Attributes:
        X: pixels row by row, integers 0 (white) to 16 (ink), (1797, 64) uint8.
        y: the digit, (1797,) uint8.
    """

    X: np.ndarray
    y: np.ndarray


def galton() -> Galton:
    """Galton's (1886) heights of parents and children. Source: PROVENANCE.md, which lists the caveats.

    Raises:
        ValueError: if the file is not the one whose checksum is known.
    """
    parent, child, counts = _columns("galton.csv").T
    return Galton(parent, child, counts.astype(np.int64))


def breast_cancer() -> BreastCancer:
    """The Wisconsin diagnostic data. Source: PROVENANCE.md.

    Raises:
        ValueError: if the file is not the one whose checksum is known.
    """
    table = _columns("breast_cancer.csv")
    header = _verified("breast_cancer.csv").decode().partition("\n")[0]
    return BreastCancer(table[:, :-1], table[:, -1].astype(np.int64), tuple(header.split(",")[:-1]))


def digits() -> Digits:
    """Handwritten digits. Source: PROVENANCE.md.

    Raises:
        ValueError: if the file is not the one whose checksum is known.
    """
    with np.load(io.BytesIO(_verified("digits.npz")), allow_pickle=False) as arrays:
        return Digits(arrays["X"], arrays["y"])


def _columns(name: str) -> np.ndarray:
    return np.loadtxt(io.StringIO(_verified(name).decode()), delimiter=",", skiprows=1, ndmin=2)


def _verified(name: str) -> bytes:
    content = files(__name__).joinpath(name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise ValueError(
            f"jaxderiv/data/{name} has SHA-256 {found}; expected {SHA256[name]}. The file was changed "
            "(line endings count): restore it from the repository, or reinstall the package"
        )
    return content
