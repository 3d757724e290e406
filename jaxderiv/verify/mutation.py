"""Mutants: small, typical mistakes, made on purpose, that show whether a point has the power to notice them.

Mutants act on the output of a formula (sign, factor, transpose, normalisation, a shifted row) and on its addends
(one left out). A point that cannot tell the formula from such a mutant proves nothing by agreeing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Floats, Value
from jaxderiv.verify.interpreter import Interpreter, Path
from jaxderiv.verify.truth import Leaves


@dataclass(frozen=True)
class Mutant:
    kind: str
    leaves: Leaves


def mutants(leaves: Leaves, addends: Mapping[Addend, Leaves], sizes: dict[str, int]) -> Iterator[Mutant]:
    """Mutants of a result that is given entry by entry.

    Args:
        addends: what each addend of the formula contributes to the result.
        sizes: of the dimensions, for normalisations.
    """
    yield Mutant("sign", [-x for x in leaves])
    yield Mutant("factor 2", [2 * x for x in leaves])
    for name, size in sizes.items():
        if size > 1:
            yield Mutant(f"1/{name} dropped", [size * x for x in leaves])
            yield Mutant(f"1/{name} added", [x / size for x in leaves])
    for axes in transposes(leaves):
        yield Mutant("transposed", [x.transpose(axes) if x.ndim == len(axes) else x for x in leaves])
    if any(x.ndim and x.shape[0] > 1 for x in leaves):
        yield Mutant("row shifted", [np.roll(x, 1, axis=0) if x.ndim else x for x in leaves])
    for parts in addends.values():
        yield Mutant("addend dropped", [x - part for x, part in zip(leaves, parts, strict=True)])


def transposes(leaves: Leaves) -> list[tuple[int, ...]]:
    """Permutations of axes that keep the shape of the first leaf, without the identity."""
    x = leaves[0]
    if not 2 <= x.ndim <= 4:
        return []
    identity = tuple(range(x.ndim))
    same = [a for a in itertools.permutations(identity) if tuple(x.shape[i] for i in a) == x.shape]
    return [axes for axes in same if axes != identity]


def killed(mutant: Mutant, leaves: Leaves) -> bool:
    """Whether the mutant is visibly another result."""
    for got, right in zip(mutant.leaves, leaves, strict=True):
        if np.shape(got) != np.shape(right):  # transposed as another result that is square can be
            return True
        scale = np.max(np.abs(right), initial=0.0)
        if not np.all(np.abs(got - right) <= 1e-9 * scale):
            return True
    return False


@dataclass(frozen=True)
class Addend:
    """One operand of an addition or subtraction in a program."""

    path: Path
    operand: int

    def without(self, interpreter: Interpreter, path: Path, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
        """As a hook: the sum without this operand."""
        if path != self.path:
            return outputs
        zero = interpreter.algebra.mul(inputs[self.operand], interpreter.algebra.number(0.0, inputs[self.operand]))
        return interpreter.equation(eqn, _replaced(inputs, self.operand, zero), path)

    def held(self, interpreter: Interpreter, path: Path, eqn: JaxprEqn, inputs: list[Value], outputs: list[Value]):
        """As a hook: the sum with this operand held constant."""
        if path != self.path:
            return outputs
        if not atoms.is_float(eqn.invars[self.operand]):
            return outputs
        frozen = interpreter.algebra.freeze(inputs[self.operand])
        return interpreter.equation(eqn, _replaced(inputs, self.operand, frozen), path)


def _replaced(values: list[Value], position: int, value: Value) -> list[Value]:
    return [value if i == position else x for i, x in enumerate(values)]


# What a sum may pass through and stay a sum: operations that are linear in the operands named here.
_LINEAR: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("mul", "dot_general"), (0, 1)),
    **dict.fromkeys(("neg", "reduce_sum", "div", "convert_element_type", "copy"), (0,)),
    **dict.fromkeys(("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice"), (0,)),
    "select_n": (1, 2),
}


def split_sum(program: ClosedJaxpr) -> list[Addend]:
    """The addends of a program's results: operands of additions that only linear operations follow."""
    found: list[Addend] = []
    for variable in program.jaxpr.outvars:
        _follow(program.jaxpr, variable, (), None, found)
    return list(dict.fromkeys(found))


def _follow(jaxpr: Any, variable: Any, path: Path, outer: Any, found: list[Addend]) -> None:
    """Go back from a variable; `outer` continues at the call when an argument of its body is reached."""
    if isinstance(variable, Literal):
        return
    number = next((i for i, e in enumerate(jaxpr.eqns) if variable in e.outvars), None)
    if number is None:
        if outer is not None and variable in jaxpr.invars:
            outer(jaxpr.invars.index(variable))
        return
    eqn, here = jaxpr.eqns[number], (*path, number)
    name = eqn.primitive.name
    inner = next((eqn.params[key] for key in ("jaxpr", "call_jaxpr") if key in eqn.params), None)
    if inner is not None and name != "scan":
        body = getattr(inner, "jaxpr", inner)
        again = lambda i: _follow(jaxpr, eqn.invars[i], path, outer, found)
        _follow(body, body.outvars[eqn.outvars.index(variable)], here, again, found)
        return
    if name in ("add", "sub", "add_any") and atoms.is_float(variable):
        found += [Addend(here, 0), Addend(here, 1)]
        operands: tuple[int, ...] = (0, 1)
    else:
        operands = _LINEAR.get(name, ())
    for i in operands:
        _follow(jaxpr, eqn.invars[i], path, outer, found)


def addends(program: ClosedJaxpr, args: list[np.ndarray]) -> dict[Addend, Leaves]:
    """What each addend contributes to the results."""
    with np.errstate(all="ignore"):
        whole = Interpreter(Floats())(program, args)
        return {
            addend: [x - y for x, y in zip(whole, Interpreter(Floats(), addend.without)(program, args), strict=True)]
            for addend in split_sum(program)
        }
