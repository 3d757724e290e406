"""The law of a factor over the sweep: a number times powers of sizes and scalar arguments."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxderiv.verify.cases import Case

_EXPONENTS = (-1.0, 1.0, -2.0, 2.0, -0.5, 0.5)


@dataclass(frozen=True)
class Law:
    """constant * product of name**exponent."""

    constant: float
    powers: tuple[tuple[str, float], ...]
    sizes: frozenset[str] = frozenset()

    def is_number(self, x: float) -> bool:
        return not self.powers and abs(self.constant - x) <= 1e-9 * abs(x)

    def __str__(self) -> str:
        over = [(name, e) for name, e in self.powers if e > 0]
        under = [(name, -e) for name, e in self.powers if e < 0]
        number = _nice(self.constant)
        top = [_power(*p) for p in over]
        bottom = [_power(*p) for p in under]
        if number is not None:
            if abs(number.numerator) != 1 or not top:
                top.insert(0, str(abs(number.numerator)))
            if number.denominator != 1:
                bottom.insert(0, str(number.denominator))
        else:
            top.insert(0, f"{abs(self.constant):.12g}")
        below = "" if not bottom else "/" + (bottom[0] if len(bottom) == 1 else f"({' '.join(bottom)})")
        return ("-" if self.constant < 0 else "") + " ".join(top) + below

    def times(self, formula: str) -> str:
        return formula if self.is_number(1) else f"{self} * ({formula})"

    def missing(self) -> str:
        """What a person did who is off by this factor."""
        plain = _nice(self.constant)
        if self.powers and plain in (1, Fraction(1, 2), 2):
            below = [name for name, e in self.powers if e == -1 and name in self.sizes]
            above = [name for name, e in self.powers if e == 1 and name in self.sizes]
            if len(self.powers) == 1 and plain == 1 and below:
                return f"the factor 1/{below[0]} is missing (you forgot to divide by {below[0]})"
            if len(self.powers) == 1 and plain == 1 and above:
                return f"divided by {above[0]} once too often"
        if self.powers:
            return f"the factor {self} is missing"
        if plain is not None and plain.denominator == 1:
            return f"the factor {plain} is missing"
        if plain is not None and plain.numerator == 1:
            return f"{plain.denominator} times as large as it should be"
        return "a constant factor is wrong"


def _power(name: str, exponent: float) -> str:
    if exponent == 1:
        return name
    return f"sqrt({name})" if exponent == 0.5 else f"{name}^{exponent:g}"


def _nice(x: float) -> Fraction | None:
    near = Fraction(x).limit_denominator(48)
    return near if near and abs(float(near) - x) <= 1e-9 * abs(x) else None


def find_law(ratios: np.ndarray, cases: Sequence[Case]) -> Law | None:
    """The simplest law that all ratios follow (NaN: no information), or None."""
    known = np.isfinite(ratios)
    if not known.any() or (ratios[known] == 0).any():
        return None
    values = ratios[known]
    cases = [case for case, k in zip(cases, known, strict=True) if k]
    quantities = _quantities(cases)
    sizes = frozenset(cases[0].sizes)
    for count in (0, 1, 2):
        for names in itertools.combinations(quantities, count):
            for exponents in itertools.product(_EXPONENTS if count < 2 else (-1.0, 1.0), repeat=count):
                rest = values.copy()
                for name, e in zip(names, exponents, strict=True):
                    rest = rest / np.sign(quantities[name]) / np.abs(quantities[name]) ** e
                constant = float(np.median(rest))
                if not np.allclose(rest, constant, rtol=1e-9, atol=0):
                    continue
                if count and _nice(constant) is None:
                    continue
                if not count and len(values) > 1:
                    return _named_size(constant, cases, sizes)
                if count and len(values) > count + 1:
                    return Law(_exact(constant), tuple(zip(names, exponents, strict=True)), sizes)
    return None


def _exact(x: float) -> float:
    nice = _nice(x)
    return float(nice) if nice is not None else x


def _quantities(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Sizes and scalar arguments that vary over the cases: a constant one explains nothing."""
    columns = {name: np.array([c.sizes.get(name, 1) for c in cases], dtype=float) for name in cases[0].sizes}
    for name in cases[0].scalars:
        columns[name] = np.array([c.scalars[name] for c in cases], dtype=float)
    return {name: x for name, x in columns.items() if np.ptp(x) > 0 and (x != 0).all()}


def _named_size(constant: float, cases: Sequence[Case], sizes: frozenset[str]) -> Law:
    """A constant that is a size which the sweep could not vary goes by the size's name."""
    for name in cases[0].sizes:
        values = {c.sizes.get(name) for c in cases}
        size = values.pop()
        if values or size is None or size < 3:
            continue
        for exponent in (-1.0, 1.0):
            if abs(constant / size**exponent - 1) <= 1e-9:
                return Law(1.0, ((name, exponent),), sizes)
    return Law(_exact(constant), (), sizes)
