"""Kernels: the same functions as the readable formulas, proved; with weights, an intercept, and in bounded memory."""

import functools
import inspect

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import jaxderiv
from jaxderiv.catalogue.classification import logistic, logistic_signs, softmax
from jaxderiv.catalogue.regression import (
    huber,
    least_squares,
    mean_squared_error,
    poisson,
    ridge,
    weighted_least_squares,
)
from jaxderiv.errors import InputError
from jaxderiv.kernels import glm, passes
from jaxderiv.kernels.glm import kernel, of_numbers
from jaxderiv.kernels.passes import Parts, block_rows

MODELS = {
    module.__name__.rpartition(".")[2]: module
    for module in (least_squares, mean_squared_error, huber, logistic, logistic_signs, poisson, softmax)
}


def data(n=7, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(d), rng.standard_normal((n, d)), (rng.random(n) < 0.5).astype(float), 0.1


def classes(n, d, K, seed=0):
    rng = np.random.default_rng(seed)
    T = rng.random((n, K))
    return rng.standard_normal((d, K)), rng.standard_normal((n, d)), T / T.sum(axis=1, keepdims=True), 0.1


def of(name, *, sizes=(7, 3), K=3):
    """The arguments of a model's loss, and what makes its kernel and the kernel's arguments of those of the loss."""
    if name == "softmax":
        return classes(*sizes, K), lambda: kernel(softmax), lambda *args: args
    w, X, y, lam = data(*sizes)
    if name == "huber":
        return (w, X, y, 0.7), lambda delta=0.7: kernel(huber, delta=delta), lambda *args: args[:-1]
    if name == "logistic_signs":
        y = 2 * y - 1
    rest = (lam,) if "lam" in inspect.signature(MODELS[name].loss).parameters else ()
    return (w, X, y, *rest), lambda: kernel(MODELS[name]), lambda *args: args


def proof(name, kinds=("gradient", "hessian", "hvp"), rows=3, **sizes):
    args, made, taken = of(name, **sizes)

    def call(method):
        def formula(*symbols):
            fast = made(symbols[-1]) if name == "huber" else made()
            return getattr(fast, method)(*taken(*symbols), rows=rows)

        return formula

    return jaxderiv.check(MODELS[name].loss, *args, **{kind: call(kind) for kind in kinds})


# Blocks of 3 rows and panels of 2 columns at most, so that what is proved is the sum over blocks and panels.
@pytest.mark.parametrize("name", ["least_squares", "huber", "logistic", "poisson"])
def test_kernels_are_proved_to_be_the_derivatives_of_the_readable_loss(name, monkeypatch):
    monkeypatch.setattr(passes, "_PANEL", 2)
    report = proof(name)
    assert report.verdict == "proved", str(report)


def test_the_form_for_large_data_is_proved(monkeypatch):
    products = lambda: str(jax.make_jaxpr(kernel(logistic).gradient)(*data())).count("dot_general")
    assert products() == 2
    monkeypatch.setattr(passes, "_is_summed", lambda X: True)
    assert products() == 1
    report = proof("logistic", ("gradient", "hvp"), rows=10)
    assert report.verdict == "proved", str(report)


@pytest.mark.parametrize(
    ("kinds", "few", "K"), [(("gradient", "hvp"), 10, 2), (("hessian",), 10, 3), (("hessian",), 1, 2)]
)
def test_softmax_is_proved_in_both_forms_of_its_hessian(kinds, few, K, monkeypatch):
    monkeypatch.setattr(glm, "_FEW", few)
    report = proof("softmax", kinds, sizes=(4, 2), K=K)
    assert report.verdict == "proved", str(report)


@pytest.mark.parametrize(("kind", "change"), [("gradient", {"mean": False}), ("hvp", {"along": lambda z, y, u: u / 4})])
def test_a_wrong_kernel_is_refuted(kind, change, monkeypatch):
    broken = kernel(logistic)._replace(**change)
    monkeypatch.setitem(globals(), "kernel", lambda module: broken)
    assert proof("logistic", (kind,)).verdict == "refuted"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [None, 5])
