"""The solver of smooth models: its certificate is true, whichever sample is taken, and bad data are named."""

import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.peers import smooth as peers
from experiments.solvers import arrays, costs, descent, problem, smooth
from experiments.solvers.arrays import on_device
from experiments.solvers.smooth import solve
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, poisson
from jaxderiv.errors import InputError

POINTWISE = {
    "least squares": lambda z, y: (z - y) ** 2 / 2,
    "huber": lambda z, y: huber.pointwise(z - y, 1.345),
    "logistic": logistic.pointwise,
    "poisson": poisson.pointwise,
    "softmax": softmax.cross_entropy,
}


def data(model, n=120, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d)
    y = {
        "logistic": lambda: (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float),
        "poisson": lambda: rng.poisson(np.exp(z / 2)).astype(float),
        "softmax": lambda: np.eye(3)[rng.integers(3, size=n)],
    }.get(model, lambda: z + rng.standard_t(2, size=n))()
    return X, y


def gradient_norm(model, w, X, y, lam, s, intercept):
    def loss(w):
        z = X @ w[: X.shape[1]] + (w[-1:] if intercept else 0.0)
        return s @ POINTWISE[model](z, y) / jnp.sum(s) + lam / 2 * jnp.sum(w[: X.shape[1]] ** 2)

    with jax.numpy_rank_promotion("allow"):
        return float(jnp.linalg.norm(jax.grad(loss)(w)) / jnp.linalg.norm(jax.grad(loss)(jnp.zeros_like(w))))


@pytest.mark.parametrize("rows", [None, 0, 60])
@pytest.mark.parametrize("model", POINTWISE)
def test_the_certificate_holds_and_is_true(model, rows):
    X, y = data(model)
    s = np.random.default_rng(1).random(len(X))
    found = solve(model, X, y, 0.01, weights=s, intercept=True, rows=rows)
    assert found.stopped == "converged"
    assert found.certificate <= 1e-10
    assert gradient_norm(model, jnp.asarray(found.params), X, y, 0.01, s, True) <= 2e-10


def test_every_sample_finds_the_same_minimum():
    X, y = data("logistic", 400)
    points = [solve("logistic", X, y, 0.01, rows=m, tolerance=1e-12).params for m in (0, 50, 400)]
    assert np.allclose(points, points[0], rtol=1e-9)


def test_the_judge_of_the_race_agrees():
    X, y = data("softmax")
    found = solve("softmax", X, y, 0.01)
    given = peers.Data(X, y, 0.01, model="softmax")
    assert peers.certificate(found.params, given) <= 2e-10
    assert peers.certificate(found.params * 1.001, given) > 1e-5
    assert peers.certificate(found.params[:-1], given) == np.inf


def test_a_run_that_ends_early_says_so():
    X, y = data("logistic")
    found = solve("logistic", X, y, 0.01, rows=0, limit=3)
    assert found.stopped == "limit"
    assert found.certificate > 1e-10
    assert solve("logistic", X, y, 0.01, tolerance=0.0, limit=99).stopped in ("limit", "stalled")


def test_ill_conditioned_columns_cost_no_passes():
    X, y = data("logistic", 4000, 10)
    kind = solve("logistic", X, y, 1e-12, rows=1000)
    unkind = solve("logistic", X * np.logspace(0, -3, 10), y, 1e-12, rows=1000)
    assert unkind.stopped == "converged"
    assert unkind.passes <= kind.passes + 10


def test_columns_that_single_precision_cannot_tell_apart_are_told_apart(monkeypatch):
    X, y = data("logistic", 2000, 80)
    X[:, 1] = X[:, 0] + 1e-5 * X[:, 1]
    how = {"rows": 2000, "tolerance": 1e-9}
    found = solve("logistic", X, y, 1e-12, **how)
    assert found.stopped == "converged"
    assert found.passes < 25
    monkeypatch.setattr(smooth, "DETERMINED", -1.0)
    assert solve("logistic", X, y, 1e-12, **how).passes > 2 * found.passes


