"""The low door: `jaxderiv.check`, for a person with a function and a formula in a notebook or a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxderiv.render.text import describe
from jaxderiv.verify.check import check_formulas
from jaxderiv.verify.verdict import Counterexample, Result, Verdict

_SEVERITY = (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.AGREES, Verdict.PROVED)


class Refuted(AssertionError):
    """A formula is wrong; the message is the report."""


@dataclass(frozen=True)
class Report:
    """What `jaxderiv.check` found.

    Attributes:
        results: one for each formula, with evidence.
    """

    results: tuple[Result, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict among the formulas; equal to its name."""
        return next(v for v in _SEVERITY if any(r.verdict is v for r in self.results))

    @property
    def ok(self) -> bool:
        """Whether every formula is proved or agrees."""
        return all(r.verdict.ok for r in self.results)

    @property
    def diagnosis(self) -> str | None:
        """What is probably wrong with the first refuted formula; None if there is none."""
        return next((r.diagnosis for r in self.results if r.diagnosis is not None), None)

    @property
    def counterexample(self) -> Counterexample | None:
        """An input at which the first refuted formula is wrong."""
        return next((r.counterexample for r in self.results if r.counterexample is not None), None)

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """Restrictions of the arguments under which the formulas are right, if they need any."""
        return tuple(dict.fromkeys(h for r in self.results for h in r.hypotheses))

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n\n".join(describe(r) for r in self.results)

    def raise_if_refuted(self) -> None:
        """Raises:
        Refuted: (an AssertionError) with the report, if a formula is wrong.
        """
        if self.verdict is Verdict.REFUTED:
            raise Refuted(str(self))


def check(
    function: Callable,
    *args: Any,
    gradient: Callable | None = None,
    hessian: Callable | None = None,
    hvp: Callable | None = None,
    jacobian: Callable | None = None,
    vjp: Callable | None = None,
    domains: Any = None,
    seed: int = 0,
) -> Report:
    """Check hand-derived formulas against a function, with respect to its first argument.

    Args:
        function: a pure JAX function; scalar for gradient, hessian and hvp, of any shape for jacobian and vjp.
        *args: example arrays, numbers or pytrees of them. Their shapes and dtypes are the template of the points that
            are drawn, and their values are one of the points. Equal sizes vary together where the function accepts it.
        gradient, hessian: functions of the same arguments, with results structured as those of `jax.grad` and
            `jax.hessian`; hvp(x, v, *rest); jacobian as that of `jax.jacobian`; vjp(x, cotangent, *rest).
        domains: where arguments live, such as ``{"A": Symmetric}``; by default reals, and what the example suggests
            (symmetric, positive, summing to one, ...) is tried as a hypothesis if the formula fails for reals.
        seed: the same seed draws the same points.

    Raises:
        InputError: if an argument is not of finite numbers or is empty, if the first one is not of floats, if the
            function is not scalar where it has to be, or if function or formula raise at the example.
    """
    given = {"gradient": gradient, "hessian": hessian, "hvp": hvp, "jacobian": jacobian, "vjp": vjp}
    formulas = {kind: formula for kind, formula in given.items() if formula is not None}
    return Report(tuple(check_formulas(function, args, formulas, domains, seed)))
