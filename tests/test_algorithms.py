"""Every algorithm against an independent one: a NumPy loop written from the formula, optax, SciPy, scikit-learn."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from experiments import certificates, steps
from experiments.loops import Problem, follow, iterate, minimise, trace
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.regression import huber, least_squares
from jaxderiv.errors import InputError
from jaxderiv.optimisers import (
    armijo,
    best_iterate,
    bfgs,
    fista,
    heavy_ball_rates,
    irls,
    nesterov,
    nesterov_momentum,
    newton,
    polyak_ruppert,
    power_schedule,
    prox_elastic_net,
    prox_l1,
    proximal_gradient,
    ridge_path,
    weak_wolfe,
)
from jaxderiv.optimisers import least_squares as solve

# optax's adam and lbfgs rely on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion

LOGISTIC = Problem(logistic.loss, logistic.gradient)
LASSO = Problem(certificates.elastic_net, least_squares.gradient)
N, D, COUNT = 50, 6, 9


def regression(seed: int = 0, n: int = N) -> dict:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    return {"X": X, "y": X @ [2, -1.5, 0, 0, 1, 0.3] + rng.normal(size=n), "lam": 12.0}


def classification(seed: int = 0) -> dict:
    data = regression(seed)
    return {**data, "y": (data["y"] > 0).astype(float), "lam": 0.1}


START = np.array([1.0, -1.0, 0.5, 0.0, -0.5, 2.0])
CLASSES, ROWS = classification(), regression()
# Lipschitz constants of both gradients, and the strong convexity of the first.
SMOOTH = np.linalg.eigvalsh(CLASSES["X"].T @ CLASSES["X"])[-1] / (4 * N) + CLASSES["lam"]
STEEP = np.linalg.eigvalsh(ROWS["X"].T @ ROWS["X"])[-1]
CONVEX = CLASSES["lam"]


def f(w):
    z = CLASSES["X"] @ w
    return np.mean(np.logaddexp(0, z) - CLASSES["y"] * z) + CONVEX / 2 * (w @ w)


def g(w):
    return CLASSES["X"].T @ (1 / (1 + np.exp(-CLASSES["X"] @ w)) - CLASSES["y"]) / N + CONVEX * w


def smooth_part(w):
    return ROWS["X"].T @ (ROWS["X"] @ w - ROWS["y"])


def whole_value(w):
    return np.sum((ROWS["X"] @ w - ROWS["y"]) ** 2) / 2 + ROWS["lam"] * np.abs(w).sum()


def shrunk(v, t):
    return np.where(v > t, v - t, np.where(v < -t, v + t, 0.0))


# Plain loops, written from the formulas ---------------------------------------
def gradient_descent(w, a=1 / SMOOTH):
    while True:
        yield w
        w = w - a * g(w)


def shrinking(w):
    for k in range(COUNT + 1):
        yield w
        w = w - 3 / (k + 2) ** 0.5 * g(w)


def backtracking(w, c=0.1):
    while True:
        yield w
        t = 1.0
        while f(w - t * g(w)) > f(w) - c * t * g(w) @ g(w):
            t /= 2
        w = w - t * g(w)


def heavy_ball(w):
    a, b = 4 / (SMOOTH**0.5 + CONVEX**0.5) ** 2, ((SMOOTH**0.5 - CONVEX**0.5) / (SMOOTH**0.5 + CONVEX**0.5)) ** 2
    v = 0 * w
    while True:
        yield w
        v = b * v - a * g(w)
        w = w + v


def accelerated(beta, prox=lambda v: v, slope=g, a=1 / SMOOTH):
    def loop(x):
        y, k = x, 0
        while True:
            yield x
            x, before = prox(y - a * slope(y)), x
            y, k = x + beta(k) * (x - before), k + 1

    return loop


def t(k):
    return 1.0 if k == 0 else (1 + (1 + 4 * t(k - 1) ** 2) ** 0.5) / 2


def by_t(k):
    return (t(k) - 1) / t(k + 1)


def shrink(v):
    return shrunk(v, ROWS["lam"] / STEEP)


KAPPA = SMOOTH / CONVEX


def adam(w, a=0.1, b1=0.9, b2=0.999, eps=1e-8):
    m = v = 0 * w
    for k in range(COUNT + 1):
        yield w
        m, v = b1 * m + (1 - b1) * g(w), b2 * v + (1 - b2) * g(w) ** 2
        w = w - a * (m / (1 - b1 ** (k + 1))) / (np.sqrt(v / (1 - b2 ** (k + 1))) + eps)


def bisected(w, p):
    """Weak Wolfe: an upper end where the value is too high, a lower end where the slope is too steep"""
    low, high, t = 0.0, np.inf, 1.0
    while True:
        if f(w + t * p) > f(w) + 1e-4 * t * g(w) @ p:
            high = t
        elif g(w + t * p) @ p < 0.9 * g(w) @ p:
            low = t
        else:
            return t
        t = (low + high) / 2 if high < np.inf else 2 * t


def halved(w, p):
    t = 1.0
    while f(w + t * p) > f(w) + 0.1 * t * g(w) @ p:
        t /= 2
    return t


def quasi_newton(length, scale=1.0):
    def loop(w):
        H = np.eye(D)
        while True:
            yield w
            p = -H @ (scale * g(w))
            s = length(w, p) * p
            y = scale * (g(w + s) - g(w))
            if y @ s > 0:
                left = np.eye(D) - np.outer(s, y) / (y @ s)
                H = left @ H @ left.T + np.outer(s, s) / (y @ s)
            w = w + s

    return loop


def limited(memory):
    def loop(w):
        pairs = []
        while True:
            yield w
            q, shares = g(w), []
            for s, y in reversed(pairs):
                shares.append(s @ q / (y @ s))
                q = q - shares[-1] * y
            if pairs:
                q = q * (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])
            else:
                q = q * min(1, 1 / np.linalg.norm(g(w)))  # optax's first step has length 1 at most
            for (s, y), share in zip(pairs, reversed(shares), strict=True):
                q = q + s * (share - y @ q / (y @ s))
            s = -bisected(w, -q) * q
            pairs = [*pairs, (s, g(w + s) - g(w))][-memory:]
            w = w + s

    return loop


def newton_method(w):
    while True:
        yield w
        p = 1 / (1 + np.exp(-CLASSES["X"] @ w))
        H = (CLASSES["X"].T * (p * (1 - p))) @ CLASSES["X"] / N + CONVEX * np.eye(D)
        w = w - np.linalg.solve(H, g(w))


PLAIN = {
    "gradient descent, 1/L": (optax.sgd(1 / SMOOTH), gradient_descent),
    "gradient descent, c/sqrt(k)": (optax.sgd(power_schedule(3.0, 0.5, offset=2.0)), shrinking),
    "gradient descent, backtracking": (optax.chain(optax.sgd(1.0), armijo(0.1)), backtracking),
    "heavy ball": (optax.sgd(*heavy_ball_rates(CONVEX, SMOOTH)), heavy_ball),
    "Nesterov, t_k": (nesterov(1 / SMOOTH), accelerated(by_t)),
    "Nesterov, k/(k+3)": (nesterov(1 / SMOOTH, "k/(k+3)"), accelerated(lambda k: k / (k + 3))),
    "Nesterov, strongly convex": (
        nesterov(1 / SMOOTH, nesterov_momentum(CONVEX, SMOOTH)),
        accelerated(lambda k: (KAPPA**0.5 - 1) / (KAPPA**0.5 + 1)),
    ),
    "Adam": (optax.adam(0.1), adam),
    "BFGS, weak Wolfe": (bfgs(), quasi_newton(bisected)),
    "BFGS, Armijo": (bfgs(linesearch=armijo(0.1)), quasi_newton(halved)),
    "L-BFGS, 3 pairs": (optax.chain(optax.scale_by_lbfgs(3), optax.scale(-1.0), weak_wolfe()), limited(3)),
    "Newton": (newton(logistic.hessian), newton_method),
    "IRLS": (irls(logistic.residual, logistic.curvature, penalty=lambda X, lam: len(X) * lam), newton_method),
}
PROXIMAL = {
    "ISTA": (proximal_gradient(1 / STEEP, prox_l1), accelerated(lambda k: 0.0, shrink, smooth_part, 1 / STEEP)),
    "FISTA, t_k": (fista(1 / STEEP, prox_l1), accelerated(by_t, shrink, smooth_part, 1 / STEEP)),
    "FISTA, k/(k+3)": (
        fista(1 / STEEP, prox_l1, "k/(k+3)"),
        accelerated(lambda k: k / (k + 3), shrink, smooth_part, 1 / STEEP),
    ),
}


@pytest.mark.parametrize("name", [*PLAIN, *PROXIMAL])
def test_the_iterates_are_those_of_a_plain_loop(name):
    optimiser, loop = (PLAIN | PROXIMAL)[name]
    problem, data, value = (LOGISTIC, CLASSES, f) if name in PLAIN else (LASSO, ROWS, whole_value)
    found = trace(problem, optimiser, START, data, COUNT, lambda w, state: w)
    expected = [w for w, _ in zip(loop(START), range(COUNT + 1), strict=False)]
    np.testing.assert_allclose(found.recorded, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.value, [value(w) for w in expected], rtol=1e-12)
    np.testing.assert_array_equal(found.params, found.recorded[-1])


def test_the_loops_differ_from_one_another():
    """So that no two methods can be exchanged unnoticed. (Newton and IRLS are one; both searches find t = 1.)"""
    runs = {
        name: np.array([w for w, _ in zip(loop(START), range(COUNT + 1), strict=False)])
        for name, (_, loop) in PLAIN.items()
    }
    same = {frozenset(("Newton", "IRLS")), frozenset(("BFGS, weak Wolfe", "BFGS, Armijo"))}
    for one, other in itertools.combinations(runs, 2):
        assert (np.abs(runs[one] - runs[other]).max() > 1e-3) == (frozenset((one, other)) not in same), (one, other)


# Against optax and SciPy ------------------------------------------------------
def test_nesterov_with_a_constant_factor_is_optax_s_in_other_variables():
    """optax's parameter is y, its step -a (g + b t), t the trace: x = y + a b t."""
    a, b = 0.5 / SMOOTH, 0.6
    ours = trace(LOGISTIC, nesterov(a, b), START, CLASSES, COUNT, lambda x, state: x).recorded
    theirs = trace(
        LOGISTIC,
        optax.sgd(a, b, nesterov=True),
        START,
        CLASSES,
        COUNT,
        lambda y, state: y + a * b * optax.tree.get(state, "trace"),
    )
    np.testing.assert_allclose(ours, theirs.recorded, rtol=1e-12)
    assert np.abs(theirs.params - ours[-1]).max() > 1e-3


