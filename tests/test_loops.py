"""The compiled loops: the same for every optimiser, equal to a plain Python loop, and compiled once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.loops import Problem, minimise, timed, trace
from jaxderiv.catalogue.classification import logistic
from jaxderiv.errors import InputError
from jaxderiv.optimisers import newton, newton_cg

# optax's adam and lbfgs rely on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion

PROBLEM = Problem(logistic.loss, logistic.gradient)
OPTIMISERS = {
    "gradient descent": optax.sgd(0.5),
    "momentum": optax.sgd(0.2, momentum=0.8),
    "nesterov": optax.sgd(0.2, momentum=0.8, nesterov=True),
    "adam": optax.adam(0.05),
    "lbfgs": optax.lbfgs(),
    "newton": newton(logistic.hessian),
    "newton_cg": newton_cg(logistic.hvp),
}


def observations(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 3))
    return {"X": X, "y": (X[:, 0] + rng.normal(size=30) > 0).astype(float), "lam": 0.1}


START = np.array([1.0, -1.0, 0.5])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_one_loop_serves_every_optimiser(name):
    found = minimise(PROBLEM, OPTIMISERS[name], START, observations(), tolerance=1e-8, limit=3000)
    assert found.stopped == "tolerance"
    assert 0 < found.steps < 3000
    assert found.gradient_norm <= 1e-8


@pytest.mark.parametrize("name", ["momentum", "newton"])
def test_the_loops_agree_to_the_bit(name):
    found = minimise(PROBLEM, OPTIMISERS[name], START, observations(), tolerance=1e-8, limit=3000)
    recorded = trace(PROBLEM, OPTIMISERS[name], START, observations(), found.steps)
    np.testing.assert_array_equal(recorded.params, found.params)
    assert recorded.value.shape == recorded.gradient_norm.shape == (found.steps + 1,)
    assert recorded.gradient_norm[-1] == found.gradient_norm
    assert (recorded.gradient_norm[:-1] > 1e-8).all()


def test_a_trace_is_what_a_plain_loop_does():
    data, w, rows = observations(), START, []
    for _ in range(5):
        rows.append((logistic.loss(w, **data), np.linalg.norm(logistic.gradient(w, **data)), w))
        w = w - 0.5 * logistic.gradient(w, **data)
    found = trace(PROBLEM, OPTIMISERS["gradient descent"], START, data, 4, lambda w, state: w)
    for k, expected in enumerate(zip(*rows, strict=True)):
        np.testing.assert_allclose((found.value, found.gradient_norm, found.recorded)[k], expected, rtol=1e-13)
    np.testing.assert_array_equal(found.recorded[-1], found.params)


def test_chunks_change_nothing_but_the_reports():
    data, optimiser, reports = observations(), OPTIMISERS["momentum"], []
    whole = trace(PROBLEM, optimiser, START, data, 10)
    parts = trace(PROBLEM, optimiser, START, data, 10, chunk=4, report=lambda *now: reports.append(now))
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert reports == [(4, 10), (8, 10), (10, 10)]
    whole = minimise(PROBLEM, optimiser, START, data, 1e-3, 500)
    assert minimise(PROBLEM, optimiser, START, data, 1e-3, 500, chunk=7).steps == whole.steps


def test_no_steps_record_the_start():
    found = trace(PROBLEM, OPTIMISERS["gradient descent"], START, observations(), 0)
    np.testing.assert_array_equal(found.params, START)
    assert found.value.shape == (1,)


def test_a_minimum_that_is_the_start_needs_no_step():
    found = minimise(PROBLEM, OPTIMISERS["newton"], START, observations(), tolerance=1e3, limit=5)
    assert (found.stopped, found.steps) == ("tolerance", 0)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_the_limit_stops(chunk):
    found = minimise(PROBLEM, OPTIMISERS["gradient descent"], START, observations(), 1e-12, 7, chunk=chunk)
    assert (found.stopped, found.steps) == ("limit", 7)


def quartic(w, scale):
    return scale * jnp.sum(w**4)


def test_values_that_are_not_finite_stop():
    problem = Problem(quartic, jax.grad(quartic))
    found = minimise(problem, optax.sgd(1.0), np.array([10.0]), {"scale": 1.0}, 1e-6, 1000)
    assert found.stopped == "not finite"
    assert found.steps < 10


def test_other_data_starts_and_tolerances_run_the_same_program():
    traced = []

    def counted(w, X, y, lam):
        traced.append(1)
        return logistic.loss(w, X, y, lam)

    problem, optimiser = Problem(counted, logistic.gradient), OPTIMISERS["newton"]
    trace(problem, optimiser, START, observations(0), 5)
    minimise(problem, optimiser, START, observations(0), 1e-6, 50)
    before = len(traced)
    trace(problem, optimiser, 2 * START, observations(1), 5)
    minimise(problem, optimiser, 2 * START, {**observations(1), "lam": 0.3}, 1e-9, 70, chunk=9)
    assert len(traced) == before > 0


def test_timed_returns_the_second_call():
    calls = []
    result, compile_seconds, seconds = timed(lambda: calls.append(1) or len(calls))
    assert result == 2
    assert compile_seconds >= 0
    assert seconds >= 0


@pytest.mark.parametrize(("start", "limit", "words"), [([1.0], 0, "limit is 0"), ([1], 5, "dtype int")])
def test_bad_settings_are_told_in_words(start, limit, words):
    problem = Problem(lambda w: w @ w, lambda w: 2 * w)
    with pytest.raises(InputError, match=words):
        minimise(problem, optax.sgd(0.1), np.array(start), {}, 1e-6, limit)
