"""Paths of the elastic net: every certificate is true, whatever the data, and bad arguments are named."""

import jax
import numpy as np
import pytest

from experiments import certificates
from experiments.solvers import quadratic, screened, sparse, threads
from experiments.solvers.sparse import elastic_net, elastic_net_path, lam_grid, lam_max
from jaxderiv.errors import InputError


def data(n=60, d=30, correlation=0.9, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    return X, X[:, ::7].sum(axis=1) + rng.standard_normal(n)


def relative_gaps(path, X, y, lams, l1_ratio=1.0):
    gap = jax.jit(certificates.elastic_net_relative_gap)
    return [float(gap(w, X, y, float(lam), l1_ratio)) for w, lam in zip(path.params, lams, strict=True)]


@pytest.fixture
def few(monkeypatch):
    """Few columns are enough to be screened."""
    monkeypatch.setattr(sparse, "ALL", 0)
    monkeypatch.setattr(screened, "LEAST", 4)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(60, 30), (40, 150)])
@pytest.mark.parametrize("tries", [quadratic.TRIES, 0])
def test_every_certificate_holds_and_is_that_of_the_data(shape, l1_ratio, tries, few, monkeypatch):
    monkeypatch.setattr(sparse, "TRIES", tries)  # 0: signs are never settled at once
    X, y = data(*shape)
    lams = lam_grid(X, y, 20, 1e-3, l1_ratio)
    path = elastic_net_path(X, y, lams, l1_ratio, tolerance=1e-12)
    assert set(path.stopped) == {"converged"}
    assert np.max(path.certificate) <= 1e-12
    excess = path.certificate - relative_gaps(path, X, y, lams, l1_ratio)
    # With a bound on the rounding errors where all columns have joined.
    some = path.working_set < shape[1]
    assert np.max(np.abs(excess[some])) <= 1e-14
    assert np.all((excess >= -1e-14) & (excess <= 5e-13))


@pytest.mark.parametrize("offset", [0.0, 10.0])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-10, 1e-13])
def test_a_certificate_from_the_gram_matrix_is_no_smaller_than_that_of_the_data(offset, tolerance):
    X, y = data(2000, 20)
    X = X + offset
    lams = lam_grid(X, y, 8, 1e-4)
    path = elastic_net_path(X, y, lams, tolerance=tolerance)
    gaps = np.array(relative_gaps(path, X, y, lams))
    assert (gaps <= path.certificate + 2e-15).all()
    if tolerance == 1e-6 and not offset:
        assert (gaps < path.certificate)[1:].all()  # by the bound on the rounding errors
    assert np.max(path.certificate) <= tolerance or tolerance < 1e-12


@pytest.mark.parametrize(("shape", "offset"), [((300, 12), 100.0), ((300, 12), 1e3), ((40, 100), 100.0)])
def test_columns_with_large_means_take_few_steps(shape, offset):
    X, y = data(*shape)
    X = X + offset
    lams = lam_grid(X, y, 8, 1e-4)
    path = elastic_net_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert np.max(relative_gaps(path, X, y, lams)) <= 2e-10
    assert np.sum(path.steps) < 500


@pytest.mark.parametrize("l1_ratio", [1.0, 0.9])
def test_a_lasso_is_a_line_where_no_sign_changes_and_is_solved_as_one(l1_ratio, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 40))
    y = X[:, :5] @ np.array([3.0, -2.0, 1.5, -1.0, 0.5]) + 0.1 * rng.standard_normal(200)
    lams = np.repeat(lam_grid(X, y, 40, 1e-3, l1_ratio), 2)  # equal lams have equal solutions
    path = elastic_net_path(X, y, lams, l1_ratio, tolerance=1e-12)
    monkeypatch.setattr(sparse._Search, "straight", lambda *args: [])
    one_by_one = elastic_net_path(X, y, lams, l1_ratio, tolerance=1e-12)
    assert set(path.stopped) == set(one_by_one.stopped) == {"converged"}
    assert ((path.params != 0) == (one_by_one.params != 0)).all()
    np.testing.assert_allclose(path.params, one_by_one.params, rtol=1e-9, atol=1e-11)
    assert np.sum(path.steps == 0) - np.sum(one_by_one.steps == 0) >= (20 if l1_ratio == 1 else 0)
    assert l1_ratio == 1 or (path.steps == one_by_one.steps).all()


