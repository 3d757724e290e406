r"""The logistic function and softmax in floating point: what overflows, and what autodiff makes of it.

Values in float64 and float32 are compared with 40-digit ones. They are those of a CPU, where JAX flushes numbers below
the normal range (2.2e-308, in float32 1.2e-38) to zero.

Source: ML Math Derivations, part 6, "Implementation".
"""

import warnings

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from jaxderiv.domains import Array, K, Real
from jaxderiv.theorem import FALSE, TRUE, at_most, close, equal, holds, statement

GRIDS = {jnp.float64: np.arange(-700.0, 701.0, 25.0), jnp.float32: np.arange(-84.0, 85.0, 3.0)}


def naive(z):
    return 1 / (1 + jnp.exp(-z))


def by_branches(z):
    return jnp.where(z >= 0, 1 / (1 + jnp.exp(-z)), jnp.exp(z) / (1 + jnp.exp(z)))


def by_distance(z):
    r"""$e^{-|z|}$ does not overflow, and both branches share it."""
    e = jnp.exp(-abs(z))
    return jnp.where(z >= 0, jnp.ones_like(z), e) / (1 + e)


def at(f, dtype, *z):
    """f in a type, as float64."""
    return np.asarray(jax.vmap(f)(jnp.asarray(z, dtype)), np.float64)


def within_eight_roundings(f, truth):
    """A function against 40 digits over its grid, in both types."""
    with mpmath.workdps(40):
        true = {dtype: np.array([float(truth(mpmath.mpf(z))) for z in grid]) for dtype, grid in GRIDS.items()}
    return [
        at_most(abs(at(f, dtype, *grid) - true[dtype]), 8 * float(jnp.finfo(dtype).eps) * true[dtype])
        for dtype, grid in GRIDS.items()
    ]


def true_value(z):
    return 1 / (1 + mpmath.exp(-z))


def true_slope(z):
    return 1 / ((1 + mpmath.exp(-z)) * (1 + mpmath.exp(z)))


overflow = statement("C6.61", TRUE, r"$1 / (1 + e^{-z})$ overflows for very negative z")


@overflow.true
def infinite_exponential():
    r"""$e^{-z}$ is infinite from z = -710 on (float32: -89), and $1 / (1 + e^{-z})$ the right 0"""
    e = lambda z: jnp.exp(-z)
    infinite = np.isinf([at(e, jnp.float64, -709.0, -710.0), at(e, jnp.float32, -88.0, -89.0)])
    zeros = np.append(at(naive, jnp.float64, -710.0), at(naive, jnp.float32, -89.0))
    return holds(infinite == np.array([False, True])), equal(zeros, 0.0)


@overflow.true
def lost_slope():
    r"""Its slope by autodiff is NaN from there on, and 0 instead of $e^z$ from z = -355 on (float32: -44)"""
    slope = jax.grad(naive)
    slopes = np.stack(
        [at(slope, jnp.float64, -354.0, -355.0, -709.0, -710.0), at(slope, jnp.float32, -43.0, -44.0, -88.0, -89.0)]
    )
    return holds((slopes == 0) == np.array([False, True, True, False])), holds(np.isnan(slopes[:, 2:]) == [False, True])


@overflow.true
def accurate_value():
    """Short of the overflow the value is accurate"""
    return within_eight_roundings(naive, true_value)


branches = statement(
    "C6.62",
    FALSE,
    r"`np.where(z >= 0, 1 / (1 + exp(-z)), exp(z) / (1 + exp(z)))` is stable",
    r"Both branches are evaluated. The values are right, NumPy warns of three overflows and an invalid division. By "
    r"autodiff the slope is NaN from $|z| = 710$ (float32: 89), the second derivative from z = 355 (45). With "
    r"$e = e^{-|z|}$ in both branches value and slope are accurate. (The slope of `jax.nn.sigmoid` at z = 40 is 0 and "
    r"should be $4 \cdot 10^{-18}$)",
)
FAR = np.array([-800.0, 0.0, 800.0])