def test_bfgs_is_l_bfgs_with_all_pairs():
    """optax's L-BFGS, its first matrix the identity, and our BFGS with the same line search take the same steps."""
    limited = optax.chain(optax.scale_by_lbfgs(20, scale_init_precond=False), optax.scale(-1.0), weak_wolfe())
    one, other = (trace(LOGISTIC, m, START, CLASSES, COUNT, lambda w, state: w).recorded for m in (limited, bfgs()))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "optimiser",
    [bfgs(), bfgs(linesearch=armijo(0.1)), bfgs(linesearch=optax.scale_by_zoom_linesearch(30)), optax.lbfgs()],
    ids=["weak Wolfe", "Armijo", "zoom", "optax.lbfgs"],
)
def test_quasi_newton_finds_scipy_s_minimum(optimiser):
    found = minimise(LOGISTIC, optimiser, START, CLASSES, 1e-9, 200)
    expected = scipy.optimize.minimize(f, START, jac=g, method="BFGS", options={"gtol": 1e-9})
    assert found.stopped == "converged"
    assert found.steps < 60
    np.testing.assert_allclose(found.params, expected.x, atol=1e-8)


def huber_weights(z, y, delta):
    return jnp.minimum(1.0, delta / jnp.maximum(jnp.abs(z - y), 1e-300))


