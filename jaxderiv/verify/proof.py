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
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Unsupported
from jaxderiv.verify.elements import element_at, label_patterns, labels_of
from jaxderiv.verify.expressions import Expressions
from jaxderiv.verify.field import PRIMES, Field
from jaxderiv.verify.independence import independent
from jaxderiv.verify.interpreter import Hook, Interpreter
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.truth import differentiate

_BITS = PRIMES[-1].bit_length() - 1
_UNLUCKY = 1000  # draws, of which some give all roots
_IN_DISGUISE = 100  # draws that have to match where a root may be one of a square
_ALL_LABELS = 16  # patterns of labels up to which all of them are tried
_SECONDS = 4.0  # for one question, after which no other place is begun


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
        independent: labels of the shapes at which all exponents are.
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
    independent: list[str] = field(default_factory=list)
    aligned: bool = False

    @property
    def found(self) -> bool:
        return not self.reason and bool(self.shapes)

    @property
    def assumption(self) -> str:
        if "exp" not in self.used:
            return "rational"
        return "independent exponents" if set(self.shapes) <= set(self.independent) else "heuristic"

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
            "heuristic": "no bound is known, since its exponents are nested or depend on one another"
            + f" at {len(self.shapes) - len(self.independent)} of them" * bool(self.independent),
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
            "shapes_with_independent_exponents": self.independent, "kept_constants": sorted(self.kept),
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
    proved: dict[str, Place] = {}
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
            proved[label] = place
    if not proof.shapes:
        drawn = f"for the labels drawn at {' and '.join(proof.drawn)} only"
        proof.reason = proof.undecided[0] if proof.undecided else drawn
        return
    proof.regions = len(regions.signatures)
    proof.uncovered = regions.uncovered(question, places[0], programs)
    if proof.depth == 2 and "power" not in proof.used and not proof.aligned:
        proof.independent = [
            label for label, place in proved.items() if independent(question, place, programs, seed, bool(proof.drawn))
        ]


class _Bench:
    """One place."""

    def __init__(self, question, place, programs, proof: Proof, regions: _Regions, seed: int, change: Hook | None):
        self.change = change
        self.question, self.place, self.proof, self.regions, self.seed = question, place, proof, regions, seed
        self.hand, self.reference = programs.hand(question, place), programs.reference(question, place)

    def outcome(self) -> tuple[_Outcome, bool]:
        """What was found, and whether it holds for all labels."""
        labels = labels_of(self.question)
        free = self._settled({})
        if free.status == "same" or not labels:
            return free, True
        patterns = list(itertools.islice(label_patterns(self.question, self.place, labels), _ALL_LABELS + 1))
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
        point = element_at(question, self.place, field, labels)
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
