"""A CSV file as numbers and classes; every fault is named by row and column, with the cure.

The first row holds the names. Columns are separated by a comma, a semicolon or a tab, whichever fits most rows. UTF-8,
with or without a byte-order mark. Rows are counted from 1 below the names; blank lines do not count. JAX is not
imported, so that a bad file is answered at once.
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxderiv.errors import InputError

DELIMITERS = ",;\t"
MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})  # in lower case
LARGEST = 1e100  # in size: squares and their sums are finite
MOST_CLASSES = 100


class Sheet(NamedTuple):
    """The cells of a file as they are written, without the space around them.

    Attributes:
        path: where it lies.
        names: of the columns, all different.
        rows: cells, one per name.
        lines: the line of the file on which each row ends.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def cells(self, name: str) -> list[str]:
        column = self.names.index(name)
        return [row[column] for row in self.rows]

    def place(self, row: int, name: str) -> str:
        return f"row {row + 1} (line {self.lines[row]}), column {name!r}"


class Labels(NamedTuple):
    """What the columns are called: the target, the features, and the target's classes (none for a regression)."""

    target: str
    names: tuple[str, ...]
    classes: tuple[str, ...]


class Classes(NamedTuple):
    """A column of class labels.

    Attributes:
        names: the distinct labels: numbers by size, words by the alphabet.
        codes: (n,), which of them each row has.
    """

    names: tuple[str, ...]
    codes: np.ndarray


def read(path: Path) -> Sheet:
    """Read a file.

    Raises:
        InputError: if it is not there or cannot be read, is not UTF-8, is empty, has no names, an empty or a duplicate
            name, no rows, or a row with too few or too many cells.
    """
    text = _text(path)
    if not text.strip():
        raise InputError(f"{path} is empty; allowed: a row of names, then rows of numbers")
    try:
        mark = max(DELIMITERS, key=lambda mark: _fit_of(mark, text))
        reader = csv.reader(io.StringIO(text), delimiter=mark, strict=True)
        numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: {error}; close every quotation mark") from None
    (_, names), *rows = numbered
    _check_names(path, names)
    if not rows:
        raise InputError(f"{path} has names but no rows below them; give observations")
    for number, (line, row) in enumerate(rows, 1):
        if len(row) != len(names):
            raise InputError(
                f"{path}: row {number} (line {line}) has {len(row)} cells, but there are {len(names)} names; "
                f"allowed: one cell per name, separated by {mark!r} (quote text that contains it)"
            )
    return Sheet(path, tuple(names), [row for _, row in rows], [line for line, _ in rows])


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        beside = path.parent.iterdir() if isinstance(error, FileNotFoundError) and path.parent.is_dir() else ()
        hint = _nearest(path.name, [each.name for each in beside])
        raise InputError(f"--data is {str(path)!r}: {error.strerror}{hint}; allowed: a CSV file") from None


def _fit_of(mark: str, text: str) -> tuple[int, int]:
    """How many of the first rows it splits into as many cells as there are names, two or more; and of names."""
    names, *rows = itertools.islice(csv.reader(io.StringIO(text), delimiter=mark), 100)
    return sum(len(row) == len(names) > 1 for row in rows), len(names)


def _check_names(path: Path, names: Sequence[str]) -> None:
    if all(_number(name) is not None for name in names):
        raise InputError(f"{path}: the first row holds numbers, {', '.join(names[:4])}; put a row of names above it")
    for column, name in enumerate(names):
        if not name:
            raise InputError(f"{path}: column {column + 1} has no name; write one into the first row")
        if name in names[:column]:
            raise InputError(
                f"{path}: columns {names.index(name) + 1} and {column + 1} are both named {name!r}; rename one of them"
            )


def _nearest(name: str, names: Iterable[str]) -> str:
    """Those that are written nearly alike, as a question; nothing if there are none."""
    exact = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), list(exact), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(exact[each]) for each in near)}?" if near else ""


def _known(sheet: Sheet, what: str, name: str) -> str:
    if name not in sheet.names:
        listed = ", ".join(map(repr, sheet.names[:12])) + (", ..." if len(sheet.names) > 12 else "")
        hint = _nearest(name, sheet.names)
        raise InputError(f"{what} is {name!r}, but {sheet.path} has no such column{hint} (it has {listed})")
    return name


