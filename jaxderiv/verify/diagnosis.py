"""What is wrong with a refuted formula: the first explanation that holds at all points and shapes.

With h the hand formula's entries and t the true ones, the explanations are tried from the simplest on: a common
factor (and its law in the sizes and scalar arguments), a layout, an argument taken to be symmetric or transposed, a
term that is missing, superfluous or has the wrong coefficient, a factor that is an intermediate of the loss, a path
that was held constant, one changed step of the formula, and the entries that are wrong. If none holds, that is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping

import numpy as np

from jaxderiv.verify.agreement import Judgement
from jaxderiv.verify.cases import Case, Part, close, same, usable
from jaxderiv.verify.laws import Law, find_law
from jaxderiv.verify.mutation import Addend
from jaxderiv.verify.question import Programs, Question
from jaxderiv.verify.repairs import intermediate_factor, one_step
from jaxderiv.verify.truth import Leaves


class Diagnosis(str):
    """A sentence; `cause` is its kind: scale, sign, layout, term, chain, branch, path, where or unknown."""

    cause: str

    def __new__(cls, cause: str, text: str) -> Diagnosis:
        made = super().__new__(cls, text)
        made.cause = cause
        return made

    def __getnewargs__(self):
        return self.cause, str(self)


_FEW = 24  # steps of a loss of which all pairs are tried

Explanation = tuple[str, str]


def diagnose(question: Question, refuting: list[Judgement], agreeing: list[Judgement], programs: Programs) -> Diagnosis:
    """The first explanation that holds at every point at which both sides are known."""
    cases = [Case.of(question, j, programs) for j in (*refuting, *agreeing)]
    cases = [case for case in cases if usable(case)]
    if not any(j.hand_is_finite for j in refuting):
        return Diagnosis("unknown", "the formula gives NaN or infinity where the true value is finite")
    if not cases:
        return Diagnosis("unknown", "no simple cause was found")
    wrong = [i for i in range(len(cases[0].true)) if not all(same(c.hand[i], c.true[i]) for c in cases)]
    if not wrong:
        return Diagnosis("unknown", _tiny(refuting))
    prefix = ""
    if len(wrong) < len(cases[0].true):
        prefix = f"only part {', '.join(map(str, wrong))} of the result is wrong: "
    cases = [case.only(wrong) for case in cases]
    with np.errstate(all="ignore"):
        for explain in (_scale, _layout, _arguments, _term, _ratio, _path, _autodiff_term, _step, _where):
            found = explain(question, cases)
            if found is not None:
                return Diagnosis(found[0], prefix + found[1])
    return Diagnosis("unknown", prefix + _shape_of_error(cases))


def _tiny(refuting: list[Judgement]) -> str:
    """A difference that float64 does not show."""
    most = 0.0
    for j in refuting:
        if j.hand is not None and j.truth is not None and j.hand_is_finite:
            for h, t in zip(j.hand.low, j.truth.low, strict=True):
                sizes = [float(abs(x - y) / abs(y)) for x, y in zip(h.ravel(), t.ravel(), strict=True) if y]
                most = max([most, *sizes])
    return (
        f"the two differ by {most:.1e} of the value at most: perhaps an epsilon, a constant that was cut short, or one "
        "that was rounded to float32"
    )


# 1. A common factor -----------------------------------------------------------------------------------------------
def _scale(question: Question, cases: list[Case]) -> Explanation | None:
    ratios = _factors([c.hand for c in cases], [c.true for c in cases])
    law = find_law(ratios, cases) if ratios is not None else None
    if law is None:
        return None
    if law.constant == -1 and not law.powers:
        return "sign", "the sign is wrong: the true value is minus the formula"
    if law.constant < 0:
        return "scale", f"sign and factor are wrong: the true value is {law} times the formula"
    return "scale", f"{law.missing()}: the true value is {law} times the formula"


def _factors(of: list[Leaves], to: list[Leaves]) -> np.ndarray | None:
    """alpha with to = alpha * of, case by case; NaN where both vanish; None if there is none."""
    out = []
    for h, t in zip(of, to, strict=True):
        a, b = (np.concatenate([x.ravel() for x in side]) for side in (h, t))
        if not a.any():
            if b.any():
                return None
            out.append(np.nan)
            continue
        alpha = float(a @ b / (a @ a))
        if not close(alpha * a, b, np.max(np.abs(b), initial=0.0)):
            return None
        out.append(alpha)
    return np.array(out)


# 2. Layout --------------------------------------------------------------------------------------------------------
def _layout(question: Question, cases: list[Case]) -> Explanation | None:
    rank = cases[0].true[0].ndim
    if len(cases[0].true) > 1 or rank < 2:
        return None
    for axes in itertools.permutations(range(rank)):
        if axes == tuple(range(rank)):
            continue
        swapped = lambda h, axes=axes: h.transpose(axes)
        if all(same_shape(swapped(c.hand[0]), c.true[0]) for c in cases):
            words = "transposed" if rank == 2 else f"its axes come in another order: {axes} makes it right"
            return "layout", f"the result is {words}" if rank == 2 else words
        again = lambda h, t, axes=axes: np.reshape(swapped(h), t.shape)
        if all(same_shape(again(c.hand[0], c.true[0]), c.true[0]) for c in cases):
            return (
                "layout",
                "the entries are right but stand in the wrong order: reshape in the other (column) order",
            )
        ravelled = lambda h, t: h.reshape(t.shape[::-1]).transpose()
        if all(same_shape(ravelled(c.hand[0], c.true[0]), c.true[0]) for c in cases):
            return (
                "layout",
                "the entries are right but stand in the wrong order: reshape in the other (column) order",
            )
    return None


def same_shape(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and same(a, b)


# 3. An argument taken to be symmetric, or transposed ----------------------------------------------------------------
def _arguments(question: Question, cases: list[Case]) -> Explanation | None:
    for position, name in enumerate(question.leaves):
        shape = np.shape(cases[0].args[position])
        if len(shape) != 2 or shape[0] != shape[1]:
            continue
        changes: dict[str, Callable] = {
            f"{name} is taken to be symmetric: with ({name} + {name}.T) / 2 in its place the formula is right":
                lambda a: (a + a.T) / 2,
            f"{name} enters transposed: with {name}.T in its place the formula is right": lambda a: a.T,
        }  # fmt: skip
        for words, change in changes.items():
            if all(c.is_true(c.formula(_changed(c.args, position, change))) for c in cases):
                return "layout", words
    return None


def _changed(args: list[np.ndarray], position: int, change: Callable) -> list[np.ndarray]:
    return [change(x) if i == position else x for i, x in enumerate(args)]


# 4. A term ----------------------------------------------------------------------------------------------------------
def _term(question: Question, cases: list[Case]) -> Explanation | None:
    return _differing_part(question, cases, cases[0].parts)


def _autodiff_term(question: Question, cases: list[Case]) -> Explanation | None:
    """An addend of what autodiff computes: tried late, since its formula is the machine's."""
    return _differing_part(question, cases, cases[0].machine_parts)


