"""From a question to a verdict: the sweep, its power, floating point, and what is said about a failure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxderiv.verify import floating
from jaxderiv.verify.agreement import Judgement, judge
from jaxderiv.verify.algebra import Unsupported
from jaxderiv.verify.diagnosis import Diagnosis, diagnose
from jaxderiv.verify.field import PRIMES
from jaxderiv.verify.interpreter import UNTRACEABLE
from jaxderiv.verify.mutation import addends, killed, mutants
from jaxderiv.verify.proof import prove, uncovered_words
from jaxderiv.verify.question import Place, Programs, Question, untraceable_words
from jaxderiv.verify.seek import seek
from jaxderiv.verify.shrink import counterexample
from jaxderiv.verify.truth import Leaves
from jaxderiv.verify.verdict import Evidence, Result, Verdict

_STABLE = 1e3  # ulps; a result that has lost more is worth a note


@dataclasses.dataclass
class Sweep:
    """What one question met at all its places."""

    question: Question
    programs: Programs
    judgements: list[Judgement] = dataclasses.field(default_factory=list)
    raised: dict[str, str] = dataclasses.field(default_factory=dict)
    misshapen: dict[str, str] = dataclasses.field(default_factory=dict)
    unsupported: str = ""

    def of(self, status: str, *kinds: str) -> list[Judgement]:
        return [j for j in self.judgements if j.status == status and (not kinds or j.place.kind in kinds)]

    @property
    def refuting(self) -> list[Judgement]:
        """Where the formula is wrong. That it is not finite on an edge, where the truth is, is only a note."""
        differs = [j for j in self.judgements if j.status == "differs"]
        return [j for j in differs if j.place.kind != "edge" or j.hand_is_finite]


def sweep(question: Question, places: Iterable[Place], programs: Programs, seed: int = 0) -> Sweep:
    """Judge a question at places until it is refuted at enough of them to say why, and where it is not, at places on
    the sides of its comparisons that these do not reach."""
    out = Sweep(question, programs)
    _judge(out, places, seed)
    generic = [j.place for j in out.of("agrees", "generic")]
    if generic and not (out.refuting or out.unsupported or question in programs.opaque):
        _judge(out, seek(question, generic, programs), seed + 1)
    return out


def _judge(out: Sweep, places: Iterable[Place], seed: int) -> None:
    question, programs, rng = out.question, out.programs, np.random.default_rng(seed)
    for place in places:
        if place.kind == "edge" and len(out.refuting) > 2:
            continue  # wrong already at generic points: those say more about the mistake
        try:
            if problem := programs.misshapen(question, place):
                out.misshapen[place.size_words or place.label] = problem
                continue
            out.judgements.append(judge(question, place, programs, rng, sure=len(out.refuting) > 1))
        except Unsupported as error:
            out.unsupported = str(error)
            break
        except Exception as error:  # the user's function, at a shape of our choosing
            out.raised[place.size_words or place.label] = _said(error)


def _said(error: Exception) -> str:
    if isinstance(error, UNTRACEABLE):
        return f"it cannot be traced: {untraceable_words(error)}"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def examine(
    sweeps: Sequence[Sweep], expected: str = "agrees", progress: Callable[[], None] = lambda: None
) -> list[Result]:
    """Verdicts of questions that share their places (a derivation's claims)."""
    machine_notes = _floating([s for s in sweeps if not s.refuting and s.of("agrees")])
    results = []
    for one in sweeps:
        evidence, notes = machine_notes.get(one.question, ([], []))
        results.append(_verdict(one, evidence, notes, expected))
        progress()
    return results


def _verdict(one: Sweep, machine: list[Evidence], notes: list[str], expected: str) -> Result:
    question = one.question
    make = lambda verdict, reason, **more: Result(
        question.derivation, question.claim, question.statement, verdict, reason, expected, **more
    )
    if one.unsupported and not one.refuting:
        return make(Verdict.INCONCLUSIVE, f"{one.unsupported} is outside of what the high-precision interpreter knows")
    agreeing = one.of("agrees", "generic", "sought", "own")
    evidence = [_tally(one), *machine]
    notes = notes + [f"at {where} it raises {what}" for where, what in one.raised.items()]
    notes += [
        f"not finite at {j.place.label}, where the true value is"
        for j in one.of("differs", "edge")
        if not j.hand_is_finite
    ]
    kinks = [j for j in one.judgements if j.reason.startswith(("a kink", "within"))]
    notes += list(dict.fromkeys(f"at {j.place.label}: {j.reason}" for j in kinks))
    if one.misshapen:
        where, problem = next(iter(one.misshapen.items()))
        said = Diagnosis("layout", problem)
        return make(
            Verdict.REFUTED, f"{problem} (at {where})", evidence=tuple(evidence), diagnosis=said, notes=tuple(notes)
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
        reasons = Counter([j.reason for j in one.of("undecided")] + list(one.raised.values()))
        why = reasons.most_common(1)[0][0] if reasons else "no point was tried"
        return make(
            Verdict.INCONCLUSIVE,
            f"no generic point could be decided: {why}",
            evidence=tuple(evidence),
            notes=tuple(notes),
        )
    power, kills, weak = _power(one, agreeing)
    evidence.append(power)
    if weak:
        verdict, reason = Verdict.INCONCLUSIVE, weak
    elif question in one.programs.opaque:
        verdict = Verdict.AGREES
        reason = f"the formula cannot be traced ({one.programs.opaque[question]}): compared as float64 values only"
    else:
        verdict, reason, proved = _proof(one, agreeing)
        evidence += proved
    return make(verdict, reason, evidence=tuple(evidence), notes=tuple(notes), kills=kills)


def _proof(one: Sweep, agreeing: list[Judgement]) -> tuple[Verdict, str, list[Evidence]]:
    """What exact arithmetic says of a question that agrees at all places. Returns verdict, reason and evidence."""
    places = [j.place for j in agreeing if j.place.kind != "own"]
    try:
        found = prove(one.question, places, one.programs)
    except Unsupported as error:
        return Verdict.AGREES, f"no proof: {error} is outside of exact arithmetic", []
    if not found.found:
        return Verdict.AGREES, f"no proof: {found.reason}", []
    shapes = f"{len(found.shapes)} shape{'s' * (len(found.shapes) != 1)}"
    bound = f"{found.probability:.0e}"
    said = {
        "rational": f"wrong with a probability of at most {bound}",
        "independent exponents": f"wrong with a probability of at most {bound}, its exponents being independent",
        "heuristic": "no bound is known, since exponents are products or nested",
    }[found.assumption]
    text = f"the same function at {shapes}, in {found.regions} region{'s' * (found.regions != 1)} ({said})"
    if found.drawn:
        text += f"; at {' and '.join(found.drawn)} for the drawn labels only"
    if found.kept:
        text += f"; constants taken as they stand: {', '.join(map(repr, sorted(found.kept)[:3]))}"
    never = uncovered_words(one.question, places[0], one.programs, found)
    if never:
        text += f"; not covered: {'; '.join(never[:3])}"
    numbers = {
        "shapes": found.shapes, "shapes_for_drawn_labels": found.drawn, "undecided": found.undecided,
        "regions": found.regions, "not_covered": never, "degree": found.degree, "draws": found.draws,
        "prime_bits": [p.bit_length() for p in PRIMES[: found.depth]], "assumption": found.assumption,
        "failure_probability": None if found.assumption == "heuristic" else found.probability,
        "kept_constants": sorted(found.kept),
    }  # fmt: skip
    return Verdict.PROVED, text, [Evidence("proof", text, numbers)]


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


def _floating(sweeps: list[Sweep]) -> dict[Question, tuple[list[Evidence], list[str]]]:
    """Errors in float64, float32 and bfloat16 at the home shape, and what they say about hand formula and autodiff."""
    records: dict[Question, dict[str, list[Record]]] = {s.question: {} for s in sweeps}
    broken: dict[Question, list[str]] = {s.question: [] for s in sweeps}
    for dtype in floating.DTYPES:
        _run([s for s in sweeps if s.question not in s.programs.opaque], dtype, records, broken)
    return {q: _machine_evidence(records[q], broken[q]) for q in records}


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
                broken[sweeps[0].question].append(f"not run in {dtype}: {_said(error)}")
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
