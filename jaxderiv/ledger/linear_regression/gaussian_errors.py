r"""Gaussian errors: least squares as maximum likelihood, and the estimators of the variance.

X is n by d (the intercept's column counts), RSS is the residual sum of squares at the least-squares solution. An
expectation over errors that are uncorrelated, of mean 0 and variance $\sigma^2$, is taken over all $2^n$ choices of
signs of $\pm\sigma$: an average of finitely many terms, so that the identity is exact.

Source: ML Math Derivations, part 5, "Probabilistic view".
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, Sign, d, n
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.ledger.linear_regression.projections import residual_maker
from jaxderiv.theorem import HYP, TRUE, at_most, equal, expectation, holds, statement

# Likelihood ------------------------------------------------------------------------------------------------
likelihood = statement(
    "C5.17",
    TRUE,
    r"With independent $N(0, \sigma^2)$ errors the log-likelihood is "
    r"$-\frac n2 \log(2 \pi \sigma^2) - \frac{1}{2 \sigma^2} \|y - Xw\|^2$.",
)


def log_likelihood(w, X, y, variance):
    r"""$\sum_i \log N(y_i \mid x_i^\top w, \sigma^2)$"""
    return jnp.sum(norm.logpdf(y, X @ w, jnp.sqrt(variance)))


@likelihood.true
def in_closed_form(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], s: Positive[Array, ()]):
    r"""$\sum_i \log N(y_i \mid x_i^\top w, \sigma^2) = -\frac n2 \log(2 \pi \sigma^2) - \frac{1}{2 \sigma^2} \|y -
    Xw\|^2$"""
    summed = jnp.sum(norm.logpdf(y, X @ w, s))
    return equal(summed, -len(y) / 2 * jnp.log(2 * jnp.pi * s**2) - jnp.sum((y - X @ w) ** 2) / (2 * s**2))


argmax = statement(
    "C5.18",
    HYP,
    r"Whatever $\sigma^2$ is, the weights of maximum likelihood are the least-squares solution.",
    but=r"X has to have full column rank for there to be one such w. Without, all solutions of the normal equations "
    r"maximise the likelihood.",
)


@argmax.as_worded(
    at=lambda: [{"X": jnp.ones((4, 2)), "y": jnp.arange(4.0), "v": jnp.array([1.0, -1.0]), "variance": 1.0}]
)
def one_maximiser(X: Real[Array, n, d], y: Real[Array, n], v: Sign[Array, d], variance: Positive[Array, ()]):
    r"""Away from $X^+ y$, at $X^+ y + v$, the likelihood is lower"""
    best = jnp.linalg.pinv(X) @ y
    return holds(log_likelihood(best + v, X, y, variance) < log_likelihood(best, X, y, variance))


@argmax.true
def below_the_maximum(
    X: FullColumnRank[Array, n, d], y: Real[Array, n], w: Real[Array, d], variance: Positive[Array, ()]
):
    r"""$\log p(y \mid w) = \log p(y \mid \hat w) - \frac{1}{2 \sigma^2} \|X (w - \hat w)\|^2$"""
    best = least_squares(X, y)
    loss = jnp.sum((X @ (w - best)) ** 2) / (2 * variance)
    return equal(log_likelihood(w, X, y, variance), log_likelihood(best, X, y, variance) - loss)


# Variance --------------------------------------------------------------------------------------------------
variance_of_likelihood = statement(
    "C5.19", TRUE, r"The variance of maximum likelihood is $\hat\sigma^2 = \mathrm{RSS} / n$ (RSS is not 0)."
)


def of_residuals(r, variance):
    """Log-likelihood of residuals r."""
    return jnp.sum(norm.logpdf(r, 0.0, jnp.sqrt(variance)))


@variance_of_likelihood.true
def score_of_the_variance(r: Real[Array, n], variance: Positive[Array, ()]):
    r"""$\frac{\partial}{\partial \sigma^2} \log p = \frac{n}{2 \sigma^4} \left(\frac1n \|r\|^2 - \sigma^2\right)$:
    up to there it grows, and falls from there"""
    score = len(r) / (2 * variance**2) * (r @ r / len(r) - variance)
    return equal(jax.grad(of_residuals, argnums=1)(r, variance), score)


@variance_of_likelihood.true
def no_variance_is_likelier(r: Positive[Array, n], variance: Positive[Array, ()]):
    r"""$\log p(r \mid \sigma^2) \le \log p(r \mid \frac1n \|r\|^2)$"""
    return at_most(of_residuals(r, variance), of_residuals(r, r @ r / len(r)))


unbiased = statement(
    "C5.20",
    HYP,
    r"$\mathrm{RSS} / n$ is biased; $\mathrm{RSS} / (n - d)$, with $d$ counting the intercept, is unbiased.",
    but=r"The mean of y has to lie in the column space, the errors to be uncorrelated with one variance, and X to "
    r"have rank d. If the mean is $\mu$, the expectation of the second is $\sigma^2 + \|M \mu\|^2 / (n - d)$.",
)
SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))


def expected_rss(X, mean, sigma):
    """Average RSS over all signs of errors of size sigma, four observations."""
    samples = mean[:, None] + jnp.reshape(sigma, (-1, 1)) * SIGNS.T
    return jnp.sum((samples - X @ least_squares(X, samples)) ** 2) / len(SIGNS)


@unbiased.true
def by_the_trace(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} = \sigma^2 \mathrm{tr}\, M = (n - d)\, \sigma^2$ where $E\, y = Xw$, so $E\, \mathrm{RSS} /
    n$ is low by $\frac dn \sigma^2$"""
    expected = expected_rss(X, X @ w, sigma)
    by_trace = equal(expected, sigma**2 * jnp.trace(residual_maker(X))), equal(expected, (len(X) - 2) * sigma**2)
    return *by_trace, equal(expected / len(X) - sigma**2, -2 / len(X) * sigma**2)


