"""What comes out: a verdict and the evidence that led there. Values; nobody prints here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Compares equal to its name: ``verdict == "agrees"``."""

    PROVED = "proved"
    AGREES = "agrees"
    INCONCLUSIVE = "inconclusive"
    REFUTED = "refuted"

    @property
    def ok(self) -> bool:
        return self in (Verdict.PROVED, Verdict.AGREES)


@dataclass(frozen=True)
class Evidence:
    """One thing that was done, in words and in numbers."""

    kind: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Counterexample:
    """An input at which the formula is wrong.

    Attributes:
        inputs: argument name to nested lists; `hand` and `truth`: the entries of the result there.
        entry: the worst entry, as in "[0, 2]", with `hand_entry` and `true_entry` its two values.
        code: Python that can be pasted to see it.
    """

    inputs: dict[str, Any]
    hand: Any
    truth: Any
    entry: str
    hand_entry: float
    true_entry: float
    code: str


@dataclass(frozen=True)
class Mutant:
    """A change of one step of a formula, and its fate: "refuted", "equivalent" or "survived"."""

    kind: str
    words: str
    fate: str


@dataclass(frozen=True)
class Result:
    """A claim and its verdict.

    Attributes:
        expected: the verdict that the claim ought to get ("agrees" is met by "proved" as well).
        reason: why the verdict is what it is, in one line.
        hypotheses: restrictions of the arguments under which it holds, if it needs any.
        diagnosis: of a refuted claim, what probably is wrong with the formula.
        kills: of each kind of mutant of the result, how many the points noticed, and how many there were.
        mutants: of the formula's steps, where they were asked for.
    """

    derivation: str
    claim: str
    statement: str
    verdict: Verdict
    reason: str
    expected: str = "agrees"
    evidence: tuple[Evidence, ...] = ()
    hypotheses: tuple[str, ...] = ()
    diagnosis: str | None = None
    counterexample: Counterexample | None = None
    notes: tuple[str, ...] = ()
    kills: dict[str, tuple[int, int]] = field(default_factory=dict)
    mutants: tuple[Mutant, ...] = ()

    @property
    def as_expected(self) -> bool:
        return self.verdict.ok == (self.expected != "refuted") or self.verdict is Verdict.INCONCLUSIVE
