r"""The KKT conditions as checks of solutions: quadratic programs, ridge, lasso, logistic regression, support vectors.

Every problem is solved by an algorithm that knows nothing of its multipliers' meaning, or by its dual alone; then the
stationarity of the Lagrangian (by autodiff), feasibility, complementary slackness and the duality gap are residuals.

Source: ML Math Derivations, part 4, "KKT conditions" and "The SVM dual".
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxderiv.domains import Array, Nonnegative, Real, d
from jaxderiv.ledger.convex_optimisation.dual_problems import (
    half_square,
    hard_lagrangian,
    into_the_polytope,
    lasso,
    lasso_dual,
    logistic,
    logistic_dual,
    logistic_lagrangian,
    machine_dual,
    margins,
    program,
    program_dual,
    ridge,
    ridge_dual,
    ridge_lagrangian,
    separated,
    soft,
    soft_lagrangian,
)
from jaxderiv.ledger.notation import iterates
from jaxderiv.theorem import TRUE, at_most, close, equal, statement

slater = statement(
    "C4.81",
    TRUE,
    "For a convex problem with a Slater point the KKT conditions are necessary and sufficient.",
)


def random_program(rng):
    """A strictly convex quadratic program with a Slater point, and its numerical solution"""
    root, G = rng.standard_normal((4, 4)), rng.standard_normal((6, 4))
    A, b, c = root @ root.T + np.eye(4), 3 * rng.standard_normal(4), rng.uniform(0.1, 1.0, 6)  # 0 is strictly feasible
    f, slope = (lambda x: x @ A @ x / 2 + b @ x), (lambda x: A @ x + b)
    inside = {"type": "ineq", "fun": lambda x: c - G @ x, "jac": lambda x: -G}
    x = optimize.minimize(f, np.zeros(4), jac=slope, constraints=inside, method="SLSQP", options={"ftol": 1e-14}).x
    return A, b, G, c, x


@slater.true
def necessary(rng):
    "At numerical solutions of quadratic programs there are multipliers on the active constraints, and no gap"
    results = []
    for _ in range(5):
        A, b, G, c, x = random_program(rng)
        active = G @ x > c - 1e-6
        lam, stationarity = optimize.nnls(G.T * active, -(A @ x + b))
        results += [at_most(stationarity, 1e-5), at_most(G @ x, c + 1e-7)]
        results += [close(program_dual(A, b, G, c, lam), program(A, b, x), 1e-5)]
    return results


@slater.true
def sufficient(c: Real[Array, d], a: Real[Array, d], b: Real[Array, ()], z: Real[Array, d]):
    r"$\min \frac12\|x - c\|^2$, $a^\top x \le b$: the x that the conditions give is nearest, by $\frac12\|z - x\|^2$"
    lam = jnp.maximum(0.0, a @ c - b) / (a @ a)
    x = c - lam * a
    z = z - a * jnp.maximum(0.0, a @ z - b) / (a @ a)
    conditions = (
        equal(jax.grad(lambda x: half_square(x - c) + lam * (a @ x - b))(x) + c, c),
        equal(lam * (a @ x), lam * b),
    )
    return *conditions, at_most(half_square(x - c) + half_square(z - x), half_square(z - c))


@slater.control
def necessary_without_slater(lam: Nonnegative[Array, ()]):
    r"At the optimum x = 0 of $\min x$ subject to $x^2 \le 0$ the gradient of $x + \lambda x^2$ vanishes"
    return equal(jax.grad(lambda x: x + lam * x**2)(0.0), 0.0)


# The examples, solved -------------------------------------------------------------------------------------------
def regression(rng):
    """Points and responses of which two features are irrelevant"""
    X = rng.standard_normal((30, 5))
    return X, X @ np.array([2.0, -1.0, 0.5, 0.0, 0.0]) + 0.5 * rng.standard_normal(30)


def classes(rng, count=16):
    """Points of two classes that overlap"""
    y = np.repeat([1.0, -1.0], count // 2)
    return rng.standard_normal((count, 2)) + 0.7 * y[:, None], y


def vanish(residuals, within=1e-6):
    """All residuals are zero up to the accuracy of a solver"""
    return [close(residual, jnp.zeros(np.shape(residual)), within) for residual in residuals]


@slater.true
def ridge_solved(rng):
    r"Least squares on augmented data: L is stationary in (w, r) at $\nu = r$, and no gap is left"
    (X, y), lam = regression(rng), 2.0
    w = np.linalg.lstsq(np.vstack([X, np.sqrt(lam) * np.eye(5)]), np.append(y, np.zeros(5)))[0]
    nu = y - X @ w
    gap = ridge(X, y, lam, w) - ridge_dual(X, y, lam, nu)
    return vanish([*jax.grad(ridge_lagrangian, (3, 4))(X, y, lam, w, nu, nu), gap])


@slater.true
def lasso_solved(rng):
    r"Coordinate descent: $|x_j^\top r| \le \lambda$, with equality and the sign of $w_j$ where $w_j \ne 0$, and no gap"
    (X, y), lam = regression(rng), 8.0
    w = np.zeros(5)
    for j in np.tile(np.arange(5), 200):
        a = X[:, j] @ (y - X @ w) + X[:, j] @ X[:, j] * w[j]
        w[j] = np.sign(a) * max(abs(a) - lam, 0) / (X[:, j] @ X[:, j])
    price = X.T @ (y - X @ w)
    gap = lasso(X, y, lam, w) - lasso_dual(y, into_the_polytope(X, lam, y - X @ w))
    return at_most(abs(price), lam * (1 + 1e-9)), vanish([np.where(w == 0, 0.0, price - lam * np.sign(w)), gap])


@slater.true
def logistic_regression_solved(rng):
    r"Newton's method: $\alpha_i = \sigma(-z_i)$ makes L stationary in w and z, and no gap is left"
    (X, y), lam = classes(rng), 0.5
    f = lambda w: logistic(X, y, lam, w)
    w = iterates(lambda w: w - jnp.linalg.solve(jax.hessian(f)(w), jax.grad(f)(w)), jnp.zeros(2), 20)[-1]
    z = y * (X @ w)
    alpha = jax.nn.sigmoid(-z)
    gap = logistic(X, y, lam, w) - logistic_dual(X, y, lam, alpha)
    return vanish([*jax.grad(logistic_lagrangian, (3, 4))(X, y, lam, w, z, alpha), gap], 1e-9)


def machine(X, y, C):
    r"""$\alpha$, w and b of a support vector machine, from a general solver of its dual; b as the best of its kinks"""
    V = X * y[:, None]
    value, slope = (lambda a: half_square(V.T @ a) - np.sum(a)), (lambda a: V @ (V.T @ a) - 1)
    balance = {"type": "eq", "fun": lambda a: a @ y, "jac": lambda a: y}
    how = {"method": "SLSQP", "options": {"ftol": 1e-15, "maxiter": 1000}}
    alpha = optimize.minimize(
        value, np.zeros(len(y)), jac=slope, bounds=[(0, C)] * len(y), constraints=balance, **how
    ).x
    w = V.T @ alpha
    hinge = lambda b: np.sum(np.maximum(0, 1 - y * (X @ w + b)))
    return alpha, w, min(y - X @ w, key=hinge)


@slater.true
def hard_margin_solved(rng):
    r"L is stationary in (w, b), every margin is at least 1, $\alpha_i = 0$ or $y_i f(x_i) = 1$, and no gap is left"
    X, y = classes(rng)
    X = np.asarray(separated(X, y, rng.standard_normal(2), 0.3, rng.uniform(0, 2, len(y))))
    alpha, w, b = machine(X, y, np.inf)
    slack = margins(X, y, w, b) - 1
    slopes = jax.grad(hard_lagrangian, (2, 3))(X, y, w, b, alpha)
    scale = 1 + half_square(w)  # the multipliers grow as the margin shrinks
    residuals = [*slopes, np.minimum(slack, 0.0), alpha * slack, half_square(w) - machine_dual(X, y, alpha)]
    return vanish([residual / scale for residual in residuals], 1e-5)


@slater.true
def soft_margin_solved(rng):
    r"""With $\xi_i = \max(0, 1 - y_i f(x_i))$, $\beta = C - \alpha$: stationary in (w, b, $\xi$), $\alpha_i (y_i
    f(x_i) - 1 + \xi_i) = 0$, $\beta_i \xi_i = 0$, no gap"""
    (X, y), C = classes(rng), 0.8
    alpha, w, b = machine(X, y, C)
    xi = np.maximum(0, 1 - margins(X, y, w, b))
    slopes = jax.grad(soft_lagrangian, (3, 4, 5))(X, y, C, w, b, xi, alpha, C - alpha)
    complementary = alpha * (margins(X, y, w, b) - 1 + xi), (C - alpha) * xi
    return vanish([*slopes, *complementary, soft(X, y, C, w, b) - machine_dual(X, y, alpha)], 1e-5)