def _differing_part(question: Question, cases: list[Case], parts: Mapping[Hashable, Part]) -> Explanation | None:
    """A part that the formula lacks, has too much of, or has with the wrong coefficient."""
    gaps = [[t - h for h, t in zip(c.hand, c.true, strict=True)] for c in cases]
    for key, part in parts.items():
        found = [c.all_parts.get(key) for c in cases]
        if any(p is None for p in found):
            continue
        ratios = _factors([p.leaves for p in found if p is not None], gaps)
        if ratios is None:
            continue
        law = find_law(ratios, cases)
        if law is not None:
            return "term", _term_words(part, law, question)
        if part.source == "formula" and (law := find_law(1 + ratios, cases)) is not None:
            return "term", f"in the formula's term {part.label} {law.missing()}"
    return None


def _term_words(part: Part, law: Law, question: Question) -> str:
    if part.source == "loss":
        return _missing_loss_term(law, part.label, question)
    if part.source == "formula":
        return _changed_addend(law, part.label)
    return f"a term is missing: {law.times(part.label)}"


def _missing_loss_term(law: Law, formula: str, question: Question) -> str:
    kind = {"gradient": "gradient", "hessian": "Hessian", "hvp": "Hessian-vector product"}.get(
        question.what.kind, "derivative"
    )
    if law.is_number(1):
        return f"the {kind} of the loss's term {formula} is missing"
    if law.is_number(-1):
        return f"the {kind} of the loss's term {formula} is counted twice, or has no place here"
    if law.is_number(0.5):
        return f"the {kind} of the loss's term {formula} is only half of what it should be"
    if law.is_number(2):
        return f"the {kind} of the loss's term {formula} has the wrong sign"
    return f"the {kind} of the loss's term {formula} has the wrong coefficient: add {law} times it"


def _changed_addend(law: Law, formula: str) -> str:
    if law.is_number(-1):
        return f"the term {formula} of the formula has no place there"
    if law.is_number(-2):
        return f"the term {formula} of the formula has the wrong sign"
    if law.is_number(1):
        return f"the term {formula} of the formula should be doubled (it is halved, or stands once instead of twice)"
    if law.is_number(-0.5):
        return f"the term {formula} of the formula is twice as large as it should be"
    if law.powers:
        return f"the term {formula} of the formula has the wrong coefficient: add {law} times it"
    return f"the term {formula} of the formula should be multiplied by {Law(1 + law.constant, ())}"


# 5. A factor, entry by entry ------------------------------------------------------------------------------------------
def _ratio(question: Question, cases: list[Case]) -> Explanation | None:
    for key, factor in cases[0].factors.items():
        if not all(key in c.factors for c in cases):
            continue
        for words, apply in (("multiplied", np.multiply), ("divided", np.divide)):
            if all(_entrywise(c, c.factors[key].value, apply) for c in cases):
                if factor.indicator:
                    return "branch", f"a branch is not cut off: the formula should be {words} by {factor.label}"
                return "chain", f"a chain factor is missing: the formula should be {words} by {factor.label}"
    return None


def _entrywise(case: Case, factor: np.ndarray, apply: Callable) -> bool:
    fits = lambda h: factor.ndim == 0 or factor.shape == h.shape
    return all(fits(h) and same(apply(h, factor), t) for h, t in zip(case.hand, case.true, strict=True))


