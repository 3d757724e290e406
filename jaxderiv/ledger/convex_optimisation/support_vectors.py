r"""Which points the dual of the support vector machine gives a multiplier: those on the margin, and beyond it.

X holds the points as rows, y their labels, -1 or 1; the margin of a point is $y_i f(x_i)$ with $f(x) = w^\top x + b$.

Source: ML Math Derivations, part 4, "The SVM dual".
"""

import jax.numpy as jnp

from jaxderiv.domains import Array, Nonnegative, Positive, Real, Share, Sign, d, n
from jaxderiv.ledger.convex_optimisation.dual_problems import (
    balanced,
    half_square,
    machine_dual,
    margins,
    separated,
    soft,
)
from jaxderiv.theorem import HYP, at_most, equal, statement

support = statement(
    "C4.86",
    HYP,
    "In the dual of the support vector machine only points exactly on the margin have non-zero multipliers.",
    "So it is with a hard margin. With a soft one every point inside of the margin, $y_i f(x_i) < 1$, has "
    r"$\alpha_i = C > 0$; and a point on the margin may have $\alpha_i = 0$.",
)


def two_points(x, C):
    r"""The soft machine's solution for x and -x, labelled 1 and -1: $\alpha$ of both, and both margins"""
    alpha = jnp.minimum(C, 1 / (2 * x @ x))
    return alpha, 2 * alpha * x @ x


@support.as_worded(at=lambda: [{"x": jnp.array([1.0, 0.0]), "C": 0.25}])
def on_the_margin_only(x: Real[Array, 2], C: Positive[Array, ()]):
    r"Of the points x and -x, $\alpha (1 - y f) = 0$; at x = (1, 0) and C = 1/4 both have $\alpha = C$ and y f = 1/2"
    alpha, margin = two_points(x, C)
    return at_most(alpha * (1 - margin), 0.0)


@support.true
def hard_margin_supports(
    X: Real[Array, n, d], y: Sign[Array, n], w: Real[Array, d], b: Real[Array, ()],
    slack: Nonnegative[Array, n], share: Nonnegative[Array, n],
):  # fmt: skip
    r"$\alpha_i (y_i f(x_i) - 1)$ is at most the gap of a feasible pair, for each i: zero at the optimum"
    X, alpha = separated(X, y, w, b, slack), balanced(share, y)
    return at_most(alpha * slack, half_square(w) - machine_dual(X, y, alpha))


@support.true
def soft_margin_supports(
    X: Real[Array, n, d], y: Sign[Array, n], C: Positive[Array, ()], w: Real[Array, d], b: Real[Array, ()],
    share: Share[Array, n],
):  # fmt: skip
    r"""So are $\alpha_i \max(0, y_i f(x_i) - 1)$ and $(C - \alpha_i) \max(0, 1 - y_i f(x_i))$: inside of the margin
    $\alpha_i = C$"""
    alpha, beyond = C * balanced(share, y), margins(X, y, w, b) - 1
    gap = soft(X, y, C, w, b) - machine_dual(X, y, alpha)
    return at_most(alpha * jnp.maximum(0.0, beyond), gap), at_most((C - alpha) * jnp.maximum(0.0, -beyond), gap)


@support.true
def without_multiplier_on_the_margin(x: Real[Array, 2], along: Real[Array, ()]):
    r"""A third point beside x on its margin, with $\alpha_3 = 0$: the pair $w = x / \|x\|^2$, $\alpha = (1, 1, 0) /
    (2 \|x\|^2)$ has no gap"""
    X, y = jnp.stack([x, -x, x + along * jnp.array([-x[1], x[0]])]), jnp.array([1.0, -1.0, 1.0])
    w, alpha = x / (x @ x), jnp.array([0.5, 0.5, 0.0]) / (x @ x)
    return equal(margins(X, y, w, 0.0), 1.0), equal(machine_dual(X, y, alpha), half_square(w))
