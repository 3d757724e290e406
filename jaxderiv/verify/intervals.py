"""Interval arithmetic: what can be said of a value whatever its arguments are.

It knows that squares, exponentials and probabilities are not negative, and so proves signs of programs that are
written as sums of such terms. Bounds are closed; they need not be sharp. A comparison that may come out either way
is `MAYBE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxderiv.domains import Domain
from jaxderiv.verify.algebra import FLOAT_FUNCTIONS, MAYBE, Algebra, Unsupported

_INF = np.inf
_INCREASING = frozenset("exp exp2 expm1 log log1p tanh logistic sqrt atan asinh sinh cbrt erf".split())
_WITHIN: dict[str, tuple[float, float]] = {"sin": (-1, 1), "cos": (-1, 1), "cosh": (1, _INF), "erfc": (0, 2)}
_BOUNDS: dict[str, tuple[float, float]] = {
    "Positive": (0, _INF), "UnitInterval": (0, 1), "Bit": (0, 1), "Sign": (-1, 1), "OneHot": (0, 1), "Simplex": (0, 1),
}  # fmt: skip


class Interval(NamedTuple):
    low: np.ndarray
    high: np.ndarray


def anywhere(domain: Domain | None, shape: tuple[int, ...]) -> Interval:
    """All values of a domain, entry by entry."""
    low, high = _BOUNDS.get(type(domain).__name__, (-_INF, _INF))
    return Interval(np.full(shape, float(low)), np.full(shape, float(high)))


class Intervals(Algebra):
    """Closed intervals of float64 numbers; rounding of the bounds is left out, so that only signs are to be read."""

    ordered = False

    def constant(self, x):
        if isinstance(x, Interval):
            return x
        x = np.asarray(x, dtype=np.float64)
        return Interval(x, x)

    def move(self, f, *values):
        return Interval(*(np.asarray(f(*arrays)) for arrays in zip(*values, strict=True)))

    def order(self, x):
        if not np.array_equal(x.low, x.high):
            raise Unsupported("an order of intervals")
        return x.low

    def shape(self, x):
        return x.low.shape

    def compare(self, name, a, b):
        if name.startswith(("lt", "le")):
            sure, never = (a.high < b.low, a.low > b.high) if name == "le" else (a.high < b.low, a.low >= b.high)
        elif name in ("gt", "ge"):
            sure, never = a.low > b.high, a.high < b.low
        else:
            same = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
            apart = (a.high < b.low) | (a.low > b.high)
            sure, never = (same, apart) if name.startswith("eq") else (apart, same)
        return np.where(sure, 1, np.where(never, 0, MAYBE)).astype(np.int8)

    def select(self, which, cases):
        out = super().select(which, cases)
        maybe = which == MAYBE
        if not maybe.any():
            return out
        low = np.minimum.reduce([c.low for c in cases])
        high = np.maximum.reduce([c.high for c in cases])
        return Interval(np.where(maybe, low, out.low), np.where(maybe, high, out.high))

    def of_condition(self, x):
        maybe = (np.asarray(x) == MAYBE) & (np.asarray(x).dtype == np.int8)
        return Interval(np.where(maybe, 0.0, x), np.where(maybe, 1.0, x))

    def larger(self, a, b, sign=1):
        choose = np.maximum if sign > 0 else np.minimum
        return Interval(choose(a.low, b.low), choose(a.high, b.high))

    def abs(self, x):
        return self.larger(x, self.neg(x))._replace(low=np.maximum(np.maximum(x.low, -x.high), 0.0))

    def add(self, a, b):
        return Interval(a.low + b.low, a.high + b.high)

    def neg(self, a):
        return Interval(-a.high, -a.low)

    def mul(self, a, b):
        ends = [_times(x, y) for x in a for y in b]
        return Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))

    def div(self, a, b):
        with np.errstate(divide="ignore"):
            positive, negative = b.low >= 0, b.high <= 0
            # 1 / b, where b keeps its sign; at zero itself the quotient does not exist
            low = np.where(positive, 1 / np.abs(b.high), np.where(negative, -1 / np.abs(b.high), -_INF))
            high = np.where(positive, 1 / np.abs(b.low), np.where(negative, -1 / np.abs(b.low), _INF))
        return self.mul(a, Interval(low, high))

    def integer_power(self, x, exponent):
        if exponent < 0 or exponent % 2 or exponent == 0:
            return super().integer_power(x, exponent)
        size = self.abs(x)
        return Interval(size.low**exponent, size.high**exponent)

    def power(self, a, b):
        if not (a.low >= 0).all():
            raise Unsupported("a power of what may be negative")
        everything = np.broadcast_to(_INF, a.low.shape)
        return Interval(np.zeros(a.low.shape), everything)

    def matmul(self, a, b):
        spread = lambda x, axis: self.move(lambda m: np.expand_dims(m, axis), x)
        rows, columns = spread(a, 3), spread(b, 1)
        shape = np.broadcast_shapes(rows.low.shape, columns.low.shape)
        over = lambda x: self.move(lambda m: np.broadcast_to(m, shape), x)
        return self.sum(self.mul(over(rows), over(columns)), (2,))

    def sum(self, a, axes):
        return Interval(np.asarray(np.sum(a.low, axis=axes)), np.asarray(np.sum(a.high, axis=axes)))

    def function(self, name, x):
        if name == "square":
            return self.integer_power(x, 2)
        if name in _INCREASING:
            with np.errstate(all="ignore"):
                f: Callable = FLOAT_FUNCTIONS[name]
                low, high = (np.asarray(f(end)) for end in x)
            return Interval(np.where(np.isnan(low), -_INF, low), np.where(np.isnan(high), _INF, high))
        if name == "rsqrt":
            return self.div(self.number(1.0, x), self.function("sqrt", x))
        least, most = _WITHIN.get(name, (-_INF, _INF))
        return Interval(np.full(x.low.shape, float(least)), np.full(x.low.shape, float(most)))


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A product in which zero times infinity is zero."""
    with np.errstate(invalid="ignore"):
        return np.where((x == 0) | (y == 0), 0.0, x * y)
