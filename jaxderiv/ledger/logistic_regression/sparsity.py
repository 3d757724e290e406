r"""The sum of the sizes as a penalty of logistic regression: where zeros come from, and the prior that it stands for.

The loss L is the mean over N observations, labels are 0 or 1.

Source: ML Math Derivations, part 6, "Regularisation".
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jax.scipy.stats import laplace

from jaxderiv.domains import Array, Bit, Positive, Real, d, n
from jaxderiv.ledger.logistic_regression.regularisation import against_posterior, mean_loss, of_normal_prior, sample
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import FALSE, HYP, IMPR, TRUE, at_most, close, equal, holds, statement


def lasso(w, X, y, lam):
    r"""$L(w) + \lambda \|w\|_1$"""
    return mean_loss(w, X, y) + lam * jnp.sum(abs(w))


absolute = statement("C6.40", TRUE, r"The L1 penalty: minimise $L(w) + \lambda \|w\|_1$")


@absolute.true
def as_scikit_learn_has_it(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""$\|w\|_1 + C \sum_i \log(1 + e^{-s_i z_i})$, $s_i = 2 y_i - 1$, $C = \frac1{N\lambda}$, is it over $\lambda$"""
    C, losses = 1 / (len(y) * lam), jnp.logaddexp(0.0, -(2 * y - 1) * (X @ w))
    return equal(jnp.sum(abs(w)) + C * jnp.sum(losses), lasso(w, X, y, lam) / lam)


thresholding = statement(
    "C6.41",
    FALSE,
    r"With $\mathrm{sign}(w_j)$ for the subgradient of $|w_j|$, descent on the L1 penalty is soft thresholding",
    r"$w - \eta (\nabla L + \lambda\,\mathrm{sign}(w))$ steps over zero and does not rest there; soft thresholding "
    r"is the proximal step: $S_{\eta\lambda}(a)$ with $a = w - \eta \nabla L$ minimises "
    r"$\frac12 \|v - a\|^2 + \eta\lambda \|v\|_1$ over v",
)


def subgradient_step(w, g, lam, eta):
    return w - eta * (g + lam * jnp.sign(w))


def proximal_step(w, g, lam, eta):
    return soft_threshold(w - eta * g, eta * lam)


def descend(step, X, y, lam):
    """300 steps of size 1/L from zero."""
    eta, slope = 4 * len(y) / jnp.linalg.norm(X, 2) ** 2, jax.grad(mean_loss)
    start = jnp.zeros(X.shape[1])
    return jax.jit(lambda: iterates(lambda w: step(w, slope(w, X, y), lam, eta), start, 300)[-1])()


@thresholding.as_worded
def the_same_step(w: Real[Array, d], g: Real[Array, d], lam: Positive[Array, ()], eta: Positive[Array, ()]):
    r"""$w - \eta (g + \lambda\,\mathrm{sign}(w)) = S_{\eta\lambda}(w - \eta g)$"""
    return equal(subgradient_step(w, g, lam, eta), proximal_step(w, g, lam, eta))


@thresholding.true
def proximal_map(a: Real[Array, d], v: Real[Array, d], t: Positive[Array, ()]):
    r"""$v = S_t(a)$ minimises $\frac12 (v - a)^2 + t |v|$"""
    F = lambda v: (v - a) ** 2 / 2 + t * abs(v)
    return at_most(F(soft_threshold(a, t)), F(v))


@thresholding.true
def two_methods(rng):
    """Of 30 features 4 matter: after 300 steps no coefficient is zero against 40 percent and more, and F is higher"""
    X, y = sample(rng, 200, (2.0, -2.0, 1.5, -1.5) + 26 * (0.0,))
    w, sparse = (descend(step, X, y, 0.05) for step in (subgradient_step, proximal_step))
    zeros = holds(jnp.all(w != 0)), at_most(0.4, jnp.mean(sparse == 0))
    return *zeros, at_most(lasso(sparse, X, y, 0.05), lasso(w, X, y, 0.05))


zeros = statement(
    "C6.42",
    HYP,
    "The L1 penalty sets many coefficients exactly to zero",
    r"A small one sets none. It is the minimiser that has zeros (so a method has to be able to rest there), and all of "
    r"them are zero exactly when $\lambda \ge \|X^\top (\frac12 - y)\|_\infty / N$, the largest slope of L at zero",
)


@zeros.as_worded
def any_penalty(rng):
    r"""With $\lambda = 10^{-6}$ there are zeros"""
    X, y = sample(rng, 200, (1.0, -1.0, 0.0, 0.0))
    return holds(jnp.any(descend(proximal_step, X, y, 1e-6) == 0))


def above_zero(share, w, X, y):
    r"""$F(0) \le F(w)$ with a share of the critical penalty."""
    F = lambda w: lasso(w, X, y, share * jnp.max(abs(X.T @ (0.5 - y))) / len(y))
    return at_most(F(jnp.zeros_like(w)), F(w))


