r"""The two classifiers as programs: what training by gradient descent leaves, and what it preserves.

Losses are means, and penalties are not divided by N.

Source: ML Math Derivations, part 6, "Implementation".
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.classification import softmax
from jaxderiv.domains import Array, K, Positive, Real, Simplex, d, n
from jaxderiv.ledger.logistic_regression.regularisation import mean_loss, sample
from jaxderiv.ledger.notation import gradient_descent, iterates
from jaxderiv.theorem import IMPR, TRUE, at_most, equal, statement

trainer = statement(
    "C6.64",
    IMPR,
    "A complete logistic regression: gradient descent, by default 1000 steps of 0.01 with an L2 penalty of 0.01",
    "Its gradient is right, but by default it stops with a tenth of the way or more to go; steps of 1/L arrive. "
    "It has no intercept, and a column of ones that stands in for one is penalised (C6.75)",
)


def left_after(rng, rate, steps):
    """The relative distance from the minimiser, which Newton's method finds, of 300 observations of 5 features."""
    X, y = sample(rng, 300, (1.0, -2.0, 0.5, 1.5, -1.0))
    loss, w = lambda w: mean_loss(w, X, y) + 0.005 * (w @ w), jnp.zeros(5)
    rate = rate or 1 / (jnp.linalg.norm(X, 2) ** 2 / (4 * len(y)) + 0.01)
    newton = lambda w: w - jnp.linalg.solve(jax.hessian(loss)(w), jax.grad(loss)(w))
    least, found = iterates(newton, w, 20)[-1], gradient_descent(loss, w, rate, steps)[-1]
    return jnp.linalg.norm(found - least) / jnp.linalg.norm(least)


@trainer.as_worded
def by_default(rng):
    """The default leaves less than a hundredth of the way"""
    return at_most(left_after(rng, 0.01, 1000), 0.01)


@trainer.true
def a_tenth_is_left(rng):
    """The default leaves a tenth of the way"""
    return at_most(0.1, left_after(rng, 0.01, 1000))


@trainer.true
def steps_of_one_over_L(rng):
    """3000 steps of 1/L leave nothing"""
    return at_most(left_after(rng, None, 3000), 1e-10)


trainer.line("classification/logistic", "gradient")

from_zero = statement("C6.65", TRUE, "Softmax regression by gradient descent from W = 0")
from_zero.line("classification/softmax", "gradient")


def row_sums_shrink(step_along, W, lam, eta):
    stepped = W - eta * step_along(W)
    return equal(jnp.sum(stepped, axis=1), (1 - eta * lam) * jnp.sum(W, axis=1))


@from_zero.true
def rows_sum_to_zero(
    W: Real[Array, d, K],
    X: Real[Array, n, d],
    T: Simplex[Array, n, K],
    lam: Positive[Array, ()],
    eta: Positive[Array, ()],
):
    r"""$W^+ 1 = (1 - \eta\lambda) W 1$: rows that sum to zero at the start do so at every step"""
    return row_sums_shrink(jax.grad(lambda W: softmax.loss(W, X, T, lam)), W, lam, eta)


@from_zero.control
def without_unit_targets(
    W: Real[Array, d, K],
    X: Real[Array, n, d],
    T: Positive[Array, n, K],
    lam: Positive[Array, ()],
    eta: Positive[Array, ()],
):
    """The same with targets that do not sum to one"""
    loss = lambda W: jnp.mean(softmax.cross_entropy_of_logits(X @ W, T)) + lam / 2 * jnp.sum(W * W)
    return row_sums_shrink(jax.grad(loss), W, lam, eta)
