"""Values, gradients and Hessians by the interpreter's own rules equal those of JAX in float64."""

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import pytest
from jax import lax

from jaxderiv.verify.algebra import Floats, Unsupported
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.precise import Precise
from jaxderiv.verify.truth import Derivative, differentiate, settle

A = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5], [-2.0, 0.25, 1.0]])
LABELS = np.array([2, 0, 0, 1, 2])
MASK = np.array([True, False, True, True, False])

x3 = np.array([0.375, -0.75, 0.625])
p3 = np.array([0.375, 1.75, 0.625])
x5 = np.array([0.375, -0.75, 1.5, 0.125, -1.25])
X23 = np.array([[0.375, -0.75, 1.5], [0.125, -1.25, 0.875]])


def spd(x):
    """A positive definite matrix that depends on x."""
    return jnp.outer(x, x) + jnp.diag(2 + x**2)


def count_down(x):
    """x0 halved until it is below 0.1, with the sum of what it was."""
    body = lambda state: (state[0] / 2, state[1] + jnp.sin(state[0]))
    return lax.while_loop(lambda state: state[0] > 0.1, body, (x[0], jnp.sum(x[1:])))[1]


def recurrence(x):
    """A small recurrent network, forwards, then its states summed backwards."""
    carry, states = lax.scan(lambda h, u: (jnp.tanh(0.5 * h + u),) * 2, jnp.zeros(()), x)
    return carry + lax.scan(lambda s, h: (0.5 * s + h**2, None), jnp.zeros(()), states, reverse=True)[0]


