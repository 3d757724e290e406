"""Measures of a classifier of two classes: counts of right and wrong, and how well scores rank.

Arguments come as in scikit-learn: the labels y first, then what was predicted. Labels and predictions are 0 or 1, and
1 is the class that is looked for; scores are finite numbers (read as float64), and a higher one speaks for class 1. A
threshold t predicts 1 where ``score >= t``, so equal scores are flagged together.

Where a ratio is 0/0 (precision when nothing is flagged) there is no value: the functions raise, and take
``undefined=`` for a value to return instead.

Source: ML Math Derivations, part 6, "Evaluation"; Hanley and McNeil (1982) for the area under the ROC curve; Davis and
Goadrich (2006) for why points of a precision-recall curve are not joined by straight lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxderiv.errors import InputError

__all__ = [
    "ROC",
    "Confusion",
    "PrecisionRecall",
    "accuracy",
    "auc",
    "average_precision",
    "confusion",
    "f1",
    "precision",
    "precision_recall_curve",
    "recall",
    "roc_curve",
]  # fmt: skip


class Confusion(NamedTuple):
    """Counts of observations by label and prediction.

    Attributes:
        TP: label 1, predicted 1. FP: label 0, predicted 1. FN: label 1, predicted 0. TN: label 0, predicted 0.
    """

    TP: int
    FP: int
    FN: int
    TN: int

    @property
    def matrix(self) -> np.ndarray:
        """(2, 2) int64: row 0 or 1 is the label, column 0 or 1 the prediction, as scikit-learn prints it."""
        return np.array([[self.TN, self.FP], [self.FN, self.TP]])


class ROC(NamedTuple):
    """The ROC curve: one point for "flag nothing", then one for every distinct score, the highest first.

    Attributes:
        false_positive_rate: FP / (FP + TN), (points,) float64, from 0 to 1, never decreasing.
        true_positive_rate: TP / (TP + FN), (points,) float64, from 0 to 1, never decreasing.
        thresholds: (points,) float64; infinity, then the scores.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


