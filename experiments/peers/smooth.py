r"""Penalised logistic, softmax and Poisson regression, ridge and Huber regression.

The loss is $\frac1n \sum_i \ell(x_i^\top w, y_i) + \frac\lambda2 \|w\|^2$. A solution is w, with the intercept, which
is not penalised, as the last row; the certificate is the gradient norm there in parts of that at 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import minimize
from scipy.special import expit, huber, logsumexp, softmax

from experiments.loops import Problem, minimise
from experiments.peers import STEPS, Fit, Peer
from experiments.solvers.smooth import solve
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.classification import softmax as softmax_regression
from jaxderiv.catalogue.regression import huber as huber_regression
from jaxderiv.catalogue.regression import mean_squared_error, poisson

DELTA = 1.345  # of Huber's loss
SMALL = 2_000_000  # entries of X, up to which solvers that visit single rows are asked, too


class Data(NamedTuple):
    """X, (n, d); y, (n,), or (n, K) for softmax regression."""

    X: np.ndarray
    y: np.ndarray
    lam: float
    intercept: bool = False
    model: str = "logistic"

    @property
    def labels(self) -> np.ndarray:
        return self.y if self.y.ndim == 1 else self.y.argmax(axis=1)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.X.shape[1] + self.intercept, *self.y.shape[1:])


def value_and_gradient(w: np.ndarray, data: Data) -> tuple[float, np.ndarray]:
    """In NumPy, from the definition: the judge of all, which shares no code with any of them."""
    slopes = w[: data.X.shape[1]]
    z = data.X @ slopes
    if data.intercept:
        z = z + w[-1]
    if data.model == "logistic":
        losses, residual = np.logaddexp(0, z) - data.y * z, expit(z) - data.y
    elif data.model == "poisson":
        mean = np.exp(z)
        losses, residual = mean - data.y * z, mean - data.y
    elif data.model == "least squares":
        losses, residual = (z - data.y) ** 2 / 2, z - data.y
    elif data.model == "huber":
        losses, residual = huber(DELTA, z - data.y), np.clip(z - data.y, -DELTA, DELTA)
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


def ours(data: Data) -> dict[str, Fit]:
    """From an array of NumPy, which is copied within the clock, and with X on the device before."""
    resident = jnp.asarray(data.X)

    def fit(X, tolerance):
        # Half of it, so that rounding in the judge's own sums does not matter.
        how = {"intercept": data.intercept, "tolerance": tolerance / 2}
        return solve(data.model, X, data.y, data.lam, delta=DELTA, **how).params

    return {
        "jaxderiv": lambda tolerance: fit(data.X, tolerance),
        "jaxderiv, X on the device": lambda tolerance: fit(resident, tolerance),
    }


def _sklearn(solver: str) -> Callable[[Data, float], np.ndarray]:
    def fit(data, tolerance):
        from sklearn.linear_model import LogisticRegression, PoissonRegressor

        how = {"solver": solver, "tol": tolerance, "fit_intercept": data.intercept, "max_iter": STEPS}
        if data.model == "poisson":
            model = PoissonRegressor(alpha=data.lam, **how)
        else:
            C = 1 / (len(data.X) * data.lam) if data.lam > 0 else np.inf
            model = LogisticRegression(C=C, random_state=0, **how)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it has converged is asked of the certificate
            model.fit(data.X, data.labels)
        slopes = np.atleast_2d(model.coef_).T
        w = np.vstack([slopes, np.atleast_2d(model.intercept_)]) if data.intercept else slopes
        return w[:, 0] if data.y.ndim == 1 else w

    return fit


def _ridge(solver: str) -> Callable[[Data, float], np.ndarray]:
    def fit(data, tolerance):
        from sklearn.linear_model import Ridge

        how = {"solver": solver, "tol": tolerance, "fit_intercept": data.intercept, "max_iter": STEPS}
        model = Ridge(alpha=data.lam * len(data.X), **how).fit(data.X, data.y)
        return np.append(model.coef_, model.intercept_) if data.intercept else model.coef_

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


def _penalised(pointwise: Callable) -> Callable:
    return lambda w, X, y, lam: jnp.mean(pointwise(X @ w, y)) + lam / 2 * (w @ w)


_PROBLEMS = {
    **{name: Problem(model.loss, model.gradient) for name, model in
       {"logistic": logistic, "softmax": softmax_regression, "poisson": poisson}.items()},
    **{name: Problem(loss, jax.grad(loss)) for name, loss in
       {"least squares": _penalised(mean_squared_error.pointwise),
        "huber": _penalised(lambda z, y: huber_regression.pointwise(z - y, DELTA))}.items()},
}  # fmt: skip
_LBFGS = optax.lbfgs()


def _optax(data, tolerance):
    named = dict(zip(("X", "T" if data.model == "softmax" else "y", "lam"), (data.X, data.y, data.lam), strict=True))
    begun = np.zeros(data.shape)
    return minimise(_PROBLEMS[data.model], _LBFGS, begun, named, tolerance * start(data), STEPS).params


# One function for each model, since the solver compiles each function that it is given anew.
_LOSSES = {name: (lambda w, given, loss=problem.loss: loss(w, *given)) for name, problem in _PROBLEMS.items()}


def _optimistix(data, tolerance):
    import optimistix

    solver = optimistix.LBFGS(rtol=tolerance, atol=tolerance)
    given = (jnp.asarray(data.X), jnp.asarray(data.y), jnp.asarray(data.lam))
    found = optimistix.minimise(_LOSSES[data.model], solver, jnp.zeros(data.shape), given, max_steps=STEPS, throw=False)
    return np.asarray(found.value)


_FAMILIES = {"logistic": "binomial", "poisson": "poisson", "least squares": "normal"}


def _glum(data, tolerance):
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family=_FAMILIES[data.model], alpha=data.lam, l1_ratio=0, fit_intercept=data.intercept,
        gradient_tol=tolerance, max_iter=1000,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X, data.y)
    return np.append(model.coef_, model.intercept_) if data.intercept else model.coef_


def _statsmodels(data, tolerance):
    from statsmodels.discrete.discrete_model import Logit, Poisson

    X = np.column_stack([data.X, np.ones(len(data.X))]) if data.intercept else data.X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (Poisson if data.model == "poisson" else Logit)(data.y, X).fit(
            method="newton", tol=tolerance, maxiter=1000, disp=0, skip_hessian=True
        ).params  # fmt: skip


def _of(*models: str) -> Callable[[Data], bool]:
    return lambda data: data.model in models


def _by_rows(data: Data) -> bool:
    return data.X.size <= SMALL and data.model in ("logistic", "softmax") and data.lam > 0


PEERS = (
    Peer("scikit-learn lbfgs", "sklearn", _of("logistic", "softmax", "poisson"), _sklearn("lbfgs")),
    Peer(
        "scikit-learn newton-cholesky", "sklearn", _of("logistic", "softmax", "poisson"), _sklearn("newton-cholesky")
    ),
    Peer("scikit-learn newton-cg", "sklearn", _of("logistic", "softmax"), _sklearn("newton-cg")),
    Peer(
        "scikit-learn liblinear", "sklearn",
        lambda data: data.model == "logistic" and not data.intercept and data.lam > 0, _sklearn("liblinear"),
    ),
    *(Peer(f"scikit-learn {name}", "sklearn", _by_rows, _sklearn(name)) for name in ("sag", "saga")),
    *(
        Peer(f"scikit-learn ridge, {name}", "sklearn", _of("least squares"), _ridge(name))
        for name in ("cholesky", "lsqr", "sparse_cg")
    ),
    Peer("SciPy L-BFGS-B", "scipy", lambda data: True, _scipy("L-BFGS-B")),
    Peer("optax L-BFGS", "optax", lambda data: not data.intercept, _optax),
    Peer("optimistix L-BFGS", "optimistix", lambda data: not data.intercept, _optimistix),
    Peer("glum", "glum", lambda data: data.model in _FAMILIES, _glum),
    Peer(
        "statsmodels", "statsmodels", lambda data: data.lam == 0 and data.model in ("logistic", "poisson"),
        _statsmodels,
    ),
)  # fmt: skip
