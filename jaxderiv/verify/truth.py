"""The truth: exact derivatives of a program at a point, to 25 digits or more.

The program's jaxpr is evaluated on dual numbers of high precision, by our own derivative rules. The precision is
doubled until two successive results agree; where they do not by 2000 digits, the point is undecidable.

Where a comparison ties (a kink, or the seam of two branches that fit together smoothly) and where the result is
not finite, the limits of the derivative from several generic directions are looked at. If they agree, the derivative
exists and is their common value, to all the digits that the program itself gives if that is the same; otherwise their
least and greatest values bound what a subderivative may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Algebra, Value
from jaxderiv.verify.dual import Dual, DualValue
from jaxderiv.verify.interpreter import Hook, Interpreter
from jaxderiv.verify.precise import Precise

DIGITS = 25
_LADDER = (30, 60, 120, 240, 480, 960, 1920)
_RESOLVED = 240  # digits from which on a result of zero is believed
_APPROACHES = 6  # generic directions from which a kink is approached
SMOOTH = 3  # of them from which a tie is approached before it counts as smooth

Leaves = list[np.ndarray]


@dataclass(frozen=True)
class Derivative:
    """What to take of a program: which derivative, in which of its arguments (positions).

    Attributes:
        kind: "value", "gradient", "jacobian", "vjp", "hessian" or "hvp".
        of: positions of the parameters; of a Hessian the rows, with `columns` the columns.
        along: positions of the directions of an hvp, or of the cotangents of a vjp.
    """

    kind: str
    of: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    along: tuple[int, ...] = ()

    @property
    def orders(self) -> int:
        return {"value": 0, "hessian": 2, "hvp": 2}.get(self.kind, 1)

    @property
    def moving(self) -> tuple[int, ...]:
        """The arguments in which the derivative is taken."""
        return tuple(dict.fromkeys((*self.of, *self.columns)))


def differentiate(
    program: ClosedJaxpr,
    point: Sequence,
    what: Derivative,
    algebra: Algebra,
    ties: list[str] | None = None,
    hook: Hook | None = None,
) -> list[Value]:
    """Every entry of a derivative of a program at a point, as values of an algebra, in the order of JAX's leaves.

    Args:
        ties: where the comparisons between equal values are noted.
        hook: see `Interpreter`; it meets dual numbers.
    """
    if what.kind == "value":
        interpreter = Interpreter(algebra, hook)
        out = interpreter(program, point)
        if ties is not None:
            ties.extend(interpreter.ties)
        return out
    shapes = [atoms.shape(v) for v in program.jaxpr.invars]
    rows, columns = ([shapes[i] for i in group] for group in (what.of, what.columns))
    along = [algebra.constant(point[i]) for i in what.along]
    column_seeds = [_as_direction(algebra, x) for x in along] if what.kind == "hvp" else _seeds(columns)
    out = _forward(program, point, what, algebra, _seeds(rows), column_seeds, ties, hook)
    if what.kind in ("gradient", "jacobian"):
        return [part for y in out for part in _split(algebra, y, rows)]
    if what.kind == "vjp":
        return _split(algebra, _weighted(algebra, out, along), rows)
    if what.kind == "hvp":
        return _split(algebra, algebra.move(lambda a: a[0], out[0]), rows)
    by_rows = algebra.move(lambda a: np.swapaxes(a, 0, 1), out[0])
    blocks, start = [], 0
    for shape in rows:
        band = algebra.move(_cut(start, math.prod(shape), shape), by_rows)
        blocks += _split(algebra, band, columns)
        start += math.prod(shape)
    return blocks


def _as_direction(algebra: Algebra, x: Value) -> Value:
    """With one more axis, of size one."""
    rank = len(algebra.shape(x))
    return algebra.move(lambda a: np.expand_dims(a, rank), x)


def _forward(program, point, what: Derivative, algebra: Algebra, row_seeds: list, column_seeds: list, ties, hook=None):
    """The program on dual numbers: first-order tangents of every output (its shape, then directions), or the
    mixed second derivatives of the only output (columns by rows)."""
    first = dual = Dual(algebra, _directions(algebra, row_seeds))
    values = {i: first.variable(algebra.constant(point[i]), x) for i, x in zip(what.of, row_seeds, strict=True)}
    if what.orders == 1:
        interpreter = Interpreter(first, hook)
    else:
        dual = outer = Dual(first, _directions(algebra, column_seeds))
        inner = {i: values.get(i, first.constant(point[i])) for i in what.moving}
        values = {i: DualValue(x, None) for i, x in inner.items()}
        for i, seed in zip(what.columns, column_seeds, strict=True):
            values[i] = outer.variable(inner[i], seed)
        interpreter = Interpreter(outer, hook)
    plain = lambda x: x if isinstance(x, np.ndarray) else dual.constant(x)
    out = interpreter(program, [values[i] if i in values else plain(x) for i, x in enumerate(point)])
    if ties is not None:
        ties.extend(interpreter.ties)
    if what.orders == 1:
        return [_where_defined(algebra, y.primal, first.tangent(y)) for y in out]
    return [_where_defined(algebra, out[0].primal.primal, first.tangent(outer.tangent(out[0])))]


def _directions(algebra: Algebra, seeds: list) -> int:
    return algebra.shape(algebra.constant(seeds[0]))[-1]


def _where_defined(algebra: Algebra, value: Value, tangent: Value) -> Value:
    """The tangents of a finite value; NaN otherwise: log x has no derivative at -1, although 1/x is a number."""
    order = algebra.order(value)
    if np.all((order < np.inf) & (order > -np.inf)):
        return tangent
    return algebra.constant(np.full(algebra.shape(tangent), np.nan))


def _weighted(algebra: Algebra, tangents: list[Value], weights: list[Value]) -> Value:
    """Sum over outputs of weight times tangent: one number for every direction."""
    total = None
    for tangent, weight in zip(tangents, weights, strict=True):
        shape = algebra.shape(tangent)
        spread = lambda a, s=shape: np.broadcast_to(a, (*s, *a.shape[len(s) :]))
        term = algebra.mul(algebra.move(spread, _as_direction(algebra, algebra.constant(weight))), tangent)
        term = algebra.sum(term, tuple(range(len(shape) - 1)))
        total = term if total is None else algebra.add(total, term)
    return total


@dataclass(frozen=True)
class Probe:
    """Random weights that contract a derivative to one number, as in u'Hv.

    Two different results have the same number only on a set of directions of measure zero, and the number costs
    one direction instead of one for every entry.

    Attributes:
        rows, columns: weights of the shapes of the arguments that the derivative is taken in.
        outputs: weights of the shapes of the function's results (a Jacobian's).
    """

    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...] = ()
    outputs: tuple[np.ndarray, ...] = ()

    @staticmethod
    def draw(rng: np.random.Generator, what: Derivative, point: Leaves, program: ClosedJaxpr) -> Probe:
        weights = lambda shapes: tuple(rng.normal(size=s) for s in shapes)
        columns = what.columns if what.kind == "hessian" else ()
        outputs = [v.aval.shape for v in program.jaxpr.outvars] if what.kind == "jacobian" else []
        shapes = lambda positions: [np.shape(point[i]) for i in positions]
        return Probe(weights(shapes(what.of)), weights(shapes(columns)), weights(outputs))

    def absolute(self) -> Probe:
        """The weights' sizes: what turns bounds of entries into a bound of the number."""
        return Probe(*(tuple(abs(w) for w in group) for group in (self.rows, self.columns, self.outputs)))

    def derivative(
        self, program: ClosedJaxpr, point: Leaves, what: Derivative, algebra: Algebra, ties: list[str]
    ) -> Value:
        """The number for the derivative of a program."""
        rows = [w[..., None] for w in self.rows]
        columns = [np.asarray(point[i]) for i in what.along] if what.kind == "hvp" else list(self.columns)
        out = _forward(program, point, what, algebra, rows, [c[..., None] for c in columns], ties)
        if what.orders == 2:
            return algebra.move(lambda a: a[0, 0], out[0])
        if what.kind == "vjp":
            weights = [np.asarray(point[i]) for i in what.along]
        else:
            weights = list(self.outputs) or [np.ones(())]
        return algebra.move(lambda a: a[0], _weighted(algebra, out, weights))

    def contraction(self, leaves: list[Value], algebra: Algebra) -> Value:
        """The number for a result that is given entry by entry."""
        if self.outputs:
            factors = [(u, v) for u in self.outputs for v in self.rows]
        elif self.columns:
            factors = [(u, v) for u in self.rows for v in self.columns]
        else:
            factors = [(np.ones(()), v) for v in self.rows]
        total = algebra.constant(np.zeros(()))
        for (u, v), leaf in zip(factors, leaves, strict=True):
            outer = algebra.constant(u.reshape(u.shape + (1,) * v.ndim))
            outer = algebra.move(lambda a, leaf=leaf: np.broadcast_to(a, np.shape(leaf)), outer)
            inner = algebra.move(lambda a, leaf=leaf: np.broadcast_to(a, np.shape(leaf)), algebra.constant(v))
            term = algebra.mul(algebra.mul(outer, inner), leaf)
            total = algebra.add(total, algebra.sum(term, tuple(range(leaf.ndim))))
        return total


