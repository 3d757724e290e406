"""From a question to a verdict: the sweep, its power, floating point, and what is said about a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxderiv.verify import floating
from jaxderiv.verify.agreement import Judgement
from jaxderiv.verify.algebra import Floats
from jaxderiv.verify.diagnosis import Diagnosis, diagnose
from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.mutation import addends, killed, mutants
from jaxderiv.verify.question import Place, Question
from jaxderiv.verify.shrink import counterexample, misshapen
from jaxderiv.verify.sweep import Sweep, said
from jaxderiv.verify.truth import Leaves
from jaxderiv.verify.verdict import Evidence, Result, Verdict

_STABLE = 1e3  # ulps; a result that has lost more is worth a note
_UNSOUND = 100  # times the error bound, which is measured on one kind of processor: more than that is no rounding
_SINGLE = 2.0**30  # ulps of float64; up to there a float32 constant in a formula explains an error, which is only noted


def examine(sweeps: Sequence[Sweep], floats: bool = True) -> list[Result]:
    """Verdicts of questions that share their places (a derivation's claims).

    Args:
        floats: whether to measure what floating point makes of the formulas; of a theorem nobody asks that.
    """
    machine_notes = _floating([s for s in sweeps if floats and not s.refuting and s.of("agrees")])
    results = []
    for one in sweeps:
        evidence, notes, fault = machine_notes.get(one.question, ([], [], ""))
        results.append(_verdict(one, evidence, notes, fault))
    return results


def _verdict(one: Sweep, machine: list[Evidence], notes: list[str], fault: str) -> Result:
    question = one.question
    make = lambda verdict, reason, **more: Result(
        question.derivation, question.claim, question.statement, verdict, reason, **more
    )
    if one.unsupported and not one.refuting:
        return make(Verdict.INCONCLUSIVE, one.unsupported)
    agreeing = one.of("agrees", "generic", "sought", "own")
    evidence = [_tally(one), *machine]
    notes = notes + _raises("function", one.raised) + _raises("formula", one.hand_raised)
    notes += [
        f"the formula is not finite at {j.place.label}, where the true value is finite"
        for j in one.of("differs", "edge")
        if not j.hand_is_finite
    ]
    kinks = [j for j in one.judgements if j.reason.startswith(("a kink", "within"))]
    notes += list(dict.fromkeys(f"at {j.place.label}: {j.reason}{_chosen(one, j)}" for j in kinks))
    if one.misshapen:
        where, (problem, place) = next(iter(one.misshapen.items()))
        return make(
            Verdict.REFUTED,
            f"{problem} (at {where})",
            evidence=tuple(evidence),
            diagnosis=Diagnosis("layout", problem),
            counterexample=misshapen(question, place, one.programs),
            notes=tuple(notes),
        )
    if one.refuting:
        diagnosis = _diagnosis(one, agreeing)
        example = counterexample(question, one.refuting, one.programs)
        wrong = Counter(j.place.kind for j in one.refuting)
        masks = [mask for j in one.refuting for mask in j.wrong or []]
        entries = f"{sum(int(m.sum()) for m in masks)} of {sum(m.size for m in masks)} entries"
        reason = f"differs from the truth at {sum(wrong.values())} of {len(one.judgements)} points, in {entries}"
        return make(
            Verdict.REFUTED,
            reason,
            evidence=tuple(evidence),
            diagnosis=diagnosis,
            counterexample=example,
            notes=tuple(notes),
        )
    if not agreeing:
        reasons = Counter([j.reason for j in one.of("undecided")] + [*one.raised.values(), *one.hand_raised.values()])
        why = reasons.most_common(1)[0][0] if reasons else "no point was tried"
        return make(
            Verdict.INCONCLUSIVE,
            f"no generic point could be decided: {why}",
            evidence=tuple(evidence),
            notes=tuple(notes),
        )
    power, kills, weak = _power(one, agreeing)
    evidence.append(power)
    if one.hand_raised and not weak:
        where, what = next(iter(one.hand_raised.items()))
        weak = f"the formula raises {what} at {where}, where the other side does not"
    if weak or fault:
        verdict, reason = Verdict.INCONCLUSIVE, weak or fault
    elif question in one.programs.opaque:
        verdict = Verdict.AGREES
        reason = f"the formula cannot be traced ({one.programs.opaque[question]}): compared as float64 values only"
    else:
        assert one.proof is not None
        verdict = Verdict.PROVED if one.proof.found else Verdict.AGREES
        reason = one.proof.words if one.proof.found else f"no proof: {one.proof.reason}"
        if one.proof.found:
            evidence.append(Evidence("proof", reason, one.proof.numbers))
    return make(verdict, reason, evidence=tuple(evidence), notes=tuple(notes), kills=kills)


def _chosen(one: Sweep, j: Judgement) -> str:
    """Which value JAX takes at a kink, at the first entry that has several."""
    question, args = one.question, one.question.arguments(j.place)
    if j.truth is None or not j.truth.kink:
        return ""
    try:
        with np.errstate(all="ignore"):
            values = Interpreter(Floats())(one.programs.get(question.auto, args), args)
    except Exception:  # the note is worth less than the verdict
        return ""
    for value, low, high in zip(values, j.truth.low, j.truth.high, strict=True):
        for v, a, b in zip(np.ravel(value), low.ravel(), high.ravel(), strict=True):
            if a != b:
                return f"; of {float(a):.6g} to {float(b):.6g} JAX takes {float(v):.6g}"
    return ""


def _raises(what: str, raised: dict[str, str]) -> list[str]:
    """One note for every message, with the first shape at which it came."""
    shapes: dict[str, list[str]] = {}
    for where, message in raised.items():
        shapes.setdefault(message, []).append(where)
    more = lambda found: f" and {len(found) - 1} other shapes" * (len(found) > 1)
    return [f"at {found[0]}{more(found)} the {what} raises {message}" for message, found in shapes.items()]


def _diagnosis(one: Sweep, agreeing: list[Judgement]) -> Diagnosis:
    try:
        return diagnose(one.question, one.refuting, agreeing, one.programs)
    except Exception as error:  # a verdict must not be lost because its explanation fails
        return Diagnosis("unknown", f"no cause can be given: the diagnosis failed ({type(error).__name__}: {error})")


def _tally(one: Sweep) -> Evidence:
    counts = Counter(j.status for j in one.judgements)
    shapes = {tuple(j.place.sizes.items()) for j in one.judgements}
    digits = max((j.digits for j in one.judgements), default=0)
    kept = sorted({x for j in one.judgements for x in j.kept})
    text = (
        f"against {'the line before' if one.question.what.kind == 'value' else 'exact derivatives'} at "
        f"{len(one.judgements)} points of {len(shapes)} shapes: {counts['agrees']} agree, {counts['differs']} differ, "
        f"{counts['undecided']} undecided (25 digits, precision up to {digits})"
    )
    if kept:
        text += f"; constants taken as floats, not as rationals: {', '.join(map(repr, kept[:3]))}"
    numbers = {
        "points": len(one.judgements), "shapes": len(shapes), "agree": counts["agrees"], "differ": counts["differs"],
        "undecided": counts["undecided"], "digits": digits, "kept_constants": kept,
    }  # fmt: skip
    return Evidence("high precision", text, numbers)


def _power(one: Sweep, agreeing: list[Judgement]) -> tuple[Evidence, dict[str, tuple[int, int]], str]:
    """Which mutants of the formula the points would have noticed. Returns evidence, kills by kind, and a weakness.

    A mutant is noticed if one point tells it from the formula.
    """
    kills: dict[tuple[str, int], bool] = {}
    strong, largest = 0, 0.0
    for j in agreeing:
        assert j.hand is not None
        leaves = j.hand.floats
        largest = max(largest, *(float(np.max(np.abs(x), initial=0.0)) for x in leaves))
        program = one.programs.hand(one.question, j.place)
        noticed, made = True, Counter[str]()
        for mutant in mutants(leaves, addends(program, one.question.arguments(j.place)), j.place.sizes):
            dead = killed(mutant, leaves)
            made[mutant.kind] += 1
            key = mutant.kind, made[mutant.kind]
            kills[key] = kills.get(key, False) or dead
            noticed &= dead or mutant.kind not in ("sign", "factor 2")
        strong += noticed
    of = lambda kind: [dead for (k, _), dead in kills.items() if k == kind]
    totals = {kind: (sum(of(kind)), len(of(kind))) for kind in dict.fromkeys(k for k, _ in kills)}
    equivalent = [kind for kind, (noticed, _) in totals.items() if not noticed]
    count = sum(kills.values())
    text = (
        f"{strong} of {len(agreeing)} generic points have power; {count} of {len(kills)} mutants of the result noticed"
    )
    if equivalent and largest:
        text += f"; the same result at every point (equivalent): {', '.join(equivalent)}"
    weak = ""
    if not largest:
        weak = "both sides are identically zero: nothing was tested"
    elif not strong:
        weak = "no point had the power to notice a wrong sign or factor"
    numbers = {"points_with_power": strong, "mutants": len(kills), "noticed": count, "equivalent": equivalent}
    return Evidence("power", text, numbers), totals, weak


class Record(NamedTuple):
    """Errors at a place."""

    place: Place
    hand: floating.Error
    auto: floating.Error


def _floating(sweeps: list[Sweep]) -> dict[Question, tuple[list[Evidence], list[str], str]]:
    """Errors in float64, float32 and bfloat16 at the home shape, and what they say about hand formula and autodiff."""
    records: dict[Question, dict[str, list[Record]]] = {s.question: {} for s in sweeps}
    broken: dict[Question, list[str]] = {s.question: [] for s in sweeps}
    for dtype in floating.DTYPES:
        _run([s for s in sweeps if s.question not in s.programs.opaque], dtype, records, broken)
    return {q: (*_machine_evidence(records[q], broken[q]), _fault(records[q], broken[q])) for q in records}


def _fault(records: dict[str, list[Record]], broken: list[str]) -> str:
    """Why the formula's float64 values at generic points are not those of a sound program; nothing if they are."""
    if any(words.startswith("not run in float64") for words in broken):
        return next(words for words in broken if words.startswith("not run in float64"))
    for place, hand, _ in records.get("float64", []):
        if place.kind == "generic" and not np.isfinite(hand.ulps):
            return f"the formula is not finite in float64 at {place.label}"
        if place.kind == "generic" and hand.over > _UNSOUND and hand.ulps > _SINGLE:
            return f"in float64 at {place.label} the formula is off by {hand.over:.3g} times what rounding explains"
    return ""


def _run(sweeps: list[Sweep], dtype: str, records, broken) -> None:
    """Compile the questions together and run them; one by one if that fails, to see whose failure it is."""
    if not sweeps:
        return
    home = sweeps[0].judgements[0].place.sizes
    machine = floating.Machine([s.question for s in sweeps], dtype)
    judged = {s.question: {j.place.label: j for j in s.of("agrees") if j.place.sizes == home} for s in sweeps}
    met = [j.place for s in sweeps for j in s.judgements if j.place.kind != "sought"]
    places = {place.label: place for place in met if place.sizes == home}
    for label, place in places.items():
        if not machine.holds(place):
            continue
        try:
            hands, autos = machine(place)
        except Exception as error:
            if len(sweeps) > 1:
                for s in sweeps:
                    _run([s], dtype, records, broken)
            else:
                why = said(error) if dtype == "float64" else "JAX cannot, or the formula does not take it"
                broken[sweeps[0].question].append(f"not run in {dtype}: {why}")
            return
        for s, hand, auto in zip(sweeps, hands, autos, strict=True):
            j = judged[s.question].get(label)
            if j is None or j.truth is None or j.truth.kink:
                continue
            exact: Leaves = j.truth.low
            limits = floating.bounds(s.question, place, s.programs, dtype)
            record = Record(place, floating.error(hand, exact, dtype, limits), floating.error(auto, exact, dtype))
            records[s.question].setdefault(dtype, []).append(record)


def _machine_evidence(records: dict[str, list[Record]], broken: list[str]) -> tuple[list[Evidence], list[str]]:
    evidence, notes = [], list(dict.fromkeys(broken))
    for dtype, rows in records.items():
        numbers: dict[str, float | str] = {"dtype": dtype}
        words = []
        for kind in ("generic", "edge"):
            chosen = [row for row in rows if (row.place.kind == "edge") == (kind == "edge")]
            if not chosen:
                continue
            worst = max(row.hand.ulps for row in chosen), max(row.auto.ulps for row in chosen)
            numbers |= {f"hand_ulps_{kind}": worst[0], f"autodiff_ulps_{kind}": worst[1]}
            words.append(f"{kind} points: hand {worst[0]:.3g}, autodiff {worst[1]:.3g}")
        over = max(row.hand.over for row in rows)
        numbers["error_over_bound"] = over
        text = (
            f"{dtype}, largest error in ulps of the largest entry: {'; '.join(words)}; "
            f"at most {over:.2g} of the derived bound"
        )
        evidence.append(Evidence("floating point", text, numbers))
        if over > 1:
            where = next(row.place.label for row in rows if row.hand.over == over)
            notes.append(
                f"{dtype} at {where}: the computed value is off by {over:.3g} times the bound that rounding explains"
            )
        for place, hand, auto in rows:
            if hand.ulps <= _STABLE < auto.ulps:
                notes.append(
                    f"{dtype} at {place.label}: the formula is right (error {hand.ulps:.3g} ulps) "
                    f"and autodiff is wrong ({_ulps(auto.ulps)})"
                )
            elif not np.isfinite(hand.ulps) or (hand.ulps > _STABLE and (auto.ulps <= _STABLE or place.kind != "edge")):
                notes.append(
                    f"{dtype} at {place.label}: the formula is right, but this way to compute it loses its digits "
                    f"(error {_ulps(hand.ulps)}, autodiff {_ulps(auto.ulps)})"
                )
    return evidence, notes


def _ulps(x: float) -> str:
    return f"{x:.3g} ulps" if np.isfinite(x) else "not finite"
