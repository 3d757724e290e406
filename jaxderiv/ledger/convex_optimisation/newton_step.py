r"""Newton's step: what it solves, and whether it goes downhill.

Source: ML Math Derivations, part 4, "Second-order methods"; Boyd and Vandenberghe, Convex Optimization, section 9.5.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, PositiveDefinite, Real, Symmetric, d
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import HYP, TRUE, at_most, equal, statement


def newton(f, x):
    r"""$x - \nabla^2 f(x)^{-1} \nabla f(x)$"""
    return x - jnp.linalg.solve(jax.hessian(f)(x), jax.grad(f)(x))


def newton_1d(f, x):
    r"""$x - f'(x) / f''(x)$"""
    return x - jax.grad(f)(x) / jax.grad(jax.grad(f))(x)


step = statement(
    "C4.59",
    HYP,
    r"$x - \nabla^2 f(x)^{-1} \nabla f(x)$ minimises the quadratic Taylor model of f at x.",
    r"The Hessian has to be positive definite: otherwise the point is a saddle or a maximum of the model, or there is "
    r"none.",
)


def model(H, g):
    r"""$p \mapsto g^\top p + \frac12 p^\top H p$"""
    return lambda p: g @ p + p @ H @ p / 2


@step.as_worded(at=[{"H": [[1.0, 0.0], [0.0, -1.0]], "g": [1.0, 0.0], "p": [0.0, 2.0]}])
def any_hessian(H: Symmetric[Array, d, d], g: Real[Array, d], p: Real[Array, d]):
    r"""No p has a smaller value of the model than $-H^{-1} g$, for symmetric H"""
    return at_most(model(H, g)(-jnp.linalg.solve(H, g)), model(H, g)(p))


@step.true
def completed_square(H: PositiveDefinite[Array, d, d], g: Real[Array, d], p: Real[Array, d]):
    r"""The model at p exceeds that at $\hat p = -H^{-1} g$ by $\frac12 (p - \hat p)^\top H (p - \hat p)$, positive if H
    is"""
    best = jnp.linalg.solve(H, -g)
    return equal(model(H, g)(p) - model(H, g)(best), (p - best) @ H @ (p - best) / 2)


@step.true
def one_step(A: PositiveDefinite[Array, d, d], c: Real[Array, d], x: Real[Array, d]):
    r"""One step from anywhere reaches the minimiser of $\frac12 (x - c)^\top A (x - c)$"""
    return equal(newton(quadratic(A, c), x), c)


ascent = statement(
    "C4.63",
    TRUE,
    r"Where the Hessian is not positive definite, Newton's step need not decrease f.",
)


@ascent.true
def uphill(A: PositiveDefinite[Array, d, d], g: Real[Array, d]):
    r"""Where the Hessian is $-A \prec 0$, the step p goes uphill: $g^\top p = p^\top A p$; where it is A, as much
    downhill"""
    up, down = jnp.linalg.solve(-A, -g), jnp.linalg.solve(A, -g)
    return equal(g @ up, up @ A @ up), equal(g @ down, -(down @ A @ down))


@ascent.control
def hessian_enough():
    r"""Where the Hessian is positive definite, the undamped step decreases f: $\sqrt{1 + x^2}$ from 1.1"""
    f, x = lambda x: jnp.sqrt(1 + x**2), jnp.asarray(1.1)
    return at_most(f(newton_1d(f, x)), f(x))
