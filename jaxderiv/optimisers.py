"""What optax lacks, as optax transformations: damped Newton and truncated Newton-CG.

Both are `optax.GradientTransformationExtraArgs` and are used as `optax.lbfgs` is: ``update`` takes the
keyword arguments ``value``, ``grad`` and ``value_fn``, and the data of the problem (``X=X, y=y, lam=lam``),
which every formula takes **by name**. So the formulas of the catalogue go in as they stand::

    optimiser = newton(logistic.hessian)                  # logistic.hessian(w, X, lam)
    updates, state = optimiser.update(g, state, w, value=f, grad=g, value_fn=logistic.loss, X=X, y=y, lam=lam)

Data are arguments of the update, not closures, so that one compiled program serves all data of one shape.
The parameter is one array of any shape (a vector (d,), a matrix (d, K)); float32 and float64 are kept.

Convention: ``scale_by_*`` return the ascent direction P g, as optax's do; the sign is turned and the step is
    damped behind them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError

__all__ = ["armijo", "newton", "newton_cg", "scale_by_newton", "scale_by_newton_cg"]

Formula = Callable[..., jax.Array]

# A loss that is a mean of n terms carries a few rounding errors. Below this many units of round-off of the
# value the Armijo test compares noise, and would stop Newton's method at half of its digits.
_UNRESOLVED_ULPS = 64


def newton(
    hessian: Formula, *, linesearch: optax.GradientTransformationExtraArgs | None = None
) -> optax.GradientTransformationExtraArgs:
    """Newton's method: solve H p = g by Cholesky, step along -p, damped by backtracking.

    Args:
        hessian: ``hessian(params, **data)`` of shape ``params.shape + params.shape``; takes its data by name.
        linesearch: what damps the step, `armijo()` if None; ``optax.identity()`` gives the pure method.
    Returns:
        A transformation whose state holds a `NewtonState` and the state of the line search. Read one entry by
        ``optax.tree.get(state, "decrement")``, or ``"learning_rate"`` for the length of the last step.
    Raises:
        InputError: while tracing, if the parameter is not one array or the Hessian has another shape.

    Where H is not positive definite the step is still one of descent: H + shift I is solved instead, with the
    first of shift = 1e-3 |H|_F, 2e-3 |H|_F, ... that Cholesky accepts; `NewtonState.shift` says so. A Hessian
    with entries that are not finite gives an update of NaN, never a made-up direction.

    Source: Boyd and Vandenberghe, Convex Optimization, section 9.5; the shift: Nocedal and Wright, Numerical
    Optimization, algorithm 3.3.
    """
    return optax.chain(scale_by_newton(hessian), optax.scale(-1.0), linesearch or armijo())


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


def armijo(
    slope_rtol: float = 1e-4, decrease_factor: float = 0.5, max_backtracking_steps: int = 40
) -> optax.GradientTransformationExtraArgs:
    """Optax's backtracking line search as Newton's method needs it.

    Every search starts from the full step, without which the quadratic order is lost, and takes as equal what
    the value cannot resolve (a relative 64 units of round-off).

    Args:
        slope_rtol: share of the decrease promised by the slope that the step must keep, in (0, 1/2).
        decrease_factor: factor between one trial length and the next, in (0, 1).
        max_backtracking_steps: how often the length is decreased before the last one is taken all the same.
    Raises:
        InputError: if a number is outside its interval.
    """
    if not 0 < slope_rtol < 0.5:
        raise InputError(f"armijo: slope_rtol is {slope_rtol}; allowed: 0 < slope_rtol < 1/2")
    if not 0 < decrease_factor < 1:
        raise InputError(f"armijo: decrease_factor is {decrease_factor}; allowed: 0 < decrease_factor < 1")
    if max_backtracking_steps < 1:
        raise InputError(f"armijo: max_backtracking_steps is {max_backtracking_steps}; allowed: 1 or more")

    def search(atol: jax.Array | float) -> optax.GradientTransformationExtraArgs:
        return optax.scale_by_backtracking_linesearch(
            max_backtracking_steps, slope_rtol, decrease_factor, increase_factor=1.0, atol=atol
        )

    def update(updates, state, params, *, value, **extra):
        del state  # the length of the last step says nothing about this one: always try the full step first
        line = search(_UNRESOLVED_ULPS * jnp.finfo(jnp.result_type(value)).eps * jnp.abs(value))
        return line.update(updates, line.init(params), params, value=value, **extra)

    return optax.GradientTransformationExtraArgs(search(0.0).init, update)


class NewtonState(NamedTuple):
    """State of `scale_by_newton`.

    Attributes:
        decrement: g' p, the squared Newton decrement: twice the decrease that the quadratic model promises.
        shift: the multiple of the identity that was added to the Hessian; 0 where that is positive definite.
    """

    decrement: jax.Array
    shift: jax.Array


def scale_by_newton(hessian: Formula) -> optax.GradientTransformationExtraArgs:
    """The solution p of H p = g by Cholesky, undamped. Arguments and errors as in `newton`."""

    def init(params) -> NewtonState:
        zero = jnp.zeros((), _array(params).dtype)
        return NewtonState(decrement=zero, shift=zero)

    def update(updates, state, params=None, **extra):
        del state
        g = _array(updates)
        H = hessian(params, **_named(hessian, extra))
        if H.shape != g.shape + g.shape:
            raise InputError(
                f"newton: the Hessian has shape {H.shape}; parameters of shape {g.shape} need {g.shape + g.shape}"
            )
        factor, shift = _shifted_cholesky(H.reshape(g.size, g.size))
        p = jax.scipy.linalg.cho_solve((factor, True), g.ravel())
        return p.reshape(g.shape), NewtonState(decrement=p @ g.ravel(), shift=shift)

    return optax.GradientTransformationExtraArgs(init, update)


def _shifted_cholesky(H: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lower Cholesky factor of H + shift I and the shift: 0, or the first that succeeds."""
    norm = jnp.linalg.norm(H)
    norm = jnp.where(norm == 0, jnp.ones_like(norm), norm)

    def refused(attempted):
        factor, _, following = attempted
        # A shift of |H|_F is enough for every finite H; without the bound NaN and infinity would not end.
        return ~jnp.all(jnp.isfinite(factor)) & (following < 2 * norm)

    def attempt(attempted):
        _, _, shift = attempted
        factor = jnp.linalg.cholesky(H + shift * jnp.eye(len(H), dtype=H.dtype))
        return factor, shift, jnp.maximum(2 * shift, 1e-3 * norm)

    zero = jnp.zeros((), H.dtype)
    factor, shift, _ = jax.lax.while_loop(refused, attempt, (jnp.full_like(H, jnp.nan), zero, zero))
    # Dividing by an infinite factor would give a step of zero, which looks like a minimum.
    return jnp.where(jnp.all(jnp.isfinite(factor)), factor, jnp.nan), shift


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
        dtype = _array(params).dtype
        return NewtonCGState(
            decrement=jnp.zeros((), dtype),
            gradient_norm=jnp.full((), jnp.inf, dtype),
            forcing=jnp.full((), 0.5, dtype),
            cg_steps=jnp.zeros((), jnp.int32),
            products=jnp.zeros((), jnp.int32),
            negative_curvature=jnp.zeros((), bool),
        )

    def update(updates, state, params=None, **extra):
        g = _array(updates)
        data = _named(hvp, extra)
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


def _array(params: Any) -> jax.Array:
    if not isinstance(params, jax.Array):
        raise InputError(
            f"the parameter is a {type(params).__name__}; newton and newton_cg take one array: join the "
            "parameters by jax.flatten_util.ravel_pytree"
        )
    return params


def _named(formula: Formula, extra: dict[str, Any]) -> dict[str, Any]:
    """Those of the extra arguments that the formula names."""
    names = inspect.signature(formula).parameters
    return {name: value for name, value in extra.items() if name in names}
