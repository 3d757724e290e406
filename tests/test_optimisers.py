"""Optax transformations: second-order methods exact on quadratics, safe elsewhere, clear about bad Hessians; line
searches, proximal operators and accelerated steps that do what their conditions say.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.errors import InputError
from jaxderiv.optimisers import (
    armijo,
    best_iterate,
    bfgs,
    extrapolation,
    fista,
    heavy_ball_rates,
    irls,
    nesterov,
    nesterov_momentum,
    newton,
    newton_cg,
    polyak_ruppert,
    power_schedule,
    prox_elastic_net,
    prox_l1,
    prox_norm,
    prox_squared_norm,
    proximal,
    proximal_gradient,
    regularised_newton,
    scale_by_bfgs,
    soft_threshold,
    trust_region,
    weak_wolfe,
)


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


# Newton's method with a shift, and within a ball ------------------------------
def test_regularised_newton_decreases_as_promised_from_afar():
    """The third derivative of log(2 cosh x) is at most M = 4 / (3 sqrt 3)."""
    M = 4 / (3 * np.sqrt(3))
    points, states = steps(regularised_newton(log_cosh_hessian, M), log_cosh, np.array([6.0, -1.5]), 25)
    np.testing.assert_allclose(points[-1], 0, atol=1e-12)
    for (x, after), state in zip(pairwise(points), states[1:], strict=True):
        if np.abs(x).max() < 1e-3:
            break  # there JAX's gradient of the loss has lost its digits
        shift = np.sqrt(M / 2 * np.linalg.norm(np.tanh(x)))
        np.testing.assert_allclose(optax.tree.get(state, "shift"), shift, rtol=1e-9)
        np.testing.assert_allclose(after, x - np.tanh(x) / (1 / np.cosh(x) ** 2 + shift), rtol=1e-10, atol=1e-15)
        assert log_cosh(x) - log_cosh(after) >= 2 / 3 * shift * np.sum((after - x) ** 2) - 1e-14


def rosenbrock(params):
    x, y = params
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


TRUST = trust_region(jax.hessian(rosenbrock), radius=0.5, max_radius=1.0)


def test_the_trust_region_reaches_the_minimum_by_accepted_decreases():
    points, states = steps(TRUST, rosenbrock, np.array([-1.2, 1.0]), 40)
    np.testing.assert_allclose(points[-1], 1, atol=1e-12)
    accepted = np.array([optax.tree.get(state, "accepted") for state in states[1:]])
    radii = np.array([optax.tree.get(state, "radius") for state in states])
    assert not accepted.all(), "one step is refused on the way"
    assert radii.max() <= 1
    assert (np.diff(radii)[~accepted] < 0).all()
    for taken, (before, after), radius in zip(accepted, pairwise(points), radii[:-1], strict=True):
        assert np.linalg.norm(after - before) <= radius * (1 + 1e-12)
        assert (rosenbrock(after) < rosenbrock(before) + 1e-14) if taken else (after == before).all()
    assert optax.tree.get(states[-1], "multiplier") == 0


@pytest.mark.parametrize("kind", ["definite", "indefinite", "hard case", "saddle point"])
def test_a_step_is_the_minimiser_over_the_ball(kind):
    """(H + nu I) p = -g, H + nu I >= 0, nu >= 0, nu (radius - |p|) = 0 (Nocedal and Wright, theorem 4.1)."""
    H, g = positive_definite(4), np.array([1.0, -2.0, 0.5, 3.0])
    if kind != "definite":
        H = H - 2 * np.eye(4)
    least = np.linalg.eigh(H)[1][:, 0]
    if kind == "hard case":
        g = 0.05 * (g - least * (least @ g))
    if kind == "saddle point":
        g = 0 * g
    method = trust_region(quadratic_hessian, radius=0.7)
    known = {"value": jnp.zeros(()), "value_fn": quadratic, "H": jnp.asarray(H), "b": -g}
    p, state = jax.jit(method.update, static_argnames="value_fn")(g, method.init(jnp.zeros(4)), jnp.zeros(4), **known)
    nu = optax.tree.get(state, "multiplier")
    np.testing.assert_allclose(H @ p + nu * p, -g, atol=1e-12)
    assert np.linalg.eigvalsh(H)[0] + nu >= -1e-13
    assert nu >= 0
    np.testing.assert_allclose(np.linalg.norm(p), 0.7, rtol=1e-12)
    assert optax.tree.get(state, "accepted")
    np.testing.assert_allclose(optax.tree.get(state, "ratio"), 1, rtol=1e-12)
    np.testing.assert_allclose(optax.tree.get(state, "radius"), 1.4)


def test_a_value_outside_of_the_domain_shrinks_the_ball():
    method = trust_region(lambda x: jnp.full((1, 1), 0.1), radius=8.0)
    points, states = steps(method, lambda x: -jnp.log(x[0]) - jnp.log(2 - x[0]), np.array([0.5]), 1)
    assert points[1] == points[0]
    assert not optax.tree.get(states[1], "accepted")
    assert optax.tree.get(states[1], "radius") == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_trust_region_of_what_is_not_finite_gives_nan(bad):
    points, _ = steps(trust_region(lambda x: jnp.full((2, 2), bad)), log_cosh, np.ones(2), 1)
    assert np.isnan(points[1]).all()


# BFGS and its line searches ---------------------------------------------------
def test_the_step_of_a_wolfe_search_meets_both_conditions():
    points, states = steps(bfgs(), rosenbrock, np.array([-1.2, 1.0]), 45)
    np.testing.assert_allclose(points[-1], 1, atol=1e-10)
    slope = jax.grad(rosenbrock)
    lengths = [float(optax.tree.get(state, "learning_rate")) for state in states[1:]]
    assert min(lengths) < 1
    assert lengths[-1] == 1
    for k, (x, after) in enumerate(pairwise(points)):
        if np.linalg.norm(slope(x)) < 1e-7:
            break
        down = slope(x) @ (after - x)
        assert rosenbrock(after) <= rosenbrock(x) + 1e-4 * down
        assert slope(after) @ (after - x) >= 0.9 * down
        assert optax.tree.get(states[k + 1], "met")
    assert k > 20


def test_a_long_step_is_found_by_doubling():
    search = optax.chain(optax.scale(-1.0), weak_wolfe())
    points, states = steps(search, lambda x, a: a * x @ x / 2, np.array([3.0]), 1, a=1e-3)
    assert optax.tree.get(states[1], "learning_rate") == 128  # the first power of two with |1 - 0.001 t| <= 0.9
    np.testing.assert_allclose(points[1], 3 * (1 - 0.128))


def test_a_search_without_an_end_says_so():
    search = optax.chain(optax.scale(-1.0), weak_wolfe(max_trials=7))
    points, states = steps(search, lambda x: x.sum(), np.zeros(2), 1)
    assert not optax.tree.get(states[1], "met")
    assert optax.tree.get(states[1], "trials") == 7
    np.testing.assert_array_equal(points[1], -64)


def test_bfgs_keeps_the_secant_equation():
    H, b = positive_definite(4), np.arange(4.0)
    points, states = steps(bfgs(), quadratic, np.ones(4), 25, H=H, b=b)
    np.testing.assert_allclose(points[-1], np.linalg.solve(H, b), rtol=1e-9)
    approximation = optax.tree.get(states[6], "inverse_hessian")
    s = points[5] - points[4]
    np.testing.assert_allclose(approximation @ (H @ s), s, atol=1e-12)
    assert np.linalg.eigvalsh(approximation)[0] > 0


def test_with_exact_searches_bfgs_learns_the_inverse_hessian_of_a_quadratic():
    """After d of them H is the inverse (Nocedal and Wright, theorem 6.4)."""
    H, x, method = positive_definite(4), jnp.arange(4.0), scale_by_bfgs()
    state, update = method.init(x), jax.jit(method.update)
    for _ in range(5):
        p, state = update(H @ x, state, x)
        x = x - (p @ H @ x) / (p @ H @ p) * p
    np.testing.assert_allclose(optax.tree.get(state, "inverse_hessian"), np.linalg.inv(H), atol=1e-11)


def test_bfgs_skips_what_would_make_its_matrix_indefinite():
    """Armijo alone on -x^2 / 2: y's = -s^2 at each step."""
    _, states = steps(bfgs(linesearch=armijo(0.1)), lambda x: -x @ x / 2, np.ones(2), 4)
    assert [int(optax.tree.get(state, "skipped")) for state in states] == [0, 0, 1, 2, 3]
    np.testing.assert_array_equal(optax.tree.get(states[-1], "inverse_hessian"), np.eye(2))


