"""What derivatives cost: the claim fails where a method is wrong, or takes the memory or the time of another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import derivative_cost, script, settings
from experiments.derivative_cost import HESSIAN, JAX, KERNEL, METHODS, NUMPY, READABLE, TASKS, Case, Config, Results
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, least_squares, poisson

MODELS = {
    "least squares": Case("least squares", least_squares, 3, extra=()),
    "Huber": Case("Huber", huber, 3, extra=(0.7,)),
    "Poisson": Case("Poisson", poisson, 3),
    "logistic": Case("logistic", logistic, 3),
    "softmax": Case("softmax", softmax, 3, 4),
}


@pytest.fixture(scope="module")
def results():
    case, rng = Case("softmax", softmax, 20, 5), np.random.default_rng(0)
    return Results((derivative_cost.measured(case, settings.quick(Config), rng, lambda done, total: None),))


def changed(results, **fields):
    """Each case with fields that are functions of it."""
    cases = (case._replace(**{name: change(case) for name, change in fields.items()}) for case in results.measured)
    return Results(tuple(cases))


def scaled(name, task, method, factor):
    """That field of a case with one task of one method multiplied."""

    def of(case):
        values = getattr(case, name).copy()
        values[task, method] *= factor
        return values

    return of


@pytest.mark.parametrize("name", MODELS)
def test_all_methods_compute_the_same_also_where_blocks_do_not_fit(name, monkeypatch):
    monkeypatch.setattr(derivative_cost, "BLOCK", 7)
    case = MODELS[name]
    own = derivative_cost.drawn(case, 75 * case.K, np.random.default_rng(0))
    w, v, X, y = map(jnp.asarray, own)
    for want in derivative_cost.WANTS:
        right = jax.jit(lambda w, want=want: derivative_cost.by_jax(case, want, w, v, X, y, *case.extra))(w)
        for method in (derivative_cost.by_kernel, derivative_cost.by_formula):
            assert derivative_cost.apart(method(case, want, w, v, X, y, *case.extra), right) < 1e-12
        assert derivative_cost.apart(derivative_cost.by_numpy(case, want, *own, *case.extra), right) < 1e-12


def test_methods_that_compute_something_else_are_noticed(monkeypatch):
    names = ("by_kernel", "by_formula", "by_numpy")
    for factor, name in zip((1.001, 1.002, 1.003), names, strict=True):
        right = getattr(derivative_cost, name)
        wrong = lambda *args, factor=factor, right=right, **how: [factor * part for part in right(*args, **how)]
        monkeypatch.setattr(derivative_cost, name, wrong)
    config = Config(entries=100_000, rounds=3)
    case = derivative_cost.measured(MODELS["logistic"], config, np.random.default_rng(0), lambda done, total: None)
    assert np.allclose(case.error, [1e-3, 0, 2e-3, 3e-3])
    with pytest.raises(script.ClaimFailed, match="logistic 3: all methods agree, 3e-03 apart"):
        derivative_cost.claim(Results((case,)))


@pytest.mark.parametrize("task", range(len(TASKS)))
@pytest.mark.parametrize("method", [KERNEL, READABLE, NUMPY])
def test_an_error_of_any_method_is_noticed(task, method, results):
    def error(case):
        values = case.error.copy()
        values[task, method] = 1e-9
        return values

    with pytest.raises(script.ClaimFailed, match="all methods agree, 1e-09 apart"):
        derivative_cost.claim(changed(results, error=error))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scratch": lambda case: case.scratch[:, [JAX, KERNEL, READABLE]]}, "times the memory"),
        ({"scratch": scaled("scratch", HESSIAN, JAX, 0.4)}, "softmax takes .* times the memory, 25 or more"),
        ({"scratch_of_more": lambda case: 16 * case.scratch_of_more}, "16n observations take .* times the memory"),
        (
            {"seconds": lambda case: case.seconds[:, [JAX, KERNEL, READABLE, NUMPY]]},
            "softmax takes .* times the time, above 1",
        ),
        ({"seconds": lambda case: case.seconds / 1e3}, "no method is far below the floor"),
    ],
    ids=["memory swapped", "less than 25 times", "grows with n", "times swapped", "milliseconds for seconds"],
)
def test_the_claim_notices(fields, words, results):
    with pytest.raises(script.ClaimFailed, match=words):
        derivative_cost.claim(changed(results, **fields))


def test_the_verdict_ends_in_a_table_with_a_row_for_every_case_and_task(results):
    head, _, *rows = derivative_cost.table(results).splitlines()
    assert len(rows) == len(TASKS) * len(results.measured)
    assert {len(row) for row in rows} == {len(head)}
    assert derivative_cost.claim(results).endswith(rows[-1])
    case, cells = results.measured[0], [cell.strip() for cell in rows[HESSIAN].strip("|").split("|")]
    assert cells[:3] == [case.label, str(case.n), TASKS[HESSIAN]]
    assert float(cells[4]) == pytest.approx(1e3 * case.seconds[HESSIAN, KERNEL].min(), abs=0.01)
    assert float(cells[6]) == pytest.approx(case.best[HESSIAN, JAX] / case.best[HESSIAN, KERNEL], abs=0.01)
    assert float(cells[10]) == pytest.approx(case.scratch[HESSIAN, JAX] / case.scratch[HESSIAN, KERNEL], abs=0.1)


def test_large_data_have_more_observations_and_say_so(results):
    shapes = [
        derivative_cost.drawn(Case("logistic", logistic, 3, times=times), 60, np.random.default_rng(0))[2].shape
        for times in (1, 8)
    ]
    assert shapes == [(20, 3), (160, 3)]
    labels = [results.measured[0]._replace(times=times).label for times in (1, 8)]
    assert labels == ["softmax 20 x 5", "softmax 20 x 5, large"]


def test_floors_and_operations_count_each_product_once():
    case = derivative_cost.Measured(
        "logistic", n=10, d=3, K=1, times=1, seconds=np.ones((3, len(METHODS), 2)),
        scratch=np.ones((3, 3)), scratch_of_more=1.0,
        error=np.zeros((3, len(METHODS))), read=np.array([2.0, 1.0]), square=np.array([1.0, 2.0]),
    )  # fmt: skip
    several = case._replace(K=3)
    assert case.flops.tolist() == [120, 120 + 10 * 12, 180]
    assert several.flops.tolist() == [360, 360 + 3 * 10 * 12, 540]
    assert case.bytes.tolist() == [240, 240 + 72, 240]
    machine = Results((case, several._replace(read=np.full(2, 4.0))))
    assert (case.bandwidth, machine.measured[1].bandwidth) == (240, 60)
    assert derivative_cost.reading(machine) == (60e-9, 240e-9)
    assert np.allclose(machine.floor(machine.measured[1])[0], 4), "what is read slowly has a later floor"
    assert machine.rate == 2 * derivative_cost.SQUARE**3
    assert np.allclose(machine.floor(case), [1, 1.3, 1])
    assert np.allclose(machine.share(case)[HESSIAN], 1.3)
