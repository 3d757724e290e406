r"""Proximal gradient methods, and the proximal operators that they take.

The proximal operator of h with step t takes v to the minimiser of $\frac12 \|p - v\|^2 + t\, h(p)$. Here it is a
function ``prox(v, t, **data)`` of the shape of v, which takes its data by name, as formulas do.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.optimisers.arguments import Formula, Rate, checked_rate, named, within
from jaxderiv.optimisers.momentum import descent, extrapolation


def proximal_gradient(learning_rate: Rate, prox: Formula) -> optax.GradientTransformationExtraArgs:
    r"""ISTA: $w_+ = \mathrm{prox}_{\alpha h}(w - \alpha \nabla f(w))$, for f + h with a smooth f.

    The gradient handed to ``update`` is that of f alone. With $\alpha = 1/L$, L the Lipschitz constant of that
    gradient, and both functions convex, the value of f + h is within $L R^2 / 2k$ of its minimum after k steps.

    Args:
        learning_rate: alpha, above 0, or an optax schedule.
        prox: ``prox(v, t, **data)``, such as `prox_l1`.
    Raises:
        InputError: for a step size that is not positive.

    Source: Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm, SIAM J. Imaging Sci. 2 (2009),
        theorem 3.1.
    """
    return optax.chain(descent(learning_rate, "proximal_gradient"), proximal(prox, learning_rate))


def fista(learning_rate: Rate, prox: Formula, schedule: str | float = "t_k") -> optax.GradientTransformationExtraArgs:
    r"""`proximal_gradient` with Nesterov's extrapolation: within $2 L R^2 / (k+1)^2$ of the minimum after k steps.

    The parameter is y_k, the iterate x_k is ``optax.tree.get(state, "iterate")``; schedules as in `nesterov`.

    Raises:
        InputError: for a step size that is not positive or an unknown schedule.

    Source: as for `proximal_gradient`, theorem 4.4.
    """
    return optax.chain(descent(learning_rate, "fista"), proximal(prox, learning_rate), extrapolation(schedule))


class ProximalState(NamedTuple):
    """State of `proximal`: steps so far, for a schedule."""

    steps: jax.Array


def proximal(prox: Formula, learning_rate: Rate) -> optax.GradientTransformationExtraArgs:
    """Turn the step to v = params + update into the step to prox(v, learning_rate, **data).

    Raises:
        InputError: for a step size that is not positive.
    """
    rate = checked_rate(learning_rate, "proximal")

    def update(updates, state, params, **extra):
        v = jax.tree.map(lambda x, u: x + u, params, updates)
        t = jnp.asarray(rate(state.steps) if callable(rate) else rate, optax.tree.dtype(params, "lowest"))
        after = prox(v, t, **named(prox, extra, given=2))
        return jax.tree.map(lambda p, x: p - x, after, params), ProximalState(state.steps + 1)

    return optax.GradientTransformationExtraArgs(lambda params: ProximalState(jnp.zeros((), jnp.int32)), update)


def soft_threshold(v: jax.Array, t: jax.Array | float) -> jax.Array:
    r"""$S_t(v) = \mathrm{sign}(v) \max(|v| - t, 0)$, entry by entry: v less its projection on [-t, t]"""
    return v - jnp.clip(v, -t, t)


def prox_l1(v: jax.Array, t: jax.Array | float, lam: jax.Array | float) -> jax.Array:
    r"""Of $\lambda \|p\|_1$: $S_{t\lambda}(v)$. InputError for a negative lam."""
    within("prox_l1: lam", lam, least=0)
    return soft_threshold(v, t * lam)


def prox_elastic_net(
    v: jax.Array, t: jax.Array | float, lam: jax.Array | float, l1_ratio: jax.Array | float
) -> jax.Array:
    r"""Of $\lambda (\alpha \|p\|_1 + \frac{1 - \alpha}2 \|p\|^2)$: $S_{t\lambda\alpha}(v) / (1 + t\lambda(1 -
    \alpha))$, $\alpha$ being l1_ratio. InputError for a negative lam or an l1_ratio outside of [0, 1].
    """
    within("prox_elastic_net: lam", lam, least=0)
    within("prox_elastic_net: l1_ratio", l1_ratio, least=0, most=1)
    return soft_threshold(v, t * lam * l1_ratio) / (1 + t * lam * (1 - l1_ratio))


def prox_squared_norm(v: jax.Array, t: jax.Array | float, lam: jax.Array | float) -> jax.Array:
    r"""Of $\frac\lambda2 \|p\|^2$: $v / (1 + t\lambda)$. InputError for a negative lam."""
    within("prox_squared_norm: lam", lam, least=0)
    return v / (1 + t * lam)


def prox_norm(v: jax.Array, t: jax.Array | float, lam: jax.Array | float) -> jax.Array:
    r"""Of $\lambda \|p\|$, the Euclidean norm of the last axis (the group lasso's, a row for a group):
    $\max(1 - t\lambda / \|v\|, 0)\, v$. InputError for a negative lam.
    """
    within("prox_norm: lam", lam, least=0)
    length = jnp.linalg.norm(v, axis=-1, keepdims=True)
    return jnp.where(length > t * lam, 1 - t * lam / jnp.where(length > 0, length, 1.0), 0.0) * v