def huber_residual(z, y, delta):
    return huber.influence(z - y, delta)


def test_irls_with_huber_s_weights():
    data = {**regression(3), "delta": 0.7}
    data["y"][:5] += 20
    del data["lam"]
    problem = Problem(huber.loss, huber.gradient)
    method = irls(huber_residual, huber_weights, linesearch=optax.identity())
    recorded = trace(problem, method, START, data, COUNT, lambda w, state: w).recorded
    w, X, y = START, data["X"], data["y"]
    for row in recorded:
        np.testing.assert_allclose(row, w, rtol=1e-10, atol=1e-12)
        root = np.sqrt(np.minimum(1, 0.7 / np.abs(y - X @ w)))
        w = np.linalg.lstsq(root[:, None] * X, root * y)[0]
    found = minimise(problem, method, START, data, 1e-9, 500)
    expected = scipy.optimize.minimize(lambda w: float(huber.loss(w, **data)), START, method="BFGS", tol=1e-9)
    np.testing.assert_allclose(found.params, expected.x, atol=1e-5)
    assert found.stopped == "converged"


# Least squares, directly ------------------------------------------------------
@pytest.mark.parametrize("method", ["cholesky", "qr", "svd"])
def test_least_squares_is_numpy_s(method):
    X, y = ROWS["X"], ROWS["y"]
    np.testing.assert_allclose(solve(X, y, method), np.linalg.lstsq(X, y)[0], rtol=1e-11)
    several = np.column_stack([y, y**2])
    np.testing.assert_allclose(solve(X, several, method), np.linalg.lstsq(X, several)[0], rtol=1e-11)


