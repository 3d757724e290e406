"""Decide statements: every function beside one is proved, attacked or computed, and has to come out as it should."""

from __future__ import annotations

import functools
import importlib
import inspect
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxderiv.derivation import UNTRACEABLE, Claim, Derivation, read_catalogue, untraceable_words
from jaxderiv.errors import DerivationError, InputError
from jaxderiv.index import ledger
from jaxderiv.theorem import NA, TRUE, Check, Equality, Inequality, Instance, Statement, at_most, demand
from jaxderiv.verify import suite
from jaxderiv.verify.attack import Attack, Attacker, parts
from jaxderiv.verify.examine import examine
from jaxderiv.verify.places import places
from jaxderiv.verify.question import Place, Programs
from jaxderiv.verify.shrink import literal
from jaxderiv.verify.sweep import OUTSIDE, sweep
from jaxderiv.verify.verdict import Counterexample, Decision, Evidence, Result, Verdict

_ALIKE = 1e-9  # relative; equal, of two values that only floats can be had of
_SEVERITY = (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.AGREES, Verdict.PROVED)


def read_ledger(topic: str, ids: Sequence[str] = ()) -> list[tuple[Statement, str]]:
    """Statements of a file of the ledger, and where each stands.

    Args:
        topic: ``chapter/name``.
        ids: those that are wanted; by default all.
    Raises:
        DerivationError: if one is not bound to a name, so that nothing would decide it.
    """
    module = importlib.import_module(f"jaxderiv.ledger.{topic.replace('/', '.')}")
    found = {value.id: value for value in vars(module).values() if isinstance(value, Statement)}
    standing = [entry for entry in ledger() if entry.topic == topic and (not ids or entry.id in ids)]
    if lost := [entry.id for entry in standing if entry.id not in found]:
        raise DerivationError(f"{topic}: {', '.join(lost)} has no name of its own. Write name = statement(...)")
    return [(found[entry.id], entry.where) for entry in standing]


def decide(
    statement: Statement, where: str, effort: str = "normal", seed: int = 0, progress: Callable[[], None] = lambda: None
) -> Decision:
    """All checks of a statement.

    Raises:
        DerivationError: if they cannot bear out its label, whatever they find.
    """
    well_formed(statement)
    checks = []
    for check in statement.checks:
        expected = "refuted" if check.must_fail else "agrees"
        checks.append((check.role, replace(_result(check, effort, seed), expected=expected)))
        progress()
    return Decision(statement.id, str(statement.label), statement.words, statement.but, where, tuple(checks))


def well_formed(statement: Statement) -> None:
    """What is called true needs a check; what is called false, its wording refuted and what is right instead."""
    roles = {check.role for check in statement.checks}
    needs = {TRUE: {"true"}, NA: set()}.get(statement.label, {"true", "as worded"})
    if missing := needs - roles:
        raise DerivationError(
            f"{statement.id} is {statement.label}; it lacks a function that is {' and one '.join(sorted(missing))}"
        )
    if (statement.label is TRUE and "as worded" in roles) or (statement.label is NA and roles):
        raise DerivationError(
            f"{statement.id} is {statement.label}, so nothing of it is to be refuted; label it false or hyp"
        )


def _result(check: Check, effort: str, seed: int) -> Result:
    if check.function is None:
        return _of_catalogue(*check.line, seed)
    make = functools.partial(Result, check.function.__module__.partition("ledger.")[2], check.name, _words(check))
    try:
        with jax.enable_x64(True):
            found = [make(*how[:2], **how[2]) for how in _found(check, effort, seed)]
    except InputError as error:
        raise DerivationError(f"{check.name}: {error}") from error
    except Exception as error:  # the function's own; which of them, and not the verifier's traceback
        raise DerivationError(f"{check.name}: it raises {type(error).__name__}: {error}") from error
    worst = min(found, key=lambda result: _SEVERITY.index(result.verdict))
    evidence = tuple(one for result in found for one in result.evidence)
    return replace(worst, evidence=evidence, reason="; ".join(r.reason for r in found if r.verdict is worst.verdict))


def _words(check: Check) -> str:
    return " ".join((inspect.getdoc(check.function) or "").split("\n\n")[0].split())


Finding = tuple[Verdict, str, dict[str, Any]]


