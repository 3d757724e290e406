"""Arithmetic of arbitrary precision (mpmath): the numbers of the truth.

Values are NumPy arrays of mpmath numbers. Outside of a function's domain the result is NaN, as in floating
point, never a complex number and never an exception.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import mpmath
import numpy as np

from jaxderiv.verify.algebra import Algebra, Unsupported


def snap(x: float) -> Fraction | None:
    """The rational that a float literal was meant to be, or None if there is no obvious one.

    A literal counts as meant when it is a dyadic of few bits, or when a denominator up to 10**6 or a decimal of
    at most 12 digits represents it to one ulp. (0.333... is 1/3, 1e-5 is 1/100000; sqrt(2/pi) is neither.) A float32
    number counts as meant when a denominator up to 100 or a decimal of at most 4 digits represents it in float32.
    """
    exact = Fraction(x)
    if exact.denominator <= 2**20:
        return exact
    if float(np.float32(x)) == x and (narrow := _meant_in_float32(x)) is not None:
        return narrow
    near = exact.limit_denominator(10**6)
    if abs(near - exact) <= Fraction(math.ulp(x)) and near != 0:
        return near
    digits, _, _ = repr(x).partition("e")
    return Fraction(repr(x)) if sum(c.isdigit() for c in digits.lstrip("-0.")) <= 12 else None


class ClosedForm(NamedTuple):
    """(rational * pi**power) ** (1 / root), or the logarithm of rational * pi**power divided by root."""

    is_log: bool
    rational: Fraction
    power: int
    root: int


@functools.lru_cache(maxsize=4096)
def closed_form(x: float) -> ClosedForm | None:
    """The irrational number that a literal such as sqrt(2 / pi) or log(2 pi) / 2 was meant to be, or None."""
    if not np.isfinite(x) or not 1e-6 < abs(x) < 1e6:
        return None
    for root, power in itertools.product((1, 2), (0, 1, -1, 2, -2)):
        if (root, power) != (1, 0) and x > 0 and (near := _simple(x**root / math.pi**power)) is not None:
            return ClosedForm(False, near, power, root)
    for root, power in itertools.product((1, 2), (0, 1, -1)):
        if abs(root * x) < 20 and (near := _simple(math.exp(root * x) / math.pi**power)) is not None and near != 1:
            return ClosedForm(True, near, power, root)
    return None


def _simple(x: float) -> Fraction | None:
    """The fraction with a denominator up to 100 that x is, but for a few roundings."""
    near = Fraction(x).limit_denominator(100)
    return near if 0 < near < 10_000 and abs(float(near) - x) <= 8 * math.ulp(x) else None


def _meant_in_float32(x: float) -> Fraction | None:
    if not np.isfinite(x):
        return None
    for near in (Fraction(x).limit_denominator(100), Fraction(f"{x:.4g}")):
        if near != 0 and np.float32(float(near)) == np.float32(x):
            return near
    return None


def _objects(x: object) -> np.ndarray:
    if isinstance(x, np.ndarray):
        return x
    out = np.empty((), dtype=object)
    out[()] = x
    return out


class Precise(Algebra):
    """Real numbers to a given number of decimal digits.

    Attributes:
        kept: literals of the programs seen that stand for no rational: they are taken as the floats they are, so
            that two ways to write such a constant differ by a rounding.
    """

    def __init__(self, digits: int):
        self.context, self._functions = _arithmetic(digits)
        self.digits = digits
        self.kept: set[float] = set()

    def constant(self, x):
        x = np.asarray(x)
        if x.dtype == object:
            return x
        number = self.context.mpf
        out = np.empty(x.shape, dtype=object)
        out.ravel()[...] = [number(value) for value in np.asarray(x, dtype=np.float64).ravel().tolist()]
        return out

    def literal(self, x):
        x = np.asarray(x, dtype=np.float64)
        out = np.empty(x.shape, dtype=object)
        out.ravel()[...] = [self._meant(value, number=not x.ndim) for value in x.ravel().tolist()]
        return out

    def _meant(self, value: float, number: bool):
        """What a literal stands for. Entries of arrays that stand for no rational are data, exact as they are."""
        meant = snap(value) if np.isfinite(value) else None
        if meant is not None:
            return self.context.mpf(meant.numerator) / meant.denominator
        if (form := closed_form(value)) is not None:
            inside = self.context.mpf(form.rational.numerator) / form.rational.denominator * self.context.pi**form.power
            return self.context.log(inside) / form.root if form.is_log else self.context.root(inside, form.root)
        if number and np.isfinite(value):
            self.kept.add(value)
        return self.context.mpf(value)

    def number(self, x, like):
        out = np.empty(np.shape(like), dtype=object)
        out.fill(self.context.mpf(x))
        return out

    def move(self, f, *values):
        return _objects(f(*values))

    def order(self, x):
        return x

    def ties(self, a, b):
        return np.asarray(self._guarded("ties", a, b), dtype=bool)

    def varies(self, x):
        return True

    def add(self, a, b):
        return _objects(np.add(a, b))

    def sub(self, a, b):
        return _objects(np.subtract(a, b))

    def mul(self, a, b):
        return _objects(np.multiply(a, b))

    def neg(self, a):
        return _objects(np.negative(a))

    def div(self, a, b):
        return self._guarded("div", a, b)

    def power(self, a, b):
        return self._guarded("power", a, b)

    def matmul(self, a, b):
        if 0 in (*a.shape, *b.shape):
            return self.constant(np.zeros((a.shape[0], a.shape[1], b.shape[2])))
        return np.matmul(a, b)

    def sum(self, a, axes):
        if 0 in a.shape:
            return self.constant(np.zeros(np.sum(np.zeros(a.shape), axis=axes).shape))
        return _objects(np.sum(a, axis=axes))

    def function(self, name, x):
        return self._guarded(name, x)

    def _guarded(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        if name not in self._functions:
            raise Unsupported(name)
        return _objects(self._functions[name](*arrays))


@functools.lru_cache(maxsize=16)
def _arithmetic(digits: int) -> tuple[mpmath.MPContext, dict[str, np.ufunc]]:
    """A context of its own for every precision (mpmath takes ten milliseconds to make one) and its functions."""
    c = mpmath.MPContext()
    c.dps = digits + 5
    nan = c.mpf("nan")

    def divide(a, b):
        if b == 0:
            return nan if a == 0 or a != a else (c.inf if a > 0 else -c.inf)
        return a / b

    def logistic(x):
        e = c.exp(-abs(x))
        return (1 if x >= 0 else e) / (1 + e)

    def tied(a, b):
        if a == b:
            return True
        size = abs(a) + abs(b)
        return size < c.inf and abs(a - b) <= c.ldexp(size, -c.prec // 2)

    names = "exp log1p expm1 tanh sin cos tan asin acos atan sinh cosh asinh acosh atanh sqrt erf erfc"
    table: dict[str, Callable] = {name: getattr(c, name) for name in names.split()} | {
        "div": divide,
        "power": lambda a, b: c.mpf(1) if b == 0 else c.power(a, b),
        "ties": tied,
        "log": lambda x: -c.inf if x == 0 else c.log(x),
        "cbrt": lambda x: c.sign(x) * c.cbrt(abs(x)),
        "square": lambda x: x * x,
        "exp2": lambda x: c.power(2, x),
        "rsqrt": lambda x: 1 / c.sqrt(x),
        "logistic": logistic,
        "erf_inv": c.erfinv,
        "lgamma": lambda x: c.log(abs(c.gamma(x))),
        "digamma": c.digamma,
        "trigamma": lambda x: c.psi(1, x),
    }

    def guarded(plain: Callable) -> Callable:
        def safe(*numbers):
            try:
                out = plain(*numbers)
            except (ZeroDivisionError, ValueError, OverflowError, NotImplementedError):
                return nan
            return nan if hasattr(out, "_mpc_") else out  # complex: outside of the real domain

        return safe

    return c, {name: np.frompyfunc(guarded(f), 2 if name in _BINARY else 1, 1) for name, f in table.items()}


_BINARY = ("div", "power", "ties")
