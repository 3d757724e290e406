r"""Penalties of logistic regression, and the priors that they stand for.

The loss is the mean over N observations (labels 0 or 1). A posterior multiplies N likelihoods, so its negative logarithm
is N times the loss and the prior that belongs to a penalty has N in it.

Source: ML Math Derivations, part 6, "Regularisation".
"""

import jax
import jax.numpy as jnp
import optax
import scipy.integrate
import scipy.optimize
from jax.scipy.stats import laplace, norm

from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, Bit, Positive, Real, Share, d, n
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import FALSE, HYP, IMPR, TRUE, at_most, close, equal, holds, statement


def lasso(w, X, y, lam):
    r"""$L(w) + \lambda \|w\|_1$"""
    return logistic.loss(w, X, y, 0.0) + lam * jnp.sum(abs(w))


def against_posterior(w, X, y, log_prior):
    """The negative logarithm of likelihood times prior, from the densities."""
    return -jnp.sum(jax.nn.log_sigmoid((2 * y - 1) * (X @ w))) - jnp.sum(log_prior(w))


def minimiser(f, start):
    """Where a smooth strictly convex function is least."""
    f = jax.jit(f)
    how = {"jac": jax.jit(jax.grad(f)), "hess": jax.jit(jax.hessian(f)), "method": "trust-exact"}
    return jnp.asarray(scipy.optimize.minimize(f, start, options={"gtol": 1e-10}, **how).x)


def sample(rng, N, w):
    """A design of standard normals, and labels that follow the model."""
    X = jnp.asarray(rng.standard_normal((N, len(w))))
    return X, jnp.asarray(1.0 * (rng.random(N) < sigmoid(X @ jnp.asarray(w))))


# The squared norm ------------------------------------------------------------------------------------------
ridge = statement("C6.37", TRUE, r"$\nabla (L + \frac\lambda2 \|w\|^2) = \nabla L + \lambda w$")
ridge.line("classification/logistic", "gradient")


