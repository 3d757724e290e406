"""Programs back into formulas: what an equation of a jaxpr computes, as a person would write it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxderiv.verify import atoms

Path = tuple[int, ...]

LONGEST = 72
_ATOM, _POWER, _PRODUCT, _SUM, _LOOSE = 4, 3, 2, 1, 0
_SILENT = frozenset(
    "broadcast_in_dim reshape convert_element_type squeeze expand_dims copy stop_gradient reduce_precision pad".split()
)
_INFIX = {
    "add": ("+", _SUM),
    "add_any": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": ("*", _PRODUCT),
    "div": ("/", _PRODUCT),
}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_OTHER_NAMES = {
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "logistic": "sigmoid",
}
_PLUMBING = frozenset(["<lambda>", "_where", "fn", "f", "loss", "wrapped", "true_divide", "_reduce_sum", "clip"])

Term = tuple[str, int]  # a formula and how tightly it binds


class Expressions:
    """The formulas of a program: of each equation (by path) and of each operand of one.

    Args:
        names: what the program's arguments are called.
    """

    def __init__(self, program: ClosedJaxpr, names: Sequence[str]):
        self._results: dict[Path, str] = {}
        self._operands: dict[Path, list[str]] = {}
        self._walk(program.jaxpr, [(name, _ATOM) for name in names], ())

    def __getitem__(self, path: Path) -> str:
        return _short(self._results.get(path, "an inner step"))

    def operands(self, path: Path) -> list[str]:
        """The operands of an equation that has several; of others none."""
        found = self._operands.get(path, [])
        return [_short(text) for text in found] if len(found) > 1 else []

    def operand(self, path: Path, position: int) -> str:
        operands = self._operands.get(path)
        return _short(operands[position]) if operands else "an inner step"

    def _walk(self, jaxpr: Jaxpr, args: list[Term], path: Path) -> list[Term]:
        env: dict[Any, Term] = dict(zip(jaxpr.invars, args, strict=True))
        env.update((var, ("constant", _ATOM)) for var in jaxpr.constvars)
        read = lambda atom: (_number(atom.val), _ATOM) if isinstance(atom, Literal) else env[atom]
        for number, eqn in enumerate(jaxpr.eqns):
            here, operands = (*path, number), [read(atom) for atom in eqn.invars]
            terms = self._terms(eqn, operands, here)
            self._results[here] = terms[0][0] if terms else ""
            self._operands[here] = [text for text, _ in operands]
            env.update(zip(eqn.outvars, terms, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _terms(self, eqn: JaxprEqn, args: list[Term], path: Path) -> list[Term]:
        name = eqn.primitive.name
        inner = next((eqn.params[key] for key in ("jaxpr", "call_jaxpr") if key in eqn.params), None)
        if inner is not None and name != "scan":
            out = self._walk(inner if isinstance(inner, Jaxpr) else inner.jaxpr, args, path)
            label = str(eqn.params.get("name", ""))
            if label and label not in _PLUMBING and len(out) == 1:
                return [(f"{label.strip('_')}({', '.join(text for text, _ in args)})", _ATOM)]
            return out
        if name in _SILENT and args:
            return [args[0]] * len(eqn.outvars)
        return [_term(eqn, name, args)] * len(eqn.outvars)


def _term(eqn: JaxprEqn, name: str, args: list[Term]) -> Term:
    within = lambda term, level: term[0] if term[1] >= level else f"({term[0]})"
    if name in _INFIX:
        sign, level = _INFIX[name]
        right = level + (name in ("sub", "div"))
        return f"{within(args[0], level)} {sign} {within(args[1], right)}", level
    if name in _COMPARE:
        return f"{within(args[0], _SUM)} {_COMPARE[name]} {within(args[1], _SUM)}", _LOOSE
    if name == "neg":
        return f"-{within(args[0], _PRODUCT)}", _PRODUCT
    if name == "square":
        return f"{within(args[0], _ATOM)}**2", _POWER
    if name in ("integer_pow", "pow"):
        exponent = str(eqn.params["y"]) if name == "integer_pow" else within(args[1], _ATOM)
        return f"{within(args[0], _ATOM)}**{exponent}", _POWER
    if name == "transpose":
        return f"{within(args[0], _ATOM)}.T", _ATOM
    if name == "dot_general":
        return _product(eqn, args, within), _PRODUCT
    if name == "select_n" and len(args) == 3:
        return f"where({args[0][0]}, {args[2][0]}, {args[1][0]})", _ATOM
    if name in ("gather", "slice", "dynamic_slice"):
        return f"{within(args[0], _ATOM)}[...]", _ATOM
    return f"{_OTHER_NAMES.get(name, name)}({', '.join(text for text, _ in args)})", _ATOM


def _product(eqn: JaxprEqn, args: list[Term], within: Callable[[Term, int], str]) -> str:
    (contract_a, contract_b), _ = eqn.params["dimension_numbers"]
    ranks = [len(atoms.shape(v)) for v in eqn.invars]
    turned = [ranks[0] == 2 and tuple(contract_a) == (0,), ranks[1] == 2 and tuple(contract_b) == (1,)]
    sides = [within(a, _ATOM) + ".T" * t for a, t in zip(args, turned, strict=True)]
    return " @ ".join(sides)


def _number(x: Any) -> str:
    value = np.asarray(x)
    if value.ndim:
        return "constant"
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.12g}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