def test_where_round_off_allows_no_more_the_best_solution_is_returned(monkeypatch):
    X, y = data(200, 10)
    X = X + 1e3
    lams = lam_grid(X, y, 8, 1e-4)
    seen, check = [[] for _ in lams], sparse._Search.check

    def watched(search, open_, states, lams, params, gaps):
        found = check(search, open_, states, lams, params, gaps)
        for i in open_:
            seen[i].append(gaps[i])
        return found

    monkeypatch.setattr(sparse._Search, "check", watched)
    path = elastic_net_path(X, y, lams, tolerance=1e-15)
    worst = int(np.argmax(path.certificate))
    assert path.stopped[worst] == "limit"
    assert len(seen[worst]) > screened.STALLED
    assert path.certificate[worst] == min(seen[worst]) < seen[worst][-1]
    np.testing.assert_allclose(relative_gaps(path, X, y, lams), path.certificate, atol=1e-10)


@pytest.mark.parametrize("lams", [[1 - 1e-16], [1 - 2e-16, 0.5], [0.5, 1e-310]])
def test_a_lam_of_nearly_lam_max_or_of_nearly_zero_is_no_fault(lams):
    X = np.repeat(data(50, 1)[0], 20, axis=1)
    y = X[:, 0] + np.random.default_rng(0).standard_normal(50)
    path = elastic_net_path(X, y, np.array(lams) * lam_max(X, y))
    assert np.isfinite(path.params).all()
    assert path.stopped[0] == "converged"


@pytest.mark.parametrize("signals", [4, 200])
def test_rows_of_the_gram_matrix_are_those_that_are_needed_and_all_at_once_where_many_will_be(signals, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 300))
    y = X[:, :signals] @ rng.standard_normal(signals) + rng.standard_normal(1000)
    filled, whole = [], []
    known, gram = sparse._Search.known, sparse.gram
    monkeypatch.setattr(sparse._Search, "known", lambda s, *a: known(s, *a) or filled.append(s.filled.sum()))
    monkeypatch.setattr(sparse, "gram", lambda X: whole.append(filled[-1]) or gram(X))
    path = elastic_net_path(X, y, lam_grid(X, y, 30, 0.01 if signals > 4 else 0.2))
    assert set(path.stopped) == {"converged"}
    if signals == 4:
        assert not whole
        assert filled[-1] <= 24
    else:
        assert len(whole) == 1
        assert whole[0] <= 30
        assert np.count_nonzero(path.params[-1]) > 200


@pytest.mark.parametrize(("parts", "d"), [(1, 7), (3, 7), (2, 1)])
def test_shared_products_are_products(parts, d, monkeypatch):
    monkeypatch.setattr(threads, "_WORTH", 0)
    monkeypatch.setattr(threads, "threads", lambda: parts)
    rng = np.random.default_rng(0)
    for order in "CF":
        A, X = rng.standard_normal((3, 50)), np.asarray(rng.standard_normal((50, d)), order=order)
        assert np.allclose(threads.product(A, X), A @ X, rtol=1e-13)
        assert np.allclose(threads.gram(X), X.T @ X, rtol=1e-13)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_certificate_far_from_the_minimum_is_that_of_the_data(l1_ratio):
    X, y = data(40, 150)
    lams = lam_grid(X, y, 10, 1e-2, l1_ratio)
    path = elastic_net_path(X, y, lams, l1_ratio, limit=1)
    assert np.max(path.certificate) > 1e-3
    assert np.allclose(path.certificate, relative_gaps(path, X, y, lams, l1_ratio), rtol=1e-9, atol=1e-14)


