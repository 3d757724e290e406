r"""Questions on inference: collinear features, variance inflation, and the four assumptions.

The covariance of $\hat w$ is $\sigma^2 (X^\top X)^{-1}$ for uncorrelated errors of one variance. An expectation over
errors is taken over all signs of $\pm\sigma_i$.

Source: ML Math Derivations, part 5, "Questions" 6 and 7; White (1980) for the sandwich; Durbin and Watson (1950).
"""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, UnitInterval, d, n
from jaxderiv.ledger.linear_regression.gaussian_errors import SIGNS
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.metrics.regression import durbin_watson, variance_inflation_factors
from jaxderiv.theorem import HYP, IMPR, TRUE, at_most, close, equal, expectation, statement

# Collinear features ------------------------------------------------------------------------------------------
collinear = statement(
    "C5.70",
    HYP,
    r"If two features nearly coincide the weights have huge standard errors and their signs flip, but predictions "
    r"stay accurate.",
    but=r"Predictions at inputs in which the two features coincide as well. Across that direction, as at (1, -1), a "
    r"prediction is as uncertain as the weights.",
)


def pair(rho):
    """The covariance of two weights: standardised features with this correlation, n = 1, variance of errors 1."""
    return jnp.linalg.inv(jnp.array([[1.0, 0.0], [0.0, 1.0]]) + rho * jnp.array([[0.0, 1.0], [1.0, 0.0]]))


@collinear.as_worded(at=[{"rho": 0.99, "x": [1.0, -1.0]}])
def accurate_everywhere(rho: UnitInterval[Array, ()], x: Real[Array, 2]):
    r"""The variance of the prediction at x is at most $\|x\|^2$, what it would be without correlation"""
    return at_most(x @ pair(rho) @ x, x @ x)


@collinear.true
def accurate_where_they_coincide(rho: UnitInterval[Array, ()], a: Real[Array, ()]):
    r"""At (a, a) it is $\frac{2 a^2}{1 + \rho}$, at most that without correlation; at (a, -a) it is
    $\frac{2 a^2}{1 - \rho}$"""
    along, across = jnp.stack([a, a]), jnp.stack([a, -a])
    at = lambda x: x @ pair(rho) @ x
    ends = equal(at(along), 2 * a**2 / (1 + rho)), equal(at(across), 2 * a**2 / (1 - rho))
    return *ends, at_most(at(along), along @ along)


@collinear.true
def variance_of_the_weights(rho: UnitInterval[Array, ()]):
    r"""Each weight has the variance $\frac{1}{1 - \rho^2}$, and their correlation is $-\rho$"""
    V = pair(rho)
    return equal(V[0, 0], 1 / (1 - rho**2)), equal(V[0, 1] / V[0, 0], -rho)


@collinear.true
def flipping_signs(rng):
    r"""n = 100, weights (1, 1), errors of deviation 1, features that differ by 0.01: the first weight is negative with
    the chance $\Phi(-1 / \mathrm{sd})$, above a third; the prediction at (1, 1) is off by 0.1, the one at (1, -1) by 10
    or more"""
    x = rng.standard_normal(100)
    X = np.stack([x, x + 0.01 * rng.standard_normal(100)], axis=1)
    V = np.linalg.inv(X.T @ X)
    w = 1 + rng.standard_normal((20_000, 100)) @ X @ V
    chance = stats.norm.cdf(-1 / np.sqrt(V[0, 0]))
    along, across = (np.std(w @ np.array(at)) for at in ([1.0, 1.0], [1.0, -1.0]))
    flips = expectation((w[:, 0] < 0).astype(float), chance), at_most(1 / 3, chance)
    return *flips, close(along, 0.1, 0.05), at_most(10.0, across)


# Variance inflation --------------------------------------------------------------------------------------------
inflation = statement(
    "C5.71",
    TRUE,
    r"$\mathrm{VIF}_j = 1 / (1 - R_j^2)$, with $R_j^2$ of a regression of feature j on the others, is the factor by "
    r"which the variance of $\hat w_j$ is larger than for uncorrelated features. (That 10 is too much is a rule of "
    r"thumb.)",
)


def unexplained(X):
    r"""$1 - R^2$ of the regression of the last column on the others, all centred."""
    x, others = X[:, -1], X[:, :-1]
    return jnp.sum((x - others @ least_squares(others, x)) ** 2) / (x @ x)


@inflation.true(sizes={"n": 7, "d": 3})
def from_the_inverse(X: FullColumnRank[Array, n, d], s: Positive[Array, ()]):
    r"""$\sigma^2 ((X^\top X)^{-1})_{jj} = \frac{\sigma^2}{\|x_j\|^2} \cdot \frac{1}{1 - R_j^2}$ for centred columns;
    the first factor is the variance for uncorrelated ones"""
    X = X - jnp.mean(X, axis=0, keepdims=True)
    variance = s**2 * jnp.linalg.inv(X.T @ X)[-1, -1]
    return equal(variance, s**2 / jnp.sum(X[:, -1] ** 2) / unexplained(X))


@inflation.control(sizes={"n": 7, "d": 3})
def without_centring(X: FullColumnRank[Array, n, d]):
    r"""$\mathrm{VIF}_j = \|x_j\|^2 ((X^\top X)^{-1})_{jj}$ of raw columns, where the regression has an intercept"""
    X_c = X - jnp.mean(X, axis=0, keepdims=True)
    return equal(1 / unexplained(X_c), jnp.sum(X[:, -1] ** 2) * jnp.linalg.inv(X.T @ X)[-1, -1])


