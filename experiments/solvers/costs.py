r"""What the methods of `experiments.solvers.smooth` are expected to cost on data of a shape.

Every method ends with L-BFGS on all rows; in the metric of a Hessian of m rows each pass gains about a factor
$\sqrt{D/m}$, and without one what a run on a sample says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# The machine of the cost model, per second: two cores, as measured. Only ratios matter.
FLOPS = 3e11  # operations of a Hessian's product, in single precision
ENTRIES = 4e8  # of X, in a sample's copy
SCALED = 5e8  # of the scaled copies of X in a Hessian, one for each pair of classes, and small products
BYTES = 3.2e10  # read
LOGITS = 1.3e8  # of which a pass takes exponentials
DOUBLE_FLOPS = 5e10  # operations of a product in double precision
GRAM_ENTRIES = 1e9  # of X, in X'X by BLAS
GRAM = 1.3e11  # multiplications of it, half of which are saved
FACTORED = 2e10  # operations of a Cholesky factor
STEP = 3e-5  # seconds for each step of L-BFGS besides
NEWTON_STEP = 1e-4  # and of Newton's method
BEGUN = 5e-4  # to begin on a sample

SPAN = 2  # passes into the span of the rows and back
BEFORE = 2  # passes before the first step of L-BFGS: at 0, and where it starts
NEWTON = 6  # Hessians in Newton's method, for a loss that is not quadratic
NEARBY = 3  # of them, from the minimum of a smaller sample
FOR_METRIC = 16  # rows for each column, of which the metric is made that classes share
SAVED = 10  # passes that it saves, about: where it costs more it is not made
CHANGE = 0.03  # of the curvature between where Newton's method ends and the minimum
WORTH = 0.01  # seconds expected, from which on it pays to begin on a small sample
LEAST, EACH, PART = 2048, 8, 32  # rows of that sample: at least, for each parameter, and one of so many
COARSE = 1e-3  # relative gradient norm at which L-BFGS on that sample ends
MEMORY = 10  # pairs that L-BFGS remembers
TRIAL = 0.3  # of the time of Newton's method, that L-BFGS is given where nothing is known
ASKED = 1e-3  # seconds that L-BFGS goes on, at least, before it is decided again, which takes 2e-4 to 5e-4
FEWEST_TRIED = 5  # passes, that tell
TYPICAL = 40  # passes of L-BFGS to 1e-10, where no sample has told


class Choice(NamedTuple):
    """What the cost model expects of a method, by default with a Hessian of so many rows, 0 for none.

    Attributes:
        passes: over X.
        rotated: whether of w in the span of the rows; where that has 0 rows, there is a choice again.
    """

    rows: int
    passes: float
    seconds: float
    name: str = ""
    rotated: bool = False

    @property
    def alone(self) -> bool:
        """Whether it is L-BFGS alone."""
        return self.rows == 0 and not self.rotated

    @property
    def method(self) -> str:
        on_rows = f"Newton's method on {self.rows} rows, then L-BFGS in its metric"
        return self.name or (on_rows if self.rows else "L-BFGS")

    def in_words(self) -> str:
        if math.isnan(self.seconds):
            return f"{self.method}, as asked for"
        return f"{self.method}: {self.passes:.0f} passes, {self.seconds:.3g} s expected"


def in_lines(choices: Sequence[Choice]) -> str:
    return "\n".join(f"{'' if k else 'chosen':8}{choice.in_words()}" for k, choice in enumerate(choices[:4]))


class Told(NamedTuple):
    """What L-BFGS on the first sample has told.

    Attributes:
        passes: over the sample.
        gained: the gradient norm at the end in parts of that at 0.
        rows: of the sample.
        even: rows that count in the Hessian, in parts of all rows, by Kish's effective sample size.
    """

    passes: int
    gained: float
    rows: int
    even: float

    @property
    def converged(self) -> bool:
        return self.gained <= COARSE


class Costs(NamedTuple):
    """Of X, (n, d), and D parameters for K logits."""

    n: int
    d: int
    D: int
    K: int
    quadratic: bool

    @property
    def once(self) -> float:
        """Seconds of a pass: the value and the gradient."""
        products = 2 * self.n * self.d * 8 / BYTES + 4 * self.n * self.d * self.K / FLOPS
        return products + (0 if self.quadratic else self.n * self.K / LOGITS) + STEP

    @property
    def metric(self) -> int:
        """Rows of which L-BFGS has the metric that classes share; 0 for none."""
        m = min(FOR_METRIC * self.d, self.n)
        seconds = m * self.d * (1 / ENTRIES + 2 * self.d / DOUBLE_FLOPS) + self.d**3 / 3 / FACTORED
        return m if self.K > 1 and seconds < SAVED * self.once else 0

    @property
    def first(self) -> int:
        """Rows of the sample to begin on, 0 if that is not worth it."""
        if self.quadratic:
            return 0  # the first passes over all rows tell as much
        rows, best = max(LEAST, EACH * self.D, self.n // PART), self.with_hessians(1e-10)[0]
        return rows if 4 * rows <= self.n and best.seconds > WORTH else 0

    def hessian(self, m: int) -> float:
        """Seconds of a step of Newton's method on m rows."""
        products = max(1, self.K * (self.K - 1) // 2)
        return m * self.d * products * (1 / SCALED + 2 * self.d / FLOPS) + self.D**3 / 3 / FACTORED + NEWTON_STEP

    @property
    def of_rows(self) -> Costs:
        """Of the same problem in the span of its rows."""
        return self._replace(d=self.n, D=self.D + (self.n - self.d) * self.K)

    def rotated(self, tolerance: float, free: float, told: Told | None = None) -> list[Choice]:
        """With w in the span of the rows, which takes their Gram matrix and its factor; none without the memory."""
        fewer, tolerance = self.of_rows, max(tolerance, 1e-16)
        if 3 * 8 * self.n**2 > free:
            return []
        rows, inside = 0, fewer.untold(tolerance)
        if told:
            # By L-BFGS, which is as slow there.
            possible = [choice for choice in fewer.with_hessians(tolerance, told) if fewer.needed(choice.rows) <= free]
            if not possible:
                return []
            rows, inside = possible[0].rows, possible[0].seconds
        turned = gram_seconds(self.d, self.n) + self.n**3 / 3 / FACTORED + (SPAN + 1) * self.once
        return [Choice(rows, SPAN + 1, turned + inside, "in the span of the rows", rotated=True)]

    def untold(self, tolerance: float) -> float:
        """Seconds that are expected before anything is known of the data."""
        best, alone = self.with_hessians(tolerance)[0], self.without(passes_left(TYPICAL, 1e-10, tolerance))
        return min(best.seconds, alone.seconds)

    def choices(self, tolerance: float, told: Told | None, free: float, rotates: bool = False) -> tuple[Choice, ...]:
        """Those for which there is memory, the cheapest first.

        Args:
            free: bytes.
            rotates: whether w may be taken in the span of the rows, where these are fewer than the columns.
        """
        tolerance = max(tolerance, 1e-16)
        if told is None:
            alone = passes_left(TYPICAL, 1e-10, tolerance)
        else:
            # From as far as the minimum of the sample is. The first two passes are spent on the length of a step.
            wanted = tolerance / math.sqrt(self.D / told.rows)
            alone = passes_left(max(told.passes - 2, 1), told.gained, wanted)
        found = [choice for choice in self.with_hessians(tolerance, told) if self.needed(choice.rows) <= free]
        if rotates and self.n < self.d:
            found += self.rotated(tolerance, free, told)
        ordered = sorted([*found, self.without(alone)], key=lambda choice: choice.seconds)
        if told is None and ordered[0].rows:
            # Data may be kinder than typical: some passes tell, and they are not lost as a start of Newton's method.
            trial = max(TRIAL * ordered[0].seconds, ASKED) / self.once
            if trial >= FEWEST_TRIED:
                return (Choice(0, trial, trial * self.once), *ordered)
        return tuple(ordered)

    def needed(self, m: int) -> int:
        """Bytes that a Hessian of m rows takes, with the sample and what L-BFGS remembers."""
        return 8 * (3 * self.D**2 * (m > 0) + 2 * MEMORY * self.D + (m < self.n) * m * self.d)

    def with_hessians(self, tolerance: float, told: Told | None = None) -> list[Choice]:
        """Of n, n/2, n/4 ... rows, the cheapest first."""
        hessians = 2 if self.quadratic else NEWTON
        first, even = (told.rows, told.even) if told else (0, 1.0)

        def of(m: int) -> Choice:
            # The square root of the rows that count has agreed with measured passes.
            missed = math.sqrt(self.D / (math.sqrt(even) * m) * (1 - m / self.n)) + (1e-8 if self.quadratic else CHANGE)
            passes = math.log(tolerance) / math.log(min(missed, 0.98)) + BEFORE
            # From a smaller sample the way is short.
            smaller = 0.0 if told is None or told.converged else hessians * self.hessian(first)
            count = min(hessians, NEARBY) if told else hessians
            newton = BEGUN + smaller + count * self.hessian(m) + m * self.d / ENTRIES
            return Choice(m, passes, newton + passes * (self.once + 2 * self.D**2 * 8 / BYTES))

        sizes = [m for m in (self.n >> i for i in range(self.n.bit_length())) if m >= max(4 * self.D, first)]
        return sorted((of(m) for m in sizes or [self.n]), key=lambda choice: choice.seconds)

    def without(self, passes: float) -> Choice:
        """L-BFGS alone."""
        passes += BEFORE
        return Choice(0, passes, passes * self.once)


def passes_left(taken: int, gained: float, wanted: float) -> float:
    """How many more it takes to gain a factor `wanted`, after some that gained a factor `gained`; 1 at least."""
    if not (0 < gained < 1 and wanted > 0):
        return math.inf
    return max(taken * math.log(wanted) / math.log(gained), 1.0)


def gram_seconds(n: int, d: int) -> float:
    """Of X'X by BLAS."""
    return n * d * (1 / GRAM_ENTRIES + d / GRAM)
