"""The checker is checked: by sabotage. What takes its power costs the verdict, and no mutant survives."""

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Literal, jaxpr_as_fun

import jaxderiv
import jaxderiv.catalogue
from jaxderiv.derivation import read_catalogue
from jaxderiv.verify import suite, template
from jaxderiv.verify.algebra import DERIVATIVES, Floats
from jaxderiv.verify.dual import Dual
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.places import places
from jaxderiv.verify.question import Programs
from jaxderiv.verify.sweep import sweep

CATALOGUE = [
    f"{path.parent.name}/{path.stem}" for path in sorted(Path(jaxderiv.catalogue.__file__).parent.glob("*/[!_]*.py"))
]
QUICK = ("classification/logistic", "classification/squared_error_sigmoid", "regression/weighted_least_squares")


@functools.cache
def derivation(name):
    return read_catalogue(name)


@functools.cache
def points(name):
    """Two generic places: coprime sizes, then an edge size."""
    return [p for p in places(derivation(name), "quick", 0) if p.kind == "generic"][:2]


def verdicts(claims, name):
    programs = Programs()
    return {c.name: sweep(suite.question_of(derivation(name), c), points(name), programs) for c in claims}


# Points without power ----------------------------------------------------------------------------------------
def zeros(values):
    return {name: np.zeros_like(x) for name, x in values.items()}


def test_points_that_are_all_zero_prove_nothing(monkeypatch):
    everywhere_zero = lambda *a: [dataclasses.replace(p, values=zeros(p.values)) for p in points(QUICK[2])]
    monkeypatch.setattr(suite, "places", everywhere_zero)
    results = suite.verify(derivation("regression/weighted_least_squares"), "quick")
    found = {r.claim: r for r in results if r.claim.startswith("gradient")}
    assert found
    assert {r.verdict for r in found.values()} == {"inconclusive"}
    assert all("identically zero" in r.reason for r in found.values())


@pytest.mark.parametrize("factor", [1.0, -1.0, 2.0])
def test_a_check_at_zero_alone_accepts_nothing(factor, monkeypatch):
    """At w = 0 the gradient of w'w is zero, whatever its factor: neither right nor wrong can be told."""
    draw = template.Template.draw
    monkeypatch.setattr(template.Template, "draw", lambda *a: zeros(draw(*a)))
    monkeypatch.setattr(template.Template, "near", lambda self, rng: zeros(self.own()))
    monkeypatch.setattr(template.Template, "_edges", lambda *a: ())  # of which any may refute
    report = jaxderiv.check(lambda w: w @ w, np.zeros(3), gradient=lambda w: 2 * factor * w)
    assert report.verdict == "inconclusive"
    assert not report.ok


# A wrong truth -----------------------------------------------------------------------------------------------
def doubled(rule):
    return lambda a, x, y: a.mul(a.number(2.0, x), rule(a, x, y))


def test_a_wrong_derivative_rule_is_noticed(monkeypatch):
    name = "classification/squared_error_sigmoid"
    claims = [c for c in derivation(name).claims if c.kind in ("gradient", "hessian")]
    assert claims
    assert not any(s.refuting for s in verdicts(claims, name).values())
    monkeypatch.setitem(DERIVATIVES, "logistic", doubled(DERIVATIVES["logistic"]))
    assert all(s.refuting for s in verdicts(claims, name).values())


def test_a_wrong_arithmetic_is_noticed(monkeypatch):
    """A part in 10^14 of every product of the chain rule, which a tolerance would swallow."""
    name = "regression/weighted_least_squares"
    claims = [c for c in derivation(name).claims if c.kind == "gradient"]
    right = Dual._scale
    by_more = lambda by: by * (1 + Fraction(1, 10**14)) if by.dtype == object else by
    off = lambda self, tangent, by: right(self, tangent, by_more(by))
    monkeypatch.setattr(Dual, "_scale", off)
    assert all(s.refuting for s in verdicts(claims, name).values())


# Mutants of the catalogue's formulas ---------------------------------------------------------------------------
def with_leaves(change):
    """A wrong formula: the right one with its results changed."""

    def mutate(right):
        @functools.wraps(right)
        def wrong(*args, **kwargs):
            return jax.tree.map(change, right(*args, **kwargs))

        return wrong

    return mutate


