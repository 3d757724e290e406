"""A problem and an optax transformation as one step function, and what the loops of `experiments.loops` see of it.

Steps, recorders and judges are static arguments of the compiled loops. They are tuples, so that two made of the same
functions are equal and share a compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import named, within

# What the project's words for data may be: strength of a penalty, share of its l1 norm, penalty of ADMM.
INTERVALS = {"lam": {"least": 0.0}, "l1_ratio": {"least": 0.0, "most": 1.0}, "rho": {"above": 0.0}}


class Problem(NamedTuple):
    """What is minimised: ``loss(params, **data)``, a scalar, and its hand-derived ``gradient(params,
    **data)``.

    For a proximal method the loss is the sum of both functions and the gradient that of the smooth one.
    """

    loss: Callable[..., jax.Array]
    gradient: Callable[..., jax.Array]


class State(NamedTuple):
    """Of an optax transformation that runs in the loops; value and gradient are those at params."""

    params: jax.Array
    memory: Any
    value: jax.Array
    gradient: jax.Array


class Method(NamedTuple):
    """Problem and transformation as a step. (Equal ones are one static argument.)"""

    problem: Problem
    optimiser: optax.GradientTransformation

    def begin(self, start, data):
        start = jnp.asarray(start)
        floats(start)
        return State(start, self.optimiser.init(start), *_evaluate(start, data, self.problem))

    def __call__(self, state, **data):
        optimiser = optax.with_extra_args_support(self.optimiser)
        known = {"value": state.value, "grad": state.gradient, "value_fn": self.problem.loss}
        updates, memory = optimiser.update(state.gradient, state.memory, state.params, **known, **data)
        params = optax.apply_updates(state.params, updates)
        return State(params, memory, *_evaluate(params, data, self.problem))

    def point(self, state):
        return optax.tree.get(state.memory, "iterate", state.params)

    def at_point(self, state, data):
        point, value, gradient = self.point(state), state.value, state.gradient
        if point is not state.params:
            value, gradient = _evaluate(point, data, self.problem)
        return point, value, jnp.linalg.norm(gradient.ravel())


class Rows(NamedTuple):
    """What `trace` records."""

    method: Method
    record: Callable[..., Any]

    def __call__(self, state, **data):
        point, value, norm = self.method.at_point(state, data)
        return value, norm, self.record(point, state.memory, **named(self.record, data, given=2))


class Judgement(NamedTuple):
    certificate: Any
    value: Any
    size: Any  # of the point
    gradient_norm: Any = 0.0


class MethodJudge(NamedTuple):
    method: Method
    certificate: Callable[..., Any] | None

    def __call__(self, state, **data):
        point, value, norm = self.method.at_point(state, data)
        certified = norm if self.certificate is None else self.certificate(point, **named(self.certificate, data))
        return Judgement(certified, value, optax.tree.norm(point), norm)


class PointJudge(NamedTuple):
    point: Callable[[Any], Any]
    certificate: Callable[..., Any]
    value: Callable[..., Any]

    def __call__(self, state, **data):
        point = self.point(state)
        certified = self.certificate(point, **named(self.certificate, data))
        return Judgement(certified, self.value(point, **named(self.value, data)), optax.tree.norm(point))


def floats(point: Any) -> None:
    """Raise InputError unless a point is made of floats."""
    for leaf in jax.tree.leaves(point):
        dtype = jnp.asarray(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise InputError(f"start has dtype {dtype}; steps are taken in floats: write start.astype(float)")


def checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data; InputError for those that are empty or outside of their interval."""
    for name, value in data.items():
        for leaf in jax.tree.leaves(value):
            if not np.size(leaf):
                raise InputError(f"{name} has shape {np.shape(leaf)}; allowed: one entry or more")
            if name in INTERVALS:
                for extreme in (np.min(leaf), np.max(leaf)):
                    within(name, extreme, **INTERVALS[name])
    return dict(data)


def strong(state):
    """A state of arrays whose types a loop keeps."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), state)


@partial(jax.jit, static_argnums=2)
def _evaluate(params, data, problem):
    return tuple(formula(params, **named(formula, data)) for formula in problem)
