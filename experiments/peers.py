"""The peers of `experiments.race`: other solvers of a penalised logistic or softmax regression, each as it is meant to
be used.

A peer is a function of (problem, tolerance) that returns w, with the intercept as the last row. One whose library is
not installed is left out and named.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax

from experiments.loops import Problem, minimise
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.classification import softmax as softmax_regression

STEPS = 100_000
SMALL = 2_000_000  # entries of X, up to which solvers that visit single rows are asked, too


class Data(NamedTuple):
    """Mean loss of logistic (y of shape (n,)) or softmax (y of shape (n, K)) regression with penalty lam/2 |w|^2."""

    name: str
    X: np.ndarray
    y: np.ndarray
    lam: float
    intercept: bool = False

    @property
    def labels(self) -> np.ndarray:
        return self.y if self.y.ndim == 1 else self.y.argmax(axis=1)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.X.shape[1] + self.intercept, *self.y.shape[1:])


class Peer(NamedTuple):
    name: str
    library: str
    applies: Callable[[Data], bool]
    fit: Callable[[Data, float], np.ndarray]


def value_and_gradient(w: np.ndarray, data: Data) -> tuple[float, np.ndarray]:
    """In NumPy, from the definition: the judge of all, which shares no code with any of them."""
    slopes = w[: data.X.shape[1]]
    z = data.X @ slopes
    if data.intercept:
        z = z + w[-1]
    if data.y.ndim == 1:
        losses, residual = np.logaddexp(0, z) - data.y * z, expit(z) - data.y
    else:
        losses, residual = logsumexp(z, axis=1) - np.sum(data.y * z, axis=1), softmax(z, axis=1) - data.y
    n = len(data.X)
    # Rows on the left: BLAS reads X along its rows.
    gradient = (residual.T @ data.X).T / n + data.lam * slopes
    if data.intercept:
        gradient = np.concatenate([gradient, residual.mean(axis=0, keepdims=True)])
    return float(losses.mean() + data.lam / 2 * np.sum(slopes**2)), gradient


def certificate(w: np.ndarray, data: Data) -> float:
    """The gradient norm at w in parts of that at 0; infinity for a w of another shape, or not finite."""
    if np.shape(w) != data.shape or not np.isfinite(w).all():
        return np.inf
    return float(np.linalg.norm(value_and_gradient(w, data)[1]) / start(data))


def start(data: Data) -> float:
    """The gradient norm at 0."""
    return float(np.linalg.norm(value_and_gradient(np.zeros(data.shape), data)[1]))


def _sklearn(solver: str) -> Callable[[Data, float], np.ndarray]:
    def fit(data, tolerance):
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(
            C=1 / (len(data.X) * data.lam), solver=solver, tol=tolerance, fit_intercept=data.intercept, max_iter=STEPS,
            random_state=0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it has converged is asked of the certificate
            model.fit(data.X, data.labels)
        w = np.vstack([model.coef_.T, model.intercept_[None]]) if data.intercept else model.coef_.T
        return w[:, 0] if data.y.ndim == 1 else w

    return fit


def _scipy(method: str) -> Callable[[Data, float], np.ndarray]:
    def fit(data, tolerance):
        def flat(w):
            value, gradient = value_and_gradient(w.reshape(data.shape), data)
            return value, gradient.ravel()

        options = {"maxiter": STEPS, "maxfun": STEPS, "gtol": tolerance * start(data), "ftol": 0, "maxcor": 10}
        return minimize(flat, np.zeros(data.shape).ravel(), jac=True, method=method, options=options).x.reshape(
            data.shape
        )

    return fit


_PROBLEMS = {
    1: Problem(logistic.loss, logistic.gradient),
    2: Problem(softmax_regression.loss, softmax_regression.gradient),
}
_LBFGS = optax.lbfgs()


def _optax(data, tolerance):
    problem = _PROBLEMS[data.y.ndim]
    named = dict(zip(("X", "y" if data.y.ndim == 1 else "T", "lam"), (data.X, data.y, data.lam), strict=True))
    return minimise(problem, _LBFGS, np.zeros(data.shape), named, tolerance * start(data), STEPS).params


def _mean_loss(w, data):
    X, y, lam = data
    return logistic.loss(w, X, y, lam) if y.ndim == 1 else softmax_regression.loss(w, X, y, lam)


def _optimistix(data, tolerance):
    import optimistix

    solver = optimistix.LBFGS(rtol=tolerance, atol=tolerance)
    given = (jnp.asarray(data.X), jnp.asarray(data.y), jnp.asarray(data.lam))
    found = optimistix.minimise(_mean_loss, solver, jnp.zeros(data.shape), given, max_steps=STEPS, throw=False)
    return np.asarray(found.value)


def _glum(data, tolerance):
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="binomial", alpha=data.lam, l1_ratio=0, fit_intercept=data.intercept, gradient_tol=tolerance,
        max_iter=1000,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X, data.y)
    return np.append(model.coef_, model.intercept_) if data.intercept else model.coef_


def _all(data: Data) -> bool:
    return True


def _binary(data: Data) -> bool:
    return data.y.ndim == 1


def _without_intercept(data: Data) -> bool:
    return not data.intercept


def _by_rows(data: Data) -> bool:
    return data.X.size <= SMALL


PEERS = (
    *(
        Peer(f"scikit-learn {name}", "sklearn", _all, _sklearn(name))
        for name in ("lbfgs", "newton-cg", "newton-cholesky")
    ),
    Peer(
        "scikit-learn liblinear",
        "sklearn",
        lambda data: _binary(data) and _without_intercept(data),
        _sklearn("liblinear"),
    ),
    *(Peer(f"scikit-learn {name}", "sklearn", _by_rows, _sklearn(name)) for name in ("sag", "saga")),
    Peer("SciPy L-BFGS-B", "scipy", _all, _scipy("L-BFGS-B")),
    Peer("optax L-BFGS", "optax", _without_intercept, _optax),
    Peer("optimistix L-BFGS", "optimistix", _without_intercept, _optimistix),
    Peer("glum", "glum", _binary, _glum),
)


def installed(peer: Peer) -> bool:
    return importlib.util.find_spec(peer.library) is not None
