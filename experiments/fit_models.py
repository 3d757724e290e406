r"""Fitting of the models of `experiments.fit`, in standardised units and with a certificate.

Features have mean 0 and variance 1 (divisor n), and the target of a regression as well, so that no step depends on the
units of the file. The certificate is the norm of the gradient of the *mean* over rows, or, for the lasso and the
elastic net, the KKT residual divided by n: zero exactly at a minimum, since every objective is convex. It has no unit.
For Huber's loss, whose gradients are at most of the size of delta, it is divided by delta where that is below 1.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from scipy.linalg import helmert

from experiments import certificates, steps
from experiments.fit_formulas import CERTIFICATES, FORMULAS
from experiments.fit_options import DIRECT, LIMITS, MODELS, Options
from experiments.loops import Problem, iterate, minimise
from jaxderiv import optimisers
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.regression import huber, least_squares
from jaxderiv.errors import InputError
from jaxderiv.optimisers import named

SPARSE = ("lasso", "elastic-net")
LARGE = 3e7  # numbers in the sum that makes the Hessian of softmax; beyond it Newton-CG is the default


# Units -------------------------------------------------------------------------------------------------------
class Units(NamedTuple):
    """How to get back from standardised units. A constant column, which folds may have, is centred to zeros."""

    centre: np.ndarray
    scale: np.ndarray
    offset: float
    unit: float

    @property
    def matrix(self) -> np.ndarray:
        """(d + 1, d + 1): original parameters = matrix @ standardised ones, and then the offset of the intercept."""
        slopes = self.unit / self.scale
        found = np.diag([self.unit, *slopes])
        found[0, 1:] = -slopes * self.centre
        return found

    def original(self, theta: np.ndarray) -> np.ndarray:
        weights = self.matrix @ theta
        weights[0] += self.offset
        return weights

    def rows(self, X: np.ndarray) -> np.ndarray:
        """Standardised features."""
        return (X - self.centre) / self.scale


def units_of(model: str, X: np.ndarray, y: np.ndarray) -> Units:
    spread = np.ptp(X, axis=0) > 1e-13 * np.abs(X).max(axis=0)
    scale = np.where(spread, X.std(axis=0), 1.0)
    if MODELS[model].kind == "regression":
        # The rows without a fold may have one value of the target only; any unit will do then.
        return Units(X.mean(axis=0), scale, float(y.mean()), float(y.std()) if np.ptp(y) > 0 else 1.0)
    return Units(X.mean(axis=0), scale, 0.0, 1.0)


def with_ones(Z: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(Z)), Z])


# Fitting -----------------------------------------------------------------------------------------------------
class Fit(NamedTuple):
    """A fitted model.

    Attributes:
        weights: in the original units, the intercept first: (d + 1,), or (d + 1, K).
        inner: the parameter in standardised units, from which another fit may start.
        units: between the two.
        data: what the formulas were given.
        value: the objective; for a regression in the square of the target's unit.
        certificate: gradient norm or KKT residual, computed in float64 from the data after the run.
        gap: relative duality gap, for ridge, lasso and elastic net; else NaN.
        steps: of the method. stopped: "solved" by a direct method, or as the loops say.
        method: which one.
        certified: whether the certificate is at most the tolerance.
    """

    weights: np.ndarray
    inner: np.ndarray
    units: Units
    data: dict[str, Any]
    value: float
    certificate: float
    gap: float
    steps: int
    stopped: str
    method: str
    certified: bool


def fit(options: Options, X: np.ndarray, y: np.ndarray, lam: float, start: np.ndarray | None = None) -> Fit:
    """Minimise the objective of a model.

    Args:
        X: (n, d), original units.
        y: (n,); for softmax the labels as unit vectors, (n, K).
        lam: of the penalty.
        start: the `inner` of another fit of the same shape; zeros if None.
    Raises:
        InputError: if Huber's threshold is to be found and half of the residuals of least squares are zero.
    """
    model, units = options.model, units_of(options.model, X, y)
    Z = units.rows(X)
    target = (y - units.offset) / units.unit
    method = options.method or default_method(model, Z, target)
    run = _sparse if model in SPARSE else _direct if method in DIRECT else _smooth
    inner, data, taken, stopped = run(options, method, Z, target, lam, units, start)
    inner = np.asarray(inner)
    if model in SPARSE:
        judged = {**data, "per_row": 1 / len(Z)}
        value, certificate = certificates.elastic_net(inner[1:], **data), kkt_residual(inner[1:], **judged)
        gap = certificates.elastic_net_relative_gap(inner[1:], **data)
    else:
        formula = FORMULAS[model].loss
        value = formula(inner, **named(formula, data))
        certificate = CERTIFICATES[model](inner, **named(CERTIFICATES[model], data))
        gap = np.nan
        if model == "ridge":
            gap = certificates.elastic_net_relative_gap(inner[1:], Z, target - inner[0], lam, 0.0)
    certificate, gap = float(certificate), float(gap)
    outer = inner @ data["B"].T if model == "softmax" else inner
    return Fit(
        weights=units.original(outer),
        inner=inner,
        units=units,
        data=data,
        value=float(value) * units.unit**2,
        certificate=certificate,
        gap=gap,
        steps=taken,
        stopped=stopped,
        method=method,
        certified=certificate <= options.tolerance,
    )


def default_method(model: str, Z: np.ndarray, y: np.ndarray) -> str:
    """The first of the model's, unless the Hessian of softmax would be too large to form."""
    large = model == "softmax" and Z.size * y.shape[1] ** 2 > LARGE
    return "newton-cg" if large else MODELS[model].methods[0]


