r"""The training error: it falls as models grow, whatever that does to new data; polynomial fits.

Half the sum of squared residuals is L, the minimiser of $L + \frac\lambda2 \|w\|^2$ is $w(\lambda)$. Polynomials are
fitted in Chebyshev's basis on the interval of the observations: that of monomials is too ill-conditioned at degree 15.

Source: ML Math Derivations, part 5, "Evaluation", its figure 3; $C_p$: Mallows (1973).
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Chebyshev, chebyshev

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.linear_regression.gaussian_errors import SIGNS
from jaxderiv.ledger.linear_regression.metrics import SEVEN, fitted
from jaxderiv.ledger.linear_regression.priors import ridge
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import FALSE, IMPR, TRUE, at_most, close, equal, holds, statement

falls = statement(
    "C5.53",
    TRUE,
    r"The training error falls as the model grows, by more features or a smaller penalty: it does not rise, if the "
    r"minimisers are exact.",
)


@falls.true(sizes=SEVEN)
def with_more_columns(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""Without the last column RSS is larger by $\|\hat y - \hat y'\|^2 \ge 0$, how far apart the two predictions
    are"""
    square, long, short = lambda r: r @ r, fitted(X, y), fitted(X[:, :-1], y)
    return equal(square(y - short), square(y - long) + square(long - short))


@falls.true
def with_a_smaller_penalty(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()]):
    r"""Ridge: $\frac{d}{d\lambda} L(w(\lambda)) = \lambda \|Xu\|^2 + \lambda^2 \|u\|^2 \ge 0$ with
    $u = (X^\top X + \lambda I)^{-1} w$"""
    error = lambda lam: jnp.sum((y - X @ ridge(X, y, lam)) ** 2) / 2
    u = jnp.linalg.solve(X.T @ X + lam * jnp.eye(X.shape[1]), ridge(X, y, lam))
    return equal(jax.grad(error)(lam), lam * jnp.sum((X @ u) ** 2) + lam**2 * (u @ u))


@falls.true
def with_a_smaller_penalty_on_sizes(a: Real[Array, d], lam: Positive[Array, ()], more: Positive[Array, ()]):
    r"""Lasso, with orthonormal columns: $L = \frac12 \|w - a\|^2$ is not smaller at the solution for a larger
    penalty"""
    error = lambda lam: jnp.sum((soft_threshold(a, lam) - a) ** 2) / 2
    return at_most(error(lam), error(lam + more))


@falls.control
def new_error_falls_too(X: FullColumnRank[Array, n, d], y: Real[Array, n], later: Real[Array, n]):
    """The same for the squared error on new targets"""
    error = lambda X: jnp.sum((later - fitted(X, y)) ** 2)
    return at_most(error(X), error(X[:, :-1]))


def figure_3():
    """Thirty points on a sine wave."""
    rng = np.random.default_rng(2)
    x = np.sort(rng.uniform(0, 1, 30))
    return x, np.sin(2 * np.pi * x) + 0.22 * rng.standard_normal(30)


def truncated(x, y, degree):
    """Fit of monomials, where what is below 1e-6 of the largest singular value is left out: 9 of 15 dimensions stay."""
    powers = x[:, None] ** np.arange(1, degree + 1)
    centred = powers - powers.mean(axis=0)
    weights, _, rank, _ = np.linalg.lstsq(centred, y - y.mean(), rcond=1e-6)
    return y.mean() + centred @ weights, rank


@falls.true
def exact_minimisers_are_needed():
    r"""The figure's degree 15: 0.0285 by Chebyshev's polynomials; with monomials and a tolerance of $10^{-6}$ nine
    dimensions are left, and 0.0340: not the minimum"""
    x, y = figure_3()
    worse, rank = truncated(x, y, 15)
    best = Chebyshev.fit(x, y, 15)(x)
    errors = jnp.array([np.mean((y - fit) ** 2) for fit in (best, worse)])
    return close(errors, jnp.array([0.0285, 0.0340]), 5e-5), holds(rank == 9)


# ------------------------------------------------------------------------------------------------------------
three_fits = statement(
    "C5.55",
    FALSE,
    r"In the figure with 30 noisy points of a sine wave, degree 1 underfits, degree 3 is right, and degree 15 passes "
    r"through almost every point and oscillates wildly in between.",
    but=r"The mean squares are 0.1668, 0.0472 and 0.0285: at degree 15 a typical residual is still 0.17, beside a "
    r"noise of 0.22, and no degree below 29 passes through 30 points. Within the observations the curve stays "
    r"below 1.65; it explodes (to 93) only on [0, 0.055), where there are none.",
)


@three_fits.as_worded
def passes_through_most_points():
    """Half of the residuals of degree 15 are below 0.05, a quarter of the noise"""
    x, y = figure_3()
    return at_most(np.median(abs(y - Chebyshev.fit(x, y, 15)(x))), 0.05)


