"""For methods whose last point is not the one to report: the average, the best; and steps that shrink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import named, within


def power_schedule(scale: float, power: float, offset: float = 1.0) -> Callable[[Any], Any]:
    r"""The optax schedule $c / (k + o)^p$, k steps so far: ``power_schedule(c, 1)`` is c, c/2, c/3, ...

    $p = \frac12$ is the usual one of the subgradient method and, with averaging, of SGD on convex functions; p = 1 with
    $c > 1 / 2\mu$ that of SGD on $\mu$-strongly convex ones.

    Raises:
        InputError: for a scale or an offset that is not positive, or a power outside of [0, 1] (the steps could then
            not reach every distance).
    """
    within("power_schedule: scale", scale, above=0)
    within("power_schedule: power", power, least=0, most=1)
    within("power_schedule: offset", offset, above=0)
    return lambda count: scale / (jnp.asarray(count, float) + offset) ** power


class AverageState(NamedTuple):
    """State of `polyak_ruppert`.

    Attributes:
        average: of the points after the burn-in; the last point before there is one.
        steps: so far.
    """

    average: Any
    steps: jax.Array


def polyak_ruppert(burn_in: int = 0) -> optax.GradientTransformationExtraArgs:
    r"""Watch the steps and keep the average $\frac1{k - b} \sum_{i=b+1}^k x_i$ of the points; the steps are left as
    they are.

    Put it last in `optax.chain`: ``optax.chain(optax.sgd(0.1), polyak_ruppert())``. The average is
    ``optax.tree.get(state, "average")``.

    Args:
        burn_in: b, how many points are left out; the start always is.
    Raises:
        InputError: for a negative burn_in.

    Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30
        (1992).
    """
    if burn_in < 0:
        raise InputError(f"polyak_ruppert: burn_in is {burn_in}; allowed: 0 or more")

    def update(updates, state, params, **extra):
        del extra
        count = state.steps + 1
        averaged = jnp.maximum(count - burn_in, 1)

        def following(average, x, u):
            return average + (x + u - average) / averaged.astype(average.dtype)

        return updates, AverageState(jax.tree.map(following, state.average, params, updates), count)

    return optax.GradientTransformationExtraArgs(lambda params: AverageState(params, jnp.zeros((), jnp.int32)), update)


class BestState(NamedTuple):
    """State of `best_iterate`.

    Attributes:
        best: the point of the lowest value so far, the start and the last point included.
        best_value: its value; infinity before the first step.
    """

    best: Any
    best_value: jax.Array


def best_iterate() -> optax.GradientTransformationExtraArgs:
    """Watch the steps and keep the best point, as subgradient methods need, whose values do not fall steadily.

    Put it last in `optax.chain`: ``optax.chain(optax.sgd(power_schedule(c, 0.5)), best_iterate())``, with a subgradient
    for gradient. Costs one more value per step. ``update`` needs ``value`` and ``value_fn``. The best point is
    ``optax.tree.get(state, "best")``.

    For steps a_k and subgradients of length G or less the best value is within $(R^2 + G^2 \\sum a^2) / (2 \\sum a)$ of
    the minimum.

    Source: Boyd and Park, Subgradient methods (lecture notes); ML Math Derivations, part 4, "Subgradients".
    """

    def init(params) -> BestState:
        return BestState(params, jnp.full((), jnp.inf, optax.tree.dtype(params, "lowest")))

    def update(updates, state, params, *, value, value_fn, **extra):
        after = jax.tree.map(lambda x, u: x + u, params, updates)
        for point, its_value in ((params, value), (after, value_fn(after, **named(value_fn, extra)))):
            better = its_value < state.best_value
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), point, state.best)
            state = BestState(best, jnp.where(better, its_value, state.best_value))
        return updates, state

    return optax.GradientTransformationExtraArgs(init, update)