@unbiased.true
def with_a_wrong_mean(X: FullColumnRank[Array, 4, 2], mean: Real[Array, 4], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} = (n - d)\, \sigma^2 + \|M \mu\|^2$ whatever the mean $\mu$"""
    away = residual_maker(X) @ mean
    return equal(expected_rss(X, mean, sigma), (len(X) - 2) * sigma**2 + away @ away)


@unbiased.as_worded
def whatever_the_mean(X: FullColumnRank[Array, 4, 2], mean: Real[Array, 4], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} / (n - d) = \sigma^2$ for every mean of y"""
    return equal(expected_rss(X, mean, sigma) / (len(X) - 2), sigma**2)


@unbiased.as_worded
def whatever_the_variances(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigmas: Positive[Array, 4]):
    r"""$E\, \mathrm{RSS} / (n - d)$ is the average of the variances where errors have different ones"""
    return equal(expected_rss(X, X @ w, sigmas) / (len(X) - 2), jnp.mean(sigmas**2))


@unbiased.control
def mean_square_is_unbiased(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} / n = \sigma^2$"""
    return equal(expected_rss(X, X @ w, sigma) / 4, sigma**2)


def simulated_rss(rng):
    r"""RSS of 100 000 samples: 12 observations, 4 columns, $\sigma = 1.5$."""
    X = np.hstack([rng.standard_normal((12, 3)), np.ones((12, 1))])
    y = X @ np.array([1.0, -2.0, 0.5, 3.0]) + 1.5 * rng.standard_normal((100_000, 12))
    return np.sum((y - y @ X @ np.linalg.inv(X.T @ X) @ X.T) ** 2, axis=1)


@unbiased.true
def simulation(rng):
    r"""$E\, \mathrm{RSS} / 12 = 1.5$ and $E\, \mathrm{RSS} / 8 = 2.25 = \sigma^2$, by simulation"""
    rss = simulated_rss(rng)
    return expectation(rss / 12, 1.5), expectation(rss / 8, 2.25)


@unbiased.control
def simulation_of_the_mean_square(rng):
    r"""$E\, \mathrm{RSS} / 12 = \sigma^2$, by simulation"""
    return expectation(simulated_rss(rng) / 12, 2.25)
