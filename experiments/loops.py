"""The compiled loops that all scripts share, for every optax transformation and every step function.

`trace` and `minimise` run a transformation, whichever it is: each step hands it all that any of them asks for, value,
gradient, loss and the data by name. `follow` and `iterate` run any pure function state -> state, such as those of
`experiments.steps`. `trace` and `follow` take so many steps and record each; `minimise` and `iterate` stop at a
certificate and say why they stopped:

    "converged"     the certificate is at most the tolerance
    "limit"         so many steps were taken
    "diverged"      the value, or the norm of the point, is beyond 1e6 times the larger of 1 and its start
    "not finite"    the certificate, the value or the point is NaN or infinite

Formulas, transformation, step, certificate and recorder are static: a loop is compiled once per combination of them, of
shapes and of a chunk's length. Start, data and tolerance are arguments, so that other numbers run the same program.
(``optax.sgd(0.1)`` makes a new transformation at every call: make it once and pass it twice.) All formulas take their
data **by name**, and only what they name.
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

from experiments.methods import Method, MethodJudge, PointJudge, Problem, Rows, checked, floats, strong
from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import named, within

Report = Callable[[int, int], object]

GROWTH = 1e6  # of the value or of the point, beyond which a run has diverged


def silent(done: int, total: int) -> None:
    """Report nothing."""


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
        stopped: "converged", "limit", "diverged" or "not finite".
        certificate: what was compared with the tolerance; the gradient norm unless another was asked for.
    """

    params: np.ndarray
    value: float
    gradient_norm: float
    steps: int
    stopped: str
    certificate: float


class Outcome(NamedTuple):
    """Where `iterate` stopped.

    Attributes:
        state: the last state.
        point: the point in it.
        value: the value there; 0 if none was asked for.
        certificate: what was compared with the tolerance.
        steps: number of steps taken.
        stopped: "converged", "limit", "diverged" or "not finite".
    """

    state: Any
    point: Any
    value: float
    certificate: float
    steps: int
    stopped: str


def nothing(params: jax.Array, state: Any) -> tuple[()]:
    """The recorder that records nothing but value and gradient norm."""
    return ()


def whole(state: Any) -> Any:
    """The point of a method whose state is the point."""
    return state


def no_value(point: Any) -> float:
    """For a method that is watched by its certificate and its point alone."""
    return 0.0


def trace(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    start: jax.Array | np.ndarray,
    data: Mapping[str, Any],
    steps: int,
    record: Callable[..., Any] = nothing,
    report: Report = silent,
    chunk: int = 1000,
) -> Trace:
    """Take so many steps and record every one.

    The points are those that the theory speaks of: where the state has an ``iterate`` (x of Nesterov's method and of
    FISTA, whose parameter is y), that is the point, at the price of one more value and gradient.

    Args:
        problem, optimiser: loss and gradient, and any optax transformation.
        start: the first point.
        data: the other arguments of the loss, by name.
        steps: number of steps, 0 or more.
        record: ``record(point, state)``, a pure function of the point and of the optimiser's state there; it may take
            data by name.
        report: called with (steps done, steps) after each chunk; Ctrl-C is answered between chunks.
        chunk: steps per call of the compiled program.
    Raises:
        InputError: for a start that is not of floats, or data that are empty or outside of their interval.
    """
    method, data = Method(problem, optimiser), checked(data)
    final, rows = follow(method, method.begin(start, data), data, steps, Rows(method, record), report, chunk)
    return Trace(np.asarray(method.point(final)), *rows)


def follow(
    step: Callable[..., Any],
    start: Any,
    data: Mapping[str, Any],
    steps: int,
    record: Callable[..., Any] = whole,
    report: Report = silent,
    chunk: int = 1000,
) -> tuple[Any, Any]:
    """Apply a step so many times and record every state.

    Args:
        step: ``step(state, **data)``, pure: the next state.
        start: the first state, a pytree.
        record: ``record(state, **data)``, pure; the other arguments and errors are as in `trace`.
    Returns:
        The last state, and what was recorded: each array with a leading axis of length steps + 1, the start first.
    """
    data, state, rows = checked(data), strong(start), []
    for done in range(0, steps, chunk):
        length = min(chunk, steps - done)
        state, part = _scan(state, data, step, record, length)
        rows.append(jax.device_get(part))
        report(done + length, steps)
    rows.append(jax.device_get(_last_row(state, data, record)))
    return jax.device_get(state), jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def minimise(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    start: jax.Array | np.ndarray,
    data: Mapping[str, Any],
    tolerance: float,
    limit: int,
    report: Report = silent,
    chunk: int = 1000,
    certificate: Callable[..., Any] | None = None,
) -> Minimum:
    """Step until the gradient norm, or another certificate, is at most the tolerance.

    Args:
        tolerance: on the certificate; for the gradient norm, in units of the loss per unit of the parameter.
        limit: the largest number of steps, 1 or more.
        certificate: ``certificate(point, **data)``, 0 at a minimum, such as `certificates.elastic_net_kkt`.
        Points and the other arguments are as in `trace`.
    Raises:
        InputError: for a limit below 1, a negative tolerance, and as in `trace`.
    """
    method, data = Method(problem, optimiser), checked(data)
    judge = MethodJudge(method, certificate)
    state, found, steps, stopped = _run(method, method.begin(start, data), data, tolerance, limit, judge, report, chunk)
    params = np.asarray(method.point(state))
    return Minimum(params, float(found.value), float(found.gradient_norm), steps, stopped, float(found.certificate))