def _seeds(shapes: list[tuple[int, ...]]) -> Leaves:
    total, start, seeds = sum(math.prod(s) for s in shapes), 0, []
    for shape in shapes:
        size = math.prod(shape)
        seeds.append(np.eye(size, total, start).reshape((*shape, total)))
        start += size
    return seeds


def _cut(start: int, size: int, shape: tuple[int, ...]):
    return lambda a: a[start : start + size].reshape((*shape, *a.shape[1:]))


def _split(algebra: Algebra, x: Value, shapes: list[tuple[int, ...]]) -> list[Value]:
    """The last axis of x, cut into blocks of these shapes."""
    lead = len(algebra.shape(x)) - 1
    parts, start = [], 0
    for shape in shapes:
        size = math.prod(shape)

        def cut(a, start=start, size=size, shape=shape):
            return a[(slice(None),) * lead + (slice(start, start + size),)].reshape((*a.shape[:lead], *shape))

        parts.append(algebra.move(cut, x))
        start += size
    return parts


@dataclass(frozen=True)
class Truth:
    """An exact result: entries are known to lie between `low` and `high`, which are equal but at kinks.

    Attributes:
        low, high: arrays of mpmath numbers, one for every leaf of the result.
        known: where the result is settled and finite.
        digits: the precision at which it settled.
        kink: a comparison on which the derivative's limits depend, or "".
        kept: literals taken as the floats they are, see `Precise`.
        blur: an entry closer to zero than this cannot be told from zero at this precision.
    """

    low: Leaves
    high: Leaves
    known: Leaves
    digits: int
    kink: str = ""
    kept: frozenset[float] = frozenset()
    blur: Any = 0

    @property
    def floats(self) -> Leaves:
        return [((a + b) / 2).astype(np.float64) if a.ndim else np.asarray(float((a[()] + b[()]) / 2))
                for a, b in zip(self.low, self.high, strict=True)]  # fmt: skip

    @property
    def decided(self) -> bool:
        return all(bool(k.all()) for k in self.known)


