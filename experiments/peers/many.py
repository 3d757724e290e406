r"""Many logistic regressions of the same data with weights of their own: the bootstrap.

The loss of fit b is $\sum_i s_{bi} \ell(x_i^\top w, y_i) / \sum_i s_{bi} + \frac\lambda2 \|w\|^2$. A solution is an
array (B, d); the certificate is the largest of the gradient norms, each in parts of that at 0.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from experiments.peers import STEPS, Fit, Peer
from experiments.solvers.many import many_fits
from jaxderiv.catalogue.classification import logistic

AT_ONCE = 200  # fits of the peer that is a vmap: with all at once it is slower


class Data(NamedTuple):
    """X, (n, d); y, (n,); weights S, (B, n)."""

    X: np.ndarray
    y: np.ndarray
    S: np.ndarray
    lam: float


def gradient_norms(W: np.ndarray, data: Data) -> np.ndarray:
    residuals = data.S * (expit(W @ data.X.T) - data.y)
    return np.linalg.norm(residuals @ data.X / data.S.sum(axis=1, keepdims=True) + data.lam * W, axis=1)


def start(data: Data) -> np.ndarray:
    """The gradient norms at 0."""
    return gradient_norms(np.zeros((len(data.S), data.X.shape[1])), data)


def certificate(W: np.ndarray, data: Data) -> float:
    """Infinity for an array of another shape, or not finite."""
    if np.shape(W) != (len(data.S), data.X.shape[1]) or not np.isfinite(W).all():
        return np.inf
    return float(np.max(gradient_norms(W, data) / start(data)))


def ours(data: Data) -> dict[str, Fit]:
    least = start(data).min() / 2
    return {
        "jaxderiv": lambda tolerance: (
            many_fits(logistic, data.X, data.y, data.S, data.lam, tolerance=tolerance * least).params
        )
    }


def _sklearn(solver: str):
    def fit(data, tolerance):
        from sklearn.linear_model import LogisticRegression

        found = np.empty((len(data.S), data.X.shape[1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it has converged is asked of the certificate
            for b, s in enumerate(data.S):
                model = LogisticRegression(
                    C=1 / (s.sum() * data.lam), solver=solver, tol=tolerance, fit_intercept=False, max_iter=STEPS
                )
                found[b] = model.fit(data.X, data.y, sample_weight=s).coef_[0]
        return found

    return fit


def _glum(data, tolerance):
    from glum import GeneralizedLinearRegressor

    found = np.empty((len(data.S), data.X.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for b, s in enumerate(data.S):
            model = GeneralizedLinearRegressor(
                family="binomial", alpha=data.lam, l1_ratio=0, fit_intercept=False, gradient_tol=tolerance,
                max_iter=1000,
            )  # fmt: skip
            found[b] = model.fit(data.X, data.y, sample_weight=s).coef_
    return found


@jax.jit
@partial(jax.vmap, in_axes=(0, None, None, None, None))
def _newton(s, X, y, lam, bound):
    s = s / s.sum()
    gradient = lambda w: X.T @ (s * (jax.nn.sigmoid(X @ w) - y)) + lam * w

    def step(state):
        w, g, k = state
        p = jax.nn.sigmoid(X @ w)
        H = (X.T * (s * p * (1 - p))) @ X + lam * jnp.eye(len(w))
        w = w - cho_solve(cho_factor(H), g)
        return w, gradient(w), k + 1

    going = lambda state: (jnp.linalg.norm(state[1]) > bound) & (state[2] < 50)
    w = jnp.zeros(X.shape[1])
    return jax.lax.while_loop(going, step, (w, gradient(w), 0))[0]


def _vmap(data, tolerance):
    X, y, bound = jnp.asarray(data.X), jnp.asarray(data.y), tolerance * start(data).min()
    groups = (data.S[i : i + AT_ONCE] for i in range(0, len(data.S), AT_ONCE))
    return np.concatenate([_newton(jnp.asarray(S, float), X, y, data.lam, bound) for S in groups])


PEERS = (
    *(
        Peer(f"scikit-learn {name}, a loop", "sklearn", lambda data: True, _sklearn(name))
        for name in ("lbfgs", "newton-cholesky")
    ),
    Peer("glum, a loop", "glum", lambda data: True, _glum),
    Peer("vmap of Newton's method", "jax", lambda data: True, _vmap),
)