def test_screening_leaves_the_solutions_as_they_are(monkeypatch):
    X, y = data(80, 120)
    lams = lam_grid(X, y, 15, 1e-2, 0.7)
    whole = elastic_net_path(X, y, lams, 0.7, tolerance=1e-14)
    monkeypatch.setattr(sparse, "ALL", 0)
    monkeypatch.setattr(screened, "LEAST", 4)
    few = elastic_net_path(X, y, lams, 0.7, tolerance=1e-14)
    assert np.allclose(whole.params, few.params, rtol=0, atol=1e-6)
    assert (few.working_set < whole.working_set).any()


def test_columns_that_screening_misses_are_found_by_the_check(few, monkeypatch):
    monkeypatch.setattr(screened, "MARGIN", -10.0)  # no column is expected to join
    X, y = data(50, 100)
    path = elastic_net_path(X, y, lam_grid(X, y, 10, 1e-2))
    assert set(path.stopped) == {"converged"}
    assert path.working_set[-1] > 5


@pytest.mark.parametrize("method", ["sweeps", "steps"])
def test_each_half_of_the_method_is_used(method, monkeypatch):
    X, y = data()
    lam = 0.05 * lam_max(X, y)
    monkeypatch.setattr(sparse, "TRIES", 0)
    if method == "sweeps":
        monkeypatch.setattr(sparse._Search, "newton", lambda self, state, *_, **how: state)
        monkeypatch.setattr(quadratic, "CRAWLING", 1000)
    found = elastic_net(X, y, lam, tolerance=1e-12, limit=100_000)
    assert found.stopped == "converged"
    # Coordinate descent alone is slow for correlated columns; with Newton's steps a few sweeps are enough.
    assert (found.steps > 60) == (method == "sweeps")


def test_the_order_of_the_lams_is_the_order_of_the_solutions():
    X, y = data()
    lams = lam_grid(X, y, 5, 1e-2)
    mixed = [3, 0, 4, 1, 2]
    path, other = elastic_net_path(X, y, lams), elastic_net_path(X, y, lams[mixed])
    assert np.array_equal(path.params[mixed], other.params)
    assert np.array_equal(path.certificate[mixed], other.certificate)


def test_from_lam_max_on_the_solution_is_zero_and_below_it_is_not():
    X, y = data()
    for l1_ratio in (1.0, 0.3):
        highest = lam_max(X, y, l1_ratio)
        path = elastic_net_path(X, y, [2 * highest, highest, 0.99 * highest], l1_ratio)
        assert [bool(w.any()) for w in path.params] == [False, False, True]
        assert set(path.stopped) == {"converged"}


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_zero_and_repeated_columns(l1_ratio, few):
    X, y = data(40, 20)
    X = np.column_stack([X, np.zeros(40), X, -X[:, :3]])
    lams = lam_grid(X, y, 8, 1e-3, l1_ratio)
    path = elastic_net_path(X, y, lams, l1_ratio)
    assert set(path.stopped) == {"converged"}
    assert not path.params[:, 20].any()


def test_single_precision_outside_is_no_single_precision_inside():
    X, y = data()
    lam = 0.1 * lam_max(X, y)
    with jax.enable_x64(False):
        found = elastic_net(X, y, lam, tolerance=1e-14)
    assert found.stopped == "converged"
    assert found.steps == elastic_net(X, y, lam, tolerance=1e-14).steps


def test_targets_of_zero_have_the_solution_zero():
    X, _ = data()
    path = elastic_net_path(X, np.zeros(len(X)), [1.0, 0.1])
    assert path.stopped == ("converged", "converged")
    assert not path.params.any()
    with pytest.raises(InputError, match="X'y is 0"):
        lam_grid(X, np.zeros(len(X)))


def test_a_limit_of_steps_is_said():
    X, y = data()
    found = elastic_net(X, y, 1e-3 * lam_max(X, y), limit=2)
    assert found.stopped == "limit"
    assert found.certificate > 1e-10
    assert found.steps == 2