def _smooth(options, method, Z, y, lam, units, start):
    data = _smooth_data(options, Z, y, lam, units)
    formulas = FORMULAS[options.model]
    problem = Problem(formulas.loss, formulas.gradient)
    start = np.zeros_like(data["penalty"]) if start is None else start
    limit = options.limit or LIMITS[method]
    if method in ("gradient-descent", "nesterov"):
        bound = curvature_bound(options.model, data["X"]) + lam
        data["rate"] = 1 / bound
    found = minimise(
        problem, optimiser(options.model, method), start, data, options.tolerance, limit,
        certificate=CERTIFICATES[options.model],
    )  # fmt: skip
    return found.params, data, found.steps, found.stopped


def _smooth_data(options, Z, y, lam, units):
    data = {"X": with_ones(Z), "y": y}
    shape: tuple[int, ...] = (data["X"].shape[1],)
    if options.model == "softmax":
        B = helmert(y.shape[1]).T
        data, shape = {"X": data["X"], "T": y, "B": B}, (*shape, B.shape[1])
    elif options.model == "huber":
        data["delta"] = (threshold(Z, y) if options.delta is None else options.delta / units.unit) * np.ones(())
    penalty = np.full(shape, lam)
    penalty[0] = 0.0  # the intercept
    return {**data, "penalty": penalty}


def threshold(Z: np.ndarray, y: np.ndarray) -> float:
    """1.345 robust standard deviations (1.4826 median |r|) of the residuals of least squares: where all errors are
    normal, that costs 5 % of the efficiency.

    Source: Holland and Welsch, Robust regression using iteratively reweighted least-squares (1977).
    """
    rows = with_ones(Z)
    residuals = y - rows @ optimisers.least_squares(rows, y, "svd")
    robust = 1.345 * 1.4826 * float(np.median(np.abs(residuals)))
    if not robust > 1e-12:
        raise InputError("delta cannot be found, as half of the residuals of least squares are zero; give --delta")
    return robust


def _direct(options, method, Z, y, lam, units, start):
    data = _smooth_data(options, Z, y, lam, units)
    if options.model == "ridge":
        inner = np.append(0.0, optimisers.ridge_path(Z, y, np.array([lam]))[0])
    else:
        inner = optimisers.least_squares(data["X"], y, method)
    return inner, data, 1, "solved"


