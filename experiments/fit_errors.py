"""Standard errors of the models of `experiments.fit` that have no penalty, from the Hessian at the minimum."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.fit_formulas import FORMULAS
from experiments.fit_models import LARGE, Fit
from experiments.fit_options import MODELS
from jaxderiv.catalogue.regression import huber
from jaxderiv.optimisers import named


class Errors(NamedTuple):
    """Standard errors in the original units, in the shape of the weights; NaN where they are not defined.

    Attributes:
        freedom: degrees of freedom of the t distribution; infinity for the normal one.
        basis: where they come from, or why there are none.
    """

    standard: np.ndarray
    freedom: float
    basis: str


def standard_errors(model: str, lam: float, fitted: Fit) -> Errors:
    r"""From the Hessian H of the *sum* over rows at the minimum, without a penalty only.

    Least squares: $s^2 H^{-1}$, $s^2 = \|r\|^2 / (n - d - 1)$; logistic and softmax: the inverse of the observed
    information, $H^{-1}$; Huber: the sandwich $\frac{n}{n - d - 1} H^{-1} X^\top \mathrm{diag}(\psi^2) X H^{-1}$.

    Source: Huber, The behavior of maximum likelihood estimates under nonstandard conditions (1967), for the sandwich.
    """
    undefined = np.full_like(fitted.weights, np.nan)
    if lam > 0:
        return Errors(undefined, np.inf, "none: the penalty biases the weights, so that they have no standard errors")
    if not fitted.certified:
        return Errors(undefined, np.inf, "none: the fit is not certified")
    data, theta = fitted.data, fitted.inner
    X = data["X"]
    n, p = X.shape
    if MODELS[model].kind == "regression" and n <= p:
        return Errors(undefined, np.inf, f"none: {n} rows for {p} weights leave no degree of freedom")
    H = _sum_hessian(model, theta, data)
    eigenvalues, Q = np.linalg.eigh(H)
    if not eigenvalues[0] > len(H) * np.finfo(float).eps * eigenvalues[-1]:
        return Errors(undefined, np.inf, "none: to rounding, the Hessian at the minimum is singular")
    inverse = (Q / eigenvalues) @ Q.T
    freedom = np.inf
    if model == "linear":
        residuals = X @ theta - data["y"]
        covariance, freedom = residuals @ residuals / (n - p) * inverse, n - p
        basis = f"s^2 (X'X)^-1 with {n - p} degrees of freedom"
    elif model == "huber":
        within = int(np.sum(np.abs(X @ theta - data["y"]) < data["delta"]))
        if within < 2 * p:
            return Errors(undefined, np.inf, f"none: {within} residuals within delta are too few for {p} weights")
        influence = np.asarray(huber.influence(X @ theta - data["y"], data["delta"]))
        covariance = inverse @ ((X * influence[:, None] ** 2).T @ X) @ inverse * n / (n - p)
        basis = "sandwich of the inverse Hessian (X'diag(psi')X)^-1, times n/(n - d - 1)"
    else:
        covariance, basis = inverse, "inverse observed information (Hessian of the negative log-likelihood)"
    A = fitted.units.matrix
    if model == "softmax":
        A = np.kron(A, data["B"])  # from V, row by row, to the weights, row by row
    variances = np.einsum("ij,jk,ik->i", A, covariance, A)
    return Errors(np.sqrt(np.maximum(variances, 0.0)).reshape(fitted.weights.shape), freedom, basis)


def _sum_hessian(model: str, theta: np.ndarray, data: dict[str, Any]) -> np.ndarray:
    """Of the sum over rows, in blocks of rows, since that of softmax needs much memory in between."""
    formula, n = jax.jit(FORMULAS[model].hessian), len(data["X"])
    blocks = int(np.ceil(n * theta.size**2 / len(theta) / LARGE)) if model == "softmax" else 1
    H = np.zeros((theta.size, theta.size))
    for rows in np.array_split(np.arange(n), max(blocks, 1)):
        part = {name: value[rows] if name in ("X", "y", "T") else value for name, value in data.items()}
        one = np.asarray(formula(theta, **named(formula, part))).reshape(H.shape)
        H += one if MODELS[model].sums else len(rows) * one
    return H
