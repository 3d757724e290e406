"""BFGS with the dense approximation of the inverse Hessian; with limited memory it is `optax.lbfgs`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.optimisers.arguments import one_array
from jaxderiv.optimisers.linesearch import weak_wolfe


def bfgs(*, linesearch: optax.GradientTransformationExtraArgs | None = None) -> optax.GradientTransformationExtraArgs:
    r"""The method of Broyden, Fletcher, Goldfarb and Shanno: step along -H g with a line search.

    $H_+ = (I - \rho s y^\top)\, H\, (I - \rho y s^\top) + \rho s s^\top$, where $\rho = 1 / y^\top s$, s is the last
    step and y the change of the gradient along it; H_0 = I. Where $y^\top s \le 0$ the update is skipped, so that H
    stays positive definite also behind a line search without curvature condition.

    Args:
        linesearch: `weak_wolfe()` if None, which keeps $y^\top s > 0$; ``armijo(0.1)`` is backtracking by halves from 1
            with c = 0.1; `optax.scale_by_zoom_linesearch` gives the strong conditions of Wolfe.
    Returns:
        A transformation whose state holds a `BFGSState` and the state of the line search.
    Raises:
        InputError: while tracing, if the parameter is not one array.

    Source: Nocedal and Wright, Numerical Optimization, algorithm 6.1; ML Math Derivations, part 4, "Second-order
        methods".
    """
    return optax.chain(scale_by_bfgs(), optax.scale(-1.0), linesearch or weak_wolfe())


class BFGSState(NamedTuple):
    """State of `scale_by_bfgs`.

    Attributes:
        inverse_hessian: H of the last direction, (d, d) for d parameters.
        params: the point of the last direction.
        gradient: the gradient there.
        steps: directions so far.
        skipped: updates of H that were skipped so far because of y's <= 0.
    """

    inverse_hessian: jax.Array
    params: jax.Array
    gradient: jax.Array
    steps: jax.Array
    skipped: jax.Array


def scale_by_bfgs() -> optax.GradientTransformationExtraArgs:
    """The direction H g, undamped. As in `bfgs`."""

    def init(params) -> BFGSState:
        x = one_array(params)
        zero = jnp.zeros((), jnp.int32)
        return BFGSState(jnp.eye(x.size, dtype=x.dtype), jnp.zeros_like(x), jnp.zeros_like(x), zero, zero)

    def update(updates, state, params, **extra):
        del extra
        g = one_array(updates)
        s, y = (params - state.params).ravel(), (g - state.gradient).ravel()
        moved = state.steps > 0
        curved = y @ s > 0
        H = jnp.where(moved & curved, _updated(state.inverse_hessian, s, y), state.inverse_hessian)
        skipped = state.skipped + (moved & ~curved).astype(jnp.int32)
        return (H @ g.ravel()).reshape(g.shape), BFGSState(H, params, g, state.steps + 1, skipped)

    return optax.GradientTransformationExtraArgs(init, update)


def _updated(H: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
    """The update multiplied out: O(d^2) operations, and symmetric to the bit."""
    rho, Hy = 1 / (y @ s), H @ y
    cross = jnp.outer(s, Hy)
    return H - rho * (cross + cross.T) + (rho**2 * (y @ Hy) + rho) * jnp.outer(s, s)
