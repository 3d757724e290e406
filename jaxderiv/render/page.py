"""A derivation as a page: line by line, or claim by claim in the order of the file."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from jaxderiv.index import Function, Page
from jaxderiv.render.formula import readable
from jaxderiv.render.text import STYLES, Paint, describe, indented, plain, plural, word
from jaxderiv.verify.pool import Outcome
from jaxderiv.verify.verdict import Result, Verdict

_JOINED = {Verdict.PROVED: " equal to ", Verdict.AGREES: " with ", Verdict.REFUTED: " against "}


def function_of(result: Result) -> str:
    """The name of the function that a claim is about: ``gradient (gradient of the loss)`` is about ``gradient``."""
    return result.claim.partition(" ")[0]


def derivation(page: Page, results: Sequence[Result], paint: Paint = plain, unicode: bool = True) -> str:
    """Title and conventions, then formula, code and verdict of every function."""
    formula: Callable[[str], str] = readable if unicode else lambda text: " ".join(text.split())
    title, _, rest = page.text.partition("\n")
    lines = [paint(title, "strong")]
    for paragraph in rest.strip().split("\n\n"):
        lines += [*([""] if paragraph else []), *indented(formula(paragraph), 0)]
    section = ""
    for function in page.functions:
        lines.append("")
        if function.section != section:
            section = function.section
            lines += [paint(f"{section} ".ljust(72, "-"), "faint"), ""]
        lines.append(paint(function.head, "strong"))
        lines += indented(formula(function.docstring), 2)
        lines += [paint(line, "faint") for line in textwrap.indent(function.body, "    ").splitlines()]
        lines += _verdicts(function, results, paint)
    return "\n".join(lines)


def _verdicts(function: Function, results: Sequence[Result], paint: Paint) -> list[str]:
    lines = []
    for result in (r for r in results if function_of(r) == function.name):
        against = result.statement.partition(" = ")[2] or result.statement
        if result.claim != function.name:  # a derivative of the loss
            against = f"the {against}"
        said = _JOINED.get(result.verdict, ": ")
        text = f"{word(result)}{said}{against}"
        if result.verdict is Verdict.REFUTED and result.diagnosis:
            text += f"; {result.diagnosis}"
        lines += [paint(line, STYLES[result.verdict]) for line in indented(text, 2)]
    return lines


def checked(outcome: Outcome, page: Page, paint: Paint = plain) -> str:
    """Every claim's verdict in the order of the file, the first false line by name, and refutations in full."""
    results = sorted(outcome.results, key=lambda result: page.line_of(function_of(result)))
    title = page.text.partition("\n")[0].rstrip(".")
    lines = [paint(f"{outcome.job.name}{f': {title}' if title else ''}", "strong")]
    number_width = len(str(max(page.line_of(function_of(r)) for r in results)))
    for result in results:
        place = f"  line {page.line_of(function_of(result)):{number_width}}"
        verdict = paint(f"{word(result):12}", STYLES[result.verdict])
        lines.append(f"{place}  {verdict} {result.statement}")
        if result.verdict is Verdict.INCONCLUSIVE:
            lines += indented(result.reason, 4)
        lines += [line for note in result.notes for line in indented(f"note: {note}", 4)]
    lines += [line for note in outcome.notes for line in indented(f"note: {note}", 2)]
    wrong = [result for result in results if result.verdict is Verdict.REFUTED]
    told: set[str] = set()
    for result in wrong:
        name = function_of(result)
        if result is wrong[0]:
            lines += ["", f"The first false line is line {page.line_of(name)}, {name}."]
        if name in told:
            continue  # one mistake in a function refutes each claim about it
        told.add(name)
        right = next((r for r in results if function_of(r) == name and r.verdict.ok), None)
        if result is wrong[0] or right is None:
            lines += ["", describe(result, paint)]
        else:
            lines += ["", *indented(_inherited(name, result, right), 0)]
    lines += ["", verdict_of(results)]
    return "\n".join(lines)


def _inherited(name: str, wrong: Result, right: Result) -> str:
    """Of a function that one claim refutes and another one accepts, below a line that is false."""
    left, holds = (result.statement.partition(" = ")[2] for result in (wrong, right))
    if right.claim == name:
        return f"{name} = {holds} holds, so {name} is wrong only because it follows from a wrong line."
    return f"{name} is the {holds}, as it should be. That it is not {left} is that line's fault."


def verdict_of(results: Sequence[Result], took: str = "") -> str:
    """The outcome in one sentence."""
    proved = sum(result.verdict is Verdict.PROVED for result in results)
    count = plural(len(results), "claim") + took + (f", {proved} of them proved" if proved else "")
    if not results:
        return "Nothing was verified."
    unexpected = sum(not result.as_expected for result in results)
    unsure = sum(result.verdict is Verdict.INCONCLUSIVE for result in results)
    if unexpected:
        return f"{count}: {unexpected} not as expected" + (f", {unsure} inconclusive." if unsure else ".")
    return f"{count}: {unsure} inconclusive." if unsure else f"{count}: every one is as expected."
