"""Proof by identity testing: hand formula and truth are evaluated at the same random element of a finite field.

If two rational functions differ, they differ at a random point modulo p except with probability degree / p
(Schwartz, Zippel). With primes of 188 bits one draw is enough. The truth of a gradient or Hessian is the derivative of
the loss by our own rules (`Dual`); that of a line is the line before it.

What a match proves, at the shapes and in the region (the outcomes of all comparisons) of the place:

* *rational*: the bound above holds. Logarithms and functions such as erf count as further variables. A root of S
  doubles the degree: a difference f(s) with s*s = S vanishes only where f(s) f(-s) does. That product is not
  identically zero unless S is itself a square, when the wrong sign of the root may be taken. So a root counts only
  once its S was seen to be no square at some draw; else all of 100 draws have to match.
* *independent exponents*: with exponents that are jointly uniform and, given their residues modulo p1, independent of
  what the rest of the formula takes modulo p0, each exp is uniform on a group of order p1 and the same bound holds
  with p1. That is checked: the exponents are affine in one argument, and their Jacobian has full rank on a basis of
  which all others are small integer combinations.
* *heuristic*: otherwise (products of variables as exponents) different exponents are taken to have independent
  exponentials. No bound is stated.

What is not covered: other shapes, other regions, floating point (which `agreement` and `floating` look at), and the
literals that stand for no rational, which are taken as the dyadic numbers that they are. A mismatch here never refutes:
a root of a square in disguise or an identity between functions that are atoms here are beyond this arithmetic.

Source: J. T. Schwartz, Fast probabilistic algorithms for verification of polynomial identities, J. ACM 27 (1980).
The treatment of exponentials follows Mirage (Wu et al., OSDI 2025, arXiv 2405.05751).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxderiv.domains import Domain, by_name
from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Unsupported
from jaxderiv.verify.dual import Dual, DualValue
from jaxderiv.verify.expressions import Expressions
from jaxderiv.verify.field import PRIMES, Element, Field, Logs
from jaxderiv.verify.interpreter import Hook, Interpreter, trace
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.truth import differentiate

_BITS = PRIMES[-1].bit_length() - 1
_UNLUCKY = 1000  # draws, of which some give all roots
_IN_DISGUISE = 100  # draws that have to match where a root may be one of a square
_ALL_LABELS = 16  # patterns of labels up to which all of them are tried
_SECONDS = 4.0  # for one question, after which no other place is begun
_LABELS = tuple(by_name[name] for name in ("Bit", "Sign", "OneHot"))


@dataclass
class Proof:
    """What field evaluations have shown.

    Attributes:
        reason: why nothing is proved; empty if something is.
        differs_at: a place near which the sides differ in the field.
        shapes: labels of the shapes at which the sides are the same function.
        drawn: those at which they are so for the drawn labels (0 and 1, signs, classes) only.
        regions: number of different outcomes of the comparisons; uncovered: comparisons with one outcome at all places.
        undecided: places at which the field could not tell, and why.
    """

    reason: str = ""
    differs_at: Place | None = None
    shapes: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    regions: int = 0
    uncovered: list[str] = field(default_factory=list)  # in words
    degree: int = 0
    draws: int = 0
    depth: int = 1
    used: set[str] = field(default_factory=set)
    kept: set[float] = field(default_factory=set)
    independent: bool = False
    aligned: bool = False

    @property
    def found(self) -> bool:
        return not self.reason and bool(self.shapes)

    @property
    def assumption(self) -> str:
        if "exp" not in self.used:
            return "rational"
        return "independent exponents" if self.independent else "heuristic"

    @property
    def probability(self) -> float:
        """Of a wrong proof, at most; of the order of what is believed, where the assumption is heuristic."""
        return self.draws * self.degree * 2.0**-_BITS

    @property
    def words(self) -> str:
        """What is proved, with its bound and the assumption that this rests on."""
        plural = lambda count, noun: f"{count} {noun}{'s' * (count != 1)}"
        bound = f"wrong with a probability of at most {self.probability:.0e}"
        said = {
            "rational": bound,
            "independent exponents": f"{bound}, its exponents being independent",
            "heuristic": "no bound is known, since its exponents are nested or products",
        }[self.assumption]
        text = f"the same function at {plural(len(self.shapes), 'shape')}, in {plural(self.regions, 'region')} ({said})"
        if self.drawn:
            text += f"; at {' and '.join(self.drawn)} for the drawn labels only"
        if self.kept:
            text += f"; constants taken as they stand: {', '.join(map(repr, sorted(self.kept)[:3]))}"
        if self.uncovered:
            text += f"; not covered: {'; '.join(self.uncovered[:3])}"
        return text

    @property
    def numbers(self) -> dict[str, Any]:
        return {
            "shapes": self.shapes, "shapes_for_drawn_labels": self.drawn, "undecided": self.undecided,
            "regions": self.regions, "not_covered": self.uncovered, "degree": self.degree, "draws": self.draws,
            "prime_bits": [p.bit_length() for p in PRIMES[: self.depth]], "assumption": self.assumption,
            "failure_probability": None if self.assumption == "heuristic" else self.probability,
            "kept_constants": sorted(self.kept),
        }  # fmt: skip


@dataclass(frozen=True)
class _Outcome:
    status: str  # "same", "different" or "undecided"
    why: str = ""


def prove(
    question: Question, places: Sequence[Place], programs: Programs, seed: int = 0, change: Hook | None = None
) -> Proof:
    """Compare hand formula and truth in finite fields near every place.

    Args:
        change: a hook that changes the formula, to see whether that makes a difference.
    """
    proof = Proof()
    try:
        with np.errstate(all="ignore"):
            _prove(proof, question, places, programs, seed, change)
    except Unsupported as error:  # without exact arithmetic
        proof.reason = f"{error} is outside of exact arithmetic"
    except Exception as error:  # no verdict must be lost because a proof of it fails
        proof.reason = f"the prover itself failed, which is a fault of jaxderiv ({type(error).__name__}: {error})"
    return proof


def _prove(
    proof: Proof, question: Question, places: Sequence[Place], programs: Programs, seed: int, change: Hook | None
) -> None:
    regions, started = _Regions(), time.monotonic()
    # The smallest first: where roots have to exist by luck, or every step is dear, only these may be settled in time.
    for number, place in enumerate(sorted(places, key=lambda p: sum(np.size(x) for x in p.values.values()))):
        if time.monotonic() - started > _SECONDS:
            proof.undecided.append(f"{place.label}: it takes too long")
            continue
        bench = _Bench(question, place, programs, proof, regions, seed + 1000 * number, change)
        outcome, complete = bench.outcome()
        label = place.size_words or place.label
        if outcome.status == "different":
            proof.reason, proof.differs_at = f"in exact arithmetic the two sides differ: {outcome.why}", place
            return
        if outcome.status == "undecided":
            proof.undecided.append(f"{place.label}: {outcome.why}")
            continue
        found = proof.shapes if complete else proof.drawn
        if label not in found:
            found.append(label)
    if not proof.shapes:
        drawn = f"for the labels drawn at {' and '.join(proof.drawn)} only"
        proof.reason = proof.undecided[0] if proof.undecided else drawn
        return
    proof.regions = len(regions.signatures)
    proof.uncovered = regions.uncovered(question, places[0], programs)
    if proof.depth == 2 and "power" not in proof.used and not proof.aligned:
        proof.independent = _independent(question, places[0], programs, seed, labels=bool(proof.drawn))


class _Bench:
    """One place."""

    def __init__(self, question, place, programs, proof: Proof, regions: _Regions, seed: int, change: Hook | None):
        self.change = change
        self.question, self.place, self.proof, self.regions, self.seed = question, place, proof, regions, seed
        self.hand, self.reference = programs.hand(question, place), programs.reference(question, place)

    def outcome(self) -> tuple[_Outcome, bool]:
        """What was found, and whether it holds for all labels."""
        labels = _labels(self.question)
        free = self._settled({})
        if free.status == "same" or not labels:
            return free, True
        patterns = list(itertools.islice(_patterns(self.question, self.place, labels), _ALL_LABELS + 1))
        complete = len(patterns) <= _ALL_LABELS
        drawn = {name: self.place.values[name] for name in labels}
        for pattern in patterns if complete else [drawn]:
            found = self._settled(pattern)
            if found.status != "same":
                return found, complete
        return found, complete

    def _settled(self, labels: dict[str, np.ndarray]) -> _Outcome:
        """Draw until every root exists, with as many primes as the exponentials need."""
        matched, started = 0, time.monotonic()
        no_square: list[np.ndarray] = []
        for draw in range(_UNLUCKY):
            if time.monotonic() - started > _SECONDS / 2:
                break
            found, field = self._draw(labels, draw)
            if field.rooted:
                if not no_square:
                    no_square = [np.zeros(s.shape, dtype=bool) for s, _ in field.rooted]
                for seen, (square, plain) in zip(no_square, field.rooted, strict=False):
                    seen |= ~square | plain
            if found.status == "unlucky":
                continue
            if found.status != "same":
                return found
            matched += 1
            if matched >= _IN_DISGUISE or all(seen.all() for seen in no_square):
                return found
        if not matched:
            return _Outcome("undecided", "no draw was found in which all roots exist")
        return _Outcome("undecided", f"the sign of a root is not settled after {matched} draws")

    def _draw(self, labels: dict[str, np.ndarray], draw: int) -> tuple[_Outcome, Field]:
        """One evaluation, with as many primes as exponentials are nested."""
        while True:
            field = Field(self.seed + draw, self.proof.depth)
            found, needed = self._compare(field, labels)
            if needed <= field.depth or found.status == "same":
                break
            if needed > len(PRIMES):
                found = _Outcome("undecided", f"exponentials are nested more than {len(PRIMES) - 1} deep")
                break
            self.proof.depth = needed
        if found.status != "same" and field.rooted and field.depth > 1:
            field = Field(self.seed + draw, self.proof.depth, aligned=True)
            found, _ = self._compare(field, labels)
        self.proof.draws += 1
        if found.status == "same":
            self.proof.aligned |= field.aligned
            self.proof.used |= field.used
            self.proof.kept |= field.kept
        return found, field

    def _compare(self, field: Field, labels: dict[str, np.ndarray]) -> tuple[_Outcome, int]:
        """What was found, and the number of primes that it takes to find out."""
        question, what = self.question, self.question.what
        point = _point(question, self.place, field, labels)
        ties: list[str] = []
        regions = _Decisions()
        interpreter = Interpreter(field, regions.hook(0, self.change))
        hand = interpreter(self.hand, point)
        true = differentiate(self.reference, point, what, field, ties, regions.hook(1))
        needed = max(field.needed, *(1 + x.height for x in (*hand, *true)))
        if ties or interpreter.ties:
            words = f"a comparison is too close to call ({(ties or interpreter.ties)[0]})"
            return _Outcome("undecided", words), needed
        same = [field.same(h, t) for h, t in zip(hand, true, strict=True)]
        if all(s.all() for s in same):
            roots = sum(square.size for square, _ in field.rooted)
            degree = max(max(h.degree[0] + t.degree[1], t.degree[0] + h.degree[1])
                         for h, t in zip(hand, true, strict=True))  # fmt: skip
            self.proof.degree = max(self.proof.degree, degree * 2**roots)
            self.regions.add(regions)
            return _Outcome("same"), needed
        known = [np.asarray((h.residues[0] == h.residues[0]) & (t.residues[0] == t.residues[0]), dtype=bool)
                 for h, t in zip(hand, true, strict=True)]  # fmt: skip
        if all((s | ~k).all() for s, k in zip(same, known, strict=True)):
            return _Outcome("unlucky" if field.unlucky else "undecided", "a value is not defined there"), needed
        if any(x.logs is not None for x in (*hand, *true)):  # compared as images under exp
            needed = 1 + max(
                max(x.logs.heights[0] + 1, x.logs.heights[1]) for x in (*hand, *true) if x.logs is not None
            )
        why = "a logarithm or another function that is an atom here" if field.used & {"log", "atom"} else ""
        why = why or ("a root of a square may be taken with the wrong sign" if "root" in field.used else "")
        return _Outcome("different", why or "they are not the same function of free variables"), needed


def _labels(question: Question) -> list[str]:
    return [name for name in question.leaves if isinstance(question.domains.get(name), _LABELS)]


def _point(question: Question, place: Place, field: Field, labels: dict[str, np.ndarray]) -> list:
    """An element of the field for every argument, in its domain by construction."""
    rng = np.random.default_rng(field.random.getrandbits(32))
    out: list = []
    for name, x in zip(question.leaves, question.arguments(place), strict=True):
        domain = question.domains.get(name)
        if not np.issubdtype(np.asarray(x).dtype, np.floating):
            out.append(x)
        elif name in labels:
            out.append(field.constant(labels[name]))
        elif domain is None or type(domain) in (by_name["Real"], by_name["Positive"], *_LABELS[:2]):
            out.append(field.variable(np.asarray(x)))
        else:
            if isinstance(domain, by_name["OneHot"]):
                domain = by_name["Simplex"](domain.shape)
            out.append(_constrained(domain, np.shape(x), field, rng))
    return out


def _constrained(domain: Domain, shape: tuple[int, ...], field: Field, rng: np.random.Generator) -> Element:
    free = rng.integers(-128, 129, domain.free_shape(shape)) / 64.0
    (value,) = Interpreter(field)(trace(domain.from_free, free), [field.variable(free)])
    return value


def _patterns(question: Question, place: Place, names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """All values of these labels."""
    each = []
    for name in names:
        domain, shape = question.domains[name], np.shape(place.values[name])
        rows = int(np.prod(shape[: len(shape) - domain.axes], dtype=int))
        if isinstance(domain, by_name["OneHot"]):
            single: list = list(np.eye(shape[-1]))
        else:
            single = [
                0.0 if isinstance(domain, by_name["Bit"]) and not isinstance(domain, by_name["Sign"]) else -1.0,
                1.0,
            ]
        each.append(np.reshape(rowwise, shape) for rowwise in itertools.product(single, repeat=rows))
    for values in itertools.product(*each):
        yield dict(zip(names, values, strict=True))


# Regions -----------------------------------------------------------------------------------------------------------
_ORDERING = frozenset("lt le gt ge".split())


class _Decisions:
    """The outcomes of the comparisons at one place, by program and equation."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple, np.ndarray] = {}

    def hook(self, program: int, change: Hook | None = None) -> Hook:
        def note(interpreter, path, eqn, inputs, outputs):
            name, algebra = eqn.primitive.name, interpreter.algebra
            if eqn.invars and atoms.is_float(eqn.invars[0]):
                if name in _ORDERING:
                    self.outcomes[program, path] = np.asarray(outputs[0])
                elif name in ("max", "min") and atoms.is_float(eqn.invars[1]):
                    self.outcomes[program, path] = np.asarray(algebra.order(inputs[0]) < algebra.order(inputs[1]))
                elif name in ("abs", "sign"):
                    self.outcomes[program, path] = np.asarray(algebra.order(inputs[0]) < 0)
                elif name in ("argmax", "argmin", "reduce_max", "reduce_min", "sort"):
                    self.outcomes[program, path, name] = np.argsort(algebra.order(inputs[0]), axis=-1)
            return outputs if change is None else change(interpreter, path, eqn, inputs, outputs)

        return note

    @property
    def signature(self) -> tuple:
        return tuple((key, x.shape, x.tobytes()) for key, x in self.outcomes.items())