def test_both_searches_lead_bfgs_to_the_minimum_by_different_ways():
    """Where curvatures are small the full step is too short for Wolfe, and long enough for Armijo."""
    data = {"H": 0.02 * positive_definite(4), "b": 0.02 * np.arange(4.0)}
    wolfe, _ = steps(bfgs(), quadratic, np.ones(4), 30, **data)
    halved, _ = steps(bfgs(linesearch=armijo(0.1)), quadratic, np.ones(4), 30, **data)
    assert np.abs(wolfe[1] - halved[1]).max() > 1e-2
    for end in (wolfe[-1], halved[-1]):
        np.testing.assert_allclose(end, np.linalg.solve(data["H"], data["b"]), atol=1e-8)


# Proximal operators -----------------------------------------------------------
V, T, LAM, RATIO = np.array([2.0, -0.3, 0.0, 0.8, -5.0, 0.45]), 0.5, 1.6, 0.25


def test_soft_thresholding():
    np.testing.assert_allclose(soft_threshold(V, 0.8), [1.2, 0, 0, 0, -4.2, 0], rtol=1e-15)
    assert not np.signbit(soft_threshold(V, 0.8)[1:4]).any()
    np.testing.assert_array_equal(soft_threshold(V, 0.0), V)


@pytest.mark.parametrize(
    ("prox", "l1", "l2"),
    [
        (lambda v, t: prox_l1(v, t, LAM), LAM, 0.0),
        (lambda v, t: prox_elastic_net(v, t, LAM, RATIO), LAM * RATIO, LAM * (1 - RATIO)),
        (lambda v, t: prox_squared_norm(v, t, LAM), 0.0, LAM),
    ],
    ids=["l1", "elastic net", "squared norm"],
)
def test_v_minus_prox_is_a_subgradient(prox, l1, l2):
    p = prox(V, T)
    slope = (V - p) / T - l2 * p
    np.testing.assert_allclose(slope[p != 0], l1 * np.sign(p[p != 0]), atol=1e-14)
    assert (np.abs(slope[p == 0]) <= l1 + 1e-14).all()


