"""Measures of a fit on its own rows and on rows that it has not seen, and the choice of lam by the latter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from experiments import fit_models
from experiments.fit_existence import checked_fit
from experiments.fit_options import MODELS, Options
from experiments.table import Labels
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.errors import InputError
from jaxderiv.metrics import classification, regression

GRID = np.logspace(0, -1, 25)  # shares of the largest lam, to the power of the decades
MEASURES = {"regression": "mean squared error", "two classes": "log loss", "classes": "log loss"}
Report = Callable[[int, int], object]


class Validation(NamedTuple):
    """Cross-validation.

    Attributes:
        measure: what the errors are, by fold; for Huber's loss the mean absolute error, which outliers do not rule.
        lams: (m,), from the largest to the smallest; one 0 for a model without a penalty.
        errors: (m, folds).
        lam: the chosen or the given one, a member of lams.
        predictions: of each row by the fit that has not seen it, at lam: (n,) or (n, K).
        fits: how many there were. uncertified: how many of them are not certified.
    """

    measure: str
    lams: np.ndarray
    errors: np.ndarray
    lam: float
    predictions: np.ndarray
    fits: int
    uncertified: int

    @property
    def mean(self) -> np.ndarray:
        """(m,), over the folds."""
        return self.errors.mean(axis=1)

    @property
    def deviation(self) -> np.ndarray:
        """(m,), the standard error of that mean (the folds share rows, so that it is a rough one)."""
        return self.errors.std(axis=1, ddof=1) / np.sqrt(self.errors.shape[1])


def folds_of(options: Options, y: np.ndarray, labels: Labels) -> np.ndarray:
    """(n,), the fold of each row: drawn, of equal size up to one, and for classes with equal shares of each.

    Raises:
        InputError: for more folds than rows, or a class of one row.
    """
    assert options.cv is not None
    if options.cv > len(y):
        raise InputError(f"cv is {options.cv}; allowed: 2 to {len(y)}, the number of rows")
    order = np.random.default_rng(options.seed).permutation(len(y))
    if MODELS[options.model].kind != "regression":
        index = (y if y.ndim == 1 else y.argmax(axis=1)).astype(int)
        if (counts := np.bincount(index)).min() < 2:
            raise InputError(f"--cv needs two rows of each class at least; {labels.classes[counts.argmin()]!r} has one")
        order = order[np.argsort(index[order], kind="stable")]
    folds = np.empty(len(y), int)
    folds[order] = np.arange(len(y)) % options.cv
    return folds


def validate(options: Options, X: np.ndarray, y: np.ndarray, labels: Labels, report: Report) -> Validation:
    """Fit without each fold in turn, for each lam of the grid, and measure on the fold.

    Standardisation, and Huber's threshold unless it is given, come from the rows that are fitted. InputError as in
    `folds_of`, and as in `checked_fit` for the rows without a fold.
    """
    model, folds = MODELS[options.model], folds_of(options, y, labels)
    largest = fit_models.largest_lam(options, X, y)
    lams = np.zeros(1)
    if options.chooses_lam or options.lam > 0:
        if not largest > 0:
            raise InputError(
                "no feature has any correlation with the target, so that there is no grid of lam; give one"
            )
        given = [] if options.chooses_lam else [options.lam]
        lams = np.unique([*(largest * GRID ** decades_of(options.model, X)), *given])[::-1]
    count, kept = int(folds.max()) + 1, {}
    errors, uncertified, done = np.empty((len(lams), count)), 0, 0
    for fold in range(count):
        seen, start = folds != fold, None
        share = seen.mean() if model.sums else 1.0
        for row, lam in enumerate(lams):
            words = f"in fold {fold + 1} of the cross-validation, with {seen.sum()} rows: "
            found = checked_fit(options, X[seen], y[seen], float(lam * share), labels, words, start)
            start, kept[row, fold] = found.inner, found.weights
            uncertified += not found.certified
            errors[row, fold] = error_of(options.model, y[~seen], fit_models.scores(found.weights, X[~seen]))
            done += 1
            report(done, errors.size)
    measure = "mean absolute error" if options.model == "huber" else MEASURES[model.kind]
    best = int(errors.mean(axis=1).argmin()) if options.chooses_lam else int((lams == options.lam).argmax())
    predictions = np.empty(y.shape)
    for fold in range(count):
        predictions[folds == fold] = fit_models.scores(kept[best, fold], X[folds == fold])
    return Validation(measure, lams, errors, float(lams[best]), predictions, errors.size, uncertified)


def decades_of(model: str, X: np.ndarray) -> int:
    """How far down the grid goes. With more columns than rows a sparse fit of a small lam is slow, and rarely best."""
    if model in fit_models.SPARSE:
        return 2 if X.shape[1] >= len(X) else 4
    return 6


def error_of(model: str, y: np.ndarray, z: np.ndarray) -> float:
    """What a model is chosen by, on given rows: the smaller the better."""
    if model == "huber":
        return regression.mean_absolute_error(y, z)
    if MODELS[model].kind == "regression":
        return regression.mean_squared_error(y, z)
    return float(np.mean(logistic.pointwise(z, y) if y.ndim == 1 else softmax.cross_entropy(z, y)))


def measures(model: str, y: np.ndarray, z: np.ndarray, fitted_features: int | None = None) -> dict[str, Any]:
    """All measures of predictions, by name; NaN where one is not defined.

    Args:
        y: the target as it is fitted. z: predictions, or logits.
        fitted_features: for the adjusted R^2, of least squares on the rows it was fitted to.
    """
    if MODELS[model].kind == "regression":
        found = {
            "R^2": regression.r_squared(y, z),
            "root mean squared error": regression.root_mean_squared_error(y, z),
            "mean absolute error": regression.mean_absolute_error(y, z),
        }
        if fitted_features is not None and len(y) >= fitted_features + 2:
            found["adjusted R^2"] = regression.adjusted_r_squared(y, z, fitted_features)
        return found
    loss = error_of(model, y, z)
    if y.ndim == 1:
        said = (z >= 0).astype(float)
        return {
            "accuracy": classification.accuracy(y, said),
            "precision": classification.precision(y, said, undefined=np.nan),
            "recall": classification.recall(y, said),
            "F1": classification.f1(y, said),
            "area under ROC": classification.auc(y, z),
            "average precision": classification.average_precision(y, z),
            "log loss": loss,
            "confusion": classification.confusion(y, said).matrix,
        }
    own, said = y.argmax(axis=1), z.argmax(axis=1)
    matrix = np.zeros((y.shape[1], y.shape[1]), int)
    np.add.at(matrix, (own, said), 1)
    each = range(y.shape[1])
    p = np.asarray(softmax.probabilities(z))
    return {
        "accuracy": float(np.mean(own == said)),
        "mean F1 of the classes": float(np.mean([classification.f1(own == k, said == k) for k in each])),
        "mean area under ROC, one class against the rest": float(
            np.mean([classification.auc(own == k, p[:, k]) for k in each])
        ),
        "log loss": loss,
        "confusion": matrix,
    }
