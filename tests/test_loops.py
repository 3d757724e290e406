"""The compiled loops: the same for every optimiser and step, equal to a plain Python loop, compiled once, and clear
about why they stop.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import certificates, steps
from experiments.loops import Problem, follow, iterate, minimise, timed, trace
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.regression import least_squares
from jaxderiv.errors import InputError
from jaxderiv.optimisers import (
    bfgs,
    fista,
    irls,
    nesterov,
    newton,
    newton_cg,
    prox_l1,
    regularised_newton,
    trust_region,
)

# optax's adam and lbfgs rely on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion

PROBLEM = Problem(logistic.loss, logistic.gradient)
OPTIMISERS = {
    "gradient descent": optax.sgd(0.5),
    "momentum": optax.sgd(0.2, momentum=0.8),
    "nesterov": optax.sgd(0.2, momentum=0.8, nesterov=True),
    "adam": optax.adam(0.05),
    "lbfgs": optax.lbfgs(),
    "accelerated": nesterov(0.5),
    "bfgs": bfgs(),
    "irls": irls(logistic.residual, logistic.curvature, penalty=lambda X, lam: len(X) * lam),
    "regularised newton": regularised_newton(logistic.hessian, 5.0),
    "trust region": trust_region(logistic.hessian),
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
    assert found.stopped == "converged"
    assert 0 < found.steps < 3000
    assert found.gradient_norm <= 1e-8


@pytest.mark.parametrize("name", ["momentum", "newton", "accelerated"])
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
    assert (found.stopped, found.steps) == ("converged", 0)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_the_limit_stops(chunk):
    found = minimise(PROBLEM, OPTIMISERS["gradient descent"], START, observations(), 1e-12, 7, chunk=chunk)
    assert (found.stopped, found.steps) == ("limit", 7)


def bowl(w, scale):
    return scale / 2 * jnp.sum(w**2)


BOWL = Problem(bowl, jax.grad(bowl))


@pytest.mark.parametrize(
    ("rate", "start", "reason"),
    [
        (0.6, 1.0, "diverged"),  # the limit of stability is 2/L = 0.5
        (0.4, 1.0, "converged"),
        (0.5, 1.0, "limit"),  # w only changes its sign
        (0.4, np.nan, "not finite"),
        (0.4, np.inf, "not finite"),
        (1e300, 1.0, "not finite"),  # the value overflows
    ],
)
def test_every_reason_to_stop(rate, start, reason):
    data, begin, step_size = {"scale": 4.0}, np.full(2, start), {"rate": rate}
    found = minimise(BOWL, optax.sgd(rate), begin, data, 1e-6, 300)
    again = iterate(descend, begin, {**data, **step_size}, slope_norm, 1e-6, 300, bowl)
    assert found.stopped == again.stopped == reason
    assert found.steps == again.steps
    np.testing.assert_allclose(found.params, again.point, rtol=1e-12)
    if not np.isfinite(start):
        assert found.steps == 0
    if reason == "diverged":
        assert found.value > 1e6 * bowl(begin, 4.0) > bowl(begin, 4.0) * abs(1 - 4 * rate) ** (2 * found.steps - 2)


def descend(w, scale, rate):
    return w - rate * scale * w


def slope_norm(w, scale):
    return scale * jnp.linalg.norm(w)


@pytest.mark.parametrize(("tolerance", "reason"), [(1.0, "limit"), (1.5, "converged")])
def test_at_the_limit_the_tolerance_decides(tolerance, reason):
    """The slope, the certificate, is 1.5 after one step."""
    found = iterate(descend, np.array([3.0]), {"scale": 1.0, "rate": 0.5}, slope_norm, tolerance, 1)
    assert (found.stopped, found.steps, found.certificate) == (reason, 1, 1.5)


def test_what_runs_off_without_a_rising_value_diverges_as_well():
    """The value falls for ever; only the point grows."""
    problem = Problem(lambda w: -jnp.sum(w**2) / 2, lambda w: -w)
    found = minimise(problem, optax.sgd(1.0), np.ones(2), {}, 1e-6, 300)
    assert found.stopped == "diverged"
    assert found.value < 0
    assert 1e6 * np.sqrt(2) < np.linalg.norm(found.params) <= 2e6 * np.sqrt(2)


def test_a_small_start_is_no_reason_to_call_growth_divergence():
    """From 1e-9 to the minimum at 1 the point grows by 1e9."""
    problem = Problem(lambda w: jnp.sum((w - 1) ** 2), lambda w: 2 * (w - 1))
    assert minimise(problem, optax.sgd(0.1), np.full(2, 1e-9), {}, 1e-6, 300).stopped == "converged"


def test_values_that_are_not_finite_stop():
    problem = Problem(lambda w: -jnp.log(w).sum(), lambda w: 1 / w)  # the wrong sign leads out of the domain
    found = minimise(problem, optax.sgd(0.3), np.array([1.0]), {}, 1e-6, 1000)
    assert found.stopped == "not finite"
    assert found.steps < 10


# Accelerated methods are judged at x, composite ones by another certificate ---
def test_the_points_of_an_accelerated_method_are_its_iterates():
    data, method = observations(), OPTIMISERS["accelerated"]
    found = trace(PROBLEM, method, START, data, 6, lambda x, state: (x, optax.tree.get(state, "iterate")))
    points, iterates = found.recorded
    np.testing.assert_array_equal(points, iterates)
    np.testing.assert_allclose(found.value, [logistic.loss(x, **data) for x in points], rtol=1e-12)
    norms = [np.linalg.norm(logistic.gradient(x, **data)) for x in points]
    np.testing.assert_allclose(found.gradient_norm, norms, rtol=1e-9)
    np.testing.assert_array_equal(found.params, points[-1])


def sparse_observations():
    data = observations()
    return {**data, "y": 2 * data["X"][:, 0] + np.cos(np.arange(30.0)), "lam": 8.0}


LASSO = Problem(certificates.elastic_net, least_squares.gradient)


def test_another_certificate_decides():
    data = sparse_observations()
    method = fista(1 / float(np.linalg.eigvalsh(data["X"].T @ data["X"])[-1]), prox_l1)
    found = minimise(LASSO, method, START, data, 1e-9, 2000, certificate=certificates.elastic_net_kkt)
    assert found.stopped == "converged"
    assert found.certificate <= 1e-9
    np.testing.assert_allclose(found.certificate, certificates.elastic_net_kkt(found.params, **data), atol=1e-14)
    assert found.gradient_norm > 1, "the smooth part alone has a slope at the minimum of the sum"
    np.testing.assert_allclose(found.value, certificates.elastic_net(found.params, **data), rtol=1e-14)


def test_the_recorder_takes_data_by_name_behind_point_and_state():
    data = sparse_observations()

    def record(y, state, X):  # its first argument is the point, whatever its name
        return X @ y

    found = trace(LASSO, optax.sgd(0.01), START, data, 3, record)
    np.testing.assert_allclose(found.recorded[-1], data["X"] @ found.params, rtol=1e-12)


# Any step ---------------------------------------------------------------------
def test_following_and_iterating_are_a_plain_loop():
    data = sparse_observations()
    found = iterate(
        steps.coordinate_descent, START, data, certificates.elastic_net_kkt, 1e-9, 100, certificates.elastic_net
    )
    state, recorded = follow(steps.coordinate_descent, START, data, found.steps)
    np.testing.assert_array_equal(found.point, recorded[-1])
    np.testing.assert_array_equal(found.state, state)
    kkt = [certificates.elastic_net_kkt(w, **data) for w in recorded]
    assert found.stopped == "converged"
    assert kkt[-1] <= 1e-9 < min(kkt[:-1])
    np.testing.assert_allclose(found.certificate, kkt[-1], atol=1e-13)
    np.testing.assert_allclose(found.value, certificates.elastic_net(recorded[-1], **data), rtol=1e-14)


def double(pair):
    w, count = pair
    return 2 * w, count + 1


def test_a_state_of_several_parts_and_its_point():
    start = (np.ones(2), np.int32(0))
    found = iterate(double, start, {}, lambda w: 1 / w[0], 1e-3, 100, point=lambda pair: pair[0])
    assert found.stopped == "converged"
    assert found.steps == found.state[1] == 10
    np.testing.assert_array_equal(found.point, 1024.0)
    state, recorded = follow(double, start, {}, 3, lambda pair: pair[1])
    np.testing.assert_array_equal(recorded, [0, 1, 2, 3])
    assert state[1] == 3


def test_chunks_of_any_step_change_nothing_but_the_reports():
    data, reports = sparse_observations(), []
    whole = follow(steps.coordinate_descent, START, data, 10)
    parts = follow(steps.coordinate_descent, START, data, 10, chunk=4, report=lambda *now: reports.append(now))
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert reports == [(4, 10), (8, 10), (10, 10)]
    found = [
        iterate(descend, START, {"scale": 1.0, "rate": 0.1}, slope_norm, 1e-3, 500, chunk=chunk) for chunk in (3, 1000)
    ]
    assert found[0].steps == found[1].steps
    np.testing.assert_array_equal(found[0].point, found[1].point)


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


def test_other_data_run_the_same_program_of_any_step():
    traced = []

    def counted(w, X, y, lam):
        traced.append(1)
        return steps.coordinate_descent(w, X, y, lam)

    data, kkt = sparse_observations(), certificates.elastic_net_kkt
    iterate(counted, START, data, kkt, 1e-6, 50)
    follow(counted, START, data, 5)
    before = len(traced)
    iterate(counted, 2 * START, {**data, "X": 2 * data["X"], "lam": 3.0}, kkt, 1e-9, 70, chunk=9)
    follow(counted, 2 * START, {**data, "lam": 3.0}, 5)
    assert len(traced) == before > 0


def test_equal_steps_with_options_share_a_program():
    assert steps.Admm(steps.ridge_step, prox_l1) == steps.lasso_admm
    assert hash(steps.Admm(steps.ridge_step, prox_l1)) == hash(steps.lasso_admm)


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


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"X": np.zeros((0, 3)), "y": np.zeros(0), "lam": 1.0}, r"X has shape \(0, 3\); allowed: one entry or more"),
        ({**observations(), "lam": -1.0}, "lam is -1.0; allowed: 0 <= lam"),
        ({**observations(), "lam": np.nan}, "lam is nan; allowed"),
        ({**observations(), "l1_ratio": 1.5}, "l1_ratio is 1.5; allowed: 0 <= l1_ratio <= 1"),
        ({**observations(), "rho": 0.0}, "rho is 0.0; allowed: 0 < rho"),
    ],
)
def test_bad_data_are_told_in_words_by_every_loop(data, words):
    kkt, method = certificates.elastic_net_kkt, OPTIMISERS["momentum"]
    for call in (
        lambda: trace(PROBLEM, method, START, data, 5),
        lambda: minimise(PROBLEM, method, START, data, 1e-6, 5),
        lambda: follow(steps.coordinate_descent, START, data, 5),
        lambda: iterate(steps.coordinate_descent, START, data, kkt, 1e-6, 5),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize(
    ("start", "tolerance", "limit", "words"),
    [([1.0], 1e-6, 0, "limit is 0"), ([1], 1e-6, 5, "dtype int"), ([1.0], -1.0, 5, "tolerance is -1.0; allowed: 0 <=")],
)
def test_bad_settings_of_any_step_are_told_in_words(start, tolerance, limit, words):
    with pytest.raises(InputError, match=words):
        iterate(descend, np.array(start), {"scale": 1.0, "rate": 0.1}, slope_norm, tolerance, limit)