@branches.as_worded
def without_warnings():
    """NumPy evaluates it at -800, 0 and 800 without a warning"""
    return close(float(len(warnings_of_numpy())), 0.0, 0.5)


@branches.as_worded
def with_a_slope():
    """Its slope by autodiff is a number at -710 and 710"""
    return holds(np.isfinite(at(jax.grad(by_branches), jnp.float64, -710.0, 710.0)))


@branches.true
def what_numpy_says():
    """Three overflows and an invalid division"""
    texts = " ".join(warnings_of_numpy())
    return equal(float(texts.count("overflow")), 3.0), equal(float(texts.count("invalid")), 1.0)


def warnings_of_numpy():
    with warnings.catch_warnings(record=True) as seen, np.errstate(over="warn", invalid="warn"):
        warnings.simplefilter("always")
        np.where(FAR >= 0, 1 / (1 + np.exp(-FAR)), np.exp(FAR) / (1 + np.exp(FAR)))
    return [str(one.message) for one in seen]


@branches.true
def where_derivatives_end():
    """The first NaN of the slope is at 710 (float32: 89) on both sides, that of the second derivative at 355 (45)"""
    slope, second = jax.grad(by_branches), jax.grad(jax.grad(by_branches))
    edges = [(slope, jnp.float64, 710), (slope, jnp.float32, 89), (second, jnp.float64, 355), (second, jnp.float32, 45)]
    found = [np.isnan(at(f, dtype, z - 1.0, float(z))) for f, dtype, z in edges]
    left = np.isnan(at(slope, jnp.float64, -709.0, -710.0))
    return holds(np.stack([*found, left]) == np.array([False, True]))


@branches.true
def value_and_slope_by_distance():
    r"""With $e = e^{-|z|}$ value and slope are within 8 roundings of the truth for $|z| \le 700$ (float32: 84)"""
    slope = within_eight_roundings(jax.grad(by_distance), true_slope)
    return *within_eight_roundings(by_distance, true_value), *slope


@branches.true
def slope_of_jax():
    r"""`jax.nn.sigmoid` has the slope 0 at 40 and 8 correct digits at -40"""
    right, left = at(jax.grad(jax.nn.sigmoid), jnp.float64, 40.0, -40.0)
    return equal(right, 0.0), close(left / np.exp(-40.0), 1.0, 1e-8)


shift = statement("C6.63", TRUE, "Subtracting the largest logit keeps softmax from overflowing and does not change it")


@shift.true
def same_function(z: Real[Array, K]):
    r"""$e^{z_k - m} / \sum_j e^{z_j - m} = e^{z_k} / \sum_j e^{z_j}$ with $m = \max_j z_j$"""
    moved, plain = jnp.exp(z - jnp.max(z)), jnp.exp(z)
    return equal(moved / jnp.sum(moved), plain / jnp.sum(plain))


@shift.true
def at_a_thousand():
    """Of logits of 1000 and more plain softmax is NaN, the shifted one accurate. At a gap of 1000 its logarithm is -inf
    and `log_softmax` is right; where all logits are -inf the shift makes NaN"""
    z, gap = jnp.array([1000.0, 1001.0, 1003.0]), jnp.array([0.0, 1000.0])
    plain = jnp.exp(z) / jnp.sum(jnp.exp(z))
    weights = [mpmath.exp(k) for k in (0, 1, 3)]
    truth = np.array([float(one / sum(weights)) for one in weights])
    return (
        holds(jnp.isnan(plain)),
        close(jax.nn.softmax(z) / truth, 1.0, 8 * np.finfo(float).eps),
        equal(jax.nn.log_softmax(gap), jnp.array([-1000.0, 0.0])),
        holds(jnp.isneginf(jnp.log(jax.nn.softmax(gap)))[0]),
        holds(jnp.isnan(jax.nn.softmax(jnp.full(3, -jnp.inf)))),
    )
