r"""When the logistic loss has a minimum, and what finds it.

$L(w) = \frac1n \sum_i \log(1 + e^{z_i}) - y_i z_i$ with $z = Xw$: no penalty unless one is named.

Source: ML Math Derivations, part 6, "Gradient, Hessian, convexity"; separation: A. Albert and J. A. Anderson, On the
existence of maximum likelihood estimates in logistic regression models, Biometrika 71 (1984).
"""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from jaxderiv.catalogue.classification import logistic
from jaxderiv.domains import Array, Bit, Positive, Real, d, n
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.theorem import FALSE, IMPR, at_most, close, holds, statement


def separates(X, y) -> bool:
    r"""Whether some w has $s_i x_i^\top w \ge 0$ for all i and not all of them zero: a linear programme"""
    rows = (2 * y - 1)[:, None] * X
    best = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(X)), bounds=[(-1, 1)] * X.shape[1])
    return bool(-best.fun > 1e-9)


def newton(X, y, w, steps, damped):
    """Iterates of Newton's method; damped, a step is halved until the loss decreases."""
    out = [w]
    for _ in range(steps):
        step = np.linalg.solve(logistic.hessian(w, X, 0.0), logistic.gradient(w, X, y, 0.0))
        length = 1.0
        while damped and length > 1e-9 and logistic.loss(w - length * step, X, y, 0.0) > logistic.loss(w, X, y, 0.0):
            length /= 2
        w = w - length * step
        out.append(w)
    return out


# Nine observations that no plane separates, from which an undamped Newton method runs away.
X_RUNAWAY = np.array(
    [[-.3, .4, -.2], [-2.1, .3, 1.6], [2.8, .8, .1], [38.4, -1.2, 1.7], [-.3, 2.4, 1.1], [-3.7, 1.5, -19.2],
     [-.1, .3, -1.0], [-1.1, 1.2, .7], [.4, .1, -1.2]]
)  # fmt: skip
Y_RUNAWAY = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])

existence = statement(
    "C6.23",
    FALSE,
    "Since the loss is convex, its minimum exists, is unique, and every sensible optimiser reaches it.",
    but="The minimum exists and is unique if the columns of X are independent and no plane separates the classes, not "
    "even weakly; with an L2 penalty always. On separable data the weights grow without end, with dependent columns "
    "there are many minima, and Newton's method has to be damped.",
)


@existence.as_worded(at=[{"t": 8.0}])
def separable_data_have_a_minimum(t: Positive[Array, ()]):
    r"""On two observations that zero separates, the loss at $2t$ is no smaller than at t"""
    X, y = jnp.array([[-1.0], [1.0]]), jnp.array([0.0, 1.0])
    return at_most(logistic.loss(t[None], X, y, 0.0), logistic.loss(2 * t[None], X, y, 0.0))


@existence.as_worded
def dependent_columns_have_one_minimum(
    w: Real[Array, 2], X: Real[Array, n, 1], y: Bit[Array, n], t: Positive[Array, ()]
):
    r"""With a duplicated column the loss at $w + t(1, -1)$ is larger than at w"""
    twice = jnp.concatenate([X, X], axis=1)
    moved = logistic.loss(w + t * jnp.array([1.0, -1.0]), twice, y, 0.0)
    return at_most(logistic.loss(w, twice, y, 0.0) + 1e-6, moved)


@existence.as_worded
def newton_needs_no_damping():
    """From zero, on data that no plane separates, eight full Newton steps end below the loss of the start"""
    ends = newton(X_RUNAWAY, Y_RUNAWAY, jnp.zeros(3), 8, damped=False)
    return at_most(logistic.loss(ends[-1], X_RUNAWAY, Y_RUNAWAY, 0.0), np.log(2))


@existence.true
def damped_newton_finds_it():
    """There a linear programme finds no separating plane, and the damped method ends at a zero gradient"""
    w = newton(X_RUNAWAY, Y_RUNAWAY, jnp.zeros(3), 30, damped=True)[-1]
    slope = jnp.linalg.norm(logistic.gradient(w, X_RUNAWAY, Y_RUNAWAY, 0.0))
    return (
        holds(not separates(np.asarray(X_RUNAWAY), np.asarray(Y_RUNAWAY))),
        at_most(slope, 1e-12),
        close(w, jnp.array([-1.4284, -5.7479, 0.0280]), 5e-5),
        close(9 * logistic.loss(w, X_RUNAWAY, Y_RUNAWAY, 0.0), 2.0350, 5e-5),
    )


@existence.true
def own_labels_are_separable(rng):
    """Labels that a model's own rule gives are separable: the weights of gradient descent grow, the loss tends to 0"""
    X = jnp.asarray(rng.standard_normal((40, 3)))
    y = jnp.asarray((X @ rng.standard_normal(3) > 0).astype(float))
    trace = gradient_descent(lambda w: logistic.loss(w, X, y, 0.0), jnp.zeros(3), 1.0, 4000)
    norms = jnp.linalg.norm(trace[jnp.array([10, 100, 1000, 4000])], axis=1)
    return (
        holds(separates(np.asarray(X), np.asarray(y))),
        at_most(1.1 * norms[:-1], norms[1:]),
        at_most(logistic.loss(trace[-1], X, y, 0.0), 0.1),
    )


@existence.true
def a_penalty_bounds_the_minimum(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""With a penalty every w of norm above $\sqrt{2 \log 2 / \lambda}$ is worse than zero, so a minimum exists"""
    far = w / jnp.linalg.norm(w) * jnp.sqrt(2 * jnp.log(2.0) / lam)
    return at_most(logistic.loss(jnp.zeros_like(w), X, y, lam), logistic.loss(far, X, y, lam))


by_differences = statement(
    "C6.24",
    IMPR,
    "Central differences at w = 0, of a loss whose probabilities are clipped at 1e-15, verify the gradient.",
    but="There they do; but zero is a special point, at which many wrong gradients are right, and far out the clipped "
    "loss is not the loss: its differences refute the right gradient.",
)


def _clipped_differences(w, X, y, h=1e-5):
    def loss(w):
        p = np.clip(1 / (1 + np.exp(-(X @ w))), 1e-15, 1 - 1e-15)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    return np.array([(loss(w + h * e) - loss(w - h * e)) / (2 * h) for e in np.eye(len(w))])


def _labelled(rng):
    X, w = rng.standard_normal((100, 3)), rng.standard_normal(3)
    w = w / np.linalg.norm(w)
    return X, (X @ w > 0).astype(float), w


@by_differences.true
def right_at_zero(rng):
    """At zero the differences are within 1e-9 of the gradient"""
    X, y, _ = _labelled(rng)
    return close(_clipped_differences(np.zeros(3), X, y), logistic.gradient(jnp.zeros(3), X, y, 0.0), 1e-9)


@by_differences.as_worded
def right_far_out(rng):
    """At weights that are certain and wrong, 60 long, they are within 1e-6 of it"""
    X, y, w = _labelled(rng)
    return close(_clipped_differences(-60 * w, X, y), logistic.gradient(jnp.asarray(-60 * w), X, y, 0.0), 1e-6)
