"""Nesterov's acceleration as a transformation, and the best constants for quadratics."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import Rate, checked_rate, within

SCHEDULES = ("t_k", "k/(k+3)")


class ExtrapolationState(NamedTuple):
    """State of `extrapolation`.

    Attributes:
        iterate: x_k, to which the bounds belong; the parameter is y_k, where the gradient is asked for.
        steps: k, so far.
        t: t_k of the schedule "t_k".
    """

    iterate: Any
    steps: jax.Array
    t: jax.Array


def nesterov(learning_rate: Rate, schedule: str | float = "t_k") -> optax.GradientTransformationExtraArgs:
    r"""Nesterov's accelerated gradient: $x_{k+1} = y_k - \alpha \nabla f(y_k)$, $y_{k+1} = x_{k+1} + \beta_k (x_{k+1} -
    x_k)$.

    For convex f whose gradient has the Lipschitz constant L, $\alpha = 1/L$ and a schedule given by name,
    $f(x_k) - f^* \le 2 L R^2 / (k+1)^2$, R the distance of the start from the minimiser. For a strongly convex f, the
    constant $\beta = (\sqrt\kappa - 1) / (\sqrt\kappa + 1)$ of `nesterov_momentum` gives
    $f(x_k) - f^* \le (1 - 1/\sqrt\kappa)^k\, (f(x_0) - f^* + \frac\mu2 R^2)$. `optax.sgd` with ``nesterov=True`` is
    another parametrisation, with a constant factor.

    Args:
        learning_rate: alpha, above 0, or an optax schedule.
        schedule: "t_k" for $(t_k - 1) / t_{k+1}$, $t_{k+1} = (1 + \sqrt{1 + 4 t_k^2}) / 2$, $t_0 = 1$; "k/(k+3)"; or a
            constant in [0, 1).
    Returns:
        A transformation of the parameter y; x is ``optax.tree.get(state, "iterate")``.
    Raises:
        InputError: for a step size that is not positive or an unknown schedule.

    Source: Nesterov (1983); Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009); ML Math Derivations, part 4,
        "Acceleration".
    """
    return optax.chain(descent(learning_rate, "nesterov"), extrapolation(schedule))


def extrapolation(schedule: str | float = "t_k") -> optax.GradientTransformationExtraArgs:
    """What turns any step y -> x into the accelerated one: go on beyond x in the direction from the x before.

    Put it last in `optax.chain`. Arguments and errors as in `nesterov`.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            allowed = ", ".join(repr(name) for name in SCHEDULES)
            raise InputError(f"schedule is {schedule!r}; allowed: {allowed}, or a number in [0, 1)")
    else:
        within("schedule", schedule, least=0, below=1)
        schedule = float(schedule)  # a NumPy number would not keep float32

    def init(params) -> ExtrapolationState:
        return ExtrapolationState(params, jnp.zeros((), jnp.int32), jnp.ones((), optax.tree.dtype(params, "lowest")))

    def update(updates, state, params, **extra):
        del extra
        t = (1 + jnp.sqrt(1 + 4 * state.t**2)) / 2
        k = state.steps.astype(t.dtype)
        beta = {"t_k": (state.t - 1) / t, "k/(k+3)": k / (k + 3)}.get(schedule, schedule)  # type: ignore[arg-type]
        x = jax.tree.map(lambda y, u: y + u, params, updates)
        steps = jax.tree.map(lambda u, new, old: u + beta * (new - old), updates, x, state.iterate)
        return steps, ExtrapolationState(x, state.steps + 1, t)

    return optax.GradientTransformationExtraArgs(init, update)


def descent(learning_rate: Rate, what: str) -> optax.GradientTransformationExtraArgs:
    """`optax.sgd`, with a step size that is checked."""
    return optax.sgd(checked_rate(learning_rate, what))


def nesterov_momentum(mu: float, L: float) -> float:
    r"""$(\sqrt\kappa - 1) / (\sqrt\kappa + 1)$ with $\kappa = L / \mu$: the constant schedule of `nesterov` for
    strongly convex f.

    Raises:
        InputError: unless 0 < mu <= L.
    """
    within("mu", mu, above=0)
    within("L", L, least=mu, below=math.inf)
    return (math.sqrt(L / mu) - 1) / (math.sqrt(L / mu) + 1)


def heavy_ball_rates(mu: float, L: float) -> tuple[float, float]:
    r"""Polyak's $\alpha = 4 / (\sqrt L + \sqrt\mu)^2$ and $\beta = ((\sqrt\kappa - 1) / (\sqrt\kappa + 1))^2$, best for
    quadratics whose eigenvalues lie in [mu, L]: ``optax.sgd(*heavy_ball_rates(mu, L))`` is the method. Elsewhere it may
    cycle.

    Raises:
        InputError: unless 0 < mu <= L.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods (1964).
    """
    momentum = nesterov_momentum(mu, L) ** 2
    return 4 / (math.sqrt(L) + math.sqrt(mu)) ** 2, momentum
