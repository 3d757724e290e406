"""What the transformations share about their arguments: formulas take data by name; numbers have an interval."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxderiv.errors import InputError

Formula = Callable[..., Any]
Rate = float | Callable[[Any], Any]  # a step size, or an optax schedule: the number of steps so far -> step size


def named(formula: Formula, data: Mapping[str, Any], given: int = 1) -> dict[str, Any]:
    """Those of the data that the formula names behind its first arguments, which are given by position; all of them if
    it takes ``**data``.
    """
    parameters = list(inspect.signature(formula).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(data)
    return {parameter.name: data[parameter.name] for parameter in parameters[given:] if parameter.name in data}


def one_array(params: Any) -> jax.Array:
    """The parameter, which second-order methods need as one array.

    Raises:
        InputError: if it is a pytree.
    """
    if not isinstance(params, jax.Array):
        raise InputError(
            f"the parameter is a {type(params).__name__}; second-order methods take one array: join the "
            "parameters by jax.flatten_util.ravel_pytree"
        )
    return params


def within(
    what: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> None:
    """Raise InputError unless above < value < below and least <= value <= most; NaN and infinity are refused. What
    value a traced array will have is not known yet: it passes.
    """
    if isinstance(value, jax.core.Tracer):
        return
    if not (above < value < below and least <= value <= most):
        lower = f"{above:g} < " if above > -math.inf else f"{least:g} <= " if least > -math.inf else ""
        upper = f" < {below:g}" if below < math.inf else f" <= {most:g}" if most < math.inf else ""
        raise InputError(f"{what} is {value}; allowed: {lower}{what.rsplit(': ')[-1]}{upper}")


def checked_rate(rate: Rate, what: str) -> Any:
    """The schedule as it is, or the number, which has to be above 0 (as a Python float: a NumPy one would turn float32
    into float64).
    """
    if callable(rate):
        return rate
    within(f"{what}: learning_rate", rate, above=0)
    return float(rate) if isinstance(rate, int | float) else rate


def round_off(value: Any) -> jax.Array:
    """Below this, differences of such a value are noise: 64 units of its round-off.

    A loss that is a mean of n terms carries a few rounding errors. A test of decrease that compares noise would stop a
    method of Newton's kind at half of its digits.
    """
    return 64 * jnp.finfo(jnp.result_type(value)).eps * jnp.abs(value)