# Each is a function to a scalar and a point. Sums are weighted, so that no entry can take another's place.
weigh = lambda y: jnp.sum(jnp.sin(1.0 + jnp.arange(float(y.size))) * y.ravel())
ELEMENTWISE = {
    name: (lambda x, name=name: weigh(getattr(jnp, name)(x)), x3)
    for name in (
        "exp exp2 expm1 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh cbrt square abs sign".split()
    )
} | {
    name: (lambda x, f=f: weigh(f(x)), p3)
    for name, f in {
        "log": jnp.log, "log1p": jnp.log1p, "sqrt": jnp.sqrt, "rsqrt": lax.rsqrt,
        "arccosh": lambda x: jnp.arccosh(1 + x),
        "erf": lax.erf, "erfc": lax.erfc, "erf_inv": lambda x: lax.erf_inv(x / 2), "lgamma": lax.lgamma,
        "reciprocal": lambda x: 1 / x, "power": lambda x: x**2.5, "integer power": lambda x: x**3 - x**-2,
        "exponent": lambda x: 1.5**x, "power of itself": lambda x: x**x, "remainder": lambda x: (5 * x) % 1.3,
        "logistic": jax.nn.sigmoid, "softplus": jax.nn.softplus, "gelu": jax.nn.gelu, "silu": jax.nn.silu,
        "log-sigmoid": jax.nn.log_sigmoid, "relu": jax.nn.relu, "elu": lambda x: jax.nn.elu(x - 1),
        "xlogy": lambda x: special.xlogy(x, x),
        "clip": lambda x: jnp.clip(x, 0.5, 1.0) * x, "maximum": lambda x: jnp.maximum(x, 0.5) * jnp.minimum(x**2, 1.0),
        "where": lambda x: jnp.where(x > 0.5, x**3, jnp.exp(x)), "floor": lambda x: jnp.floor(3 * x) * x,
        "round": lambda x: jnp.round(3 * x) * x, "stop_gradient": lambda x: lax.stop_gradient(x) * x**2,
        "logaddexp": lambda x: jnp.logaddexp(x, 2 * x[::-1]), "hypot": lambda x: jnp.hypot(x, x[::-1] + 1),
        "arctan of a quotient": lambda x: jnp.arctan(x / x[::-1]),
        "sinc, guarded": lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / x),
    }.items()
}  # fmt: skip
REDUCTIONS = {
    "sum": (lambda x: weigh(jnp.sum(x**2, axis=0)), X23),
    "prod": (lambda x: jnp.prod(x) + weigh(jnp.prod(x, axis=1)), X23),
    "max and min": (lambda x: weigh(jnp.max(x**2, axis=1)) - jnp.min(x) ** 2, X23),
    "mean": (lambda x: jnp.mean(x**3), X23),
    "variance": (lambda x: weigh(jnp.var(x, axis=1)), X23),
    "deviation": (lambda x: weigh(jnp.std(x, axis=1, ddof=1)), X23),
    "norm": (lambda x: jnp.linalg.norm(x) + weigh(jnp.linalg.norm(x, axis=1)), X23),
    "l1 norm": (lambda x: jnp.sum(jnp.abs(x)) ** 2, X23),
    "cumsum": (lambda x: weigh(jnp.cumsum(x, axis=1) ** 2), X23),
    "cumprod": (lambda x: weigh(jnp.cumprod(x, axis=1)), X23),
    "cummax": (lambda x: weigh(lax.cummax(x, axis=1) * x), X23),
    "logsumexp": (lambda x: weigh(jax.nn.logsumexp(x, axis=1)), X23),
    "softmax": (lambda x: weigh(jax.nn.softmax(x, axis=1)), X23),
    "log-softmax": (lambda x: weigh(jax.nn.log_softmax(x, axis=1)), X23),
    "sort": (lambda x: weigh(jnp.sort(x, axis=1) ** 2), X23),
    "sort by a key": (lambda x: weigh(lax.sort((x, x**2), num_keys=1)[1]), x5),
    "top_k": (lambda x: weigh(lax.top_k(x, 2)[0] ** 2), X23),
    "argmax": (lambda x: x[jnp.argmax(x)] ** 2 + x[jnp.argmin(x)] ** 3, x5),
    "median": (lambda x: jnp.median(x) ** 2, x5),
}
ALGEBRA = {
    "matmul": (lambda x: weigh(x @ A @ x.T), X23),
    "einsum": (lambda x: jnp.einsum("ij,jk,lk->il", x, A, x**2)[0, 1], X23),
    "batched einsum": (lambda x: weigh(jnp.einsum("bi,bj,ij->b", x, x, A)), X23),
    "outer": (lambda x: weigh(jnp.outer(x, x**2)), x3),
    "trace and diagonal": (lambda x: jnp.trace(jnp.outer(x, x) @ A) + weigh(jnp.diagonal(jnp.outer(x, x**2))), x3),
    "kron": (lambda x: weigh(jnp.kron(x, x**2)), x3),
    "inverse": (lambda x: weigh(jnp.linalg.inv(A + jnp.outer(x, x))), x3),
    "determinant": (lambda x: jnp.linalg.det(A + jnp.outer(x, x)), x3),
    "slogdet": (lambda x: jnp.linalg.slogdet(A + jnp.diag(x))[1], x3),
    "solve": (lambda x: weigh(jnp.linalg.solve(A + jnp.outer(x, x), x)), x3),
    "cholesky": (lambda x: weigh(jnp.linalg.cholesky(spd(x))), x3),
    "triangular solve": (lambda x: weigh(jax.scipy.linalg.solve_triangular(jnp.tril(spd(x)), x, lower=True)), x3),
    "cho_solve": (lambda x: x @ jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(spd(x)), x), x3),
    "eigvalsh": (lambda x: weigh(jnp.linalg.eigvalsh(spd(x))), x3),
    "singular values": (
        lambda x: weigh(jnp.linalg.svd(jnp.outer(x, x)[:, :2] + jnp.eye(3)[:, :2], compute_uv=False)),
        x3,
    ),
    "matrix power": (lambda x: weigh(jnp.linalg.matrix_power(A + jnp.diag(x), 3)), x3),
}
STRUCTURE = {
    "pad": (lambda x: weigh(jnp.pad(x, ((1, 0), (0, 2)), constant_values=0.5) ** 2), X23),
    "interior pad": (lambda x: weigh(lax.pad(x, 0.5, ((1, -1, 2),)) ** 2), x5),
    "concatenate": (lambda x: weigh(jnp.concatenate([x**2, jnp.ones((1, 3)), x[::-1]])), X23),
    "stack": (lambda x: weigh(jnp.stack([x, x**2], axis=1)), X23),
    "roll and flip": (lambda x: weigh(jnp.roll(x, 1) * x[::-1]), x5),
    "tile and repeat": (lambda x: weigh(jnp.tile(x, 2) * jnp.repeat(x**2, 2)), x5),
    "transpose": (lambda x: weigh(x.T.reshape(2, 3) ** 2), X23),
    "slices": (lambda x: weigh(x[1:] * x[:-1]) + x[-1] ** 2, x5),
    "strides": (lambda x: weigh(x[::2] ** 2), x5),
    "gather": (lambda x: weigh(x[LABELS] ** 2), x5),
    "two-dimensional gather": (lambda x: weigh(x[jnp.arange(2), LABELS[:2]] ** 2), X23),
    "take_along_axis": (lambda x: weigh(jnp.take_along_axis(x, LABELS[None, :2], axis=1) ** 2), X23),
    "one-hot": (lambda x: weigh(jax.nn.one_hot(LABELS, 3).T @ x**2), x5),
    "scatter": (lambda x: weigh(jnp.ones(5).at[LABELS[2:]].set(x[2:] ** 2)), x5),
    "scatter-add": (lambda x: weigh(jnp.ones(3).at[LABELS].add(x**2)), x5),
    "segment sum": (lambda x: weigh(jax.ops.segment_sum(x**2, LABELS, num_segments=3)), x5),
    "mask": (lambda x: weigh(jnp.where(MASK, x**2, 0.0)) / jnp.sum(jnp.where(MASK, x, 2.0)), x5),
    "dynamic slice": (lambda x: weigh(lax.dynamic_slice(x, (1,), (3,)) ** 2), x5),
    "dynamic update": (lambda x: weigh(lax.dynamic_update_slice(x, x[:2] ** 2, (2,))), x5),
    "triangle": (lambda x: weigh(jnp.tril(jnp.outer(x, x**2))), x3),
    "split": (lambda x: weigh(jnp.split(x, [2])[1] ** 2), x5),
    "vmap": (lambda x: weigh(jax.vmap(lambda row: row @ A @ row)(x)), X23),
}
CONTROL = {
    "scan": (recurrence, x5),
    "while": (count_down, p3),
    "fori": (lambda x: lax.fori_loop(0, 3, lambda i, s: s * x[i] + jnp.sin(s), x[0]), x3),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda x: weigh(x**2), lambda x: weigh(x**3), x), x3),
    "switch": (lambda x: lax.switch(2, [jnp.sum, jnp.prod, lambda x: weigh(jnp.exp(x))], x), x3),
    "map": (lambda x: weigh(lax.map(lambda u: jnp.tanh(u) * u, x)), x5),
    "jit within": (lambda x: jax.jit(lambda y: weigh(jnp.exp(y)))(x**2), x3),
    "checkpoint": (lambda x: jax.checkpoint(lambda y: weigh(jnp.exp(y)))(x**2), x3),
}
CASES = ELEMENTWISE | REDUCTIONS | ALGEBRA | STRUCTURE | CONTROL
# JAX itself gives no second derivative by forward over reverse mode, or none in reverse mode at all.
FORWARD_ONLY = {"while"}
FAST_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
PRECISE = ("tanh", "gelu", "softmax", "deviation", "inverse", "eigvalsh", "cholesky", "scan", "scatter-add")
digits = lambda x: np.asarray(np.asarray(x, dtype=object), dtype=np.float64)