@zeros.true
def critical_penalty(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    r"""With $\lambda = \|X^\top (\frac12 - y)\|_\infty / N$ the objective is least at zero"""
    return above_zero(1.0, w, X, y)


@zeros.control(at=[{"w": [0.1], "X": [[1.0], [1.0]], "y": [1.0, 1.0]}])
def below_the_critical_penalty(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    """With a penalty five percent smaller"""
    return above_zero(0.95, w, X, y)


double_exponential = statement(
    "C6.43",
    FALSE,
    r"Minimising $L(w) + \lambda \|w\|_1$ is maximum a posteriori under the prior $\propto e^{-\lambda \|w\|_1}$",
    r"The prior is $\propto e^{-N\lambda \|w\|_1}$, since L is a mean",
)


def rise(w, v, X, y, scale):
    """Of the negative log posterior from v to w, under the Laplace prior."""
    f = lambda w: against_posterior(w, X, y, lambda w: laplace.logpdf(w, scale=scale))
    return f(w) - f(v)


@double_exponential.as_worded
def rate_without_N(
    w: Real[Array, d], v: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]
):
    r"""Under $\propto e^{-\lambda \|w\|_1}$ the negative log posterior is N times the objective, up to a constant"""
    return equal(rise(w, v, X, y, 1 / lam), len(y) * (lasso(w, X, y, lam) - lasso(v, X, y, lam)))


@double_exponential.true
def rate_with_N(w: Real[Array, d], v: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""Under $\propto e^{-N\lambda \|w\|_1}$ it is"""
    return equal(rise(w, v, X, y, 1 / (len(y) * lam)), len(y) * (lasso(w, X, y, lam) - lasso(v, X, y, lam)))


peak = statement(
    "C6.44",
    IMPR,
    "The peak of the Laplace prior at zero is where sparsity comes from",
    "The kink is, and only of the most probable point. A Gaussian peaks at zero too, and its most probable point "
    "moves with the data; under the Laplace prior the mean of the posterior, and so its draws, are not zero",
)
X6, y6 = np.ones((6, 1)), np.array([1.0, 0.0, 1.0, 0.0, 1.0, 1.0])  # the slope of the loss at zero is -1


def posterior_integral(f):
    """Of f times the unnormalised posterior density of the six observations, under the Laplace prior of rate 2."""
    log_prior = lambda w: laplace.logpdf(w, scale=0.5)
    density = jax.jit(lambda w: jnp.exp(-against_posterior(w[None], X6, y6, log_prior)))
    return sum(scipy.integrate.quad(lambda w: f(w) * density(w), *part)[0] for part in ((-20, 0), (0, 20)))


@peak.as_worded
def any_peak(w: Real[Array, ()]):
    """Under the standard normal prior zero is the most probable weight, too"""
    f = lambda w: of_normal_prior(w[None], X6, y6, 1.0)
    return at_most(f(jnp.zeros_like(w)), f(w))


@peak.as_worded
def posterior_mean():
    """The mean of the posterior is zero where its most probable point is"""
    return close(posterior_integral(lambda w: w) / posterior_integral(lambda w: 1.0), 0.0, 1e-3)


@peak.true
def kink(w: Real[Array, ()]):
    """Under the Laplace prior of rate 2 zero is the most probable weight of six observations with slope -1 at zero"""
    f = lambda w: against_posterior(w[None], X6, y6, lambda w: laplace.logpdf(w, scale=0.5))
    return at_most(f(jnp.zeros_like(w)), f(w))


both = statement(
    "C6.45",
    TRUE,
    r"Elastic net: $L(w) + \lambda_1 \|w\|_1 + \frac{\lambda_2}2 \|w\|^2$, strongly convex for $\lambda_2 > 0$, any X",
)


def below_the_chord(w, v, X, y, lam, modulus):
    """At the middle, by an eighth of the modulus times the squared distance; the L2 penalty is 1."""
    F = lambda w: lasso(w, X, y, lam) + (w @ w) / 2
    return at_most(F((w + v) / 2) + modulus / 8 * (w - v) @ (w - v), F(w) / 2 + F(v) / 2)


@both.true
def strongly_convex(
    w: Real[Array, d], v: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]
):
    r"""$F(\frac{w + v}2) + \frac{\lambda_2}8 \|w - v\|^2 \le \frac{F(w) + F(v)}2$ with $\lambda_2 = 1$"""
    return below_the_chord(w, v, X, y, lam, 1.0)


@both.control(at=[{"w": [1.0], "v": [2.0], "X": [[0.0], [0.0]], "y": [1.0, 0.0], "lam": 1.0}])
def too_convex(w: Real[Array, d], v: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    """With a modulus five percent larger"""
    return below_the_chord(w, v, X, y, lam, 1.05)
