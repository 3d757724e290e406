"""What machines make of the formulas: float64, float32 and bfloat16, hand formula and autodiff alike.

The questions of a derivation are compiled together, one shape per dtype. Errors are given in units in the last
place of the largest entry of a result, so that they compare across entries of different size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import ml_dtypes
import numpy as np

from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.rounding import Rounding
from jaxderiv.verify.truth import Leaves

DTYPES = {"float64": np.float64, "float32": np.float32, "bfloat16": ml_dtypes.bfloat16}


class Machine:
    """The compiled programs of some questions in one dtype.

    Args:
        questions: compiled together; they share the leaves of the place by name.
        dtype: "float64", "float32" or "bfloat16".
    """

    def __init__(self, questions: Sequence[Question], dtype: str):
        self.dtype, self.questions = dtype, tuple(questions)

        def both(values: dict):
            args = [[values[name] for name in q.leaves] for q in self.questions]
            hand = [jax.tree.leaves(q.hand(*a)) for q, a in zip(self.questions, args, strict=True)]
            auto = [jax.tree.leaves(q.auto(*a)) for q, a in zip(self.questions, args, strict=True)]
            return hand, auto

        self._both = jax.jit(both)

    def holds(self, place: Place) -> bool:
        """Whether this dtype represents the place's numbers exactly."""
        return all(np.array_equal(self._cast(x), x, equal_nan=True) for x in place.values.values())

    def _cast(self, x: np.ndarray) -> np.ndarray:
        return x.astype(DTYPES[self.dtype]) if np.issubdtype(x.dtype, np.floating) else x

    def __call__(self, place: Place) -> tuple[list[Leaves], list[Leaves]]:
        """The results of hand formulas and of autodiff, question by question, as arrays of the dtype."""
        with jax.enable_x64(self.dtype == "float64"):
            hand, auto = self._both({name: self._cast(x) for name, x in place.values.items()})
            return jax.tree.map(np.asarray, hand), jax.tree.map(np.asarray, auto)


@dataclass(frozen=True)
class Error:
    """The error of one result in one dtype at one place, in ulps of its largest entry.

    Attributes:
        ulps: the largest error; inf where the result is not finite although the truth is.
        over: the largest ratio of error and bound (hand formulas only); at most 1 for a sound program.
        bound: the largest bound, in ulps.
    """

    ulps: float
    over: float = 0.0
    bound: float = 0.0


def error(result: Leaves, exact: Leaves, dtype: str, bounds: Leaves | None = None) -> Error:
    """Compare computed leaves with exact ones (mpmath numbers)."""
    info = ml_dtypes.finfo(DTYPES[dtype])
    worst, over, widest = 0.0, 0.0, 0.0
    for index, (got, true) in enumerate(zip(result, exact, strict=True)):
        if not got.size:
            continue
        largest = max(abs(x) for x in true.ravel())
        if largest > float(info.max):
            continue  # the dtype cannot hold the truth
        ulp = max(float(largest), float(info.tiny)) * float(info.eps)
        values = np.asarray(got, np.float64).ravel()
        off = [
            abs(float(x - float(v))) if math.isfinite(v) else math.inf
            for v, x in zip(values, true.ravel(), strict=True)
        ]
        if largest >= float(info.smallest_subnormal) or max(off) == math.inf:  # else the dtype has no unit to count in
            worst = max(worst, max(off) / ulp)
        if bounds is not None:
            room = np.asarray(bounds[index], np.float64).ravel()
            over = max(over, max((o / b if b else (math.inf if o else 0.0)) if b < math.inf else 0.0
                                 for o, b in zip(off, room, strict=True)))  # fmt: skip
            widest = max(widest, float(room.max()) / ulp)
    return Error(worst, over, widest)


def bounds(question: Question, place: Place, programs: Programs, dtype: str) -> Leaves:
    """Running error bounds of the hand formula in a dtype."""
    with np.errstate(all="ignore"):
        rounded = Interpreter(Rounding(dtype))(programs.hand(question, place), question.arguments(place))
    unit = float(ml_dtypes.finfo(DTYPES[dtype]).eps)
    return [r.error + unit * np.abs(r.value) for r in rounded]  # the result itself is stored in the dtype
