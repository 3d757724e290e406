"""Many verdicts as tables: the summary of a run, its notes, its mutants; and the list of the catalogue."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from jaxderiv.index import Entry
from jaxderiv.render.text import Paint, indented, plain, plural, seconds, ulps
from jaxderiv.verify.pool import Outcome
from jaxderiv.verify.verdict import Result, Verdict

_COUNTED = (Verdict.PROVED, Verdict.AGREES, Verdict.INCONCLUSIVE, Verdict.REFUTED)
_DTYPES = ("float64", "float32")


def summary(outcomes: Sequence[Outcome], paint: Paint = plain) -> str:
    """A row for each derivation, chapter by chapter, and the totals."""
    heads = [
        f"{'':24}                      incon-          error (ulps)",
        f"{'derivation':24} claims proved agrees clusive refuted   f64   f32     s",
    ]
    lines = [paint(head, "strong") for head in heads]
    chapters = itertools.groupby(outcomes, key=lambda o: o.job.name.rpartition("/")[0])
    for chapter, group in chapters:
        if chapter:
            lines.append(paint(chapter, "strong"))
        for outcome in group:
            name = "  " * bool(chapter) + outcome.job.name.rpartition("/")[2]
            if outcome.error:
                lines.append(f"{name:24} {paint('not verified: see the error below', 'bad')}")
            else:
                lines.append(_row(name, outcome.results, outcome.seconds, paint))
    results = [result for outcome in outcomes for result in outcome.results]
    lines.append(_row("total", results, None, paint))
    lines += ["", "error: the formula's largest at generic points, in ulps of the largest entry"]
    return "\n".join(lines)


def _row(name: str, results: Sequence[Result], time: float | None, paint: Paint) -> str:
    count = Counter(result.verdict for result in results)
    cells = [f"{len(results):6}"]
    for verdict, width, style in zip(_COUNTED, (6, 6, 7, 7), ("", "", "unsure", "bad"), strict=True):
        cell = f"{count[verdict] or '.':>{width}}"
        cells.append(paint(cell, style) if count[verdict] and style else cell)
    cells += [f"{ulps(worst_error(results, dtype)):>5}" for dtype in _DTYPES]
    return f"{name:24} {' '.join(cells)} {'' if time is None else seconds(time):>5}".rstrip()


def worst_error(results: Iterable[Result], dtype: str) -> float | None:
    """The largest error of the hand formulas at generic points, in ulps; None where none was measured."""
    measured = [
        one.numbers["hand_ulps_generic"]
        for result in results
        for one in result.evidence
        if one.numbers.get("dtype") == dtype and "hand_ulps_generic" in one.numbers
    ]
    return max(measured, default=None)


def notes(outcomes: Sequence[Outcome], paint: Paint = plain) -> str:
    """What was noticed on the way: the same remark on several claims once. Empty if there is nothing."""
    lines = []
    for outcome in outcomes:
        # The numbers in brackets differ from claim to claim; the first claim's stand for all.
        alike: dict[str, tuple[str, list[str]]] = {}
        for result in outcome.results:
            for note in result.notes:
                alike.setdefault(_gist(note), (note, []))[1].append(result.claim)
        for note, claims in alike.values():
            more = f" and {plural(len(claims) - 1, 'more claim')}" if len(claims) > 1 else ""
            lines += indented(f"{outcome.job.name.rpartition('/')[2]}, {claims[0]}{more}: {note}", 4, "  ")
    return "\n".join([paint("Noticed on the way", "strong"), *lines]) if lines else ""


def _gist(note: str) -> str:
    return note.partition(" (")[0]


def unproved(results: Iterable[Result]) -> str:
    """Claims that agree and are not proved, with the reason. Empty if there are none."""
    agree = [result for result in results if result.verdict is Verdict.AGREES]
    lines = [line for r in agree for line in indented(f"{r.derivation}, {r.claim}: {r.reason}", 4, "  ")]
    return "\n".join(["Agree, and are not proved", *lines]) if lines else ""


def curvature(results: Iterable[Result]) -> str:
    """What is known of the convexity of every loss. Empty if that is nothing."""
    names: dict[str, list[str]] = {}
    for result in results:
        for one in result.evidence:
            if one.kind == "curvature":
                names.setdefault(one.text, []).append(result.derivation)
    lines = [line for said, of in names.items() for line in indented(f"{', '.join(of)}: {said}", 4, "  ")]
    return "\n".join(["Curvature", *lines]) if lines else ""


def mutants(results: Iterable[Result], paint: Paint = plain) -> str:
    """Mutants of the formulas' steps by kind and fate, the score, and the survivors."""
    fates: dict[str, Counter[str]] = {}
    survivors = []
    for result in results:
        for mutant in result.mutants:
            fates.setdefault(mutant.kind, Counter())[mutant.fate] += 1
            if mutant.fate == "survived":
                survivors.append(f"{result.derivation}, {result.claim}: {mutant.words}")
    columns = ("refuted", "equivalent", "survived")
    lines = [paint(f"{'mutant':16}    made  refuted  equivalent  survived", "strong")]
    total: Counter[str] = sum(fates.values(), Counter())
    for kind, found in (*fates.items(), ("total", total)):
        numbers = " ".join(f"{found[c]:{width}}" for c, width in zip(columns, (8, 11, 9), strict=True))
        lines.append(f"{kind:16} {found.total():7} {numbers}")
    judged = total.total() - total["equivalent"]
    if judged:
        share = 100 * total["refuted"] / judged
        lines += ["", paint(f"score: {total['refuted']} of {judged} refuted, {share:.1f} %", "strong")]
    lines += indented("Each changes one step of a formula. An equivalent one is proved to be the formula itself.", 0)
    lines += [line for words in survivors for line in indented(f"survived: {words}", 4, "  ")]
    return "\n".join(lines)


def listing(entries: Sequence[Entry], paint: Paint = plain) -> str:
    """The catalogue, chapter by chapter."""
    lines = []
    width = max((len(entry.name) for entry in entries), default=0)
    for chapter, group in itertools.groupby(entries, key=lambda entry: entry.chapter):
        lines.append(paint(chapter, "strong"))
        for entry in group:
            title = f"cannot be read: {entry.fault}" if entry.fault else entry.title or "(without a title)"
            head, *rest = indented(title, width + 4, f"  {entry.name:{width}}  ")
            lines += [paint(line, "bad") if entry.fault else line for line in (head, *rest)]
            if not entry.fault:
                facts = f"{plural(entry.lines, 'line')}; loss in {', '.join(entry.parameters) or 'nothing'}"
                lines.append(f"  {'':{width}}  {paint(facts, 'faint')}")
    lines += [
        "",
        f"{plural(len(entries), 'derivation')}. One in full: jaxderiv show {entries[0].name}" if entries else "empty",
    ]
    return "\n".join(lines)
