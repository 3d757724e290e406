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


@dataclass(frozen=True)
class Decision:
    """A statement of the ledger, and what its checks found.

    Attributes:
        label: what the ledger says of the statement: "true", "hyp", "false", "impr" or "n/a".
        words: the statement; `but`: what is wrong with it, and what holds instead.
        where: the file and the line where it stands.
        checks: the role of every function ("true", "as worded", "control") and its verdict.
    """

    id: str
    label: str
    words: str
    but: str
    where: str
    checks: tuple[tuple[str, Result], ...] = ()

    @property
    def part(self) -> int:
        return int(self.id[1:].partition(".")[0])

    @property
    def inconclusive(self) -> bool:
        return any(result.verdict is Verdict.INCONCLUSIVE for _, result in self.checks)

    @property
    def as_expected(self) -> bool:
        """Whether what the ledger says is what the checks found: what is true survives, what is false is refuted."""
        return all(result.as_expected for _, result in self.checks)
