r"""Paths of sparse models by screened columns: what least squares and the logistic loss share.

The numbers lam are taken in descending order, each started from the solution of the one before.

Columns are screened for several lam at once, by a sequential rule that predicts their correlations from the
last two lam (the strong rule takes the steepest slope possible in place of the last one), and their Gram matrix grows
with them. The problems are solved in terms of the working set; then one product checks all columns for those lam, as a
matrix product that costs little more than the product with one vector. Columns that violate the conditions of
optimality join, and what is not certified is solved again, from there. The problems are those of
`experiments.solvers.quadratic`, or are approximated by them.

Source: Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani, *Strong rules for discarding predictors in
lasso-type problems* (2012).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from experiments.solvers.arrays import aligned
from experiments.solvers.quadratic import Quadratic
from experiments.solvers.threads import gram, product
from jaxderiv.errors import InputError

TOGETHER = 12  # lam that are checked by one product
GROWTH = 0.07  # of the working set, that may be added to have more lam checked by one product
MARGIN = 0.15  # of a step of lam, by which predicted correlations may err
LEAST = 64  # columns that may be added whatever the working set
ROUNDS = 30  # of checks for the same lam
STALLED = 4  # of them without a lower certificate, after which round-off is taken to allow no more
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
class Screened(Quadratic, ABC):
    """A path by screened columns, the working set of which has the Gram matrix of the quadratic.

    A loss adds what is not implemented here. Its states are in terms of the working set.
    """

    def __init__(self, X, y, c, l1_ratio, tolerance, limit):
        super().__init__()
        self.X, self.y, self.c, self.l1_ratio = X, y, c, l1_ratio
        self.tolerance, self.limit = tolerance, limit
        self.top = float(np.abs(c).max()) / l1_ratio  # lam_max
        self.inside = np.zeros(X.shape[1], bool)  # whether a column is in the working set
        # Of the room the first columns are taken. Pages of it have no memory before they are written.
        self.room = np.empty(X.shape, order="F")
        self.part = self.room[:, :0]

    @abstractmethod
    def improve(self, open_: list[int], states: dict[int, Any], state, lams, steps) -> None:
        """Write states of the open lam, minima of the working set, from those that are there or, the first time, from
        the `state` of the lam before; count the steps."""

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
        with np.errstate(over="ignore", invalid="ignore"):
            params, gaps, sizes, steps = (np.asarray(part)[back] for part in self.path(lams[order]))
        names = [
            "converged" if gap <= self.tolerance else "limit" if np.isfinite(gap) else "not finite" for gap in gaps
        ]
        return Path(params, gaps, sizes, steps, tuple(names))

    def path(self, lams: np.ndarray):
        m, d = len(lams), self.X.shape[1]
        params, gaps, sizes, steps = np.zeros((m, d)), np.full(m, np.nan), np.zeros(m, int), np.zeros(m, int)
        # Those of the present round, and the rounds since one was the best.
        present, found, since = np.zeros((m, d)), np.full(m, np.nan), np.zeros(m, int)
        state, before = None, self.top
        c, slope, done = self.c, np.zeros(d), 0
        # From lam_max on there is nothing to do.
        while done < m and lams[done] >= before:
            gaps[done] = self.gap_at_zero(lams[done])
            done += 1
        while done < m:
            end = self.screen(c, slope, before, lams, done)
            states: dict[int, Any] = {}
            rows: dict[int, np.ndarray] = {}
            open_ = list(range(done, end))
            for _ in range(ROUNDS):
                self.improve(open_, states, state, lams, steps)
                C = self.check(open_, states, lams, present, found)
                sizes[open_] = len(self.columns)
                rows.update(zip(open_, C, strict=True))
                better = np.array(open_)[(found[open_] < gaps[open_]) | np.isnan(gaps[open_])]
                params[better], gaps[better] = present[better], found[better]
                since[open_] += 1
                since[better] = 0
                above = gaps[open_] > self.tolerance
                missed = (np.abs(C) > lams[open_, None] * self.l1_ratio)[above].any(axis=0) & ~self.inside
                if missed.any():
                    since[open_] = 0
                again = above & (steps[open_] < self.limit) & (since[open_] < STALLED)
                if not again.any():
                    break
                self.grow(np.flatnonzero(missed))
                open_ = [i for i, more in zip(open_, again, strict=True) if more]
                for i in open_:
                    states[i] = self.refitted(states[i], rows[i][self.columns])
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
        self.changed()

    def enter(self, joining: np.ndarray) -> None:
        """Names of columns, and memory for them and their rows of the Gram matrix, which are 0."""
        m, old = len(self.columns), self.gram
        self.columns, self.inside[joining] = np.append(self.columns, joining), True
        size = len(self.columns)
        if size > len(old):
            capacity = max(256, 1 << (size - 1).bit_length())
            self.gram = aligned((capacity, capacity), allocated=np.zeros)
            self.gram[:m, :m] = old[:m, :m]
        self.part = self.room[:, :size]

    def combined(self, W: np.ndarray) -> np.ndarray:
        """Columns of the working set times each row of W. They are copied if few of them are used."""
        used = np.flatnonzero(W.any(axis=0))
        if 3 * len(used) >= W.shape[1]:
            return product(W, self.part.T)
        return product(W[:, used], self.part[:, used].T)

    def weighted(self, new: np.ndarray) -> np.ndarray:
        """Columns times the weights of the Gram matrix."""
        return new