def test_the_svd_gives_the_solution_of_least_norm():
    X = np.random.default_rng(0).normal(size=(8, 3))
    X, y = np.column_stack([X, X[:, 0] + X[:, 1]]), np.arange(8.0)
    np.testing.assert_allclose(solve(X, y, "svd"), np.linalg.pinv(X) @ y, rtol=1e-10)
    np.testing.assert_allclose(solve(X.T, y[:4], "svd"), np.linalg.pinv(X.T) @ y[:4], rtol=1e-10, atol=1e-13)


def test_cholesky_of_the_normal_equations_loses_twice_the_digits_of_qr():
    x = np.linspace(0, 1, 30)
    X = np.vander(x, 9)
    w = np.ones(9)
    errors = [np.abs(solve(X, X @ w, method) - w).max() for method in ("cholesky", "qr", "svd")]
    assert errors[0] > 100 * max(errors[1:])


def test_the_ridge_path_is_scikit_learn_s():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, lams = ROWS["X"], ROWS["y"], np.logspace(-3, 3, 7)
    path = ridge_path(X, y, lams)
    for lam, w in zip(lams, path, strict=True):
        model = linear_model.Ridge(alpha=lam, fit_intercept=False).fit(X, y)
        np.testing.assert_allclose(w, model.coef_, atol=1e-8)
        np.testing.assert_allclose(w, np.linalg.solve(X.T @ X + lam * np.eye(D), X.T @ y), rtol=1e-10)
        assert certificates.ridge_gap(w, X, y, lam) < 1e-20


def test_the_ridge_path_begins_at_the_solution_of_least_norm():
    X, y = ROWS["X"][:4], ROWS["y"][:4]
    np.testing.assert_allclose(ridge_path(X, y, np.zeros(1))[0], np.linalg.pinv(X) @ y, rtol=1e-10)
    dependent = np.column_stack([ROWS["X"], ROWS["X"][:, 0] - ROWS["X"][:, 1]])
    expected = np.linalg.pinv(dependent) @ ROWS["y"]
    np.testing.assert_allclose(ridge_path(dependent, ROWS["y"], np.zeros(1))[0], expected, rtol=1e-9)