@three_fits.as_worded
def oscillates_between_points():
    """Between the observations the curve of degree 15 leaves [-2, 2]"""
    x, y = figure_3()
    return at_most(2.0, np.max(abs(Chebyshev.fit(x, y, 15)(np.linspace(x[0], x[-1], 5000)))))


@three_fits.true
def numbers_of_the_figure():
    """Mean squares; a typical residual; the largest value within the observations, and on [0, 1]"""
    x, y = figure_3()
    fits = [Chebyshev.fit(x, y, degree) for degree in (1, 3, 15)]
    errors = np.array([np.mean((y - fit(x)) ** 2) for fit in fits])
    within, beyond = (np.max(abs(fits[2](np.linspace(a, b, 5000)))) for a, b in ((x[0], x[-1]), (0, 1)))
    printed = close(errors, np.array([0.1668, 0.0472, 0.0285]), 5e-5), close(np.sqrt(errors[2]), 0.17, 5e-3)
    return *printed, close(within, 1.645, 5e-4), close(beyond, 93.0, 0.5), close(x[0], 0.055, 5e-4)


@three_fits.true
def degree_of_interpolation(x: Real[Array, 4], y: Real[Array, 4]):
    r"""Through n points goes one polynomial of degree n - 1; one degree less leaves
    $\mathrm{RSS} = \delta^2 / \sum_i c_i^2$, where $\delta = \sum_i c_i y_i$ is the divided difference,
    $c_i = \prod_{j \ne i} (x_i - x_j)^{-1}$; here n = 4"""
    c = 1 / jnp.prod(x[:, None] - x[None, :] + jnp.eye(4), axis=1)
    rss = jnp.sum((y - fitted(jnp.vander(x, 3), y)) ** 2)
    return equal(rss * (c @ c), (c @ y) ** 2)


# ------------------------------------------------------------------------------------------------------------
tells_nothing = statement(
    "C5.56",
    IMPR,
    r"The training error tells nothing about overfitting.",
    but=r"Alone it does not. With the number of weights d and the noise $\sigma^2$ it does: "
    r"$\mathrm{RSS} + 2 \sigma^2 d$ has the expectation of the squared error on new targets of the same inputs, even "
    r"if the model is wrong ($C_p$; AIC and GCV are like it).",
)


def expected_errors(X, mean, sigma):
    r"""Of RSS, and of the squared error on new targets, over all signs of errors $\pm\sigma$."""
    y = mean[:, None] + sigma * SIGNS.T
    fit = fitted(X, y)
    rss, new = (jnp.sum(r**2) / len(SIGNS) for r in (y - fit, mean[:, None] - fit))
    return rss, new + 4 * sigma**2


@tells_nothing.true
def mallows(X: FullColumnRank[Array, 4, 2], mean: Real[Array, 4], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} + 2 \sigma^2 d = E\, \|y' - X \hat w\|^2$ for new targets y', whatever the mean of y"""
    rss, new = expected_errors(X, mean, sigma)
    return equal(rss + 2 * sigma**2 * 2, new)


@tells_nothing.control
def without_the_correction(X: FullColumnRank[Array, 4, 2], mean: Real[Array, 4], sigma: Positive[Array, ()]):
    r"""$E\, \mathrm{RSS} = E\, \|y' - X \hat w\|^2$"""
    return equal(*expected_errors(X, mean, sigma))


def chosen_by(score, rng, draws=100):
    """Error beside the true curve of the degree with the least score of (training error, weights per observation)."""
    out = []
    for _ in range(draws):
        x = np.sort(rng.uniform(-1, 1, 40))
        y, scores, errors = np.sin(3 * x) + 0.4 * rng.standard_normal(40), [], []
        for degree in range(16):
            Q, _ = np.linalg.qr(chebyshev.chebvander(x, degree))
            fit = Q @ (Q.T @ y)
            scores.append(score(np.mean((y - fit) ** 2), (degree + 1) / 40))
            errors.append(np.mean((np.sin(3 * x) - fit) ** 2))
        out.append(errors[np.argmin(scores)])
    return np.mean(out)


def gcv(error, share):
    """Generalised cross-validation."""
    return error / (1 - share) ** 2


@tells_nothing.as_worded
def correction_does_not_help(rng):
    """100 samples, degrees 0 to 15: choosing by training error and degree (GCV) is no better than the largest degree"""
    return at_most(chosen_by(lambda error, share: -share, rng), chosen_by(gcv, rng))


@tells_nothing.true
def correction_helps(rng):
    """The training error alone chooses degree 15; GCV, from that and the degree, has less than two thirds of its
    error"""
    alone, largest = (chosen_by(score, np.random.default_rng(0)) for score in (lambda e, s: e, lambda e, s: -s))
    ours, theirs = (chosen_by(score, rng) for score in (gcv, lambda error, share: -share))
    return close(alone, largest, 1e-12), at_most(ours, theirs * 2 / 3)