def test_it_begins_on_a_small_sample_where_that_pays(monkeypatch):
    X, y = data("logistic", 1000, 5)
    assert costs.Costs(1000, 5, 5, 1, False).first == 0
    whole = solve("logistic", X, y, 0.01, rows=0)
    monkeypatch.setattr(costs, "WORTH", 0.0)
    monkeypatch.setattr(costs, "LEAST", 200)
    assert costs.Costs(1000, 5, 5, 1, False).first == 200
    assert costs.Costs(1000, 50, 50, 1, False).first == 0  # 400 rows would be nearly half of them
    near = solve("logistic", X, y, 0.01, rows=0)
    assert near.stopped == whole.stopped == "converged"
    assert near.passes < whole.passes


def test_a_sample_that_leads_away_is_not_followed(monkeypatch):
    X, y = data("logistic", 1000, 5)
    away = smooth._Near(jnp.full(5, 1e3), descent.no_pairs((5,)), costs.Told(3, 0.5, 200, 1.0))
    monkeypatch.setattr(costs, "WORTH", 0.0)
    monkeypatch.setattr(costs, "LEAST", 200)
    monkeypatch.setattr(smooth, "_on_first_sample", lambda *args: away)
    found = solve("logistic", X, y, 0.01)
    assert found.stopped == "converged"
    assert found.certificate <= 1e-10


def test_what_takes_longer_than_expected_is_given_up(monkeypatch):
    monkeypatch.setattr(costs, "WORTH", 0.0)
    monkeypatch.setattr(costs, "LEAST", 1000)  # no sample
    monkeypatch.setattr(costs, "TYPICAL", 8)
    monkeypatch.setattr(smooth, "ASKED", 0.0)
    X, y = data("logistic", 600, 40)
    X = X * np.logspace(0, -3, 40)
    alone = solve("logistic", X, y, 1e-9, rows=0)
    lines = []
    found = solve("logistic", X, y, 1e-9, report=lines.append)
    assert lines[0].startswith("chosen  L-BFGS: 10 passes")
    assert lines[1].startswith("after 11 passes  Newton's method on")
    assert found.method.startswith("Newton")
    assert found.stopped == "converged"
    assert found.passes < alone.passes / 2


@pytest.mark.parametrize(
    ("model", "change", "how"),
    [
        ("logistic", lambda y: y, {"tolerance": 0.0, "limit": 60}),
        ("logistic", lambda y: y, {"tolerance": 0.9}),
        ("logistic", lambda y: 0 * y + 0.5, {}),  # the minimum is at 0
        ("huber", lambda y: y + 1e3, {"delta": 1e-6}),  # no row has curvature
        ("poisson", lambda y: 50 * y, {}),
        ("softmax", lambda y: y[:, [0, 1, 2, 2]] / [1, 1, 2, 2], {}),
    ],
)
def test_extreme_data_have_an_answer_that_says_what_it_is(model, change, how, monkeypatch):
    monkeypatch.setattr(costs, "WORTH", 0.0)
    monkeypatch.setattr(costs, "LEAST", 200)
    X, y = data(model, 1000, 4)
    for free in (np.inf, 10):
        monkeypatch.setattr(smooth, "_free_memory", lambda free=free: free)
        found = solve(model, X, change(y), 1e-3, **how)
        assert np.isfinite(found.params).all()
        assert found.stopped == ("converged" if found.certificate <= how.get("tolerance", 1e-10) else found.stopped)
        assert found.stopped in (("limit", "stalled") if how.get("tolerance") == 0 else ("converged", "stalled"))


