r"""Many weighted fits of the same data at once: bootstrap, cross-validation, grids of penalties.

The loss of fit b is $\sum_i s_{bi}\, \ell(x_i^\top w, y_i) / \sum_i s_{bi} + \frac{\lambda_b}2 \|w\|^2$, with the
formulas of a kernel of `jaxderiv.kernels.glm`; an intercept, the last entry, is not penalised. Fits share X, so that
a step of all of them is a few products of large matrices: with the points as rows of W and the weighted residuals as
rows of R, $Z = W X^\top$ and $G = R X$. All Hessians are the product of the weighted curvatures C, (B, n), with the
(n, d(d+1)/2) products of columns of X.

1. All fits start at the optimum of the pooled weights, which is near each of them.
2. Steps in float32: two of Newton's method, each fit with its own Hessian, if there are few columns; for more, the
   Hessian of the pooled weights serves all fits (`own_hessians`, a model of the cost). L-BFGS, with the last of these
   Hessians in the place of the multiple of the identity, goes on to float32's accuracy, then in float64.
3. The few fits that are slower than the rest, or whose steps were no good, end by Newton's method in float64, with
   steps halved until the loss falls. So does each fit of a grid of penalties, which has no common optimum to start at.

Certificates are float64 whatever the steps were in. Fits go through in groups, and rows in blocks, so that a block's
arrays stay in a cache. That bounds the memory as well: beyond the arguments, by estimate, some 300 MiB up to a million
observations and 1000 columns.

Source: Nocedal and Wright, Numerical Optimization, 2nd edition, chapters 3 and 7 (L-BFGS, there algorithm 7.4).
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.solvers.batched import BLOCK, PRODUCTS, from_pooled, logits_moved, newton_method
from jaxderiv.catalogue.classification import logistic
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

_FITS = 512  # of a group; with fewer the products of matrices are too flat
_GROUP = 2**24  # weights of a group, unless that is fewer than 16 fits
_MOST_COLUMNS = 4096  # a Hessian has 128 MiB then, and Newton's method has a few arrays of that size
_MOST_WEIGHTS = 2**31  # bytes of weights that `bootstrap` and `cross_validation` make


class ManyFits(NamedTuple):
    """What `many_fits` found.

    Attributes:
        params: (B, d), or (B, d + 1) with the intercept last.
        certificate: (B,), the Euclidean norm of the gradient in float64.
        steps: (B,), the steps taken, those in float32 among them.
        stopped: (B,), "converged" (certificate <= tolerance), "limit" or "not finite". "limit" also stands for fits
            that rounding errors keep above the tolerance, and for those with lam = 0 whose gradient is small because
            they run to infinity: the next step of Newton's method would still move a logit by 0.1 or more.
    """

    params: np.ndarray
    certificate: np.ndarray
    steps: np.ndarray
    stopped: np.ndarray


class Validated(NamedTuple):
    """What `cross_validation` found, by lam: (L,), and `fits` of each fold and lam, fold by fold.

    Attributes:
        error: the mean loss of the observations, each by the fit that left out its fold.
        standard_error: the standard deviation of the folds' mean losses over the square root of their number.
        folds: (n,), the fold of each observation.
    """

    error: np.ndarray
    standard_error: np.ndarray
    folds: np.ndarray
    fits: ManyFits


@jax.enable_x64(True)
def many_fits(
    model: types.ModuleType | Kernel,
    X: Any,
    y: Any,
    weights: Any = None,
    lams: Any = 0.0,
    *,
    intercept: bool = False,
    tolerance: float = 1e-10,
    limit: int = 50,
) -> ManyFits:
    """Fit the model once for each row of weights, or each lam.

    Args:
        model: a derivation of the catalogue, or a `Kernel` of one logit. Make a kernel once: each is compiled anew.
        X: (n, d); y: (n,).
        weights: (B, n) of any type, not negative, or None for all one. float32 and short integers are read faster.
        lams: of the penalty, a number or (B,), not negative.
        tolerance: of the gradient's norm.
        limit: steps of a fit.
    Raises:
        InputError: for shapes that do not fit; numbers that are not finite, not allowed or, for weights, all zero in a
            row; more columns than 4096.
    """
    formulas = _formulas(model)
    X, y = _data(X, y, model)
    S, lams = _batch(weights, lams, len(X))
    if not (tolerance > 0 and limit >= 1):
        raise InputError(f"tolerance is {tolerance} and limit {limit}; allowed: tolerance > 0, limit >= 1")
    d = X.shape[1]
    X = np.append(X, np.ones((len(X), 1)), axis=1) if intercept else X
    free = jnp.asarray(np.arange(X.shape[1]) < d, jnp.float64)
    run = _Run(formulas, jnp.asarray(X), jnp.asarray(y), S, lams, free, tolerance, limit)
    W, certificate, steps = run.all()
    small = certificate <= tolerance
    unbounded = np.flatnonzero(small & (lams == 0))
    small[unbounded] = run.at_rest(W, unbounded)
    finite = np.isfinite(certificate) & np.isfinite(W).all(axis=1)
    return ManyFits(W, certificate, steps, np.where(finite, np.where(small, "converged", "limit"), "not finite"))


def lambda_grid(model, X, y, lams, **how) -> ManyFits:
    """The fits for each of the penalties, (L,). Arguments and InputError as in `many_fits`."""
    return many_fits(model, X, y, None, np.atleast_1d(np.asarray(lams, float)), **how)


def bootstrap(X, y, fits: int = 1000, lam: float = 1e-3, seed: int = 0, model=logistic, **how) -> ManyFits:
    """Fits of samples of n observations drawn with replacement: their counts are the weights.

    Raises:
        InputError: as in `many_fits`; or if the counts would take more than 2 GiB.
    """
    return many_fits(model, X, y, bootstrap_counts(len(X), fits, seed), lam, **how)


def bootstrap_counts(n: int, fits: int, seed: int) -> np.ndarray:
    """How often each of n observations is drawn in n draws, (fits, n): rows of a multinomial distribution."""
    kind = np.uint16 if n < 2**16 else np.uint32
    _affordable(fits, n, np.dtype(kind).itemsize)
    rng, counts = np.random.default_rng(seed), np.empty((fits, n), kind)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return counts


def cross_validation(X, y, lams, folds: int = 10, seed: int = 0, model=logistic, **how) -> Validated:
    """The error of each penalty on observations that were left out, the folds x L fits being one batch.

    Raises:
        InputError: as in `many_fits`; unless 2 <= folds <= n; or if the weights would take more than 2 GiB.
    """
    X, y = _data(X, y, model)
    lams, n = np.atleast_1d(np.asarray(lams, float)), len(X)
    if not 2 <= folds <= n:
        raise InputError(f"folds is {folds}; allowed: 2 to the number of observations, {n}")
    _affordable(folds * len(lams), n, 1)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % folds)
    kept = (fold != np.arange(folds)[:, None]).astype(np.uint8)
    fits = many_fits(model, X, y, np.repeat(kept, len(lams), axis=0), np.tile(lams, folds), **how)
    params = fits.params.reshape(folds, len(lams), -1)
    means = np.empty((folds, len(lams)))
    pointwise = _formulas(model).pointwise
    with jax.enable_x64(True):
        for k in range(folds):
            Z = params[k][:, : X.shape[1]] @ X[fold == k].T + params[k][:, X.shape[1] :].sum(axis=1, keepdims=True)
            means[k] = np.mean(pointwise(jnp.asarray(Z), jnp.asarray(y[None, fold == k])), axis=1)
    sizes = np.bincount(fold)
    return Validated(sizes @ means / n, means.std(axis=0, ddof=1) / np.sqrt(folds), fold, fits)


def own_hessians(n: int, d: int) -> bool:
    """Whether two Hessians for each fit cost less than the passes over X that they save.

    Per fit, in float32, a Hessian takes about $n d^2$ operations and a factorisation, which is slow for small d; a
    gradient takes $4 n d$ and the formulas, some 100 operations for each observation. Measured for n of 569 to 10,000:
    own Hessians are up to twice as fast for d = 5, neither is for d = 10 and 20, and they are slower for d = 30.
    """
    return n * d**2 + 5 * d**3 <= n * (4 * d + 100)


# A batch, in groups ------------------------------------------------------------------------------------------------
class _Run(NamedTuple):
    formulas: Kernel
    X: jax.Array
    y: jax.Array
    S: np.ndarray  # (B, n), or (1, n) for all fits
    lams: np.ndarray
    free: jax.Array
    tolerance: float
    limit: int

    def all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points, gradient norms and steps."""
        B, d = len(self.lams), self.X.shape[1]
        W, norm, steps = np.zeros((B, d)), np.full(B, np.inf), np.zeros(B, int)
        penalties, which = np.unique(self.lams, return_inverse=True)
        if len(self.S) > 1 and 2 * len(penalties) <= B:
            pooled = self._pooled()
            centre = self._replace(S=pooled, lams=penalties)
            starts = np.zeros((len(penalties), d))
            start_norms, _ = centre.newton(starts, np.full(len(penalties), np.inf), np.zeros(len(penalties), int))
            if np.all(start_norms <= 1e-3 * max(np.max(start_norms), 1.0)) and np.all(np.isfinite(starts)):
                self._together(W, norm, steps, starts, which, pooled)
        return W, *self.newton(W, norm, steps)

    def _together(self, W, norm, steps, starts, which, pooled) -> None:
        """From the pooled optimum, in place. Fits whose point is no better than that are left where they start."""
        n, d = self.X.shape
        own = own_hessians(n, d) or len(starts) > 1
        for fits in self._groups(np.arange(len(W)), own):
            start = starts if len(starts) == 1 else starts[which[fits]]
            found = from_pooled(
                self.formulas, own, start, self._weights(fits), self.X, self.y,
                self.lams[fits, None], self.free, jnp.asarray(pooled), self.tolerance, self.limit,
            )  # fmt: skip
            points, norms, first, taken = (np.asarray(part) for part in found)
            better = np.isfinite(norms) & np.isfinite(points).all(axis=1) & (norms <= np.maximum(first, self.tolerance))
            W[fits] = np.where(better[:, None], points, start)
            norm[fits], steps[fits] = np.where(better, norms, np.inf), taken

    def newton(self, W, norm, steps) -> tuple[np.ndarray, np.ndarray]:
        """Newton's method for the fits above the tolerance, in place; norms and steps."""
        for fits in self._groups(np.flatnonzero(~(norm <= self.tolerance)), True):
            found = newton_method(
                self.formulas, W[fits], self._weights(fits), self.X, self.y, self.lams[fits, None], self.free,
                self.tolerance, self.limit, steps[fits],
            )  # fmt: skip
            W[fits], norm[fits], steps[fits] = (np.asarray(part) for part in found)
        return norm, steps

    def at_rest(self, W, fits) -> np.ndarray:
        """Whether the next step of Newton's method moves no logit by 0.1 or more."""
        moved = np.zeros(len(W))
        for group in self._groups(fits, True):
            moved[group] = logits_moved(
                self.formulas, W[group], self._weights(group), self.X, self.y, self.lams[group, None], self.free
            )
        return moved[fits] < 0.1

    def _pooled(self) -> np.ndarray:
        """The mean of the weights, each fit's divided by their sum: (1, n), in float32's accuracy."""
        total = np.zeros((1, self.X.shape[0]))
        for a in range(0, len(self.S), 16):
            s = self.S[a : a + 16].astype(np.float32)
            total += (1 / s.sum(axis=1, keepdims=True)).T @ s
        return total / len(self.S)

    def _weights(self, fits: np.ndarray) -> np.ndarray:
        return self.S if len(self.S) == 1 else self.S[fits]

    def _groups(self, fits: np.ndarray, hessians: bool):
        """Groups of fits, all of one size, filled up by repetition; sizes are few, as each is compiled."""
        n, d = self.X.shape
        most = min(max(BLOCK // n, _FITS), 2 * _FITS, max(_GROUP // n, 16))
        most = max(min(most, PRODUCTS // d**2), 1) if hessians else most
        if len(fits) < len(self.lams):  # some that are left
            size = min(max(64, 4 ** int(np.ceil(np.log(max(len(fits), 1)) / np.log(4) - 1e-9))), most, len(self.lams))
        else:
            size = -(-len(fits) // -(-len(fits) // most))
        for first in range(0, len(fits), size):
            group = fits[first : first + size]
            yield np.append(group, np.full(size - len(group), group[-1]))


# Arguments ---------------------------------------------------------------------------------------------------------
@cache
def _kernel(model: types.ModuleType) -> Kernel:
    return kernel(model)


def _formulas(model: types.ModuleType | Kernel) -> Kernel:
    formulas = model if isinstance(model, Kernel) else _kernel(model)
    if formulas.several:
        raise InputError("the model has several logits for an observation; many_fits takes a model of one")
    return formulas


def _data(X, y, model) -> tuple[np.ndarray, np.ndarray]:
    X, y = np.asarray(X, np.float64), np.asarray(y, np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1] or not X.size:
        raise InputError(f"X and y have shapes {X.shape} and {y.shape}; allowed: (n, d) and (n,), n, d >= 1")
    if X.shape[1] > _MOST_COLUMNS:
        raise InputError(
            f"X has {X.shape[1]} columns; a Hessian of more than {_MOST_COLUMNS} is not formed here: "
            "write a loop over fits by a method of gradients"
        )
    for name, array in (("X", X), ("y", y)):
        if not np.isfinite(array).all():
            raise InputError(f"{name} has entries that are NaN or infinite; leave these observations out")
    if model is logistic and not ((y >= 0) & (y <= 1)).all():
        raise InputError(
            f"y has entries from {y.min():g} to {y.max():g}; labels are 0 or 1: write (y > 0).astype(float)"
        )
    return X, y


def _batch(weights, lams, n: int) -> tuple[np.ndarray, np.ndarray]:
    lams = np.asarray(lams, np.float64)
    if lams.ndim > 1 or not lams.size or not (np.isfinite(lams) & (lams >= 0)).all():
        raise InputError(f"lams is {lams}; allowed: a finite number >= 0, or (B,) of them")
    if weights is None:
        return np.ones((1, n)), np.atleast_1d(lams)
    S = np.asarray(weights)
    S = S.astype(np.uint8) if S.dtype == bool else S
    if S.ndim != 2 or S.shape[1] != n or not len(S) or (lams.ndim and len(lams) != len(S)):
        raise InputError(
            f"weights has shape {S.shape} and lams {lams.shape}; with {n} observations: (B, {n}), and () or (B,)"
        )
    least, total = S.min(axis=1), S.sum(axis=1, dtype=np.float64)
    bad = np.flatnonzero(~((least >= 0) & (total > 0) & np.isfinite(total)))
    if bad.size:
        b = bad[0]
        what = "all zero" if total[b] == 0 and least[b] == 0 else f"from {least[b]:g} on, with sum {total[b]:g}"
        raise InputError(
            f"the weights of fit {b} are {what}; allowed: finite numbers >= 0, not all zero"
            + (f" ({bad.size} fits have such weights)" if bad.size > 1 else "")
        )
    return S, np.broadcast_to(lams, len(S))


def _affordable(fits: int, n: int, size: int) -> None:
    if fits < 1:
        raise InputError(f"fits is {fits}; allowed: 1 or more")
    if fits * n * size > _MOST_WEIGHTS:
        raise InputError(
            f"the weights of {fits} fits of {n} observations take {fits * n * size / 2**30:.1f} GiB; allowed: 2 GiB. "
            "Write several calls with fewer fits"
        )