class PrecisionRecall(NamedTuple):
    """The precision-recall curve: one point for every distinct score, the highest first. There is no point for "flag
    nothing", which has no precision; scikit-learn adds one with precision 1.

    Attributes:
        precision: TP / (TP + FP), (points,) float64; the last one is the share of ones among the labels.
        recall: TP / (TP + FN), (points,) float64, never decreasing; the last one is 1.
        thresholds: (points,) float64, the scores.
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray


# Predictions of 0 and 1 ------------------------------------------------------------------------------------
def confusion(y: Any, predicted: Any) -> Confusion:
    """The confusion matrix.

    Args:
        y: labels, 0 or 1, (n,).
        predicted: 0 or 1, (n,).
    Raises:
        InputError: if one is empty, is no vector, or has other entries than 0 and 1, or if the lengths differ.

    >>> confusion([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    Confusion(TP=1, FP=1, FN=1, TN=2)
    """
    y, predicted = _bits("y", y), _bits("predicted", predicted)
    _same_length(y, "predicted", predicted)
    TP, FP, FN = (int(np.sum(both)) for both in (y & predicted, ~y & predicted, y & ~predicted))
    return Confusion(TP, FP, FN, len(y) - TP - FP - FN)


def accuracy(y: Any, predicted: Any) -> float:
    """(TP + TN) / n: the share of observations predicted right. Arguments and errors as in `confusion`.

    >>> accuracy([1, 0, 0, 0], [0, 0, 0, 0])
    0.75
    """
    TP, FP, FN, TN = confusion(y, predicted)
    return (TP + TN) / (TP + FP + FN + TN)


def precision(y: Any, predicted: Any, undefined: float | None = None) -> float:
    """TP / (TP + FP): the share of ones among what was flagged. Arguments as in `confusion`.

    Args:
        undefined: what to return when nothing is flagged.
    Raises:
        InputError: as `confusion`, and if nothing is flagged and `undefined` is not given.

    >>> precision([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.5
    """
    TP, FP, _, _ = confusion(y, predicted)
    return _ratio("precision", TP, TP + FP, "nothing is predicted to be 1", undefined)


def recall(y: Any, predicted: Any, undefined: float | None = None) -> float:
    """TP / (TP + FN): the share of the ones that was flagged. Arguments as in `confusion`.

    Args:
        undefined: what to return when no label is 1.
    Raises:
        InputError: as `confusion`, and if no label is 1 and `undefined` is not given.

    >>> recall([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.5
    """
    TP, _, FN, _ = confusion(y, predicted)
    return _ratio("recall", TP, TP + FN, "no label is 1", undefined)


def f1(y: Any, predicted: Any, undefined: float | None = None) -> float:
    """2 TP / (2 TP + FP + FN): where precision and recall exist and are not both 0, their harmonic mean. It is 0 where
    nothing is flagged and there are ones. Arguments as in `confusion`.

    Args:
        undefined: what to return when nothing is flagged and no label is 1.
    Raises:
        InputError: as `confusion`, and if nothing is flagged, no label is 1 and `undefined` is not given.

    >>> f1([1, 1, 0, 0, 0], [0, 0, 0, 0, 0])
    0.0
    """
    TP, FP, FN, _ = confusion(y, predicted)
    return _ratio("f1", 2 * TP, 2 * TP + FP + FN, "nothing is predicted to be 1 and no label is 1", undefined)


# Scores ----------------------------------------------------------------------------------------------------
def roc_curve(y: Any, scores: Any) -> ROC:
    """The rates of false and of true positives, for every threshold that makes a difference.

    Args:
        y: labels, 0 or 1, both of them present, (n,).
        scores: finite, (n,).
    Raises:
        InputError: if one is empty or no vector, if the lengths differ, if a label is not 0 or 1 or all are the same,
            if a score is not finite.

    >>> roc_curve([0, 1, 1], [0.1, 0.1, 0.8]).true_positive_rate
    array([0. , 0.5, 1. ])
    """
    TP, FP, thresholds = _sweep(y, scores)
    begin = np.zeros(1)
    return ROC(
        np.concatenate([begin, FP / FP[-1]]),
        np.concatenate([begin, TP / TP[-1]]),
        np.concatenate([[np.inf], thresholds]),
    )


def precision_recall_curve(y: Any, scores: Any) -> PrecisionRecall:
    """Precision and recall for every threshold that makes a difference. Arguments and errors as in `roc_curve`.

    >>> precision_recall_curve([0, 1, 1], [0.1, 0.1, 0.8]).precision
    array([1.        , 0.66666667])
    """
    TP, FP, thresholds = _sweep(y, scores)
    return PrecisionRecall(TP / (TP + FP), TP / TP[-1], thresholds)


def auc(y: Any, scores: Any) -> float:
    r"""The area under the ROC curve: $P(s^+ > s^-) + \frac12 P(s^+ = s^-)$ for a one and a zero drawn at random,
    which is the Mann-Whitney statistic over the number of pairs. Counted in integers, so rounded only once. Arguments
    and errors as in `roc_curve`.

    >>> auc([0, 1, 1], [0.1, 0.1, 0.8])
    0.75
    """
    y, scores = _ranked(y, scores)
    ones, zeros = scores[y], np.sort(scores[~y])
    below, not_above = (int(np.searchsorted(zeros, ones, side).sum()) for side in ("left", "right"))
    return (below + not_above) / (2 * len(ones) * len(zeros))  # a zero that ties is in one of them


def average_precision(y: Any, scores: Any) -> float:
    r"""$\sum_k (R_k - R_{k-1}) P_k$ over the points of the precision-recall curve, $R_0 = 0$. Not the area under
    straight lines between them, which no threshold attains. Arguments and errors as in `roc_curve`.

    >>> average_precision([0, 1, 1], [0.1, 0.1, 0.8])
    0.8333333333333333
    """
    TP, FP, _ = _sweep(y, scores)
    return float(np.sum(np.diff(TP, prepend=0) * (TP / (TP + FP))) / TP[-1])


# Reading the input -------------------------------------------------------------------------------------------
def _sweep(y: Any, scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at every distinct score as the threshold, the highest first; and these scores."""
    y, scores = _ranked(y, scores)
    order = np.argsort(-scores, kind="stable")
    y, scores = y[order], scores[order]
    last = np.append(scores[1:] != scores[:-1], True)  # of every run of equal scores
    return np.cumsum(y)[last], np.cumsum(~y)[last], scores[last]


def _ranked(y: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    y, scores = _bits("y", y), _vector("scores", scores)
    _same_length(y, "scores", scores)
    if not (finite := np.isfinite(scores)).all():
        at = int(np.argmin(finite))
        raise InputError(
            f"scores: finite numbers are allowed; {scores[at]} came at index {at}. Mend or drop it, and its label"
        )
    if (share := y.mean()) in (0, 1):
        raise InputError(
            f"y: all {len(y)} labels are {share:.0f}, and there is nothing to rank. Give observations of both classes"
        )
    return y, scores


def _bits(name: str, x: Any) -> np.ndarray:
    x = _vector(name, x)
    if not (fits := (x == 0) | (x == 1)).all():
        at = int(np.argmin(fits))
        raise InputError(
            f"{name}: 0 and 1 are allowed; {x[at]:g} came at index {at}. "
            "Write labels == the class that is looked for, or scores >= threshold"
        )
    return x == 1


def _vector(name: str, x: Any) -> np.ndarray:
    try:
        x = np.asarray(x)
        x = x.astype(np.float64, casting="same_kind")  # not complex numbers, not words
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: a vector of numbers is allowed; it came with {_what(x)}. Write numbers") from error
    if x.ndim != 1:
        raise InputError(f"{name}: a vector is allowed; it came with shape {x.shape}. Write {name}.ravel()")
    if not x.size:
        raise InputError(f"{name}: at least one entry is needed; it came empty. Give the observations")
    return x


def _what(x: Any) -> str:
    return (
        f"entries of type {x.dtype}" if isinstance(x, np.ndarray) else f"{type(x).__name__} entries of different shapes"
    )


def _same_length(y: np.ndarray, name: str, other: np.ndarray) -> None:
    if len(y) != len(other):
        raise InputError(
            f"y and {name}: one length is allowed; they came with {len(y)} and {len(other)}. "
            "Give one entry of each for every observation"
        )


def _ratio(name: str, over: int, under: int, why: str, undefined: float | None) -> float:
    if under:
        return over / under
    if undefined is None:
        raise InputError(f"{name} is 0/0, as {why}. Write undefined=0.0 (or another value) for what it should then be")
    return undefined
