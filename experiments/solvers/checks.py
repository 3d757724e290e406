"""What `experiments.solvers.smooth` takes and refuses: data that do not fit, and losses without one minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments import fit_existence
from experiments.solvers.arrays import Rows
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, mean_squared_error, poisson
from jaxderiv.errors import InputError

MODELS = {"least squares": mean_squared_error, "huber": huber, "logistic": logistic, "poisson": poisson,
          "softmax": softmax}  # fmt: skip


def checked(model, X, y, weights, lam, delta, tolerance, limit) -> Rows:
    """The data, of which X may have entries that are not finite: the first gradient says that as well.

    Raises:
        InputError: as `experiments.solvers.smooth.solve` says.
    """
    if model not in MODELS:
        raise InputError(f"model is {model!r}; allowed: {', '.join(MODELS)}")
    for name, number, least in (
        ("lam", lam, 0),
        ("tolerance", tolerance, 0),
        ("limit", limit, 1),
        ("delta", delta, 1e-300),
    ):
        if not (np.isfinite(number) and number >= least):
            raise InputError(f"{name} is {number}; allowed: {'above 0' if name == 'delta' else f'{least} or more'}")
    if np.ndim(X) != 2 or 0 in np.shape(X):
        raise InputError(f"X has shape {np.shape(X)}; it has n rows and d columns, at least one of each")
    wanted = 2 if model == "softmax" else 1
    if np.ndim(y) != wanted or len(y) != len(X):
        what = "n rows of K targets, one-hot or probabilities" if wanted == 2 else "n entries"
        raise InputError(f"y has shape {np.shape(y)} with X of shape {np.shape(X)}; for {model} it has {what}")
    if weights is not None and np.shape(weights) != (len(X),):
        raise InputError(f"weights has shape {np.shape(weights)}; with X of shape {np.shape(X)} it has {(len(X),)}")
    data = Rows(X, y, weights)
    _, y, s = data.host
    all_finite("y", y)
    if s is not None:
        all_finite("weights", s)
        if (s := np.asarray(s)).min() < 0 or s.max() == 0:
            raise InputError("weights are negative or all zero; allowed: 0 or more, and one above 0")
    _targets(model, np.asarray(y))
    return data


def all_finite(name: str, array: Any) -> None:
    # A sum that is finite has no summand that is not; only then each entry has to be looked at.
    if not math.isfinite(np.asarray(array.sum())) and not (finite := np.isfinite(array)).all():
        place = ", ".join(str(int(i)) for i in np.argwhere(~finite)[0])
        raise InputError(f"{name}[{place}] is not finite; leave such rows out or give them a value")


def _targets(model: str, y: np.ndarray) -> None:
    low, high = np.min(y), np.max(y)
    if model == "logistic" and not 0 <= low <= high <= 1:
        raise InputError(f"y is from {low:g} to {high:g}; logistic regression takes 0 and 1, or probabilities")
    if model == "poisson" and low < 0:
        raise InputError(f"y has {low:g}; Poisson regression takes counts, 0 or more")
    if model == "softmax" and not (low >= 0 and np.allclose(np.sum(y, axis=1), 1.0)):
        raise InputError("rows of y are not of sum 1, or have negative entries; softmax regression takes one-hot rows")


def one_minimum_at_most(data: Rows, intercept: bool) -> None:
    """Without a penalty columns that determine one another leave many minima."""
    X, _, s = (None if part is None else np.asarray(part) for part in data.host)
    used = X if s is None else X[s > 0]
    d = X.shape[1] + intercept
    # Columns that do not determine one another in some of the rows do not in all.
    for rows in (used[: 10 * d], used):
        full = np.column_stack([rows, np.ones(len(rows))]) if intercept else rows
        gram = full.T @ full
        lengths = np.sqrt(np.diag(gram))
        lengths[lengths == 0] = 1.0
        values, vectors = np.linalg.eigh(gram / np.outer(lengths, lengths))
        if values[0] > d * np.finfo(float).eps * 4 and len(full) >= d:
            return
    involved = np.flatnonzero(np.abs(vectors[:, 0]) > 1e-6)[:6]
    names = ", ".join("the intercept" if j == X.shape[1] else f"column {j}" for j in involved)
    raise InputError(
        f"without a penalty there are many minima: X has {len(used)} rows with weight and {d} columns, of which "
        f"{names} determine one another; leave some out, or write lam above 0"
    )


def has_minimum(data: Rows, w, gradient_norm, intercept) -> None:
    """Without a penalty separable classes leave the loss without a minimum, though its gradient becomes small."""
    X, y, s = (None if part is None else np.asarray(part) for part in data.host)
    if not ((y == 0) | (y == 1)).all():
        return  # with probabilities between 0 and 1 there is always one
    keep = slice(None) if s is None else s > 0
    full = np.column_stack([X, np.ones(len(X))]) if intercept else X
    full, y = full[keep], y[keep]
    z = full @ w
    if fit_existence.has_minimum(full, y, z, gradient_norm):
        return
    if fit_existence.separating_direction(full, y) is not None:
        raise InputError(
            "a direction separates the classes, so that without a penalty there is no minimum; write lam above 0"
        )
