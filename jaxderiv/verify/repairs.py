"""Explanations by repair: one step of the formula is changed, and it becomes right everywhere.

Either a step lacks a factor that occurs in the loss (a chain factor inside of a contraction), or it is a small slip:
a sign, a factor, a size, a transpose, swapped branches, a function in the place of its derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jax.extend.core import JaxprEqn

from jaxderiv.verify.algebra import DERIVATIVES, Floats, Value
from jaxderiv.verify.cases import Case
from jaxderiv.verify.interpreter import Hook, Interpreter, Path

_MOST = 4000  # formulas tried at the first case

Repair = Callable[[Case], Hook]
Steps = dict[Path, tuple[JaxprEqn, list[Value], list[Value]]]


def _steps(case: Case) -> Steps:
    """The float equations of the hand formula, with inputs and outputs."""
    found: Steps = {}

    def note(interpreter, path, eqn, inputs, outputs):
        if getattr(outputs[0], "dtype", None) == np.float64:
            found.setdefault(path, (eqn, inputs, outputs))
        return outputs

    Interpreter(Floats(), note)(case.program, case.args)
    return found


def at(path: Path, change: Callable[[Interpreter, list[Value], list[Value]], Value]) -> Hook:
    """A hook that changes the first output of one step."""

    def hook(interpreter, here, eqn, inputs, outputs):
        return [change(interpreter, inputs, outputs), *outputs[1:]] if here == path else outputs

    return hook


def _holds(repair: Repair, cases: list[Case]) -> bool:
    return all(case.is_true(case.formula(hook=repair(case))) for case in cases)


def intermediate_factor(cases: list[Case]) -> tuple[str, str] | None:
    """A step that lacks a factor which is an intermediate of the loss or the slope of one of its functions."""
    first, tried = cases[0], 0
    for path, (_, _, outputs) in _steps(first).items():
        for key, factor in first.factors.items():
            for lift in _fits(factor.value.shape, outputs[0].shape):
                for words, apply in (("multiplied", np.multiply), ("divided", np.divide)):
                    tried += 1
                    if tried > _MOST:
                        return None

                    def repair(case: Case, path=path, key=key, apply=apply, lift=lift) -> Hook:
                        spread = lambda shape: case.factors[key].value.reshape(lift(shape))
                        return at(path, lambda i, x, out: apply(out[0], spread(out[0].shape)))

                    if all(key in case.factors for case in cases) and _holds(repair, cases):
                        missing = "a branch is not cut off" if factor.indicator else "a chain factor is missing"
                        words = f"{missing}: {first.formulas[path]} should be {words} by {factor.label}"
                        return "branch" if factor.indicator else "chain", words
    return None


def _fits(factor: tuple[int, ...], step: tuple[int, ...]) -> list[Callable]:
    """How a factor can be spread over a step: as it is, along its first axes, or as a scalar."""
    rank = len(factor)
    if factor == step:
        return [lambda shape: shape]
    if rank == 0:
        return [lambda shape: ()]
    if step[:rank] == factor:
        return [lambda shape: (*shape[:rank], *(1 for _ in shape[rank:]))]
    return []


def one_step(cases: list[Case]) -> tuple[str, str] | None:
    """A small slip in one step."""
    first = cases[0]
    for path, (eqn, inputs, outputs) in _steps(first).items():
        for cause, words, repair in _slips(first, path, eqn, inputs, outputs):
            if _holds(repair, cases):
                return cause, words
    return None


def _slips(
    case: Case, path: Path, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]
) -> Iterator[tuple[str, str, Repair]]:
    name, formula = eqn.primitive.name, case.formulas[path]
    of = lambda position: case.formulas.operand(path, position)
    always = lambda change: lambda _: at(path, change)
    yield "step", f"the sign of {formula} is wrong", always(lambda i, x, out: -out[0])
    for factor, said in ((2.0, "2"), (0.5, "1/2")):
        words = f"the step {formula} should be multiplied by {said}"
        yield "step", words, always(lambda i, x, out, factor=factor: factor * out[0])
    for size in case.sizes:
        for power, said in ((-1.0, f"1/{size}"), (1.0, size)):

            def scaled(c: Case, size=size, power=power) -> Hook:
                return at(path, lambda i, x, out: out[0] * float(c.sizes[size]) ** power)

            yield "step", f"the step {formula} should be multiplied by {said}", scaled
    if name in ("mul", "dot_general", "div") and name != "dot_general":
        for keep, drop in ((0, 1), (1, 0)):
            if name == "div" and keep == 1:
                continue
            if np.shape(inputs[keep]) == outputs[0].shape:
                action = "divides by" if name == "div" else "multiplies by"
                words = f"a factor too many: the formula {action} {of(drop)} in {formula}"
                yield "step", words, always(lambda i, x, out, keep=keep: x[keep])
    if name in DERIVATIVES:
        words = f"{formula} stands where its derivative should"
        yield "chain", words, always(lambda i, x, out, name=name: DERIVATIVES[name](i.algebra, x[0], out[0]))
    if name == "integer_pow":
        for change in (-1, 1):
            power = eqn.params["y"] + change
            words = f"{of(0)} should be raised to {power} in {formula}"
            yield "step", words, always(lambda i, x, out, power=power: i.algebra.integer_power(x[0], power))
    if name == "select_n" and len(inputs) == 3:
        swap = lambda i, x, out: np.where(np.asarray(x[0], bool), x[1], x[2])
        yield "branch", f"the two cases of {formula} are swapped", always(swap)
    if outputs[0].ndim == 2 and outputs[0].shape[0] == outputs[0].shape[1]:
        yield "layout", f"{formula} should be transposed", always(lambda i, x, out: out[0].T)
