"""Newton and Newton-CG as optax transformations: exact on quadratics, damped elsewhere, clear about bad
Hessians.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.errors import InputError
from jaxderiv.optimisers import armijo, newton, newton_cg


def positive_definite(size: int, seed: int = 0) -> np.ndarray:
    A = np.random.default_rng(seed).normal(size=(size, size))
    return A @ A.T / size + np.eye(size)


def quadratic(params, H, b):
    return params.ravel() @ (H @ params.ravel()) / 2 - b @ params.ravel()


def quadratic_hessian(params, H):
    return H.reshape(params.shape + params.shape)


def quadratic_hvp(params, direction, H):
    return (H @ direction.ravel()).reshape(params.shape)


def steps(optimiser, loss, start, count, **data):
    """The points and states after each of so many steps."""

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(loss)(params, **data)
        updates, state = optimiser.update(gradient, state, params, value=value, grad=gradient, value_fn=loss, **data)
        return optax.apply_updates(params, updates), state

    points, states = [jnp.asarray(start)], [optimiser.init(jnp.asarray(start))]
    for _ in range(count):
        params, state = step(points[-1], states[-1])
        points.append(params)
        states.append(state)
    return points, states


@pytest.mark.parametrize("shape", [(6,), (3, 2), (1,)])
@pytest.mark.parametrize("optimiser", [newton(quadratic_hessian), newton_cg(quadratic_hvp)], ids=["newton", "cg"])
def test_a_quadratic_is_solved(shape, optimiser):
    size = int(np.prod(shape))
    H, b = positive_definite(size), np.arange(1.0, size + 1)
    points, states = steps(optimiser, quadratic, np.ones(shape), 12, H=H, b=b)
    np.testing.assert_allclose(points[-1].ravel(), np.linalg.solve(H, b), rtol=1e-12)
    assert optax.tree.get(states[1], "learning_rate") == 1


def test_newton_solves_a_quadratic_in_one_step_and_knows_its_decrement():
    H, b, start = positive_definite(5), np.arange(5.0), np.ones(5)
    points, states = steps(newton(quadratic_hessian), quadratic, start, 1, H=H, b=b)
    np.testing.assert_allclose(points[1], np.linalg.solve(H, b), rtol=1e-12)
    decrease = quadratic(points[0], H, b) - quadratic(points[1], H, b)
    np.testing.assert_allclose(optax.tree.get(states[1], "decrement"), 2 * decrease, rtol=1e-12)


@pytest.mark.parametrize("optimiser", [newton(quadratic_hessian), newton_cg(quadratic_hvp)], ids=["newton", "cg"])
def test_float32_stays_float32(optimiser):
    H, b = np.float32(positive_definite(4)), np.ones(4, np.float32)
    points, states = steps(optimiser, quadratic, np.zeros(4, np.float32), 3, H=H, b=b)
    assert points[-1].dtype == jnp.float32
    assert all(leaf.dtype != jnp.float64 for leaf in jax.tree.leaves(states[-1]))


def log_cosh(params):
    return jnp.sum(jnp.logaddexp(params, -params))


def log_cosh_hessian(params):
    return jnp.diag(1 / jnp.cosh(params) ** 2)


def log_cosh_hvp(params, direction):
    return direction / jnp.cosh(params) ** 2


def test_damping_is_what_makes_newton_converge():
    start = np.array([2.0, -1.5])
    pure, _ = steps(newton(log_cosh_hessian, linesearch=optax.identity()), log_cosh, start, 8)
    assert not jnp.all(jnp.abs(pure[-1]) < 10)
    for optimiser in (newton(log_cosh_hessian), newton_cg(log_cosh_hvp)):
        points, states = steps(optimiser, log_cosh, start, 8)
        np.testing.assert_allclose(points[-1], 0, atol=1e-12)
        assert optax.tree.get(states[1], "learning_rate") < 1
        assert optax.tree.get(states[-1], "learning_rate") == 1
        values = [log_cosh(point) for point in points]
        assert all(after <= before + 1e-14 for before, after in pairwise(values))


def saddle(params):
    x, y = params
    return x**2 - y**2 / 2 + y**4 / 4


def saddle_hvp(params, direction):
    return jax.jvp(jax.grad(saddle), (params,), (direction,))[1]


@pytest.mark.parametrize("optimiser", [newton(jax.hessian(saddle)), newton_cg(saddle_hvp)], ids=["newton", "cg"])
def test_an_indefinite_hessian_still_gives_descent_to_a_minimum(optimiser):
    points, _ = steps(optimiser, saddle, np.array([0.5, 0.1]), 30)
    np.testing.assert_allclose(points[-1], [0, 1], atol=1e-10)
    values = [float(saddle(point)) for point in points]
    assert all(after <= before + 1e-14 for before, after in pairwise(values))


def test_the_states_say_what_was_done_about_an_indefinite_hessian():
    start = np.array([0.5, 0.1])
    _, states = steps(newton(jax.hessian(saddle)), saddle, start, 30)
    assert optax.tree.get(states[1], "shift") > 0
    assert optax.tree.get(states[-1], "shift") == 0
    _, states = steps(newton_cg(saddle_hvp), saddle, np.array([0.0, 0.1]), 30)
    assert optax.tree.get(states[1], "negative_curvature")
    assert not optax.tree.get(states[-1], "negative_curvature")


def test_a_zero_hessian_gives_steepest_descent():
    transformation = newton(lambda params: jnp.zeros((2, 2)), linesearch=optax.identity())
    start = jnp.array([1.0, 2.0])
    update, state = transformation.update(jnp.array([3.0, -4.0]), transformation.init(start), start)
    assert jnp.vdot(update, jnp.array([3.0, -4.0])) < 0
    assert optax.tree.get(state, "shift") > 0


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_hessian_that_is_not_finite_gives_nan_and_ends(bad):
    transformation = newton(lambda params: jnp.full((2, 2), bad), linesearch=optax.identity())
    start = jnp.ones(2)
    update, _ = transformation.update(jnp.ones(2), transformation.init(start), start)
    assert jnp.all(jnp.isnan(update))


def classification(seed=0, n=40, d=3, K=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, n)
    return {"X": rng.normal(size=(n, d)), "T": np.eye(K)[labels], "lam": np.float64(0.05)}


def test_round_off_of_the_value_does_not_stop_newton():
    """The value resolves the minimum to half of its digits only; the gradient must still reach round-off."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)), rng.integers(0, 2, 50).astype(float)
    data = {"X": X, "y": y, "lam": np.float64(0.01)}
    points, states = steps(newton(logistic.hessian), logistic.loss, np.zeros(4), 15, **data)
    assert jnp.linalg.norm(logistic.gradient(points[-1], **data)) < 1e-15
    assert optax.tree.get(states[-1], "learning_rate") == 1