def with_addend(position, operand):
    """A wrong formula: in the addition of this number, one operand counts double."""

    def mutate(right):
        @functools.wraps(right)
        def wrong(*args):
            program, out = jax.make_jaxpr(right, return_shape=True)(*args)
            leaves = evaluate(program, jax.tree.leaves(args), position, operand)
            return jax.tree.unflatten(jax.tree.structure(out), leaves)

        return wrong

    return mutate


SUMS = ("add", "sub", "add_any")


def evaluate(program, args, position, operand):
    env = dict(zip(program.jaxpr.invars, args, strict=True))
    env.update(zip(program.jaxpr.constvars, program.consts, strict=True))
    met = 0
    for eqn in program.jaxpr.eqns:
        inputs = [x.val if isinstance(x, Literal) else env[x] for x in eqn.invars]
        if eqn.primitive.name in SUMS and jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.floating):
            if met == position:
                inputs[operand] = 2 * inputs[operand]
            met += 1
        out = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
        env.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out], strict=True))
    return [x.val if isinstance(x, Literal) else env[x] for x in program.jaxpr.outvars]


def transpose(x):
    return x.T if x.ndim == 2 and x.shape[0] == x.shape[1] else x


def sums(claim, place):
    """How many additions of floats a formula has at its top level."""
    args = [place.values[name] for name in suite.arguments(claim.right)]
    eqns = trace(claim.right, *args).jaxpr.eqns
    floats = [e for e in eqns if jnp.issubdtype(e.outvars[0].aval.dtype, jnp.floating)]
    return sum(e.primitive.name in SUMS for e in floats)


def mutations(name, claim):
    size = float(points(name)[0].sizes.get("n", 3))
    found = {
        "sign": with_leaves(lambda x: -x),
        "factor 2": with_leaves(lambda x: 2 * x),
        "1/n dropped": with_leaves(lambda x: size * x),
        "a millionth": with_leaves(lambda x: (1 + 1e-6) * x),
        "transposed": with_leaves(transpose),
    }
    for position in range(sums(claim, points(name)[0])):
        for operand in (0, 1):
            found[f"operand {operand} of sum {position}"] = with_addend(position, operand)
    return found


def equivalent(claim, mutant, name):
    """Whether the mutant gives the same numbers, as the transpose of a symmetric matrix does."""
    for place in points(name):
        args = [place.values[symbol] for symbol in suite.arguments(claim.right)]
        a, b = (Interpreter(Floats())(trace(f, *args), args) for f in (claim.right, mutant))
        if not all(np.allclose(x, y, rtol=1e-12, atol=1e-14) for x, y in zip(a, b, strict=True)):
            return False
    return True


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CATALOGUE])
def test_every_mutant_of_the_catalogue_is_refuted_or_equivalent(name):
    made, same = 0, []
    for claim in derivation(name).claims:
        for kind, mutate in mutations(name, claim).items():
            mutant = mutate(claim.right)
            wrong = dataclasses.replace(claim, right=mutant)
            found = verdicts([wrong], name)[claim.name]
            assert not found.unsupported
            assert not found.raised
            made += 1
            if equivalent(claim, mutant, name):
                same.append(kind)
                assert not found.refuting, f"{claim.name}, {kind}: a formula that is right was refuted"
            else:
                assert found.refuting, f"{claim.name}, {kind}: survives"
    assert made >= 5 * len(derivation(name).claims)
    assert all(kind == "transposed" or kind.startswith("operand") for kind in same)
    assert len(same) < made / 2


def test_the_mutants_are_what_they_are_called():
    f = lambda x, y: (x + y) * x - y
    x, y = np.array([1.0, 2.0]), np.array([0.5, -3.0])
    assert np.allclose(with_leaves(lambda v: -v)(f)(x, y), -f(x, y))
    assert np.allclose(with_addend(0, 1)(f)(x, y), (x + 2 * y) * x - y)
    assert np.allclose(with_addend(1, 0)(f)(x, y), 2 * (x + y) * x - y)
    assert np.allclose(jaxpr_as_fun(trace(f, x, y))(x, y)[0], f(x, y))
