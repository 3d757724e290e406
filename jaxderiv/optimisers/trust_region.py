"""Newton's method within a trust region: the quadratic model is minimised exactly over a ball."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import Formula, named, one_array, round_off, within
from jaxderiv.optimisers.newton import square

_BISECTIONS = 100  # of an interval of multipliers; double precision is spent earlier


class TrustRegionState(NamedTuple):
    """State of `trust_region`.

    Attributes:
        radius: of the ball for the next step.
        ratio: decrease of the value over decrease of the model, in the last step; 1 for an exact model.
        multiplier: nu of the last step, which solves (H + nu I) p = -g; 0 inside of the ball.
        accepted: whether the last step was taken.
    """

    radius: jax.Array
    ratio: jax.Array
    multiplier: jax.Array
    accepted: jax.Array


def trust_region(
    hessian: Formula, *, radius: float = 1.0, max_radius: float = math.inf, least_ratio: float = 0.1
) -> optax.GradientTransformationExtraArgs:
    r"""Minimise $g^\top p + \frac12 p^\top H p$ over $|p| \le$ radius; take p if the value falls as promised.

    The ratio of the actual to the promised decrease governs the radius: below 1/4 it is divided by 4, above 3/4 it is
    doubled if p is on the sphere. A step with a ratio of least_ratio or less is not taken (the update is zero). H may
    be indefinite: then p is on the sphere, and leaves a saddle point. What the value cannot resolve counts as promised.

    Args:
        hessian: ``hessian(params, **data)`` of shape ``params.shape + params.shape``; takes its data by name.
        radius: of the first ball, above 0.
        max_radius: the largest, at least the first.
        least_ratio: in [0, 1/4).
    Returns:
        A transformation whose state is a `TrustRegionState`; ``update`` needs ``value`` and ``value_fn``.
    Raises:
        InputError: if a number is outside its interval; while tracing, if the parameter is not one array or the
            Hessian has another shape.

    Source: Nocedal and Wright, Numerical Optimization, algorithm 4.1; the minimiser, from the eigenvalues of H: theorem
        4.1 and section 4.3 (with the hard case).
    """
    within("trust_region: radius", radius, above=0)
    if not max_radius >= radius:
        raise InputError(f"trust_region: max_radius is {max_radius}; allowed: {radius}, the first radius, or more")
    within("trust_region: least_ratio", least_ratio, least=0, below=0.25)

    def init(params) -> TrustRegionState:
        dtype = one_array(params).dtype
        one = jnp.ones((), dtype)
        return TrustRegionState(jnp.asarray(radius, dtype), one, 0 * one, jnp.zeros((), bool))

    def update(updates, state, params, *, value, value_fn, **extra):
        g = one_array(updates)
        H = square(hessian(params, **named(hessian, extra)), g, "trust_region")
        p, multiplier = _minimise_in_ball(H, g.ravel(), state.radius)
        promised = -(p @ g.ravel() + p @ (H @ p) / 2)
        p = p.reshape(g.shape)
        after = value_fn(params + p, **named(value_fn, extra))
        # Both decreases are lifted by what the value cannot resolve: at the minimum their ratio tends to 1.
        noise = round_off(value)
        ratio = (value - after + noise) / (promised + noise)
        ratio = jnp.where((promised == 0) & (noise == 0), jnp.ones_like(ratio), ratio)
        on_sphere, length = multiplier > 0, jnp.linalg.norm(p)
        larger = jnp.where((ratio > 0.75) & on_sphere, jnp.minimum(2 * state.radius, max_radius), state.radius)
        # NaN counts as a failed step, so that a value outside of the domain only shrinks the ball.
        following = jnp.where(ratio >= 0.25, larger, jnp.minimum(length, state.radius) / 4)
        accepted = ratio > least_ratio
        step = jnp.where(accepted, p, jnp.zeros_like(p))
        # Of a gradient or a Hessian that is not finite there is no step to refuse.
        step = jnp.where(jnp.isfinite(promised), step, jnp.nan)
        return step, TrustRegionState(following, ratio, multiplier, accepted)

    return optax.GradientTransformationExtraArgs(init, update)


def _minimise_in_ball(H: jax.Array, g: jax.Array, radius: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The minimiser of g'p + p'Hp/2 over |p| <= radius and its multiplier."""
    eigenvalues, Q = jnp.linalg.eigh(H)
    c, least = Q.T @ g, eigenvalues[0]

    def coefficients(nu):
        shifted = eigenvalues + nu
        return jnp.where(shifted > 0, -c / jnp.where(shifted > 0, shifted, 1.0), 0.0)

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2
        outside = jnp.linalg.norm(coefficients(middle)) > radius
        return jnp.where(outside, middle, low), jnp.where(outside, high, middle)

    low = jnp.maximum(-least, 0.0)
    # |p| <= |g| / (least + nu), so that the upper end is inside of the ball.
    ends = low, jnp.maximum(low, jnp.linalg.norm(g) / radius - least)
    _, nu = jax.lax.fori_loop(0, _BISECTIONS, halve, ends)
    inside = (least > 0) & (jnp.linalg.norm(coefficients(jnp.zeros_like(nu))) <= radius)
    nu = jnp.where(inside, 0.0, nu)
    p = coefficients(nu)
    # The hard case: g has no part in the least eigenvector, along which p goes on to the sphere. Near it no multiplier
    # is exact enough, and what is missing is added there, too, as long as that is round-off in (H + nu I) p = -g.
    missing = jnp.sqrt(jnp.maximum(radius**2 - p @ p, 0.0))
    noise = 16 * jnp.finfo(p.dtype).eps * jnp.abs(eigenvalues).max() * radius
    longer = jnp.where(p[0] < 0, -1.0, 1.0).astype(p.dtype) * jnp.hypot(p[0], missing)
    p = jnp.where(~inside & ((least + nu) * missing <= noise), p.at[0].set(longer), p)
    return jnp.where(jnp.all(jnp.isfinite(H)), Q @ p, jnp.nan), nu
