r"""The exercises of part 4: a Hessian, a constrained problem, gradient descent on a quadratic, and AM-GM.

Source: ML Math Derivations, part 4, "Exercises"; the bound below AM-GM: Cartwright and Field (1978).
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveDefinite, Real, UnitInterval, d, n
from jaxderiv.ledger.notation import gradient_descent, iterates, quadratic
from jaxderiv.theorem import TRUE, at_most, equal, holds, statement

# Exercise 1 ------------------------------------------------------------------------------------------------
mixed = statement(
    "C4.105",
    TRUE,
    r"$x_1^2 - x_1 x_2 + x_2^2$ has the Hessian with rows $(2, -1)$ and $(-1, 2)$, whose eigenvalues are 1 and 3, "
    r"so it is strictly convex.",
)


def mixed_square(x):
    return x[0] ** 2 - x[0] * x[1] + x[1] ** 2


@mixed.true
def hessian_of_it(x: Real[Array, 2]):
    r"""$\nabla^2 f = \begin{pmatrix} 2 & -1 \\ -1 & 2 \end{pmatrix}$, with eigenpairs 1, $(1, 1)$ and 3, $(1, -1)$"""
    H, V = jax.hessian(mixed_square)(x), jnp.array([[1.0, 1.0], [1.0, -1.0]])
    return equal(H, jnp.array([[2.0, -1.0], [-1.0, 2.0]])), equal(H @ V, V @ jnp.diag(jnp.array([1.0, 3.0])))


@mixed.true(at=lambda: [{"x": jnp.zeros(2), "y": jnp.ones(2)}])
def strongly_convex(x: Real[Array, 2], y: Real[Array, 2]):
    r"""$f(y) \ge f(x) + \nabla f(x)^\top (y - x) + \frac12 \|y - x\|^2$: even 1-strongly convex"""
    f = mixed_square
    tangent = f(x) + jax.grad(f)(x) @ (y - x)
    return at_most(tangent + (y - x) @ (y - x) / 2, f(y), scale=1.0 + x @ x + y @ y)


@mixed.control(at=lambda: [{"x": jnp.zeros(2), "y": jnp.ones(2)}])
def more_strongly_convex(x: Real[Array, 2], y: Real[Array, 2]):
    """The same with five percent more curvature"""
    f = mixed_square
    return at_most(f(x) + jax.grad(f)(x) @ (y - x) + 1.05 * (y - x) @ (y - x) / 2, f(y), scale=1.0 + x @ x + y @ y)


# Exercise 2 ------------------------------------------------------------------------------------------------
nearest = statement(
    "C4.106",
    TRUE,
    r"To minimise $x_1^2 + x_2^2$ subject to $x_1 + x_2 \ge 1$: $x^* = (\frac12, \frac12)$ with multiplier 1 and value "
    r"$\frac12$; the dual function is $\lambda - \frac12 \lambda^2$.",
)


def lagrangian(x, lam):
    return x @ x + lam * (1 - x[0] - x[1])


@nearest.true
def kkt_conditions():
    r"""At $(\frac12, \frac12)$ and $\lambda = 1$: stationary, feasible, $\lambda \ge 0$, and slackness times
    $\lambda$ is 0"""
    x, lam = jnp.array([0.5, 0.5]), 1.0
    gap = jax.grad(lagrangian, argnums=1)(x, lam)  # of the constraint, 1 - x1 - x2
    return equal(jax.grad(lagrangian)(x, lam), jnp.zeros(2)), at_most([gap, -lam], 0.0), equal(lam * gap, 0.0)


@nearest.true(at=lambda: [{"x": jnp.array([0.5]), "slack": 0.0}])
def no_feasible_point_is_lower(x: Real[Array, 1], slack: Nonnegative[Array, ()]):
    r"""$x_1^2 + x_2^2 \ge \frac12$ wherever $x_1 + x_2 = 1 + s$, $s \ge 0$"""
    return at_most(0.5, x[0] ** 2 + (1 + slack - x[0]) ** 2)


@nearest.true
def dual_function(lam: Real[Array, ()], x: Real[Array, 2]):
    r"""$L(x, \lambda) = \lambda - \frac12 \lambda^2 + \|x - \frac\lambda2 (1, 1)\|^2$, so the minimum over $x$ is
    that; it grows up to $\lambda = 1$"""
    dual, away = lambda lam: lam - lam**2 / 2, x - lam / 2
    return equal(lagrangian(x, lam), dual(lam) + away @ away), equal(jax.grad(dual)(lam), 1 - lam)


@nearest.true(at=lambda: [{"x": jnp.array([0.5]), "slack": 0.0, "lam": 1.0}])
def weak_duality(x: Real[Array, 1], slack: Nonnegative[Array, ()], lam: Nonnegative[Array, ()]):
    r"""$\lambda - \frac12 \lambda^2 \le x_1^2 + x_2^2$ for feasible $x$ and $\lambda \ge 0$, with equality at the
    solutions"""
    return at_most(lam - lam**2 / 2, x[0] ** 2 + (1 + slack - x[0]) ** 2)


# Exercise 3 ------------------------------------------------------------------------------------------------
recursion = statement(
    "C4.107",
    TRUE,
    r"On $\frac12 (x - x^*)^\top A (x - x^*)$, $A \succ 0$, the error obeys $e_{k+1} = (I - \alpha A) e_k$; it "
    r"vanishes from every start exactly if $0 < \alpha < 2 / \lambda_{\max}$, and the best step $2 / "
    r"(\lambda_{\min} + \lambda_{\max})$ contracts by $(\kappa - 1) / (\kappa + 1)$.",
)


@recursion.true
def error_recursion(
    x: Real[Array, d], centre: Real[Array, d], A: PositiveDefinite[Array, d, d], alpha: Real[Array, ()]
):
    r"""$x - \alpha \nabla f(x) - x^* = (I - \alpha A)(x - x^*)$"""
    f = quadratic(A, centre)
    return equal(x - alpha * jax.grad(f)(x) - centre, (x - centre) - alpha * A @ (x - centre))


@recursion.true
def converges_below(A: PositiveDefinite[Array, d, d], share: UnitInterval[Array, ()]):
    r"""$\|I - \alpha A\| < 1$ for $\alpha = 2s / \lambda_{\max}$, $0 < s < 1$"""
    values = jnp.linalg.eigvalsh(A)
    return holds(jnp.max(abs(1 - 2 * share / values[-1] * values)) < 1)


@recursion.true
def not_from(A: PositiveDefinite[Array, d, d], beyond: Nonnegative[Array, ()]):
    r"""From $\alpha = 2 / \lambda_{\max}$ on a start along the top eigenvector never comes nearer"""
    values, vectors = jnp.linalg.eigh(A)
    rate = 2 * (1 + beyond) / values[-1]
    errors = gradient_descent(quadratic(A), vectors[:, -1], rate, 1)
    return at_most(jnp.linalg.norm(errors[0]), jnp.linalg.norm(errors[1]))


@recursion.true(at=lambda: [{"spectrum": jnp.array([1.0, 9.0]), "e": jnp.ones(2)}])
def best_contraction(spectrum: Positive[Array, d], e: Real[Array, d]):
    r"""$\|e_k\| \le \left(\frac{\kappa - 1}{\kappa + 1}\right)^k \|e_0\|$, and for $f$ its square; attained by the
    extreme eigenvectors"""
    f, low, high = quadratic(jnp.diag(spectrum)), jnp.min(spectrum), jnp.max(spectrum)
    errors = gradient_descent(f, e, 2 / (low + high), 5)
    factor = ((high - low) / (high + low)) ** jnp.arange(6.0)
    sizes, values = jnp.linalg.norm(errors, axis=1), jax.vmap(f)(errors)
    return (
        at_most(sizes, factor * sizes[0], scale=sizes[0] + 1e-300),
        at_most(values, factor**2 * values[0], scale=values[0] + 1e-300),
    )


@recursion.control(at=lambda: [{"spectrum": jnp.array([1.0, 9.0]), "e": jnp.ones(2)}])
def better_contraction(spectrum: Positive[Array, d], e: Real[Array, d]):
    """A factor that is five percent smaller"""
    low, high = jnp.min(spectrum), jnp.max(spectrum)
    errors = iterates(lambda e: e - 2 / (low + high) * spectrum * e, e, 1)
    return at_most(jnp.linalg.norm(errors[1]), 0.95 * (high - low) / (high + low) * jnp.linalg.norm(errors[0]))


@recursion.true(at=lambda: [{"spectrum": jnp.array([1.0, 9.0]), "alpha": 0.2}])
def no_step_is_better(spectrum: Positive[Array, d], alpha: Real[Array, ()]):
    r"""$\|I - \alpha A\| \ge (\kappa - 1) / (\kappa + 1)$ whatever $\alpha$"""
    low, high = jnp.min(spectrum), jnp.max(spectrum)
    return at_most((high - low) / (high + low), jnp.max(abs(1 - alpha * spectrum)), scale=1.0)


# Exercise 4 ------------------------------------------------------------------------------------------------
means = statement(
    "C4.108",
    TRUE,
    r"By Jensen's inequality for $-\log$ the arithmetic mean of positive numbers is at least their geometric "
    r"mean, with equality exactly if they are all equal.",
)


@means.true(at=lambda: [{"x": jnp.full(7, 0.5)}])
def by_jensen(x: Positive[Array, n]):
    r"""$-\log \bar x \le \frac1n \sum_i -\log x_i$, hence $\left(\prod_i x_i\right)^{1/n} \le \bar x$"""
    jensen = at_most(-jnp.log(jnp.mean(x)), jnp.mean(-jnp.log(x)), scale=1 + jnp.max(abs(jnp.log(x))))
    return jensen, at_most(jnp.exp(jnp.mean(jnp.log(x))), jnp.mean(x))


@means.true
def only_equal_numbers(x: Positive[Array, n]):
    r"""$\bar x - \left(\prod_i x_i\right)^{1/n} \ge \frac{1}{2 \max_i x_i} \cdot \frac1n \sum_i (x_i - \bar x)^2$,
    which is 0 only at equal numbers"""
    gap = jnp.mean(x) - jnp.exp(jnp.mean(jnp.log(x)))
    return at_most(jnp.mean((x - jnp.mean(x)) ** 2) / (2 * jnp.max(x)), gap, scale=jnp.mean(x))


@means.control
def with_the_smallest(x: Positive[Array, n]):
    r"""The same with $\min_i x_i$ in place of $\max_i x_i$"""
    gap = jnp.mean(x) - jnp.exp(jnp.mean(jnp.log(x)))
    return at_most(jnp.mean((x - jnp.mean(x)) ** 2) / (2 * jnp.min(x)), gap, scale=jnp.mean(x))
