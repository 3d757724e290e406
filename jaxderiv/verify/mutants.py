"""Mutants of a formula's program: one step is changed, and the change has to be noticed.

The operators are the sufficient ones of mutation testing, as far as a pure program of arrays has them: replacement of
an arithmetic operator, of a comparison and of a function, insertion of a minus, of an absolute value and of a factor,
and deletion of an operand; for matrices also a transpose. Every mutant is compared with the truth in high precision at
the places of the sweep. One that agrees at all of them is equivalent if exact arithmetic proves that it is the
formula itself; else it survives, which is a defect of the sweep.

Source: A. J. Offutt, A. Lee, G. Rothermel, R. H. Untch, C. Zapf, An experimental determination of sufficient mutant
operators, ACM TOSEM 5 (1996).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Primitive

from jaxderiv.verify import atoms
from jaxderiv.verify.agreement import TOLERANCE, Judgement
from jaxderiv.verify.algebra import Floats, Unsupported, Value
from jaxderiv.verify.expressions import Expressions
from jaxderiv.verify.interpreter import Interpreter, Path
from jaxderiv.verify.precise import Precise
from jaxderiv.verify.proof import prove
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.truth import Derivative
from jaxderiv.verify.verdict import Mutant

REFUTED, EQUIVALENT, SURVIVED = "refuted", "equivalent", "survived"

_DIGITS = 60
_OTHER: dict[str, tuple[str, tuple[Primitive, ...]]] = {
    "add": ("operator", (lax.sub_p,)), "add_any": ("operator", (lax.sub_p,)), "sub": ("operator", (lax.add_p,)),
    "mul": ("operator", (lax.add_p, lax.div_p)), "div": ("operator", (lax.mul_p,)),
    "max": ("operator", (lax.min_p,)), "min": ("operator", (lax.max_p,)),
    "lt": ("comparison", (lax.ge_p,)), "le": ("comparison", (lax.gt_p,)),
    "gt": ("comparison", (lax.le_p,)), "ge": ("comparison", (lax.lt_p,)),
    "exp": ("function", (lax.expm1_p,)), "log": ("function", (lax.log1p_p,)), "log1p": ("function", (lax.log_p,)),
    "tanh": ("function", (lax.logistic_p,)), "logistic": ("function", (lax.tanh_p,)), "sin": ("function", (lax.cos_p,)),
    "cos": ("function", (lax.sin_p,)), "sqrt": ("function", (lax.square_p,)), "sign": ("function", (lax.abs_p,)),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change of one step: the value that takes the place of its first result."""

    path: Path
    kind: str
    words: str
    apply: Callable[[Interpreter, JaxprEqn, list[Value], list[Value]], Value]

    def hook(self, interpreter: Interpreter, path: Path, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
        if path != self.path:
            return outputs
        return [self.apply(interpreter, eqn, inputs, outputs), *outputs[1:]]


def mutants(question: Question, agreeing: Sequence[Judgement], programs: Programs) -> list[Mutant]:
    """All mutants of a formula that agrees with the truth at these places, and their fates."""
    places = [j for j in agreeing if j.place.kind != "own"]
    if not places:
        return []
    home = places[0].place
    changes = list(_changes(programs.hand(question, home), question, home))
    return [Mutant(c.kind, c.words, _fate(c, question, places, programs)) for c in changes]


def _fate(change: _Change, question: Question, places: list[Judgement], programs: Programs) -> str:
    with np.errstate(all="ignore"):
        for j in places:
            assert j.truth is not None
            algebra = Precise(_DIGITS)
            program = programs.hand(question, j.place)
            try:
                out = Interpreter(algebra, change.hook)(program, question.arguments(j.place))
            except (Unsupported, ValueError, ZeroDivisionError):
                return REFUTED  # it has no value or none of the right shape
            for got, low, high in zip(out, j.truth.low, j.truth.high, strict=True):
                slack = TOLERANCE * np.maximum(abs(low), abs(high))
                if not np.all((got >= low - slack) & (got <= high + slack)):
                    return REFUTED
    return EQUIVALENT if _is_the_formula(change, question, places, programs) else SURVIVED


def _is_the_formula(change: _Change, question: Question, places: list[Judgement], programs: Programs) -> bool:
    """Whether exact arithmetic proves that the change changes nothing."""
    itself = dataclasses.replace(question, auto=question.hand, base=None, what=Derivative("value"))
    found = prove(itself, [j.place for j in places], programs, change=change.hook)
    return found.found


def _changes(program: ClosedJaxpr, question: Question, place: Place) -> Iterator[_Change]:
    """Every operator at every step that computes with floats."""
    formulas = Expressions(program, question.leaves)
    steps: dict[Path, tuple[JaxprEqn, list[Value], Value]] = {}

    def note(interpreter, path, eqn, inputs, outputs):
        if eqn.primitive.name not in _CALLED and any(atoms.is_float(v) for v in (*eqn.invars, *eqn.outvars)):
            steps.setdefault(path, (eqn, inputs, outputs[0]))
        return outputs

    with np.errstate(all="ignore"):
        Interpreter(Floats(), note)(program, question.arguments(place))
    for path, (eqn, inputs, output) in steps.items():
        name, said = eqn.primitive.name, formulas[path]
        kind, others = _OTHER.get(name, ("", ()))
        for other in others:
            yield _Change(path, kind, f"{name} replaced by {other.name} in {said}", functools.partial(_replaced, other))
        if not atoms.is_float(eqn.outvars[0]):
            continue
        if name in _COMPUTING:
            yield _Change(path, "minus", f"a minus before {said}", lambda i, eqn, x, out: i.algebra.neg(out[0]))
            yield _Change(path, "absolute value", f"the absolute value of {said}", _absolute)
            yield _Change(path, "factor", f"{said} doubled", lambda i, eqn, x, out: i.algebra.add(out[0], out[0]))
        if name in ("add", "sub", "add_any", "mul", "div"):
            for kept in range(2 if name != "div" else 1):
                if np.shape(inputs[kept]) == np.shape(output):
                    gone = formulas.operand(path, 1 - kept)
                    yield _Change(path, "operand", f"{gone} left out of {said}", functools.partial(_kept, kept))
        if np.ndim(output) == 2 and np.shape(output)[0] == np.shape(output)[1] and name in _COMPUTING:
            yield _Change(path, "transpose", f"{said} transposed", _transposed)


_CALLED = frozenset("jit pjit custom_jvp_call custom_vjp_call closed_call checkpoint scan while cond".split())
_COMPUTING = frozenset([*_OTHER, "dot_general", "reduce_sum", "integer_pow", "square", "pow", "rsqrt", "neg"]) - {
    "lt", "le", "gt", "ge", "neg",
}  # fmt: skip


def _replaced(other: Primitive, interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
    params = {} if eqn.primitive.name in ("add_any",) else eqn.params
    return interpreter.equation(eqn.replace(primitive=other, params=params), inputs, ())[0]


def _kept(position: int, interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
    return interpreter.spread(inputs[position], True, atoms.shape(eqn.outvars[0]))


def _absolute(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
    return interpreter.absolute(eqn, outputs[0])


def _transposed(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
    rows, columns = interpreter.algebra.shape(outputs[0])
    if rows != columns:  # at another shape
        return outputs[0]
    return interpreter.algebra.move(lambda a: np.swapaxes(a, 0, 1), outputs[0])
