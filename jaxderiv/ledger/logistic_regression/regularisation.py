r"""The squared norm as a penalty of logistic regression, and the prior that it stands for.

The loss L is the mean over N observations, labels are 0 or 1. A posterior multiplies N likelihoods, so its negative
logarithm is N times the loss, and the prior that belongs to a penalty has N in it.

Source: ML Math Derivations, part 6, "Regularisation".
"""

import jax
import jax.numpy as jnp
import optax
from jax.scipy.stats import norm
from scipy.special import expit

from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, Bit, Positive, Real, d, n
from jaxderiv.ledger.notation import gradient_descent, iterates
from jaxderiv.theorem import FALSE, IMPR, TRUE, close, equal, statement


def mean_loss(w, X, y):
    """L, without a penalty."""
    return jnp.mean(logistic.pointwise(X @ w, y))


def against_posterior(w, X, y, log_prior):
    """The negative logarithm of likelihood times prior, from the densities."""
    return -jnp.sum(jax.nn.log_sigmoid((2 * y - 1) * (X @ w))) - jnp.sum(log_prior(w))


def sample(rng, N, w):
    """A design of standard normals, and labels that follow the model."""
    X = rng.standard_normal((N, len(w)))
    return jnp.asarray(X), jnp.asarray(1.0 * (rng.random(N) < expit(X @ w)))


ridge = statement("C6.37", TRUE, r"$\nabla (L + \frac\lambda2 \|w\|^2) = \nabla L + \lambda w$")
ridge.line("classification/logistic", "gradient")


@ridge.control
def without_the_half(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""The same of the penalty $\lambda \|w\|^2$"""
    loss = lambda w: mean_loss(w, X, y)
    return equal(jax.grad(lambda w: loss(w) + lam * (w @ w))(w), jax.grad(loss)(w) + lam * w)


decay = statement(
    "C6.38",
    IMPR,
    r"SGD with the squared norm is weight decay: $w \gets (1 - \eta\lambda) w - \frac\eta N X^\top (\hat y - y)$",
    "The update is a step on all N observations, and the mean of what SGD does. That a penalty in the gradient "
    "is the same as shrinking the weights holds for plain gradient steps; Adam with one and AdamW part at once",
)


def decayed(w, X, y, lam, eta):
    r"""$(1 - \eta\lambda) w - \frac\eta N X^\top (\hat y - y)$"""
    return (1 - eta * lam) * w - eta / len(y) * X.T @ (sigmoid(X @ w) - y)


@decay.as_worded
def of_one_observation(
    w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()], eta: Positive[Array, ()]
):
    """The update is the gradient step on a single observation"""
    return equal(decayed(w, X, y, lam, eta), w - eta * jax.grad(logistic.loss)(w, X[:1], y[:1], lam))


@decay.as_worded
def in_any_method(rng):
    """Ten steps of Adam on the penalised loss, and ten of AdamW on the loss"""
    X, y = sample(rng, 50, (2.0, -1.0))

    def run(method, lam):
        def step(state):
            w, inner = state
            change, inner = method.update(jax.grad(logistic.loss)(w, X, y, lam), inner, w)
            return w + change, inner

        start = jnp.array([1.0, 1.0])
        with jax.numpy_dtype_promotion("standard"):
            return jax.jit(lambda: iterates(step, (start, method.init(start)), 10)[0][-1])()

    return close(run(optax.adam(0.1), 0.5), run(optax.adamw(0.1, weight_decay=0.5), 0.0), 1e-3)


@decay.true
def step_on_all(
    w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()], eta: Positive[Array, ()]
):
    r"""The update is $w - \eta \nabla (L + \frac\lambda2 \|w\|^2)$, and the mean of the steps on single observations"""
    single = jax.vmap(lambda x, y: w - eta * jax.grad(logistic.loss)(w, x[None], y[None], lam))
    update = decayed(w, X, y, lam, eta)
    return (
        equal(w - eta * jax.grad(logistic.loss)(w, X, y, lam), update),
        equal(jnp.mean(single(X, y), axis=0), update),
    )


gaussian = statement(
    "C6.39",
    FALSE,
    r"Minimising $L(w) + \frac\lambda2 \|w\|^2$ is maximum a posteriori under the prior $N(0, \frac1\lambda I)$",
    r"The prior is $N(0, \frac1{N\lambda} I)$, since L is a mean; $N(0, \frac1\lambda I)$ belongs to a sum of losses",
)


def of_normal_prior(w, X, y, deviation):
    return against_posterior(w, X, y, lambda w: norm.logpdf(w, scale=deviation))


@gaussian.as_worded
def variance_without_N(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], s: Positive[Array, ()]):
    r"""Under $N(0, s^2 I)$, $s^2 = \frac1\lambda$, the negative log posterior has N times the objective's gradient"""
    return equal(jax.grad(of_normal_prior)(w, X, y, s), len(y) * jax.grad(logistic.loss)(w, X, y, 1 / s**2))


@gaussian.true
def variance_with_N(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], s: Positive[Array, ()]):
    r"""Under $N(0, s^2 I)$, $s^2 = \frac1{N\lambda}$, it is"""
    return equal(jax.grad(of_normal_prior)(w, X, y, s), len(y) * jax.grad(logistic.loss)(w, X, y, 1 / (len(y) * s**2)))


@gaussian.as_worded
def minimisers_without_N(rng):
    r"""The two minimisers, of 40 observations with $\lambda = 0.1$, under $N(0, \frac1\lambda I)$"""
    return _minimisers(rng, 1 / 0.1)


@gaussian.true
def minimisers_with_N(rng):
    r"""The two minimisers, of 40 observations with $\lambda = 0.1$, under $N(0, \frac1{N\lambda} I)$"""
    return _minimisers(rng, 1 / (40 * 0.1))


def _minimisers(rng, variance):
    X, y = sample(rng, 40, (1.5, -1.0))
    curvature = jnp.linalg.norm(X, 2) ** 2 / 4
    descend = lambda f, L: gradient_descent(f, jnp.zeros(2), 1 / L, 5000)[-1]
    penalised = descend(lambda w: mean_loss(w, X, y) + 0.05 * (w @ w), curvature / 40 + 0.1)
    return close(descend(lambda w: of_normal_prior(w, X, y, variance**0.5), curvature + 1 / variance), penalised, 1e-8)