# The elastic net --------------------------------------------------------------
def admm(data: dict, rho: float) -> dict:
    return {**data, "rho": rho, "factor": steps.gram_factor(data["X"], rho)}


def of_coordinates(data):
    return iterate(steps.coordinate_descent, np.zeros(D), data, certificates.elastic_net_kkt, 1e-10, 1000)


def of_proximal(make, prox):
    optimiser = make(1 / STEEP, prox)

    def find(data):
        return minimise(LASSO, optimiser, np.zeros(D), data, 1e-10, 5000, certificate=certificates.elastic_net_kkt)

    return find


def of_admm(data):
    method, data = steps.lasso_admm, admm(data, 20.0)
    return iterate(
        method, method.start(np.zeros(D)), data, certificates.elastic_net_kkt, 1e-10, 5000, point=steps.split_of
    )


def of_consensus(data):
    X, y = steps.row_blocks(data["X"], data["y"], 4)  # 50 rows: two of the 4 blocks of 13 are filled
    method, data = steps.consensus_lasso_admm, admm({**data, "X": X, "y": y}, 10.0)
    start = method.start(np.zeros((4, D)))
    return iterate(method, start, data, certificates.elastic_net_kkt, 1e-10, 5000, point=steps.agreed_of)


LASSO_METHODS = {
    "coordinate descent": of_coordinates,
    "ISTA": of_proximal(proximal_gradient, prox_l1),
    "FISTA": of_proximal(fista, prox_l1),
    "ADMM": of_admm,
    "consensus ADMM": of_consensus,
}


@pytest.mark.parametrize("name", LASSO_METHODS)
def test_the_lasso_is_scikit_learn_s(name):
    linear_model = pytest.importorskip("sklearn.linear_model")
    found = LASSO_METHODS[name](ROWS)
    model = linear_model.Lasso(alpha=ROWS["lam"] / N, fit_intercept=False, tol=1e-14, max_iter=100000)
    w = found.params if hasattr(found, "params") else found.point
    expected = model.fit(ROWS["X"], ROWS["y"]).coef_
    assert found.stopped == "converged"
    np.testing.assert_allclose(w, expected, atol=1e-8)
    np.testing.assert_array_equal(w == 0, expected == 0)
    assert 0 < np.count_nonzero(w) < D


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
@pytest.mark.parametrize("find", [of_coordinates, of_proximal(fista, prox_elastic_net)], ids=["coordinates", "FISTA"])
def test_the_elastic_net_is_scikit_learn_s(find, l1_ratio):
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = {**ROWS, "l1_ratio": l1_ratio}
    if l1_ratio:
        model = linear_model.ElasticNet(
            alpha=ROWS["lam"] / N, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-14, max_iter=100000
        )
    else:
        model = linear_model.Ridge(alpha=ROWS["lam"], fit_intercept=False)
    expected = model.fit(ROWS["X"], ROWS["y"]).coef_
    found = find(data)
    w = found.params if hasattr(found, "params") else found.point
    assert found.stopped == "converged"
    np.testing.assert_allclose(w, expected, atol=1e-8)
    assert certificates.elastic_net_relative_gap(w, **data) < 1e-15


def test_coordinate_descent_is_the_plain_loop():
    X, y, lam, ratio = ROWS["X"], ROWS["y"], 12.0, 0.6
    _, recorded = follow(steps.coordinate_descent, START, {**ROWS, "l1_ratio": ratio}, 3)
    w = START.copy()
    for row in recorded:
        np.testing.assert_allclose(row, w, rtol=1e-10, atol=1e-12)
        for j in range(D):
            r = y - np.delete(X, j, axis=1) @ np.delete(w, j)
            w[j] = shrunk(X[:, j] @ r, lam * ratio) / (X[:, j] @ X[:, j] + lam * (1 - ratio))


