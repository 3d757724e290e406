r"""Gradient, Hessian and convexity of the logistic loss, and the methods that use them.

$L(w) = \frac1n \sum_i \log(1 + e^{z_i}) - y_i z_i$ with $z = Xw$: no penalty unless one is named.

Source: ML Math Derivations, part 6, "Gradient, Hessian, convexity".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, Bit, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.logistic_regression.existence import X_RUNAWAY, Y_RUNAWAY, newton
from jaxderiv.theorem import HYP, TRUE, at_most, equal, holds, statement

gradient = statement("C6.20", TRUE, r"$\nabla L = \frac1n X^\top (\hat y - y)$.")
gradient.line("classification/logistic", "gradient")


@gradient.control
def without_the_mean(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    r"""$\nabla L = X^\top (\hat y - y)$"""
    return equal(jax.grad(logistic.loss)(w, X, y, 0.0), X.T @ (sigmoid(X @ w) - y))


hessian = statement("C6.21", TRUE, r"$\nabla^2 L = \frac1n X^\top S X$ with $S = \mathrm{diag}(\hat y (1 - \hat y))$.")
hessian.line("classification/logistic", "hessian")


convex = statement("C6.22", TRUE, "The Hessian is positive semidefinite, so the loss is convex.")
convex.line("classification/logistic", "curvature_along")


@convex.true(at=lambda: [{"w": jnp.zeros(2), "X": jnp.array([[1.0, 2.0], [0.0, 1.0]])}])
def smoothness(w: Real[Array, d], X: Real[Array, n, d]):
    r"""$\lambda_{\max}(\nabla^2 L) \le \lambda_{\max}(X^\top X) / (4n)$, attained at $w = 0$"""
    largest = lambda A: jnp.linalg.eigvalsh(A)[-1]
    return at_most(largest(logistic.hessian(w, X, 0.0)), largest(X.T @ X) / (4 * len(X)))


@convex.true
def strictly_convex_if_columns_are_independent(w: Real[Array, d], X: FullColumnRank[Array, n, d], v: Real[Array, d]):
    r"""$v^\top \nabla^2 L\, v \ge \min_i \hat y_i (1 - \hat y_i) \cdot \|Xv\|^2 / n$, positive for $v \ne 0$"""
    s, Xv = sigmoid(X @ w) * sigmoid(-(X @ w)), X @ v
    return at_most(jnp.min(s) * (Xv @ Xv) / len(X), logistic.curvature_along(w, v, X, 0.0))


@convex.control
def strongly_convex(t: Positive[Array, ()]):
    r"""With one observation the curvature is at least $10^{-3}$ at every w (it tends to zero)"""
    return at_most(1e-3, logistic.hessian(t[None], jnp.ones((1, 1)), 0.0)[0, 0])


stable = statement(
    "C6.25",
    HYP,
    "Batch gradient descent is stable.",
    but=r"For steps below $2 / L = 8n / \lambda_{\max}(X^\top X)$; above it one can do harm.",
)


def after_one_step(w, X, y, rate):
    return logistic.loss(w - rate * logistic.gradient(w, X, y, 0.0), X, y, 0.0)


def longest_step(X):
    return 8 * len(X) / jnp.linalg.eigvalsh(X.T @ X)[-1]


@stable.true
def no_step_below_it_increases_the_loss(w: Real[Array, d], X: FullColumnRank[Array, n, d], y: Bit[Array, n]):
    r"""A step of $2/L$ or half of that does not increase the loss"""
    before = logistic.loss(w, X, y, 0.0)
    after = jnp.stack([after_one_step(w, X, y, share * longest_step(X)) for share in (0.5, 1.0)])
    return at_most(after, before)


@stable.as_worded(at=[{"w": [0.0], "X": [[1.0], [1.0], [-1.0]], "y": [0.0, 1.0, 1.0]}])
def every_step_is_stable(w: Real[Array, d], X: FullColumnRank[Array, n, d], y: Bit[Array, n]):
    r"""Nor does one of $8/L$"""
    return at_most(after_one_step(w, X, y, 4 * longest_step(X)), logistic.loss(w, X, y, 0.0))


stochastic = statement(
    "C6.26", TRUE, "The gradients of single observations and of mini-batches have the gradient as mean."
)


@stochastic.true
def every_observation_alike(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    r"""$\frac1n \sum_i \nabla \ell_i = \nabla L$, each by autodiff of one observation's loss"""
    each = jax.vmap(lambda x, t: jax.grad(logistic.loss)(w, x[None], t[None], 0.0))(X, y)
    return equal(jnp.mean(each, axis=0), logistic.gradient(w, X, y, 0.0))


@stochastic.true
def every_pair_alike(w: Real[Array, d], X: Real[Array, 4, d], y: Bit[Array, 4]):
    r"""The mean over all six batches of two among four observations"""
    pairs = jnp.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
    each = [logistic.gradient(w, X[pair], y[pair], 0.0) for pair in pairs]
    return equal(sum(each) / 6, logistic.gradient(w, X, y, 0.0))


newtons = statement(
    "C6.27",
    HYP,
    "Newton's method, which is iteratively reweighted least squares, converges quadratically; the Hessian is cheap.",
    but="If the minimum exists, X has full column rank, and the steps are damped or begin near it; the Hessian costs "
    r"of the order of $np^2 + p^3$ operations. Far out full steps may diverge.",
)


@newtons.true
def reweighted_least_squares(w: Real[Array, d], X: FullColumnRank[Array, n, d], y: Bit[Array, n]):
    r"""$w - (\nabla^2 L)^{-1} \nabla L = (X^\top S X)^{-1} X^\top S \tilde z$ with
    $\tilde z = Xw + S^{-1} (y - \hat y)$"""
    z = X @ w
    s = logistic.curvature(z)
    step = jnp.linalg.solve(logistic.hessian(w, X, 0.0), logistic.gradient(w, X, y, 0.0))
    working = z + (y - sigmoid(z)) / s
    return equal(w - step, jnp.linalg.solve(X.T @ (s[:, None] * X), X.T @ (s * working)))


@newtons.true
def digits_double():
    """At the end of the damped run the error is at most ten times the square of the one before"""
    trace = newton(X_RUNAWAY, Y_RUNAWAY, jnp.zeros(3), 30, damped=True)
    errors = np.array([np.linalg.norm(w - trace[-1]) for w in trace])
    late = np.flatnonzero((errors < 1e-1) & (errors > 1e-7))
    return at_most(errors[late + 1], 10 * errors[late] ** 2), holds(len(late) >= 2)


@newtons.as_worded
def from_anywhere():
    """Full steps from zero converge on data whose minimum exists"""
    trace = newton(X_RUNAWAY, Y_RUNAWAY, jnp.zeros(3), 8, damped=False)
    return at_most(jnp.linalg.norm(logistic.gradient(trace[-1], X_RUNAWAY, Y_RUNAWAY, 0.0)), 1e-6)
