"""Certificates: zero at minima found by others, above the true distance elsewhere, and equal to primal less dual."""

import jax
import numpy as np
import pytest
import scipy.optimize

from experiments import certificates
from jaxderiv.catalogue.classification import logistic
from jaxderiv.errors import InputError

N, D = 40, 5


def regression(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D))
    return {"X": X, "y": X @ [2, 0, 0, 1, -0.5] + rng.normal(size=N), "lam": 9.0}


def classification(seed: int = 0) -> dict:
    data = regression(seed)
    return {**data, "y": (data["y"] > 0).astype(float), "lam": 0.2}


def points(data: dict, count: int = 6) -> np.ndarray:
    """From far to near the least-squares solution, some entries zero"""
    rng = np.random.default_rng(5)
    near = np.linalg.lstsq(data["X"], data["y"])[0]
    drawn = near + np.logspace(1, -3, count)[:, None] * rng.normal(size=(count, D))
    return np.concatenate([np.where(rng.uniform(size=drawn.shape) < 0.3, 0.0, drawn), np.zeros((1, D))])


def least(value) -> float:
    """The minimum of a function of (d,) with |w_j| terms, by splitting w into two parts of w >= 0"""
    split = scipy.optimize.minimize(
        lambda parts: value(parts[:D] - parts[D:], parts.sum()),
        np.full(2 * D, 0.1),
        bounds=[(0, None)] * 2 * D,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxfun": 100000, "maxiter": 10000},
    )
    return split.fun


def net(w, X, y, lam, l1_ratio, l1_norm=None):
    l1_norm = np.abs(w).sum() if l1_norm is None else l1_norm
    return np.sum((X @ w - y) ** 2) / 2 + lam * (l1_ratio * l1_norm + (1 - l1_ratio) / 2 * (w @ w))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0, 0.999])
def test_the_gap_of_the_elastic_net_bounds_the_distance_from_the_minimum(l1_ratio):
    data = regression()
    lowest = least(lambda w, l1_norm: net(w, **data, l1_ratio=l1_ratio, l1_norm=l1_norm))
    for w in points(data):
        value = net(w, **data, l1_ratio=l1_ratio)
        np.testing.assert_allclose(certificates.elastic_net(w, **data, l1_ratio=l1_ratio), value, rtol=1e-13)
        gap = certificates.elastic_net_gap(w, **data, l1_ratio=l1_ratio)
        assert value - lowest <= gap * (1 + 1e-9) + 1e-9
        relative = certificates.elastic_net_relative_gap(w, **data, l1_ratio=l1_ratio)
        np.testing.assert_allclose(relative, gap / net(0 * w, **data, l1_ratio=l1_ratio), rtol=1e-13)


def dual_of_the_net(theta, X, y, lam, l1_ratio):
    """max over theta of y'theta - |theta|^2 / 2 - h*(X'theta); minus infinity outside of the domain"""
    excess = np.maximum(np.abs(X.T @ theta) - lam * l1_ratio, 0)
    quadratic = lam * (1 - l1_ratio)
    conjugate = np.sum(excess**2) / (2 * quadratic) if quadratic else np.where(excess.max() > 1e-9, np.inf, 0)
    return y @ theta - theta @ theta / 2 - conjugate


def best_along_the_residual(w, X, y, lam):
    """The lasso's dual at s r, for the best of many s"""
    r = y - X @ w
    longest = lam / np.abs(X.T @ r).max()
    return max(dual_of_the_net(s * r, X, y, lam, 1.0) for s in np.linspace(-longest, longest, 4001))


def test_the_gap_is_primal_less_dual():
    data = regression()
    X, y, lam = data.values()
    for w in points(data):
        lasso = net(w, **data, l1_ratio=1.0) - best_along_the_residual(w, **data)
        np.testing.assert_allclose(certificates.elastic_net_gap(w, **data), lasso, rtol=1e-6, atol=1e-5)
        # With a quadratic part, better of two: the lasso that has the weights for observations too, and r as it is.
        value, rows = net(w, **data, l1_ratio=0.5), np.concatenate([X, np.sqrt(lam / 2) * np.eye(D)])
        scaled = value - best_along_the_residual(w, rows, np.concatenate([y, np.zeros(D)]), lam / 2)
        plain = value - dual_of_the_net(y - X @ w, **data, l1_ratio=0.5)
        gap = certificates.elastic_net_gap(w, **data, l1_ratio=0.5)
        np.testing.assert_allclose(gap, min(scaled, plain), rtol=1e-6, atol=1e-5)


