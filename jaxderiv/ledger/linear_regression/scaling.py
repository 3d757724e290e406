r"""Questions on units: what scales do to the normal equations, to ridge, and to what a weight means.

One feature x has a free intercept besides: its least-squares slope is $\sum \tilde x_i \tilde y_i / S$ with centred
$\tilde x$, $\tilde y$ and $S = \sum \tilde x_i^2$. Standardising divides by the standard deviation.

Source: ML Math Derivations, part 5, "Questions" 5 and 10.
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, m, n
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.theorem import FALSE, TRUE, at_most, close, equal, statement


def centred(x):
    return x - jnp.mean(x, axis=0, keepdims=True)


def deviation(x):
    return jnp.sqrt(jnp.mean(centred(x) ** 2, axis=0, keepdims=True))


# ------------------------------------------------------------------------------------------------------------
scales = statement(
    "C5.67", TRUE, r"Features on very different scales make $X^\top X$ ill-conditioned, so standardise them."
)
LONG_AND_SHORT = [{"X": np.array([[1000.0, 0.0], [0.0, 1.0], [0.0, 0.0]])}]


def condition_and_lengths(X):
    """The condition number of X'X; the squared ratio of the longest to the shortest column."""
    spectrum, lengths = jnp.linalg.eigvalsh(X.T @ X), jnp.sum(X**2, axis=0)
    return spectrum[-1] / spectrum[0], jnp.max(lengths) / jnp.min(lengths)


@scales.true(at=LONG_AND_SHORT)
def at_least_the_ratio(X: FullColumnRank[Array, n, d]):
    r"""$\kappa(X^\top X) \ge \max_j \|x_j\|^2 / \min_j \|x_j\|^2$, attained by orthogonal columns"""
    condition, ratio = condition_and_lengths(X)
    return at_most(ratio, condition)


@scales.control(at=LONG_AND_SHORT)
def more_than_the_ratio(X: FullColumnRank[Array, n, d]):
    """The same with the ratio five percent larger"""
    condition, ratio = condition_and_lengths(X)
    return at_most(1.05 * ratio, condition)


@scales.true
def standardised():
    r"""Two independent features, one in thousandths of the other's unit: $\kappa = 10^6$; standardised it is 1"""
    X = centred(jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])) * jnp.array([[1000.0, 1.0]])
    return close(condition_and_lengths(X)[0], 1e6, 1e-3), close(condition_and_lengths(X / deviation(X))[0], 1.0, 1e-12)


# ------------------------------------------------------------------------------------------------------------
millimetres = statement(
    "C5.68",
    FALSE,
    r"A feature in millimetres gets a weight that is 1000 times larger than in metres, and ridge shrinks it harder.",
    but=r"Both are the other way round. The numbers are 1000 times larger, so the weight is 1000 times smaller; and "
    r"ridge keeps the share $S / (S + \lambda)$ of it, which is larger: at $\lambda = 1$ and S = 1.83 square "
    r"metres 0.647 in metres, and all but $5.5 \cdot 10^{-7}$ in millimetres.",
)


def slope(x, y, lam=0.0):
    """Of ridge, with an intercept that is not penalised."""
    A = jnp.stack([x, jnp.ones(len(x))], axis=1)
    return jnp.linalg.solve(A.T @ A + lam * jnp.diag(jnp.array([1.0, 0.0])), A.T @ y)[0]


def kept(x, y, lam):
    """The share of the least-squares slope that ridge keeps."""
    return slope(x, y, lam) / slope(x, y)


HEIGHTS = [{"x": np.array([1.5, 1.7, 1.9, 1.6]), "y": np.array([50.0, 70.0, 90.0, 55.0]), "lam": 1.0}]


@millimetres.as_worded(at=[{"x": one["x"], "y": one["y"]} for one in HEIGHTS])
def weight_is_larger(x: Real[Array, 4], y: Real[Array, 4]):
    """The weight in millimetres is at least 1000 times the one in metres"""
    return at_most(1000 * abs(slope(x, y)), abs(slope(1000 * x, y)))


@millimetres.as_worded(at=HEIGHTS)
def shrunk_harder(x: Real[Array, 4], y: Real[Array, 4], lam: Positive[Array, ()]):
    """Ridge keeps no more of the weight in millimetres than of the one in metres"""
    return at_most(kept(1000 * x, y, lam), kept(x, y, lam))


