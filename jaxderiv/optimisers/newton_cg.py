"""Truncated Newton: the Newton system solved by conjugate gradients, from Hessian-vector products alone."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import Formula, named, one_array
from jaxderiv.optimisers.linesearch import armijo


def newton_cg(
    hvp: Formula,
    *,
    max_cg_steps: int | None = None,
    linesearch: optax.GradientTransformationExtraArgs | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Truncated Newton: solve H p = g by conjugate gradients, only as exactly as the distance deserves.

    Args:
        hvp: ``hvp(params, direction, **data)``, the Hessian-vector product, of the shape of ``params``.
        max_cg_steps: limit of conjugate gradient steps in one outer step; the number of parameters if None.
        linesearch: what damps the step, `armijo()` if None; ``optax.identity()`` gives the pure method.
    Returns:
        A transformation whose state holds a `NewtonCGState` and the state of the line search.
    Raises:
        InputError: if max_cg_steps is below 1; while tracing, if the parameter is not one array or the
            product has another shape.

    The relative residual asked of the linear system is 0.9 (|g| / |g before|)^2, at most 0.9 and safeguarded,
    which keeps Newton's order and costs few products far away. A direction of non-positive curvature ends the
    solve at what was found so far, or at the gradient if nothing was: always a direction of descent.

    Source: Nocedal and Wright, Numerical Optimization, algorithm 7.1; the residual: Eisenstat and Walker,
        Choosing the forcing terms in an inexact Newton method, SIAM J. Sci. Comput. 17 (1996), choice 2.
    """
    return optax.chain(scale_by_newton_cg(hvp, max_cg_steps), optax.scale(-1.0), linesearch or armijo())


class NewtonCGState(NamedTuple):
    """State of `scale_by_newton_cg`.

    Attributes:
        decrement: g' p, as in `NewtonState` (below it as long as the system is solved inexactly).
        gradient_norm: |g| of the last step; infinity before the first.
        forcing: the relative residual that was asked of the last system.
        cg_steps: Hessian-vector products of the last step.
        products: Hessian-vector products of all steps so far.
        negative_curvature: whether the last solve met a direction of non-positive curvature.
    """

    decrement: jax.Array
    gradient_norm: jax.Array
    forcing: jax.Array
    cg_steps: jax.Array
    products: jax.Array
    negative_curvature: jax.Array


def scale_by_newton_cg(hvp: Formula, max_cg_steps: int | None = None) -> optax.GradientTransformationExtraArgs:
    """The approximate solution p of H p = g by conjugate gradients, undamped. As in `newton_cg`."""
    if max_cg_steps is not None and max_cg_steps < 1:
        raise InputError(f"newton_cg: max_cg_steps is {max_cg_steps}; allowed: 1 or more, or None")

    def init(params) -> NewtonCGState:
        dtype = one_array(params).dtype
        return NewtonCGState(
            decrement=jnp.zeros((), dtype),
            gradient_norm=jnp.full((), jnp.inf, dtype),
            forcing=jnp.full((), 0.5, dtype),
            cg_steps=jnp.zeros((), jnp.int32),
            products=jnp.zeros((), jnp.int32),
            negative_curvature=jnp.zeros((), bool),
        )

    def update(updates, state, params=None, **extra):
        g = one_array(updates)
        data = named(hvp, extra, given=2)
        shape = jax.eval_shape(lambda: hvp(params, g, **data)).shape
        if shape != g.shape:
            raise InputError(f"newton_cg: the product has shape {shape}; parameters of shape {g.shape} need {g.shape}")
        norm = jnp.linalg.norm(g)
        forcing = _forcing(norm, state)
        limit = g.size if max_cg_steps is None else max_cg_steps
        p, steps, negative = _truncated_cg(lambda v: hvp(params, v, **data), g, forcing * norm, limit)
        products = state.products + steps
        return p, NewtonCGState(jnp.vdot(p, g), norm, forcing, steps, products, negative)

    return optax.GradientTransformationExtraArgs(init, update)


def _forcing(norm: jax.Array, state: NewtonCGState) -> jax.Array:
    """Eisenstat and Walker's choice 2 with gamma = 0.9, alpha = 2 and their safeguard; 0.5 at first."""
    chosen = 0.9 * (norm / state.gradient_norm) ** 2
    before = 0.9 * state.forcing**2
    safeguarded = jnp.where(before > 0.1, jnp.maximum(chosen, before), chosen)
    # No system is solved beyond the precision of its numbers.
    bounded = jnp.clip(safeguarded, jnp.finfo(norm.dtype).eps, 0.9)
    return jnp.where(jnp.isinf(state.gradient_norm), state.forcing, bounded)


def _truncated_cg(
    product: Formula, g: jax.Array, tolerance: jax.Array, limit: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Solve H p = g until |g - H p| <= tolerance, `limit` steps or a direction of non-positive curvature."""

    def unsolved(carry):
        _, r, _, steps, negative = carry
        return (jnp.linalg.norm(r) > tolerance) & (steps < limit) & ~negative

    def step(carry):
        p, r, direction, steps, _ = carry
        image = product(direction)
        curvature = jnp.vdot(direction, image)
        negative = curvature <= 0
        length = jnp.vdot(r, r) / curvature
        at_negative = jnp.where(steps == 0, direction, p)
        residual = r - length * image
        conjugate = residual + jnp.vdot(residual, residual) / jnp.vdot(r, r) * direction
        return (
            jnp.where(negative, at_negative, p + length * direction),
            residual,
            conjugate,
            steps + 1,
            negative,
        )

    start = (jnp.zeros_like(g), g, g, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    p, _, _, steps, negative = jax.lax.while_loop(unsolved, step, start)
    return p, steps, negative
