r"""Whether there is a minimum, and one only. With a penalty there is; without one that depends on the data.

There are many where columns determine one another, in particular where there are fewer rows than weights. Logistic and
softmax regression have none exactly if a direction separates the classes: one along which every row's own class scores
at least as high as each other class, and somewhere higher (Albert and Anderson, 1984). Along it the loss falls for
ever.

Both answers come with evidence. A direction is its own proof. And at a point with a small gradient g of the mean loss
the probabilities of the wrong classes, all at least p, balance the rows: along a separating direction u of length one,
$n |g| \ge -n\, u^\top g = \sum_{i,k} p_{ik} (z_{i y_i} - z_{ik}) \ge p\, \|Xu\| \ge p\, \sigma_{\min}(X)$,
so none exists where $p\, \sigma_{\min}(X) > n |g|$. Where neither is at hand a linear programme decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit, softmax

from experiments import fit_models
from experiments.fit_models import Fit
from experiments.fit_options import MODELS, Options
from experiments.table import Labels
from jaxderiv.errors import InputError
from jaxderiv.metrics.regression import variance_inflation_factors

FEASIBLE = 1e-8  # what a linear programme may violate, in standardised units
GAINED = 1e-6  # what counts as a margin above zero


class Direction(NamedTuple):
    """A separating direction.

    Attributes:
        weights: in the units of the rows, (p,), or (p, K) with rows of sum zero.
        complete: whether every row has a margin above zero; else some have zero.
        level: how many rows have a margin of zero to some other class.
    """

    weights: np.ndarray
    complete: bool
    level: int


def checked_fit(
    options: Options,
    X: np.ndarray,
    y: np.ndarray,
    lam: float,
    labels: Labels,
    words: str = "",
    start: np.ndarray | None = None,
) -> Fit:
    """`fit_models.fit` of data that have one minimum.

    Args:
        words: what to say in front of an error.
    Raises:
        InputError: without a penalty, if there are fewer rows than weights, dependent columns or separable classes.
    """
    if lam > 0:
        return fit_models.fit(options, X, y, lam, start)
    cure = "give a penalty: --model ridge or lasso" if options.model == "linear" else "give --lam (a number above 0)"
    _one_minimum_at_most(X, labels.names, words, cure)
    found = fit_models.fit(options, X, y, lam, start)
    if MODELS[options.model].kind != "regression":
        rows = found.data["X"]
        if not has_minimum(rows, y, fit_models.scores(found.weights, X), found.certificate):
            direction = separating_direction(rows, y)
            if direction is not None:
                shown = in_words(direction._replace(weights=found.units.original(direction.weights)), labels)
                raise InputError(
                    f"{words}no finite optimum exists: the classes are separable {shown}; without a penalty the "
                    f"weights grow along this direction for ever; {cure}"
                )
    return found


def _one_minimum_at_most(X: np.ndarray, names: tuple[str, ...], words: str, cure: str) -> None:
    n, d = X.shape
    many = "and without a penalty many fits are equally good"
    if n < d + 1:
        raise InputError(
            f"{words}{d} columns and an intercept are more than {n} rows, {many}; {cure}, or use fewer columns"
        )
    for name, column in zip(names, X.T, strict=True):
        if np.ptp(column) <= 1e-13 * np.abs(column).max():  # in a fold: a file with such a column is refused earlier
            raise InputError(f"{words}column {name!r} is constant, {many}; {cure}, or leave it out with --drop")
    dependent = np.isinf(variance_inflation_factors(X))
    if dependent.any():
        listed = ", ".join(repr(name) for name, one in zip(names, dependent, strict=True) if one)
        raise InputError(
            f"{words}the columns {listed} determine one another, {many}; {cure}, or leave one out with --drop"
        )


def has_minimum(X: np.ndarray, y: np.ndarray, z: np.ndarray, gradient_norm: float) -> bool:
    """Whether the point with these logits proves that there is a minimum. False says nothing.

    Args:
        X: rows with a one, (n, p).
        y: labels 0 or 1, (n,), or unit vectors, (n, K); the logits z alike.
        gradient_norm: of the mean loss at the point.
    """
    wrong = np.abs(expit(z) - y) if y.ndim == 1 else softmax(z, axis=1)[y == 0]
    # Twice, so that rounding in the norms does not matter.
    return bool(wrong.min() * _least_singular_value(X) > 2 * len(X) * gradient_norm)


def _least_singular_value(X: np.ndarray) -> float:
    """That of X, or a lower bound that is near, by the Gram matrix where rounding there does not matter."""
    gram = X.T @ X
    square = np.linalg.eigvalsh(gram)[0] - (len(X) + len(gram)) * np.finfo(float).eps * np.trace(gram)
    return float(np.sqrt(square) if square > 0 else np.linalg.svd(X, compute_uv=False)[-1])


def separating_direction(X: np.ndarray, y: np.ndarray) -> Direction | None:
    """A direction that separates; one with the largest margin where all margins can be positive. None if there is none.

    Args:
        X: rows with a one, standardised, (n, p).
        y: labels 0 or 1, (n,), or unit vectors, (n, K).
    """
    margins = _margins(X, y)
    found = _maximise(margins.sum(axis=0), margins)
    if not _separates(margins, found):
        return None
    # The largest t with all margins at least t, and the weights within [-1, 1].
    lifted = np.column_stack([margins, -np.ones(len(margins))])
    best = _maximise(np.append(np.zeros(margins.shape[1]), 1.0), lifted)
    complete = best is not None and (margins @ best[:-1]).min() > GAINED
    direction = best[:-1] if complete else found
    reached = (margins @ direction).reshape(len(X), -1)
    weights = direction
    if y.ndim == 2:
        weights = np.column_stack([direction.reshape(X.shape[1], -1), np.zeros(X.shape[1])])
        weights = weights - weights.mean(axis=1, keepdims=True)
    return Direction(weights, complete, int((reached <= GAINED).any(axis=1).sum()))


def _margins(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The matrix that takes a direction to what each row's own class scores above each other class."""
    if y.ndim == 1:
        return (2 * y - 1)[:, None] * X
    n, K = y.shape
    own = y.argmax(axis=1)
    others = np.array([[k for k in range(K) if k != each] for each in own])
    # The last class scores zero: only differences of scores matter.
    differences = y[:, None, :] - np.eye(K)[others]
    return np.einsum("ij,iak->iajk", X, differences[..., :-1]).reshape(n * (K - 1), -1)


