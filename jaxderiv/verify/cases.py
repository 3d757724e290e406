"""A refuted question at one place, opened up for diagnosis: entries, intermediates, addends. All in float64."""

from __future__ import annotations

import dataclasses
import functools
from collections import ChainMap
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxderiv.verify.agreement import Judgement
from jaxderiv.verify.algebra import DERIVATIVES, Floats, Unsupported
from jaxderiv.verify.dual import DualValue
from jaxderiv.verify.expressions import Expressions
from jaxderiv.verify.interpreter import Hook, Interpreter, Path
from jaxderiv.verify.mutation import Addend, split_sum, transposes
from jaxderiv.verify.question import Programs, Question
from jaxderiv.verify.truth import Derivative, Leaves, differentiate

_CLOSE = 1e-8


def close(a: np.ndarray, b: np.ndarray, scale: float) -> bool:
    return bool(np.all(np.abs(a - b) <= _CLOSE * scale))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to rounding, in units of the largest entry."""
    return close(a, b, float(np.max(np.abs(b), initial=0.0)))


@dataclass(frozen=True, eq=False)
class Case:
    """One place.

    Attributes:
        args, hand, true: arguments, the formula's result there and the true one.
        part: which leaves of the result are looked at.
    """

    names: tuple[str, ...]
    kind: str
    what: Derivative
    sizes: dict[str, int]
    args: list[np.ndarray]
    hand: Leaves
    true: Leaves
    program: ClosedJaxpr
    reference: ClosedJaxpr
    autodiff: ClosedJaxpr
    part: tuple[int, ...]

    @staticmethod
    def of(question: Question, j: Judgement, programs: Programs) -> Case:
        assert j.hand is not None
        assert j.truth is not None
        hand, true = j.hand.floats, j.truth.floats
        return Case(
            question.leaves, question.what.kind, question.what, j.place.sizes, question.arguments(j.place), hand, true,
            programs.hand(question, j.place), programs.reference(question, j.place),
            programs.get(question.auto, question.arguments(j.place)), tuple(range(len(true))),
        )  # fmt: skip

    def only(self, part: list[int]) -> Case:
        """The same with some leaves of the result alone."""
        pick = lambda leaves: [leaves[i] for i in part]
        return dataclasses.replace(self, hand=pick(self.hand), true=pick(self.true), part=tuple(part))

    def is_true(self, result: Leaves | None) -> bool:
        """Whether a result, such as that of a changed formula, is the true one."""
        return result is not None and all(same(r, t) for r, t in zip(result, self.true, strict=True))

    def is_hand(self, result: Leaves) -> bool:
        """Whether a result, such as the derivative of a changed loss, is the hand formula's."""
        return all(same(r, h) for r, h in zip(result, self.hand, strict=True))

    @property
    def scalars(self) -> dict[str, float]:
        return {n: float(x) for n, x in zip(self.names, self.args, strict=True) if np.ndim(x) == 0}

    def formula(
        self,
        args: list[np.ndarray] | None = None,
        hook: Hook | None = None,
        program: ClosedJaxpr | None = None,
    ) -> Leaves | None:
        """The hand formula (or another program) with other arguments or a changed step; None if it cannot be
        computed."""
        try:
            out = Interpreter(Floats(), hook)(program or self.program, self.args if args is None else args)
        except (Unsupported, ValueError, ZeroDivisionError, IndexError):
            return None
        return [np.asarray(out[i]) for i in self.part]

    # The loss ------------------------------------------------------------------------------------------------
    def derivative(self, hook: Hook | None = None) -> Leaves:
        out = differentiate(self.reference, self.args, self.what, Floats(), hook=hook)
        return [np.asarray(out[i]) for i in self.part]

    def cut(self, paths: Iterable[Path]) -> Leaves:
        """The derivative of the loss with these steps held constant, as the hand formula may have done."""
        chosen = set(paths)

        def hold(interpreter, path, eqn, inputs, outputs):
            if path not in chosen:
                return outputs
            return [interpreter.algebra.freeze(x) if isinstance(x, DualValue) else x for x in outputs]

        return self.derivative(hold)

    @functools.cached_property
    def loss_formulas(self) -> Expressions:
        return Expressions(self.reference, self.names)

    @functools.cached_property
    def formulas(self) -> Expressions:
        return Expressions(self.program, self.names)

    @functools.cached_property
    def loss_steps(self) -> tuple[Path, ...]:
        """Steps of the loss that depend on the parameter and do more than rearrange."""
        varying: list[Path] = []

        def note(interpreter, path, eqn, inputs, outputs):
            if isinstance(outputs[0], DualValue) and _varies(outputs[0]) and eqn.primitive.name not in _MOVES:
                varying.append(path)
            return outputs

        self.derivative(note)
        return tuple(dict.fromkeys(varying))

    @functools.cached_property
    def parts(self) -> dict[Hashable, Part]:
        """What may be missing or superfluous: derivatives of addends of the loss, addends of the formula, simple
        expressions of the arguments."""
        out: dict[Hashable, Part] = {}
        if self.kind != "value":
            whole = self.derivative()
            for addend in split_sum(self.reference):
                label = self.loss_formulas.operand(addend.path, addend.operand)
                out["loss", addend] = Part("loss", label, _minus(whole, self.derivative(addend.held)))
        for addend, label, part in self._addends(self.program, self.formulas):
            out["formula", addend] = Part("formula", label, part)
            for axes in transposes(part) if len(part) == 1 else []:
                out["turned", addend, axes] = Part("other", f"the transpose of {label}", [part[0].transpose(axes)])
        if len(self.part) == 1:
            out |= {("simple", name): Part("other", name, [x]) for name, x in self._simple().items()}
        return out

    @functools.cached_property
    def machine_parts(self) -> dict[Hashable, Part]:
        """Addends of what autodiff computes."""
        found = self._addends(self.autodiff, Expressions(self.autodiff, self.names))
        return {("autodiff", addend): Part("other", label, part) for addend, label, part in found}

    @property
    def all_parts(self) -> Mapping[Hashable, Part]:
        return ChainMap(self.parts, self.machine_parts)

    def _addends(self, program: ClosedJaxpr, formulas: Expressions) -> Iterator[tuple[Addend, str, Leaves]]:
        whole = self.formula(program=program)
        if whole is None:
            return
        for addend in split_sum(program):
            without = self.formula(hook=addend.without, program=program)
            if without is not None:
                yield addend, formulas.operand(addend.path, addend.operand), _minus(whole, without)

    def _simple(self) -> dict[str, np.ndarray]:
        shape = self.true[0].shape
        found: dict[str, np.ndarray] = {"1": np.ones(shape)}
        arrays = {n: np.asarray(x, float) for n, x in zip(self.names, self.args, strict=True) if np.ndim(x)}
        for name, x in arrays.items():
            for label, y in ((name, x), (f"sign({name})", np.sign(x)), (f"{name}.T", x.T)):
                if y.shape == shape and not (label.endswith(".T") and x.ndim < 2):
                    found[label] = y
            for other, y in arrays.items():
                if x.ndim != 2 or y.ndim not in (1, 2):
                    continue
                if y.shape[0] == x.shape[0] and (x.T @ y).shape == shape:
                    found[f"{name}.T @ {other}"] = x.T @ y
                if y.shape[0] == x.shape[1] and (x @ y).shape == shape:
                    found[f"{name} @ {other}"] = x @ y
        if len(shape) == 2 and shape[0] == shape[1]:
            found["the identity"] = np.eye(shape[0])
        return found

    @functools.cached_property
    def factors(self) -> dict[Hashable, Factor]:
        """Chain factors: slopes of the elementwise functions in the loss, conditions and branches as 0 and 1, its
        intermediates, and arguments."""
        out: dict[Hashable, Factor] = {}
        formulas, seen = self.loss_formulas, set()

        def add(key: Hashable, label: str, value: np.ndarray, indicator: bool = False) -> None:
            if np.isfinite(value).all() and value.any() and label not in seen:
                out[key] = Factor(label, value, indicator)
                seen.add(label)

        def slopes(interpreter, path, eqn, inputs, outputs):
            name, result = eqn.primitive.name, outputs[0]
            dtype = getattr(result, "dtype", None)
            if name in DERIVATIVES:
                slope = DERIVATIVES[name](interpreter.algebra, inputs[0], result)
                add(("slope", path), f"the derivative of {formulas[path]}", slope)
            elif name == "abs" and dtype == np.float64:
                add(("slope", path), f"the derivative of {formulas[path]}", np.sign(inputs[0]))
            elif name in ("max", "min") and dtype == np.float64:
                a, b = (formulas.operand(path, i) for i in (0, 1))
                for i, said in enumerate((f"{a} rather than {b}", f"{b} rather than {a}")):
                    chosen = np.asarray(result == inputs[i], float)
                    add(("branch", path, i), f"the indicator of {formulas[path]} being {said}", chosen, True)
            elif dtype == np.bool_:
                add(("branch", path), f"the indicator of {formulas[path]}", np.asarray(result, float), True)
            return outputs

        def values(interpreter, path, eqn, inputs, outputs):
            if getattr(outputs[0], "dtype", None) == np.float64:
                add(("value", path), formulas[path], outputs[0])
            return outputs

        for note in (slopes, values):
            Interpreter(Floats(), note)(self.reference, self.args)
        for name, x in zip(self.names, self.args, strict=True):
            add(("argument", name), name, np.asarray(x, float))
        return out

    @functools.cached_property
    def masks(self) -> dict[Hashable, tuple[str, np.ndarray]]:
        """Conditions that the programs branch on, and the signs of the arguments."""
        out: dict[Hashable, tuple[str, np.ndarray]] = {}
        for side, program, formulas in ((0, self.program, self.formulas), (1, self.reference, self.loss_formulas)):

            def note(interpreter, path, eqn, inputs, outputs, side=side, formulas=formulas):
                if getattr(outputs[0], "dtype", None) == np.bool_:
                    out[side, path] = formulas[path], outputs[0]
                return outputs

            Interpreter(Floats(), note)(program, self.args)
        for name, x in zip(self.names, self.args, strict=True):
            out[name] = f"{name} < 0", np.asarray(x) < 0
        return out


@dataclass(frozen=True, eq=False)
class Part:
    """An addend: of the "loss", of the "formula", or "other"."""

    source: str
    label: str
    leaves: Leaves


@dataclass(frozen=True, eq=False)
class Factor:
    """An intermediate of the loss; `indicator`: it says where a condition holds."""

    label: str
    value: np.ndarray
    indicator: bool


def _minus(a: Leaves, b: Leaves) -> Leaves:
    return [x - y for x, y in zip(a, b, strict=True)]


_MOVES = frozenset("broadcast_in_dim reshape convert_element_type squeeze transpose copy jit custom_jvp_call".split())


def usable(case: Case) -> bool:
    return all(np.isfinite(x).all() for x in (*case.hand, *case.true)) and any(x.size for x in case.true)


def _varies(x: DualValue) -> bool:
    return x.tangent is not None or (isinstance(x.primal, DualValue) and _varies(x.primal))