@pytest.mark.parametrize("intercept", [False, True])
def test_softmax_runs_in_a_metric_that_classes_share(intercept, monkeypatch):
    X, y = data("softmax", 400, 20)
    X = X * np.logspace(0, -3, 20)
    s = np.arange(400) % 3.0
    how = {"weights": s, "intercept": intercept}
    shared, newton = (solve("softmax", X, y, 1e-6, rows=rows, **how) for rows in (0, 400))
    assert shared.stopped == newton.stopped == "converged"
    assert np.allclose(shared.params[:20], newton.params[:20], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(costs, "FOR_METRIC", 0)
    assert 4 * shared.passes < solve("softmax", X, y, 1e-6, rows=0, **how).passes


def test_the_metric_is_made_where_it_costs_a_few_passes():
    assert costs.Costs(1797, 64, 640, 10, False).metric == costs.FOR_METRIC * 64
    assert costs.Costs(500, 64, 640, 10, False).metric == 500
    assert costs.Costs(300, 1000, 3000, 3, False).metric == 0
    assert costs.Costs(10_000, 64, 64, 1, False).metric == 0


def test_where_nothing_is_known_l_bfgs_is_tried_first():
    shape = costs.Costs(5000, 100, 100, 1, False)
    assert shape.first == 0
    tried, best, *_ = shape.choices(1e-10, None, np.inf)
    assert (tried.rows, best.rows > 0) == (0, True)
    assert tried.passes >= costs.FEWEST_TRIED
    assert tried.seconds == pytest.approx(costs.TRIAL * best.seconds)
    X, y = data("logistic", 5000, 100)
    kind = solve("logistic", X, y, 1e-2)
    assert (kind.method, kind.passes < 20) == ("L-BFGS", True)
    unkind = solve("logistic", X * np.logspace(0, -4, 100), y, 1e-9)
    assert unkind.method.startswith("Newton's method")
    assert kind.stopped == unkind.stopped == "converged"


def test_rows_count_as_much_as_their_curvature():
    X, y = data("logistic", 500, 3)
    how = {"loss": smooth._kernel("logistic", 1.345), "intercept": False}
    even = lambda w, X, s=None: float(problem.evenness(w, jnp.asarray(X), jnp.asarray(y), s, **how))
    w, signs = np.zeros(3), np.where(X > 0, 1.0, -1.0)
    assert even(w, signs) == pytest.approx(1.0)
    assert even(w, signs, jnp.append(jnp.ones(250), jnp.zeros(250))) == pytest.approx(0.5)
    curvature = (p := 1 / (1 + np.exp(-signs @ np.full(3, 2.0)))) * (1 - p)
    assert even(w + 2, signs) == pytest.approx(curvature.mean() ** 2 / (curvature**2).mean())


@pytest.mark.parametrize(
    ("model", "n", "rows"), [*((model, 397, 0) for model in smooth.MODELS), ("logistic", 400, 100)]
)
def test_devices_share_the_rows_of_large_data(model, n, rows, monkeypatch):
    X, y = data(model, n, 4)
    weights = np.arange(n) % 3.0 if n == 400 else None
    how = {"weights": weights, "intercept": model in ("poisson", "huber"), "rows": rows}
    alone = solve(model, X, y, 0.01, **how)
    monkeypatch.setattr(arrays, "SHARE", 100)
    shared = solve(model, X, y, 0.01, **how)
    assert arrays.Rows(X, y).over.size == 2
    assert shared.stopped == alone.stopped == "converged"
    assert np.allclose(shared.params, alone.params, atol=1e-8)
    assert shared.value == pytest.approx(alone.value, rel=1e-12)


@pytest.mark.parametrize("n", [64, 61])
def test_shared_rows_are_those_that_were_given(n, monkeypatch):
    monkeypatch.setattr(arrays, "SHARE", 100)
    X, y = np.random.default_rng(0).normal(size=(n, 3)), np.arange(n)
    given = jnp.asarray(X)
    for taken in (X, np.asfortranarray(X), given, X.astype(np.float32)):
        shared = arrays.Rows(taken, y)
        assert shared.over.size == 2
        x, labels, weights = shared.arrays
        assert len(x) % 16 == 0
        assert all(len(shard.data) == len(x) // 2 for shard in x.addressable_shards)
        assert np.array_equal(np.asarray(x)[:n], taken)
        assert np.array_equal(np.asarray(labels)[:n], y)
        assert x.dtype == labels.dtype == float
        assert np.array_equal(shared.host[0], taken)
        if n == 64:
            assert weights is None
        else:
            assert np.array_equal(np.asarray(weights), [1.0] * 61 + [0.0] * 3)
            assert not np.asarray(x)[n:].any()
    whole = arrays.Rows(given, y).arrays[0]
    first = whole.addressable_shards[0].data.unsafe_buffer_pointer()
    assert (first == given.unsafe_buffer_pointer()) == (n == 64), "memory of JAX is not copied"
    monkeypatch.setattr(arrays, "SHARE", X.nbytes)
    assert arrays.Rows(X, y).over is None, "there is one share"
    monkeypatch.setattr(arrays, "SHARE", 100)
    rows = arrays.Rows(X, y)
    assert rows.host[0] is X
    shared = rows.arrays[0]
    X[:] = 0.0
    assert np.asarray(shared)[:n].any(axis=1).all(), "of the user's a copy was made"


@pytest.mark.parametrize("shape", [(30, 4), (2**18, 5), (2**21,)])
def test_arrays_come_to_the_device_as_they_are(shape):
    a = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for given in (a, np.asfortranarray(a), a[::-1]):
        there = on_device(given)
        assert there.dtype == float
        assert np.array_equal(there, given)
    a[:] = 0.0
    assert np.any(np.asarray(there) != 0)
    assert on_device(there) is there


def test_memory_is_used_again_only_where_nothing_refers_to_it(monkeypatch):
    monkeypatch.setattr(arrays, "_free", {})
    a, b = (np.full((2**18, 5), value) for value in (1.0, 2.0))

    def copied(array):
        jax.device_put(np.zeros(1))  # JAX lets go of what is gone at its next call
        there = on_device(array)
        return there, there.unsafe_buffer_pointer()

    first, where = copied(a)
    second, other = copied(b)
    view = np.asarray(first)[:10]
    del first
    _third, another = copied(b)
    assert len({where, other, another}) == 3
    assert np.all(view == 1.0)
    del view
    fourth, again = copied(b)
    assert again == where
    assert np.all(np.asarray(second) == 2.0)
    assert np.all(np.asarray(fourth) == 2.0)
    del fourth
    _fifth, larger = copied(np.zeros((2**20, 5)))
    assert larger not in (where, other, another)


def test_what_is_kept_for_later_is_bounded(monkeypatch):
    monkeypatch.setattr(arrays, "_free", {})
    monkeypatch.setattr(arrays, "KEPT", 2500)
    lent = [arrays.recycled(size, np.uint8) for size in (1000, 1001, 1002, 3000)]
    while lent:
        lent.pop(0)
    assert [memory.nbytes for memory in arrays._free.values()] == [1001, 1002]


def test_the_cost_model_prints_its_choice_and_the_others():
    lines = []
    X, y = data("logistic", 2000, 10)
    found = solve("logistic", X, y, 0.01, report=lines.append)
    assert lines[0].startswith(f"chosen  L-BFGS: {found.choices[0].passes:.0f} passes, ")
    assert f"\n        Newton's method on {found.choices[1].rows} rows, then" in lines[0]
    assert [choice.seconds for choice in found.choices] == sorted(choice.seconds for choice in found.choices)


def test_what_the_cost_model_takes_follows_the_shape():
    def taken(n, d, passes):
        shaped = costs.Costs(n, d, d, 1, False)
        told = costs.Told(passes, 1e-3, shaped.first, 1.0) if shaped.first else None
        return [choice.rows for choice in shaped.choices(1e-10, told, np.inf)]

    assert taken(500, 30, 0)[:2] == [0, 500]
    assert 1000 <= taken(200_000, 50, 30)[0] < 200_000
    assert taken(200_000, 50, 5)[0] == 0
    assert taken(10_000, 1000, 0)[0] == 0


def with_(X, place, value):
    X = X.copy()
    X[place] = value
    return X


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: solve("probit", X, y), "model is 'probit'; allowed: least squares"),
        (lambda X, y: solve("logistic", with_(X, (3, 1), np.nan), y, 0.1), r"X\[3, 1\] is not finite"),
        (lambda X, y: solve("logistic", X, with_(y, 2, np.inf), 0.1), r"y\[2\] is not finite"),
        (lambda X, y: solve("logistic", X, y[:-1], 0.1), r"y has shape \(119,\) with X of shape \(120, 4\)"),
        (lambda X, y: solve("logistic", X, 2 * y, 0.1), "logistic regression takes 0 and 1"),
        (lambda X, y: solve("poisson", X, y - 1, 0.1), "counts"),
        (lambda X, y: solve("softmax", X, np.ones((120, 3)), 0.1), "one-hot"),
        (lambda X, y: solve("logistic", X, y, -0.1), "lam is -0.1"),
        (lambda X, y: solve("logistic", X, y, 0.1, weights=-np.ones(120)), "weights are negative or all zero"),
        (lambda X, y: solve("logistic", X, y, 0.1, weights=np.zeros(120)), "weights are negative or all zero"),
        (lambda X, y: solve("logistic", X, y, 0.1, weights=np.ones(3)), r"weights has shape \(3,\)"),
        (lambda X, y: solve("logistic", X[:, [0, 1, 1]], y), "column 1, column 2 determine one another"),
        (lambda X, y: solve("logistic", with_(X, (slice(None), 2), 1.0), y, intercept=True), "column 2, the intercept"),
        (lambda X, y: solve("logistic", X[:3], y[:3]), "many minima"),
        (lambda X, y: solve("logistic", X, (X[:, 0] > 0).astype(float)), "a direction separates the classes"),
        (lambda X, y: solve("softmax", X, np.eye(2)[(X[:, 0] > 0).astype(int)]), "a direction separates the classes"),
    ],
)
def test_bad_data_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(*data("logistic"))


