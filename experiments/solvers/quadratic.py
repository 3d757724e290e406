r"""Minima of $\frac12 w^\top G w - b^\top w + \lambda_1 \|w\|_1 + \frac{\lambda_2}2 \|w\|^2$ in terms of G alone.

Given the signs of the minimum, it solves linear equations. Where signs that are expected give other ones, or
correlations $b - Gw$ that are too large, all of these change at once, which is Newton's method for the conditions of
optimality and mostly ends at the first or the second solution. Where it does not, sweeps of coordinate descent, a
compiled loop, which are cheap and always descend, alternate with steps to the exact solution for the present signs, or
to the first change of one. Where columns are nearly the same, as those with large means are, sweeps crawl: then exact
steps go from one set of signs to the next.

Source: Hintermueller, Ito and Kunisch, *The primal-dual active set strategy as a semismooth Newton method* (2002), for
changes of all signs at once; Friedman, Hastie and Tibshirani, *Regularization paths for generalized linear models via
coordinate descent* (2010), for the sweeps on a Gram matrix; Osborne, Presnell and Turlach, *A new approach to variable
selection in least squares problems* (2000), for the step to a change of sign; Lee, Battle, Raina and Ng, *Efficient
sparse coding algorithms* (2007), for the search by signs.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments.solvers.factor import Factor
from jaxderiv.errors import InputError

TRIES = 8  # of changes of all signs at once
SINGULAR = 1e-6  # of lambda_1, by which what should be solved is not, so that columns of the support are dependent
SWEEPS = 2  # of coordinate descent between two Newton steps
CRAWLING = 4  # times of them, after which signs change one at a time


class State(NamedTuple):
    """w of the working set and its correlations X_W'(y - Xw)."""

    w: np.ndarray
    c: np.ndarray


