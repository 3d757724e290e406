r"""The alternating direction method of multipliers (ADMM): its augmented Lagrangian and its two parametrisations.

The problem: minimise f(x) + g(z) subject to Ax + Bz = c, with the residual r = Ax + Bz - c. The multiplier is y, and
u = y / $\rho$ the scaled one.

Source: ML Math Derivations, part 4, "ADMM"; Boyd et al., "Distributed optimization and statistical learning via ADMM"
(2011), section 3.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Dim, Positive, PositiveDefinite, Real, d
from jaxderiv.ledger.convex_optimisation.dual_problems import half_square
from jaxderiv.ledger.notation import iterates, quadratic, soft_threshold
from jaxderiv.theorem import FALSE, TRUE, at_most, equal, statement

r = Dim("r")  # rows of the constraint

augmented = statement(
    "C4.88",
    TRUE,
    r"The augmented Lagrangian of $\min f(x) + g(z)$ subject to $Ax + Bz = c$ adds $\frac\rho2 \|Ax + Bz - c\|^2$ "
    r"to the Lagrangian $f(x) + g(z) + u^\top (Ax + Bz - c)$.",
)


def augmented_lagrangian(P, Q, A, B, c, rho, x, z, y):
    r"""$f(x) + g(z) + y^\top r + \frac\rho2 \|r\|^2$ for quadratic f and g"""
    residual = A @ x + B @ z - c
    return quadratic(P)(x) + quadratic(Q)(z) + y @ residual + rho * half_square(residual)


def slopes(P, Q, A, B, c, rho, x, z, y):
    """Gradients of the augmented Lagrangian in x and z; with rho = 0, of the Lagrangian"""
    return jax.grad(augmented_lagrangian, (6, 7))(P, Q, A, B, c, rho, x, z, y)


@augmented.true
def gradient_at_a_moved_multiplier(
    P: PositiveDefinite[Array, d, d], Q: PositiveDefinite[Array, d, d], A: Real[Array, r, d], B: Real[Array, r, d],
    c: Real[Array, r], rho: Positive[Array, ()], x: Real[Array, d], z: Real[Array, d], y: Real[Array, r],
):  # fmt: skip
    r"Its gradients at y are those of the Lagrangian at $y + \rho r$: at feasible points the two are the same"
    moved = slopes(P, Q, A, B, c, 0.0 * rho, x, z, y + rho * (A @ x + B @ z - c))
    return [equal(*both) for both in zip(slopes(P, Q, A, B, c, rho, x, z, y), moved, strict=True)]


@augmented.control
def gradient_at_the_same_multiplier(
    P: PositiveDefinite[Array, d, d], Q: PositiveDefinite[Array, d, d], A: Real[Array, r, d], B: Real[Array, r, d],
    c: Real[Array, r], rho: Positive[Array, ()], x: Real[Array, d], z: Real[Array, d], y: Real[Array, r],
):  # fmt: skip
    "The same without moving y"
    same = slopes(P, Q, A, B, c, 0.0 * rho, x, z, y)
    return [equal(*both) for both in zip(slopes(P, Q, A, B, c, rho, x, z, y), same, strict=True)]


@augmented.true
def completed_square(residual: Real[Array, r], y: Real[Array, r], rho: Positive[Array, ()]):
    r"""$y^\top r + \frac\rho2 \|r\|^2 = \frac\rho2 \|r + u\|^2 - \frac\rho2 \|u\|^2$ with $u = y / \rho$: the scaled
    form"""
    u = y / rho
    return equal(y @ residual + rho * half_square(residual), rho * (half_square(residual + u) - half_square(u)))


pair = statement(
    "C4.89",
    FALSE,
    r"With $L_\rho$ as in C4.88 (multiplier u) the method is $x^+ = \arg\min f + \frac\rho2\|Ax + Bz - c + u\|^2$, "
    "likewise $z^+$, and $u^+ = u + Ax^+ + Bz^+ - c$.",
    r"These are the updates of the scaled multiplier $u = y / \rho$; that of the printed $L_\rho$ moves by $\rho "
    r"r$. They agree only for $\rho = 1$. To minimise the printed $L_\rho$ and move by r is a step $1/\rho$ too "
    r"long or too short: without curvature it multiplies the error by $1 - 1/\rho$, and on a lasso with $\rho = "
    "0.3$ it does not converge, where the scaled form does.",
)


def unscaled(P, Q, centre, rho, step):
    r"""One iteration that minimises $L_\rho$ and moves y by step * r; x = z, $f(x) = \frac12 (x - a)^\top P (x - a)$,
    $g = \frac12 z^\top Q z$"""
    identity = jnp.eye(len(centre))

    def iteration(state):
        _, z, y = state
        x = jnp.linalg.solve(P + rho * identity, P @ centre + rho * z - y)
        z = jnp.linalg.solve(Q + rho * identity, rho * x + y)
        return x, z, y + step * (x - z)

    return iteration


def scaled(P, Q, centre, rho):
    """One iteration of the printed updates"""
    identity = jnp.eye(len(centre))

    def iteration(state):
        _, z, u = state
        x = jnp.linalg.solve(P + rho * identity, P @ centre + rho * (z - u))
        z = jnp.linalg.solve(Q + rho * identity, rho * (x + u))
        return x, z, u + x - z

    return iteration


@pair.as_worded
def one_method(
    P: PositiveDefinite[Array, 2, 2], Q: PositiveDefinite[Array, 2, 2], centre: Real[Array, 2],
    rho: Positive[Array, ()], z: Real[Array, 2], u: Real[Array, 2],
):  # fmt: skip
    r"The x that minimises $L_\rho$, with u for its multiplier, is the x of the printed update"
    x, *_ = unscaled(P, Q, centre, rho, 1.0)((z, z, u))
    return equal(x, scaled(P, Q, centre, rho)((z, z, u))[0])


@pair.true
def two_parametrisations(
    P: PositiveDefinite[Array, 2, 2], Q: PositiveDefinite[Array, 2, 2], centre: Real[Array, 2],
    rho: Positive[Array, ()], z: Real[Array, 2], u: Real[Array, 2],
):  # fmt: skip
    r"Moved by $\rho r$ it has the x and z of the printed updates, and $y = \rho u$, after each of three iterations"
    own, printed, results = (z, z, rho * u), (z, z, u), []
    for _ in range(3):
        own, printed = unscaled(P, Q, centre, rho, rho)(own), scaled(P, Q, centre, rho)(printed)
        results += [equal(own[0], printed[0]), equal(own[1], printed[1]), equal(own[2], rho * printed[2])]
    return results


@pair.true
def error_without_curvature(slope: Real[Array, d], rho: Positive[Array, ()], z: Real[Array, d], y: Real[Array, d]):
    r"""$\min a^\top x - a^\top z$, x = z, moved by r: the error $y + a$ is multiplied by $1 - 1/\rho$, which diverges
    for $\rho < \frac12$"""
    L = lambda x, z, y: slope @ (x - z) + y @ (x - z) + rho * half_square(x - z)
    x = z - (y + slope) / rho
    after = x + (y + slope) / rho
    minimised = equal(jax.grad(L)(x, z, y) + y, y), equal(jax.grad(L, 1)(x, after, y) + y, y)
    return *minimised, equal(y + (x - after) + slope, (1 - 1 / rho) * (y + slope))


@pair.true
def literal_reading_of_a_lasso(rng):
    r"""Moved by r, after 1000 iterations $\rho = 0.3$ is still far from a solution and $\rho = 1$ at it; moved by
    $\rho r$, 0.3 is too"""
    X = rng.standard_normal((40, 5))
    y, lam = X @ jnp.array([2.0, 2.0, 0.0, 0.0, 0.0]) + 0.5 * rng.standard_normal(40), 5.0

    def last_residual(rho, step):
        def iteration(state):
            _, z, u = state
            x = jnp.linalg.solve(X.T @ X + rho * jnp.eye(5), X.T @ y + rho * z - u)
            z = soft_threshold(x + u / rho, lam / rho)
            return x, z, u + step * (x - z)

        x, z, _ = (part[-20:] for part in iterates(iteration, (jnp.zeros(5),) * 3, 1000))
        return jnp.max(abs(x - z))

    return (
        at_most(0.1, last_residual(0.3, 1.0)),
        at_most(last_residual(1.0, 1.0), 1e-6),
        at_most(last_residual(0.3, 0.3), 1e-3),
    )