def _sparse(options, method, Z, y, lam, units, start):
    start = np.zeros(Z.shape[1]) if start is None else start[1:]
    share = 1.0 if options.model == "lasso" else options.l1_ratio
    # Dividing the target by its unit leaves the quadratic part as it is and divides the l1 part.
    l1, l2 = lam * share / units.unit, lam * (1 - share)
    data = {"X": Z, "y": y, "lam": l1 + l2, "l1_ratio": l1 / (l1 + l2)}
    limit, n = options.limit or LIMITS[method], len(Z)
    if method in ("ista", "fista"):
        # The objective divided by L has the step 1, which the transformation can hold for all data.
        bound = curvature_bound("lasso", Z)
        scaled = {**data, "X": Z / np.sqrt(bound), "y": y / np.sqrt(bound), "lam": data["lam"] / bound}
        problem = Problem(certificates.elastic_net, least_squares.gradient)
        found = minimise(
            problem, optimiser(options.model, method), start, {**scaled, "per_row": bound / n}, options.tolerance,
            limit, certificate=kkt_residual,
        )  # fmt: skip
        point = found.params
    else:
        known, step, point_of = {**data, "per_row": 1 / n}, steps.coordinate_descent, None
        if method == "admm":
            # n is the mean eigenvalue of X'X, whose diagonal is n.
            known |= {"rho": float(n), "factor": steps.gram_factor(Z, float(n))}
            step, point_of, start = steps.lasso_admm, steps.split_of, steps.lasso_admm.start(start)
        more = {} if point_of is None else {"point": point_of}
        found = iterate(step, start, known, kkt_residual, options.tolerance, limit, **more)
        point = found.point
    return np.append(0.0, point), data, found.steps, found.stopped


@functools.cache
def optimiser(model: str, method: str) -> optax.GradientTransformationExtraArgs:
    """The transformation of a method: one object for all data, so that programs are compiled once."""
    if method in ("ista", "fista"):
        made = optimisers.proximal_gradient if method == "ista" else optimisers.fista
        return made(1.0, optimisers.prox_elastic_net)
    formulas = FORMULAS[model]
    return {
        "newton": lambda: optimisers.newton(formulas.hessian),
        "newton-cg": lambda: optimisers.newton_cg(formulas.hvp),
        "trust-region": lambda: optimisers.trust_region(formulas.hessian),
        "bfgs": optimisers.bfgs,
        "lbfgs": optax.lbfgs,
        "gradient-descent": _descent,
        "nesterov": lambda: optax.chain(_descent(), optimisers.extrapolation("t_k")),
        "irls": lambda: optimisers.irls(*_WEIGHTS[model]),
    }[method]()


def _descent() -> optax.GradientTransformationExtraArgs:
    """Gradient descent whose step is a datum, ``rate``."""

    def update(updates, state, params=None, *, rate, **extra):
        return -rate * updates, state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def _huber_weight(z, y, delta):
    r = jnp.abs(z - y)
    return jnp.where(r > delta, delta / jnp.where(r > delta, r, 1.0), 1.0)


_WEIGHTS = {
    "logistic": (logistic.residual, logistic.curvature),
    "huber": (lambda z, y, delta: huber.influence(z - y, delta), _huber_weight),
}


def curvature_bound(model: str, X: np.ndarray) -> float:
    """A bound of the Hessian's eigenvalues without penalty: that of X'X, times the largest curvature of one row."""
    largest = float(np.linalg.norm(X, 2) ** 2)
    return largest * {"logistic": 1 / (4 * len(X)), "softmax": 1 / (2 * len(X))}.get(model, 1.0)


def largest_lam(options: Options, X: np.ndarray, y: np.ndarray) -> float:
    """Where a grid begins: the least lam at which all weights are zero (lasso, elastic net); else 10 times the bound of
    the Hessian, so that the penalty outweighs the data in every direction.
    """
    units = units_of(options.model, X, y)
    Z = units.rows(X)
    if options.model in SPARSE:
        share = 1.0 if options.model == "lasso" else options.l1_ratio
        return float(np.abs(Z.T @ (y - units.offset)).max()) / share
    return 10 * curvature_bound(options.model, Z)


def scores(weights: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Predictions of a regression, (n,), or logits, (n,) or (n, K)."""
    return X @ weights[1:] + weights[0]


def kkt_residual(w, X, y, lam, l1_ratio, per_row):
    """Of the elastic net, per row. X, y and lam may be divided by a number that per_row makes good."""
    return certificates.elastic_net_kkt(w, X, y, lam, l1_ratio) * per_row
