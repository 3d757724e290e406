"""One question at all its places: shapes, edges, the far sides of its comparisons, and exact arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from jaxderiv.derivation import UNTRACEABLE, untraceable_words
from jaxderiv.verify.agreement import Judgement, judge
from jaxderiv.verify.algebra import Unsupported
from jaxderiv.verify.proof import Proof, prove
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.seek import seek

OUTSIDE = "is outside of what the high-precision interpreter knows"


@dataclasses.dataclass
class Sweep:
    """What one question met.

    Attributes:
        judgements: place by place, where both sides could be evaluated.
        raised: what the function raised, by shape; such a shape is none of its.
        hand_raised: what the formula raised at shapes that the function takes.
        misshapen: wrong shapes and dtypes of the formula's results, and where, by shape.
        unsupported: what stopped the sweep; nothing if it went through.
        proof: what exact arithmetic says, where all places agree.
    """

    question: Question
    programs: Programs
    judgements: list[Judgement] = dataclasses.field(default_factory=list)
    raised: dict[str, str] = dataclasses.field(default_factory=dict)
    hand_raised: dict[str, str] = dataclasses.field(default_factory=dict)
    misshapen: dict[str, tuple[str, Place]] = dataclasses.field(default_factory=dict)
    unsupported: str = ""
    proof: Proof | None = None

    def of(self, status: str, *kinds: str) -> list[Judgement]:
        return [j for j in self.judgements if j.status == status and (not kinds or j.place.kind in kinds)]

    @property
    def refuting(self) -> list[Judgement]:
        """Where the formula is wrong. That it is not finite on an edge, where the truth is, is only a note."""
        differs = [j for j in self.judgements if j.status == "differs"]
        return [j for j in differs if j.place.kind != "edge" or j.hand_is_finite]


def sweep(question: Question, places: Iterable[Place], programs: Programs, seed: int = 0) -> Sweep:
    """Judge a question at places until it is refuted at enough of them to say why. Where it is not, go on to the sides
    of its comparisons that these places do not reach, then to exact arithmetic: a difference there is looked for in
    high precision, which alone refutes."""
    out, rng = Sweep(question, programs), np.random.default_rng(seed)
    for place in places:
        if out.unsupported:
            break
        if place.kind == "edge" and len(out.refuting) > 2:
            continue  # wrong already at generic points: those say more about the mistake
        _visit(out, place, rng)
    if question in programs.opaque or not out.of("agrees", "generic") or _settled(out):
        return out
    for place in seek(question, [j.place for j in out.of("agrees", "generic")], programs):
        _visit(out, place, rng)
    if not _settled(out):
        known = [j.place for j in out.of("agrees", "generic", "sought")]
        out.proof = prove(question, known, programs, seed)
        if out.proof.differs_at is not None:
            _visit(out, out.proof.differs_at, rng, whole=True)
    return out


def _settled(out: Sweep) -> bool:
    return bool(out.refuting or out.misshapen or out.unsupported)


def _visit(out: Sweep, place: Place, rng: np.random.Generator, whole: bool = False) -> None:
    question, programs = out.question, out.programs
    where = place.size_words or place.label
    try:
        programs.reference(question, place)
    except Exception as error:  # the user's function, at a shape of our choosing
        out.raised[where] = said(error)
        return
    try:
        problem = programs.misshapen(question, place)
    except Exception as error:  # the user's formula
        out.hand_raised[where] = said(error)
        return
    if problem:
        out.misshapen[where] = problem, place
        return
    try:
        out.judgements.append(judge(question, place, programs, rng, sure=len(out.refuting) > 1, whole=whole))
    except Unsupported as error:
        out.unsupported = f"{error} {OUTSIDE}"
    except Exception as error:  # no verdict must rest on what did not run
        out.unsupported = f"the verifier itself failed, which is a fault of jaxderiv ({said(error)})"


def said(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, UNTRACEABLE):
        return f"it cannot be traced: {untraceable_words(error)}"
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