def test_kkt_residual_and_gap_vanish_at_scikit_learn_s_solutions_only():
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = {**regression(), "lam": 24.0}
    for l1_ratio in (1.0, 0.5):
        model = linear_model.ElasticNet(
            alpha=data["lam"] / N, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-14, max_iter=100000
        )
        w = model.fit(data["X"], data["y"]).coef_
        assert l1_ratio < 1 or 0 < np.count_nonzero(w) < D
        assert certificates.elastic_net_kkt(w, **data, l1_ratio=l1_ratio) < 1e-8
        assert 0 <= certificates.elastic_net_relative_gap(w, **data, l1_ratio=l1_ratio) < 1e-13
        size = np.abs(w)
        for moved in (1.001 * w, w + 1e-3 * (size == size.min()), w * (size < size.max())):
            assert certificates.elastic_net_kkt(moved, **data, l1_ratio=l1_ratio) > 1e-3
            assert certificates.elastic_net_gap(moved, **data, l1_ratio=l1_ratio) > 1e-6


def test_zero_is_optimal_from_lambda_max_on():
    data = regression()
    largest = np.abs(data["X"].T @ data["y"]).max()
    for lam, holds in ((1.001 * largest, True), (0.999 * largest, False)):
        at_zero = np.zeros(D), data["X"], data["y"], lam
        assert (certificates.elastic_net_kkt(*at_zero) == 0) == holds
        assert (certificates.elastic_net_gap(*at_zero) < 1e-12) == holds


def test_the_gap_of_ridge_is_the_squared_gradient_or_the_value():
    data = regression()
    for w in points(data):
        gradient = data["X"].T @ (data["X"] @ w - data["y"]) + data["lam"] * w
        expected = min(gradient @ gradient / (2 * data["lam"]), net(w, **data, l1_ratio=0.0))
        np.testing.assert_allclose(certificates.ridge_gap(w, **data), expected, rtol=1e-11)
    solution = np.linalg.solve(data["X"].T @ data["X"] + data["lam"] * np.eye(D), data["X"].T @ data["y"])
    assert certificates.ridge_gap(solution, **data) < 1e-25


def penalised(w, X, y, lam, l1, l1_norm=None):
    z, l1_norm = X @ w, np.abs(w).sum() if l1_norm is None else l1_norm
    return np.mean(np.logaddexp(0, z) - y * z) + lam / 2 * (w @ w) + l1 * l1_norm


@pytest.mark.parametrize(("lam", "l1"), [(0.2, 0.0), (0.0, 0.05), (0.1, 0.05)])
def test_the_gap_of_logistic_regression_bounds_the_distance_from_the_minimum(lam, l1):
    data = {**classification(), "lam": lam, "l1": l1}
    lowest = least(lambda w, l1_norm: penalised(w, **data, l1_norm=l1_norm))
    for w in points(data):
        value, gap = penalised(w, **data), certificates.logistic_gap(w, **data)
        assert value - lowest <= gap * (1 + 1e-9) + 1e-9
        np.testing.assert_allclose(certificates.logistic_relative_gap(w, **data), gap / np.log(2), rtol=1e-13)
        if not l1:
            gradient = logistic.gradient(w, data["X"], data["y"], lam)
            np.testing.assert_allclose(gap, min(gradient @ gradient / (2 * lam), value), rtol=1e-11)


def dual_of_logistic(p, X, y, lam, l1):
    """At u = (p - y) / n: the mean entropy of p less h*(-X'u)"""
    excess = np.maximum(np.abs(X.T @ (p - y)) / N - l1, 0)
    conjugate = np.sum(excess**2) / (2 * lam) if lam else np.where(excess.max() > 1e-12, np.inf, 0)
    return -np.mean(scipy.special.xlogy(p, p) + scipy.special.xlog1py(1 - p, -p)) - conjugate


