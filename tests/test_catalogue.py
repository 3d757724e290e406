"""Every file of the catalogue, whatever files there are, is right and is written as a derivation.

The comparison of left and right here is plain, at a few points of one shape, and uses nothing of the
verifier: it would notice if the verifier accepted everything.
"""

import ast
import functools
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxderiv.catalogue
from jaxderiv.catalogue import notation
from jaxderiv.derivation import arguments, read_catalogue
from jaxderiv.domains import Dim, OneHot, Simplex

CATALOGUE = Path(jaxderiv.catalogue.__file__).parent
FILES = {f"{path.parent.name}/{path.stem}": path for path in sorted(CATALOGUE.glob("*/[!_]*.py"))}
SIZES = {"n": 7, "d": 3, "K": 4, "h": 5}  # coprime: no transposed or misnormalised formula fits by chance
OTHER_SIZES = (11, 13, 17, 19, 23)
FAST_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(scope="session", params=FILES)
def derivation(request):
    return read_catalogue(request.param)


@pytest.fixture(params=FILES.values(), ids=FILES)
def tree(request):
    return ast.parse(request.param.read_text())


def sizes(derivation, **given):
    others = (dim for dim in derivation.dims if dim not in SIZES)
    return SIZES | dict(zip(others, OTHER_SIZES, strict=False)) | given


def classes(derivation):
    """The sizes that count classes, of which there are two at least."""
    rows = [domain for domain in derivation.symbols.values() if isinstance(domain, OneHot | Simplex)]
    return {domain.shape[-1].name for domain in rows if isinstance(domain.shape[-1], Dim)}


def point(derivation, at, dtype=jnp.float64, seed=20):
    rng = np.random.default_rng(seed)
    return {s: jnp.asarray(domain.sample(rng, at), dtype) for s, domain in derivation.symbols.items()}


def templates(derivation, at, dtype=jnp.float64):
    shapes = {symbol: domain.concrete(at) for symbol, domain in derivation.symbols.items()}
    return {symbol: jax.ShapeDtypeStruct(shape, dtype) for symbol, shape in shapes.items()}


def lefts(derivation, values):
    return {c.name: c.left(*(values[s] for s in arguments(c.left))) for c in derivation.claims}


def rights(derivation, values):
    return {c.name: c.right(*(values[s] for s in arguments(c.right))) for c in derivation.claims}


def loss(derivation, values):
    return derivation.loss(*(values[s] for s in arguments(derivation.loss)))


def compiled(function):
    return jax.jit(function, compiler_options=FAST_TO_COMPILE)


# Right -----------------------------------------------------------------------------------------------------
def test_the_catalogue_is_found():
    assert len(FILES) >= 10


def test_left_equals_right(derivation):
    both = compiled(lambda v: (lefts(derivation, v), rights(derivation, v)))
    seen = set()
    for seed in range(3):
        left, right = both(point(derivation, sizes(derivation), seed=seed))
        for name, hand in right.items():
            assert jax.tree.structure(hand) == jax.tree.structure(left[name]), name
            for a, b in zip(jax.tree.leaves(left[name]), jax.tree.leaves(hand), strict=True):
                assert a.shape == b.shape, name
                assert np.abs(a - b).max() <= 1e-12 * np.abs(a).max() * a.size, name
                seen |= {name} if np.any(b != 0) else set()
    assert seen == {claim.name for claim in derivation.claims}, "a side that is zero everywhere shows nothing"


def test_every_parameter_has_its_claims(derivation):
    """The claims for free: each gradient, and a Hessian or a product unless the file says why not."""
    gradients = {of for c in derivation.claims if c.kind == "gradient" for of in c.of}
    assert gradients == set(derivation.parameters)
    second = [c for c in derivation.claims if c.kind in ("hessian", "hvp")]
    assert bool(second) != hasattr(inspect.getmodule(derivation.loss), "no_hessian")


def test_derivatives_have_the_layout_of_their_parameters(derivation):
    at = sizes(derivation)
    out = jax.eval_shape(functools.partial(rights, derivation), templates(derivation, at))
    shape = {name: derivation.symbols[name].concrete(at) for name in derivation.parameters}
    for claim in derivation.claims:
        if claim.kind in ("gradient", "hessian"):
            assert out[claim.name].shape == sum((shape[of] for of in claim.of), ())
        if claim.kind == "hvp":
            assert [leaf.shape for leaf in jax.tree.leaves(out[claim.name])] == list(shape.values())