def test_the_prox_of_the_norm_keeps_or_drops_whole_groups():
    rows = V.reshape(3, 2)
    p = prox_norm(rows, 1.0, LAM)
    assert (np.linalg.norm(p, axis=1) == 0).tolist() == [False, True, False]
    for v, q in zip(rows, p, strict=True):
        if np.linalg.norm(q) > 0:
            np.testing.assert_allclose(v - q, LAM * q / np.linalg.norm(q), atol=1e-13)
        else:
            assert np.linalg.norm(v) <= LAM
    np.testing.assert_array_equal(prox_norm(0 * rows, T, LAM), 0)


def test_a_projection_of_optax_s_is_a_proximal_operator():
    """Least squares with w >= 0: the gradient is not negative, and zero where w is not."""
    H, b = positive_definite(4), np.array([3.0, -2.0, 1.0, -4.0])
    step = 1 / np.linalg.eigvalsh(H)[-1]
    method = proximal_gradient(float(step), lambda v, t: optax.projections.projection_non_negative(v))
    w = steps(method, quadratic, np.ones(4), 400, H=H, b=b)[0][-1]
    gradient = H @ w - b
    assert (w >= 0).all()
    assert 0 < np.count_nonzero(w) < 4
    assert gradient.min() > -1e-10
    np.testing.assert_allclose(gradient[w > 0], 0, atol=1e-10)


def test_proximal_steps_follow_a_schedule():
    method = proximal_gradient(power_schedule(0.4, 1.0), lambda v, t, lam: soft_threshold(v, t * lam))
    points, _ = steps(method, lambda x, lam: x @ x / 2, np.array([3.0, -2.0]), 3, lam=0.5)
    x = np.array([3.0, -2.0])
    for k, point in enumerate(points):
        np.testing.assert_allclose(point, x, rtol=1e-12)
        t = 0.4 / (k + 1)
        x = soft_threshold(x - t * x, t * 0.5)


# First-order methods take any pytree ------------------------------------------
FIRST_ORDER = {
    "nesterov": nesterov(0.1),
    "fista": fista(0.1, lambda v, t: jax.tree.map(lambda leaf: leaf / (1 + t), v)),
    "average": optax.chain(optax.sgd(0.1), polyak_ruppert()),
    "best": optax.chain(optax.sgd(0.1), best_iterate()),
    "wolfe": optax.chain(optax.sgd(0.1), weak_wolfe()),
}


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_pytree_is_treated_as_its_one_array(name):
    def loss(params):
        return sum(jnp.sum(jnp.cosh(leaf)) for leaf in jax.tree.leaves(params))

    method, start = FIRST_ORDER[name], {"w": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}
    tree, state = start, method.init(start)
    for _ in range(3):
        value, gradient = jax.value_and_grad(loss)(tree)
        updates, state = method.update(gradient, state, tree, value=value, grad=gradient, value_fn=loss)
        tree = optax.apply_updates(tree, updates)
    points, _ = steps(method, loss, np.array([0.5, 1.0, -2.0]), 3)
    np.testing.assert_allclose([tree["b"], *tree["w"]], points[-1], rtol=1e-12)


SINGLE = {
    "regularised_newton": regularised_newton(quadratic_hessian, 1.0),
    "trust_region": trust_region(quadratic_hessian),
    "bfgs": bfgs(),
    "nesterov": nesterov(0.1),
    "nesterov, k/(k+3)": nesterov(0.1, "k/(k+3)"),
    "fista": fista(np.float64(0.1), soft_threshold, np.float64(0.5)),
    "ista, schedule": proximal_gradient(power_schedule(0.1, 1.0), soft_threshold),
    "average": optax.chain(optax.sgd(power_schedule(0.1, 1.0)), polyak_ruppert(1)),
    "best": optax.chain(optax.sgd(0.1), best_iterate()),
}