def close(ours, theirs, tolerance=1e-11):
    ours, theirs = digits(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * max(1.0, np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.lenient_promotion
def test_value_gradient_and_hessian(name):
    f, x = CASES[name]
    program = trace(f, x)
    gradient = jax.jacfwd(f) if name in FORWARD_ONLY else jax.grad(f)
    all_three = jax.jit(lambda x: (f(x), gradient(x), jax.jacfwd(gradient)(x)), compiler_options=FAST_TO_COMPILE)
    value, first, second = all_three(x)
    close(Interpreter(Floats())(program, [x])[0], value)
    close(differentiate(program, [x], Derivative("gradient", (0,)), Floats())[0], first)
    close(differentiate(program, [x], Derivative("hessian", (0,), (0,)), Floats())[0], second, 1e-9)


@pytest.mark.parametrize("name", PRECISE)
@pytest.mark.lenient_promotion
def test_high_precision_agrees_with_floats(name):
    f, x = CASES[name]
    program = trace(f, x)
    for what in (Derivative("value"), Derivative("gradient", (0,)), Derivative("hessian", (0,), (0,))):
        exact = settle(lambda a, what=what: differentiate(program, [x], what, a), stop=3)
        assert exact.decided
        close(exact.floats[0], differentiate(program, [x], what, Floats())[0], 1e-9)


def test_digamma_and_its_derivatives():
    """JAX's second derivative of lgamma is one that needs polygamma, which it has as a series."""
    f = lambda x: weigh(lax.digamma(x))
    close(differentiate(trace(f, p3), [p3], Derivative("gradient", (0,)), Floats())[0], jax.grad(f)(p3), 1e-9)


# Other derivatives -------------------------------------------------------------------------------------------
def test_a_pytree_has_a_leaf_for_every_array():
    params = {"W": X23, "b": np.array([0.5, -1.0])}
    f = lambda p: jnp.sum(jnp.tanh(p["W"] @ x3 + p["b"]) ** 2)
    program = trace(lambda *leaves: f(dict(zip("Wb", leaves, strict=True))), *params.values())
    ours = differentiate(program, list(params.values()), Derivative("gradient", (0, 1)), Floats())
    for mine, theirs in zip(ours, jax.tree.leaves(jax.grad(f)(params)), strict=True):
        close(mine, theirs)
    ours = differentiate(program, list(params.values()), Derivative("hessian", (0, 1), (0, 1)), Floats())
    for mine, theirs in zip(ours, jax.tree.leaves(jax.hessian(f)(params)), strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("kind", ["jacobian", "vjp", "hvp"])
def test_products_and_jacobians(kind):
    f = lambda x: jnp.tanh(A @ x) * x[0]
    scalar = lambda x: weigh(f(x))
    along = np.array([0.5, -2.0, 1.25])
    if kind == "jacobian":
        ours = differentiate(trace(f, x3), [x3], Derivative(kind, (0,)), Floats())
        close(ours[0], jax.jacobian(f)(x3))
    elif kind == "vjp":
        program = trace(lambda x, c: f(x), x3, along)
        ours = differentiate(program, [x3, along], Derivative(kind, (0,), along=(1,)), Floats())
        close(ours[0], jax.vjp(f, x3)[1](along)[0])
    else:
        program = trace(lambda x, v: scalar(x), x3, along)
        ours = differentiate(program, [x3, along], Derivative(kind, (0,), (0,), (1,)), Floats())
        close(ours[0], jax.hessian(scalar)(x3) @ along)


# What is not known is named ----------------------------------------------------------------------------------
def noise(x):
    return x @ jax.random.normal(jax.random.key(0), (3,))


def callback(x):
    shape = jax.ShapeDtypeStruct((), x.dtype)
    return jax.pure_callback(lambda y: np.sum(y), shape, x)


@pytest.mark.parametrize(
    ("f", "named"),
    [
        (lambda x: jnp.sum(jnp.linalg.svd(jnp.outer(x, x[:2]))[0]), "svd"),
        (lambda x: jnp.sum(jnp.linalg.qr(jnp.outer(x, x))[1]), "qr"),
        (noise, "random"),
        (lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x))), "fft|complex"),
        (lambda x: jnp.real(jnp.sum(lax.complex(x, x) ** 2)), "complex"),
        (callback, "pure_callback"),
        (lambda x: jnp.sum(special.i0e(x)), "bessel_i0e"),
        (lambda x: jnp.sum(lax.cumlogsumexp(x)), "cumlogsumexp"),
        (lambda x: lax.while_loop(lambda y: y > 0, lambda y: y + 1, x[0]), "while"),
    ],
    ids=["svd", "qr", "random", "fft", "complex", "callback", "bessel", "cumlogsumexp", "endless"],
)
def test_an_unknown_primitive_is_named(f, named, monkeypatch):
    monkeypatch.setattr("jaxderiv.verify.interpreter._LIMIT", 20)
    with pytest.raises(Unsupported, match=named):
        Interpreter(Floats())(trace(f, x3), [x3])