@pytest.mark.parametrize("edge", ["all smallest", "one observation", "one feature", "wide"])
def test_shapes_at_edge_sizes(derivation, edge):
    smallest = {dim: 2 if dim in classes(derivation) else 1 for dim in derivation.dims}
    given = {
        "all smallest": smallest,
        "one observation": {"n": 1},
        "one feature": {"d": 1},
        "wide": {"n": 2},
    }[edge]
    at = templates(derivation, sizes(derivation, **given))
    left, right = (jax.eval_shape(functools.partial(side, derivation), at) for side in (lefts, rights))
    assert jax.tree.map(jnp.shape, left) == jax.tree.map(jnp.shape, right)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_the_result_has_the_dtype_of_the_parameter(derivation, dtype):
    at = templates(derivation, sizes(derivation), dtype)
    out = jax.eval_shape(lambda v: (rights(derivation, v), loss(derivation, v)), at)
    assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {jnp.dtype(dtype)}


def test_no_nan_at_huge_logits_in_float32(derivation):
    """Each symbol in turn at its huge values, then everything but the data at once."""
    at, rng = sizes(derivation), np.random.default_rng(21)
    generic = point(derivation, at, jnp.float32)
    edges = {s: domain.edges(rng, domain.concrete(at)) for s, domain in derivation.symbols.items()}
    huge = {s: jnp.asarray(edge["huge"], jnp.float32) for s, edge in edges.items() if "huge" in edge}
    data = set(arguments(derivation.loss)) - set(derivation.parameters)
    points = [generic | {s: value} for s, value in huge.items()]
    points.append(generic | {s: value for s, value in huge.items() if s not in data})
    evaluate = compiled(lambda v: (loss(derivation, v), rights(derivation, v)))
    finite = [out for value, out in map(evaluate, points) if jnp.isfinite(value)]
    assert finite  # exp, as in a Poisson loss, overflows at the others
    for out in finite:
        assert not [name for name, hand in out.items() if any(np.isnan(x).any() for x in jax.tree.leaves(hand))]


# Written as a derivation ---------------------------------------------------------------------------------
def functions(tree):
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_under_a_hundred_lines(path):
    assert len(path.read_text().splitlines()) < 100


def test_steps_are_short(tree):
    for function in functions(tree):
        assert len(function.body) <= 1 + 3, f"{function.name}: a docstring and three statements at most"


def test_every_function_shows_its_formula(tree):
    assert "Source:" in ast.get_docstring(tree)
    for function in functions(tree):
        assert (ast.get_docstring(function) or "").count("$") >= 2, f"{function.name}: no formula in $...$"


def test_names_are_not_reused(tree):
    names = [function.name for function in functions(tree)]
    assert len(names) == len(set(names))


def test_imports_only_mathematics(tree):
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in imports:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        for module in modules:
            ours = module in ("jaxderiv.domains", "jaxderiv.derivation", "jaxderiv.catalogue.notation")
            assert ours or module.split(".")[0] == "jax", f"a derivation does not import {module}"


# The shared words ----------------------------------------------------------------------------------------
def test_notation_means_what_it_says():
    z = np.array([[-3.0, 0.25, 2.0], [1.0, -1.5, 0.75]])
    e = np.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    for hand, meant in [
        (notation.softplus(z), np.log(1 + e)),
        (notation.sigmoid(z), e / (1 + e)),
        (notation.logsumexp(z), np.log(total[:, 0])),
        (notation.log_softmax(z), z - np.log(total)),
        (notation.softmax(z), e / total),
    ]:
        np.testing.assert_allclose(hand, meant, rtol=1e-14)


def test_notation_is_stable():
    z = jnp.array([[1000.0, -1000.0]], jnp.float32)
    assert jnp.array_equal(notation.softplus(z), jnp.array([[1000, 0]], jnp.float32))
    assert jnp.array_equal(notation.logsumexp(z), jnp.array([1000], jnp.float32))
    assert jnp.array_equal(notation.log_softmax(z), jnp.array([[0, -2000]], jnp.float32))
    assert jnp.array_equal(notation.softmax(z), jnp.array([[1, 0]], jnp.float32))
    small = notation.sigmoid(jnp.float32(20)) * notation.sigmoid(jnp.float32(-20))
    assert abs(small / 2.0611536e-09 - 1) < 1e-6