class _Regions:
    """The regions that were covered."""

    def __init__(self) -> None:
        self.signatures: set[tuple] = set()
        self.seen: dict[tuple, set[bool]] = {}

    def add(self, found: _Decisions) -> None:
        self.signatures.add(found.signature)
        for key, outcomes in found.outcomes.items():
            if len(key) == 2:
                self.seen.setdefault(key, set()).update(np.unique(outcomes).tolist())

    def uncovered(self, question: Question, place: Place, programs: Programs) -> list[str]:
        """The comparisons that came out the same everywhere, as a person would write them."""
        both = programs.hand(question, place), programs.reference(question, place)
        formulas = [Expressions(program, question.leaves) for program in both]
        return list(dict.fromkeys(
            f"{formulas[program][path]} was {'always' if True in outcomes else 'never'} true"
            for (program, path), outcomes in self.seen.items() if len(outcomes) == 1
        ))  # fmt: skip


# Independence of exponents -----------------------------------------------------------------------------------------
_EXPONENTIAL = frozenset("exp expm1 logistic tanh sinh cosh".split())
_LOGARITHM = frozenset(["log", "log1p"])


class _Exponents(Dual):
    """Dual numbers whose tangents are those of the parts without logarithms, which is what exponentials are taken of:
    exp(v + log u) = u exp(v)."""

    def function(self, name, x):
        out = super().function(name, x)
        if out.tangent is None:
            return out
        shape, depth = self.base.shape(out.tangent), len(out.tangent.residues)
        of = lambda value: tuple(np.full(shape, value, dtype=object) for _ in range(depth))
        logs = Logs(lambda: (of(0), of(1)), (0, 0)) if name in _LOGARITHM else None
        return DualValue(out.primal, out.tangent._replace(logs=logs))

    def freeze(self, x):
        return x  # a maximum that is subtracted is a part of the exponent, whatever derivatives think of it

    def row(self, x: DualValue) -> list[tuple]:
        """Tangents and value modulo p1 of every entry of an exponent."""
        level = 1
        tangent, value = self.tangent(x), x.primal
        rest = lambda e: (e.residues if e.logs is None else e.logs.rest)[level]
        return [(*t, v) for t, v in zip(rest(tangent).reshape(-1, self.directions).tolist(),
                                        rest(value).ravel().tolist(), strict=True)]  # fmt: skip