def test_newton_and_newton_cg_meet_on_a_matrix_of_weights():
    data = classification()
    start = np.zeros((3, 4))
    exact, _ = steps(newton(softmax.hessian), softmax.loss, start, 12, **data)
    truncated, states = steps(newton_cg(softmax.hvp), softmax.loss, start, 12, **data)
    np.testing.assert_allclose(exact[-1], truncated[-1], atol=1e-13)
    products = [int(optax.tree.get(state, "products")) for state in states]
    counts = [int(optax.tree.get(state, "cg_steps")) for state in states]
    assert products == list(np.cumsum(counts))
    assert counts[1] < counts[5], "far from the minimum the system is solved roughly, near it exactly"


def test_the_limit_of_cg_steps_holds():
    limited = newton_cg(quadratic_hvp, max_cg_steps=2)
    _, states = steps(limited, quadratic, np.ones(6), 4, H=positive_definite(6), b=np.arange(6.0))
    assert max(int(optax.tree.get(state, "cg_steps")) for state in states) == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: newton_cg(softmax.hvp, max_cg_steps=0), "max_cg_steps is 0; allowed: 1 or more"),
        (lambda: armijo(slope_rtol=0.5), "slope_rtol is 0.5; allowed: 0 < slope_rtol < 1/2"),
        (lambda: armijo(decrease_factor=1.0), "decrease_factor is 1.0; allowed"),
        (lambda: armijo(max_backtracking_steps=0), "max_backtracking_steps is 0; allowed"),
    ],
)
def test_options_outside_their_interval(make, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        make()


def test_a_hessian_of_the_wrong_shape_is_named():
    data = classification()
    wrong = newton(lambda W, X, lam: jnp.eye(12))
    with pytest.raises(InputError, match=r"\(12, 12\).*\(3, 4\) need \(3, 4, 3, 4\)"):
        steps(wrong, softmax.loss, np.zeros((3, 4)), 1, **data)
    wrong = newton_cg(lambda W, V, X, lam: V.ravel())
    with pytest.raises(InputError, match=r"\(12,\).*\(3, 4\) need \(3, 4\)"):
        steps(wrong, softmax.loss, np.zeros((3, 4)), 1, **data)


def test_a_pytree_of_parameters_is_refused_with_a_cure():
    for optimiser in (newton(quadratic_hessian), newton_cg(quadratic_hvp)):
        with pytest.raises(InputError, match=r"is a dict; .*ravel_pytree"):
            optimiser.init({"w": jnp.ones(2)})