def test_all_parts_in_one_pass(name, rows):
    args, made, taken = of(name, sizes=(23, 4))
    w, X, y, *lam = map(jnp.asarray, args)
    v = jnp.arange(w.size, dtype=float).reshape(w.shape)
    passed = jax.jit(functools.partial(made().passes, along=v, want=Parts._fields, rows=rows))
    parts = passed(*map(jnp.asarray, taken(*args)))
    loss = MODELS[name].loss
    hessian = jax.jit(jax.hessian(loss))(w, X, y, *lam)
    assert jnp.allclose(parts.value, loss(w, X, y, *lam), rtol=1e-13)
    assert jnp.allclose(parts.gradient, jax.grad(loss)(w, X, y, *lam), rtol=1e-12)
    assert jnp.allclose(parts.hessian, hessian, rtol=1e-11, atol=1e-14)
    assert jnp.allclose(parts.hvp, jnp.tensordot(hessian, v, w.ndim), rtol=1e-12)
    assert kernel(logistic).passes(*map(jnp.asarray, data())).hvp is None


@pytest.mark.parametrize(("name", "intercept"), [*((name, True) for name in MODELS), ("logistic", False)])
def test_rows_split_over_devices_yield_the_same(name, intercept, monkeypatch):
    monkeypatch.setattr(passes, "_FEWEST", 3)
    monkeypatch.setattr(passes, "_WORTH_SHARING", 0)
    monkeypatch.setattr(passes, "_OF_A_CORE", 0)
    monkeypatch.setattr(passes, "_PANEL_OF_A_CORE", 2)
    args, made, taken = of(name, sizes=(22, 4))
    w, X, y, *lam = map(jnp.asarray, taken(*args))
    s = jnp.arange(22.0)
    w = jnp.concatenate([w, w[:1]]) if intercept else w
    v = jnp.arange(w.size, dtype=float).reshape(w.shape)
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    rows = jax.NamedSharding(mesh, jax.P("rows"))
    call = lambda over: jax.jit(
        functools.partial(made().passes, along=v, want=Parts._fields, intercept=intercept, over=over)
    )
    split = call(mesh)(w, jax.device_put(X, rows), jax.device_put(y, rows), *lam, weights=jax.device_put(s, rows))
    assert all(part.sharding.is_fully_replicated and len(part.devices()) == 2 for part in split)
    for part, expected in zip(split, call(None)(w, X, y, *lam, weights=s), strict=True):
        assert jnp.allclose(np.asarray(part), expected, rtol=1e-12, atol=1e-13)


def test_rows_that_devices_cannot_share_equally_are_refused():
    mesh = jax.make_mesh((2,), ("rows",), devices=jax.devices()[:2])
    with pytest.raises(InputError, match="7 rows cannot be split among 2 devices; append rows of weight 0"):
        kernel(logistic).passes(*map(jnp.asarray, data()), over=mesh)


@pytest.mark.parametrize("K", [1, 2, 11])
def test_softmax_of_any_number_of_classes(K):
    W, X, T, lam = map(jnp.asarray, classes(9, 3, K))
    expected = jax.jit(jax.hessian(softmax.loss))(W, X, T, lam)
    found = jax.jit(functools.partial(kernel(softmax).hessian, rows=4))(W, X, T, lam)
    assert jnp.allclose(found, expected, rtol=1e-11, atol=1e-14)


def test_the_softmax_hessian_does_not_cancel():
    W, X = jnp.array([[0.0, -50.0]]), jnp.ones((1, 1))
    H = kernel(softmax).hessian(W, X, jnp.array([[1.0, 0.0]]))
    assert jnp.allclose(H[0, 0, 0, 0], jnp.exp(-50.0), rtol=1e-14)


@pytest.mark.parametrize("rows", [None, 5])
@pytest.mark.parametrize("name", ["logistic", "softmax"])
def test_weights_and_intercept(name, rows):
    args, made, _ = of(name, sizes=(23, 4), K=3)
    w, X, y, lam = map(jnp.asarray, args)
    w = jnp.concatenate([w, 0.3 * jnp.ones((1, *w.shape[1:]))])
    s = jnp.asarray(np.random.default_rng(1).random(23))
    pointwise = logistic.pointwise if name == "logistic" else softmax.cross_entropy

    def readable(w):
        return s @ pointwise(X @ w[:-1] + w[-1:], y) / jnp.sum(s) + lam / 2 * jnp.sum(w[:-1] ** 2)

    with jax.numpy_rank_promotion("allow"):
        expected = jax.jit(lambda w: (readable(w), jax.grad(readable)(w), jax.hessian(readable)(w)))(w)
    v = jnp.arange(w.size, dtype=float).reshape(w.shape)
    how = {"weights": s, "intercept": True, "rows": rows, "along": v, "want": Parts._fields}
    parts = jax.jit(lambda *args: made().passes(*args, **how))(w, X, y, lam)
    for part, value in zip(parts, (*expected, jnp.tensordot(expected[2], v, w.ndim)), strict=True):
        assert jnp.allclose(part, value, rtol=1e-12, atol=1e-15)