@pytest.mark.parametrize(("lam", "l1"), [(0.2, 0.0), (0.0, 0.05), (0.1, 0.05)])
def test_the_gap_of_logistic_regression_is_primal_less_dual(lam, l1):
    data = {**classification(), "lam": lam, "l1": l1}
    X, y = data["X"], data["y"]
    for w in points(data):
        residual = 1 / (1 + np.exp(-X @ w)) - y
        scale = min(1, l1 / np.abs(X.T @ residual / N).max())
        duals = [dual_of_logistic(y + s * residual, **data) for s in (scale, 1.0)]
        gap = certificates.logistic_gap(w, **data)
        np.testing.assert_allclose(gap, penalised(w, **data) - max(duals), rtol=1e-6, atol=1e-12)


def test_the_gap_closes_at_the_minimum():
    data = classification()
    found = scipy.optimize.minimize(
        lambda w: penalised(w, **data, l1=0.0), np.zeros(D), jac=lambda w: np.asarray(logistic.gradient(w, **data))
    )
    assert certificates.logistic_gap(found.x, **data) < 1e-9
    sparse = {**data, "lam": 0.0, "l1": 0.5}  # so strong that 0 is the minimum
    assert np.abs(data["X"].T @ (0.5 - data["y"])).max() / N < 0.5
    assert certificates.logistic_gap(np.zeros(D), **sparse) < 1e-15


def test_a_run_in_single_precision_is_certified_in_double():
    data = {name: np.asarray(value, np.float32) for name, value in regression().items()}
    w = np.float32(points(data)[2])
    double = {name: np.asarray(value, float) for name, value in data.items()}
    for certificate in (certificates.elastic_net_kkt, certificates.elastic_net_gap):
        found = certificate(w, **data)
        assert found.dtype == np.float64
        assert found == certificate(w.astype(float), **double)
    with jax.enable_x64(False), pytest.raises(InputError, match=r"float64; write `with jax.enable_x64\(True\):`"):
        certificates.elastic_net_kkt(w, **data)


def test_rows_in_blocks_are_the_same_rows():
    data = regression()
    blocks = {**data, "X": data["X"].reshape(4, 10, D), "y": data["y"].reshape(4, 10)}
    w = points(data)[3]
    for certificate in (
        certificates.elastic_net_kkt,
        certificates.elastic_net_gap,
        certificates.elastic_net_relative_gap,
    ):
        assert certificate(w, **blocks) == certificate(w, **data)


def test_targets_of_zero_have_a_relative_gap():
    data = {**regression(), "y": np.zeros(N)}
    assert certificates.elastic_net_relative_gap(np.zeros(D), **data) == 0
    assert certificates.elastic_net_relative_gap(np.ones(D), **data) > 1


W, ROWS = np.ones(D), regression()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lam": -1.0}, "lam is -1.0; allowed: 0 <= lam"),
        ({"lam": np.nan}, "lam is nan; allowed"),
        ({"X": np.zeros((0, D)), "y": np.zeros(0)}, r"shapes \(5,\), \(0, 5\) and \(0,\); allowed: \(d,\), \(n, d\)"),
        ({"y": np.zeros(3)}, r"shapes \(5,\), \(40, 5\) and \(3,\); allowed"),
        ({"y": np.zeros((N, 1))}, r"shapes \(5,\), \(40, 5\) and \(40, 1\); allowed"),
        ({"X": np.zeros((N, 2))}, r"shapes \(5,\), \(40, 2\) and \(40,\); allowed"),
        ({"X": np.zeros(5)}, r"shapes \(5,\), \(5,\) and \(40,\); allowed"),
    ],
)
def test_bad_data_are_told_in_words(changed, words):
    for certificate in (certificates.elastic_net_kkt, certificates.elastic_net_gap, certificates.logistic_gap):
        with pytest.raises(InputError, match=words):
            certificate(W, **{**ROWS, **changed})


def test_numbers_without_a_gap_are_refused():
    with pytest.raises(InputError, match=r"l1_ratio is 2.0; allowed: 0 <= l1_ratio <= 1"):
        certificates.elastic_net_kkt(W, **ROWS, l1_ratio=2.0)
    with pytest.raises(InputError, match=r"lam is 0.0; allowed: 0 < lam"):
        certificates.ridge_gap(W, **{**ROWS, "lam": 0.0})
    with pytest.raises(InputError, match=r"lam \+ l1 is 0.0; allowed: 0 < lam \+ l1"):
        certificates.logistic_gap(W, **{**ROWS, "lam": 0.0})
