"""Domains: what they draw lies in the set, is generic, and means the same number in every precision."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.domains import (
    Array,
    Bit,
    Dim,
    FullColumnRank,
    K,
    Nonnegative,
    OneHot,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
    Real,
    Share,
    Sign,
    Simplex,
    Symmetric,
    UnitInterval,
    by_name,
    d,
    domain_of,
    n,
)
from jaxderiv.errors import InputError

SIZES = {"n": 7, "d": 3, "K": 4}
DECLARED = {
    "Real": Real[Array, n, d],
    "Positive": Positive[Array, n],
    "Nonnegative": Nonnegative[Array, n],
    "UnitInterval": UnitInterval[Array, n, 2],
    "Share": Share[Array, n],
    "Bit": Bit[Array, n],
    "Sign": Sign[Array, n],
    "OneHot": OneHot[Array, n, K],
    "Simplex": Simplex[Array, n, K],
    "Symmetric": Symmetric[Array, d, d],
    "PositiveDefinite": PositiveDefinite[Array, d, d],
    "PositiveSemidefinite": PositiveSemidefinite[Array, d, d],
    "FullColumnRank": FullColumnRank[Array, n, d],
}
every_domain = pytest.mark.parametrize("domain", [domain_of(a) for a in DECLARED.values()], ids=DECLARED)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_domain_is_tested_here():
    assert set(DECLARED) == set(by_name)


# What is drawn ---------------------------------------------------------------------------------------------
@every_domain
@pytest.mark.parametrize("at", [SIZES, {"n": 1, "d": 1, "K": 2}, {"n": 2, "d": 5, "K": 3}], ids=str)
def test_samples_lie_in_the_set(domain, at):
    if not domain.admits(domain.concrete(at)):
        with pytest.raises(InputError, match="fewer rows than columns"):
            domain.sample(rng(), at)
        return
    for seed in range(5):
        x = domain.sample(rng(seed), at)
        assert x.dtype == np.float64
        assert x.shape == domain.concrete(at)
        assert domain.contains(x)


@every_domain
def test_samples_are_exact_in_bfloat16(domain):
    for seed in range(5):
        x = domain.sample(rng(seed), SIZES)
        assert np.array_equal(x, x.astype(jnp.bfloat16).astype(np.float64))


@every_domain
def test_a_seed_gives_the_same_sample_and_another_seed_another(domain):
    samples = [domain.sample(rng(seed), SIZES) for seed in (3, 3, 4)]
    assert np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


@pytest.mark.parametrize("kind", [Real, Positive, UnitInterval])
def test_entries_are_all_different(kind):
    for seed in range(5):
        x = domain_of(kind[Array, n, K]).sample(rng(seed), SIZES)
        assert len(np.unique(x)) == x.size


@pytest.mark.parametrize("kind", [Symmetric, PositiveDefinite])
def test_matrices_are_not_special(kind):
    """No zero, no diagonal matrix, no two equal eigenvalues: a formula for a special case must not pass."""
    x = domain_of(kind[Array, d, d]).sample(rng(1), {"d": 5})
    assert np.abs(np.tril(x, -1)).sum() > 0
    assert np.diff(np.linalg.eigvalsh(x)).min() > 1e-3
    assert len(np.unique(np.abs(x[np.tril_indices(5)]))) > 7


def test_reals_have_both_signs_and_both_sizes():
    x = domain_of(Real[Array, n, d]).sample(rng(), SIZES)
    assert (x < 0).any()
    assert (x > 0).any()
    assert (abs(x) < 1).any()
    assert (abs(x) > 1).any()


@pytest.mark.parametrize("kind", [Bit, Sign])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_labels_are_mixed(kind, count):
    for seed in range(5):
        x = domain_of(kind[Array, n]).sample(rng(seed), {"n": count})
        assert len(np.unique(x)) == 2


def test_one_observation_may_have_either_label():
    assert {float(domain_of(Bit[Array, ()]).sample(rng(seed), {})) for seed in range(9)} == {0.0, 1.0}


def test_classes_are_mixed():
    for seed in range(5):
        one_hot = domain_of(OneHot[Array, n, K]).sample(rng(seed), SIZES)
        assert len(np.unique(one_hot.argmax(axis=1))) == 4


def test_soft_targets_are_soft_and_their_rows_differ():
    x = domain_of(Simplex[Array, n, K]).sample(rng(), SIZES)
    assert (x > 0).all()
    assert len(np.unique(x, axis=0)) == 7
    assert np.array_equal(x.sum(axis=-1), np.ones(7))


# Where formulas break --------------------------------------------------------------------------------------
@every_domain
def test_edges_lie_in_the_set(domain):
    shape = domain.concrete(SIZES)
    edges = domain.edges(rng(), shape)
    assert edges
    for name, x in edges.items():
        assert x.shape == shape, name
        assert x.dtype == np.float64, name
        assert domain.contains(x), name


def test_edges_of_the_reals():
    edges = domain_of(Real[Array, n]).edges(rng(), (7,))
    assert set(abs(edges["huge"])) == {1000.0}
    assert set(np.sign(edges["huge"])) == {-1.0, 1.0}
    assert not edges["zero"].any()
    assert len(set(edges["tied"])) == 1
    assert 0 < abs(edges["tiny"]).max() < 1e-7


# The sets themselves ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("annotation", "outside"),
    [
        (Real[Array, n], [1.0, np.nan]),
        (Real[Array, n], [1.0, np.inf]),
        (Positive[Array, n], [1.0, 0.0]),
        (Positive[Array, n], [1.0, np.inf]),
        (UnitInterval[Array, n], [0.5, 1.0]),
        (Bit[Array, n], [0.0, 1.0, 0.5]),
        (Bit[Array, n], [-1.0, 1.0]),
        (Sign[Array, n], [0.0, 1.0]),
        (OneHot[Array, n, K], [[1.0, 1.0], [0.0, 1.0]]),
        (OneHot[Array, n, K], [[0.5, 0.5]]),
        (Simplex[Array, n, K], [[0.5, 0.4]]),
        (Simplex[Array, n, K], [[1.5, -0.5]]),
        (Symmetric[Array, d, d], [[1.0, 2.0], [3.0, 1.0]]),
        (Symmetric[Array, d, d], [[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]),
        (PositiveDefinite[Array, d, d], [[1.0, 2.0], [2.0, 1.0]]),
        (PositiveDefinite[Array, d, d], [[1.0, 0.5], [0.0, 1.0]]),
        (PositiveDefinite[Array, d, d], [[1.0, 0.0], [0.0, 0.0]]),
        (PositiveSemidefinite[Array, d, d], [[1.0, 2.0], [2.0, 1.0]]),
        (PositiveSemidefinite[Array, d, d], [[1.0, 0.5], [0.0, 1.0]]),
        (Nonnegative[Array, n], [1.0, -1e-9]),
        (Share[Array, n], [0.5, 1.001]),
        (FullColumnRank[Array, n, d], [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]),
        (FullColumnRank[Array, n, d], [[1.0, 2.0, 3.0]]),
    ],
    ids=str,
)
def test_what_is_not_in_the_set(annotation, outside):
    assert not domain_of(annotation).contains(np.array(outside))


@every_domain
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_free_variables_reach_the_set(domain, dtype):
    shape = domain.concrete(SIZES)
    for seed in range(5):
        u = jnp.asarray(rng(seed).standard_normal(domain.free_shape(shape)), dtype)
        x = domain.from_free(u)
        assert x.dtype == dtype
        assert x.shape == shape
        assert domain.contains(np.asarray(x))


@every_domain
def test_free_variables_move_the_element(domain):
    """A parametrisation that ignored its variables would make every hypothesis vacuous."""
    u, v = (rng(seed).standard_normal(domain.free_shape(domain.concrete(SIZES))) for seed in (0, 1))
    assert not np.array_equal(domain.from_free(jnp.asarray(u)), domain.from_free(jnp.asarray(v)))


@pytest.mark.parametrize("kind", [Symmetric, PositiveDefinite])
def test_stacked_matrices(kind):
    domain = domain_of(kind[Array, n, d, d])
    assert domain.contains(domain.sample(rng(), SIZES))
    assert domain.contains(np.asarray(domain.from_free(jnp.asarray(rng().standard_normal((7, 3, 3))))))


@every_domain
def test_free_variables_can_be_traced(domain):
    free = jax.ShapeDtypeStruct(domain.free_shape(domain.concrete(SIZES)), jnp.float64)
    assert jax.eval_shape(domain.from_free, free).shape == domain.concrete(SIZES)


# Declarations ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        (Real[Array, n, d], "Real[n, d]"),
        (Positive[Array, ()], "Positive[()]"),
        (Real[Array, Dim("r"), 2], "Real[r, 2]"),
        (Simplex[Array, n, K], "Simplex[n, K]"),
    ],
    ids=str,
)
def test_repr(annotation, written):
    assert repr(domain_of(annotation)) == written


def test_a_domain_is_its_kind_and_its_shape():
    assert domain_of(Real[Array, n, d]) == domain_of(Real[Array, n, d])
    assert domain_of(Real[Array, n, d]) != domain_of(Real[Array, d, n])
    assert domain_of(Bit[Array, n]) != domain_of(Sign[Array, n])
    assert domain_of(Real[Array, ()]).concrete({}) == ()
    assert domain_of(Real[Array, Dim("r"), 2]).concrete({"r": 5}) == (5, 2)


def test_no_domain():
    assert domain_of(Array) is None
    assert domain_of(int) is None


@pytest.mark.parametrize(
    ("declare", "cure"),
    [
        (lambda: Real[Array], "write Real[Array, n] or [Array, ()]"),
        (lambda: Bit[Array], "write Bit[Array, n]"),
        (lambda: Real[Array, "n"], "use n, d, K, Dim('r') or a positive integer"),
        (lambda: Real[Array, n, 2.5], "use n, d, K, Dim('r') or a positive integer"),
        (lambda: Real[Array, (n, d)], "use n, d, K, Dim('r') or a positive integer"),
        (lambda: Real[Array, n, 0], "use n, d, K, Dim('r') or a positive integer"),
        (lambda: Simplex[Array, ()], "write Simplex[Array, n, K]"),
        (lambda: OneHot[Array, ()], "write OneHot[Array, n, K]"),
        (lambda: Symmetric[Array, d], "write Symmetric[Array, d, d]"),
        (lambda: Symmetric[Array, n, d], "write Symmetric[Array, d, d]"),
        (lambda: PositiveDefinite[Array, d, K], "write PositiveDefinite[Array, d, d]"),
    ],
)
def test_a_bad_declaration_says_what_to_write(declare, cure):
    with pytest.raises(InputError, match=re.escape(cure)):
        declare()
