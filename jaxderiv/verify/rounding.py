"""Running error bounds: what a correctly written program may lose to rounding.

A value is a float64 number and a first-order bound on the difference between what a machine of unit roundoff u
computes and the exact result: e(a+b) = e_a + e_b + u|a+b|, e(ab) = |a|e_b + |b|e_a + u|ab|,
e(f(a)) = |f'(a)| e_a + k_f u |f(a)|, e(AB) = |A|E_B + E_A|B| + gamma_k |A||B|, and an absolute term for
underflow, since XLA flushes subnormals on the CPU.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import ml_dtypes
import numpy as np

from jaxderiv.verify.algebra import DERIVATIVES, Algebra, Floats
from jaxderiv.verify.precise import closed_form, snap

DTYPES = {"float64": np.float64, "float32": np.float32, "bfloat16": ml_dtypes.bfloat16}

# The largest errors of XLA's elementwise functions on the CPU in units in the last place, by dtype as above: what
# `function_errors` measures and half as much again, and at least 2, for other processors. They hold for
# normal numbers of any size (also sin of huge ones), for positive arguments of lgamma and digamma and positive
# bases of pow. log1p in float64 is that far off between -0.41 and -0.29 only, and atanh is made of it.
# A function that is missing here counts as DEFAULT_ULPS.
FUNCTION_ULPS: dict[str, tuple[float, float, float]] = {
    "exp": (2, 4, 2), "exp2": (2, 2, 3), "expm1": (5, 8, 2), "log": (2, 2, 2), "log1p": (120, 3, 2), "tanh": (11, 6, 2),
    "logistic": (3, 3, 4), "sin": (2, 2, 2), "cos": (2, 2, 2), "tan": (2, 2, 2), "asin": (3, 3, 3), "acos": (2, 3, 2),
    "atan": (2, 2, 2), "sinh": (5, 7, 2), "cosh": (2, 2, 2), "asinh": (4, 4, 2), "acosh": (5, 5, 3),
    "atanh": (190, 4, 2),
    "sqrt": (1, 1, 1), "rsqrt": (3, 2, 2), "cbrt": (5, 2, 2), "square": (1, 1, 1), "erf": (2, 5, 2), "erfc": (4, 5, 2),
    "erf_inv": (18, 4, 2), "lgamma": (40, 82, 2), "digamma": (12, 11, 2), "pow": (2, 2, 2),
}  # fmt: skip
DEFAULT_ULPS = 16.0
# Functions whose errors are those of a rounded argument, |x f'(x)| u, where this exceeds |f(x)| u.
CONDITIONED = frozenset(["exp2", "sinh", "cosh", "erfc", "erf_inv", "lgamma", "digamma"])


class Rounded(NamedTuple):
    value: np.ndarray
    error: np.ndarray


class Rounding(Algebra):
    """Numbers with a running error bound for one dtype.

    Args:
        dtype: "float64", "float32" or "bfloat16". The values themselves are float64: a stand-in that is close
            enough for a first-order bound.
        literals_only: the arithmetic is exact; only literals that stand for no rational are rounded.
    """

    def __init__(self, dtype: str = "float64", literals_only: bool = False):
        info = ml_dtypes.finfo(DTYPES[dtype])
        self.unit, self.tiny, self.largest = float(info.eps) / 2, float(info.tiny), float(info.max)
        self.of_literals = self.unit
        self.literals_only = literals_only
        if literals_only:
            self.unit = self.tiny = 0.0
        self.column = list(DTYPES).index(dtype)
        self.floats = Floats()

    def _made(self, value: np.ndarray, error: np.ndarray) -> Rounded:
        value, error = np.asarray(value), np.asarray(error)
        lost = ~np.isfinite(value) | (np.abs(value) > self.largest) | np.isnan(error)
        return Rounded(value, np.where(lost, np.inf, error))

    def constant(self, x):
        x = np.asarray(x, dtype=np.float64)
        return Rounded(x, np.zeros(x.shape))

    def literal(self, x):
        x = np.asarray(x, dtype=np.float64)

        def is_exact(value: float) -> bool:
            meant = snap(value) if np.isfinite(value) else Fraction(0)
            if meant is None or self.literals_only:
                return meant is not None or bool(x.ndim) or closed_form(value) is not None
            return meant.denominator & (meant.denominator - 1) == 0

        exact = np.reshape([is_exact(v) for v in x.ravel().tolist()], x.shape).astype(bool)
        return Rounded(x, np.where(exact, 0.0, self.of_literals * np.abs(x)))

    def move(self, f, *values):
        parts = zip(*values, strict=True)
        return Rounded(*(np.asarray(f(*arrays)) for arrays in parts))

    def order(self, x):
        return x.value

    def add(self, a, b):
        value = a.value + b.value
        return self._made(value, a.error + b.error + self.unit * np.abs(value))

    def neg(self, a):
        return Rounded(np.asarray(-a.value), a.error)

    def mul(self, a, b):
        value = a.value * b.value
        error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
        exact_zero = ((a.value == 0) & (a.error == 0)) | ((b.value == 0) & (b.error == 0))
        return self._made(value, np.where(exact_zero, 0.0, error + self.unit * np.abs(value) + self.tiny))

    def div(self, a, b):
        value = a.value / b.value
        safe = np.abs(b.value) - b.error
        error = np.where(safe > 0, (a.error + np.abs(value) * b.error) / np.where(safe > 0, safe, 1.0), np.inf)
        return self._made(value, error + self.unit * np.abs(value) + self.tiny)

    def power(self, a, b):
        value = np.power(a.value, b.value)
        slope = np.abs(b.value * np.power(a.value, b.value - 1)) * a.error
        slope = slope + np.where(b.error > 0, np.abs(value * np.log(np.abs(a.value))) * b.error, 0.0)
        return self._made(value, slope + self._ulps("pow") * self.unit * np.abs(value) + self.tiny)

    def matmul(self, a, b):
        size = np.abs(a.value) @ np.abs(b.value)
        terms = a.value.shape[-1]
        error = np.abs(a.value) @ b.error + a.error @ np.abs(b.value) + a.error @ b.error
        return self._made(a.value @ b.value, error + terms * (self.unit * size + self.tiny))

    def sum(self, a, axes):
        terms = int(np.prod([a.value.shape[axis] for axis in axes], dtype=int))
        error = np.sum(a.error, axis=axes) + terms * self.unit * np.sum(np.abs(a.value), axis=axes)
        return self._made(np.sum(a.value, axis=axes), error)

    def function(self, name, x):
        value = self.floats.function(name, x.value)
        if name in DERIVATIVES:
            slope = np.abs(DERIVATIVES[name](self.floats, x.value, value))
        else:
            slope = np.full(value.shape, np.inf)
        carried = np.where(x.error == 0, 0.0, slope * x.error)
        size = np.abs(value)
        if name in CONDITIONED:
            size = np.fmax(size, np.abs(x.value) * slope)
        return self._made(value, carried + self._ulps(name) * self.unit * size + self.tiny)

    def _ulps(self, name: str) -> float:
        """In units of roundoff, of which one ulp is at most two."""
        found = FUNCTION_ULPS.get(name)
        return 2 * (DEFAULT_ULPS if found is None else found[self.column])
