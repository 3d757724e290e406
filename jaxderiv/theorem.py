r"""Statements of a text, and the functions that decide them.

A derivation's lines are equalities. A text says more: that a bound holds at every iterate, that a set is convex, that a
method needs so many steps; and some of what it says is false as worded. Here a *statement* has a permanent id, its
words, and a label; beside it stand the functions that decide it::

    lemma = statement("C4.38", TRUE, r"If $\nabla f$ is L-Lipschitz, f lies below its tangent plus $\frac L2\|y-x\|^2$")

    @lemma.true
    def descent_lemma(x: Real[Array, d], y: Real[Array, d], A: PositiveSemidefinite[Array, d, d]):
        r"$f(y) \le f(x) + \nabla f(x)^\top (y - x) + \frac L2 \|y - x\|^2$ for $f(x) = \frac12 x^\top A x$"
        f, L = lambda x: x @ A @ x / 2, jnp.linalg.eigvalsh(A)[-1]
        return at_most(f(y), f(x) + jax.grad(f)(x) @ (y - x) + L / 2 * (y - x) @ (y - x))

A function with arguments is a theorem: its hypotheses are the domains of its arguments, and it is attacked over them.
One without (or with ``rng`` alone) is a computation: an instance, a trace of an algorithm, a Monte Carlo estimate.
Either returns one or several of `at_most`, `equal`, `close`, `holds`.

* ``@lemma.true``: has to survive. Of a statement that is false as worded, this is the corrected one.
* ``@lemma.as_worded``: what the text says; has to be refuted.
* ``@lemma.control``: a neighbour of a true statement that has to be refuted, so that the test is seen to be able to
  fail.
* ``lemma.line("classification/logistic", "gradient")``: a line of a derivation of the catalogue decides it.

``at=`` gives instances that are tried first: the known worst case of a bound, the counterexample to a false wording.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Dim, Domain, domain_of
from jaxderiv.errors import DerivationError, InputError

Instance = Mapping[str, Any]
Instances = Iterable[Instance] | Callable[[], Iterable[Instance]]


class Label(StrEnum):
    """What a text's statement is worth, as its wording goes."""

    TRUE = "true"
    HYP = "hyp"  # true once a hypothesis is added that the text leaves out
    FALSE = "false"
    IMPR = "impr"  # imprecise: a reading that its words allow is false
    NA = "n/a"  # an opinion, or a definition of words: nothing to decide


TRUE, HYP, FALSE, IMPR, NA = Label


# What a function returns ---------------------------------------------------------------------------------
class Inequality(NamedTuple):
    """``smaller <= larger``, entry by entry; `scale` is what rounding is relative to."""

    smaller: Any
    larger: Any
    scale: Any

    @property
    def margin(self) -> Any:
        """The relative difference: not negative exactly where the inequality holds; infinite where both sides are 0,
        and not a number where the scale is negative or not finite."""
        trivial, sound = (self.smaller == 0) & (self.larger == 0), (self.scale >= 0) & (self.scale < jnp.inf)
        relative = (self.larger - self.smaller) / jnp.where(self.scale == 0, 1.0, self.scale)
        return jnp.where(trivial, jnp.inf, jnp.where(sound, relative, jnp.nan))


class Equality(NamedTuple):
    """``left == right``, entry by entry: proved in exact arithmetic, if it can be."""

    left: Any
    right: Any


def at_most(smaller: Any, larger: Any, scale: Any = None) -> Inequality:
    """The claim that ``smaller <= larger``, everywhere if these are arrays.

    Args:
        smaller, larger: of one shape, or one of them a number.
        scale: positive; what the margin is relative to. By default the larger of the two sizes; give the size of
            what was subtracted where both sides are small differences, such as a gap f(x) - f* at convergence.
    Raises:
        InputError: if the shapes differ.
    """
    smaller, larger = _alike("at_most", smaller, larger)
    size = jnp.maximum(abs(smaller), abs(larger)) if scale is None else jnp.asarray(scale, smaller.dtype)
    return Inequality(smaller, larger, jax.lax.stop_gradient(jnp.broadcast_to(size, smaller.shape)))


def equal(left: Any, right: Any) -> Equality:
    """The claim that two values are equal, as real numbers."""
    return Equality(*_alike("equal", left, right))


def close(value: Any, to: Any, within: float) -> Inequality:
    """The claim that a computed value is a printed one, within an absolute tolerance: that of its digits."""
    value, to = _alike("close", value, to)
    return at_most(abs(value - to), jnp.full(value.shape, float(within)))


def holds(condition: Any) -> Inequality:
    """A claim that is either so or not, such as that two supports are the same."""
    condition = jnp.asarray(condition)
    if condition.dtype != bool:
        raise InputError(
            f"holds() takes a condition; it was given {condition.dtype}. Write at_most or equal for numbers"
        )
    return at_most(jnp.zeros(condition.shape), jnp.where(condition, 1.0, -1.0))


def expectation(samples: Any, value: Any, sigmas: float = 5.0) -> Inequality:
    """The claim that independent samples (along the first axis) have this mean: the average lies within so many of
    its standard errors. Five are left by chance once in 1.7 million times."""
    samples = jnp.asarray(samples)
    error = jnp.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    return at_most(abs(jnp.mean(samples, axis=0) - value), sigmas * error)


def _alike(who: str, a: Any, b: Any) -> tuple[jax.Array, jax.Array]:
    a, b = (x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float) for x in map(jnp.asarray, (a, b)))
    dtype = jnp.result_type(a, b)
    if a.shape != b.shape and () not in (a.shape, b.shape):
        raise InputError(f"{who}() compares values of one shape; it was given {a.shape} and {b.shape}")
    shape = a.shape or b.shape
    return jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)


