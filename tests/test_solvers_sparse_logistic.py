"""Paths of penalised logistic regression: every certificate is true, whatever the data, and bad arguments are named."""

import jax
import numpy as np
import pytest

from experiments import certificates
from experiments.solvers import screened, sparse_logistic
from experiments.solvers.sparse_logistic import lam_grid, lam_max, logistic_elastic_net, logistic_path
from jaxderiv.errors import InputError


def data(n=80, d=30, correlation=0.9, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    z = X[:, ::7].sum(axis=1)
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)


def relative_gaps(params, X, y, lams, l1_ratio=1.0):
    gap = jax.jit(certificates.logistic_relative_gap)
    both = zip(params, lams, strict=True)
    return [float(gap(w, X, y, float(lam) * (1 - l1_ratio), float(lam) * l1_ratio)) for w, lam in both]


def proximal_gradient(X, y, lam, l1_ratio, steps=20_000):
    """The minimum by accelerated proximal gradient steps, which share nothing with the solver."""
    n, d = X.shape
    l1, l2 = lam * l1_ratio, lam * (1 - l1_ratio)
    size = 1 / (np.linalg.norm(X, 2) ** 2 / (4 * n) + l2)
    w = v = np.zeros(d)
    for k in range(steps):
        u = v - size * (X.T @ (1 / (1 + np.exp(-X @ v)) - y) / n + l2 * v)
        new = np.sign(u) * np.maximum(np.abs(u) - size * l1, 0.0)
        v = new + k / (k + 3) * (new - w)
        w = new
    return w


@pytest.fixture
def few(monkeypatch):
    """Few columns may join at once, and several lam are checked together."""
    monkeypatch.setattr(screened, "LEAST", 4)
    monkeypatch.setattr(sparse_logistic, "WIDE", 0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(200, 30), (40, 150)])
def test_every_certificate_holds_and_is_that_of_the_data(shape, l1_ratio, few):
    X, y = data(*shape)
    lams = lam_grid(X, y, 20, 1e-2, l1_ratio)
    path = logistic_path(X, y, lams, l1_ratio, tolerance=1e-12)
    assert set(path.stopped) == {"converged"}
    assert np.max(path.certificate) <= 1e-12
    assert np.allclose(path.certificate, relative_gaps(path.params, X, y, lams, l1_ratio), rtol=0, atol=2e-15)


@pytest.mark.parametrize(("shape", "offset"), [((300, 12), 100.0), ((300, 12), 1e3), ((40, 100), 100.0)])
def test_columns_with_large_means_take_few_steps(shape, offset):
    X, y = data(*shape)
    X = X + offset
    lams = lam_grid(X, y, 8, 1e-3)
    path = logistic_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert np.max(relative_gaps(path.params, X, y, lams)) <= 2e-10
    assert np.sum(path.steps) < 100


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_certificate_far_from_the_minimum_is_that_of_the_data(l1_ratio):
    X, y = data(40, 150)
    lams = lam_grid(X, y, 10, 1e-2, l1_ratio)
    path = logistic_path(X, y, lams, l1_ratio, limit=1)
    assert np.max(path.certificate) > 1e-4
    assert set(path.stopped) == {"converged", "limit"}  # the first one is lam_max
    assert np.allclose(path.certificate, relative_gaps(path.params, X, y, lams, l1_ratio), rtol=1e-9, atol=2e-15)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.6])
def test_the_solution_is_that_of_the_proximal_gradient_method(l1_ratio):
    X, y = data(60, 12, correlation=0.5)
    lam = 0.05 * lam_max(X, y, l1_ratio)
    found = logistic_elastic_net(X, y, lam, l1_ratio, tolerance=1e-14)
    expected = proximal_gradient(X, y, lam, l1_ratio)
    assert np.allclose(found.params, expected, rtol=0, atol=1e-6)
    assert np.array_equal(found.params != 0, expected != 0)


def test_probabilities_are_labels_too():
    X, y = data()
    y = 0.8 * y + 0.1
    lam = 0.01 * lam_max(X, y)
    found = logistic_elastic_net(X, y, lam, tolerance=1e-13)
    assert found.stopped == "converged"
    assert relative_gaps([found.params], X, y, [lam])[0] <= 1.1e-13


def test_columns_that_screening_misses_are_found_by_the_check(few, monkeypatch):
    monkeypatch.setattr(screened, "MARGIN", -10.0)  # no column is expected to join
    X, y = data(50, 100)
    lams = lam_grid(X, y, 10, 3e-2)[1:]
    path = logistic_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert path.working_set[-1] > 5


def test_the_order_of_the_lams_is_the_order_of_the_solutions():
    X, y = data()
    lams = lam_grid(X, y, 5)
    mixed = [3, 0, 4, 1, 2]
    path, other = logistic_path(X, y, lams), logistic_path(X, y, lams[mixed])
    assert np.array_equal(path.params[mixed], other.params)
    assert np.array_equal(path.certificate[mixed], other.certificate)


def test_from_lam_max_on_the_solution_is_zero_and_below_it_is_not():
    X, y = data()
    for l1_ratio in (1.0, 0.3):
        highest = lam_max(X, y, l1_ratio)
        path = logistic_path(X, y, [2 * highest, highest, 0.999 * highest], l1_ratio)
        assert [bool(w.any()) for w in path.params] == [False, False, True]
        assert set(path.stopped) == {"converged"}


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_zero_constant_and_repeated_columns(l1_ratio, few):
    X, y = data(60, 20)
    X = np.column_stack([X, np.zeros(60), np.ones(60), X, -X[:, :3]])
    lams = lam_grid(X, y, 8, 1e-2, l1_ratio)
    path = logistic_path(X, y, lams, l1_ratio)
    assert set(path.stopped) == {"converged"}
    assert not path.params[:, 20].any()
    assert max(relative_gaps(path.params, X, y, lams, l1_ratio)) <= 1e-10


