r"""The compiled steps of `experiments.solvers.many`: a group of fits at once, the points as rows of W, (F, d).

S are the weights, (F, n), or (1, n) for all fits; ``lam`` is (F, 1), ``free`` (d,) with 0 for what is not penalised.

Source: Nocedal and Wright, *Numerical Optimization*, 2nd edition, chapters 3 and 7 (L-BFGS, there algorithm 7.4).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.kernels.passes import Kernel

BLOCK = 2**19  # entries of an array of a block, fits by rows; measured, 2**18 to 2**20 are alike
PRODUCTS = 2**22  # entries of a block of products of columns, and of a group's Hessians
_FEW = 4  # fits, for which one product each is cheaper than the products of columns
_MEMORY = 5  # pairs of L-BFGS
_SLOW = 16  # a group's last 1/16 of fits is left to Newton's method
_LOW_STEPS = 15  # of L-BFGS in float32
_HALVINGS = 40
_PATIENCE = 5  # steps without a smaller gradient, after which only rounding errors are left


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

    rows = max(BLOCK // F, 64) if F * n > 2 * BLOCK else n
    if "hessian" in want:
        rows = min(rows, max(PRODUCTS // (d if F <= _FEW else len(i)), 64))
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
def from_pooled(formulas, own, start, S, X, y, lam, free, pooled, tolerance, limit):
    """Points, their gradient norms, those at the start, and steps, of a group that starts at (1, d) or (F, d)."""
    F, kinds = len(S), (jnp.float64, jnp.float32)
    high, low = ((S.astype(kind) if S.size <= 2 * BLOCK else S, *_in(kind, X, y, lam, free)) for kind in kinds)

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
def newton_method(formulas, W, S, X, y, lam, free, tolerance, limit, steps):
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
def logits_moved(formulas, W, S, X, y, lam, free):
    """The largest change of a logit of weight by the next step of Newton's method, (F,)."""
    at = _totals(formulas, W, S, X, y, lam, free, ("gradient", "hessian"))
    D = _solved(jax.lax.linalg.cholesky(at.hessian, symmetrize_input=False), at.gradient)
    return jnp.max(jnp.where(S > 0, jnp.abs(D @ X.T), 0.0), axis=1)


def _solved(L, G):
    return jax.scipy.linalg.cho_solve((L, True), G[..., None])[..., 0]