@pytest.mark.parametrize("shape", [(40, 4), (10, 400)])
@pytest.mark.parametrize("model", smooth.MODELS)
def test_an_entry_of_x_that_is_not_finite_is_named_though_its_row_has_no_weight(model, shape):
    X, y = data(model, *shape)
    weights = np.append(np.zeros(5), np.ones(shape[0] - 5))
    for bad in (np.nan, np.inf):
        for how in ({}, {"rows": 0}, {"lam": 0.0}):
            with pytest.raises(InputError, match=r"X\[3, 1\] is not finite"):
                solve(model, with_(X, (3, 1), bad), y, **{"lam": 0.1, "weights": weights, **how})


@pytest.mark.parametrize("model", smooth.MODELS)
def test_data_that_are_not_in_reach_of_numpy_are_left_to_jax(model, monkeypatch):
    X, y = data(model, 400, 4)
    expected = solve(model, X, y, 1e-2, intercept=True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    found = solve(model, X, y, 1e-2, intercept=True)
    assert found.stopped == "converged"
    assert np.allclose(found.params, expected.params, atol=1e-7)
    assert found.method.startswith(("L-BFGS", "Newton's"))


def test_memory_that_is_not_there_is_said_and_not_taken(monkeypatch):
    monkeypatch.setattr(smooth, "_free_memory", lambda: 10)
    with pytest.raises(InputError, match="rows=0 needs neither"):
        solve("logistic", *data("logistic"), 0.1, rows=50)
    found = solve("logistic", *data("logistic"), 0.1)
    assert found.method == "L-BFGS"
    assert found.stopped == "converged"


@pytest.mark.parametrize("columns", [[0, 1, 1], [0, 1]])
def test_with_a_penalty_hard_data_have_their_answer(columns):
    X, _ = data("logistic")
    y = (X[:, 0] > 0).astype(float)
    found = solve("logistic", with_(X[:, columns], (slice(None), 1), 1.0), y, 1e-4)
    assert found.stopped == "converged"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_start_that_is_too_long_is_shortened_to_where_the_loss_is_least(part):
    w, loss = np.array([3.0, -1.0]), lambda t: (t - part) ** 2 * (t + 2)
    point = lambda t: descent.Here(t * w, loss(t), jax.grad(loss)(t) * w / (w @ w), None)
    assert descent.shrunk(point(0.0), point(1.0)) == pytest.approx(part)
    uphill = descent.Here(w, 1.0, -w, None)
    assert descent.shrunk(point(0.0), uphill) == 1.0, "there is nothing between"


def test_few_of_one_class_in_the_sample_are_no_start_to_come_back_from():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_000, 40))
    z = X @ rng.normal(size=40)
    y = (rng.random(10_000) < 1 / (1 + np.exp(-2 * z / z.std() + 6.2))).astype(float)
    found = solve("logistic", X, y, 1 / 10_000, intercept=True)
    assert found.stopped == "converged"
    assert found.passes < 40