def truth(
    program: ClosedJaxpr,
    point: Leaves,
    what: Derivative,
    moving: tuple[int, ...],
    start: int = 0,
    smooth: bool = False,
) -> Truth:
    """The derivative of the program at a point.

    Args:
        moving: positions of the arguments that may be moved to look at a tie from its sides.
        smooth: that has been done: the derivative is the same from all sides.
    Raises:
        Unsupported: on a primitive without a rule, named.
    """
    ties: list[str] = []
    with np.errstate(all="ignore"):
        settled = settle(lambda a: _entries(program, point, what, a, ties), start, doubt_zeros=True)
        if (smooth or not ties) and settled.decided:
            return settled
        if ties or not _finite(settled):
            return _from_all_sides(program, point, what, moving, settled, ties, max(start, 2))
    return settled


def settle(
    evaluate: Callable[[Precise], list[np.ndarray]],
    start: int = 0,
    stop: int = len(_LADDER),
    doubt_zeros: bool = False,
) -> Truth:
    """Evaluate at rising precision, on these rungs of the ladder, until two successive results agree.

    An entry that keeps shrinking with the precision down to 200 digits below one is taken to be zero. With
    `doubt_zeros` an exact zero, which may be what a cancellation left, is believed no sooner.
    """
    previous: list[np.ndarray] | None = None
    for digits in _LADDER[start:stop]:
        algebra = Precise(digits)
        now = evaluate(algebra)
        if previous is not None:
            same = [_agree(a, b) for a, b in zip(previous, now, strict=True)]
            if doubt_zeros and digits < _RESOLVED:
                same = [s & np.asarray(b != 0, dtype=bool) for s, b in zip(same, now, strict=True)]
            blur = _blur(now, algebra)
            zero = [~s & (digits >= _RESOLVED) & _within(b, blur) for b, s in zip(now, same, strict=True)]
            if all((s | z).all() for s, z in zip(same, zero, strict=True)) or digits == _LADDER[stop - 1]:
                values = [np.where(z, algebra.context.mpf(0), x) for z, x in zip(zero, now, strict=True)]
                known = [(s | z) & _is_finite(x) for s, z, x in zip(same, zero, now, strict=True)]
                return Truth(values, values, known, digits, kept=frozenset(algebra.kept), blur=blur)
        previous = now
    raise ValueError("two rungs of the ladder of precisions are needed")