def _found(check: Check, effort: str, seed: int) -> Iterator[Finding]:
    """Verdicts on a function's equalities and on its inequalities."""
    if not check.domains:
        yield _computed(check, seed)
        return
    for instance in check.instances:
        demand(check.name, check.domains, instance)
    kinds = _kinds(check)
    plain = check.function
    if Equality in kinds:
        verdict, reason, more = _proved(check, seed)
        if verdict is Verdict.INCONCLUSIVE and reason.endswith(OUTSIDE):
            plain = _numerical(plain)
            kinds = {Inequality}
        else:
            yield verdict, reason, more
    if Inequality in kinds:
        yield _attacked(check, plain, effort, seed)


def _kinds(check: Check) -> set[type]:
    sizes = next(Attacker(check, check.function, "quick", 0).shapes(), None)
    if sizes is None:
        raise DerivationError("no sizes meet its hypotheses. Write sizes={'n': 7, 'd': 3}")
    shapes = [jax.ShapeDtypeStruct(domain.concrete(sizes), float) for domain in check.domains.values()]
    kinds: set[type] = set()

    def note(*args: Any) -> Any:
        results = check.function(*args)
        kinds.update(map(type, parts(results)))
        return results

    try:
        jax.eval_shape(note, *shapes)
    except UNTRACEABLE as error:
        raise DerivationError(f"JAX cannot trace it: {untraceable_words(error)}") from error
    return kinds


# Equalities ----------------------------------------------------------------------------------------------
def _proved(check: Check, seed: int) -> Finding:
    """A function's equalities as a line of a derivation."""
    side = lambda index: _of_equalities(check.function, index)
    claim = Claim("", check.name, "line", side(1), side(0), check.name, left_code="left")
    derivation = Derivation(
        check.name, "", Path(), "", "", dict(check.domains), None, (), {check.name: claim.right}, (claim,)
    )
    where = places(derivation, "quick", seed, check.sizes)
    given = [_place(check, instance) for instance in check.instances]
    found = sweep(suite.question_of(derivation, claim), [*given, *where], Programs(), seed)
    (result,) = examine([found], floats=False)
    return result.verdict, result.reason, {"evidence": result.evidence, "counterexample": _pasted(check, result)}


def _place(check: Check, instance: Instance) -> Place:
    values = {name: np.asarray(instance[name], dtype=np.float64) for name in check.domains}
    return Place("the given instance", "own", demand(check.name, check.domains, instance), values)