def test_where_nothing_curves_the_first_step_is_not_endless():
    # All residuals are beyond delta: the slope is constant, and the penalty alone curves the loss.
    X, y = np.array([[10.0, 9.0], [11.0, 9.5], [10.5, 8.0]]), np.array([100.0, 300.0, 200.0])
    found = solve("huber", X, y, 1e-4, intercept=True)
    assert found.stopped == "converged"
    assert peers.certificate(found.params, peers.Data(X, y, 1e-4, True, "huber")) < 2e-10


def test_where_the_curvature_changes_far_the_hessian_is_made_anew():
    rng, told = np.random.default_rng(0), []
    X = rng.standard_t(2, size=(5000, 50))
    z = X @ rng.normal(size=50)
    y = rng.poisson(np.exp(z / (4 * z.std()))).astype(float)
    found = solve("poisson", X, y, 1e-4, tolerance=5e-7, report=told.append)
    assert found.stopped == "converged"
    assert found.passes < 100
    assert sum("passes  Newton's method" in line for line in told) > 1


def test_what_little_is_left_is_not_asked_for_one_pass_at_a_time(monkeypatch):
    data_of = smooth.checked("logistic", *data("logistic", 200, 3), None, 0.1, 1.0, 0.1, 9)
    given = problem.Problem(data_of, np.float64(0.1), smooth._kernel("logistic", 1.0), False, None)
    here, asked = given.evaluated(np.zeros(3)), []

    def stuck(self, here, pairs, factor, bound, limit):
        asked.append(limit)
        return here._replace(gradient=half), pairs, limit, len(asked) > 5

    half = here.gradient / 2
    monkeypatch.setattr(problem.Problem, "quasi_newton", stuck)
    monkeypatch.setattr(smooth, "ASKED", 0.0)
    choices = (costs.Choice(0, 4.0, 1.0),)
    smooth._as_long_as_it_pays(
        given, here, None, None, None, 0.499 * descent.norm(here), 99, costs.Costs(200, 3, 3, 1, False), choices, 0
    )
    assert asked == [4, 1, 2, 4, 8, 16]


