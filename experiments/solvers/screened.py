r"""Paths of sparse models by screened columns: what least squares and the logistic loss share.

The numbers lam are taken in descending order, each started from the solution of the one before.

*Passes.* Columns are screened for several lam at once, by a sequential rule that predicts their correlations from the
last two lam (the strong rule takes the steepest slope possible in place of the last one), and their Gram matrix grows
with them. The problems are solved in terms of the working set; then one product checks all columns for those lam, as a
matrix product that costs little more than the product with one vector. Columns that violate the conditions of
optimality join, and what is not certified is solved again, from there.

*Solver of a quadratic.* The lines through the last two solutions predict the signs of the next one. For known signs it
solves linear equations; where these give other signs, or correlations that are too large, all of these signs change at
once, which is Newton's method for the conditions of optimality and mostly ends at the first or the second solution.
Where it does not, sweeps of coordinate descent, a compiled loop, which are cheap and always descend, alternate with
steps to the exact solution for the present signs, or to the first change of one. Where columns are nearly the same, as
those with large means are, sweeps crawl: then exact steps go from one set of signs to the next.

Source: Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani, *Strong rules for discarding predictors in
lasso-type problems* (2012); Friedman, Hastie and Tibshirani, *Regularization paths for generalized linear models via
coordinate descent* (2010), for the sweeps on a Gram matrix; Osborne, Presnell and Turlach, *A new approach to variable
selection in least squares problems* (2000), for the step to a change of sign; Hintermueller, Ito and Kunisch, *The
primal-dual active set strategy as a semismooth Newton method* (2002), for changes of all signs at once; Lee, Battle,
Raina and Ng, *Efficient sparse coding algorithms* (2007), for the search by signs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.linalg.lapack import dpotrs

from experiments.solvers.arrays import aligned
from experiments.solvers.threads import gram, product
from jaxderiv.errors import InputError

TOGETHER = 12  # lam that are checked by one product
GROWTH = 0.07  # of the working set, that may be added to have more lam checked by one product
MARGIN = 0.15  # of a step of lam, by which predicted correlations may err
LEAST = 64  # columns that may be added whatever the working set
SWEEPS = 2  # of coordinate descent between two Newton steps
CRAWLING = 4  # times of them, after which signs change one at a time
SINGULAR = 1e-6  # of lambda_1, by which what should be solved is not, so that columns of the support are dependent
TRIES = 8  # of changes of all signs at once
ROUNDS = 30  # of checks for the same lam
RIDGE = 1e-13  # of the mean of the diagonal, added first where the support's Gram matrix is singular
CHANGES = 0.15  # of a support, for which its factor is not made anew
SMALL = 100  # columns of a support whose factor is always made anew
SHARE = 0.5  # of the tolerance, which the columns of the working set alone have to reach
MEMORY = 2**33  # bytes of a Gram matrix


class Path(NamedTuple):
    """Solutions for m values of lam, in the order they were given.

    Attributes:
        params: w, (m, d).
        certificate: the relative duality gap, (m,).
        working_set: how many columns the Gram matrix had, (m,).
        steps: sweeps of coordinate descent and Newton steps, (m,); of the logistic loss proximal Newton steps.
        stopped: for each lam "converged"; "limit", of steps or of what round-off allows; or "not finite".
    """

    params: np.ndarray
    certificate: np.ndarray
    working_set: np.ndarray
    steps: np.ndarray
    stopped: tuple[str, ...]


class Solution(NamedTuple):
    """`Path` of a single lam: params is (d,), the others are numbers, and a word."""

    params: np.ndarray
    certificate: float
    working_set: int
    steps: int
    stopped: str


# Arguments ---------------------------------------------------------------------------------------------------------
def allowed(lams: np.ndarray, tolerance: float, limit: int, model="least squares", single="elastic_net") -> None:
    if lams.ndim != 1 or not lams.size:
        raise InputError(f"lams has the shape {lams.shape}; allowed: (m,), m >= 1; for one lam write {single}")
    if not (np.isfinite(lams).all() and (lams > 0).all()):
        came = lams[~(np.isfinite(lams) & (lams > 0))][0]
        raise InputError(
            f"a lam is {came}; allowed: finite and above 0; for a fit without a penalty write "
            f'experiments.solvers.smooth.solve("{model}", X, y)'
        )
    if not (0 < tolerance < np.inf and limit >= 1):
        raise InputError(f"tolerance is {tolerance} and limit {limit}; allowed: above 0, and 1 or more")


def checked(
    X: Any, y: Any, l1_ratio: float, ridge: str = '"least squares", X, y, lam / len(y)', centre: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X and y in float64, and X'(y - centre). Arguments of `smooth.solve` name the same fit with a ridge penalty."""
    if not 0 < l1_ratio <= 1:
        raise InputError(
            f"l1_ratio is {l1_ratio}; allowed: above 0, 1 at most; for a ridge penalty write "
            f"experiments.solvers.smooth.solve({ridge})"
        )
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not (X.ndim == 2 and X.size and y.shape == X.shape[:1]):
        raise InputError(f"X and y have the shapes {X.shape} and {y.shape}; allowed: (n, d) and (n,), n, d >= 1")
    with np.errstate(all="ignore"):
        c = product((y - centre)[None], X)[0]
    # What is not finite in X or y is not finite in the product, so that the entries of X need no pass of their own.
    if not np.isfinite(c).all():
        raise InputError("X and y, or their products, are not finite; allowed: finite numbers, of moderate size")
    return X, y, c


