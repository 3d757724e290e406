"""Where a claim is tested: the places are diverse, and wrong versions of the catalogue's formulas fail at them."""

import dataclasses
import functools
import inspect
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.derivation import read_catalogue
from jaxderiv.verify.examine import examine
from jaxderiv.verify.places import home_sizes, places, shapes
from jaxderiv.verify.question import Place, Programs
from jaxderiv.verify.suite import question_of
from jaxderiv.verify.sweep import sweep

LOGISTIC = "classification/logistic"
NAMES = (LOGISTIC, "classification/softmax", "regression/least_squares")
CASES = [
    case for case in itertools.product(NAMES, ("gradient", "hessian", "hvp")) if case != (NAMES[1], "hessian")
]  # slow
derivation = functools.cache(read_catalogue)
programs = functools.cache(lambda name: Programs())  # references are traced once for all versions of a formula
quick = functools.cache(lambda name: list(places(derivation(name), "quick", 0)))


def claim_of(name, claim):
    return next(c for c in derivation(name).claims if c.name == claim)


def swept(name, claim, where=None):
    found = sweep(question_of(derivation(name), claim), where or quick(name), programs(name))
    assert not found.raised
    return found


def all_zero(place):
    return Place(place.label, "generic", place.sizes, {k: np.zeros_like(v) for k, v in place.values.items()})


@pytest.mark.parametrize("name", NAMES)
def test_where_everything_is_zero_nothing_is_shown(name):
    where = [all_zero(p) for p in quick(name) if p.kind == "generic"]
    for result in examine([swept(name, claim_of(name, "gradient"), where)]):
        assert result.verdict == "inconclusive"
        assert "identically zero" in result.reason


# Wrong versions -----------------------------------------------------------------------------------------------
VERSIONS = {
    "negated": lambda h, n: -h,
    "doubled": lambda h, n: 2 * h,
    "divided by n": lambda h, n: h / n,
    "shifted": lambda h, n: jnp.roll(h, 1, axis=0),  # every row stands one place too low
}


def version(claim, change):
    """The claim with its formula changed."""
    formula = claim.right

    @functools.wraps(formula)  # its signature says which symbols it takes
    def wrong(*args):
        return change(formula(*args), len(inspect.signature(formula).bind(*args).arguments["X"]))

    return dataclasses.replace(claim, right=wrong)


@pytest.mark.parametrize(("name", "claim"), CASES)
def test_wrong_versions_are_refuted(name, claim):
    right = claim_of(name, claim)
    assert not swept(name, right).refuting
    for label, change in VERSIONS.items():
        assert swept(name, version(right, change)).refuting, label


def test_the_transpose_of_a_symmetric_matrix_is_right_and_of_another_result_is_not():
    transposed = lambda name, claim: swept(name, version(claim_of(name, claim), lambda h, n: h.T))
    assert not transposed(LOGISTIC, "hessian").refuting
    found = transposed("classification/softmax", "gradient")
    assert found.misshapen
    (result,) = examine([found])
    assert result.verdict == "refuted"
    hand, true = result.counterexample.hand[0], result.counterexample.truth[0]
    assert np.shape(hand) == np.shape(true)[::-1]


@pytest.mark.parametrize(("label", "words"), [("negated", "sign"), ("doubled", "2 times"), ("divided by n", "n")])
@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_on_a_wrong_version(name, label, words):
    result = examine([swept(name, version(claim_of(name, "gradient"), VERSIONS[label]))])[0]
    assert result.verdict == "refuted"
    assert words in result.diagnosis
    assert result.counterexample is not None


# Diversity ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_the_points_are_diverse(name):
    home = [p for p in quick(name) if p.label.startswith("home")]
    assert home
    for place in home:
        X = place.values["X"]
        assert X.shape == (place.sizes["n"], place.sizes["d"])
        assert len(np.unique(X)) == X.size
        assert np.linalg.matrix_rank(X) == place.sizes["d"]
        assert all(np.all(place.values[p] != 0) for p in derivation(name).parameters)
        if name == LOGISTIC:
            assert set(place.values["y"]) == {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_coprime_at_home_and_small_at_the_edges(name):
    sizes, found = home_sizes(derivation(name)), list(shapes(derivation(name)).values())
    assert all(math.gcd(a, b) == 1 for a, b in itertools.combinations(sizes.values(), 2))
    assert min(sizes.values()) > 1
    assert {size: min(s[size] for s in found) for size in sizes} == {s: 2 if s == "K" else 1 for s in sizes}
    assert any(s["n"] < s["d"] for s in found)
    assert all(s in [p.sizes for p in quick(name)] for s in found)


def test_the_same_seed_looks_at_the_same_points():
    again, other = (list(places(derivation(LOGISTIC), "quick", seed)) for seed in (0, 1))
    for a, b in zip(again, quick(LOGISTIC), strict=True):
        assert all(np.array_equal(a.values[k], b.values[k]) for k in a.values)
    assert not np.array_equal(other[0].values["X"], again[0].values["X"])
