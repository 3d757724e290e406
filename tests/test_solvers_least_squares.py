"""Least squares by BLAS: each method ends at the minimum, and says so where numbers do not let it."""

import numpy as np
import pytest

from experiments.solvers import least_squares, smooth
from experiments.solvers.threads import gram
from jaxderiv.errors import InputError

METHODS = (least_squares.GRADIENTS, least_squares.COLUMNS, least_squares.ROWS)


def data(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 5.0
    return X, X @ rng.normal(size=d) + rng.normal(size=n), rng.random(n)


def solve(*given, **how):
    return smooth.solve("least squares", *given, **how)


def only(monkeypatch, method):
    offered = least_squares.choices
    chosen = lambda *given: tuple(choice for choice in offered(*given) if choice.name == method)
    monkeypatch.setattr(least_squares, "choices", chosen)


def gradient(w, X, y, lam, s, intercept):
    Z = np.column_stack([X, np.ones(len(X))]) if intercept else X
    penalty = lam * np.append(w[: X.shape[1]], np.zeros(int(intercept)))
    return Z.T @ (s * (Z @ w - y)) / s.sum() + penalty


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n", "d", "method"), [*((400, 30, method) for method in METHODS[:2]), *((30, 200, method) for method in METHODS)]
)
def test_each_method_ends_at_the_minimum(n, d, method, weighted, intercept, monkeypatch):
    only(monkeypatch, method)
    X, y, s = data(n, d)
    found = solve(X, y, 1e-2, weights=s if weighted else None, intercept=intercept)
    assert (found.method, found.stopped) == (method, "converged")
    s = s if weighted else np.ones(n)
    at = lambda w: np.linalg.norm(gradient(w, X, y, 1e-2, s, intercept))
    assert at(found.params) / at(np.zeros(d + intercept)) == pytest.approx(found.certificate, abs=1e-13)
    assert found.certificate <= 1e-10
    assert found.gradient_norm == pytest.approx(at(found.params), abs=1e-12)
    r = X @ found.params[:d] + found.params[d:].sum() - y
    assert found.value == pytest.approx(s @ r**2 / s.sum() / 2 + 0.005 * np.sum(found.params[:d] ** 2))
    # But for rounding there are no more conjugate directions than parameters, or rows; equations take one step.
    assert found.passes <= (1.5 * min(n, d) if method == least_squares.GRADIENTS else 4)


@pytest.mark.parametrize("method", METHODS[:2])
def test_columns_of_all_lengths(method, monkeypatch):
    only(monkeypatch, method)
    X, y, _ = data(300, 10)
    found = solve(X * np.logspace(0, -5, 10), y, 1e-9, intercept=True, limit=10_000)
    assert found.stopped == "converged"


def test_kind_data_are_left_to_conjugate_gradients_and_unkind_are_not(monkeypatch):
    monkeypatch.setattr(least_squares, "TRIAL", 10.0)  # passes of so few rows cost less than is expected of them
    X, y, _ = data(300, 100)
    kind, unkind = solve(X, y, 10.0), solve(X * np.logspace(0, -4, 100), y, 1e-9)
    assert kind.method == least_squares.GRADIENTS
    assert unkind.method == least_squares.COLUMNS
    assert kind.stopped == unkind.stopped == "converged"


def test_where_rounding_spoils_the_equations_of_the_rows_those_of_the_columns_follow(monkeypatch):
    monkeypatch.setattr(least_squares, "TRIAL", 0.0)
    lines = []
    X, y, _ = data(100, 120)
    found = solve(X * np.logspace(-4, 4, 120), y, 1e-4, report=lines.append)
    assert [line.split("  ")[1].split(":")[0] for line in lines] == [least_squares.ROWS, least_squares.COLUMNS]
    assert (found.method, found.stopped) == (least_squares.COLUMNS, "converged")


def test_what_is_expected_follows_the_shape():
    first = lambda n, d, lam=1.0, free=np.inf: least_squares.choices(n, d, lam, 1e-10, free)[0].name
    assert first(100_000, 50) == least_squares.COLUMNS
    assert first(50, 2000) == least_squares.ROWS
    assert first(50, 2000, 0.0) != least_squares.ROWS, "without a penalty they have no solution"
    assert first(20_000, 10_000) == least_squares.GRADIENTS
    assert first(100_000, 50, free=1000) == least_squares.GRADIENTS
    lines = []
    solve(*data(300, 4)[:2], 0.1, report=lines.append)
    assert lines[0].startswith("chosen  normal equations: 2 passes, ")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_the_limit_of_passes_is_kept(limit, method, monkeypatch):
    only(monkeypatch, method)
    found = solve(*data(100, 300)[:2], 1e-6, limit=limit)
    assert found.passes <= limit
    assert found.stopped == ("converged" if found.certificate <= 1e-10 else "limit")
    assert (found.stopped == "converged") == (limit > 2 and method != least_squares.GRADIENTS)


@pytest.mark.parametrize("method", METHODS)
def test_what_rounding_keeps_from_the_bound_is_stalled_and_not_converged(method, monkeypatch):
    only(monkeypatch, method)
    found = solve(*data(30, 60)[:2], 1e-3, tolerance=1e-25)
    assert found.stopped == "stalled"
    assert 1e-25 < found.certificate < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e160, 1e-160, 0.0])
def test_extreme_numbers_have_an_answer_that_says_what_it_is(method, size, monkeypatch):
    only(monkeypatch, method)
    X, y, _ = data(10, 20)
    found = solve(X * size, y, 1e-3, intercept=True)
    assert np.isfinite(found.params).all()
    assert found.stopped == ("converged" if found.certificate <= 1e-10 else found.stopped)
    assert found.stopped in ("converged", "stalled", "limit", "not finite")


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_rows_that_determine_one_another_have_one_minimum_with_a_penalty(shape):
    X, y, _ = data(*shape)
    X[1], X[:, 1] = X[0], X[:, 0]
    assert solve(X, y, 1e-9).stopped == "converged"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_entry_that_is_not_finite_is_named(bad):
    X, y, _ = data(30, 4)
    X[7, 2] = bad
    with pytest.raises(InputError, match=r"X\[7, 2\] is not finite"):
        solve(X, y, 0.1)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_products_of_threads_are_those_of_one(threads, weighted, monkeypatch):
    monkeypatch.setattr("experiments.solvers.threads._WORTH", 0)
    monkeypatch.setattr("experiments.solvers.threads._SCALED", 100)
    monkeypatch.setattr("experiments.solvers.threads.threads", lambda: threads)
    X, _, s = data(500, 3)
    S = s if weighted else np.ones(500)
    assert np.allclose(gram(X, s if weighted else None), (X.T * S) @ X)