def _maximise(gain: np.ndarray, margins: np.ndarray) -> np.ndarray | None:
    """The v within [-1, 1] of the largest gain'v with margins @ v >= 0."""
    options = {"primal_feasibility_tolerance": 1e-10}
    found = linprog(-gain, A_ub=-margins, b_ub=np.zeros(len(margins)), bounds=(-1, 1), method="highs", options=options)
    return found.x if found.status == 0 else None


def _separates(margins: np.ndarray, direction: np.ndarray | None) -> bool:
    if direction is None:
        return False
    reached = margins @ direction
    return bool(reached.min() >= -FEASIBLE and reached.max() > GAINED)


def in_words(direction: Direction, labels: Labels) -> str:
    """A direction, its weights being in the units of the file."""

    def score(column: np.ndarray) -> str:
        terms = [f"{weight:+.9g}*{name}" for name, weight in zip(labels.names, column[1:], strict=True) if weight != 0]
        return " ".join([*terms, f"{column[0]:+.9g}"])

    how = "completely" if direction.complete else "quasi-completely"
    level = "" if direction.complete else f", level in {direction.level} rows"
    classes, weights = labels.classes, direction.weights
    if weights.ndim == 2:
        scores = ", ".join(f"{name!r}: {score(column)}" for name, column in zip(classes, weights.T, strict=True))
        return f"({how}): of the scores {scores}, that of the row's own class is the largest{level}"
    above, below = (">", "<") if direction.complete else (">=", "<=")
    return (
        f"({how}): {score(weights)} is {above} 0 in every row where {labels.target!r} is {classes[1]!r} and {below} 0 "
        f"in every row where it is {classes[0]!r}{level}"
    )