def iterate(
    step: Callable[..., Any],
    start: Any,
    data: Mapping[str, Any],
    certificate: Callable[..., Any],
    tolerance: float,
    limit: int,
    value: Callable[..., Any] = no_value,
    point: Callable[[Any], Any] = whole,
    report: Report = silent,
    chunk: int = 1000,
) -> Outcome:
    """Apply a step until the certificate of its point is at most the tolerance.

    Args:
        step: ``step(state, **data)``, pure: the next state.
        start, data: the first state, a pytree; the arguments of step, certificate and value, by name.
        certificate: ``certificate(point, **data)``, a number of 0 or more that is 0 at a solution.
        tolerance: on the certificate, 0 or more.
        limit: the largest number of steps, 1 or more.
        value: ``value(point, **data)``, watched for divergence.
        point: the solution in a state; the whole state if not given.
        report, chunk: as in `trace`; errors as in `minimise`.
    """
    floats(point(start))
    judge = PointJudge(point, certificate, value)
    state, found, steps, stopped = _run(step, start, checked(data), tolerance, limit, judge, report, chunk)
    state = jax.device_get(state)
    return Outcome(state, point(state), float(found.value), float(found.certificate), steps, stopped)


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


def _run(step, start, data, tolerance, limit, judge, report, chunk):
    """The last state, its judgement, the steps taken and the reason to stop."""
    if limit < 1:
        raise InputError(f"limit is {limit}; allowed: 1 or more steps")
    within("tolerance", tolerance, least=0)
    state, steps, bound = strong(start), jnp.zeros((), int), 0
    # No steps yet: the same program judges the start.
    state, steps, found = _until(state, steps, data, (tolerance, 0, np.inf, np.inf), step, judge)
    highest, farthest = (GROWTH * max(1.0, abs(float(begun))) for begun in (found.value, found.size))
    while int(steps) == bound and bound < limit:
        bound = min(bound + chunk, limit)
        state, steps, found = _until(state, steps, data, (tolerance, bound, highest, farthest), step, judge)
        report(int(steps), limit)
    if not np.isfinite([found.certificate, found.value, found.size]).all():
        return state, found, int(steps), "not finite"
    if found.certificate <= tolerance:
        return state, found, int(steps), "converged"
    grown = found.value > highest or found.size > farthest
    return state, found, int(steps), "diverged" if grown else "limit"


@partial(jax.jit, static_argnums=(2, 3, 4))
def _scan(state, data, step, record, steps):
    def advance(state, _):
        return step(state, **named(step, data)), record(state, **named(record, data))

    return jax.lax.scan(advance, state, length=steps)


@partial(jax.jit, static_argnums=2)
def _last_row(state, data, record):
    return jax.tree.map(lambda x: jnp.asarray(x)[None], record(state, **named(record, data)))


@partial(jax.jit, static_argnums=(4, 5))
def _until(state, steps, data, bounds, step, judge):
    tolerance, limit, highest, farthest = bounds

    def going(carry):
        _, steps, (certificate, value, size, _) = carry
        # Comparisons with NaN are false: what is not finite stops, too.
        finite = jnp.isfinite(certificate) & jnp.isfinite(value) & jnp.isfinite(size)
        return (certificate > tolerance) & (steps < limit) & (value <= highest) & (size <= farthest) & finite

    def advance(carry):
        state, steps, _ = carry
        state = step(state, **named(step, data))
        return state, steps + 1, judged(state)

    def judged(state):
        return jax.tree.map(jnp.asarray, judge(state, **data))

    return jax.lax.while_loop(going, advance, (state, steps, judged(state)))