def _of_equalities(function: Callable[..., Any], index: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def side(*args: Any) -> Any:
        return [one[index] for one in parts(function(*args)) if isinstance(one, Equality)]

    return side


def _numerical(function: Callable[..., Any]) -> Callable[..., Any]:
    """Equalities as inequalities between floats, of a program that exact arithmetic does not know."""

    def compared(*args: Any) -> Any:
        for one in parts(function(*args)):
            if isinstance(one, Equality):
                size = jax.numpy.max(jax.numpy.maximum(abs(one.left), abs(one.right)), initial=0.0)
                yield at_most(abs(one.left - one.right) - _ALIKE * size, 0.0 * one.left, size)
            else:
                yield one

    return lambda *args: list(compared(*args))


def _pasted(check: Check, result: Result) -> Counterexample | None:
    example = result.counterexample
    return example and replace(example, code=_code(check, {n: np.asarray(x) for n, x in example.inputs.items()}))


# Inequalities --------------------------------------------------------------------------------------------
def _attacked(check: Check, function: Callable[..., Any], effort: str, seed: int) -> Finding:
    attack = Attacker(check, function, effort, seed).run()
    numbers = {"instances": attack.instances, "undecided": attack.undecided, "unsupported": attack.unsupported}
    if attack.least is None or (attack.undecided > 0.5 and not attack.refuted):
        return (
            Verdict.INCONCLUSIVE,
            f"the margin is not a number at {100 * attack.undecided:.0f} % of the instances",
            {},
        )
    least = attack.least
    if least.least == np.inf:
        return Verdict.INCONCLUSIVE, "both sides are zero wherever they are numbers", {}
    margin = least.least
    numbers |= {"margin": margin, "found": least.how}
    evidence = (Evidence("attack", _tally(attack, margin), numbers),)
    if not attack.refuted:
        return (
            Verdict.AGREES,
            f"withstands {attack.instances} instances; {_tightness(margin)} ({least.how})",
            {"evidence": evidence},
        )
    smaller, larger = _worst(function, check, least.values)
    reason = f"fails at an instance ({least.how}): {_failure(smaller, larger)}"
    example = Counterexample(
        {name: x.tolist() for name, x in least.values.items()},
        smaller,
        larger,
        "",
        smaller,
        larger,
        _code(check, least.values),
    )
    return Verdict.REFUTED, reason, {"evidence": evidence, "counterexample": example}


def _failure(smaller: float, larger: float) -> str:
    if (smaller, larger) == (0, -1):  # of `holds`
        return "the condition does not hold"
    return f"{smaller:.6g} is not at most {larger:.6g}"


def _tightness(margin: float) -> str:
    return "attained" if abs(margin) < 1e-6 else f"least margin {margin:.2g} of the larger side"


def _tally(attack: Attack, margin: float) -> str:
    assert attack.least is not None
    known = (
        f"in floats, since high precision does not know {attack.unsupported}"
        if attack.unsupported
        else "with 40 digits"
    )
    known = "in floats" if attack.least.exact is None and not attack.unsupported else known
    undecided = f", {100 * attack.undecided:.1g} % with a part that is not a number" if attack.undecided else ""
    return f"{attack.instances} instances{undecided}; least relative margin {margin:.3g} ({known})"


def _worst(function: Callable[..., Any], check: Check, values: dict[str, np.ndarray]) -> tuple[float, float]:
    """The two sides of the inequality that fails most."""
    results = parts(function(*(jax.numpy.asarray(values[name]) for name in check.domains)))
    return min(map(_sides, (one for one in results if isinstance(one, Inequality))))[1:]


def _sides(one: Inequality) -> tuple[float, float, float]:
    margins, smaller, larger = (np.ravel(np.asarray(x)) for x in (one.margin, one.smaller, one.larger))
    if not margins.size:
        return np.inf, 0.0, 0.0
    at = int(np.argmax(np.isnan(margins))) if np.isnan(margins).any() else int(np.argmin(margins))
    return float(margins[at]), float(smaller[at]), float(larger[at])


def _code(check: Check, values: dict[str, np.ndarray]) -> str:
    """Python that shows a theorem's two sides at an instance."""
    lines = ["import jax, jax.numpy as jnp", 'jax.config.update("jax_enable_x64", True)']
    lines.append(f"from {check.function.__module__} import {check.name}")
    given = ", ".join(f"{name}={literal(values[name])}" for name in check.domains)
    return "\n".join([*lines, f"print({check.name}({given}))"])


# Computations --------------------------------------------------------------------------------------------
def _computed(check: Check, seed: int) -> Finding:
    takes_rng = bool(inspect.signature(check.function).parameters)
    rng = np.random.default_rng([seed, zlib.crc32(check.name.encode())])
    with np.errstate(all="ignore"):
        results = parts(check.function(*[rng] * takes_rng))
        compared = [
            one if isinstance(one, Inequality) else next(iter(_numerical(lambda one=one: one)())) for one in results
        ]
        sides = [_sides(one) for one in compared]
    margins = [margin for margin, *_ in sides]
    numbers = {"margins": margins, "sides": [list(two) for _, *two in sides], "seeded": takes_rng}
    text = "; ".join(f"{smaller:.6g} ≤ {larger:.6g}" for _, smaller, larger in sides[:6])
    evidence = (Evidence("computation", text + ("; ..." if len(sides) > 6 else ""), numbers),)
    if min(margins) == np.inf:
        return Verdict.INCONCLUSIVE, "nothing is compared, or zero with zero", {"evidence": evidence}
    if np.isnan(margins).any():
        return Verdict.INCONCLUSIVE, "a computed value is not a number", {"evidence": evidence}
    margin, smaller, larger = min(sides)
    if margin < -_ALIKE:
        return Verdict.REFUTED, f"computed: {_failure(smaller, larger)}", {"evidence": evidence}
    count = "all hold" if len(sides) > 1 else "holds"
    return Verdict.AGREES, f"computed, {count}; {_tightness(margin)}", {"evidence": evidence}


# Lines of the catalogue ------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=64)
def _of_catalogue(name: str, claim: str, seed: int) -> Result:
    """The verdict on one line of a derivation of the catalogue."""
    derivation = read_catalogue(name)
    named = [one for one in derivation.claims if one.name.partition(" ")[0] == claim]
    if not named:
        known = ", ".join(dict.fromkeys(one.name.partition(" ")[0] for one in derivation.claims))
        raise DerivationError(f"{name} has no line {claim}; it has {known}")
    results = suite.verify(replace(derivation, claims=tuple(named)), "quick", seed)
    return min(results, key=lambda result: _SEVERITY.index(result.verdict))
