"""One verdict as text: in a word, on a line, in full."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from jaxderiv.verify.verdict import Counterexample, Result, Verdict

# Text and the name of a style ("good", "bad", "unsure", "strong", "faint") to text. Plain text ignores the style.
Paint = Callable[[str, str], str]

WIDTH = 80
_LABEL = 15  # width of the labels in a refutation
STYLES = {Verdict.PROVED: "good", Verdict.AGREES: "good", Verdict.INCONCLUSIVE: "unsure", Verdict.REFUTED: "bad"}


def plain(text: str, style: str) -> str:
    return text


def word(result: Result) -> str:
    """The verdict; a refutation in capitals, since there may be no colour."""
    return str(result.verdict).upper() if result.verdict is Verdict.REFUTED else str(result.verdict)


def describe(result: Result, paint: Paint = plain, evidence: bool = True) -> str:
    """A verdict in full. Of a refutation: what was claimed, the worst entry, how often, why, and how to see it.

    Args:
        evidence: whether to tell what was done, of a claim that is not refuted.
    """
    style = "bad" if not result.as_expected else STYLES[result.verdict]
    lines = [f"{paint(word(result), style)}  {paint(result.statement, 'strong')}"]
    if result.verdict is Verdict.REFUTED:
        lines += _refutation(result)
    else:
        lines += indented(result.reason)
        if not result.as_expected:
            lines += indented("It was entered as a false statement, and nothing against it was found.")
        if result.hypotheses:
            lines += indented(f"It holds if {' and '.join(result.hypotheses)}.")
        if evidence:
            told = [one for one in result.evidence if one.text != result.reason]
            lines += [line for one in told for line in indented(f"{one.kind}: {one.text}")]
    lines += [line for note in result.notes for line in indented(f"note: {note}")]
    return "\n".join(lines)


def indented(text: str, by: int = 2, first: str | None = None) -> list[str]:
    """Lines of text, wrapped; the first one may begin with something else than the indentation."""
    margin = " " * by
    opening = margin if first is None else first
    return textwrap.wrap(text, WIDTH, initial_indent=opening, subsequent_indent=margin, break_long_words=False)


def _refutation(result: Result) -> Iterator[str]:
    yield from _labelled("where", result.reason)
    example = result.counterexample
    if example is not None and example.entry:
        formula, truth = (number(x) for x in (example.hand_entry, example.true_entry))
        if formula == truth:  # up to ten digits
            formula, truth = repr(example.hand_entry), repr(example.true_entry)
        yield f"{'  worst entry':{_LABEL}}{example.entry}  formula  {formula}"
        yield f"{'':{_LABEL + len(example.entry)}}  truth    {truth}"
        if count := _differing(example):
            yield from _labelled("entries", f"{count} in the example below")
    if result.diagnosis:
        yield from _labelled("probably", result.diagnosis)
    if example is not None:
        yield "  to see it:"
        yield ""
        yield textwrap.indent(example.code.rstrip(), "    ")


def _labelled(label: str, text: str) -> list[str]:
    return indented(text, _LABEL, f"  {label}".ljust(_LABEL))


def _differing(example: Counterexample) -> str:
    """How many entries of the result are wrong, where both sides have the same ones."""
    hand, truth = list(_entries(example.hand)), list(_entries(example.truth))
    if len(hand) != len(truth) or len(truth) < 2:
        return ""
    scale = max(map(abs, truth))
    # Written so that NaN counts as different.
    wrong = sum(not abs(h - t) <= 1e-9 * scale for h, t in zip(hand, truth, strict=True))
    return f"{wrong} of {len(truth)} differ"


def _entries(nested: Any) -> Iterator[float]:
    if isinstance(nested, list | tuple):
        for part in nested:
            yield from _entries(part)
    else:
        yield nested


def number(x: float) -> str:
    """A value to compare by eye: ten digits are enough, and whole numbers are short."""
    return f"{x:.10g}"


def ulps(x: float | None) -> str:
    """An error in units in the last place, in at most five characters."""
    if x is None:
        return "-"
    if not math.isfinite(x):
        return "inf"
    return f"{x:.2f}" if x < 9.995 else f"{x:.0f}" if x < 99999 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def seconds(x: float) -> str:
    return f"{x:.1f}" if x < 99.95 else f"{x:.0f}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
