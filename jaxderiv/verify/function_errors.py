"""How accurate XLA's elementwise functions are on this CPU: the numbers behind `rounding.FUNCTION_ULPS`.

``python -m jaxderiv.verify.function_errors`` compares every function with mpmath at many points (spread evenly, over
all magnitudes, and crowded around special points) and prints the largest errors in units in the last place. It
takes about half a minute.

The numbers hold for arguments that are normal numbers; lgamma and digamma for positive arguments, pow for positive
bases. What lies below the smallest normal number does not count where a result underflows, and nothing does where
it overflows. Of the functions in `rounding.CONDITIONED`, errors are counted in ulps of |x f'(x)| where this exceeds
|f(x)|: XLA rounds something like their argument on the way (exp2(x) as exp(x log 2)), so that they lose what a
rounding of the argument would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
from jax import lax

from jaxderiv.verify.algebra import DERIVATIVES, FLOAT_FUNCTIONS, Floats
from jaxderiv.verify.rounding import CONDITIONED, DTYPES

_BITS = 120  # of the reference
_DIGAMMA_ZERO = 1.4616321449683623

Span = Callable[[float], tuple[float, float]]  # of the logarithm of the largest number


@dataclass(frozen=True)
class Function:
    """One elementwise function and where it is measured.

    Attributes:
        span: the range of arguments, which may depend on the range of the dtype.
        near: special points, around which the points crowd at distances of all magnitudes.
        cost: of one reference value, relative to that of exp.
    """

    computed: Callable
    exact: Callable
    span: Span
    near: tuple[float, ...] = (0.0,)
    cost: int = 1


def _within(low: float, high: float) -> Span:
    return lambda top: (low, high)


def _logistic(x):
    e = mpmath.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


_ALL: Span = lambda top: (-np.exp(0.99 * top), np.exp(0.99 * top))
_POSITIVE: Span = lambda top: (np.exp(-0.98 * top), np.exp(0.99 * top))
_EXPONENTS: Span = lambda top: (-top, top)

FUNCTIONS: dict[str, Function] = {
    "exp": Function(lax.exp, mpmath.exp, _EXPONENTS),
    "exp2": Function(lax.exp2, lambda x: mpmath.power(2, x), lambda top: (-1.44 * top, 1.44 * top)),
    "expm1": Function(lax.expm1, mpmath.expm1, _EXPONENTS),
    "log": Function(lax.log, mpmath.log, _POSITIVE, (1.0,)),
    "log1p": Function(lax.log1p, mpmath.log1p, lambda top: (-1 + 2.0**-7, np.exp(0.99 * top)), (0.0, -1.0)),
    "tanh": Function(lax.tanh, mpmath.tanh, _within(-40, 40)),
    "logistic": Function(lax.logistic, _logistic, _EXPONENTS),
    "sin": Function(lax.sin, mpmath.sin, _ALL, (0.0, np.pi, 100 * np.pi)),
    "cos": Function(lax.cos, mpmath.cos, _ALL, (np.pi / 2, 50.5 * np.pi)),
    "tan": Function(lax.tan, mpmath.tan, _ALL, (0.0, np.pi / 2, 100 * np.pi)),
    "asin": Function(lax.asin, mpmath.asin, _within(-1, 1), (0.0, 1.0, -1.0)),
    "acos": Function(lax.acos, mpmath.acos, _within(-1, 1), (0.0, 1.0, -1.0)),
    "atan": Function(lax.atan, mpmath.atan, _ALL, (0.0, 1.0)),
    "sinh": Function(lax.sinh, mpmath.sinh, _EXPONENTS),
    "cosh": Function(lax.cosh, mpmath.cosh, _EXPONENTS),
    "asinh": Function(lax.asinh, mpmath.asinh, _ALL),
    "acosh": Function(lax.acosh, mpmath.acosh, lambda top: (1.0, np.exp(0.99 * top)), (1.0,)),
    "atanh": Function(lax.atanh, mpmath.atanh, _within(-1, 1), (0.0, 1.0, -1.0)),
    "sqrt": Function(lax.sqrt, mpmath.sqrt, _POSITIVE, (1.0,)),
    "rsqrt": Function(lax.rsqrt, lambda x: 1 / mpmath.sqrt(x), _POSITIVE, (1.0,)),
    "cbrt": Function(lax.cbrt, lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), _ALL, (1.0,)),
    "erf": Function(lax.erf, mpmath.erf, _within(-7, 7), cost=2),
    "erfc": Function(lax.erfc, mpmath.erfc, lambda top: (-7, np.sqrt(top)), cost=2),
    "erf_inv": Function(lax.erf_inv, mpmath.erfinv, _within(-1, 1), (0.0, 1.0, -1.0), cost=20),
    "lgamma": Function(lax.lgamma, mpmath.loggamma, lambda top: (1e-30, np.exp(0.9 * top)), (1.0, 2.0), 10),
    "digamma": Function(lax.digamma, mpmath.digamma, lambda top: (1e-30, np.exp(0.9 * top)), (1.0, _DIGAMMA_ZERO), 10),
}


def points(function: Function, dtype: str, count: int) -> np.ndarray:
    """Arguments in the dtype: a third each evenly spaced, of all magnitudes, and near the special points."""
    kind, info = DTYPES[dtype], ml_dtypes.finfo(DTYPES[dtype])
    low, high = function.span(float(np.log(float(info.max))))
    third = count // 3
    even = np.linspace(max(low, -1e3), min(high, 1e3), third)
    smallest = max(low, float(info.tiny)) if low > 0 else 2.0 * float(info.tiny)
    sizes = np.geomspace(smallest, max(abs(low), abs(high)), third)
    signs = np.where(np.arange(third) % 2, 1, -1) if low < 0 < high else 1.0
    distances = np.geomspace(float(info.eps) / 4, 1.0, third // (2 * len(function.near)))
    crowded = [c + side * distances for c in function.near for side in (-1, 1)]
    x = np.concatenate([even, signs * sizes, *crowded])
    x = np.unique(x[(x >= low) & (x <= high)].astype(kind).astype(np.float64))
    return x[(np.abs(x) >= float(info.tiny)) & (x >= low) & (x <= high)]


def ulps(computed: Iterable, exact: Iterable, dtype: str, scales: Iterable | None = None) -> np.ndarray:
    """Errors in units in the last place of the exact values; zero where these lie outside of the dtype's range.

    Args:
        scales: numbers in whose last places the errors are counted where they exceed the exact values; where they
            are infinite, so is the bound.
    """
    info = ml_dtypes.finfo(DTYPES[dtype])
    tiny, largest = mpmath.mpf(float(info.tiny)), mpmath.mpf(float(info.max))

    def one(got: float, true: mpmath.mpf, scale: float) -> float:
        if not mpmath.isfinite(true) or abs(true) > largest * (1 - 2 * float(info.eps)):
            return 0.0
        if scale == np.inf:
            return 0.0
        if not np.isfinite(got):
            return float("inf")
        _, exponent = mpmath.frexp(max(abs(true), tiny, scale))
        missed = abs(true - got) - (tiny if abs(true) < tiny * (1 + 2 * float(info.eps)) else 0)
        return max(0.0, float(missed / mpmath.ldexp(float(info.eps), exponent - 1)))

    exact = list(exact)
    scales = [0.0] * len(exact) if scales is None else scales
    return np.array([one(float(g), t, float(s)) for g, t, s in zip(computed, exact, scales, strict=True)])


def _through_argument(name: str, x: np.ndarray) -> np.ndarray | None:
    """|x f'(x)| of the functions that lose what a rounding of their argument would."""
    if name not in CONDITIONED:
        return None
    with np.errstate(all="ignore"):
        return np.abs(x * DERIVATIVES[name](Floats(), x, FLOAT_FUNCTIONS[name](x)))