@inflation.true
def of_the_package(rng):
    """jaxderiv.metrics has them: for five correlated features, by the inverse"""
    X = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 5)) + 10
    X_c = X - X.mean(axis=0)
    factors = np.diag(np.linalg.inv(X_c.T @ X_c)) * np.sum(X_c**2, axis=0)
    return at_most(abs(variance_inflation_factors(X) / factors - 1), 1e-8)


# Assumptions ---------------------------------------------------------------------------------------------------
assumptions = statement(
    "C5.72",
    IMPR,
    r"For inference all four assumptions matter: linearity, independence (the Durbin-Watson statistic is about "
    r"$2 (1 - \hat\rho)$, near 2 without autocorrelation), equal variances, and normal errors.",
    but=r"Normality is not needed in large samples: intervals keep their level with skewed errors. Unequal variances "
    r"leave $\hat w$ unbiased, and a sandwich covariance takes care of them. The mean alone needs linearity: "
    r"what is left out and correlated with X biases $\hat w$.",
)


def missed(rng, errors, robust=False, samples=4000):
    """How often the nominal 95 percent interval misses the slope, with 200 observations."""
    x = rng.standard_normal(200)
    X = np.stack([x, np.ones(200)], axis=1)
    inverse = np.linalg.inv(X.T @ X)
    e = errors(rng, x, (samples, 200))
    w = e @ X @ inverse
    r = e - w @ X.T
    if robust:
        variance = np.sum((r * (X @ inverse)[:, 0]) ** 2, axis=1) * 200 / 198
    else:
        variance = np.sum(r**2, axis=1) / 198 * inverse[0, 0]
    return (abs(w[:, 0]) > stats.t.ppf(0.975, 198) * np.sqrt(variance)).astype(float)


def skewed(rng, x, shape):
    return rng.exponential(size=shape) - 1


def growing(rng, x, shape):
    """Normal, with a deviation of 0.3 + |x|."""
    return (0.3 + abs(x)) * rng.standard_normal(shape)


@assumptions.as_worded
def normality_matters(rng):
    """With exponential errors the interval misses in more than 7 percent or less than 3"""
    return at_most(0.02, abs(missed(rng, skewed).mean() - 0.05))


@assumptions.true
def intervals(rng):
    """Exponential errors: it misses in 3 to 7 percent. Deviations that grow with |x|: in more than 12 percent; with the
    sandwich covariance in 3 to 8"""
    level, plain, mended = (missed(rng, *how).mean() for how in ((skewed,), (growing,), (growing, True)))
    return close(level, 0.05, 0.02), at_most(0.12, plain), close(mended, 0.055, 0.025)


@assumptions.true
def sandwich(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigma: Positive[Array, 4]):
    r"""Whatever the variances, $E\, \hat w = w$ and $\mathrm{Cov}\, \hat w = (X^\top X)^{-1} X^\top
    \mathrm{diag}(\sigma_i^2)\, X (X^\top X)^{-1}$"""
    found = least_squares(X, (X @ w)[:, None] + sigma[:, None] * SIGNS.T)
    away, inverse = found - w[:, None], jnp.linalg.inv(X.T @ X)
    covariance = inverse @ (X.T * sigma[None, :] ** 2) @ X @ inverse
    return equal(jnp.mean(found, axis=1), w), equal(away @ away.T / len(SIGNS), covariance)


@assumptions.true
def wrong_mean(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], z: Real[Array, 4], sigma: Positive[Array, 4]):
    r"""If the mean of y is $Xw + z$, then $E\, \hat w = w + (X^\top X)^{-1} X^\top z$: the part of z along X is bias"""
    found = least_squares(X, (X @ w + z)[:, None] + sigma[:, None] * SIGNS.T)
    return equal(jnp.mean(found, axis=1), w + jnp.linalg.inv(X.T @ X) @ (X.T @ z))


@assumptions.control
def one_variance(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigma: Positive[Array, 4]):
    r"""$\mathrm{Cov}\, \hat w = \overline{\sigma^2} (X^\top X)^{-1}$ with the mean of different variances"""
    away = least_squares(X, (X @ w)[:, None] + sigma[:, None] * SIGNS.T) - w[:, None]
    return equal(away @ away.T / len(SIGNS), jnp.mean(sigma**2) * jnp.linalg.inv(X.T @ X))


@assumptions.true
def durbin_and_watson(e: Real[Array, n]):
    r"""$\frac{\sum (e_t - e_{t-1})^2}{\sum e_t^2} = 2 (1 - \hat\rho) - \frac{e_1^2 + e_n^2}{\sum e_t^2}$,
    $\hat\rho = \sum e_t e_{t-1} / \sum e_t^2$: the ends count little in a long series"""
    square = e @ e
    rho = e[1:] @ e[:-1] / square
    return equal(jnp.sum((e[1:] - e[:-1]) ** 2) / square, 2 * (1 - rho) - (e[0] ** 2 + e[-1] ** 2) / square)


@assumptions.true
def durbin_and_watson_of_a_series(rng):
    """5000 independent errors have 2, within 0.2; with an autocorrelation of 0.7 it is 0.6"""
    e = rng.standard_normal(5000)
    alike = np.array(e)
    for t in range(1, 5000):
        alike[t] += 0.7 * alike[t - 1]
    return close(durbin_watson(e), 2.0, 0.2), close(durbin_watson(alike), 0.6, 0.1)