class Quadratic:
    """The matrix G of a working set of columns, which may grow.

    Attributes:
        columns: (m,), names of the columns.
        gram: G, where there is room for more columns than there are.
        unit: of values, for what round-off allows.
    """

    unit: float

    def __init__(self):
        self.columns, self.gram = np.zeros(0, int), np.zeros((0, 0))
        self.shared: jax.Array | None = None  # the Gram matrix as JAX sees it, the same memory on a CPU
        self.factor = Factor()

    def changed(self) -> None:
        """To be called when G is another. InputError for squares that are not finite."""
        self.shared = None
        if not np.isfinite(np.einsum("ii->i", self.gram)).all():
            raise InputError("squares of X are not finite; allowed: numbers of moderate size; divide X by its largest")

    def settled(self, state: State, ahead: State, l1: float, l2: float, tries: int) -> tuple[State, int] | None:
        """From the state to the minimum, if the signs of what lies ahead, or some that follow from these, are its
        signs; and the steps taken.
        """
        kept, joining = np.where(ahead.w * state.w > 0, ahead.w, 0.0), np.where(np.abs(ahead.c) > l1, ahead.c, 0.0)
        signs = np.sign(np.where(state.w != 0, kept, joining))
        w, c = state.w.copy(), state.c
        for k in range(1, tries + 1):
            support, gone = signs.nonzero()[0], ((signs == 0) & (w != 0)).nonzero()[0]
            self.known(support, c)
            if len(gone):
                c = c + self.image(gone, w[gone])
                w[gone] = 0.0
            wanted = signs[support]
            if len(support):
                move = self.factor.solved(self.gram, support, c[support] - l2 * w[support] - l1 * wanted, l2)
                w[support] += move
                c = c - self.image(support, move)
                if not np.abs(c[support] - l2 * w[support] - l1 * wanted).max() <= SINGULAR * l1:
                    return None
            lost, violating = w[support] * wanted <= 0, np.abs(c) > l1 * (1 + 1e-12)
            violating[support] = False
            if not (lost.any() or violating.any()):
                return State(w, c), k
            signs[support[lost]] = 0.0
            signs[violating] = np.sign(c[violating])
        return None

    def image(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The Gram matrix times a vector that is 0 but for some columns."""
        m = len(self.columns)
        if 3 * len(columns) < m:
            return values @ self.gram[columns, :m]
        whole = np.zeros(m)
        whole[columns] = values
        return self.gram[:m, :m] @ whole

    def known(self, support: np.ndarray, c: np.ndarray) -> None:
        """Have the rows of the Gram matrix for a support where correlations are c."""

    def newton(self, state: State, l1: float, l2: float) -> State:
        """The exact minimum for the present signs, or, where signs change on the way there, a lower point before."""
        w, c = state
        support = np.flatnonzero(w)
        v = w[support]
        signs = np.sign(v)
        if not len(support) or not signs.all():
            return state
        step = self.factor.solved(self.gram, support, c[support] - l2 * v - l1 * signs, l2)
        end = v + step
        end[np.sign(end) != signs] = 0.0
        kept = self.moved(state, support, end, l1, l2)
        if kept is None:
            # Up to the first change of sign the value is a quadratic, which falls up to its minimum.
            with np.errstate(divide="ignore", invalid="ignore"):
                kinks = np.where(v * step < 0, -v / step, np.inf)
            first = kinks.argmin()
            end = v + min(kinks[first], 1.0) * step
            end[first] = 0.0 if kinks[first] <= 1 else end[first]
            kept = self.moved(state, support, end, l1, l2)
        return state if kept is None else kept

    def turn(self, k: int, state: State, l1: float, l2: float, limit: int) -> tuple[State, int]:
        """The k-th turn towards the minimum, k >= 1: sweeps and an exact step, or a search by signs; returns the steps,
        too.
        """
        if k % CRAWLING == 0:
            return self.pivoted(state, l1, l2, limit)
        m = len(self.columns)
        if self.shared is None:
            self.shared = jax.device_put(self.gram, may_alias=True)
        w, c = (np.append(a, np.zeros(len(self.gram) - m)) for a in state)
        w, c, taken = _sweeps(self.shared, w, c, l1, l2, min(SWEEPS, limit))
        state, steps = State(np.asarray(w)[:m], np.asarray(c)[:m]), int(taken)
        return (self.newton(state, l1, l2), steps + 1) if steps < limit else (state, steps)

    def pivoted(self, state: State, l1: float, l2: float, limit: int) -> tuple[State, int]:
        """The minimum, by exact steps for signs that change one at a time; also where columns are nearly the same, so
        that coordinate descent crawls. Returns the steps, too.

        Source: Lee, Battle, Raina and Ng, *Efficient sparse coding algorithms* (2007), algorithm 1.
        """
        m = len(self.columns)
        G, b = self.gram[:m, :m], state.c + self.gram[:m, :m] @ state.w
        w, c, signs = state.w.copy(), state.c, np.sign(state.w)
        refused, known, joining, steps = np.zeros(m, bool), np.diagonal(G) > 0, -1, 0
        while steps < limit and m:
            steps += 1
            support = np.flatnonzero(signs)
            v, wanted = w[support], signs[support]
            move = self.factor.solved(self.gram, support, c[support] - l2 * v - l1 * wanted, l2) if len(support) else v
            if not np.isfinite(move).all():
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                ends = np.where(np.sign(v + move) != wanted, -v / move, np.inf)
            first = int(ends.argmin()) if len(ends) else -1
            if first >= 0 and ends[first] <= 1:
                w[support] = v + max(ends[first], 0.0) * move
                w[support[first]] = signs[support[first]] = 0.0
                # One that joins and leaves at once does so by rounding errors, and would for ever.
                refused[joining] |= support[first] == joining and ends[first] <= 0
                c = b - G[:, support] @ w[support]
                continue
            w[support] = v + move
            c = b - G[:, support] @ w[support]
            outside = np.where((signs == 0) & known & ~refused, np.abs(c), 0.0)
            joining = int(outside.argmax())
            if outside[joining] <= l1 * (1 + 1e-12):
                break
            signs[joining] = np.sign(c[joining])
        return State(w, c), steps

    def moved(self, state, support, end, l1, l2) -> State | None:
        """The state in which the support has the values `end`, if the value of P is not larger there."""
        v = state.w[support]
        change = end - v
        image = self.image(support, change)
        slope = -state.c[support] @ change + l1 * (np.abs(end) - np.abs(v)).sum()
        rise = slope + image[support] @ change / 2 + l2 / 2 * (end @ end - v @ v)
        if not rise <= 1e-16 * self.unit:
            return None
        w = state.w.copy()
        w[support] = end
        return State(w, state.c - image)


@jax.jit
def _sweeps(G, w, c, l1, l2, limit):
    """Coordinate descent on the columns with w != 0 or |c| > l1, so many times or until nothing changes."""
    diagonal = jnp.diagonal(G)
    at = partial(lax.dynamic_index_in_dim, keepdims=False)

    def coordinate(i, state):
        order, w, c = state
        j = at(order, i)
        old, square = at(w, j), at(diagonal, j)
        u = at(c, j) + square * old
        new = jnp.sign(u) * jnp.maximum(jnp.abs(u) - l1, 0.0) / (square + l2)
        return order, lax.dynamic_update_index_in_dim(w, new, j, 0), c - (new - old) * at(G, j)

    def sweep(state):
        w, c, k, _ = state
        chosen = ((w != 0) | (jnp.abs(c) > l1)) & (diagonal > 0)
        order = jnp.nonzero(chosen, size=len(w), fill_value=0)[0]
        _, new, c = lax.fori_loop(0, chosen.sum(), coordinate, (order, w, c))
        return new, c, k + 1, (new == w).all()

    w, c, steps, _ = lax.while_loop(lambda s: (s[2] < limit) & ~s[3], sweep, (w, c, jnp.zeros((), int), False))
    return w, c, steps