def _independent(question: Question, place: Place, programs: Programs, seed: int, labels: bool) -> bool:
    """Whether all exponents are jointly uniform: one argument after the other makes those exponents so that depend on
    it and on no argument before."""
    free = (type(None), by_name["Real"])
    is_free = lambda name: type(question.domains.get(name)) in free and place.values[name].dtype == np.float64
    leaves = [i for i, name in enumerate(question.leaves) if is_free(name)]
    both = [programs.hand(question, place), programs.reference(question, place)]
    field = Field(seed, depth=2)
    drawn = {name: place.values[name] for name in _labels(question)} if labels else {}
    point = _point(question, place, field, drawn)
    todo: np.ndarray | None = None
    for i in sorted(leaves, key=lambda i: -np.size(place.values[question.leaves[i]])):
        first = _exponents(both, point, i, field)
        moved = [*point[:i], field.variable(place.values[question.leaves[i]]), *point[i + 1 :]]
        second = _exponents(both, moved, i, field)
        if todo is None:
            todo = np.ones(len(first), dtype=bool)
        depends = np.array([any(row[:-1]) for row in first], dtype=bool)
        rows = {row for row, take in zip(first, todo & depends, strict=True) if take}
        affine = len(first) == len(second) and all(
            a[:-1] == b[:-1] for a, b, take in zip(first, second, todo, strict=False) if take
        )
        if affine and _small_combinations(sorted(rows), PRIMES[1]):
            todo &= ~depends
        if not any(row[-1] for row, left in zip(first, todo, strict=True) if left):
            return True  # what is left is exp(0)
    return False