# Statements ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Check:
    """A function beside a statement.

    Attributes:
        role: "true", "as worded" or "control".
        function: as it was written; `domains`: its hypotheses, by argument.
        at: instances that are tried first.
        sizes: of axes whose usual ones do not fit.
        line: of a line of the catalogue, its derivation and its claim; then there is no function.
    """

    role: str
    function: Any = None
    domains: Mapping[str, Domain] = field(default_factory=dict)
    at: Instances = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    line: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        return self.function.__name__ if self.function else " ".join(self.line)

    @property
    def must_fail(self) -> bool:
        return self.role != "true"

    @property
    def instances(self) -> list[Instance]:
        return list(self.at() if callable(self.at) else self.at)


@dataclass(frozen=True)
class Statement:
    """A text's statement.

    Attributes:
        id: permanent, as "C4.38".
        words: the statement as the text means it, in our words; formulas between dollar signs.
        but: what is wrong with it and what is right instead; of one that is not decided, why not.
    """

    id: str
    label: Label
    words: str
    but: str = ""
    checks: list[Check] = field(default_factory=list)

    def true(self, function: Any = None, **how: Any) -> Any:
        """Above a function that has to hold."""
        return self._check("true", function, how)

    def as_worded(self, function: Any = None, **how: Any) -> Any:
        """Above a function that says what the text says, and has to fail."""
        return self._check("as worded", function, how)

    def control(self, function: Any = None, **how: Any) -> Any:
        """Above a function that says something similar and false, and has to fail."""
        return self._check("control", function, how)

    def line(self, derivation: str, *claims: str) -> None:
        """Lines of a derivation of the catalogue (functions under ``@equals``, or gradient, hessian, hvp) decide it."""
        self.checks.extend(Check("true", line=(derivation, claim)) for claim in claims)

    def _check(self, role: str, function: Any, how: dict[str, Any]) -> Any:
        if unknown := set(how) - {"at", "sizes"}:
            raise DerivationError(f"{self.id}: {', '.join(unknown)} is no option; write at=[...] or sizes={{...}}")
        if function is None:
            return lambda function: self._check(role, function, how)
        if not inspect.isfunction(function):
            raise DerivationError(f"{self.id}: a {type(function).__name__} stands under its {role}; write a plain def")
        plain = inspect.unwrap(function)
        self.checks.append(Check(role, plain, _domains(plain), **how))
        return function if hasattr(function, "__wrapped__") else _guarded(plain)


def statement(id: str, label: Label, words: str, but: str = "") -> Statement:
    """A statement with its permanent id.

    Args:
        but: what a false, imprecise or incomplete statement gets wrong and what holds instead; of an opinion, why
            nothing can be decided.
    Raises:
        DerivationError: if a label needs `but` and it is missing.
    """
    if bool(but.strip()) != (label is not TRUE):
        raise DerivationError(
            f"{id}: it is {label}, and says "
            + (
                "what is wrong with it. Leave that out"
                if but
                else "not what holds instead. Write statement(..., but='...')"
            )
        )
    return Statement(id, label, words, but)


def _domains(function: types.FunctionType) -> dict[str, Domain]:
    hints = typing.get_type_hints(function, include_extras=True)
    names = tuple(inspect.signature(function).parameters)
    found = {name: domain_of(hints.get(name)) for name in names if name != "rng"}
    if bare := [name for name, domain in found.items() if domain is None]:
        raise DerivationError(
            f"{function.__name__}: {', '.join(bare)} has no domain, which is its hypothesis. "
            f"Write {bare[0]}: Real[Array, d] or the like"
        )
    if found and "rng" in names:
        raise DerivationError(
            f"{function.__name__}: a theorem is attacked at points of the verifier's choice; drop rng"
        )
    return typing.cast(dict[str, Domain], found)


def _guarded(function: types.FunctionType) -> Callable[..., Any]:
    """A theorem that a person calls at an instance: one that breaks a hypothesis is rejected, by name."""
    domains, signature = _domains(function), inspect.signature(function)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        if not any(isinstance(x, jax.core.Tracer) for x in given.values()):
            demand(function.__name__, domains, given)
        return function(*args, **kwargs)

    return called


def demand(name: str, domains: Mapping[str, Domain], given: Mapping[str, Any]) -> dict[str, int]:
    """See that an instance meets the hypotheses. Returns its sizes.

    Raises:
        InputError: naming the argument and the hypothesis.
    """
    sizes: dict[str, int] = {}
    if missing := [argument for argument in domains if argument not in given]:
        raise InputError(f"{name}: the instance lacks {', '.join(missing)}")
    for argument, domain in domains.items():
        x = np.asarray(given[argument])
        want = tuple(
            sizes.setdefault(a.name, s) if isinstance(a, Dim) else a
            for a, s in zip(domain.shape, x.shape, strict=False)
        )
        if x.ndim != len(domain.shape) or x.shape != want:
            raise InputError(f"{name}: {argument} has shape {x.shape}; it is declared as {domain!r}" + _with(sizes))
        if not domain.contains(x):
            raise InputError(
                f"{name}: {argument} has to be {domain.words}; it came as {np.array2string(x, precision=4)}"
            )
    return sizes


def _with(sizes: dict[str, int]) -> str:
    return " with " + ", ".join(f"{name} = {size}" for name, size in sizes.items()) if sizes else ""