def grid(highest: float, count: int, ratio: float, product: str) -> np.ndarray:
    if not (count >= 1 and 0 < ratio < 1):
        raise InputError(f"count is {count} and ratio {ratio}; allowed: a count of 1 or more, a ratio in (0, 1)")
    if highest == 0:
        raise InputError(f"{product} is 0, so that w = 0 solves the problem of every lam; give lams of your own")
    return highest * np.geomspace(1.0, ratio, count)


def single(path: Path) -> Solution:
    return Solution(
        path.params[0], float(path.certificate[0]), int(path.working_set[0]), int(path.steps[0]), path.stopped[0]
    )


# The path ----------------------------------------------------------------------------------------------------------
class State(NamedTuple):
    """w of the working set and its correlations X_W'(y - Xw)."""

    w: np.ndarray
    c: np.ndarray


class Screened(ABC):
    """A path by screened columns: the working set, its Gram matrix, and exact steps of a quadratic on a support.

    A loss adds what is not implemented here. Its states are in terms of the working set.
    """

    unit: float  # of values, for what round-off allows

    def __init__(self, X, y, c, l1_ratio, tolerance, limit):
        self.X, self.y, self.c, self.l1_ratio = X, y, c, l1_ratio
        self.tolerance, self.limit = tolerance, limit
        self.columns, self.inside = np.zeros(0, int), np.zeros(X.shape[1], bool)
        # Of the room the first columns are taken: a part that grows is not copied each time.
        self.part = self.room = np.zeros((len(X), 0), order="F")
        self.gram = np.zeros((0, 0))
        self.shared: jax.Array | None = None  # the Gram matrix as JAX sees it, the same memory on a CPU
        self.factor: tuple[np.ndarray, np.ndarray, float] | None = None
        self.support = self.columns  # of the last exact step

    def improve(self, open_: list[int], states: dict[int, Any], state, lams, steps) -> None:
        """Write states of the open lam, from those that are there or, in their place, from `state`; count the steps."""
        for i in open_:
            begun = self.fitted(states.get(i, state))
            states[i], taken = self.minimised(begun, lams[i], self.limit - steps[i])
            # The next one starts here, in later rounds from its own last point.
            state, steps[i] = states[i], steps[i] + taken

    @abstractmethod
    def minimised(self, state: Any, lam: float, limit: int) -> tuple[Any, int]:
        """Minimise over the working set; returns the steps taken, too."""

    @abstractmethod
    def fitted(self, state: Any | None) -> Any:
        """A state in terms of the present working set: columns that have joined have w = 0. None is w = 0."""

    @abstractmethod
    def check(self, open_: list[int], states: dict[int, Any], lams, params, gaps) -> np.ndarray:
        """Write the solutions and their certificates, from all columns of the data; returns X'r for each lam."""

    @abstractmethod
    def refitted(self, state: Any, c: np.ndarray) -> Any:
        """A state in terms of the present working set, with correlations c from the data."""

    @abstractmethod
    def gap_at_zero(self, lam: float) -> float: ...

    def in_order(self, lams: np.ndarray) -> Path:
        """The solutions in the order of the lams."""
        order = np.argsort(-lams, kind="stable")
        back = np.argsort(order)
        params, gaps, sizes, steps = (np.asarray(part)[back] for part in self.path(lams[order]))
        names = [
            "converged" if gap <= self.tolerance else "limit" if np.isfinite(gap) else "not finite" for gap in gaps
        ]
        return Path(params, gaps, sizes, steps, tuple(names))

    def path(self, lams: np.ndarray):
        m, d = len(lams), self.X.shape[1]
        params, gaps, sizes, steps = np.zeros((m, d)), np.full(m, np.nan), np.zeros(m, int), np.zeros(m, int)
        state, before = None, float(np.abs(self.c).max()) / self.l1_ratio
        c, slope, done = self.c, np.zeros(d), 0
        # From lam_max on there is nothing to do.
        while done < m and lams[done] >= before:
            gaps[done] = self.gap_at_zero(lams[done])
            done += 1
        while done < m:
            end = self.screen(c, slope, before, lams, done)
            states: dict[int, Any] = {}
            rows: dict[int, np.ndarray] = {}
            open_, known = list(range(done, end)), np.inf
            for _ in range(ROUNDS):
                self.improve(open_, states, state, lams, steps)
                C = self.check(open_, states, lams, params, gaps)
                sizes[open_] = len(self.columns)
                rows.update(zip(open_, C, strict=True))
                again = [k for k, i in enumerate(open_) if gaps[i] > self.tolerance and steps[i] < self.limit]
                if not again:
                    break
                missed, worst = np.zeros(d, bool), max(gaps[i] for i in open_)
                for k in again:
                    missed |= np.abs(C[k]) > lams[open_[k]] * self.l1_ratio
                missed &= ~self.inside
                if not (missed.any() or worst < known):
                    break
                known = worst
                self.grow(np.flatnonzero(missed))
                for k in again:
                    i = open_[k]
                    states[i] = self.refitted(states[i], C[k][self.columns])
                open_ = [open_[k] for k in again]
            state = states[end - 1]
            if end - done > 1:
                c, before = rows[end - 2], lams[end - 2]
            if lams[end - 1] < before:
                slope = (c - rows[end - 1]) / (before - lams[end - 1])
            c, before, done = rows[end - 1], lams[end - 1], end
        return params, gaps, sizes, steps

    def screen(self, c, slope, before, lams, done) -> int:
        """Grow the working set for several lam; returns the first that is left out.

        Correlations are predicted by their last slope, and those join that are within MARGIN times the step of lam.
        """
        if self.inside.all():
            return len(lams)
        end, bound, joining = done, max(LEAST, int(GROWTH * len(self.columns))), self.columns[:0]
        while end < min(len(lams), done + TOGETHER):
            step = before - lams[end]
            expected = np.abs(c - slope * step)
            more = np.flatnonzero((expected >= lams[end] * self.l1_ratio - MARGIN * step) & ~self.inside)
            if end > done and len(more) > bound:
                break
            joining, end = np.union1d(joining, more), end + 1
        self.grow(joining)
        return end

    def grow(self, joining: np.ndarray) -> None:
        """Add columns to the working set and to its Gram matrix."""
        if not len(joining):
            return
        m, k = len(self.columns), len(joining)
        if 8 * (m + k) ** 2 > MEMORY:
            raise InputError(
                f"{m + k} columns are in the working set, more than a Gram matrix of {MEMORY >> 30} GiB has; "
                "give larger lams, or a larger l1_ratio"
            )
        self.enter(joining)
        new = self.part[:, m:]
        new[:] = self.X[:, joining]
        left = self.weighted(new)
        symmetric = left is new and not m
        self.gram[m : m + k, : m + k] = gram(new) if symmetric else product(left.T, self.part)
        self.gram[:m, m : m + k] = self.gram[m : m + k, :m].T
        self.shared = None

    def enter(self, joining: np.ndarray) -> None:
        """Names of columns, and memory for them and their rows of the Gram matrix, which are 0."""
        m, old = len(self.columns), self.gram
        self.columns, self.inside[joining] = np.append(self.columns, joining), True
        size = len(self.columns)
        if size > len(old):
            capacity = max(256, 1 << (size - 1).bit_length())
            self.gram = aligned((capacity, capacity), allocated=np.zeros)
            self.gram[:m, :m] = old[:m, :m]
        if size > self.room.shape[1]:
            self.room = np.empty((len(self.X), size + size // 2), order="F")
            self.room[:, :m] = self.part
        self.part = self.room[:, :size]

    def weighted(self, new: np.ndarray) -> np.ndarray:
        """Columns times the weights of the Gram matrix."""
        return new

    def pad(self, a: np.ndarray) -> np.ndarray:
        return np.append(a, np.zeros(len(self.gram) - len(a)))

    def settled(self, state: State, ahead: State, l1: float, l2: float, tries: int) -> tuple[State, int] | None:
        """From the state to the minimum, if the signs of what lies ahead, or some that follow from these, are its
        signs; and the steps taken.
        """
        kept, joining = np.where(ahead.w * state.w > 0, ahead.w, 0.0), np.where(np.abs(ahead.c) > l1, ahead.c, 0.0)
        signs = np.sign(np.where(state.w != 0, kept, joining))
        w, c = state.w.copy(), state.c
        for k in range(1, tries + 1):
            support, gone = np.flatnonzero(signs), np.flatnonzero((signs == 0) & (w != 0))
            self.known(support, c)
            if len(gone):
                c = c + self.image(gone, w[gone])
                w[gone] = 0.0
            wanted = signs[support]
            if len(support):
                move = self.solved(support, c[support] - l2 * w[support] - l1 * wanted, l2, False)
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

    def known(self, support: np.ndarray, c: np.ndarray) -> None:  # noqa: B027, not all losses wait with rows
        """Have the rows of the Gram matrix for a support where correlations are c."""

    def newton(self, state: State, l1: float, l2: float, stale: bool = False) -> State:
        """The exact minimum for the present signs, or, where signs change on the way there, a lower point before."""
        w, c = state
        support = self.support if stale else np.flatnonzero(w)
        v = w[support]
        signs = np.sign(v)
        if not len(support) or not signs.all():
            return state
        step = self.solved(support, c[support] - l2 * v - l1 * signs, l2, stale)
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
        w, c, taken = _sweeps(self.shared, self.pad(state.w), self.pad(state.c), l1, l2, min(SWEEPS, limit))
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
            move = self.solved(support, c[support] - l2 * v - l1 * wanted, l2, False) if len(support) else v
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

    def solved(self, support: np.ndarray, b: np.ndarray, l2: float, stale: bool) -> np.ndarray:
        """x of A x = b for the support's Gram matrix plus l2, A; by the factor of a support that differs in few columns
        if there is one, or by a new one.
        """
        self.support = support
        if len(support) > SMALL and self.factor is not None and (stale or self.factor[2] == l2):
            base, factor, _ = self.factor
            gone, new = np.flatnonzero(~np.isin(base, support)), np.flatnonzero(~np.isin(support, base))
            k, m = len(gone) + len(new), len(base)
            if not k:
                return dpotrs(factor, b)[0]
            if k <= CHANGES * m:
                # Bordered: new rows and columns, and a multiplier for each entry of x that has to be 0.
                border = np.zeros((m, k + 1), order="F")
                border[:, : len(new)] = self.gram[np.ix_(base, support[new])]
                border[gone, np.arange(len(new), k)] = 1.0
                old = np.flatnonzero(np.isin(support, base))
                border[np.searchsorted(base, support[old]), k] = b[old]
                inner = dpotrs(factor, border)[0]
                corner = np.zeros((k, k + 1))
                corner[: len(new), : len(new)] = self.gram[np.ix_(support[new], support[new])] + l2 * np.eye(len(new))
                corner[: len(new), k] = b[new]
                corner -= border[:, :k].T @ inner
                try:
                    ends = np.linalg.solve(corner[:, :k], corner[:, k])
                except np.linalg.LinAlgError:
                    ends = np.full(k, np.nan)
                if np.isfinite(ends).all():
                    x = np.empty(len(support))
                    x[new] = ends[: len(new)]
                    x[old] = (inner[:, k] - inner[:, :k] @ ends)[np.searchsorted(base, support[old])]
                    return x
        self.factor = (support, self.factored(self.gram[np.ix_(support, support)], l2), l2)
        return dpotrs(self.factor[1], b)[0]

    def factored(self, block: np.ndarray, l2: float) -> np.ndarray:
        """The upper Cholesky factor of block + l2, of what is near where that is singular; the block is overwritten."""
        diagonal = np.einsum("ii->i", block)
        diagonal += l2
        share = RIDGE
        while (factor := _cholesky(block)) is None:
            diagonal += share * diagonal.mean()
            share *= 100
        return factor


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


def _cholesky(A: np.ndarray) -> np.ndarray | None:
    """The upper factor, if there is one. NumPy's: the threads of SciPy's own BLAS would wait for those of NumPy's."""
    try:
        return np.linalg.cholesky(A).T
    except np.linalg.LinAlgError:
        return None
