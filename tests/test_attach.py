"""`jaxderiv.attach`: JAX differentiates a loss by the hand formulas, and gets what it would get by itself."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxderiv
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.networks import tanh_softmax
from jaxderiv.derivation import read_catalogue
from jaxderiv.errors import InputError
from jaxderiv.index import entries

SIZES = {"n": 7, "d": 3, "K": 4, "h": 5}
NAMES = [entry.full_name for entry in entries()]


def point(name, seed=0):
    derivation, rng = read_catalogue(name), np.random.default_rng(seed)
    symbols = derivation.symbols
    return derivation, [jnp.asarray(symbols[symbol].sample(rng, SIZES)) for symbol in derivation.loss_arguments]


def agree(a, b, tolerance=1e-11):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert jnp.allclose(x, y, rtol=tolerance, atol=tolerance * float(jnp.max(abs(y))))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_loss(name):
    derivation, args = point(name)
    loss, positions = jaxderiv.attach(name), tuple(range(len(derivation.parameters)))
    agree(loss(*args), derivation.loss(*args))
    at_once = lambda f: jax.jit(f)(*args)  # one program to compile instead of one for each of its operations
    agree(at_once(jax.grad(loss, positions)), at_once(jax.grad(derivation.loss, positions)))
    expected = at_once(jax.hessian(derivation.loss, positions))
    agree(at_once(jax.hessian(loss, positions)), expected)
    agree(at_once(jax.jacrev(jax.jacrev(loss, positions), positions)), expected)


@pytest.mark.parametrize("name", ["classification/logistic", "regression/poisson", "networks/tanh_softmax"])
def test_third_derivatives_products_batches_and_data(name):
    derivation, args = point(name)
    loss = jaxderiv.attach(name)
    of_data = len(args) - 2  # an array of data, which every one of these has
    product = lambda f: lambda w, *rest: jax.jvp(lambda w: jax.grad(f)(w, *rest), (w,), (jnp.ones_like(w),))[1]
    for derivative in (
        lambda f: jax.jacfwd(jax.hessian(f)),
        product,
        lambda f: jax.grad(f, of_data),
        lambda f: jax.jacfwd(jax.grad(f), of_data),
    ):
        agree(*(jax.jit(derivative(f))(*args) for f in (loss, derivation.loss)))
    batch = jnp.stack([args[0], 2 * args[0]])
    together = jax.jit(jax.vmap(jax.hessian(loss), in_axes=(0, *[None] * (len(args) - 1))))(batch, *args[1:])
    alone = jax.jit(jax.hessian(derivation.loss))
    agree(list(together), [alone(w, *args[1:]) for w in batch])


def test_the_formulas_are_what_is_used():
    derivation, args = point("classification/logistic")
    hessian = lambda f: jax.jit(jax.hessian(f))(*args)
    expected = hessian(derivation.loss)
    tripled = {name: (lambda f: lambda *a: 3 * f(*a))(f) for name, f in derivation.formulas.items()}
    for name, f in derivation.formulas.items():
        tripled[name].__signature__ = inspect.signature(f)
    wrong = dataclasses.replace(derivation, formulas=derivation.formulas | {"gradient": tripled["gradient"]})
    agree(jax.jit(jax.grad(jaxderiv.attach(wrong)))(*args), 3 * jax.grad(derivation.loss)(*args))
    agree(hessian(jaxderiv.attach(wrong)), expected)
    wrong = dataclasses.replace(derivation, formulas=derivation.formulas | {"hvp": tripled["hvp"]})
    agree(hessian(jaxderiv.attach(wrong)), 3 * expected)
    without = {name: f for name, f in derivation.formulas.items() if name != "hvp"} | {"hessian": tripled["hessian"]}
    wrong = dataclasses.replace(derivation, formulas=without)
    agree(hessian(jaxderiv.attach(wrong)), 3 * expected)


def test_a_gradient_alone_is_enough():
    derivation, args = point("classification/logistic")
    alone = dataclasses.replace(derivation, formulas={"gradient": derivation.formulas["gradient"]})
    agree(jax.hessian(jaxderiv.attach(alone))(*args), jax.hessian(derivation.loss)(*args))


def test_arguments_by_name_and_whole_number_labels():
    w, X, y = jnp.zeros(3), jnp.ones((4, 3)), jnp.array([0, 1, 0, 1])
    loss = jaxderiv.attach(logistic)
    assert loss(w, X=X, y=y.astype(float), lam=0.1) == logistic.loss(w, X, y.astype(float), 0.1)
    with jax.numpy_dtype_promotion("standard"):
        assert jax.grad(loss)(w, X, y, lam=0.1).shape == (3,)


@pytest.mark.lenient_promotion
@pytest.mark.parametrize("module", [logistic, softmax, tanh_softmax])
def test_optax_gets_the_formulas_without_a_change(module):
    names = {
        logistic: "classification/logistic",
        softmax: "classification/softmax",
        tanh_softmax: "networks/tanh_softmax",
    }
    derivation, args = point(names[module])
    count = len(derivation.parameters)

    def descend(loss):
        f = lambda params: loss(*params, *args[count:])
        optimiser, params = optax.lbfgs(), tuple(args[:count])
        state = optimiser.init(params)

        @jax.jit
        def step(params, state):
            value, slope = jax.value_and_grad(f)(params)
            updates, state = optimiser.update(slope, state, params, value=value, grad=slope, value_fn=f)
            return optax.apply_updates(params, updates), state

        for _ in range(5):
            params, state = step(params, state)
        return params

    agree(descend(jaxderiv.attach(module)), descend(derivation.loss), 1e-6)


def test_what_cannot_be_attached_says_why():
    derivation, _ = point("classification/logistic")
    with pytest.raises(InputError, match="logistic has no gradient in w; write def gradient"):
        jaxderiv.attach(dataclasses.replace(derivation, formulas={}))
    with pytest.raises(InputError, match="has no loss"):
        jaxderiv.attach(dataclasses.replace(derivation, loss=None))