def _run(function: Callable, dtype: str, *args: np.ndarray) -> np.ndarray:
    with jax.enable_x64(dtype == "float64"):
        out = jax.jit(function)(*(jnp.asarray(x.astype(DTYPES[dtype])) for x in args))
        return np.asarray(out).astype(np.float64)


def measure(name: str, dtype: str, count: int = 10_000) -> tuple[float, float]:
    """The largest error of a function in ulps, and the argument at which it occurs."""
    if name == "pow":
        return _measure_pow(dtype, count)
    function = FUNCTIONS[name]
    x = points(function, dtype, max(100, count // function.cost))
    with mpmath.workprec(_BITS):
        true = [function.exact(mpmath.mpf(v)) for v in x.tolist()]
        error = ulps(_run(function.computed, dtype, x), true, dtype, _through_argument(name, x))
    worst = int(np.argmax(error))
    return float(error[worst]), float(x[worst])


def _measure_pow(dtype: str, count: int) -> tuple[float, float]:
    """x ** y: bases of all magnitudes, exponents such that the results are."""
    info, rng = ml_dtypes.finfo(DTYPES[dtype]), np.random.default_rng(0)
    top = float(np.log(float(info.max)))
    near = np.exp(rng.choice([-1, 1], count) * np.geomspace(float(info.eps) * 4, 1, count))
    x = np.where(np.arange(count) % 2, near, np.exp(rng.uniform(-0.9 * top, 0.9 * top, count)))
    x = x.astype(DTYPES[dtype]).astype(np.float64)
    x = np.where(x == 1, 1.5, x)
    y = np.clip(rng.uniform(-top, top, count) / np.log(x), -1e4, 1e4)
    y = y.astype(DTYPES[dtype]).astype(np.float64)
    with mpmath.workprec(_BITS):
        true = [mpmath.power(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        error = ulps(_run(lax.pow, dtype, x, y), true, dtype)
    worst = int(np.argmax(error))
    return float(error[worst]), float(x[worst])


NAMES = (*FUNCTIONS, "pow")


def table(count: int = 10_000) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """Largest errors, function by function."""
    for name in NAMES:
        yield name, {dtype: measure(name, dtype, count) for dtype in DTYPES}


def main() -> None:
    print(f"Largest errors in ulps (and where), on {jax.devices()[0].device_kind}, jax {jax.__version__}")
    print(f"{'function':10}" + "".join(f"{dtype:>26}" for dtype in DTYPES), flush=True)
    for name, found in table():
        print(f"{name:10}" + "".join(f"{e:12.3g} ({x: .4e})" for e, x in found.values()), flush=True)


if __name__ == "__main__":
    main()