def test_a_column_of_zeros_is_no_stumbling_block():
    data = {**ROWS, "X": ROWS["X"] * [1, 1, 0, 1, 1, 1]}
    for lam, kept in ((12.0, 0.0), (0.0, 0.5)):
        w = steps.coordinate_descent(START, **{**data, "lam": lam})
        assert w[2] == kept
        assert np.isfinite(w).all()


def test_admm_is_the_plain_loop():
    X, y, lam, rho = ROWS["X"], ROWS["y"], 12.0, 20.0
    _, states = follow(steps.lasso_admm, steps.lasso_admm.start(START), admm(ROWS, rho), 5)
    x, z, u = START, START, np.zeros(D)
    for k in range(6):
        for found, expected in zip((states.x[k], states.z[k], states.u[k]), (x, z, u), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        before = z
        x = np.linalg.solve(X.T @ X + rho * np.eye(D), X.T @ y + rho * (z - u))
        z = shrunk(x + u, lam / rho)
        u = u + x - z
        if k < 5:
            residuals = np.linalg.norm(x - z), rho * np.linalg.norm(z - before)
            np.testing.assert_allclose((states.primal[k + 1], states.dual[k + 1]), residuals, rtol=1e-9)


def test_one_block_of_rows_is_admm_without_consensus():
    X, y = steps.row_blocks(ROWS["X"], ROWS["y"], 1)
    blocked = admm({**ROWS, "X": X, "y": y}, 20.0)
    _, one = follow(steps.consensus_lasso_admm, steps.consensus_lasso_admm.start(START[None]), blocked, 4)
    _, other = follow(steps.lasso_admm, steps.lasso_admm.start(START), admm(ROWS, 20.0), 4)
    np.testing.assert_allclose(one.z[:, 0], other.z, rtol=1e-10, atol=1e-12)


def differences(x):
    return x[1:] - x[:-1]


def nearest(v, rho, y):
    """argmin |x - y|^2 / 2 + rho/2 |differences(x) - v|^2"""
    A = jnp.diff(jnp.eye(len(y)), axis=0)
    return jnp.linalg.solve(jnp.eye(len(y)) + rho * A.T @ A, y + rho * A.T @ v)


def test_admm_with_a_linear_map_solves_total_variation():
    y = np.repeat([0.0, 3.0, 1.0], 6) + np.random.default_rng(2).normal(size=18) / 4
    method = steps.Admm(nearest, prox_l1, differences)
    data = {"y": y, "lam": 0.8, "rho": 2.0}
    state, _ = follow(method, method.start(np.zeros(18)), data, 1500)
    # The sums of the residuals are the multipliers: |.| <= lam, and lam times the sign where x jumps.
    multiplier = -np.cumsum(y - state.x)[:-1]
    assert np.abs(multiplier).max() <= 0.8 + 1e-9
    jumps = state.z != 0
    assert 1 <= jumps.sum() < 17
    np.testing.assert_allclose(multiplier[jumps], 0.8 * np.sign(state.z[jumps]), atol=1e-8)
    assert max(state.primal, state.dual) < 1e-9
    np.testing.assert_allclose(method.start(y).z, np.diff(y))


# Subgradients, and methods that draw ------------------------------------------
def test_the_subgradient_method_keeps_its_best_point():
    method = optax.chain(optax.sgd(power_schedule(0.05, 0.5)), best_iterate())
    problem = Problem(certificates.elastic_net, steps.lasso_subgradient)

    def record(w, state):
        return w, optax.tree.get(state, "best"), optax.tree.get(state, "best_value")

    found = trace(problem, method, START, ROWS, 40, record)
    points, best, best_value = found.recorded
    w = START
    for k in range(40):
        np.testing.assert_allclose(points[k], w, rtol=1e-10, atol=1e-12)
        w = w - 0.05 / (k + 1) ** 0.5 * (smooth_part(w) + 12.0 * np.sign(w))
    assert (np.diff(found.value) > 0).any(), "the values do not fall steadily"
    np.testing.assert_allclose(best_value[1:], np.minimum.accumulate(found.value)[1:], rtol=1e-13)
    np.testing.assert_array_equal(best[-1], points[np.argmin(found.value)])


def test_the_bound_of_the_subgradient_method():
    """On |x|_1: G = sqrt(d), fixed step R / (G sqrt(K)), best value within R G / sqrt(K)."""
    R, K, problem = np.linalg.norm(START), 100, Problem(lambda x: jnp.abs(x).sum(), jnp.sign)
    method = optax.chain(optax.sgd(float(R / np.sqrt(D * K))), best_iterate())
    found = trace(problem, method, START, {}, K, lambda x, state: optax.tree.get(state, "best_value"))
    assert found.recorded[-1] <= R * np.sqrt(D / K)


def mean_square(w, X, y):
    return jnp.mean((X @ w - y) ** 2) / 2


def its_gradient(w, X, y):
    return X.T @ (X @ w - y) / len(y)


SQUARES = Problem(mean_square, its_gradient)


def test_a_batch_of_all_rows_is_gradient_descent():
    data = {name: ROWS[name] for name in ("X", "y")}
    method = steps.MiniBatch(SQUARES, optax.sgd(0.3), N, replace=False)
    state, recorded = follow(method, method.start(START, 0), data, 5, steps.params_of)
    expected = trace(SQUARES, optax.sgd(0.3), START, data, 5, lambda w, state: w)
    np.testing.assert_allclose(recorded, expected.recorded, rtol=1e-12)
    np.testing.assert_array_equal(steps.params_of(state), recorded[-1])


@pytest.mark.parametrize("replace", [True, False])
def test_batches_are_drawn_evenly_and_by_the_seed(replace):
    """With X = I the gradient of x'w is the share of each row in the batch."""
    shares = Problem(lambda w, X: jnp.mean(X @ w), lambda w, X: X.mean(axis=0))
    method = steps.MiniBatch(shares, optax.sgd(1.0), 3, replace, rows=("X",))
    data = {"X": np.eye(5)}

    def drawn(seed):
        return 3 * -np.diff(follow(method, method.start(np.zeros(5), seed), data, 3000, steps.params_of)[1], axis=0)

    counts = drawn(0)
    np.testing.assert_allclose(counts.sum(axis=1), 3)
    assert (counts.max() > 1.5) == replace
    np.testing.assert_allclose(counts.mean(axis=0), 3 / 5, atol=5 * np.sqrt(3 / 5 / 3000))
    np.testing.assert_array_equal(drawn(0), counts)
    assert (drawn(1) != counts).any()


def test_the_noise_floor_of_a_constant_step_and_the_average_below_it():
    """f_i = (x -+ 1)^2 / 2: the gap x^2 / 2 has the stationary mean a / (2 (2 - a)); averaging removes the floor."""
    data, a = {"X": np.ones((2, 1)), "y": np.array([1.0, -1.0])}, 0.1
    method = steps.MiniBatch(SQUARES, optax.chain(optax.sgd(a), polyak_ruppert(burn_in=100)))
    state, x = follow(method, method.start(np.zeros(1), 0), data, 40000, steps.params_of)
    gap = np.mean(x[1000:] ** 2 / 2)
    assert abs(gap / (a / (2 * (2 - a))) - 1) < 0.1
    np.testing.assert_allclose(steps.average_of(state), x[101:].mean(axis=0), rtol=1e-9, atol=1e-12)
    assert steps.average_of(state)[0] ** 2 / 2 < gap / 100


def test_steps_of_c_over_k_reach_what_a_constant_step_does_not():
    data = {"X": np.ones((2, 1)), "y": np.array([1.0, -1.0])}
    ends = {}
    for name, rate in (("constant", 0.5), ("c/k", power_schedule(1.0, 1.0))):
        method = steps.MiniBatch(SQUARES, optax.sgd(rate), 1)
        _, x = follow(method, method.start(np.ones(1), 0), data, 4000, steps.params_of)
        ends[name] = np.mean(x[-500:] ** 2)
    assert ends["c/k"] < ends["constant"] / 50


def test_sgd_stops_at_a_certificate_of_its_average():
    optimiser = optax.chain(optax.sgd(power_schedule(4.0, 0.5)), polyak_ruppert(burn_in=50))
    method = steps.MiniBatch(LOGISTIC, optimiser, 16)
    found = iterate(
        method, method.start(START, 0), CLASSES, certificates.logistic_gap, 1e-3, 4000, logistic.loss, steps.average_of
    )
    assert found.stopped == "converged"
    assert found.certificate <= 1e-3
    best = minimise(LOGISTIC, newton(logistic.hessian), START, CLASSES, 1e-12, 50)
    assert 0 <= found.value - best.value <= found.certificate


# Bad arguments ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: solve(ROWS["X"], ROWS["y"], "lu"), r"method is 'lu'; allowed: 'cholesky', 'qr', 'svd'"),
        (lambda: solve(ROWS["X"][:3], ROWS["y"][:3]), r"\(3, 6\); 'qr' needs n >= d: write method='svd'"),
        (lambda: solve(ROWS["X"][:0], ROWS["y"][:0]), r"X has shape \(0, 6\) and y \(0,\); allowed"),
        (lambda: solve(ROWS["X"], ROWS["y"][1:]), r"X has shape \(50, 6\) and y \(49,\); allowed"),
        (lambda: solve(np.eye(2, dtype=int), np.ones(2)), r"dtypes int64 and float64; allowed: floats"),
        (lambda: solve(ROWS["X"], ROWS["y"], "svd", rcond=-1.0), "rcond is -1.0; allowed: 0 <= rcond"),
        (lambda: ridge_path(ROWS["X"], ROWS["y"], [1.0, -2.0]), "the smallest of lams is -2.0; allowed: 0 <= "),
        (lambda: ridge_path(ROWS["X"], ROWS["y"], []), r"lams \(0,\); allowed"),
        (lambda: steps.gram_factor(ROWS["X"], 0.0), "rho is 0.0; allowed: 0 < rho"),
        (lambda: steps.gram_factor(np.zeros((0, 3)), 1.0), r"X has shape \(0, 3\); allowed"),
        (lambda: steps.row_blocks(ROWS["X"], ROWS["y"], 51), "count is 51; allowed: 1 to 50"),
        (lambda: steps.MiniBatch(SQUARES, optax.sgd(0.1), 0), "size is 0; allowed: 1 or more"),
        (lambda: polyak_ruppert(-1), "burn_in is -1; allowed: 0 or more"),
        (lambda: power_schedule(-1.0, 0.5), "scale is -1.0; allowed: 0 < scale"),
        (lambda: power_schedule(1.0, 2.0), "power is 2.0; allowed: 0 <= power <= 1"),
    ],
)
def test_bad_arguments_are_told_in_words(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_batch_larger_than_the_data_is_refused_without_replacement():
    method = steps.MiniBatch(SQUARES, optax.sgd(0.1), 51, replace=False)
    with pytest.raises(InputError, match="size is 51; allowed: 1 to 50"):
        follow(method, method.start(START, 0), {"X": ROWS["X"], "y": ROWS["y"]}, 2)


def test_float32_stays_float32():
    data = {name: np.asarray(value, np.float32) for name, value in ROWS.items()}
    state, recorded = follow(steps.coordinate_descent, np.zeros(D, np.float32), data, 3)
    assert state.dtype == recorded.dtype == np.float32
    state, _ = follow(steps.lasso_admm, steps.lasso_admm.start(np.zeros(D, np.float32)), admm(data, np.float32(20)), 3)
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {np.dtype(np.float32)}
    assert solve(data["X"], data["y"], "svd").dtype == jnp.float32
    assert ridge_path(data["X"], data["y"], np.ones(2)).dtype == jnp.float32