def test_separable_data_have_solutions_for_small_lam_and_an_end_for_tiny_ones():
    X, _ = data(40, 60)
    y = (X[:, 0] > 0).astype(float)
    highest = lam_max(X, y)
    lams = highest * np.array([1e-1, 1e-3, 1e-6, 1e-12, 1e-30, 1e-300])
    path = logistic_path(X, y, lams, limit=100)
    assert path.stopped[:2] == ("converged", "converged")
    gaps = np.array(relative_gaps(path.params, X, y, lams))
    converged = np.array(path.stopped) == "converged"
    assert np.isfinite(gaps).all()
    assert (gaps[converged] <= 1e-10).all()
    assert (gaps[~converged] > 1e-10).all()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_alone(label):
    X, _ = data()
    y = np.full(len(X), label)
    lams = lam_grid(X, y, 5)
    path = logistic_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert max(relative_gaps(path.params, X, y, lams)) <= 1e-10


def test_one_observation_or_one_column():
    for X, y in ((np.array([[1.0, -3.0, 2.0]]), np.ones(1)), (np.array([[1.0], [2.0], [-1.0]]), np.array([1.0, 0, 1]))):
        lams = lam_grid(X, y, 5)
        path = logistic_path(X, y, lams)
        assert set(path.stopped) == {"converged"}
        assert max(relative_gaps(path.params, X, y, lams)) <= 1e-10


def test_labels_of_one_half_have_the_solution_zero():
    X, _ = data()
    y = np.full(len(X), 0.5)
    path = logistic_path(X, y, [1.0, 1e-3])
    assert path.stopped == ("converged", "converged")
    assert not path.params.any()
    with pytest.raises(InputError, match="X'\\(y - 1/2\\) is 0"):
        lam_grid(X, y)


def test_columns_of_very_different_sizes():
    X, y = data(100, 20)
    X *= 10.0 ** np.linspace(-3, 3, 20)
    lams = lam_grid(X, y, 10, 1e-3)
    path = logistic_path(X, y, lams)
    assert set(path.stopped) == {"converged"}
    assert max(relative_gaps(path.params, X, y, lams)) <= 1e-10


def test_a_lone_small_lam_needs_no_path():
    X, y = data(300, 20)
    found = logistic_elastic_net(X, y, 1e-4 * lam_max(X, y), tolerance=1e-13)
    assert found.stopped == "converged"
    assert found.steps < 40


def test_a_limit_of_steps_is_said():
    X, y = data()
    found = logistic_elastic_net(X, y, 1e-3 * lam_max(X, y), limit=2)
    assert found.stopped == "limit"
    assert found.certificate > 1e-10
    assert found.steps == 2


def test_a_tolerance_beyond_round_off_ends_soon():
    X, y = data(300, 20)
    found = logistic_elastic_net(X, y, 0.01 * lam_max(X, y), tolerance=1e-30)
    assert found.stopped == "limit" or found.certificate == 0
    assert found.certificate < 1e-14
    assert found.steps < 100


def test_single_precision_outside_is_no_single_precision_inside():
    X, y = data()
    lam = 0.1 * lam_max(X, y)
    with jax.enable_x64(False):
        found = logistic_elastic_net(X, y, lam, tolerance=1e-13)
    assert found.stopped == "converged"
    assert found.steps == logistic_elastic_net(X, y, lam, tolerance=1e-13).steps


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_X_in_memory_and_its_precision_do_not_matter(order):
    X, y = data()
    X = X.astype(np.float32)
    lam = 0.1 * lam_max(X, y)
    expected = logistic_elastic_net(X.astype(float), y, lam).params
    found = logistic_elastic_net(np.asarray(X, order=order), y.astype(int), lam).params
    assert np.allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lams": []}, "m >= 1"),
        ({"lams": 1.0}, "logistic_elastic_net"),
        ({"lams": [1.0, 0.0]}, 'smooth.solve\\("logistic", X, y\\)'),
        ({"lams": [np.nan]}, "a lam is nan"),
        ({"l1_ratio": 0.0}, 'smooth.solve\\("logistic", X, y, lam\\)'),
        ({"l1_ratio": 1.5}, "l1_ratio is 1.5"),
        ({"tolerance": 0.0}, "tolerance is 0"),
        ({"limit": 0}, "limit 0"),
        ({"y": np.ones(3)}, "shapes"),
        ({"X": np.zeros((80, 0))}, "shapes"),
        ({"y": np.full(80, -1.0)}, "a label is -1"),
        ({"y": np.full(80, 2)}, "a label is 2"),
        ({"y": np.full(80, np.nan)}, "not finite"),
        ({"X": np.full((80, 30), np.inf)}, "not finite"),
        ({"X": np.full((80, 30), 1e200), "y": np.ones(80)}, "moderate size"),
    ],
)
def test_bad_arguments_are_named(change, words):
    X, y = data()
    with pytest.raises(InputError, match=words):
        logistic_path(**{"X": X, "y": y, "lams": [1e-3], **change})


def test_a_gram_matrix_without_a_place_is_named(monkeypatch):
    monkeypatch.setattr(screened, "MEMORY", 100)
    X, y = data()
    with pytest.raises(InputError, match="larger lams"):
        logistic_path(X, y, lam_grid(X, y))
