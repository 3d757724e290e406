"""Places that random points do not reach: where a comparison in a program comes out the other way.

A formula may be wrong only where |x| > 10. The comparisons themselves say where to look: from a place at which one
came out one way, the arguments are moved along the gradient of the difference of its sides until it changes sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Floats, Unsupported
from jaxderiv.verify.dual import Dual
from jaxderiv.verify.interpreter import Interpreter, Path
from jaxderiv.verify.question import Place, Programs, Question

_STEPS = 12
_SCALES = (8.0, 64.0, 0.125, -1.0)  # of the arguments, where a gradient says nothing
_MOST = 6  # places that are sought for one question

Key = tuple[int, Path]


@dataclass(frozen=True)
class _Gap:
    """The difference of the two sides of a comparison, entry by entry, and its derivatives; None if it has none."""

    value: np.ndarray
    tangent: np.ndarray | None


def _gap(eqn: JaxprEqn, inputs: list) -> tuple | None:
    """The operands whose difference decides an equation; None if it decides nothing."""
    name = eqn.primitive.name
    if name in ("lt", "le", "gt", "ge", "max", "min"):
        return (inputs[0], inputs[1]) if atoms.is_float(eqn.invars[0]) else None
    if name in ("abs", "sign"):
        return (inputs[0],) if atoms.is_float(eqn.invars[0]) else None
    return None


def outcomes(programs: Iterable[ClosedJaxpr], args: list[np.ndarray]) -> dict[Key, set[bool]]:
    """How every comparison of the programs came out at a place: signs of the differences of their sides."""
    found: dict[Key, set[bool]] = {}
    for number, program in enumerate(programs):

        def note(interpreter, path, eqn, inputs, results, number=number):
            sides = _gap(eqn, inputs)
            if sides is not None:
                value = sides[0] - sides[1] if len(sides) == 2 else sides[0]
                signs = np.sign(np.asarray(value, dtype=float)).ravel().tolist()
                if all(abs(s) <= 1 for s in signs):  # no NaN
                    found.setdefault((number, path), set()).update(s > 0 for s in signs if s)
            return results

        Interpreter(Floats(), note)(program, args)
    return found


def seek(question: Question, places: list[Place], programs: Programs) -> Iterator[Place]:
    """Places of the first one's shape at which a comparison comes out as at none of the given ones."""
    home = places[0]
    both = [programs.hand(question, home), programs.reference(question, home)]
    moving = [name for name in question.leaves if name in question.floating]
    with np.errstate(all="ignore"):
        try:
            seen: dict[Key, set[bool]] = {}
            for place in places:
                if place.sizes == home.sizes:
                    _join(seen, outcomes(both, question.arguments(place)))
            tried: set[Key] = set()
            for number in range(_MOST):
                target = next((k for k, found in seen.items() if len(found) == 1 and k not in tried), None)
                if target is None:
                    return
                tried.add(target)
                found = _turned(question, home, both[target[0]], target[1], True not in seen[target], moving)
                if found is not None:
                    place = Place(f"sought place {number + 1}", "sought", home.sizes, found)
                    _join(seen, outcomes(both, question.arguments(place)))
                    yield place
        except (Unsupported, ValueError, IndexError, ZeroDivisionError):
            return  # what floats cannot evaluate is not sought


def _join(seen: dict[Key, set[bool]], more: dict[Key, set[bool]]) -> None:
    for key, signs in more.items():
        seen.setdefault(key, set()).update(signs)


def _turned(
    question: Question, home: Place, program: ClosedJaxpr, path: Path, positive: bool, moving: list[str]
) -> dict[str, np.ndarray] | None:
    """Values at which some entry of this comparison's difference has the wanted sign."""
    sign = 1.0 if positive else -1.0
    starts = [home.values, *({**home.values, **{n: s * home.values[n] for n in moving}} for s in _SCALES)]
    for start in starts:
        values = dict(start)
        for _ in range(_STEPS):
            if not _allowed(question, values):
                break
            gap = _difference(question, program, path, values, moving)
            if gap is None or gap.tangent is None:
                break
            if (sign * gap.value > 1e-6).any():
                return values
            slopes = np.sum(gap.tangent**2, axis=-1)
            usable = np.isfinite(gap.value) & np.isfinite(slopes) & (slopes > 0)
            if not usable.any():
                break
            entry = int(np.argmin(np.where(usable, gap.value**2 / np.where(usable, slopes, 1.0), np.inf)))
            step = (sign * 0.25 - gap.value[entry] * 1.25) / slopes[entry] * gap.tangent[entry]
            values = _moved(values, moving, step)
    return None


def _moved(values: dict[str, np.ndarray], moving: list[str], step: np.ndarray) -> dict[str, np.ndarray]:
    """Values after a step, rounded to few bits where that changes little."""
    out, start = dict(values), 0
    for name in moving:
        x = values[name]
        moved = x + step[start : start + x.size].reshape(x.shape)
        scale = 2.0 ** (10 - np.ceil(np.log2(np.maximum(np.abs(moved), 1e-3))))
        out[name] = np.asarray(np.round(moved * scale) / scale)
        start += x.size
    return out


def _allowed(question: Question, values: dict[str, np.ndarray]) -> bool:
    return all(domain.contains(values[name]) for name, domain in question.domains.items())


def _difference(
    question: Question, program: ClosedJaxpr, path: Path, values: dict[str, np.ndarray], moving: list[str]
) -> _Gap | None:
    """The difference of a comparison's sides and its derivative in all arguments that move, flattened."""
    sizes = [values[name].size for name in moving]
    dual = Dual(Floats(), sum(sizes))
    args: list[Any] = []
    start = 0
    for name in question.leaves:
        x = values[name]
        if name not in moving:
            args.append(x)
            continue
        seed = np.eye(x.size, dual.directions, start).reshape((*x.shape, dual.directions))
        args.append(dual.variable(np.asarray(x, float), seed))
        start += x.size
    found: list[_Gap] = []

    def note(interpreter, here, eqn, inputs, results):
        if here == path and not found:
            sides = _gap(eqn, inputs) or ()
            value = dual.sub(*sides) if len(sides) == 2 else sides[0]
            tangent = None if value.tangent is None else value.tangent.reshape(-1, dual.directions)
            found.append(_Gap(value.primal.ravel(), tangent))
        return results

    Interpreter(dual, note)(program, args)
    return found[0] if found else None
