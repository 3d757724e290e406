"""A counterexample, made small: first the sizes, then the values, then printed as code that can be pasted."""

from __future__ import annotations

import math

import numpy as np

from jaxderiv.verify.agreement import Judgement, judge
from jaxderiv.verify.algebra import Floats
from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.question import Place, Programs, Question, Sizes
from jaxderiv.verify.truth import differentiate
from jaxderiv.verify.verdict import Counterexample

_TRIALS = 50


def counterexample(question: Question, refuting: list[Judgement], programs: Programs) -> Counterexample:
    """The smallest input found at which the formula is wrong."""
    best = min(refuting, key=lambda j: (not j.hand_is_finite, sum(np.size(x) for x in j.place.values.values())))
    search = _Search(question, best, programs)
    search.sizes()
    search.values()
    best = search.best
    assert best.hand is not None
    assert best.truth is not None
    hand, true = best.hand.floats, best.truth.floats
    leaf, entry = _worst(hand, true)
    label = f"part {leaf}, " if len(true) > 1 else ""
    values = {name: best.place.values[name] for name in question.leaves}
    return Counterexample(
        inputs={name: np.asarray(x).tolist() for name, x in values.items()},
        hand=[x.tolist() for x in hand] if len(hand) > 1 else hand[0].tolist(),
        truth=[x.tolist() for x in true] if len(true) > 1 else true[0].tolist(),
        entry=label + (str(list(entry)) if entry else "the value"),
        hand_entry=float(hand[leaf][entry]),
        true_entry=float(true[leaf][entry]),
        code=question.script(values),
    )


def misshapen(question: Question, place: Place, programs: Programs) -> Counterexample:
    """Where a result has another shape than it should have: both results as they are."""
    args = question.arguments(place)
    with np.errstate(all="ignore"):
        hand = Interpreter(Floats())(programs.hand(question, place), args)
        true = differentiate(programs.reference(question, place), args, question.what, Floats())
    return Counterexample(
        inputs={name: np.asarray(place.values[name]).tolist() for name in question.leaves},
        hand=[np.asarray(x).tolist() for x in hand],
        truth=[np.asarray(x).tolist() for x in true],
        entry="",
        hand_entry=math.nan,
        true_entry=math.nan,
        code=question.script({name: place.values[name] for name in question.leaves}),
    )


def _worst(hand, true) -> tuple[int, tuple[int, ...]]:
    worst = -1.0
    at: tuple[int, tuple[int, ...]] = (0, ())
    for leaf, (h, t) in enumerate(zip(hand, true, strict=True)):
        gap = np.where(np.isfinite(h), np.abs(h - t), math.inf)
        if gap.size and gap.max() > worst:
            entry = np.unravel_index(int(np.argmax(gap)), gap.shape)
            worst, at = float(gap.max()), (leaf, tuple(int(i) for i in entry))
    return at


class _Search:
    """Smaller and smaller places, as long as the formula stays wrong there and the values stay in their domains."""

    def __init__(self, question: Question, start: Judgement, programs: Programs):
        self.question, self.best, self.programs = question, start, programs
        self.finite, self.trials = start.hand_is_finite, 0

    def attempt(self, values: dict[str, np.ndarray], sizes: Sizes | None = None) -> bool:
        place = self.best.place
        if self.trials >= _TRIALS or not self._allowed(values):
            return False
        if all(np.array_equal(values[n], place.values[n]) for n in self.question.leaves):
            return False
        self.trials += 1
        smaller = Place("shrunk", place.kind, sizes or place.sizes, values)
        try:
            if self.programs.misshapen(self.question, smaller):
                return False
            found = judge(self.question, smaller, self.programs, np.random.default_rng(0), sure=True)
        except Exception:  # the user's functions, at a shape or value of our choosing
            return False
        if found.status != "differs" or found.hand_is_finite != self.finite or not _visible(found):
            return False
        self.best = found
        return True

    def _allowed(self, values: dict[str, np.ndarray]) -> bool:
        return all(d.contains(values[name]) for name, d in self.question.domains.items() if name in values)

    def sizes(self) -> None:
        """Every size in turn to one or two. Axes are told apart by their sizes, so these have to be distinct."""
        for name in list(self.best.place.sizes):
            for new in (1, 2):
                sizes, values = self.best.place.sizes, self.best.place.values
                old = sizes[name]
                if old <= new or new < self.question.least.get(name, 1) or list(sizes.values()).count(old) > 1:
                    continue
                cut = {
                    n: np.asarray(x[tuple(slice(new) if s == old else slice(None) for s in x.shape)])
                    for n, x in values.items()
                }
                if self.attempt(cut, sizes | {name: new}):
                    break

    def values(self) -> None:
        """Towards small integers: all at once, then array by array, then entry by entry to 0 or 1."""
        floats = [n for n in self.question.leaves if n in self.question.floating]
        rounded = lambda x: np.asarray(np.where(np.abs(x) < 0.5, np.sign(x), np.rint(x)))
        self.attempt(self.best.place.values | {n: rounded(self.best.place.values[n]) for n in floats})
        for name in floats:
            self.attempt(self.best.place.values | {name: rounded(self.best.place.values[name])})
        for name in floats:
            for entry in np.ndindex(self.best.place.values[name].shape):
                for value in (0.0, 1.0):
                    changed = self.best.place.values[name].copy()
                    if changed[entry] == value:
                        break
                    changed[entry] = value
                    if self.attempt(self.best.place.values | {name: changed}):
                        break


def _visible(j: Judgement) -> bool:
    """A shrunk example should not be a rounding-sized one."""
    assert j.hand is not None
    assert j.truth is not None
    gap = max(float(np.max(np.abs(h - t), initial=0)) for h, t in zip(j.hand.floats, j.truth.floats, strict=True))
    size = max(float(np.max(np.abs(t), initial=0)) for t in j.truth.floats)
    return gap > 1e-6 * size or not j.hand_is_finite


def literal(x: np.ndarray) -> str:
    """An array as code."""
    return f"jnp.array({np.asarray(x).tolist()!r})"
