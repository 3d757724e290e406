"""One question at one place: does the hand formula, in exact arithmetic, equal the truth?

Both sides are evaluated in high precision. Where the truth has no kink it is first contracted with random
weights (`Probe`): when the two numbers agree, the entries do, and the hand formula's own high-precision entries
serve as the truth for judging floating point. Entries of the derivative are worked out where they differ.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from jaxderiv.verify.algebra import Floats
from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.precise import Precise
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.rounding import Rounding
from jaxderiv.verify.truth import SMOOTH, Leaves, Probe, Truth, differentiate, settle, sides, truth

_READABLE = 1e-9  # relative; differences above this can be looked at in float64
TOLERANCE = 1e-20  # relative, between two results that are each known to 25 digits
_OPAQUE = 100  # times the rounding error of the derivative: what a float64 computation of unknown steps is allowed
_UNRESOLVED = 2.0**-51  # relative difference, two units of round-off, that is not held against a formula
_SMALLEST = 2.0**-1074  # of the positive float64 numbers: nor, on an edge, is a difference below, which none shows
_EVEN = 1e6  # ratio of entries up to which their sum shows an error in any of them
_FIRST = 4  # rungs of the ladder of precisions (up to 240 digits) that nearly all results need
_CONFIRM, _CONFIRM_FAR = 3, 5  # rungs from which a difference is confirmed; far out, where e.g. exp(-1000) counts
_FAR = 100.0  # size of arguments


@dataclass(frozen=True)
class Judgement:
    """What was found at a place.

    Attributes:
        status: "agrees", "differs" or "undecided".
        hand: the hand formula's exact entries; `truth`: the true ones, with bounds at a kink.
        wrong: where an entry is wrong, if the status is "differs".
        kept: literals that stand for no rational; the comparison then allows for their rounding.
    """

    place: Place
    status: str
    reason: str = ""
    hand: Truth | None = None
    truth: Truth | None = None
    wrong: Leaves | None = None
    digits: int = 0
    kept: frozenset[float] = frozenset()

    @property
    def hand_is_finite(self) -> bool:
        return self.hand is not None and self.hand.decided


def judge(
    question: Question,
    place: Place,
    programs: Programs,
    rng: np.random.Generator,
    sure: bool = False,
    whole: bool = False,
) -> Judgement:
    """Compare hand formula and truth at a place.

    Args:
        sure: the question is refuted already, so that a difference need not be confirmed at 2000 digits.
        whole: compare entry by entry, also where the contracted results agree.
    Raises:
        Unsupported: if either program uses a primitive without a rule, named.
    """
    with np.errstate(all="ignore"):
        return _Bench(question, place, programs).judge(rng, sure, whole)


class _Bench:
    """Both sides of a question at a place."""

    def __init__(self, question: Question, place: Place, programs: Programs):
        self.question, self.place, self.what = question, place, question.what
        self.args = question.arguments(place)
        self.program, self.reference = programs.hand(question, place), programs.reference(question, place)
        self.opaque = question in programs.opaque
        far = any(np.max(np.abs(x), initial=0) > _FAR for x in self.args if np.issubdtype(x.dtype, np.floating))
        self.confirm = _CONFIRM_FAR if far else _CONFIRM
        self.smooth = False  # where comparisons tie, as far as a contracted derivative shows it
        self._hand: dict[float, tuple[Leaves, set[float]]] = {}

    def hand(self, algebra: Precise) -> Leaves:
        """The hand formula's entries, computed once at every precision."""
        if algebra.digits not in self._hand:
            self._hand[algebra.digits] = Interpreter(algebra)(self.program, self.args), set(algebra.kept)
        leaves, kept = self._hand[algebra.digits]
        algebra.kept |= kept
        return leaves

    def function(self, algebra: Precise) -> Leaves:
        """The value of what is differentiated; of a line, its other side."""
        return Interpreter(algebra)(self.reference, self.args)

    def judge(self, rng: np.random.Generator, sure: bool, whole: bool) -> Judgement:
        hand = settle(self.hand, stop=_FIRST)
        if not hand.decided:  # worth the dearer precisions only where the function itself is sound
            if self.question.base is not None and not settle(self.function, stop=_FIRST).decided:
                return Judgement(self.place, "undecided", "the function is not finite here", hand, digits=hand.digits)
            hand = settle(self.hand, start=_FIRST - 1)
        quick = None
        if not (self.opaque or whole):
            quick = self._line(hand) if self.what.kind == "value" else self._probed(hand, rng, sure)
        if quick is not None:
            return quick
        result = self._entries(hand, 0)
        if result.status != "differs" or sure or not hand.decided:
            return result
        # A cancellation that swallows every digit looks like agreement on a wrong value: look closer.
        for start in dict.fromkeys((_CONFIRM, self.confirm)):
            hand = settle(self.hand, start=start)
            result = self._entries(hand, start)
            if result.status == "agrees":
                return result
        if self.smooth:  # a sum does not show the kink of an entry that is small beside others
            self.smooth = False
            result = self._entries(hand, start)
        return result

    def _entries(self, hand: Truth, start: int) -> Judgement:
        true = truth(self.reference, self.args, self.what, self.question.moving, start, self.smooth)
        return _compare(self.place, hand, true, self._allowance(hand.kept | true.kept), confirmed=start > 0)

    def _allowance(self, kept: frozenset[float]) -> Leaves | None:
        """How far the sides may be apart because literals such as sqrt(2/pi) are rounded in the programs, or because
        the formula's results are only known as float64."""
        if self.opaque:
            return [_OPAQUE * e for e in self._rounding(Rounding())]
        if not kept:
            return None
        inexact = Rounding(literals_only=True)
        hand = [e.error for e in Interpreter(inexact)(self.program, self.args)]
        return [a + b for a, b in zip(hand, self._rounding(inexact), strict=True)]

    def _rounding(self, algebra: Rounding) -> Leaves:
        """Error bounds of the other side, computed in this arithmetic."""
        return [e.error for e in differentiate(self.reference, self.args, self.what, algebra)]

    def _line(self, hand: Truth) -> Judgement | None:
        """Lines that are equal at the place itself: then ties are of no interest."""
        if not hand.decided:
            return None
        other = settle(self.function)
        result = _compare(self.place, hand, other, self._allowance(hand.kept | other.kept))
        return result if result.status == "agrees" else None

    def _probed(self, hand: Truth, rng: np.random.Generator, sure: bool) -> Judgement | None:
        """What the contracted results tell: agreement, or a difference that is plain to see."""
        if not hand.decided:
            return None
        probe = Probe.draw(rng, self.what, self.args, self.reference)
        same, found = self._contracted(probe, 0)
        if same:
            if found.kept or _spread(hand.low) > _EVEN:
                return None  # a rounded literal, or an entry too small for the sum to show it
            return Judgement(self.place, "agrees", "", hand, hand, None, found.digits, found.kept)
        if same is None or self.place.kind == "edge":
            return None
        if not sure and self._contracted(probe, self.confirm)[0] is not False:
            return None
        return self._plainly_wrong(probe, hand, found)

    def _contracted(self, probe: Probe, start: int) -> tuple[bool | None, Truth]:
        """Whether the contracted results are equal; None if that cannot be told (a kink, or no limit)."""
        ties: list[str] = []

        def both(algebra: Precise) -> Leaves:
            ties.clear()
            number = probe.derivative(self.reference, self.args, self.what, algebra, ties)
            return [number, probe.contraction(self.hand(algebra), algebra)]

        settled = settle(both, start)
        if not settled.decided or (ties and not self._looks_smooth(probe, settled)):
            return None, settled
        self.smooth = bool(ties)
        true, hand = (x[()] for x in settled.low)
        if not settled.kept:
            return bool(abs(true - hand) <= TOLERANCE * max(abs(true), abs(hand))), settled
        exact = Precise(30)
        bounds = [exact.constant(b) for b in self._allowance(settled.kept) or []]
        allowed = probe.absolute().contraction(bounds, exact)[()]
        return bool(np.isfinite(float(allowed)) and abs(true - hand) <= allowed), settled

    def _looks_smooth(self, probe: Probe, settled: Truth) -> bool:
        """Whether the contracted derivative is the same from some sides of a tie."""
        contracted = lambda algebra, point: [probe.derivative(self.reference, point, self.what, algebra, [])]
        here = settled.low[0][()]
        for side in itertools.islice(sides(contracted, self.args, self.question.moving), SMOOTH):
            if not side.decided or abs(side.low[0][()] - here) > TOLERANCE * abs(here):
                return False
        return True

    def _plainly_wrong(self, probe: Probe, hand: Truth, found: Truth) -> Judgement | None:
        """A difference far larger than a rounding error: the true entries are then wanted for reading only, and
        float64 is enough for that."""
        exact, number = Precise(30), found.low[0][()]
        entries = differentiate(self.reference, self.args, self.what, Floats())
        if not all(np.isfinite(x).all() for x in entries):
            return None
        true = [exact.constant(x) for x in entries]
        if abs(probe.contraction(true, exact)[()] - number) > _READABLE * abs(number):
            return None
        everywhere = [np.ones(np.shape(x), dtype=bool) for x in true]
        largest = max(float(np.max(np.abs(x), initial=0.0)) for x in entries)
        slack = [np.full(np.shape(x), _READABLE * largest) for x in true]
        result = _compare(self.place, hand, Truth(true, true, everywhere, found.digits, kept=found.kept), slack)
        return result if result.status == "differs" else None


