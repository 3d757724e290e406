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
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.classification import logistic
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

_FITS = 512  # of a group; with fewer the products of matrices are too flat
_BLOCK = 2**19  # entries of an array of a block, fits by rows; measured, 2**18 to 2**20 are alike
_FEW = 4  # fits, for which one product each is cheaper than the products of columns
_PRODUCTS = 2**22  # entries of a block of products of columns, and of a group's Hessians
_GROUP = 2**24  # weights of a group, unless that is fewer than 16 fits
_MOST_COLUMNS = 4096  # a Hessian has 128 MiB then, and Newton's method has a few arrays of that size
_MOST_WEIGHTS = 2**31  # bytes of weights that `bootstrap` and `cross_validation` make
_MEMORY = 5  # pairs of L-BFGS
_SLOW = 16  # a group's last 1/16 of fits is left to Newton's method
_LOW_STEPS = 15  # of L-BFGS in float32
_HALVINGS = 40
_PATIENCE = 5  # steps without a smaller gradient, after which only rounding errors are left


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
            found = _from_pooled(
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
            found = _newton(
                self.formulas, W[fits], self._weights(fits), self.X, self.y, self.lams[fits, None], self.free,
                self.tolerance, self.limit, steps[fits],
            )  # fmt: skip
            W[fits], norm[fits], steps[fits] = (np.asarray(part) for part in found)
        return norm, steps

    def at_rest(self, W, fits) -> np.ndarray:
        """Whether the next step of Newton's method moves no logit by 0.1 or more."""
        moved = np.zeros(len(W))
        for group in self._groups(fits, True):
            moved[group] = _moved(
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
        most = min(max(_BLOCK // n, _FITS), 2 * _FITS, max(_GROUP // n, 16))
        most = max(min(most, _PRODUCTS // d**2), 1) if hessians else most
        if len(fits) < len(self.lams):  # some that are left
            size = min(max(64, 4 ** int(np.ceil(np.log(max(len(fits), 1)) / np.log(4) - 1e-9))), most, len(self.lams))
        else:
            size = -(-len(fits) // -(-len(fits) // most))
        for first in range(0, len(fits), size):
            group = fits[first : first + size]
            yield np.append(group, np.full(size - len(group), group[-1]))


class _Totals(NamedTuple):
    value: Any = None
    gradient: Any = None
    hessian: Any = None


def _totals(formulas: Kernel, W, S, X, y, lam, free, want: tuple[str, ...]) -> _Totals:
    """Value (F,), gradient (F, d) and Hessian (F, d, d) of F fits at W, (F, d), or (1, d) for all, by blocks of rows;
    in the precision of the arguments.
    """
    n, d = X.shape
    i, j = np.tril_indices(d)
    F = max(len(S), len(W))

    def one(S, X, y):
        # Where there are several blocks, weights are read from memory as they came.
        S, z, y = S.astype(X.dtype), W @ X.T, y[None]
        found = []
        if "value" in want:
            found.append(jnp.sum(S * formulas.pointwise(z, y), axis=1, keepdims=True))
        if "gradient" in want:
            found.append((S * formulas.residual(z, y)) @ X)
        if "hessian" in want:
            C = S * formulas.along(z, y, jnp.ones_like(z))
            few = lambda: jnp.stack([((X.T * c[None]) @ X)[i, j] for c in C])
            found.append(few() if F <= _FEW else C @ (X[:, i] * X[:, j]))
        return [*found, jnp.sum(S, axis=1, keepdims=True)]

    rows = max(_BLOCK // F, 64) if F * n > 2 * _BLOCK else n
    if "hessian" in want:
        rows = min(rows, max(_PRODUCTS // (d if F <= _FEW else len(i)), 64))
    full = n // rows
    total = one(S[:, : n % rows], X[: n % rows], y[: n % rows]) if n % rows else None
    if full == 1:
        last = one(S[:, n % rows :], X[n % rows :], y[n % rows :])
        total = last if total is None else jax.tree.map(jnp.add, total, last)
    elif full:
        total = total or [jnp.zeros(s.shape, s.dtype) for s in jax.eval_shape(one, S[:, :rows], X[:rows], y[:rows])]

        def step(k, total):
            a = n % rows + k * rows
            cut = jax.lax.dynamic_slice_in_dim
            return jax.tree.map(jnp.add, total, one(cut(S, a, rows, 1), cut(X, a, rows), cut(y, a, rows)))

        total = jax.lax.fori_loop(0, full, step, total)
    *total, mass = total
    parts = {name: part / mass for name, part in zip([f for f in _Totals._fields if f in want], total, strict=True)}
    penalised = lam * free[None]
    if "value" in parts:
        parts["value"] = parts["value"][:, 0] + jnp.sum(penalised * W * W, axis=1) / 2
    if "gradient" in parts:
        parts["gradient"] = parts["gradient"] + penalised * W
    if "hessian" in parts:
        place = np.zeros((d, d), int)
        place[i, j] = place[j, i] = np.arange(len(i))
        H = parts["hessian"][:, place] + penalised[:, :, None] * jnp.eye(d, dtype=X.dtype)[None]
        # What rounding may take from the smallest eigenvalue.
        spare = 8 * d * float(jnp.finfo(X.dtype).eps) * jnp.max(jnp.abs(H), axis=(1, 2), keepdims=True)
        parts["hessian"] = H + spare * jnp.eye(d, dtype=X.dtype)[None]
    return _Totals(**parts)


def _in(kind, *arrays):
    return (array.astype(kind) for array in arrays)


def _norms(G):
    return jnp.sqrt(jnp.sum(G * G, axis=1))


def _inverse(H):
    L = jax.lax.linalg.cholesky(H, symmetrize_input=False)
    unit = jnp.broadcast_to(jnp.eye(H.shape[-1], dtype=H.dtype), H.shape)
    half = jax.lax.linalg.triangular_solve(L, unit, left_side=True, lower=True)
    return jnp.swapaxes(half, 1, 2) @ half


def _times(P, G):
    """Each fit's matrix, or the same for all, with its vector."""
    return G @ P[0] if len(P) == 1 else jnp.einsum("fij,fj->fi", P, G)


@partial(jax.jit, static_argnums=(0, 1))
def _from_pooled(formulas, own, start, S, X, y, lam, free, pooled, tolerance, limit):
    """Points, their gradient norms, those at the start, and steps, of a group that starts at (1, d) or (F, d)."""
    F, kinds = len(S), (jnp.float64, jnp.float32)
    high, low = ((S.astype(kind) if S.size <= 2 * _BLOCK else S, *_in(kind, X, y, lam, free)) for kind in kinds)

    def totals(W, data, want):
        found = _totals(formulas, W.astype(data[1].dtype), *data, want)
        return found._replace(gradient=found.gradient.astype(jnp.float64))

    def newton(k, carry):
        W, _, first = carry
        at = totals(W, low, ("gradient", "hessian"))
        P = _inverse(at.hessian)
        D = _times(P, at.gradient.astype(jnp.float32)).astype(jnp.float64)
        return W - D, P, jnp.where(k == 0, _norms(at.gradient), first)

    d, first = start.shape[1], jnp.full(F, jnp.inf)
    W = jnp.broadcast_to(start, (F, d))
    if own:
        begun = jnp.minimum(2, limit)
        W, P, first = jax.lax.fori_loop(0, begun, newton, (W, jnp.zeros((F, d, d), jnp.float32), first))
    else:
        begun = jnp.asarray(0)
        H = _totals(formulas, start, pooled, *high[1:3], lam[:1], free, ("hessian",)).hessian
        P = _inverse(H.astype(jnp.float32))
    # Of float32's rounding errors in a gradient: the sum of the absolute terms, as squares.
    r = formulas.residual(start[:1] @ X.T, y[None])
    rounding = jnp.sqrt(jnp.mean(r[0] ** 2 * jnp.sum(X * X, axis=1))) * float(jnp.finfo(jnp.float32).eps)
    switch = jnp.maximum(4 * rounding, tolerance)

    def direction(G, pairs):
        Q, used = G, []
        for s, t, rho in reversed(pairs):
            a = rho * jnp.sum(s * Q, axis=1, keepdims=True)
            Q = Q - a * t
            used.append(a)
        D = _times(P, Q.astype(jnp.float32)).astype(jnp.float64)
        for (s, t, rho), a in zip(pairs, reversed(used), strict=True):
            D = D + s * (a - rho * jnp.sum(t * D, axis=1, keepdims=True))
        return D

    def step(data, above, carry):
        """The gradient at the next point, the pair that it makes with the last one, and the point after it."""
        last, G, W, pairs, k, steps, first = carry
        new = totals(W, data, ("gradient",)).gradient
        s, t = W - last, new - G
        product = jnp.sum(s * t, axis=1, keepdims=True)
        convex = product > 0  # not so at the first gradient, and for fits that rest
        pair = (jnp.where(convex, s, 0.0), jnp.where(convex, t, 0.0), 1 / jnp.where(convex, product, jnp.inf))
        pairs, norm = (*pairs[1:], pair), _norms(new)
        moved = jnp.any(s != 0, axis=1)
        following = W - jnp.where((norm > above)[:, None], direction(new, pairs), 0.0)
        first = jnp.where(jnp.isinf(first), norm, first)
        return W, new, following, pairs, k + 1, steps + moved.astype(steps.dtype), first

    def until(data, above, most, carry):
        slow = lambda carry: (jnp.sum(~(_norms(carry[1]) <= above)) > F // _SLOW) & (carry[4] < most)
        return jax.lax.while_loop(slow, partial(step, data, above), carry)

    # The count k is of gradients, one more than of steps.
    none = jnp.zeros_like(W)
    pairs = ((none, none, none[:, :1]),) * _MEMORY
    far = jnp.full_like(W, jnp.inf)
    carry = (W, far, W, pairs, begun, jnp.full(F, begun), first)
    W, _, _, pairs, k, steps, first = until(low, switch, jnp.minimum(limit, begun + _LOW_STEPS), carry)
    most = jnp.minimum(limit + 1, k + 2 * _LOW_STEPS)
    W, G, _, _, _, steps, first = until(high, tolerance, most, (W, far, W, pairs, k, steps, first))
    return W, _norms(G), first, steps


@partial(jax.jit, static_argnums=0)
def _newton(formulas, W, S, X, y, lam, free, tolerance, limit, steps):
    """Points, gradient norms and steps of Newton's method in float64, with steps halved until the loss falls."""
    totals = lambda W, want: _totals(formulas, W, S, X, y, lam, free, want)

    def advance(carry):
        W, steps, _, best, since, fallen, _ = carry
        at = totals(W, ("value", "gradient", "hessian"))
        norm = _norms(at.gradient)
        L = jax.lax.linalg.cholesky(at.hessian, symmetrize_input=False)
        D = _solved(L, at.gradient)
        # A Hessian without a factor: the gradient, over a bound of the curvature.
        trace = jnp.trace(at.hessian, axis1=1, axis2=2)[:, None]
        D = jnp.where(jnp.all(jnp.isfinite(D), axis=1, keepdims=True), D, at.gradient / trace)
        slope = jnp.sum(at.gradient * D, axis=1)
        rounding = 16 * float(jnp.finfo(float).eps) * jnp.abs(at.value)
        since = jnp.where((norm < best) | (slope > 1e3 * rounding), 0, since + 1)
        moving = ~(norm <= tolerance) & jnp.isfinite(norm) & (steps < limit) & (since < _PATIENCE) & fallen

        def halve(search):
            t, good, k = search
            t = jnp.where(good, t, t / 2)
            value = totals(W - t[:, None] * D, ("value",)).value
            return t, (value <= at.value - 1e-4 * t * slope + rounding) | ~moving, k + 1

        unknown = (jnp.full_like(slope, 2.0), ~moving, jnp.asarray(0))
        t, good, _ = jax.lax.while_loop(lambda s: ~jnp.all(s[1]) & (s[2] <= _HALVINGS), halve, unknown)
        taken = moving & good
        W = jnp.where(taken[:, None], W - t[:, None] * D, W)
        return W, steps + taken.astype(steps.dtype), norm, jnp.minimum(best, norm), since, good, taken

    none, far = jnp.zeros(len(W), int), jnp.full(len(W), jnp.inf)
    carry = (W, jnp.asarray(steps), far, far, none, none == 0, none == 0)
    W, steps, norm, *_ = jax.lax.while_loop(lambda carry: jnp.any(carry[-1]), advance, carry)
    return W, norm, steps


@partial(jax.jit, static_argnums=0)
def _moved(formulas, W, S, X, y, lam, free):
    """The largest change of a logit of weight by the next step of Newton's method, (F,)."""
    at = _totals(formulas, W, S, X, y, lam, free, ("gradient", "hessian"))
    D = _solved(jax.lax.linalg.cholesky(at.hessian, symmetrize_input=False), at.gradient)
    return jnp.max(jnp.where(S > 0, jnp.abs(D @ X.T), 0.0), axis=1)


def _solved(L, G):
    return jax.scipy.linalg.cho_solve((L, True), G[..., None])[..., 0]


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