def test_a_tolerance_beyond_round_off_ends_soon():
    X, y = data()
    found = elastic_net(X, y, 0.01 * lam_max(X, y), tolerance=1e-30)
    assert found.stopped == "limit" or found.certificate == 0
    assert found.certificate < 1e-14
    assert found.steps < 1000


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_X_in_memory_and_its_precision_do_not_matter(order):
    X, y = data()
    X = X.astype(np.float32)
    lam = 0.1 * lam_max(X, y)
    expected = elastic_net(X.astype(float), y, lam).params
    assert np.allclose(elastic_net(np.asarray(X, order=order), y, lam).params, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lams": []}, "m >= 1"),
        ({"lams": 1.0}, "elastic_net"),
        ({"lams": [1.0, 0.0]}, "least squares"),
        ({"lams": [np.nan]}, "a lam is nan"),
        ({"l1_ratio": 0.0}, "ridge"),
        ({"l1_ratio": 1.5}, "l1_ratio is 1.5"),
        ({"tolerance": 0.0}, "tolerance is 0"),
        ({"limit": 0}, "limit 0"),
        ({"y": np.ones(3)}, "shapes"),
        ({"X": np.zeros((60, 0))}, "shapes"),
        ({"y": np.full(60, np.inf)}, "not finite"),
        ({"X": np.full((60, 30), np.nan)}, "not finite"),
    ],
)
def test_bad_arguments_are_named(change, words):
    X, y = data()
    with pytest.raises(InputError, match=words):
        elastic_net_path(**{"X": X, "y": y, "lams": [1.0], **change})


def test_one_number_that_is_not_finite_is_found_though_its_target_is_zero():
    X, y = data()
    X[3, 5], y[3] = np.inf, 0.0
    with pytest.raises(InputError, match="not finite"):
        elastic_net(X, y, 1.0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_path_takes_about_one_exact_solution_for_each_lam(l1_ratio, monkeypatch):
    X, y = data(400, 60)
    monkeypatch.setattr(sparse._Search, "minimised", lambda *_: pytest.fail("signs were not settled"))
    lams = lam_grid(X, y, 50, 1e-3, l1_ratio)
    path = elastic_net_path(X, y, lams, l1_ratio, tolerance=1e-12)
    assert set(path.stopped) == {"converged"}
    predicted = np.sum(path.steps)
    assert predicted < 100
    # Without the line through the last two solutions signs are worse predicted.
    follow = sparse._Search.next
    monkeypatch.setattr(sparse._Search, "next", lambda self, trail, *how: follow(self, trail[-1:], *how))
    assert np.sum(elastic_net_path(X, y, lams, l1_ratio, tolerance=1e-12).steps) > predicted


def test_equations_without_a_solution_are_not_trusted(monkeypatch):
    X, y = data(20, 1)
    X = np.append(X, X, axis=1)
    search = sparse._Search(X, y, X.T @ y, 1.0, 1e-10, 100)
    # Two equal columns with correlations of unequal signs, which a factor of what is nearly their Gram matrix gives.
    l1, state = 0.1 * lam_max(X, y), search.fitted(None)
    unequal = quadratic.State(state.w, 2 * l1 * np.array([1.0, -1.0]))
    assert search.settled(state, unequal, l1, 0.0, quadratic.TRIES) is None
    monkeypatch.setattr(quadratic, "SINGULAR", np.inf)
    assert search.settled(state, unequal, l1, 0.0, quadratic.TRIES) is not None


@pytest.mark.parametrize("seed", range(10))
def test_more_columns_than_rows_that_are_nearly_the_same(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((25, 1)) + 0.2 * rng.standard_normal((25, 90)), rng.standard_normal(25)
    lams = lam_grid(X, y, 10, 1e-3)
    path = elastic_net_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert np.max(relative_gaps(path, X, y, lams)) <= 2e-10


def test_squares_that_are_not_finite_are_an_error():
    X, y = data()
    with pytest.raises(InputError, match="squares of X are not finite"):
        elastic_net_path(1e200 * X, y, lam_grid(1e200 * X, y, 5))