def _spread(leaves: Leaves) -> float:
    """The ratio of the largest entry to the smallest one that is not zero."""
    sizes = [abs(x) for leaf in leaves for x in leaf.ravel() if x != 0]
    return float(max(sizes) / min(sizes)) if sizes else 1.0


def _compare(place: Place, hand: Truth, true: Truth, allowance: Leaves | None, confirmed: bool = False) -> Judgement:
    digits, kept = max(hand.digits, true.digits), hand.kept | true.kept
    make = lambda status, reason="", wrong=None: Judgement(place, status, reason, hand, true, wrong, digits, kept)
    if not true.decided:
        return make("undecided", "the true value is not finite or not settled here")
    if not hand.decided and true.kink:
        return make("undecided", f"a kink ({true.kink}); the formula is not finite here")
    if not hand.decided:
        return make("differs", "the formula is not finite here", [~k for k in hand.known])
    wrong, blurred, tiny = [], False, False
    smallest = _SMALLEST if place.kind == "edge" else 0.0
    for index, (h, low, high) in enumerate(zip(hand.low, true.low, true.high, strict=True)):
        slack = TOLERANCE * np.maximum(np.maximum(abs(low), abs(high)), abs(h))
        if allowance is not None:
            slack = slack + np.where(np.isfinite(allowance[index]), allowance[index], 0.0)
        inside = (h >= low - slack) & (h <= high + slack)
        off = ~np.asarray(inside, dtype=bool)
        unresolved = np.maximum(_UNRESOLVED * np.maximum(abs(h), abs(low)), smallest)
        close = np.asarray(abs(h - (low + high) / 2) <= unresolved, dtype=bool)
        tiny, off = tiny or bool((off & close).any()), off & ~close
        if confirmed and off.any():  # what even this precision cannot tell from a cancellation is not held against it
            apart = np.where(h < low, low - h, h - high)
            lost = off & np.asarray(apart <= true.blur, dtype=bool)
            blurred, off = blurred or bool(lost.any()), off & ~lost
        wrong.append(off)
    if blurred and not any(w.any() for w in wrong):
        return make("undecided", f"both values are smaller than {true.digits} digits resolve here")
    if not any(w.any() for w in wrong) and tiny:
        return make("agrees", "the two differ by less than float64 resolves")
    if not any(w.any() for w in wrong):
        return make("agrees", f"within the bounds of the subderivatives at a kink ({true.kink})" if true.kink else "")
    if true.kink:
        return make(
            "undecided",
            f"a kink ({true.kink}); the formula's value is outside of the limits from nearby",
            wrong,
        )
    return make("differs", "", wrong)