def _exponents(both: list[ClosedJaxpr], point: list, position: int, field: Field) -> list[tuple]:
    """Of all exponents, in order: the derivative in one argument and the value, modulo p1."""
    shape = field.shape(point[position])
    dual = _Exponents(field, math.prod(shape))
    rows: list[tuple] = []

    def note(interpreter, path, eqn, inputs, outputs):
        if eqn.primitive.name in _EXPONENTIAL:
            rows.extend(dual.row(inputs[0]))
        return outputs

    seed = np.eye(dual.directions).reshape((*shape, dual.directions))
    values = [dual.variable(x, seed) if i == position else (x if isinstance(x, np.ndarray) else dual.constant(x))
              for i, x in enumerate(point)]  # fmt: skip
    for program in both:
        Interpreter(dual, note)(program, values)
    return rows


def _small_combinations(rows: list[tuple], p: int) -> bool:
    """Whether every row is a combination, with coefficients of size 4 at most, of rows that are linearly independent
    without their last entry."""
    basis: list[tuple[list[int], dict[int, int], int]] = []  # a reduced row, its combination of the rows, its pivot
    for number, row in enumerate(rows):
        if any(x != x for x in row):
            return False
        rest, made = list(row), {number: 1}
        for reduced, made_of, pivot in basis:
            if factor := rest[pivot]:
                rest = [(x - factor * y) % p for x, y in zip(rest, reduced, strict=True)]
                for k, c in made_of.items():
                    made[k] = (made.get(k, 0) - factor * c) % p
        first = next((i for i, x in enumerate(rest[:-1]) if x), None)
        if first is None:
            if rest[-1] or any(min(c, p - c) > 4 for k, c in made.items() if k != number):
                return False
            continue
        inverse = pow(rest[first], -1, p)
        basis.append(([x * inverse % p for x in rest], {k: c * inverse % p for k, c in made.items()}, first))
    return True
