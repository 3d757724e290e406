"""A claim made ready to be tested, and the places at which it is tested.

A question is flat: it takes a fixed list of named arrays (its *leaves*) and its results are lists of arrays.
A place is one array for every leaf. Derivations and `jaxderiv.check` both end up here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxderiv.derivation import UNTRACEABLE, untraceable_words
from jaxderiv.domains import Domain
from jaxderiv.verify.interpreter import trace
from jaxderiv.verify.truth import Derivative

Sizes = dict[str, int]


@dataclass(frozen=True)
class Place:
    """A point of the sweep.

    Attributes:
        kind: "generic" (counts towards agreement), "sought" (so does this one; on a side of a comparison that generic
            ones do not reach), "own" (the user's example values) or "edge" (looked at for floating point; a finite
            wrong value refutes here too).
    """

    label: str
    kind: str
    sizes: Sizes
    values: dict[str, np.ndarray]

    @property
    def size_words(self) -> str:
        return ", ".join(f"{name} = {size}" for name, size in self.sizes.items())


@dataclass(frozen=True, eq=False)
class Question:
    """Does `hand` equal the derivative `what` of `base` (or, for a line, the function `auto`)?

    Attributes:
        leaves: names of the arrays that hand, auto and base take, in order.
        floating: names of those that vary continuously, so that they may be moved a little.
        domains: where leaves live, of those that are not any reals; a counterexample has to respect it.
        hand, auto, base: flat functions of the leaves; base is None for a line.
        left: how the other side is called.
        narrow: dtypes beside float64 that results may have: those of the user's example.
        least: sizes below which a counterexample must not go, since labels index the axis.
        script: Python that shows formula and other side at some values.
    """

    derivation: str
    claim: str
    statement: str
    leaves: tuple[str, ...]
    floating: frozenset[str]
    hand: Callable[..., Any]
    auto: Callable[..., Any]
    base: Callable[..., Any] | None
    what: Derivative
    left: str
    domains: Mapping[str, Domain]
    script: Callable[[dict[str, np.ndarray]], str]
    least: Mapping[str, int] = field(default_factory=dict)
    narrow: frozenset[np.dtype] = frozenset()

    def arguments(self, place: Place) -> list[np.ndarray]:
        return [place.values[name] for name in self.leaves]

    def result_shapes(self, place: Place, outputs: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shapes that the result ought to have; `outputs` are those of the function that is differentiated."""
        of = lambda positions: [np.shape(place.values[self.leaves[i]]) for i in positions]
        if self.what.kind == "value":
            return outputs
        if self.what.kind == "jacobian":
            return [(*o, *s) for o in outputs for s in of(self.what.of)]
        if self.what.kind == "hessian":
            return [(*s, *t) for s in of(self.what.of) for t in of(self.what.columns)]
        return of(self.what.of)

    @property
    def moving(self) -> tuple[int, ...]:
        """The positions that may be moved to look at a kink from its sides."""
        if self.what.kind == "value":
            return tuple(i for i, name in enumerate(self.leaves) if name in self.floating)
        return self.what.moving


@dataclass
class Programs:
    """Jaxprs of questions by shape: traced once."""

    traced: dict[Any, ClosedJaxpr] = field(default_factory=dict)
    opaque: dict[Any, str] = field(default_factory=dict)  # formulas that JAX cannot trace, and why

    def get(self, f: Callable[..., Any], args: list[np.ndarray]) -> ClosedJaxpr:
        key = (f, tuple((np.shape(a), np.asarray(a).dtype.str) for a in args))
        if key not in self.traced:
            self.traced[key] = trace(lambda *leaves: jax.tree.leaves(f(*leaves)), *args)
        return self.traced[key]

    def hand(self, question: Question, place: Place) -> ClosedJaxpr:
        """The hand formula's program. One that cannot be traced (it calls NumPy, or branches on values) is run at
        the place, and its program is its results."""
        if question not in self.opaque:
            try:
                return self.get(question.hand, question.arguments(place))
            except UNTRACEABLE as error:
                self.opaque[question] = untraceable_words(error)
        key = (question, *(np.asarray(x).tobytes() for x in question.arguments(place)))
        if key not in self.traced:
            with jax.enable_x64(True):
                values = [jnp.asarray(x) for x in question.arguments(place)]
                results = [np.asarray(x) for x in jax.tree.leaves(question.hand(*values))]
            self.traced[key] = trace(lambda *leaves: [jnp.asarray(x) for x in results], *question.arguments(place))
        return self.traced[key]

    def misshapen(self, question: Question, place: Place) -> str:
        """What is wrong with the shapes or dtypes of the hand formula's results at a place, or ""."""
        got = [v.aval for v in self.hand(question, place).jaxpr.outvars]
        outputs = [v.aval for v in self.reference(question, place).jaxpr.outvars]
        want = question.result_shapes(place, [v.shape for v in outputs])
        if [v.shape for v in got] != want:
            words = lambda shapes: " and ".join(str(tuple(s)) for s in shapes) or "nothing"
            return f"the result has shape {words(v.shape for v in got)}; it should have shape {words(want)}"
        bad = next((v.dtype for v in got if v.dtype != np.float64 and v.dtype not in question.narrow), None)
        return f"the result has dtype {bad} where the arguments are float64" if bad is not None else ""

    def reference(self, question: Question, place: Place) -> ClosedJaxpr:
        """The program whose derivative (or, for a line, whose value) is the truth."""
        return self.get(question.base or question.auto, question.arguments(place))