@ridge.true
def penalty_alone(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""$\nabla (L + \frac\lambda2 \|w\|^2) - \nabla L = \lambda w$"""
    loss = lambda w: logistic.loss(w, X, y, 0.0)
    return equal(jax.grad(lambda w: loss(w) + lam / 2 * (w @ w))(w), jax.grad(loss)(w) + lam * w)


@ridge.control
def without_the_half(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""The same of the penalty $\lambda \|w\|^2$"""
    loss = lambda w: logistic.loss(w, X, y, 0.0)
    return equal(jax.grad(lambda w: loss(w) + lam * (w @ w))(w), jax.grad(loss)(w) + lam * w)


decay = statement(
    "C6.38",
    IMPR,
    r"SGD with the squared norm is weight decay: $w \gets (1 - \eta\lambda) w - \frac\eta N X^\top (\hat y - y)$",
    r"The update is gradient descent on all N observations, and the mean of what SGD does. That a penalty in the gradient "
    r"is the same as shrinking the weights holds for plain gradient steps; Adam with one and AdamW part at once",
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
        w = jnp.array([1.0, 1.0])
        state = method.init(w)
        with jax.numpy_dtype_promotion("standard"):
            for _ in range(10):
                step, state = method.update(jax.grad(logistic.loss)(w, X, y, lam), state, w)
                w = w + step
        return w

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
    r"The prior is $N(0, \frac1{N\lambda} I)$, since L is a mean; $N(0, \frac1\lambda I)$ belongs to the sum of the losses",
)


def of_normal_prior(w, X, y, variance):
    return against_posterior(w, X, y, lambda w: norm.logpdf(w, scale=jnp.sqrt(variance)))


@gaussian.as_worded
def variance_without_N(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""Under $N(0, \frac1\lambda I)$ the gradient of the negative log posterior is N times that of the objective"""
    return equal(jax.grad(of_normal_prior)(w, X, y, 1 / lam), len(y) * jax.grad(logistic.loss)(w, X, y, lam))


@gaussian.true
def variance_with_N(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""Under $N(0, \frac1{N\lambda} I)$ it is"""
    prior = 1 / (len(y) * lam)
    return equal(jax.grad(of_normal_prior)(w, X, y, prior), len(y) * jax.grad(logistic.loss)(w, X, y, lam))


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
    penalised = minimiser(lambda w: logistic.loss(w, X, y, 0.1), jnp.zeros(2))
    return close(minimiser(lambda w: of_normal_prior(w, X, y, variance), jnp.zeros(2)), penalised, 1e-8)


# The sum of the sizes --------------------------------------------------------------------------------------
absolute = statement("C6.40", TRUE, r"The L1 penalty: minimise $L(w) + \lambda \|w\|_1$")


@absolute.true
def convex(
    w: Real[Array, d], v: Real[Array, d], t: Share[Array, ()], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]
):
    """The objective lies below its chords"""
    F = lambda w: lasso(w, X, y, lam)
    return at_most(F(t * w + (1 - t) * v), t * F(w) + (1 - t) * F(v))


@absolute.true
def as_scikit_learn_has_it(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""$\|w\|_1 + C \sum_i \log(1 + e^{-s_i z_i})$ with signs $s_i = 2 y_i - 1$ and $C = \frac1{N\lambda}$ is $1/\lambda$ times it"""
    C, losses = 1 / (len(y) * lam), jnp.logaddexp(0.0, -(2 * y - 1) * (X @ w))
    return equal(jnp.sum(abs(w)) + C * jnp.sum(losses), lasso(w, X, y, lam) / lam)


thresholding = statement(
    "C6.41",
    FALSE,
    r"With $\mathrm{sign}(w_j)$ for the subgradient of $|w_j|$, descent on the L1 penalty is soft thresholding",
    r"$w - \eta (\nabla L + \lambda\,\mathrm{sign}(w))$ steps over zero and back and never rests on it; soft thresholding "
    r"is the proximal step $S_{\eta\lambda}(w - \eta \nabla L)$, which minimises $\frac12 \|v - a\|^2 + \eta\lambda \|v\|_1$",
)


def subgradient_step(w, X, y, lam, eta):
    return w - eta * (jax.grad(logistic.loss)(w, X, y, 0.0) + lam * jnp.sign(w))


def proximal_step(w, X, y, lam, eta):
    return soft_threshold(w - eta * jax.grad(logistic.loss)(w, X, y, 0.0), eta * lam)


def descend(step, rng, lam):
    """300 steps of size 1/L from zero on 200 observations of 30 features, 4 of which matter; and the objective."""
    X, y = sample(rng, 200, (2.0, -2.0, 1.5, -1.5) + 26 * (0.0,))
    eta = 4 * len(y) / jnp.linalg.norm(X, 2) ** 2
    w = jax.jit(lambda: iterates(lambda w: step(w, X, y, lam, eta), jnp.zeros(30), 300)[-1])()
    return w, lasso(w, X, y, lam)


@thresholding.as_worded
def the_same_step(
    w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()], eta: Positive[Array, ()]
):
    r"""$w - \eta (\nabla L + \lambda\,\mathrm{sign}(w)) = S_{\eta\lambda}(w - \eta \nabla L)$"""
    return equal(subgradient_step(w, X, y, lam, eta), proximal_step(w, X, y, lam, eta))


@thresholding.as_worded
def zeros_by_subgradients(rng):
    """The step with the sign sets a coefficient to zero"""
    return holds(jnp.any(descend(subgradient_step, rng, 0.05)[0] == 0))


@thresholding.true
def proximal_map(a: Real[Array, d], v: Real[Array, d], t: Positive[Array, ()]):
    r"""$v = S_t(a)$ minimises $\frac12 (v - a)^2 + t |v|$"""
    F = lambda v: (v - a) ** 2 / 2 + t * abs(v)
    return at_most(F(soft_threshold(a, t)), F(v))


@thresholding.true
def two_methods(rng):
    """After 300 steps on the same data: no zeros against many, and the higher objective"""
    seed = int(rng.integers(2**32))
    (w, F), (w_prox, F_prox) = (
        descend(step, type(rng)(type(rng.bit_generator)(seed)), 0.05) for step in (subgradient_step, proximal_step)
    )
    return holds(jnp.all(w != 0)), at_most(13, jnp.sum(w_prox == 0)), at_most(F_prox, F)
