"""Verify a derivation: all its claims, over all its places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jaxderiv.derivation import Claim, Derivation, arguments
from jaxderiv.domains import by_name
from jaxderiv.verify import curvature
from jaxderiv.verify.examine import examine
from jaxderiv.verify.mutants import mutants
from jaxderiv.verify.places import places
from jaxderiv.verify.question import Programs, Question
from jaxderiv.verify.shrink import literal
from jaxderiv.verify.sweep import Sweep, sweep
from jaxderiv.verify.truth import Derivative
from jaxderiv.verify.verdict import Evidence, Result, Verdict

_DISCRETE = tuple(by_name[kind] for kind in ("Bit", "Sign", "OneHot"))


def question_of(derivation: Derivation, claim: Claim) -> Question:
    """A claim of a derivation as a question about named arrays."""
    sides = [claim.right, claim.left]
    if claim.kind != "line" and derivation.loss is not None:
        sides.append(derivation.loss)
    names = tuple(dict.fromkeys(name for side in sides for name in arguments(side)))

    def flat(formula: Callable) -> Callable:
        positions = [names.index(name) for name in arguments(formula)]
        return lambda *leaves: formula(*(leaves[i] for i in positions))

    at = lambda group: tuple(names.index(name) for name in group)
    if claim.kind == "line":
        what = Derivative("value")
    elif claim.kind == "hessian":
        what = Derivative("hessian", at(claim.of[:1]), at(claim.of[1:]))
    elif claim.kind == "hvp":
        what = Derivative("hvp", at(claim.of), at(claim.of), at(claim.directions))
    else:
        what = Derivative("gradient", at(claim.of))
    return Question(
        derivation=derivation.name,
        claim=claim.name,
        statement=claim.statement,
        leaves=names,
        floating=frozenset(n for n in names if not isinstance(derivation.symbols[n], _DISCRETE)),
        hand=flat(claim.right),
        auto=flat(claim.left),
        base=flat(derivation.loss) if claim.kind != "line" and derivation.loss is not None else None,
        what=what,
        left=claim.statement.partition(" = ")[2],
        domains={n: derivation.symbols[n] for n in names},
        script=lambda values: _script(derivation, claim, values),
    )


def _script(derivation: Derivation, claim: Claim, values: dict[str, np.ndarray]) -> str:
    """Code that prints both sides of a claim."""
    used = dict.fromkeys((*arguments(claim.right), *arguments(claim.left)))
    lines = ["import jax, jax.numpy as jnp", 'jax.config.update("jax_enable_x64", True)']
    if derivation.chapter:
        lines.append(f"from jaxderiv.catalogue.{derivation.chapter}.{derivation.name} import *")
    else:
        lines.append(f"import runpy; globals().update(runpy.run_path({str(derivation.path)!r}))")
    called = {name: f"{name}_value" if name in derivation.formulas else name for name in used}
    lines += [f"{called[name]} = {literal(values[name])}" for name in used]
    pass_on = lambda names: ", ".join(called[name] for name in names)
    lines.append(f"print({claim.right.__name__}({pass_on(arguments(claim.right))}))  # the line")
    lines.append(f"print({_left_code(claim, pass_on(arguments(claim.left)))})  # what it should equal")
    return "\n".join(lines)


def _left_code(claim: Claim, passed: str) -> str:
    loss = lambda transform: f"{transform}({passed})"
    if claim.kind == "line":
        code = claim.left_code
        return loss(f"({code})" if code.startswith("lambda") else code)
    names = arguments(claim.left)
    if claim.kind == "hvp":
        point, along = ", ".join(claim.of), ", ".join(claim.directions)
        rest = ", ".join(n for n in names if n not in claim.directions)
        return (
            f"jax.jvp(lambda {point}: jax.grad(loss, {tuple(range(len(claim.of)))})({rest}), ({point},), ({along},))[1]"
        )
    position = [names.index(name) for name in claim.of]
    if claim.kind == "hessian":
        return loss(f"jax.jacobian(jax.grad(loss, {position[0]}), {position[1]})")
    return loss(f"jax.grad(loss, {position[0]})")


def verify(
    derivation: Derivation,
    effort: str = "normal",
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
    with_mutants: bool = False,
) -> list[Result]:
    """Verdicts on all claims of a derivation, in the order of the file.

    Args:
        effort: "quick", "normal" or "high": how many points.
        seed: the same seed gives the same points.
        progress: called after every claim.
        with_mutants: whether to change every step of every formula, and to see that it is noticed.
    """
    where = list(places(derivation, effort, seed))
    programs = Programs()
    sweeps: list[Sweep] = []
    for claim in derivation.claims:
        sweeps.append(sweep(question_of(derivation, claim), where, programs, seed))
        progress()
    results = _with_curvature(derivation, sweeps, examine(sweeps))
    if not with_mutants:
        return results
    fates = [mutants(s.question, s.of("agrees", "generic", "sought"), programs) for s in sweeps]
    return [replace(result, mutants=tuple(found)) for result, found in zip(results, fates, strict=True)]


def _with_curvature(derivation: Derivation, sweeps: list[Sweep], results: list[Result]) -> list[Result]:
    """What is known of the loss's convexity, with the line or the claim that says most about it."""
    for index, (one, result) in enumerate(zip(sweeps, results, strict=True)):
        if one.question.claim == curvature.LINE:
            found = curvature.of_line(one) if result.verdict is Verdict.PROVED else None
            return _added(results, index, found)
    ends = [i for i, s in enumerate(sweeps) if s.question.what.kind in ("hessian", "hvp")]
    return _added(results, ends[0], curvature.of_samples(derivation, sweeps)) if ends else results


def _added(results: list[Result], index: int, found: Evidence | None) -> list[Result]:
    if found is None:
        return results
    more = replace(results[index], evidence=(*results[index].evidence, found))
    return [*results[:index], more, *results[index + 1 :]]
