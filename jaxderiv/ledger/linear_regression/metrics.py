r"""Measures of a regression: errors, and the share of variance explained.

RSS is the sum of squared residuals, TSS that of $y_i - \bar y$, $R^2 = 1 - \mathrm{RSS} / \mathrm{TSS}$.

Source: ML Math Derivations, part 5, "Evaluation".
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.metrics.regression import mean_absolute_error, root_mean_squared_error
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, statement


def mean_square(r):
    return jnp.mean(r**2)


def mean_size(r):
    return jnp.mean(abs(r))


# Errors ------------------------------------------------------------------------------------------------------
errors = statement(
    "C5.48",
    TRUE,
    r"Predictions are measured by MSE, the mean of squared residuals; RMSE, its root, which is in the unit of y; and "
    r"MAE, the mean of their sizes.",
)


@errors.true(at=[{"r": [2.0, -2.0, 2.0]}])
def root_is_not_below_the_size(r: Real[Array, n]):
    r"""MAE $\le$ RMSE $\le \sqrt n$ MAE, between squares; attained where all residuals have one size, and where one is
    not 0"""
    return at_most(mean_size(r) ** 2, mean_square(r)), at_most(mean_square(r), len(r) * mean_size(r) ** 2)


@errors.control(at=[{"r": [2.0, -2.0, 2.0]}])
def root_is_farther_above(r: Real[Array, n]):
    r"""$1.05\, \mathrm{MAE} \le \mathrm{RMSE}$"""
    return at_most(1.05**2 * mean_size(r) ** 2, mean_square(r))


@errors.true
def units(r: Real[Array, n], unit: Positive[Array, ()]):
    r"""In another unit of y, MSE changes by the unit's square, RMSE and MAE by the unit"""
    root = lambda r: jnp.sqrt(mean_square(r))
    return (
        equal(mean_square(unit * r), unit**2 * mean_square(r)),
        equal(root(unit * r), unit * root(r)),
        equal(mean_size(unit * r), unit * mean_size(r)),
    )


@errors.true
def mean_minimises_the_square(y: Real[Array, n], c: Real[Array, ()]):
    r"""For a constant prediction, $\mathrm{MSE}(c) = \mathrm{MSE}(\bar y) + (c - \bar y)^2$"""
    return equal(mean_square(y - c), mean_square(y - jnp.mean(y)) + (c - jnp.mean(y)) ** 2)


@errors.true
def median_minimises_the_size(y: Real[Array, n], c: Real[Array, ()]):
    r"""$\mathrm{MAE}(c) \ge \mathrm{MAE}(\mathrm{median})$"""
    return at_most(mean_size(y - jnp.median(y)), mean_size(y - c))


@errors.control(at=[{"y": [0.0, 0.0, 3.0], "c": 0.0}])
def mean_minimises_the_size(y: Real[Array, n], c: Real[Array, ()]):
    r"""$\mathrm{MAE}(c) \ge \mathrm{MAE}(\bar y)$"""
    return at_most(mean_size(y - jnp.mean(y)), mean_size(y - c))


@errors.true
def of_the_package(rng):
    """jaxderiv.metrics computes these"""
    y, fit = rng.standard_normal((2, 50))
    root = close(root_mean_squared_error(y, fit), jnp.sqrt(mean_square(y - fit)), 1e-14)
    return root, close(mean_absolute_error(y, fit), mean_size(y - fit), 1e-14)


# R^2 ---------------------------------------------------------------------------------------------------------
share = statement(
    "C5.49",
    HYP,
    r"$R^2 = 1 - \mathrm{RSS} / \mathrm{TSS}$ is the fraction of the variance of y that the model explains.",
    but=r"On the observations that least squares was fitted to, with an intercept: then it is the squared "
    r"correlation of y and $\hat y$, from 0 to 1. Without an intercept, or on new observations, it can be "
    r"negative and is no fraction.",
)
SEVEN = {"n": 7, "d": 3}


def share_explained(y, fit):
    return 1 - jnp.sum((y - fit) ** 2) / jnp.sum((y - jnp.mean(y)) ** 2)


def with_intercept(X):
    return jnp.concatenate([jnp.ones((len(X), 1)), X], axis=1)


def fitted(X, y):
    """Predictions of least squares."""
    return X @ least_squares(X, y)


FALLING = [{"X": np.array([[1.0], [2.0], [3.0]]), "y": np.array([3.0, 2.0, 1.0])}]


@share.as_worded(at=FALLING)
def fraction_without_an_intercept(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""$R^2 \ge 0$ for least squares without an intercept"""
    return at_most(0.0, share_explained(y, fitted(X, y)), scale=1.0)


@share.as_worded(at=[FALLING[0] | {"y": np.array([1.0, 2.0, 3.0]), "later": np.array([3.0, 2.0, 1.0])}])
def fraction_of_new_targets(X: FullColumnRank[Array, n, d], y: Real[Array, n], later: Real[Array, n]):
    r"""$R^2 \ge 0$ on new targets of the same inputs, with an intercept"""
    return at_most(0.0, share_explained(later, fitted(with_intercept(X), y)), scale=1.0)


@share.true
def perfectly_correlated_and_negative():
    r"""For y = (3, 2, 1) at x = (1, 2, 3), the best line through the origin has $R^2$ = -2.43; the correlation squared
    is 1"""
    X, y = (jnp.asarray(FALLING[0][name]) for name in ("X", "y"))
    fit = fitted(X, y)
    return close(share_explained(y, fit), -2.43, 5e-3), close(jnp.corrcoef(y, fit)[0, 1] ** 2, 1.0, 1e-12)


@share.true(sizes=SEVEN)
def squared_correlation(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""With an intercept $R^2 = \frac{(\sum (y_i - \bar y)(\hat y_i - \bar y))^2}{\sum (y_i - \bar y)^2 \sum (\hat y_i
    - \bar y)^2}$"""
    fit, centred = fitted(with_intercept(X), y), y - jnp.mean(y)
    explained = fit - jnp.mean(y)
    return equal(share_explained(y, fit) * (centred @ centred) * (explained @ explained), (centred @ explained) ** 2)


@share.true(sizes=SEVEN)
def variance_splits(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""because $\sum (y_i - \bar y)^2 = \sum (\hat y_i - \bar y)^2 + \sum (y_i - \hat y_i)^2$: the explained part and
    the rest"""
    fit, square = fitted(with_intercept(X), y), lambda r: r @ r
    return equal(square(y - jnp.mean(y)), square(fit - jnp.mean(y)) + square(y - fit))


@share.true
def mean_of_old_targets(y: Real[Array, n], later: Real[Array, n]):
    r"""On new targets the mean of the old ones has $R^2 = -(\bar y - \bar z)^2 / s_z^2$, never above 0"""
    gap = jnp.mean(y) - jnp.mean(later)
    return equal(share_explained(later, 0 * later + jnp.mean(y)), -(gap**2) / jnp.mean((later - jnp.mean(later)) ** 2))
