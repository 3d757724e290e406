"""Kernels: the same function as the readable formula, proved; with weights, an intercept, and in bounded memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxderiv
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, poisson
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import Kernel, block_rows, kernel

MODELS = {"logistic": logistic, "poisson": poisson}


def data(n=7, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(d), rng.standard_normal((n, d)), (rng.random(n) < 0.5).astype(float), 0.1


@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("name", MODELS)
def test_kernels_are_proved_to_be_the_derivatives_of_the_readable_loss(name, rows):
    fast = kernel(MODELS[name])
    report = jaxderiv.check(
        MODELS[name].loss,
        *data(),
        gradient=lambda w, X, y, lam: fast.gradient(w, X, y, lam, rows=rows),
        hessian=lambda w, X, y, lam: fast.hessian(w, X, y, lam, rows=rows),
        hvp=lambda w, v, X, y, lam: fast.hvp(w, v, X, y, lam, rows=rows),
    )
    assert report.verdict == "proved", str(report)


@pytest.mark.parametrize("name", MODELS)
def test_all_parts_in_one_pass(name):
    w, X, y, lam = map(jnp.asarray, data(23, 4))
    parts = kernel(MODELS[name]).passes(w, X, y, lam, rows=5)
    module = MODELS[name]
    assert jnp.allclose(parts.value, module.loss(w, X, y, lam), rtol=1e-13)
    assert jnp.allclose(parts.gradient, module.gradient(w, X, y, lam), rtol=1e-12)
    assert jnp.allclose(parts.hessian, module.hessian(w, X, lam), rtol=1e-12)
    assert parts.hvp is None


@pytest.mark.parametrize("rows", [None, 5])
def test_weights_and_intercept(rows):
    w, X, y, lam = map(jnp.asarray, data(23, 4))
    w = jnp.append(w, 0.3)
    s = jnp.asarray(np.random.default_rng(1).random(23))

    def readable(w):
        z = X @ w[:-1] + w[-1]
        return s @ logistic.pointwise(z, y) / jnp.sum(s) + lam / 2 * (w[:-1] @ w[:-1])

    fast, how = kernel(logistic), {"weights": s, "intercept": True, "rows": rows}
    assert jnp.allclose(fast.value(w, X, y, lam, **how), readable(w), rtol=1e-13)
    assert jnp.allclose(fast.gradient(w, X, y, lam, **how), jax.grad(readable)(w), rtol=1e-12)
    assert jnp.allclose(fast.hessian(w, X, y, lam, **how), jax.hessian(readable)(w), rtol=1e-12)
    v = jnp.arange(5.0)
    assert jnp.allclose(fast.hvp(w, v, X, y, lam, **how), jax.hessian(readable)(w) @ v, rtol=1e-12)


def test_whole_number_weights_repeat_observations():
    w, X, y, lam = map(jnp.asarray, data(5, 2))
    s = jnp.array([1.0, 2.0, 0.0, 3.0, 1.0])
    rows = np.repeat(np.arange(5), s.astype(int))
    fast = kernel(logistic)
    assert jnp.allclose(fast.hessian(w, X, y, lam, weights=s), fast.hessian(w, X[rows], y[rows], lam), rtol=1e-12)


def test_single_precision_stays_single():
    w, X, y, _ = (jnp.asarray(x, jnp.float32) for x in data(40, 3))
    parts = kernel(logistic).passes(w, X, y, jnp.float32(0.1), rows=7)
    assert {part.dtype for part in parts if part is not None} == {jnp.dtype("float32")}


def test_a_formula_of_more_than_logits_and_targets_can_be_given():
    w, X, y, _ = map(jnp.asarray, data(23, 4))
    delta = 0.7
    fast = Kernel(*(lambda z, y, f=f: f(z - y, delta) for f in (huber.pointwise, huber.influence, huber.curvature)))
    loss = lambda w: jnp.mean(huber.pointwise(X @ w - y, delta))
    assert jnp.allclose(fast.gradient(w, X, y), jax.grad(loss)(w), rtol=1e-12)


# Memory --------------------------------------------------------------------------------------------------------
def scratch(f, *args):
    return jax.jit(f).lower(*args).compile().memory_analysis().temp_size_in_bytes


def test_the_hessian_needs_memory_for_blocks_not_for_a_copy_of_the_data():
    n, d = 200_000, 20
    w, X, y = (jnp.zeros(shape) for shape in ((d,), (n, d), (n,)))
    fast = scratch(lambda w, X, y: kernel(logistic).passes(w, X, y), w, X, y)
    readable = scratch(lambda w, X, y: logistic.hessian(w, X, 0.0), w, X, y)
    assert fast < 0.2 * X.nbytes
    assert readable > 0.9 * X.nbytes


def test_blocks_are_chosen_by_size():
    assert block_rows(1000, 10, scaled=True) == 1000
    assert block_rows(10**7, 10, scaled=False) == 2**20 // 10
    assert block_rows(10**6, 100, scaled=True) < block_rows(10**6, 100, scaled=False)
    assert block_rows(10, 10**8, scaled=True) == 1


# Bad input -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k, w, X, y: k.gradient(w[:2], X, y), r"w has shape \(2,\); with X of shape \(7, 3\) it has \(3,\)"),
        (lambda k, w, X, y: k.gradient(w, X, y, intercept=True), "the intercept is the last entry"),
        (lambda k, w, X, y: k.gradient(w, X, y[:-1]), r"y has shape \(6,\)"),
        (lambda k, w, X, y: k.gradient(w, X, y, weights=jnp.ones(3)), r"weights has shape \(3,\)"),
        (lambda k, w, X, y: k.gradient(w, X[0], y), "X has shape"),
        (lambda k, w, X, y: k.gradient(w, X, y, rows=0), "rows is 0"),
        (lambda k, w, X, y: k.passes(w, X, y, want=("slope",)), "allowed are value, gradient, hessian, hvp"),
        (lambda k, w, X, y: k.passes(w, X, y, want=("hvp",)), "write along=v"),
        (lambda k, w, X, y: kernel(softmax), "softmax has no pointwise"),
    ],
)
def test_bad_input_says_what_fits(call, message):
    w, X, y, _ = map(jnp.asarray, data())
    with pytest.raises(InputError, match=message):
        call(kernel(logistic), w, X, y)