def _agree(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two results agree to DIGITS digits or are not finite in the same way."""

    def same(x, y) -> bool:
        if not (abs(x) < math.inf and abs(y) < math.inf):
            return (x != x and y != y) or x == y
        return abs(x - y) <= 10.0**-DIGITS * abs(y)

    return np.asarray(np.frompyfunc(same, 2, 1)(a, b), dtype=bool)


def _within(x: np.ndarray, bound: Any) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda v: abs(v) <= bound, 1, 1)(x), dtype=bool)


def _blur(leaves: Leaves, algebra: Precise):
    """The size below which an entry may be what cancellation left at this precision."""
    sizes = (abs(v) for x in leaves for v in x.ravel())
    return max([1, *(v for v in sizes if v < math.inf)]) * algebra.context.mpf(10) ** (-algebra.digits * 5 // 6)


def _is_finite(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda v: abs(v) < math.inf, 1, 1)(x), dtype=bool)


def _entries(program, point, what, algebra, ties: list[str]) -> list[np.ndarray]:
    ties.clear()  # only those at the highest precision count
    return differentiate(program, point, what, algebra, ties)


def _finite(t: Truth) -> bool:
    return all(_is_finite(x).all() for x in t.low)


def sides(
    evaluate: Callable[[Precise, list], list[np.ndarray]],
    point: Leaves,
    moving: tuple[int, ...],
    start: int = 2,
) -> Iterator[Truth]:
    """Limits of what is evaluated at a point, from generic directions: at points ever closer to it as the precision
    rises, so that they agree to the digits asked for."""
    rng = np.random.default_rng(len(point))
    for _ in range(_APPROACHES):
        way = {i: rng.integers(1, 64, np.shape(point[i])) * rng.choice([-1, 1], np.shape(point[i])) for i in moving}

        def at(algebra: Precise, way=way) -> list[np.ndarray]:
            step = _step(algebra)
            moved = list(point)
            for i, direction in way.items():
                shift = np.asarray(algebra.constant(direction) * step, dtype=object)
                moved[i] = algebra.add(algebra.constant(point[i]), shift)
            flat = np.frompyfunc(lambda v: algebra.context.mpf(0) if abs(v) <= step**0.5 else v, 1, 1)
            return [np.asarray(flat(x), dtype=object) for x in evaluate(algebra, moved)]

        limit = settle(at, start)
        yield replace(limit, blur=max(limit.blur, _step(Precise(limit.digits)) ** 0.5))


def _step(algebra: Precise):
    """How far from a point its sides are looked at: second derivatives may divide by its cube, and a limit of zero
    still has the size of its square root there."""
    return algebra.context.mpf(10) ** (-algebra.digits // 4)


def _from_all_sides(program, point, what, moving, settled: Truth, ties: list[str], start: int) -> Truth:
    """The least and greatest limits of the derivative."""
    limits: list[Truth] = []
    evaluate = lambda algebra, moved: differentiate(program, moved, what, algebra)
    for side in sides(evaluate, point, moving, start):
        if not side.decided:  # a tie whose sides cannot be told
            return replace(settled, known=[np.zeros(np.shape(x), dtype=bool) for x in settled.low])
        limits.append(side)
        if len(limits) == SMOOTH and settled.decided and all(_near(settled.low, one) for one in limits):
            # A limit is known only to the blur of its sides. What the program itself gives, if that is the limit,
            # is known to all its digits, however small it is.
            return settled
    leaves = list(zip(*(side.low for side in limits), strict=True))
    low = [np.asarray(np.minimum.reduce(x), dtype=object) for x in leaves]
    high = [np.asarray(np.maximum.reduce(x), dtype=object) for x in leaves]
    wide = not all(_close(a, b).all() for a, b in zip(low, high, strict=True))
    return Truth(
        low, high, [np.ones(np.shape(x), dtype=bool) for x in low], settled.digits,
        kink=(ties[0] if ties else "a singular point") if wide else "", kept=settled.kept,
        blur=max(side.blur for side in limits),
    )  # fmt: skip


def _near(leaves: Leaves, side: Truth) -> bool:
    return all((_close(x, y) | _within(x - y, side.blur)).all() for x, y in zip(leaves, side.low, strict=True))


def _close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(abs(b - a) <= 10.0**-15 * np.maximum(abs(a), abs(b)), dtype=bool)
