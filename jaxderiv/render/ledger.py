"""Statements of the ledger: as a table with a summary of every part, and one in full."""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

from jaxderiv.index import LABELS, Page
from jaxderiv.render.formula import readable
from jaxderiv.render.page import function_of
from jaxderiv.render.text import Paint, indented, plain, plural, word
from jaxderiv.verify.verdict import Decision, Result, Verdict

_WORDS = {
    "true": "true", "hyp": "true with a further hypothesis", "false": "false as worded", "impr": "imprecise",
    "n/a": "not decided",
}  # fmt: skip
_OUTCOME = {
    ("true", Verdict.PROVED): "proved", ("true", Verdict.AGREES): "withstood",
    ("as worded", Verdict.REFUTED): "wording refuted", ("control", Verdict.REFUTED): "control refuted",
}  # fmt: skip


def listing(decisions: Sequence[Decision], paint: Paint = plain, unicode: bool = True) -> str:
    """All statements, those not as the ledger says in full, and how many of each label every part holds."""
    lines = []
    for part, group in itertools.groupby(decisions, key=lambda one: one.part):
        lines += [paint(f"Part {part}", "strong")]
        for one in group:
            lines += _row(one, paint, unicode)
        lines.append("")
    wrong = [one for one in decisions if one.inconclusive or not one.as_expected]
    for one in wrong:
        lines += [
            paint(f"{one.id} {_state(one)}", "bad"),
            *(line for role, r in one.checks for line in _check(role, r)),
            "",
        ]
    return "\n".join([*lines, summary(decisions, paint)])


def summary(decisions: Sequence[Decision], paint: Paint = plain) -> str:
    """How many statements of each label every part holds, and how many of them the checks bear out."""
    labels = tuple(LABELS.values())
    lines = [paint(f"{'':7} statements " + " ".join(f"{label:>5}" for label in labels) + "  confirmed", "strong")]
    for part, group in itertools.groupby(decisions, key=lambda one: one.part):
        lines.append(_totals(f"part {part}", list(group)))
    lines.append(_totals("total", decisions))
    roles = Counter(
        _OUTCOME.get((role, result.verdict), "otherwise") for one in decisions for role, result in one.checks
    )
    told = ", ".join(f"{count} {outcome}" for outcome, count in roles.most_common())
    return "\n".join([*lines, "", *indented(f"{plural(roles.total(), 'check')}: {told}.", 0)])


def _totals(name: str, decisions: Sequence[Decision]) -> str:
    count = Counter(one.label for one in decisions)
    confirmed = sum(bool(one.checks) and one.as_expected and not one.inconclusive for one in decisions)
    decided = sum(one.label != "n/a" for one in decisions)
    cells = " ".join(f"{count[label] or '.':>5}" for label in LABELS.values())
    return f"{name:7} {len(decisions):10} {cells}  {confirmed} of {decided}"


def _state(one: Decision) -> str:
    if not one.as_expected:
        return "is not as the ledger says"
    return "is not settled" if one.inconclusive else one.label


def _row(one: Decision, paint: Paint, unicode: bool) -> list[str]:
    outcomes = Counter(_OUTCOME.get((role, result.verdict), str(result.verdict)) for role, result in one.checks)
    told = ", ".join(outcome if count == 1 else f"{count} {outcome}" for outcome, count in outcomes.items())
    good = one.as_expected and not one.inconclusive
    head = f"  {one.id:7} {paint(f'{one.label:5}', ('faint' if not one.checks else 'good') if good else 'bad')}  "
    words = readable(one.words) if unicode else one.words
    return [
        *indented(words, 17, head),
        *(paint(line, "faint") for line in indented(told or f"not decided: {one.but}", 17)),
        paint(f"{'':17}{one.where}", "faint"),
    ]


def statement(one: Decision, page: Page, paint: Paint = plain, unicode: bool = True) -> str:
    """A statement in full: its words, then hypotheses, code and evidence of every check."""
    formula: Callable[[str], str] = readable if unicode else lambda text: text
    lines = [paint(f"{one.id}  {_WORDS[one.label]}", "strong"), *indented(formula(one.words), 2)]
    if one.but:
        lines += ["", *indented(formula(one.but), 2)]
    functions = {function.name: function for function in page.functions}
    for role, result in one.checks:
        lines.append("")
        function = functions.get(result.claim) if "." in result.derivation else None  # not a line of the catalogue
        if function is None:
            lines.append(paint(f"{result.derivation}: {function_of(result)}", "strong") + paint(f"  [{role}]", "faint"))
        else:
            lines.append(paint(function.name, "strong") + paint(f"  [{role}]", "faint"))
            lines += indented(formula(" ".join(function.docstring.split())), 2)
            if function.domains:
                lines += indented(f"for all {function.domains}", 2)
            lines += [paint(line, "faint") for line in textwrap.indent(function.body, "    ").splitlines()]
        lines += _check(role, result, paint)
    return "\n".join([*lines, "", paint(one.where, "faint")])


def _check(role: str, result: Result, paint: Paint = plain) -> list[str]:
    style = "bad" if not result.as_expected else "unsure" if result.verdict is Verdict.INCONCLUSIVE else "good"
    surprise = (
        "" if result.as_expected else f", which {'had to fail' if result.expected == 'refuted' else 'had to hold'}"
    )
    lines = indented(
        f"{word(result)}{surprise}: {result.reason}", 4, f"  {result.claim if surprise else ''}  ".lstrip(" ").rjust(2)
    )
    lines = [paint(line, style) for line in lines]
    lines += [
        line for one in result.evidence if one.text != result.reason for line in indented(f"{one.kind}: {one.text}", 4)
    ]
    if result.counterexample is not None:
        lines += ["    to see it:", textwrap.indent(result.counterexample.code.rstrip(), "      ")]
    return lines