@millimetres.true
def weight_is_smaller(x: Real[Array, 4], y: Real[Array, 4]):
    """The weight in millimetres is a thousandth of the one in metres"""
    return equal(slope(1000 * x, y), slope(x, y) / 1000)


@millimetres.true
def share_that_is_kept(x: Real[Array, n], y: Real[Array, n], lam: Positive[Array, ()], unit: Positive[Array, ()]):
    r"""Least squares has the slope $\sum \tilde x_i \tilde y_i / S$, ridge
    $\sum \tilde x_i \tilde y_i / (S + \lambda)$, its share $S / (S + \lambda)$; with x in a unit u times as small S is
    $u^2$ times as large"""
    u, v = centred(unit * x), centred(y)
    S = unit**2 * jnp.sum(centred(x) ** 2)
    return equal(slope(unit * x, y), u @ v / S), equal(slope(unit * x, y, lam), u @ v / (S + lam))


@millimetres.true
def shares_of_the_example():
    r"""At S = 1.83: 0.647, and $1 - 5.5 \cdot 10^{-7}$"""
    x, y = jnp.array([-1.0, 0.0, 1.0, 0.0]) * jnp.sqrt(1.83 / 2), jnp.array([1.0, 3.0, 4.0, 0.0])
    return close(kept(x, y, 1.0), 0.647, 5e-4), close(1 - kept(1000 * x, y, 1.0), 5.5e-7, 5e-9)


# ------------------------------------------------------------------------------------------------------------
scaler = statement(
    "C5.69",
    TRUE,
    r"Means and standard deviations for standardising come from the training data, and are applied to new data "
    r"unchanged.",
)


def predicted(X, y, Z):
    """Predictions at Z of least squares on X with an intercept."""
    ones = lambda A: jnp.concatenate([A, jnp.ones((len(A), 1))], axis=1)
    return ones(Z) @ least_squares(ones(X), y)


@scaler.true
def same_predictions(X: FullColumnRank[Array, 7, 2], y: Real[Array, 7], Z: Real[Array, m, 2]):
    """Then the new data is predicted as without standardising"""
    to_scale = lambda A: (A - jnp.mean(X, axis=0, keepdims=True)) / deviation(X)
    return equal(predicted(to_scale(X), y, to_scale(Z)), predicted(X, y, Z))


@scaler.control
def with_its_own_statistics(X: FullColumnRank[Array, 7, 2], y: Real[Array, 7], Z: Real[Array, m, 2]):
    """The same if new data is standardised by its own mean and deviation"""
    return equal(predicted(centred(X) / deviation(X), y, centred(Z) / deviation(Z)), predicted(X, y, Z))


# ------------------------------------------------------------------------------------------------------------
meaning = statement(
    "C5.75",
    FALSE,
    r"After the features are standardised, a weight says by how many standard deviations the prediction changes when "
    r"its feature changes by one.",
    but=r"The change is in the unit of y, unless y is standardised too: it is $w_j s_j$ of the raw weight, and "
    r"divided by $s_y$ it is in standard deviations. Of a single feature that is the correlation.",
)


@meaning.as_worded(at=[{"x": HEIGHTS[0]["x"], "y": HEIGHTS[0]["y"]}])
def in_standard_deviations(x: Real[Array, 4], y: Real[Array, 4]):
    """The weight of a standardised feature is the one after standardising y as well"""
    z = centred(x) / deviation(x)
    return equal(slope(z, y), slope(z, centred(y) / deviation(y)))


@meaning.true
def weight_times_deviation(x: Real[Array, n], y: Real[Array, n]):
    r"""For a standardised feature it is $w s_x$, with the raw weight w: a change in the unit of y"""
    return equal(slope(centred(x) / deviation(x), y), slope(x, y) * deviation(x)[0])


@meaning.true
def correlation(x: Real[Array, n], y: Real[Array, n]):
    r"""After standardising y too it is $\sum \tilde x_i \tilde y_i / \sqrt{\sum \tilde x_i^2 \sum \tilde y_i^2}$"""
    u, v = centred(x), centred(y)
    return equal(slope(u / deviation(x), v / deviation(y)), u @ v / jnp.sqrt((u @ u) * (v @ v)))


@meaning.true
def with_more_features(X: FullColumnRank[Array, 7, 2], y: Real[Array, 7]):
    r"""With several features, too: each weight is $w_j s_j / s_y$ of the raw one"""
    raw = least_squares(centred(X), centred(y))
    both = least_squares(centred(X) / deviation(X), centred(y) / deviation(y))
    return equal(both, raw * deviation(X)[0] / deviation(y))
