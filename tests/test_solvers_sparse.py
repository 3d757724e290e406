"""Paths of the lasso and the elastic net: every point has its certificate, also on hard data; bad input is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import certificates
from experiments.solvers import sparse
from jaxderiv.errors import InputError


def data(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 1:] += 0.8 * X[:, :-1]
    return X, X[:, :5] @ np.array([3.0, -2.0, 1.0, 0.0, 1.0]) + rng.standard_normal(n)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("sizes", [(100, 12), (30, 80)])
def test_the_certificate_of_each_point_holds_and_is_true(sizes, l1_ratio):
    X, y = data(*sizes)
    lams = sparse.lam_grid(X, y, 8, 1e-2, l1_ratio)
    path = sparse.elastic_net_path(X, y, lams, l1_ratio)
    gaps = [
        float(certificates.elastic_net_relative_gap(jnp.asarray(w), jnp.asarray(X), jnp.asarray(y), lam, l1_ratio))
        for w, lam in zip(path.params, lams, strict=True)
    ]
    assert list(path.stopped) == ["converged"] * 8
    assert max(gaps) <= 1e-10
    assert np.allclose(gaps, path.certificate, atol=1e-13)
    assert not path.params[np.argmax(lams)].any()
    assert path.params[np.argmin(lams)].any()


def test_the_order_of_the_penalties_does_not_matter():
    X, y = data(60, 10)
    lams = sparse.lam_grid(X, y, 6, 1e-2)
    there, back = sparse.elastic_net_path(X, y, lams), sparse.elastic_net_path(X, y, lams[::-1])
    assert np.allclose(there.params, back.params[::-1], atol=1e-7)


def test_one_penalty_is_a_path_of_one():
    X, y = data(60, 10)
    lam = 0.1 * sparse.lam_max(X, y)
    assert np.allclose(sparse.elastic_net(X, y, lam).params, sparse.elastic_net_path(X, y, [lam]).params[0])


def test_hard_data_have_their_answer():
    X, y = data(50, 6)
    hard = np.column_stack([X, X[:, 0], np.zeros(50)])
    path = sparse.elastic_net_path(hard, y, sparse.lam_grid(hard, y, 5, 1e-2))
    assert list(path.stopped) == ["converged"] * 5


@pytest.mark.parametrize(
    "call",
    [
        lambda X, y: sparse.elastic_net_path(X, y, [-1.0]),
        lambda X, y: sparse.elastic_net_path(X, y, []),
        lambda X, y: sparse.elastic_net_path(np.where(X[0, 0] == X, np.nan, X), y, [1.0]),
        lambda X, y: sparse.elastic_net_path(X, y[:-1], [1.0]),
        lambda X, y: sparse.elastic_net_path(X, y, [1.0], l1_ratio=2.0),
    ],
)
def test_bad_input_is_refused(call):
    with jax.enable_x64(True), pytest.raises(InputError):
        call(*data(20, 5))