# 6. A path that was held constant -------------------------------------------------------------------------------------
def _path(question: Question, cases: list[Case]) -> Explanation | None:
    if question.base is None:
        return None
    steps = [path for path in cases[0].loss_steps if all(path in c.loss_steps for c in cases)]
    formulas = cases[0].loss_formulas
    dropped = lambda held: f"a path of the chain rule is dropped: {held} and is treated as a constant"
    for path in steps:
        if all(c.is_hand(c.cut([path])) for c in cases):
            return "path", dropped(f"{formulas[path]} depends on the parameter")
    for path in steps:
        for i, operand in enumerate(formulas.operands(path)):
            if all(c.is_hand(c.derivative(Addend(path, i).held)) for c in cases):
                return "path", dropped(f"{operand} depends on the parameter in {formulas[path]}")
    for pair in itertools.combinations(steps, 2) if len(steps) <= _FEW else ():
        if all(c.is_hand(c.cut(pair)) for c in cases):
            held = " and ".join(dict.fromkeys(formulas[path] for path in pair))
            return "path", dropped(f"{held} depends on the parameter")
    return None


# 7. One changed step --------------------------------------------------------------------------------------------------
def _step(question: Question, cases: list[Case]) -> Explanation | None:
    return intermediate_factor(cases) or one_step(cases)


# 8. Where -------------------------------------------------------------------------------------------------------------
def _where(question: Question, cases: list[Case]) -> Explanation | None:
    if len(cases[0].true) > 1:
        return None
    masks = [~_equal_entries(c.hand[0], c.true[0]) for c in cases]
    shape = masks[0].shape
    ratios = lambda: [np.where(m, c.true[0] / c.hand[0], np.nan) for m, c in zip(masks, cases, strict=True)]
    diagonals = [d for m in masks if (d := _diagonal(m.shape)) is not None]
    if len(diagonals) == len(masks):
        if all((m <= d).all() for m, d in zip(masks, diagonals, strict=True)):
            return "where", f"only the diagonal is wrong{_common(ratios(), cases)}"
        if all((m <= ~d).all() for m, d in zip(masks, diagonals, strict=True)):
            return "where", f"only the entries off the diagonal are wrong{_common(ratios(), cases)}"
    for key, (condition, _) in cases[0].masks.items():
        if not all(key in c.masks and c.masks[key][1].shape == c.true[0].shape for c in cases):
            continue
        holds = [c.masks[key][1] for c in cases]
        for said, picked in ((condition, holds), (f"not ({condition})", [~x for x in holds])):
            if all((m == x).all() for m, x in zip(masks, picked, strict=True)) and not all(x.all() for x in picked):
                return "branch", f"only one branch is wrong: the entries where {said}{_common(ratios(), cases)}"
    big = [m for m in masks if m.size > 1]
    if len(shape) >= 1 and big:
        for words, part in (("the first", slice(1, None)), ("the last", slice(None, -1))):
            if all(not m[part].any() for m in big if len(m) > 1) and any(len(m) > 1 for m in big):
                what = "entry" if len(shape) == 1 else "row"
                return "where", f"only {words} {what} is wrong{_common(ratios(), cases)}"
        if len(shape) == 1 and all(not m[1:-1].any() for m in big if len(m) > 2) and any(len(m) > 2 for m in big):
            return "where", f"only the first and the last entry are wrong{_common(ratios(), cases)}"
    return None


def _diagonal(shape: tuple[int, ...]) -> np.ndarray | None:
    """The entries (j, j) of a Hessian or square matrix; of a Hessian in a matrix, entries (j, k, j, k)."""
    half = len(shape) // 2
    if not shape or len(shape) % 2 or shape[:half] != shape[half:]:
        return None
    return np.eye(int(np.prod(shape[:half])), dtype=bool).reshape(shape)


def _equal_entries(h: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.abs(h - t) <= 1e-9 * np.max(np.abs(t), initial=0.0)


def _common(ratios: list[np.ndarray], cases: list[Case]) -> str:
    values = np.concatenate([r.ravel() for r in ratios])
    values = values[np.isfinite(values)]
    if values.size and np.ptp(values) <= 1e-9 * np.max(np.abs(values)):
        return f", by a factor: they should be multiplied by {Law(float(values[0]), ())}"
    return ""


def _shape_of_error(cases: list[Case]) -> str:
    masks = [~_equal_entries(h, t) for c in cases for h, t in zip(c.hand, c.true, strict=True)]
    wrong, total = sum(int(m.sum()) for m in masks), sum(m.size for m in masks)
    said = f"no simple cause was found; {wrong} of {total} entries are wrong"
    hessians = [c.hand[0] for c in cases if c.kind == "hessian" and len(c.hand) == 1]
    if hessians and not all(same(h, h.transpose(_half_turn(h.ndim))) for h in hessians):
        said += ", and as a Hessian it is not symmetric"
    return said


def _half_turn(rank: int) -> tuple[int, ...]:
    return (*range(rank // 2, rank), *range(rank // 2))