def test_an_intercept_does_as_if_the_rows_had_mean_0():
    X, y = data("logistic", 400, 10)
    with_mean, centred = (solve("logistic", X + mean, y, 1e-2, intercept=True, rows=0) for mean in (30.0, 0.0))
    assert with_mean.stopped == centred.stopped == "converged"
    assert np.allclose(with_mean.params[:-1], centred.params[:-1], rtol=1e-6)
    assert with_mean.passes <= centred.passes + 3


def set_cost_of_rotation(monkeypatch, seconds):
    turned = costs.Costs.rotated
    priced = lambda *given: [choice._replace(seconds=seconds) for choice in turned(*given)]
    monkeypatch.setattr(costs.Costs, "rotated", priced)


@pytest.mark.parametrize(
    ("model", "more"), [("huber", True), ("logistic", True), ("logistic", False), ("poisson", True), ("softmax", True)]
)
def test_fewer_rows_than_columns_are_rotated_into_their_span(model, more, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 300))
    X[1] = X[0]  # rows that determine one another
    y = {"softmax": np.eye(3)[rng.integers(3, size=30)], "poisson": rng.poisson(1.0, size=30) * 1.0,
         "logistic": rng.integers(2, size=30) * 1.0}.get(model, rng.normal(size=30))  # fmt: skip
    how = {"lam": 0.1, "intercept": more, "weights": rng.random(30) if more else None}
    found = {}
    for rotated in (True, False):
        set_cost_of_rotation(monkeypatch, 0.0 if rotated else np.inf)
        found[rotated] = solve(model, X, y, **how)
        assert found[rotated].rotated == rotated
        assert found[rotated].stopped == "converged"
        assert found[rotated].certificate <= 1e-10
    assert np.allclose(found[True].params, found[False].params, rtol=1e-6, atol=1e-8)
    assert found[True].method.endswith(", in the span of the rows")


def test_where_steps_are_slow_the_span_of_the_rows_comes_later():
    rng, told = np.random.default_rng(0), []
    X = np.sqrt(0.9) * rng.normal(size=(60, 1)) + np.sqrt(0.1) * rng.normal(size=(60, 120))
    y = rng.poisson(np.exp(X @ rng.normal(size=120) / 20)).astype(float)
    found = solve("poisson", X, y, 1e-2, intercept=True, report=told.append)
    assert told[0].startswith("chosen  L-BFGS")
    assert any("passes  in the span of the rows" in line for line in told)
    assert found.rotated
    assert found.stopped == "converged"
    assert found.method == "Newton's method on 60 rows, then L-BFGS in its metric, in the span of the rows"
    assert solve("poisson", X, y, 1e-2, intercept=True, limit=3).stopped == "limit"