# Hooks -------------------------------------------------------------------------------------------------------
def test_a_hook_changes_a_step():
    program = trace(lambda x: jnp.sin(x) + jnp.cos(x), x3)
    met = []

    def doubled_sine(interpreter, path, eqn, inputs, outputs):
        met.append((path, eqn.primitive.name))
        return [2 * outputs[0]] if eqn.primitive.name == "sin" else outputs

    close(Interpreter(Floats(), doubled_sine)(program, [x3])[0], 2 * np.sin(x3) + np.cos(x3))
    assert [name for _, name in met] == ["sin", "cos", "add"]
    assert len({path for path, _ in met}) == 3


def test_a_hook_meets_the_steps_inside_of_calls_and_loops():
    met = []
    hook = lambda interpreter, path, eqn, inputs, outputs: met.append((path, eqn.primitive.name)) or outputs
    Interpreter(Floats(), hook)(trace(recurrence, x5), [x5])
    inner = {path for path, name in met if name == "tanh"}
    assert len(inner) == 1
    assert len(inner.pop()) == 2
    assert sum(name == "tanh" for _, name in met) == len(x5)


# Ties --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "x", "tied"),
    [
        (jnp.abs, 0.0, True),
        (jnp.abs, 0.5, False),
        (lambda x: jnp.maximum(x, 0.5), 0.5, True),
        (lambda x: jnp.where(x > 0, x, 0.0), 0.0, True),
        (lambda x: jnp.max(jnp.stack([x, 1 - x])), 0.5, True),
        (lambda x: x * jnp.max(jnp.array([1.0, 1.0])), 0.5, False),  # a tie of constants is no kink
        (lambda x: jnp.where(jnp.isnan(x), 0.0, x), 0.5, False),
    ],
)
def test_ties_are_noted(f, x, tied):
    ties = []
    differentiate(trace(f, x), [np.asarray(x)], Derivative("gradient", (0,)), Precise(30), ties)
    assert bool(ties) == tied