def test_whole_number_weights_repeat_observations():
    w, X, y, lam = map(jnp.asarray, data(5, 2))
    s = jnp.array([1.0, 2.0, 0.0, 3.0, 1.0])
    rows = np.repeat(np.arange(5), s.astype(int))
    for fast in (kernel(logistic), kernel(least_squares)):
        assert jnp.allclose(fast.hessian(w, X, y, lam, weights=s), fast.hessian(w, X[rows], y[rows], lam), rtol=1e-12)


def test_ridge_and_weighted_least_squares_are_least_squares():
    w, X, y, lam = map(jnp.asarray, data())
    s, fast = jnp.arange(1.0, 8.0), kernel(least_squares)
    assert jnp.allclose(fast.gradient(w, X, y, lam), ridge.gradient(w, X, y, lam), rtol=1e-12)
    assert jnp.allclose(fast.gradient(w, X, y, weights=s), weighted_least_squares.gradient(w, X, y, s), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_single_precision_stays_single(name):
    args, made, taken = of(name, sizes=(40, 3))
    w, X, y, *lam = (jnp.asarray(x, jnp.float32) for x in taken(*args))
    parts = jax.eval_shape(lambda *args: made().passes(*args, rows=7, along=w, want=Parts._fields), w, X, y, *lam)
    assert {part.dtype for part in parts} == {jnp.dtype("float32")}


def test_a_bound_symbol_may_be_traced():
    w, X, y, _ = map(jnp.asarray, data())
    value = lambda delta: kernel(huber, delta=delta).value(w, X, y, rows=3)
    assert jnp.allclose(jax.grad(value)(0.7), jax.grad(lambda delta: huber.loss(w, X, y, delta))(0.7), rtol=1e-12)


def test_formulas_that_are_in_no_derivation_can_be_given():
    w, X, y, _ = map(jnp.asarray, data(23, 4))
    fast = of_numbers(lambda z, y: jnp.cosh(z - y), lambda z, y: jnp.sinh(z - y), lambda z, y: jnp.cosh(z - y), False)
    loss = lambda w: jnp.sum(jnp.cosh(X @ w - y))
    assert jnp.allclose(fast.gradient(w, X, y, rows=5), jax.grad(loss)(w), rtol=1e-12)
    assert jnp.allclose(fast.hessian(w, X, y, rows=5), jax.hessian(loss)(w), rtol=1e-12)


def test_many_columns_are_computed_by_panels_and_the_hessian_is_whole():
    w, X, y, lam = map(jnp.asarray, data(40, 600))
    assert len(list(passes._panels(600, passes._PANEL))) == 3
    H = jax.jit(functools.partial(kernel(logistic).hessian, rows=16))(w, X, y, lam)
    assert jnp.allclose(H, logistic.hessian(w, X, lam), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["logistic", "softmax"])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 0)])
def test_small_data(name, sizes):
    args, made, _ = of(name, sizes=sizes)
    parts = made().passes(*map(jnp.asarray, args))
    assert jnp.allclose(parts.value, MODELS[name].loss(*map(jnp.asarray, args)), rtol=1e-13)
    assert parts.hessian.shape == args[0].shape * 2


# Memory --------------------------------------------------------------------------------------------------------
def scratch(f, *args):
    return jax.jit(f).lower(*args).compile().memory_analysis().temp_size_in_bytes


def zeros(*shapes, dtype=float):
    return [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]


def test_the_hessian_needs_memory_for_blocks_not_for_a_copy_of_the_data():
    n, d = 200_000, 20
    w, X, y = zeros((d,), (n, d), (n,))
    fast = scratch(lambda w, X, y: kernel(logistic).passes(w, X, y), w, X, y)
    readable = scratch(lambda w, X, y: logistic.hessian(w, X, 0.0), w, X, y)
    assert fast < 2**20
    assert readable > 0.9 * n * d * 8


