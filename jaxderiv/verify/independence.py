"""Whether the exponents of a formula are independent and uniform, so that a match with exponentials has a bound.

With variables drawn uniformly modulo p1, exponents that are affine in one argument, with a Jacobian of full rank, are
jointly uniform whatever the others are. All further exponents have to be combinations of these with small integer
coefficients, whose exponentials are monomials.
"""

from __future__ import annotations

import math

import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxderiv.domains import by_name
from jaxderiv.verify.dual import Dual, DualValue
from jaxderiv.verify.elements import element_at, labels_of
from jaxderiv.verify.field import PRIMES, Field, Logs
from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.question import Place, Programs, Question

_EXPONENTIAL = frozenset("exp expm1 logistic tanh sinh cosh".split())
_LOGARITHM = frozenset(["log", "log1p"])


class _Exponents(Dual):
    """Dual numbers whose tangents are those of the parts without logarithms, which is what exponentials are taken of:
    exp(v + log u) = u exp(v)."""

    def function(self, name, x):
        out = super().function(name, x)
        if out.tangent is None:
            return out
        shape, depth = self.base.shape(out.tangent), len(out.tangent.residues)
        of = lambda value: tuple(np.full(shape, value, dtype=object) for _ in range(depth))
        logs = Logs(lambda: (of(0), of(1)), (0, 0)) if name in _LOGARITHM else None
        return DualValue(out.primal, out.tangent._replace(logs=logs))

    def freeze(self, x):
        return x  # a maximum that is subtracted is a part of the exponent, whatever derivatives think of it

    def row(self, x: DualValue) -> list[tuple]:
        """Tangents and value modulo p1 of every entry of an exponent."""
        level = 1
        tangent, value = self.tangent(x), x.primal
        rest = lambda e: (e.residues if e.logs is None else e.logs.rest)[level]
        return [(*t, v) for t, v in zip(rest(tangent).reshape(-1, self.directions).tolist(),
                                        rest(value).ravel().tolist(), strict=True)]  # fmt: skip


def independent(question: Question, place: Place, programs: Programs, seed: int, labels: bool) -> bool:
    """Whether all exponents are jointly uniform: one argument after the other makes those exponents so that depend on
    it and on no argument before."""
    free = (type(None), by_name["Real"])
    is_free = lambda name: type(question.domains.get(name)) in free and place.values[name].dtype == np.float64
    leaves = [i for i, name in enumerate(question.leaves) if is_free(name)]
    both = [programs.hand(question, place), programs.reference(question, place)]
    field = Field(seed, depth=2)
    drawn = {name: place.values[name] for name in labels_of(question)} if labels else {}
    point = element_at(question, place, field, drawn)
    todo: np.ndarray | None = None
    for i in sorted(leaves, key=lambda i: -np.size(place.values[question.leaves[i]])):
        first = _exponents(both, point, i, field)
        moved = [*point[:i], field.variable(place.values[question.leaves[i]]), *point[i + 1 :]]
        second = _exponents(both, moved, i, field)
        if todo is None:
            todo = np.ones(len(first), dtype=bool)
        depends = np.array([any(row[:-1]) for row in first], dtype=bool)
        rows = {row for row, take in zip(first, todo & depends, strict=True) if take}
        affine = len(first) == len(second) and all(
            a[:-1] == b[:-1] for a, b, take in zip(first, second, todo, strict=False) if take
        )
        if affine and _small_combinations(sorted(rows), PRIMES[1]):
            todo &= ~depends
        if not any(row[-1] for row, left in zip(first, todo, strict=True) if left):
            return True  # what is left is exp(0)
    return False


def _exponents(both: list[ClosedJaxpr], point: list, position: int, field: Field) -> list[tuple]:
    """Of all exponents, in order: the derivative in one argument and the value, modulo p1."""
    shape = field.shape(point[position])
    dual = _Exponents(field, math.prod(shape))
    rows: list[tuple] = []

    def note(interpreter, path, eqn, inputs, outputs):
        if eqn.primitive.name in _EXPONENTIAL:
            rows.extend(dual.row(inputs[0]))
        return outputs

    seed = np.eye(dual.directions).reshape((*shape, dual.directions))
    values = [dual.variable(x, seed) if i == position else (x if isinstance(x, np.ndarray) else dual.constant(x))
              for i, x in enumerate(point)]  # fmt: skip
    for program in both:
        Interpreter(dual, note)(program, values)
    return rows


def _small_combinations(rows: list[tuple], p: int) -> bool:
    """Whether every row is a combination, with coefficients of size 4 at most, of rows that are linearly independent
    without their last entry."""
    basis: list[tuple[list[int], dict[int, int], int]] = []  # a reduced row, its combination of the rows, its pivot
    for number, row in enumerate(rows):
        if any(x != x for x in row):
            return False
        rest, made = list(row), {number: 1}
        for reduced, made_of, pivot in basis:
            if factor := rest[pivot]:
                rest = [(x - factor * y) % p for x, y in zip(rest, reduced, strict=True)]
                for k, c in made_of.items():
                    made[k] = (made.get(k, 0) - factor * c) % p
        first = next((i for i, x in enumerate(rest[:-1]) if x), None)
        if first is None:
            if rest[-1] or any(min(c, p - c) > 4 for k, c in made.items() if k != number):
                return False
            continue
        inverse = pow(rest[first], -1, p)
        basis.append(([x * inverse % p for x in rest], {k: c * inverse % p for k, c in made.items()}, first))
    return True
