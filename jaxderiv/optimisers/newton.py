"""Newton's method, damped by a line search or regularised by a shift."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import Formula, named, one_array, within
from jaxderiv.optimisers.linesearch import armijo


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


def regularised_newton(hessian: Formula, lipschitz: float) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method without line search, for convex functions: solve $(H + \sqrt{M |g| / 2}\, I)\, p = g$, step -p.

    Where M bounds the Lipschitz constant of the Hessian, each step decreases f by $\frac23 \sqrt{M |g| / 2}\, |p|^2$ or
    more and the rate is O(1/k²) from every start; the shift vanishes with the gradient, so that the method is
    superlinear at the end.

    Args:
        hessian: as in `newton`.
        lipschitz: M, above 0; in units of the loss per cubed unit of the parameter.
    Returns:
        A transformation whose state is a `NewtonState`.
    Raises:
        InputError: for M <= 0; while tracing, as in `newton`.

    Source: Mishchenko, Regularized Newton method with global O(1/k²) convergence, SIAM J. Optim. 33 (2023), whose H is
        M/2.
    """
    within("regularised_newton: lipschitz", lipschitz, above=0)
    return optax.chain(_scale_by_newton(hessian, lipschitz / 2), optax.scale(-1.0))


class NewtonState(NamedTuple):
    """State of `scale_by_newton` and `regularised_newton`.

    Attributes:
        decrement: g' p, the squared Newton decrement: twice the decrease that the quadratic model promises.
        shift: the multiple of the identity that was added to the Hessian; 0 where that is positive definite.
    """

    decrement: jax.Array
    shift: jax.Array


def scale_by_newton(hessian: Formula) -> optax.GradientTransformationExtraArgs:
    """The solution p of H p = g by Cholesky, undamped. Arguments and errors as in `newton`."""
    return _scale_by_newton(hessian, 0.0)


def _scale_by_newton(hessian: Formula, shift_per_slope: float) -> optax.GradientTransformationExtraArgs:
    """The solution p of (H + shift I) p = g, the shift being at least sqrt(shift_per_slope |g|)."""

    def init(params) -> NewtonState:
        zero = jnp.zeros((), one_array(params).dtype)
        return NewtonState(decrement=zero, shift=zero)

    def update(updates, state, params=None, **extra):
        del state
        g = one_array(updates)
        H = square(hessian(params, **named(hessian, extra)), g, "newton")
        factor, shift = _shifted_cholesky(H, jnp.sqrt(shift_per_slope * jnp.linalg.norm(g)))
        p = jax.scipy.linalg.cho_solve((factor, True), g.ravel())
        return p.reshape(g.shape), NewtonState(decrement=p @ g.ravel(), shift=shift)

    return optax.GradientTransformationExtraArgs(init, update)


def square(H: jax.Array, g: jax.Array, method: str) -> jax.Array:
    """The Hessian as a square matrix.

    Raises:
        InputError: if its shape is not that of the parameter, twice.
    """
    if H.shape != g.shape + g.shape:
        raise InputError(
            f"{method}: the Hessian has shape {H.shape}; parameters of shape {g.shape} need {g.shape + g.shape}"
        )
    return H.reshape(g.size, g.size)


def _shifted_cholesky(H: jax.Array, least: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lower Cholesky factor of H + shift I and the shift: the least, or the first above it that succeeds."""
    norm = jnp.linalg.norm(H)
    norm = jnp.where(norm == 0, jnp.ones_like(norm), norm)

    def refused(attempted):
        factor, _, following = attempted
        # A shift of |H|_F is enough for every finite H; without the bound NaN and infinity would not end.
        return ~jnp.all(jnp.isfinite(factor)) & (following < 2 * (norm + least))

    def attempt(attempted):
        _, _, shift = attempted
        factor = jnp.linalg.cholesky(H + shift * jnp.eye(len(H), dtype=H.dtype))
        return factor, shift, jnp.maximum(2 * shift, 1e-3 * norm)

    factor, shift, _ = jax.lax.while_loop(refused, attempt, (jnp.full_like(H, jnp.nan), least, least))
    # Dividing by an infinite factor would give a step of zero, which looks like a minimum.
    return jnp.where(jnp.all(jnp.isfinite(factor)), factor, jnp.nan), shift
