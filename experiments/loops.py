"""The compiled loops that all scripts share, for every optax transformation.

`trace` is a `lax.scan` that records each step; `minimise` is a `lax.while_loop` that stops at a tolerance and
says why it stopped. Plain gradient descent, momentum, Adam, L-BFGS, Newton and Newton-CG run in the same
loop, because each step hands the transformation all that any of them asks for: value, gradient, loss and the
data by name.

Formulas, transformation and recorder are static: a loop is compiled once per combination of them, of shapes
and of a chunk's length. Start, data and tolerance are arguments, so that other numbers run the same program.
(``optax.sgd(0.1)`` makes a new transformation at every call: make it once and pass it twice.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.errors import InputError

Report = Callable[[int, int], object]


def silent(done: int, total: int) -> None:
    """Report nothing."""


class Problem(NamedTuple):
    """What is minimised: ``loss(params, **data)``, a scalar, and its hand-derived ``gradient(params,
    **data)``.
    """

    loss: Callable[..., jax.Array]
    gradient: Callable[..., jax.Array]


class Trace(NamedTuple):
    """A recorded run. Row k is the point after k steps; row 0 is the start.

    Attributes:
        params: the point after the last step.
        value: the loss, (steps + 1,).
        gradient_norm: its Euclidean gradient norm, (steps + 1,).
        recorded: what the recorder returned, each array with a leading axis of length steps + 1.
    """

    params: np.ndarray
    value: np.ndarray
    gradient_norm: np.ndarray
    recorded: Any


class Minimum(NamedTuple):
    """Where `minimise` stopped.

    Attributes:
        params: the last point.
        value: the loss there.
        gradient_norm: the Euclidean norm of the gradient there.
        steps: number of steps taken.
        stopped: "tolerance", "limit", or "not finite" if the loss or the gradient is not.
    """

    params: np.ndarray
    value: float
    gradient_norm: float
    steps: int
    stopped: str


def nothing(params: jax.Array, state: Any) -> tuple[()]:
    """The recorder that records nothing but value and gradient norm."""
    return ()


def trace(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    start: jax.Array | np.ndarray,
    data: Mapping[str, Any],
    steps: int,
    record: Callable[[jax.Array, Any], Any] = nothing,
    report: Report = silent,
    chunk: int = 1000,
) -> Trace:
    """Take so many steps and record every one.

    Args:
        problem: loss and gradient.
        optimiser: any optax transformation.
        start: the first point.
        data: the other arguments of the loss, by name.
        steps: number of steps, 0 or more.
        record: ``record(params, state)``, a pure function of the point and of the optimiser's state there.
        report: called with (steps done, steps) after each chunk; Ctrl-C is answered between chunks.
        chunk: steps per call of the compiled program.
    """
    data, carry = dict(data), _begin(optimiser, start)
    rows = []
    for done in range(0, steps, chunk):
        length = min(chunk, steps - done)
        carry, part = _scan(carry, data, problem, optimiser, record, length)
        rows.append(jax.device_get(part))
        report(done + length, steps)
    rows.append(jax.device_get(_last_row(carry, data, problem, record)))
    value, gradient_norm, recorded = jax.tree.map(lambda *parts: np.concatenate(parts), *rows)
    return Trace(np.asarray(carry[0]), value, gradient_norm, recorded)


def minimise(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    start: jax.Array | np.ndarray,
    data: Mapping[str, Any],
    tolerance: float,
    limit: int,
    report: Report = silent,
    chunk: int = 1000,
) -> Minimum:
    """Step until the gradient norm is at most the tolerance, or the limit of steps, or a value that is not
    finite.

    Args:
        tolerance: on the Euclidean norm of the gradient, in units of the loss per unit of the parameter.
        limit: the largest number of steps, 1 or more; the other arguments are as in `trace`.
    Raises:
        InputError: for a limit below 1, or a start that is not of floats.
    """
    if limit < 1:
        raise InputError(f"limit is {limit}; allowed: 1 or more steps")
    data, carry = dict(data), _begin(optimiser, start)
    steps, bound = jnp.zeros((), int), 0
    while int(steps) == bound and bound < limit:
        bound = min(bound + chunk, limit)
        carry, steps, value, norm = _until(carry, steps, data, tolerance, bound, problem, optimiser)
        report(int(steps), limit)
    if not (np.isfinite(value) and np.isfinite(norm)):
        stopped = "not finite"
    else:
        stopped = "tolerance" if norm <= tolerance else "limit"
    return Minimum(np.asarray(carry[0]), float(value), float(norm), int(steps), stopped)


def timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """Call twice; return the second result, the seconds of compilation and the seconds of the second call.

    Only the first call compiles, so the difference of the two is the time of compilation (and of tracing).
    """
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - begun)
    return result, max(seconds[0] - seconds[1], 0.0), seconds[1]


def _begin(optimiser, start):
    start = jnp.asarray(start)
    if not jnp.issubdtype(start.dtype, jnp.floating):
        raise InputError(f"start has dtype {start.dtype}; steps are taken in floats: write start.astype(float)")
    return start, optimiser.init(start)


def _evaluate(problem, params, data):
    gradient = problem.gradient(params, **data)
    return problem.loss(params, **data), gradient, jnp.linalg.norm(gradient)


def _advance(problem, optimiser, carry, data, value, gradient):
    params, state = carry
    updates, state = optax.with_extra_args_support(optimiser).update(
        gradient, state, params, value=value, grad=gradient, value_fn=problem.loss, **data
    )
    return optax.apply_updates(params, updates), state


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _scan(carry, data, problem, optimiser, record, steps):
    def step(carry, _):
        value, gradient, norm = _evaluate(problem, carry[0], data)
        return _advance(problem, optimiser, carry, data, value, gradient), (value, norm, record(*carry))

    return jax.lax.scan(step, carry, length=steps)


@partial(jax.jit, static_argnums=(2, 3))
def _last_row(carry, data, problem, record):
    value, _, norm = _evaluate(problem, carry[0], data)
    return jax.tree.map(lambda x: jnp.asarray(x)[None], (value, norm, record(*carry)))


@partial(jax.jit, static_argnums=(5, 6))
def _until(carry, steps, data, tolerance, limit, problem, optimiser):
    def going(state):
        _, steps, value, _, norm = state
        return (norm > tolerance) & (steps < limit) & jnp.isfinite(value) & jnp.isfinite(norm)

    def step(state):
        carry, steps, value, gradient, _ = state
        carry = _advance(problem, optimiser, carry, data, value, gradient)
        return carry, steps + 1, *_evaluate(problem, carry[0], data)

    carry, steps, value, _, norm = jax.lax.while_loop(going, step, (carry, steps, *_evaluate(problem, carry[0], data)))
    return carry, steps, value, norm
