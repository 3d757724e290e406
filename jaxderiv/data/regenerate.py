"""Check the packaged copies of the two UCI data sets against scikit-learn's, or write them anew.

    python -m jaxderiv.data.regenerate            compare, exit code 1 where anything differs
    python -m jaxderiv.data.regenerate --write    write both files, then print their checksums

Needs the extra `peers` (scikit-learn). Galton's table is copied by hand and checked by its totals in the
tests.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from jaxderiv import data

FOLDER = Path(__file__).parent


def differences() -> list[str]:
    """Names of the packaged arrays that differ from scikit-learn's, in value, shape or order."""
    from sklearn.datasets import load_breast_cancer, load_digits

    theirs, ours = load_breast_cancer(), data.breast_cancer()
    their_digits, our_digits = load_digits(), data.digits()
    pairs = {
        "breast_cancer.X": (ours.X, theirs.data),
        "breast_cancer.y": (ours.y, theirs.target),
        "breast_cancer.features": (np.array(ours.features), theirs.feature_names),
        "digits.X": (our_digits.X, their_digits.data),
        "digits.y": (our_digits.y, their_digits.target),
    }
    return [name for name, (mine, other) in pairs.items() if not np.array_equal(mine, other)]


def write() -> None:
    """Write both files. The compressed bytes depend on the zlib version; the arrays in them do not."""
    from sklearn.datasets import load_breast_cancer, load_digits

    table = load_breast_cancer()
    rows = [",".join([*table.feature_names, "benign"])]
    for x, y in zip(table.data, table.target, strict=True):
        # The shortest decimal that reads back as the same float64.
        rows.append(",".join([*(np.format_float_positional(value, trim="-") for value in x), str(y)]))
    (FOLDER / "breast_cancer.csv").write_bytes(("\n".join(rows) + "\n").encode())

    images = load_digits()
    pixels, labels = images.data.astype(np.uint8), images.target.astype(np.uint8)
    np.savez_compressed(FOLDER / "digits.npz", X=pixels, y=labels)
    for name in ("breast_cancer.csv", "digits.npz"):
        print(f"{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}  {name}")


def main(argv: list[str]) -> int:
    """Exit code 0: the copies are scikit-learn's; 1: they differ; 2: usage, or scikit-learn is missing."""
    if argv not in ([], ["--write"]):
        print(f"regenerate: {' '.join(argv)!r} is not known; allowed: nothing, or --write", file=sys.stderr)
        return 2
    try:
        if argv:
            write()
            return 0
        differing = differences()
    except ImportError:
        print("regenerate: needs scikit-learn: pip install 'jaxderiv[peers]'", file=sys.stderr)
        return 2
    print("differ: " + ", ".join(differing) if differing else "equal to scikit-learn's copies in every entry")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