def test_the_minimum_in_the_span_of_the_rows_is_that_of_all_columns(monkeypatch):
    set_cost_of_rotation(monkeypatch, 0.0)
    X, y = np.random.default_rng(0).normal(size=(50, 500)), np.arange(50) % 2
    for tolerance in (1e-5, 1e-6, 1e-7, 1e-8):
        found = solve("logistic", X, y, 1e-3, tolerance=tolerance)
        assert found.rotated
        assert found.passes == 4, "at 0, to the span and back, and at the end"


def test_the_span_of_the_rows_is_no_choice_without_its_memory():
    given, told = costs.Costs(2000, 3000, 30_000, 10, False), costs.Told(100, 0.5, 0, 1.0)
    assert [len(given.rotated(1e-10, free, told)) for free in (1e9, 1e11)] == [0, 1], "Hessians of 20,000 parameters"
    assert [len(given.rotated(1e-10, free)) for free in (5e7, 1e9)] == [0, 1], "Gram matrix of 2000 rows"


def test_rows_whose_products_overflow_are_not_rotated(monkeypatch):
    set_cost_of_rotation(monkeypatch, 0.0)
    X, y, told = 1e153 * np.random.default_rng(0).normal(size=(50, 500)), np.arange(50) % 2, []
    found = solve("logistic", X, y, 1e300, report=told.append)
    assert told[0].startswith("chosen  in the span of the rows")
    assert told[1].startswith("chosen  L-BFGS")
    assert (found.rotated, found.stopped) == (False, solve("logistic", X, y, 1e300, rows=0).stopped)


def test_of_a_start_and_a_part_of_it_the_lower_is_taken():
    values, slopes = {0: 9.0, 1: 2.0, 3: 1.0}, {0: -30.0, 1: 1.0, 3: 1e-3}
    at = lambda w: descent.Here(w, values[int(w[0])], np.array([slopes[int(w[0])]]), None)
    origin, end = at(np.array([0.0])), at(np.array([3.0]))
    assert 1 < 3 * descent.shrunk(origin, end) < 3 * smooth.TOO_LONG
    assert smooth._not_too_long(types.SimpleNamespace(evaluated=at), origin, end.w) == (end, 2)


def test_rows_of_zeros_have_a_span_too(monkeypatch):
    set_cost_of_rotation(monkeypatch, 0.0)
    found = solve("logistic", np.zeros((10, 50)), np.arange(10) % 3 == 0.0, 0.1, intercept=True)
    assert found.stopped == "converged"
    assert np.allclose(found.params, [0.0] * 50 + [np.log(0.4 / 0.6)])


def test_the_span_of_the_rows_is_for_few_of_them_and_many_passes():
    chosen = lambda n, tolerance: costs.Costs(n, 5000, 5000, 1, False).choices(tolerance, None, 1e10, rotates=True)[0]
    assert chosen(100, 1e-10).rotated
    assert chosen(100, 0.0).rotated
    assert not chosen(4000, 1e-10).rotated
    assert not chosen(6000, 1e-10).rotated
    X, y = np.random.default_rng(0).normal(size=(100, 5000)), np.arange(100) % 2
    assert solve("logistic", X, y, 1e-2).rotated
    assert not solve("logistic", X, y, 1e-2, rows=0).rotated, "who asks for a method gets it"


@pytest.mark.parametrize(
    ("first", "flags", "devices"),
    [
        ("", "", "cores"),
        ("jax.numpy.ones(1)", "", "1"),
        ("jax.config.update('jax_num_cpu_devices', 3)", "", "3"),
        ("", "--xla_force_host_platform_device_count=3", "3"),
    ],
)
def test_cores_become_devices_where_nobody_has_said_otherwise(first, flags, devices):
    code = (
        f"import os, jax\n{first}\nfrom experiments.solvers.threads import cores_as_devices\ncores_as_devices()\n"
        "cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()\n"
        f"assert jax.device_count() == {devices}"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    subprocess.run([sys.executable, "-c", code], env={**env, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, check=True)
