r"""Measures of a regression: how far off its predictions are, and what its features and residuals show.

Arguments come as in scikit-learn: the targets y first, then what was predicted. All are numbers of a size up to 1e100,
read as float64; a sum of their squares does not overflow.

Where a measure is 0/0 (R^2 of constant targets, the Durbin-Watson statistic of residuals that are all zero, the
inflation of a constant column) there is no value, and the functions raise. Where it is 1/0 (the inflation of a column
that the others determine) it is infinity.

Source: ML Math Derivations, part 5, "Metrics" and "Questions"; Durbin and Watson (1950); Belsley, Kuh and Welsch (1980)
for what collinear columns do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxderiv.errors import InputError

__all__ = [
    "adjusted_r_squared",
    "durbin_watson",
    "mean_absolute_error",
    "mean_squared_error",
    "r_squared",
    "root_mean_squared_error",
    "variance_inflation_factors",
]  # fmt: skip
_LARGEST = 1e100


# Errors of predictions -------------------------------------------------------------------------------------
def mean_squared_error(y: Any, predicted: Any) -> float:
    r"""$\frac1n \sum_i (y_i - \hat y_i)^2$, in the square of y's unit. The constant with the least is the mean of y.

    Args:
        y: targets, (n,).
        predicted: (n,).
    Raises:
        InputError: if one is empty, is no vector, or has an entry that is no number (NaN, infinity) or is above 1e100
            in size; if the lengths differ.

    >>> mean_squared_error([1.0, 2.0, 6.0], [1.0, 3.0, 4.0])
    1.6666666666666667
    """
    return float(np.mean(_errors(y, predicted) ** 2))


def root_mean_squared_error(y: Any, predicted: Any) -> float:
    r"""$\sqrt{\mathrm{MSE}}$, in y's unit, and never below the mean absolute error. Arguments and errors as in
    `mean_squared_error`.

    >>> root_mean_squared_error([1.0, 2.0, 6.0], [1.0, 3.0, 4.0])
    1.2909944487358056
    """
    errors = _errors(y, predicted)
    unit = np.abs(errors).max() or 1.0  # squares of tiny errors would vanish
    return float(unit * np.sqrt(np.mean((errors / unit) ** 2)))


def mean_absolute_error(y: Any, predicted: Any) -> float:
    r"""$\frac1n \sum_i |y_i - \hat y_i|$, in y's unit. The constant with the least is the median of y. Arguments and
    errors as in `mean_squared_error`.

    >>> mean_absolute_error([1.0, 2.0, 6.0], [1.0, 3.0, 4.0])
    1.0
    """
    return float(np.mean(np.abs(_errors(y, predicted))))


def r_squared(y: Any, predicted: Any) -> float:
    r"""$R^2 = 1 - \sum_i (y_i - \hat y_i)^2 / \sum_i (y_i - \bar y)^2$: 1 for exact predictions, 0 for their mean as
    the prediction, negative for what is worse than that.

    Least squares with an intercept, on the observations it was fitted to, has it between 0 and 1: the squared
    correlation of y and the predictions, the share of y's variance that they explain. Elsewhere it is no share.

    Args:
        y: targets, not all the same, (n,).
        predicted: (n,).
    Raises:
        InputError: as `mean_squared_error`, and if all targets are the same.

    >>> r_squared([1.0, 2.0, 6.0], [1.0, 3.0, 4.0])
    0.6428571428571428
    """
    errors, y = _errors(y, predicted), _vector("y", y)
    if (y == y[0]).all():
        raise InputError(
            f"R^2 is not defined for targets that are all the same; {len(y)} came that are {y[0]:g}. "
            "Give different ones, or write mean_squared_error(y, predicted)"
        )
    unit = np.abs(y - y.mean()).max()
    with np.errstate(over="ignore"):  # minus infinity is right for errors that large
        return float(1 - np.sum((errors / unit) ** 2) / np.sum(((y - y.mean()) / unit) ** 2))


def adjusted_r_squared(y: Any, predicted: Any, features: int) -> float:
    r"""$1 - (1 - R^2) \frac{n - 1}{n - d - 1}$ for a model of d features and an intercept, fitted to these n
    observations. Of two such models, of which one has one more feature, it is larger for the longer one exactly if the
    t-statistic of that feature is above 1 in size.

    Args:
        y: targets, not all the same, (n,).
        predicted: (n,).
        features: d, without the intercept; d + 2 observations at least are needed.
    Raises:
        InputError: as `r_squared`; if `features` is no whole number or negative; if there are too few observations.

    >>> adjusted_r_squared([1.0, 2.0, 6.0, 7.0], [1.0, 3.0, 5.0, 7.0], features=1)
    0.8846153846153847
    """
    whole = isinstance(features, int | np.integer) and not isinstance(features, bool)
    if not whole or features < 0:
        raise InputError(
            f"features: a whole number from 0 on is allowed; it came as {features!r}. "
            "Write X.shape[1], less one if X has a column of ones"
        )
    n, r2 = len(_vector("y", y)), r_squared(y, predicted)
    if n < features + 2:
        raise InputError(
            f"adjusted R^2 needs features + 2 = {features + 2} observations; {n} came. "
            "Give more of them or use fewer features"
        )
    return 1 - (1 - r2) * (n - 1) / (n - int(features) - 1)


# Features and residuals --------------------------------------------------------------------------------------
def variance_inflation_factors(X: Any) -> np.ndarray:
    r"""$\mathrm{VIF}_j = 1 / (1 - R_j^2)$ with the $R^2$ of a regression of column j on the others and an intercept:
    by what factor the variance of weight j is larger than if the column were uncorrelated with the others. With
    centred columns it is $\|x_j\|^2 ((X^\top X)^{-1})_{jj}$.

    A column that the others determine, up to the rounding of X's entries, has infinity; the rest are finite, also
    beside such columns. Where there are no more rows than columns some are always infinite.

    Args:
        X: features, (n, d), without the intercept's column of ones; no column is constant.
    Returns:
        (d,) float64, from 1 to infinity.
    Raises:
        InputError: if X is no matrix or is empty, has an entry that is no number or is above 1e100 in size, or has a
            constant column.

    >>> variance_inflation_factors([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    array([1., 1.])
    """
    X = _numbers("X", X, 2, "a matrix, (observations, features), is allowed", "X.reshape(-1, 1) for one feature")
    n, d = X.shape
    scaled = X / np.where(X.any(axis=0), np.abs(X).max(axis=0), 1.0)
    centred = scaled - scaled.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    rounding = 4 * d * np.finfo(float).eps * np.sqrt(n)  # what that of entries up to 1 can come to in a column
    if (constant := lengths <= 25 * rounding).any():
        at = int(np.argmax(constant))
        raise InputError(
            f"X: columns that vary, by more than rounding, are allowed; column {at} came with {X[0, at]:g} throughout. "
            "Leave it out (the intercept is counted in without a column), or subtract its mean"
        )
    rounding /= lengths.min()  # of columns of length one
    _, found, V = np.linalg.svd(np.linalg.qr(centred / lengths, mode="r"))
    sizes = np.append(found, np.zeros(d - len(found)))
    kept = sizes > rounding
    factors = np.sum((V[kept] / sizes[kept, None]) ** 2, axis=0)
    # The rows of V that are left span all combinations of columns that are zero.
    dependent = np.linalg.norm(V[~kept], axis=0) > rounding / sizes[kept].min()
    return np.where(dependent, np.inf, np.maximum(factors, 1.0))


def durbin_watson(residuals: Any) -> float:
    r"""$\sum_{t \ge 2} (e_t - e_{t-1})^2 / \sum_t e_t^2$, from 0 to $2 + 2 \cos(\pi / n) < 4$: about
    $2 (1 - \hat\rho)$ with the lag-one autocorrelation, so about 2 where successive residuals are uncorrelated, less
    where they are alike.

    Args:
        residuals: $y - \hat y$, in the order of time, two at least, not all zero, (n,).
    Raises:
        InputError: if `residuals` is no vector, has an entry that is no number or is above 1e100 in size, has fewer
            than two entries, or is zero throughout.

    >>> durbin_watson([1.0, -1.0, 1.0, -1.0])
    3.0
    """
    residuals = _vector("residuals", residuals)
    if len(residuals) < 2:
        raise InputError("residuals: two at least are needed, to compare successive ones; one came. Give all of them")
    if not residuals.any():
        raise InputError(
            f"the Durbin-Watson statistic of zero residuals is 0/0; {len(residuals)} came, all zero. "
            "Give those of a model that does not fit exactly"
        )
    residuals = residuals / np.abs(residuals).max()
    return float(np.sum(np.diff(residuals) ** 2) / np.sum(residuals**2))


# Reading the input -------------------------------------------------------------------------------------------
def _errors(y: Any, predicted: Any) -> np.ndarray:
    y, predicted = _vector("y", y), _vector("predicted", predicted)
    if len(y) != len(predicted):
        raise InputError(
            f"y and predicted: one length is allowed; they came with {len(y)} and {len(predicted)}. "
            "Give one entry of each for every observation"
        )
    return y - predicted


def _vector(name: str, x: Any) -> np.ndarray:
    return _numbers(name, x, 1, "a vector is allowed", f"{name}.ravel()")


def _numbers(name: str, x: Any, axes: int, allowed: str, instead: str) -> np.ndarray:
    try:
        x = np.asarray(x)
        x = x.astype(np.float64, casting="same_kind")  # not complex numbers, not words
    except (TypeError, ValueError) as error:
        what = f"entries of type {x.dtype}" if isinstance(x, np.ndarray) else "entries of different shapes"
        raise InputError(f"{name}: numbers are allowed; it came with {what}. Write numbers") from error
    if x.ndim != axes:
        raise InputError(f"{name}: {allowed}; it came with shape {x.shape}. Write {instead}")
    if not x.size:
        raise InputError(f"{name}: at least one entry is needed; it came with shape {x.shape}. Give the observations")
    if not (fits := np.abs(x) <= _LARGEST).all():  # false of NaN
        at = tuple(map(int, np.argwhere(~fits)[0]))
        raise InputError(
            f"{name}: numbers up to {_LARGEST:g} in size are allowed; {x[at]:g} came at index "
            f"{at[0] if axes == 1 else at}. Mend the observation, drop it, or divide by a larger unit"
        )
    return x