def features(
    sheet: Sheet, target: str, chosen: Sequence[str] = (), dropped: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray]:
    """The features: all columns but the target and the dropped ones, or the chosen ones.

    Returns:
        Names, and (n, d) float64.
    Raises:
        InputError: for a column that is not there or is no feature, none at all, or what `numbers` refuses.
    """
    _known(sheet, "--target", target)
    for what, names in (("--features", chosen), ("--drop", dropped)):
        for name in names:
            if _known(sheet, what, name) == target:
                raise InputError(f"{what} names {name!r}, which is the target; allowed: other columns")
    kept = tuple(dict.fromkeys(name for name in chosen or sheet.names if name != target and name not in dropped))
    if not kept:
        raise InputError(
            f"{sheet.path}: no feature is left beside the target {target!r}; "
            "allowed: one or more columns, separated by , ; or a tab"
        )
    X = numbers(sheet, kept, "; or leave the column out with --drop")
    for name, column in zip(kept, X.T, strict=True):
        if np.ptp(column) <= 1e-13 * np.abs(column).max():
            raise InputError(
                f"{sheet.path}: column {name!r} is constant, {column[0]:g} in all {len(column)} rows; the intercept is "
                f"counted in already: leave it out with --drop {name}"
            )
    return kept, X


def numeric_target(sheet: Sheet, target: str) -> np.ndarray:
    """The target of a regression, (n,). InputError as in `numbers`, and if it is constant."""
    y = numbers(sheet, (target,), "; a target of classes needs --model logistic or softmax")[:, 0]
    if np.ptp(y) <= 1e-13 * np.abs(y).max():
        raise InputError(f"{sheet.path}: the target {target!r} is constant, {y[0]:g}: there is nothing to explain")
    return y


def numbers(sheet: Sheet, names: Sequence[str], instead: str = "") -> np.ndarray:
    """Columns as numbers, (n, columns).

    Raises:
        InputError: for text, missing values or numbers that are not finite or above 1e100 in size; the first place of
            text, or the first places of missing values, are named.
    """
    X, missing = np.empty((len(sheet.rows), len(names))), []
    for column, name in enumerate(names):
        for row, cell in enumerate(sheet.cells(name)):
            if cell.lower() in MISSING:
                missing.append((row, name))
                continue
            value = _number(cell)
            if value is None:
                decimal = _number(cell.replace(",", ".")) is not None
                cure = f"write {cell.replace(',', '.')}" if decimal else f"write a number{instead}"
                raise InputError(f"{sheet.path}: {sheet.place(row, name)}: {cell!r} is not a number; {cure}")
            if not abs(value) <= LARGEST:
                raise InputError(
                    f"{sheet.path}: {sheet.place(row, name)}: {cell!r}; allowed: up to {LARGEST:g} in size"
                )
            X[row, column] = value
    _refuse(sheet, missing)
    return X


def _refuse(sheet: Sheet, missing: list[tuple[int, str]]) -> None:
    if missing:
        places = "; ".join(sheet.place(*each) for each in sorted(missing)[:5])
        more = f"; ... {len(missing)} in all" if len(missing) > 5 else ""
        raise InputError(f"{sheet.path}: missing values: {places}{more}. Fill them in or drop these rows")


def _number(cell: str) -> float | None:
    """None for what is no number. Python reads 1_000 as one, which is more likely a mistake here."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def classes(sheet: Sheet, target: str, most: int = MOST_CLASSES) -> Classes:
    """The target of a classification, whose labels may be numbers or words.

    Raises:
        InputError: for missing labels, one class only, or more than `most`.
    """
    cells = sheet.cells(target)
    _refuse(sheet, [(row, target) for row, cell in enumerate(cells) if cell.lower() in MISSING])
    values = [_number(cell) for cell in cells]
    if all(value is not None for value in values):
        cells = [f"{value:.15g}" for value in values]  # 1 and 1.0 are one class
        names = tuple(sorted(set(cells), key=float))
    else:
        names = tuple(sorted(set(cells)))
    if len(names) == 1:
        raise InputError(
            f"{sheet.path}: the target {target!r} has one class only, {names[0]!r} in all {len(cells)} rows; "
            "give rows of another class as well"
        )
    if len(names) > most:
        some = ", ".join(map(repr, names[:4]))
        cure = "--model softmax takes more than two" if len(names) <= MOST_CLASSES else "is it a number? --model linear"
        raise InputError(
            f"{sheet.path}: the target {target!r} has {len(names)} distinct values ({some}, ...); "
            f"allowed: 2{f' to {most}' if most > 2 else ''} classes; {cure}"
        )
    place = {name: index for index, name in enumerate(names)}
    return Classes(names, np.array([place[cell] for cell in cells]))
