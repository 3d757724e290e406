"""Every change of a step is noticed or proved to be none; without power, changes survive and that is seen."""

import dataclasses
import functools

import numpy as np
import pytest

from jaxderiv.derivation import read_catalogue
from jaxderiv.verify import mutants as module
from jaxderiv.verify.mutants import mutants
from jaxderiv.verify.places import places
from jaxderiv.verify.proof import Proof
from jaxderiv.verify.question import Programs
from jaxderiv.verify.suite import question_of
from jaxderiv.verify.sweep import sweep


@functools.cache
def swept(name):
    derivation = read_catalogue(name)
    where, programs = [p for p in places(derivation, "quick", 0) if p.kind == "generic"], Programs()
    return [sweep(question_of(derivation, claim), where, programs) for claim in derivation.claims], programs


@functools.cache
def fates(name):
    sweeps, programs = swept(name)
    return [m for s in sweeps for m in mutants(s.question, s.of("agrees", "generic", "sought"), programs)]


@pytest.mark.parametrize("name", ["classification/logistic", "regression/huber"])
def test_no_mutant_survives(name):
    made = fates(name)
    assert len(made) > 100
    assert [m for m in made if m.fate == "survived"] == []
    assert {m.kind for m in made} >= {"operator", "minus", "absolute value", "factor", "operand"}


def test_an_equivalent_mutant_is_one():
    words = [m.words for m in fates("classification/logistic") if m.fate == "equivalent"]
    assert any(("absolute value of" in w and "logistic" in w) or "sigmoid" in w for w in words)  # which is positive
    assert any(w.endswith("transposed") for w in words)  # of a symmetric matrix
    refuted = [m.words for m in fates("classification/logistic") if m.fate == "refuted"]
    assert any(w.startswith("a minus before sigmoid") for w in refuted)


def test_without_power_mutants_survive(monkeypatch):
    """At points that are all zero nothing is told from anything; without a proof, nothing is equivalent either."""
    sweeps, programs = swept("regression/huber")
    one = next(s for s in sweeps if s.question.claim == "gradient")
    zero = []
    for j in one.of("agrees", "generic"):
        place = dataclasses.replace(j.place, values={n: np.zeros_like(x) for n, x in j.place.values.items()})
        found = sweep(one.question, [place], programs)
        zero += found.of("agrees")
    assert zero
    monkeypatch.setattr(module, "prove", lambda *a, **k: Proof(reason="sabotaged"))
    found = mutants(one.question, zero, programs)
    assert any(m.fate == "survived" for m in found)
    assert not any(m.fate == "equivalent" for m in found)
