r"""One more feature: what it does to $R^2$, on training and on test data, and to adjusted $R^2$.

A model of d features has an intercept besides; n observations. RSS is the sum of squared residuals, TSS that of
$y_i - \bar y$, $R^2 = 1 - \mathrm{RSS} / \mathrm{TSS}$.

Source: ML Math Derivations, part 5, "Evaluation"; adjusted $R^2$: Theil (1961).
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Real, d, n
from jaxderiv.ledger.linear_regression.metrics import SEVEN, fitted, share_explained, with_intercept
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.metrics.regression import adjusted_r_squared, r_squared
from jaxderiv.theorem import HYP, TRUE, at_most, equal, holds, statement

never_falls = statement(
    "C5.50",
    HYP,
    r"$R^2$ never falls when features are added.",
    but=r"That of least squares on the training data. On test data it falls with features that have nothing to do "
    r"with y.",
)


@never_falls.as_worded(sizes=SEVEN)
def on_test_data(X: FullColumnRank[Array, n, d], y: Real[Array, n], Z: Real[Array, n, d], later: Real[Array, n]):
    r"""Without and with the last feature, fitted to (X, y), measured on new (Z, later)"""
    before = share_explained(later, Z[:, :-1] @ least_squares(X[:, :-1], y))
    return at_most(before, share_explained(later, Z @ least_squares(X, y)))


@never_falls.true(sizes=SEVEN)
def what_a_feature_takes_away(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""On training data RSS falls by $(z^\top r)^2 / z^\top r_z \ge 0$, with the residuals r of y and $r_z$ of the new
    feature z on the others"""
    less, z, square = X[:, :-1], X[:, -1], lambda r: r @ r
    r, r_z = y - fitted(less, y), z - fitted(less, z)
    return equal(square(r) - square(y - fitted(X, y)), (z @ r) ** 2 / (z @ r_z)), equal(z @ r_z, square(r_z))


def on_average(rng, sizes, draws=200):
    r"""$R^2$ on 30 training and on 200 test observations with so many features, of which the first one matters."""
    out = []
    for _ in range(draws):
        X = rng.standard_normal((230, max(sizes)))
        y, A = X[:, 0] + rng.standard_normal(230), np.hstack([np.ones((230, 1)), X])
        fits = [A[:, : size + 1] @ np.linalg.lstsq(A[:30, : size + 1], y[:30])[0] for size in sizes]
        out.append([[r_squared(y[part], fit[part]) for fit in fits] for part in (slice(30), slice(30, None))])
    return np.array(out).transpose(1, 2, 0)


@never_falls.true
def on_average_it_falls(rng):
    r"""30 observations, 1, 10 and 20 features of which one matters: $R^2$ rises in every sample; on test data it falls,
    on average from above 0.4 to below 0.3 to below 0"""
    train, test = on_average(rng, (1, 10, 20))
    one, ten, twenty = test.mean(axis=1)
    return at_most(train[:-1], train[1:]), at_most(0.4, one), at_most(ten, 0.3), at_most(twenty, 0.0, scale=1.0)


# ------------------------------------------------------------------------------------------------------------
adjusted = statement(
    "C5.51",
    TRUE,
    r"Adjusted $R^2 = 1 - (1 - R^2) \frac{n - 1}{n - d - 1}$ counts features against the fit: one more raises it "
    r"only if it helps enough, which is exactly if its t-statistic is above 1 in size.",
)


def adjust(r2, n, d):
    return 1 - (1 - r2) * (n - 1) / (n - d - 1)


def gain_and_t(X, y):
    r"""What the last feature adds to adjusted $R^2$; its $t^2$; $s^2 = \mathrm{RSS} / (n - d - 1)$."""
    (n, d), A = X.shape, with_intercept(X)
    gain = adjust(share_explained(y, fitted(A, y)), n, d) - adjust(share_explained(y, fitted(A[:, :-1], y)), n, d - 1)
    variance = jnp.sum((y - fitted(A, y)) ** 2) / (n - d - 1)
    return gain, least_squares(A, y)[-1] ** 2 / (variance * jnp.linalg.inv(A.T @ A)[-1, -1]), variance


@adjusted.true(sizes=SEVEN)
def rises_with_t(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""It rises by $\frac{n - 1}{\mathrm{TSS}} \cdot \frac{s^2}{n - d}\, (t^2 - 1)$"""
    gain, t2, variance = gain_and_t(X, y)
    return equal(gain, 6 / jnp.sum((y - jnp.mean(y)) ** 2) * variance / 4 * (t2 - 1))


@adjusted.control(sizes=SEVEN)
def rises_if_significant(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""It rises only if $t^2 > 1.96^2$"""
    gain, t2, _ = gain_and_t(X, y)
    return holds((gain <= 0) | (t2 > 1.96**2))


@adjusted.true
def of_the_package_too(rng):
    r"""By jaxderiv.metrics, in 100 samples: it rises exactly where $|t| > 1$"""
    rises, above_one = [], []
    for _ in range(100):
        A, y = np.insert(rng.standard_normal((12, 3)), 0, 1.0, axis=1), rng.standard_normal(12)
        short, long = (A[:, :size] @ np.linalg.lstsq(A[:, :size], y)[0] for size in (3, 4))
        rises.append(adjusted_r_squared(y, long, 3) > adjusted_r_squared(y, short, 2))
        inverse = np.linalg.inv(A.T @ A)
        above_one.append((inverse @ A.T @ y)[-1] ** 2 > np.sum((y - long) ** 2) / 8 * inverse[-1, -1])
    return holds(np.array(rises) == np.array(above_one))
