"""A Gaussian prior on the weights: the mode of the posterior is the solution of ridge.

X is n by d, the errors are N(0, sigma^2), the weights N(0, tau^2), sigma and tau known.

Source: ML Math Derivations, part 5, "Probabilistic view".
"""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from jaxderiv.domains import Array, Positive, Real, d, n
from jaxderiv.theorem import TRUE, at_most, equal, statement

prior = statement(
    "C5.21",
    TRUE,
    r"Under a prior $w \sim N(0, \tau^2 I)$ the mode of the posterior is ridge's solution with $\lambda = "
    r"\sigma^2 / \tau^2$ beside the *sum* of squares ($\sigma$ known, every weight with the prior).",
)


def negative_log_posterior(w, X, y, sigma, tau):
    """Up to a constant."""
    return -jnp.sum(norm.logpdf(y, X @ w, sigma)) - jnp.sum(norm.logpdf(w, 0.0, tau))


def ridge(X, y, lam):
    r"""$(X^\top X + \lambda I)^{-1} X^\top y$"""
    return jnp.linalg.solve(X.T @ X + lam * jnp.eye(X.shape[1]), X.T @ y)


def mode(X, y, sigma, tau):
    """Of the posterior, by one step of Newton's method: it is Gaussian."""
    f, start = lambda w: negative_log_posterior(w, X, y, sigma, tau), jnp.zeros(X.shape[1])
    return -jnp.linalg.solve(jax.hessian(f)(start), jax.grad(f)(start))


@prior.true
def mode_is_ridge(X: Real[Array, n, d], y: Real[Array, n], sigma: Positive[Array, ()], tau: Positive[Array, ()]):
    r"""$\arg\max_w p(w \mid y) = (X^\top X + \frac{\sigma^2}{\tau^2} I)^{-1} X^\top y$"""
    return equal(mode(X, y, sigma, tau), ridge(X, y, sigma**2 / tau**2))


@prior.true
def gradient_at_ridge(X: Real[Array, n, d], y: Real[Array, n], sigma: Positive[Array, ()], tau: Positive[Array, ()]):
    r"""There the gradients of the two parts of $-\log p(w \mid y)$ cancel"""
    w = ridge(X, y, sigma**2 / tau**2)
    data = jax.grad(lambda w: -jnp.sum(norm.logpdf(y, X @ w, sigma)))(w)
    return equal(data, jax.grad(lambda w: jnp.sum(norm.logpdf(w, 0.0, tau)))(w))


@prior.true
def beside_the_mean_square(
    X: Real[Array, n, d], y: Real[Array, n], sigma: Positive[Array, ()], tau: Positive[Array, ()]
):
    r"""Beside $\frac1n \|y - Xw\|^2$ it is $\lambda = \frac{\sigma^2}{n \tau^2}$"""
    lam, w = sigma**2 / (len(y) * tau**2), mode(X, y, sigma, tau)
    slope = jax.grad(lambda w: jnp.mean((y - X @ w) ** 2))(w)
    return equal(-slope, jax.grad(lambda w: lam * (w @ w))(w))


@prior.control
def the_other_way_round(X: Real[Array, n, d], y: Real[Array, n], sigma: Positive[Array, ()], tau: Positive[Array, ()]):
    r"""The same with $\lambda = \tau^2 / \sigma^2$"""
    return equal(mode(X, y, sigma, tau), ridge(X, y, tau**2 / sigma**2))


wider = statement("C5.22", TRUE, r"The wider the prior ($\tau$), the smaller the penalty $\lambda$.")


@wider.true
def shrinks_less(
    X: Real[Array, n, d],
    y: Real[Array, n],
    sigma: Positive[Array, ()],
    tau: Positive[Array, ()],
    more: Positive[Array, ()],
):
    r"""Under the wider prior $\tau + \delta$ the posterior's mode is longer: $\|w(\tau)\| \le \|w(\tau + \delta)\|$"""
    lengths = jax.vmap(lambda tau: jnp.linalg.norm(mode(X, y, sigma, tau)))(jnp.stack([tau, tau + more]))
    return at_most(lengths[0], lengths[1])


@wider.true
def derivative_of_the_penalty(sigma: Positive[Array, ()], tau: Positive[Array, ()]):
    r"""$\frac{d\lambda}{d\tau} = -2 \sigma^2 / \tau^3 < 0$"""
    slope = jax.grad(lambda tau: sigma**2 / tau**2)(tau)
    return equal(slope, -2 * sigma**2 / tau**3), at_most(slope, 0.0)