@pytest.mark.parametrize("model", [poisson, softmax])
def test_memory_does_not_grow_with_the_number_of_observations(model):
    K = (5,) if model is softmax else ()
    rows = 819 if model is poisson else 256
    sizes = (200 * rows + 7, 800 * rows + 7)
    needed = [scratch(kernel(model).passes, *zeros((20, *K), (n, 20), (n, *K))) for n in sizes]
    assert needed[1] < 1.01 * needed[0] < 2**20


def test_the_softmax_hessian_needs_far_less_memory_than_jax():
    arrays = zeros((20, 5), (2000, 20), (2000, 5))
    fast = scratch(lambda W, X, T: kernel(softmax).hessian(W, X, T), *arrays)
    by_jax = scratch(lambda W, X, T: jax.hessian(softmax.loss)(W, X, T, 0.0), *arrays)
    assert 25 * fast < by_jax


@pytest.mark.parametrize("want", [("value", "gradient"), ("hvp",)])
def test_an_intercept_takes_no_copy_of_the_data(want):
    n, d = 200_000, 100
    w, X, y, v = zeros((d + 1,), (n, d), (n,), (d + 1,))
    along = lambda v: v if "hvp" in want else None
    call = lambda w, X, y, v: kernel(logistic).passes(w, X, y, want=want, along=along(v), intercept=True)
    assert scratch(call, w, X, y, v) < 2 * 2**22 < 8 * n * d / 10


@pytest.mark.parametrize("kept", [jnp.float32, jnp.bfloat16])
def test_data_in_a_lower_precision_are_taken_as_they_are(kept):
    w, X, y, lam = data(23, 4)
    narrow, weights = jnp.asarray(X, kept), jnp.arange(23, dtype=kept)
    parts = jax.jit(lambda *given: kernel(logistic).passes(*given[:4], weights=given[4], rows=5))
    found, wanted = parts(w, narrow, y, lam, weights), parts(w, narrow.astype(float), y, lam, weights.astype(float))
    for part, exact in zip(found[:3], wanted[:3], strict=True):
        assert part.dtype == float
        assert jnp.allclose(part, exact, rtol=1e-14, atol=0)


def test_integers_are_data_and_weights_in_a_low_precision_are_summed_in_that_of_the_arithmetic():
    X, y = jnp.arange(12, dtype=jnp.int8).reshape(4, 3), jnp.array([0, 1, 1, 0])
    weights, w = jnp.array([256.0, 1.0, 1.0, 1.0], jnp.bfloat16), jnp.ones(3) / 10
    found = kernel(logistic).passes(w, X, y, 0.1, weights=weights)
    wanted = kernel(logistic).passes(w, *(a.astype(float) for a in (X, y)), 0.1, weights=weights.astype(float))
    assert all(jnp.allclose(part, exact, rtol=1e-14) for part, exact in zip(found[:3], wanted[:3], strict=True))


@pytest.mark.parametrize("want", [("value",), ("value", "gradient"), ("hessian",)])
def test_data_in_a_lower_precision_are_not_copied_whole(want):
    n, d = 200_000, 50
    w, X, y = zeros((d,), (n, d), (n,))
    narrow = jax.ShapeDtypeStruct(X.shape, jnp.float32)
    assert scratch(lambda *given: kernel(logistic).passes(*given, want=want), w, narrow, y) < 8 * n * d / 10


def test_blocks_are_chosen_by_size():
    X = lambda n, d, dtype=float: jax.ShapeDtypeStruct((n, d), dtype)
    assert block_rows(X(10**6, 16), None) == 10**6
    assert block_rows(X(10**6, 16, jnp.float32), None, 1, float) == 2**18 // (16 * 8)
    assert block_rows(X(10**5, 16), None, 2) == 2**18 // (16 * 8)
    assert block_rows(X(10**5, 1024, jnp.float32), None, 2) == 64
    assert block_rows(X(10**5, 1024, jnp.float32), None, 2, several=True) == 10**5
    assert block_rows(X(10**5, 10_000), None, 2) == 10**5
    assert block_rows(X(10**3, 16), None, 2) == 10**3
    assert block_rows(X(10**6, 1000), (1, 1000), 2) == 500
    assert block_rows(X(10**6, 5), (3, 5), 2) == 256
    assert block_rows(X(10**6, 1000), (1, 1000)) == 500
    assert block_rows(X(10**6, 100), (1, 100)) == 2**18 // 100
    assert block_rows(X(10**6, 64), (45, 64)) == 256
    assert block_rows(X(10**6, 5), (1, 5)) == 2**14 // 5
    assert block_rows(X(10**6, 5), (3, 5)) == 2**14 // 15
    assert block_rows(X(1000, 5), (1, 5)) == 1000
    assert block_rows(X(0, 3), None) == 1