@pytest.mark.parametrize("name", SINGLE)
def test_every_method_keeps_float32(name):
    H, b = np.float32(positive_definite(3)), np.ones(3, np.float32)
    points, states = steps(SINGLE[name], quadratic, np.zeros(3, np.float32), 2, H=H, b=b)
    assert points[-1].dtype == jnp.float32
    assert all(leaf.dtype != jnp.float64 for leaf in jax.tree.leaves(states[-1]))


def test_irls_keeps_float32():
    rng = np.random.default_rng(0)
    X, y = np.float32(rng.normal(size=(20, 2))), np.float32(rng.integers(0, 2, 20))
    method = irls(logistic.residual, logistic.curvature, penalty=lambda X, lam: lam * len(X))
    points, states = steps(method, logistic.loss, np.zeros(2, np.float32), 3, X=X, y=y, lam=np.float32(0.1))
    assert points[-1].dtype == jnp.float32
    assert all(leaf.dtype != jnp.float64 for leaf in jax.tree.leaves(states[-1]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nesterov(-0.1), "nesterov: learning_rate is -0.1; allowed: 0 < learning_rate"),
        (lambda: nesterov(0.1, "fast"), r"schedule is 'fast'; allowed: 't_k', 'k/\(k\+3\)', or a number in \[0, 1\)"),
        (lambda: extrapolation(1.0), "schedule is 1.0; allowed: 0 <= schedule < 1"),
        (lambda: proximal_gradient(0.0, prox_l1), "learning_rate is 0.0; allowed: 0 < learning_rate"),
        (lambda: proximal(prox_l1, np.nan), "learning_rate is nan; allowed"),
        (lambda: fista(-1.0, prox_l1), "fista: learning_rate is -1.0; allowed"),
        (lambda: prox_l1(V, 1.0, -0.1), "lam is -0.1; allowed: 0 <= lam"),
        (lambda: prox_norm(V, 1.0, -0.1), "lam is -0.1; allowed"),
        (lambda: prox_squared_norm(V, 1.0, -0.1), "lam is -0.1; allowed"),
        (lambda: prox_elastic_net(V, 1.0, -0.1, 0.5), "lam is -0.1; allowed"),
        (lambda: prox_elastic_net(V, 1.0, 0.1, 1.5), "l1_ratio is 1.5; allowed: 0 <= l1_ratio <= 1"),
        (lambda: nesterov_momentum(0.0, 1.0), "mu is 0.0; allowed: 0 < mu"),
        (lambda: heavy_ball_rates(2.0, 1.0), "L is 1.0; allowed: 2 <= L"),
        (lambda: heavy_ball_rates(-1.0, 1.0), "mu is -1.0; allowed: 0 < mu"),
        (lambda: regularised_newton(log_cosh_hessian, 0.0), "lipschitz is 0.0; allowed: 0 < lipschitz"),
        (lambda: trust_region(log_cosh_hessian, radius=-1.0), "radius is -1.0; allowed: 0 < radius"),
        (lambda: trust_region(log_cosh_hessian, max_radius=0.5), "max_radius is 0.5; allowed: 1.0, the first"),
        (lambda: trust_region(log_cosh_hessian, least_ratio=0.25), "least_ratio is 0.25; allowed"),
        (lambda: weak_wolfe(slope_rtol=0.95), "slope_rtol is 0.95; allowed: 0 < slope_rtol < 0.9"),
        (lambda: weak_wolfe(curvature_rtol=1.0), "curvature_rtol is 1.0; allowed"),
        (lambda: weak_wolfe(max_trials=0), "max_trials is 0; allowed: 1 or more"),
    ],
)
def test_arguments_outside_their_interval(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_pytree_or_a_wrong_shape_is_named_by_every_second_order_method():
    for method in (bfgs(), scale_by_bfgs(), trust_region(log_cosh_hessian), regularised_newton(log_cosh_hessian, 1.0)):
        with pytest.raises(InputError, match=r"is a dict; .*ravel_pytree"):
            method.init({"w": jnp.ones(2)})
    with pytest.raises(InputError, match=r"trust_region: the Hessian has shape \(3, 3\)"):
        steps(trust_region(lambda x: jnp.eye(3)), log_cosh, np.ones(2), 1)
    method = irls(logistic.residual, logistic.curvature)
    with pytest.raises(InputError, match=r"irls: the parameter has shape \(3,\); X of shape \(5, 2\) needs \(2,\)"):
        steps(method, lambda w, X: w @ w, np.ones(3), 1, X=np.ones((5, 2)))
