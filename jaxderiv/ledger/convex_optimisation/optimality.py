r"""Optimality conditions of constrained problems: what the KKT conditions imply, and when they have to hold.

The problem: minimise f(x) subject to $g(x) \le 0$. The conditions of Karush, Kuhn and Tucker for x and $\lambda$:
$g(x) \le 0$, $\lambda \ge 0$, $\lambda_i g_i(x) = 0$ and $\nabla f(x) + \sum_i \lambda_i \nabla g_i(x) = 0$.
As checks of solutions they stand in kkt_examples.

Source: ML Math Derivations, part 4, "KKT conditions"; Boyd and Vandenberghe, "Convex optimization", section 5.5.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import (
    Array,
    Bit,
    Nonnegative,
    PositiveDefinite,
    PositiveSemidefinite,
    Real,
    d,
    m,
)
from jaxderiv.ledger.convex_optimisation.dual_problems import program, program_dual
from jaxderiv.theorem import HYP, NA, TRUE, at_most, equal, holds, statement

conditions = statement(
    "C4.80",
    HYP,
    "Under strong duality and differentiability a pair is optimal exactly if it satisfies the four KKT conditions.",
    r"That they suffice needs a convex f, convex $g_i$ and affine $h_j$: of $(x^2 - 1)^2$ subject to $x \le 5$, "
    r"where $p^* = d^* = 0$, x = 0 with $\lambda = 0$ satisfies all four and has f = 1. That they are necessary "
    "needs both optima attained.",
)


def double_well(x):
    r"""$(x^2 - 1)^2$"""
    return (x**2 - 1) ** 2


@conditions.as_worded(at=[{"below": 4.0}])
def without_convexity(below: Nonnegative[Array, ()]):
    r"At x = 0, $\lambda = 0$ the gradient of $(x^2 - 1)^2 + \lambda (x - 5)$ vanishes: no $z \le 5$ has a lower f"
    z = 5 - below
    slope = jax.grad(lambda x: double_well(x) + 0.0 * (x - 5))(0.0)
    return at_most(abs(slope), 0.0), at_most(double_well(0.0), double_well(z))


@conditions.true
def sufficient_if_convex(
    A: PositiveSemidefinite[Array, d, d], G: Real[Array, m, d], x: Real[Array, d], z: Real[Array, d],
    active: Bit[Array, m], free: Nonnegative[Array, m],
):  # fmt: skip
    r"With the KKT conditions at x, $f(x) \le f(z) + \lambda^\top \max(0, g(z))$ for every z: f(x) is least, feasible z"
    lam, slack = active * free, (1 - active) * free
    b, c = -(A @ x + G.T @ lam), G @ x + slack  # the program that has them there
    penalty = lam @ jnp.maximum(G @ z - c, 0.0)
    size = abs(z) @ abs(A) @ abs(z) + abs(b) @ (abs(z) + abs(x)) + abs(x) @ abs(A) @ abs(x) + lam @ abs(G) @ abs(z)
    return at_most(program(A, b, x), program(A, b, z) + penalty, size)


@conditions.true
def necessary_if_attained(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Real[Array, m], lam: Real[Array, m],
):  # fmt: skip
    r"""$f(x) - d(\lambda) = \frac12 s^\top A^{-1} s - \lambda^\top g(x)$, $s = \nabla_x L$: without a gap s = 0 and
    every $\lambda_i g_i = 0$"""
    lagrangian = lambda x: program(A, b, x) + lam @ (G @ x - c)
    c = G @ x + slack
    s = jax.grad(lagrangian)(x)
    return equal(program(A, b, x) - program_dual(A, b, G, c, lam), s @ jnp.linalg.solve(A, s) / 2 + lam @ slack)


slackness = statement(
    "C4.84",
    TRUE,
    "Complementary slackness: for each i the constraint is active, $g_i(x^*) = 0$, or its multiplier is 0.",
)


@slackness.true
def slackness_is_the_gap(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Nonnegative[Array, m], lam: Nonnegative[Array, m],
):  # fmt: skip
    r"Each $-\lambda_i g_i(x)$ is at most the gap $f(x) - d(\lambda)$ of a feasible pair: zero where there is no gap"
    gap = program(A, b, x) - program_dual(A, b, G, G @ x + slack, lam)
    return at_most(lam * slack, gap)


@slackness.control(at=lambda: [{"c": jnp.ones(2), "a": jnp.ones(2), "b": 2.0}])
def never_both(c: Real[Array, 2], a: Real[Array, 2], b: Real[Array, ()]):
    r"""The or is exclusive; $\min \frac12\|x - c\|^2$, $a^\top x \le b$ with c on the edge has both $g(x^*)$ and
    $\lambda$ zero"""
    lam = jnp.maximum(0.0, a @ c - b) / (a @ a)
    return holds((a @ (c - lam * a) < b) | (lam > 0))


simpler = statement(
    "C4.87",
    NA,
    "The dual of a problem is often simpler than the problem.",
    "An opinion: it names neither the problems nor a measure of simplicity.",
)
