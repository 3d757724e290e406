"""Line searches: backtracking from the full step (Armijo), and bisection for the weak conditions of Wolfe."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import named, round_off, within


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
    within("armijo: decrease_factor", decrease_factor, above=0, below=1)
    _at_least_one("armijo: max_backtracking_steps", max_backtracking_steps)

    def search(atol: jax.Array | float) -> optax.GradientTransformationExtraArgs:
        return optax.scale_by_backtracking_linesearch(
            max_backtracking_steps, slope_rtol, decrease_factor, increase_factor=1.0, atol=atol
        )

    def update(updates, state, params, *, value, **extra):
        del state  # the length of the last step says nothing about this one: always try the full step first
        line = search(round_off(value))
        return line.update(updates, line.init(params), params, value=value, **extra)

    return optax.GradientTransformationExtraArgs(search(0.0).init, update)


class WolfeState(NamedTuple):
    """State of `weak_wolfe`.

    Attributes:
        learning_rate: the length t of the last step; 1 for the full one.
        trials: how many lengths the last search tried, each for one value and one gradient.
        met: whether the last step meets both conditions.
    """

    learning_rate: jax.Array
    trials: jax.Array
    met: jax.Array


def weak_wolfe(
    slope_rtol: float = 1e-4, curvature_rtol: float = 0.9, max_trials: int = 60
) -> optax.GradientTransformationExtraArgs:
    r"""A step length t that decreases the value and flattens the slope, by doubling and bisection from t = 1.

    With the direction p: $f(x + t p) \le f(x) + c_1 t\, g^\top p$ and $\nabla f(x + t p)^\top p \ge c_2\, g^\top p$.
    The second keeps $y^\top s > 0$ in quasi-Newton methods. Too long a step (first condition fails) is an upper end,
    too short a one (second fails) a lower end of the interval. What the value cannot resolve counts as equal.

    Args:
        slope_rtol: c_1, in (0, curvature_rtol).
        curvature_rtol: c_2, in (slope_rtol, 1).
        max_trials: how many lengths are tried before the last one is taken all the same.
    Raises:
        InputError: if a number is outside its interval.

    Source: Lewis and Overton, Nonsmooth optimization via quasi-Newton methods, Math. Program. 141 (2013),
        the line search of section 4, with 1 as first trial.
    """
    within("weak_wolfe: curvature_rtol", curvature_rtol, above=0, below=1)
    within("weak_wolfe: slope_rtol", slope_rtol, above=0, below=curvature_rtol)
    _at_least_one("weak_wolfe: max_trials", max_trials)

    def init(params) -> WolfeState:
        one = jnp.ones((), optax.tree.dtype(params, "lowest"))
        return WolfeState(one, jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def update(updates, state, params, *, value, grad, value_fn, **extra):
        data, slope = named(value_fn, extra), optax.tree.vdot(grad, updates)
        highest = value + round_off(value)

        def at(t):
            point = jax.tree.map(lambda x, p: x + t * p, params, updates)
            trial, gradient = jax.value_and_grad(lambda x: value_fn(x, **data))(point)
            return trial, optax.tree.vdot(gradient, updates)

        def searching(carry):
            _, _, _, trials, met = carry
            return ~met & (trials < max_trials)

        def attempt(carry):
            low, high, t, trials, _ = carry
            trial, steepness = at(t)
            low_enough = trial <= highest + slope_rtol * t * slope
            flat_enough = steepness >= curvature_rtol * slope
            met = low_enough & flat_enough
            low, high = jnp.where(low_enough, t, low), jnp.where(low_enough, high, t)
            following = jnp.where(jnp.isinf(high), 2 * t, (low + high) / 2)
            # The last trial is the step, also where no trial meets the conditions.
            t = jnp.where(met | (trials + 1 == max_trials), t, following)
            return low, high, t, trials + 1, met

        one = jnp.ones_like(state.learning_rate)
        start = (jnp.zeros_like(one), jnp.full_like(one, jnp.inf), one, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
        _, _, t, trials, met = jax.lax.while_loop(searching, attempt, start)
        return optax.tree.scale(t, updates), WolfeState(t, trials, met)

    return optax.GradientTransformationExtraArgs(init, update)


def _at_least_one(what: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{what} is {value}; allowed: 1 or more")
