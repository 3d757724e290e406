"""The arithmetics in which a jaxpr can be evaluated.

An *algebra* says what a number is and how numbers are added, multiplied and put through a function; the
interpreter says how arrays of them are moved about. A *value* is whatever the algebra makes of an array: it is
built from NumPy arrays whose leading axes are the logical ones (some algebras add axes at the end), and the
interpreter moves it only through `Algebra.move`. So one rule for a transpose serves every arithmetic, and one
rule for a product serves every program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

COMPARISONS: dict[str, Callable] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal, "lt_to": np.less, "le_to": np.less_equal, "eq_to": np.equal,
}  # fmt: skip
MAYBE = 2  # an outcome beside 0 and 1, of algebras that are not ordered
_WITH_EQUALITY = frozenset("le ge eq le_to eq_to".split())

Value = Any
Move = Callable[..., np.ndarray]


class Unsupported(Exception):
    """The program uses something outside of what an algebra or the interpreter knows; the argument names it."""


class Algebra:
    """Numbers and what can be done with arrays of them: `Floats`, `Precise`, `Rounding`, `Field`, `Dual`."""

    orders = 0  # of derivatives that a value carries
    ordered = True  # whether any two values can be compared
    digits: float = 16  # decimal digits that a value holds; infinite if it is exact

    def constant(self, x: np.ndarray) -> Value:
        """The value of an array of floats, taken exactly."""
        raise NotImplementedError

    def literal(self, x: np.ndarray) -> Value:
        """The value of a number written in the program, which may stand for a rational that floats cannot hold."""
        return self.constant(x)

    def move(self, f: Move, *values: Value) -> Value:
        """Apply a rearrangement f of arrays, which acts on leading axes alone, to values."""
        raise NotImplementedError

    def order(self, x: Value) -> np.ndarray:
        """Real numbers that compare as the values do."""
        raise NotImplementedError

    def varies(self, x: Value) -> bool:
        """Whether x may depend on what is being differentiated; a tie between constants is no kink."""
        return False

    def ties(self, a: Value, b: Value) -> np.ndarray:
        """Where two values cannot be told apart, so that a comparison decides nothing."""
        return self.order(a) == self.order(b)

    def equal(self, a: Value, b: Value) -> np.ndarray:
        """Where two values are equal."""
        return np.asarray(self.order(a) == self.order(b), dtype=bool)

    def compare(self, name: str, a: Value, b: Value) -> np.ndarray:
        """The outcome of a comparison (of `COMPARISONS`), entry by entry."""
        found = np.asarray(COMPARISONS[name](self.order(a), self.order(b)), dtype=bool)
        return np.where(self.equal(a, b), name in _WITH_EQUALITY, found)

    def larger(self, a: Value, b: Value, sign: int = 1) -> Value:
        """The larger (or, with sign -1, the smaller) of two values; NaN where one is."""
        x, y = self.order(a), self.order(b)
        second = np.asarray(y > x if sign > 0 else y < x, dtype=bool)
        nan = np.asarray(y != y, dtype=bool)
        return self.select((second | nan).astype(int), [a, b])

    def of_condition(self, x: np.ndarray) -> Value:
        """Outcomes of a comparison, or whole numbers, as values."""
        return self.constant(np.asarray(x, dtype=np.float64))

    def add(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def mul(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def div(self, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def neg(self, a: Value) -> Value:
        raise NotImplementedError

    def sub(self, a: Value, b: Value) -> Value:
        return self.add(a, self.neg(b))

    def power(self, a: Value, b: Value) -> Value:
        """a ** b for real exponents."""
        raise NotImplementedError

    def matmul(self, a: Value, b: Value) -> Value:
        """(batch, i, j) times (batch, j, k)."""
        raise NotImplementedError

    def sum(self, a: Value, axes: tuple[int, ...]) -> Value:
        raise NotImplementedError

    def function(self, name: str, x: Value) -> Value:
        """An elementwise function by the name of its primitive.

        Raises:
            Unsupported: if the algebra does not know it.
        """
        raise NotImplementedError

    def freeze(self, x: Value) -> Value:
        """x as a constant: what ``jax.lax.stop_gradient`` asks for."""
        return x

    # Built from the above ------------------------------------------------------------------------------------
    def shape(self, x: Value) -> tuple[int, ...]:
        return self.order(x).shape

    def number(self, x: float, like: Value) -> Value:
        """A plain number, spread over the shape of another value."""
        return self.constant(np.full(self.shape(like), x))

    def integer_power(self, x: Value, exponent: int) -> Value:
        if exponent < 0:
            return self.div(self.number(1.0, x), self.integer_power(x, -exponent))
        result, base = None, x
        while exponent:
            if exponent & 1:
                result = base if result is None else self.mul(result, base)
            exponent >>= 1
            base = self.mul(base, base) if exponent else base
        return self.number(1.0, x) if result is None else result

    def select(self, which: np.ndarray, cases: Sequence[Value]) -> Value:
        """cases[which], elementwise."""

        def choose(*arrays: np.ndarray) -> np.ndarray:
            index = which.reshape(which.shape + (1,) * (arrays[0].ndim - which.ndim))
            out = arrays[0]
            for number, array in enumerate(arrays[1:], 1):
                out = np.where(index == number, array, out)
            return out

        return self.move(choose, *cases)

    def abs(self, x: Value) -> Value:
        return self.select((self.order(x) < 0).astype(int), [x, self.neg(x)])


def _scalar(quick: Callable[[float], float], sure: Callable[[float], Any]) -> Callable:
    """A function of one number over arrays; what the quick one cannot do (poles, overflow) the sure one does."""

    def one(x: float) -> float:
        try:
            return float(quick(x))
        except (ValueError, OverflowError, ZeroDivisionError):
            return float(sure(x))

    return np.vectorize(one, otypes=[float])


FLOAT_FUNCTIONS: dict[str, Callable] = {
    "exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "tanh": np.tanh, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "cbrt": np.cbrt, "square": np.square, "exp2": np.exp2,
    "logistic": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf, otypes=[float]), "erfc": np.vectorize(math.erfc, otypes=[float]),
    "erf_inv": _scalar(mpmath.fp.erfinv, mpmath.erfinv),
    "lgamma": _scalar(math.lgamma, lambda x: mpmath.loggamma(x).real),
    "digamma": _scalar(mpmath.fp.digamma, mpmath.digamma),
    "trigamma": _scalar(lambda x: mpmath.fp.psi(1, x), lambda x: mpmath.psi(1, x)),
}  # fmt: skip


class Floats(Algebra):
    """float64 in NumPy: fast, for looking around. Values are arrays."""

    def constant(self, x):
        return np.asarray(x, dtype=np.float64)

    def move(self, f, *values):
        return np.asarray(f(*values))

    def order(self, x):
        return x

    def add(self, a, b):
        return np.asarray(a + b)

    def sub(self, a, b):
        return np.asarray(a - b)

    def mul(self, a, b):
        return np.asarray(a * b)

    def div(self, a, b):
        return np.asarray(a / b)

    def neg(self, a):
        return np.asarray(-a)

    def power(self, a, b):
        return np.asarray(np.power(a, b))

    def matmul(self, a, b):
        return np.matmul(a, b)

    def sum(self, a, axes):
        return np.asarray(np.sum(a, axis=axes))

    def function(self, name, x):
        if name not in FLOAT_FUNCTIONS:
            raise Unsupported(name)
        return np.asarray(FLOAT_FUNCTIONS[name](x))


# Derivatives of elementwise functions: our own rules, written in the operations of any algebra. Each takes the
# algebra, x and y = f(x), in a form that does not cancel where the derivative is small.
def _one(a: Algebra, x: Value) -> Value:
    return a.number(1.0, x)


def _inverse_root(a: Algebra, x: Value) -> Value:
    return a.div(_one(a, x), a.function("sqrt", x))


def _gauss(a: Algebra, exponent: Value, scale: float, root_pi: int) -> Value:
    """scale * sqrt(pi)**root_pi * exp(exponent)."""
    pi = a.mul(a.number(4.0, exponent), a.function("atan", _one(a, exponent)))
    root = a.integer_power(a.function("sqrt", pi), root_pi)
    return a.mul(a.mul(a.number(scale, exponent), root), a.function("exp", exponent))


def _sech_squared(a: Algebra, x: Value) -> Value:
    two = a.mul(a.number(2.0, x), x)
    product = a.mul(a.function("logistic", two), a.function("logistic", a.neg(two)))
    return a.mul(a.number(4.0, x), product)


DERIVATIVES: dict[str, Callable[[Algebra, Value, Value], Value]] = {
    "exp": lambda a, x, y: y,
    "exp2": lambda a, x, y: a.mul(a.function("log", a.number(2.0, x)), y),
    "expm1": lambda a, x, y: a.function("exp", x),
    "log": lambda a, x, y: a.div(_one(a, x), x),
    "log1p": lambda a, x, y: a.div(_one(a, x), a.add(_one(a, x), x)),
    "logistic": lambda a, x, y: a.mul(y, a.function("logistic", a.neg(x))),
    "tanh": lambda a, x, y: _sech_squared(a, x),
    "sin": lambda a, x, y: a.function("cos", x),
    "cos": lambda a, x, y: a.neg(a.function("sin", x)),
    "tan": lambda a, x, y: a.add(_one(a, x), a.mul(y, y)),
    "asin": lambda a, x, y: _inverse_root(a, a.sub(_one(a, x), a.mul(x, x))),
    "acos": lambda a, x, y: a.neg(_inverse_root(a, a.sub(_one(a, x), a.mul(x, x)))),
    "atan": lambda a, x, y: a.div(_one(a, x), a.add(_one(a, x), a.mul(x, x))),
    "sinh": lambda a, x, y: a.function("cosh", x),
    "cosh": lambda a, x, y: a.function("sinh", x),
    "asinh": lambda a, x, y: _inverse_root(a, a.add(_one(a, x), a.mul(x, x))),
    "acosh": lambda a, x, y: _inverse_root(a, a.sub(a.mul(x, x), _one(a, x))),
    "atanh": lambda a, x, y: a.div(_one(a, x), a.sub(_one(a, x), a.mul(x, x))),
    "sqrt": lambda a, x, y: a.div(a.number(0.5, x), y),
    "rsqrt": lambda a, x, y: a.div(a.mul(a.number(-0.5, x), y), x),
    "cbrt": lambda a, x, y: a.div(y, a.mul(a.number(3.0, x), x)),
    "square": lambda a, x, y: a.mul(a.number(2.0, x), x),
    "erf": lambda a, x, y: _gauss(a, a.neg(a.mul(x, x)), 2.0, -1),
    "erfc": lambda a, x, y: _gauss(a, a.neg(a.mul(x, x)), -2.0, -1),
    "erf_inv": lambda a, x, y: _gauss(a, a.mul(y, y), 0.5, 1),
    "lgamma": lambda a, x, y: a.function("digamma", x),
    "digamma": lambda a, x, y: a.function("trigamma", x),
}  # fmt: skip
