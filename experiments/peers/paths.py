r"""Paths of the lasso and of the elastic net, of least squares and of logistic regression.

Least squares: $P(w) = \frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|^2)$, a sum. Logistic
regression: a mean of losses in the place of the sum. A solution is an array (m, d), a row for each lam; the certificate
is the largest of their duality gaps, in parts of P(0).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, xlogy

from experiments.peers import STEPS, Fit, Peer
from experiments.solvers import sparse, sparse_logistic

MOST_COLUMNS = 1000  # for glum, which computes a Hessian of all columns: with 4000 a run takes minutes


class Data(NamedTuple):
    """X, (n, d), with columns in sequence in memory, as all of these solvers want it; lams in descending order."""

    X: np.ndarray
    y: np.ndarray
    lams: np.ndarray
    l1_ratio: float = 1.0
    logistic: bool = False

    @property
    def numbers(self) -> np.ndarray:
        """lam in parts of the number of observations: that of a mean of losses."""
        return self.lams if self.logistic else self.lams / len(self.y)


def certificate(W: np.ndarray, data: Data) -> float:
    """Infinity for an array of another shape, or not finite."""
    if np.shape(W) != (len(data.lams), data.X.shape[1]) or not np.isfinite(W).all():
        return np.inf
    return max(relative_gap(w, data, lam) for w, lam in zip(W, data.lams, strict=True))


def relative_gap(w: np.ndarray, data: Data, lam: float) -> float:
    X, y, l1, l2 = data.X, data.y, lam * data.l1_ratio, lam * (1 - data.l1_ratio)
    used = np.flatnonzero(w)
    z, penalty = X[:, used] @ w[used], l1 * np.abs(w).sum() + l2 / 2 * (w @ w)
    # Minus the gradient of the loss is the dual point u, which counts X'u = c: as it is where l2 > 0, as then the
    # conjugate of the penalty is sum (|c| - l1)_+^2 / 2 l2; and scaled into the conjugate's domain, |c| <= l1.
    n = len(y) if data.logistic else 1
    u = (y - (expit(z) if data.logistic else z)) / n
    c = u @ X

    def dual(scale: float, conjugate: float) -> float:
        if not data.logistic:
            return scale * (u @ y) - scale**2 * (u @ u) / 2 - conjugate
        p = y - n * scale * u
        return -np.mean(xlogy(p, p) + xlogy(1 - p, 1 - p)) - conjugate

    largest = np.abs(c).max(initial=0.0)
    best = 1.0 if data.logistic or not u.any() else u @ y / (u @ u)
    scale = min(best, l1 / largest) if largest > 0 else best
    found = dual(scale, 0.0)
    if l2 > 0:
        found = max(found, dual(1.0, float(np.sum(np.maximum(np.abs(c) - l1, 0) ** 2)) / (2 * l2)))
    loss = np.mean(np.logaddexp(0, z) - y * z) if data.logistic else u @ u / 2
    at_zero = np.log(2) if data.logistic else y @ y / 2
    return float((loss + penalty - found) / at_zero)


def ours(data: Data) -> dict[str, Fit]:
    path = sparse_logistic.logistic_path if data.logistic else sparse.elastic_net_path
    return {"jaxderiv": lambda tolerance: path(data.X, data.y, data.lams, data.l1_ratio, tolerance / 2).params}


def _quiet(fit: Callable[[Data, float], np.ndarray]) -> Callable[[Data, float], np.ndarray]:
    """Whether it has converged is asked of the certificate."""

    def quiet(data, tolerance):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit(data, tolerance)

    return quiet


@_quiet
def _sklearn_path(data, tolerance):
    from sklearn.linear_model import enet_path

    how = {"l1_ratio": data.l1_ratio, "alphas": data.numbers, "tol": tolerance, "max_iter": STEPS}
    return enet_path(data.X, data.y, **how)[1].T


def _sklearn_logistic(solver: str):
    @_quiet
    def fit(data, tolerance):
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(
            l1_ratio=data.l1_ratio, solver=solver, tol=tolerance, fit_intercept=False, max_iter=STEPS,
            warm_start=solver == "saga", random_state=0,
        )  # fmt: skip
        found = []
        for lam in data.numbers:
            model.set_params(C=1 / (len(data.y) * lam))
            found.append(model.fit(data.X, data.y).coef_[0].copy())
        return np.array(found)

    return fit


@_quiet
def _celer(data, tolerance):
    from celer import celer_path

    # As celer's estimators call it.
    how = {"tol": tolerance, "max_iter": 200, "prune": True}
    if data.logistic:
        how |= {"alphas": data.lams * len(data.y), "use_PN": True}
        return celer_path(data.X, 2 * data.y - 1, "logreg", **how)[1].T
    return celer_path(data.X, data.y, "lasso", alphas=data.numbers, l1_ratio=data.l1_ratio, **how)[1].T


@_quiet
def _skglm(data, tolerance):
    from skglm.datafits import Logistic, Quadratic
    from skglm.penalties import L1, L1_plus_L2
    from skglm.solvers import AndersonCD
    from skglm.utils.jit_compilation import compiled_clone

    datafit = compiled_clone(Logistic() if data.logistic else Quadratic())
    penalty = compiled_clone(L1(1.0) if data.l1_ratio == 1 else L1_plus_L2(1.0, data.l1_ratio))
    solver = AndersonCD(max_iter=1000, tol=tolerance, fit_intercept=False, warm_start=True)
    y = 2 * data.y - 1 if data.logistic else data.y
    return solver.path(data.X, y, datafit, penalty, data.numbers)[1].T


@_quiet
def _skglm_newton(data, tolerance):
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(
        l1_ratio=data.l1_ratio, tol=tolerance, fit_intercept=False, warm_start=True, max_iter=100, max_epochs=50_000
    )
    found = []
    for lam in data.lams:
        model.alpha = lam
        found.append(model.fit(data.X, 2 * data.y - 1).coef_.ravel().copy())
    return np.array(found)


@_quiet
def _glum(data, tolerance):
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="binomial" if data.logistic else "normal", alpha_search=True, alphas=data.numbers,
        l1_ratio=data.l1_ratio, fit_intercept=False, gradient_tol=tolerance, max_iter=1000, copy_X=False,
    )  # fmt: skip
    model.fit(data.X, data.y)
    return model.coef_path_


def _squares(data: Data) -> bool:
    return not data.logistic


PEERS = (
    Peer("scikit-learn path", "sklearn", _squares, _sklearn_path),
    Peer(
        "scikit-learn liblinear", "sklearn", lambda data: data.logistic and data.l1_ratio == 1,
        _sklearn_logistic("liblinear"),
    ),
    Peer("scikit-learn saga", "sklearn", lambda data: data.logistic, _sklearn_logistic("saga")),
    Peer("celer", "celer", lambda data: data.l1_ratio == 1 or not data.logistic, _celer),
    Peer("skglm, coordinate descent", "skglm", lambda data: True, _skglm),
    Peer("skglm, proximal Newton", "skglm", lambda data: data.logistic, _skglm_newton),
    Peer("glum", "glum", lambda data: data.X.shape[1] <= MOST_COLUMNS, _glum),
)  # fmt: skip