def test_an_accelerator_gets_large_blocks(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    X = jax.ShapeDtypeStruct((10**6, 20), float)
    assert block_rows(X, (1, 20)) == block_rows(X, None) == 10**6
    narrow = jax.ShapeDtypeStruct((10**8, 20), jnp.bfloat16)
    assert block_rows(narrow, None, dtype=jnp.float32) == 2**26 // 20


@pytest.mark.parametrize("kept", [jnp.float64, jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_what_an_accelerator_would_run_is_lowered_for_it(name, kept, monkeypatch):
    """Without one: to the program in XLA's language, which a GPU's compiler is given."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    (w, X, y, *_), made, _ = of(name, sizes=(40, 5))
    want = ("value", "gradient", "hessian", "hvp")
    parts = jax.jit(lambda w, X, y: made().passes(w, X, y, want=want, along=w))
    arithmetic = jnp.float64 if kept == jnp.float64 else jnp.float32
    given = (w.astype(arithmetic), jax.ShapeDtypeStruct(X.shape, kept), y.astype(arithmetic))
    program = jax.export.export(parts, platforms=["cuda"])(*given)
    assert program.platforms == ("cuda",)
    assert {part.dtype for part in jax.tree.leaves(program.out_avals)} == {jnp.dtype(arithmetic)}


# Bad input -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k, w, X, y: k.gradient(w[:2], X, y), r"w has shape \(2,\); with X of shape \(7, 3\) it has \(3,\)"),
        (lambda k, w, X, y: k.gradient(w, X, y, intercept=True), "the intercept is the last row"),
        (lambda k, w, X, y: k.gradient(w, X, y[:-1]), r"y has shape \(6,\)"),
        (lambda k, w, X, y: k.gradient(w, X, y, weights=jnp.ones(3)), r"weights has shape \(3,\)"),
        (lambda k, w, X, y: k.gradient(w, X[0], y), "X has shape"),
        (lambda k, w, X, y: k.gradient(w, X, y[None, None]), "y has shape"),
        (lambda k, w, X, y: k.gradient(w, X, y, rows=0), "rows is 0"),
        (lambda k, w, X, y: k.passes(w, X, y, want=("slope",)), "allowed are value, gradient, hessian, hvp"),
        (lambda k, w, X, y: k.passes(w, X, y, want=("hvp",)), "write along=v"),
        (lambda k, w, X, y: k.hvp(w, w[:2], X, y), r"along has shape \(2,\)"),
        (
            lambda k, w, X, y: kernel(softmax).gradient(jnp.ones((3, 4)), X, jnp.ones((7, 5))),
            r"w has shape \(3, 4\); with X of shape \(7, 3\) and y of shape \(7, 5\) it has \(3, 5\)",
        ),
        (lambda k, w, X, y: kernel(softmax).gradient(w, X, y), r"y has shape \(7,\); it has n rows of K targets"),
        (
            lambda k, w, X, y: k.gradient(jnp.ones((3, 2)), X, jnp.ones((7, 2))),
            r"y has shape \(7, 2\); it has n entries",
        ),
        (lambda k, w, X, y: kernel(ridge), "ridge has no pointwise, residual, curvature; a kernel needs"),
        (lambda k, w, X, y: kernel(huber), r"given nothing else; write kernel\(huber, delta=...\)"),
        (lambda k, w, X, y: kernel(logistic, delta=1.0), r"also given delta; write kernel\(logistic\)"),
        (lambda k, w, X, y: kernel(softmax, delta=1.0), r"also given delta; write kernel\(softmax\)"),
    ],
)
def test_bad_input_says_what_fits(call, message):
    w, X, y, _ = map(jnp.asarray, data())
    with pytest.raises(InputError, match=message):
        call(kernel(logistic), w, X, y)
