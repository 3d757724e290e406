r"""Answers of part 4's questions: condition numbers, contours, what ridge does to them, and what stays true locally.

$\kappa$ is the largest eigenvalue of a Hessian over the smallest one; $L$ the largest, $\mu$ the smallest.

Source: ML Math Derivations, part 4, "FAQ"; the ratio of angles: Kantorovich (1948).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, PositiveDefinite, Real, UnitInterval, d, n
from jaxderiv.ledger.notation import gradient_descent, quadratic
from jaxderiv.theorem import FALSE, HYP, IMPR, NA, TRUE, at_most, close, equal, statement

# Rates near a minimum --------------------------------------------------------------------------------------
locally = statement(
    "C4.98",
    HYP,
    r"Smooth functions are locally quadratic at their minima, so the rates for convex functions hold there.",
    but=r"The Hessian at the minimum has to be positive definite. At the minimum of $x^4$ it is not, and the gap "
    r"falls like $1/k^2$, by no fixed factor; $(x_2 - x_1^2)^2$ is not convex in any neighbourhood of its minimum "
    r"0.",
)


@locally.as_worded(at=lambda: [{"x": jnp.array([0.005, 0.01])}])
def convex_near_a_minimum(x: UnitInterval[Array, 2]):
    r"""The Hessian of $(x_2 - x_1^2)^2$ has no negative eigenvalue near its minimum 0"""
    return at_most(0.0, jnp.linalg.eigvalsh(jax.hessian(lambda x: (x[1] - x[0] ** 2) ** 2)(x))[0])


@locally.as_worded(at=lambda: [{"x": jnp.array([0.001])}])
def linear_rate_near_a_minimum(x: UnitInterval[Array, 1]):
    r"""For $x^4$, with $L = 12$ near 0, a hundred steps lower the gap by a hundredth at least"""
    f = lambda x: x[0] ** 4
    return at_most(f(gradient_descent(f, x, 1 / 12, 100)[-1]), 0.99 * f(x))


@locally.true
def linear_rate_where_curved(x: UnitInterval[Array, d], weights: Positive[Array, d]):
    r"""$f(x_k) \le (1 - \mu / L)^k f(x_0)$ for $f = \sum_i a_i (1 - \cos x_i)$, $\mu = \min_i a_i \cos \max_j
    |x_j|$: not convex, but curved at 0"""
    f = lambda x: 2 * weights @ jnp.sin(x / 2) ** 2
    L, mu = jnp.max(weights), jnp.min(weights) * jnp.cos(jnp.max(x))
    gaps = jax.vmap(f)(gradient_descent(f, x, 1 / L, 10))
    return at_most(gaps, (1 - mu / L) ** jnp.arange(11.0) * gaps[0], scale=gaps[0])


@locally.true
def no_factor_for_the_fourth_power(q: UnitInterval[Array, ()]):
    r"""For $x^4$ whatever factor $q < 1$: from $x = \sqrt{(1 - q) / 2}$ a step of $1/L = \frac1{12}$ leaves more
    than $q$ of the gap"""
    f = lambda x: x**4
    x = jnp.sqrt((1 - q) / 2)
    return at_most(q * f(x), f(x - jax.grad(f)(x) / 12))


@locally.true
def slope_of_the_fourth_power():
    r"""The gap of $x^4$ against $k$ has slope $-2$ in the logarithms"""
    descent = lambda x, count: jax.lax.fori_loop(0, count, lambda _, x: x - x**3 / 3, x)
    gaps = np.log([descent(1.0, count) ** 4 for count in (10_000, 100_000)])
    return close((gaps[1] - gaps[0]) / np.log(10), -2.0, 1e-3)


# Condition numbers -----------------------------------------------------------------------------------------
round_bowl = statement(
    "C4.100",
    TRUE,
    r"At $\kappa = 1$ the contours are spheres and gradient descent with step $1/L$ finishes in one step.",
)


@round_bowl.true
def one_step(x: Real[Array, d], centre: Real[Array, d], L: Positive[Array, ()]):
    r"""$x - \frac1L \nabla f(x) = x^*$, and $f(x) = \frac L2 \|x - x^*\|^2$, for $f = \frac12 (x - x^*)^\top (L I)
    (x - x^*)$"""
    f = quadratic(L * jnp.eye(len(x)), centre)
    return equal(x - jax.grad(f)(x) / L, centre), equal(f(x), L / 2 * jnp.sum((x - centre) ** 2))


@round_bowl.true(
    at=lambda: [{"A": 2.0 * jnp.eye(3), "x": jnp.ones(3)}, {"A": jnp.diag(jnp.array([1.0, 4.0])), "x": jnp.eye(2)[0]}]
)
def left_after_one_step(A: PositiveDefinite[Array, d, d], x: Real[Array, d]):
    r"""$\|x - \frac1L A x\| \le \left(1 - \frac1\kappa\right) \|x\|$, attained: zero at $\kappa = 1$ and only there"""
    values = jnp.linalg.eigvalsh(A)
    left = x - jax.grad(quadratic(A))(x) / values[-1]
    return at_most(
        jnp.linalg.norm(left), (1 - values[0] / values[-1]) * jnp.linalg.norm(x), scale=1e-30 + jnp.linalg.norm(x)
    )


@round_bowl.control
def one_step_on_any_bowl(A: PositiveDefinite[Array, d, d], x: Real[Array, d]):
    r"""The same from any $\kappa$"""
    return equal(x - jax.grad(quadratic(A))(x) / jnp.trace(A) * len(x), jnp.zeros(len(x)))


longer = statement(
    "C4.101",
    FALSE,
    r"$\kappa = 100$ means that the bowl is a hundred times longer one way than the other.",
    but=r"Ten times: along an eigenvector the contour $\frac12 x^\top A x = c$ is $\sqrt{2c / \lambda_i}$ away, so "
    r"lengths differ by $\sqrt\kappa$. It is the curvatures that differ by $\kappa$.",
)


def reach(A, v, c=1.0):
    r"""How far from 0 along v the contour $\frac12 x^\top A x = c$ is"""
    v = v / jnp.linalg.norm(v)
    return jnp.sqrt(c / quadratic(A)(v))


@longer.as_worded(at=lambda: [{"A": jnp.diag(jnp.array([1.0, 100.0]))}])
def a_hundred_times(A: PositiveDefinite[Array, d, d]):
    r"""Along the extreme eigenvectors the contour's distances have the ratio $\kappa$"""
    values, vectors = jnp.linalg.eigh(A)
    return at_most(values[-1] / values[0], reach(A, vectors[:, 0]) / reach(A, vectors[:, -1]))


@longer.true(at=lambda: [{"A": jnp.diag(jnp.array([1.0, 100.0])), "v": jnp.eye(2)[0], "w": jnp.eye(2)[1]}])
def ten_times(A: PositiveDefinite[Array, d, d], v: Real[Array, d], w: Real[Array, d]):
    r"""Along any two directions the contour's distances have at most the ratio $\sqrt\kappa$, attained by the
    extreme eigenvectors"""
    values, vectors = jnp.linalg.eigh(A)
    return (
        at_most(reach(A, v) / reach(A, w), jnp.sqrt(values[-1] / values[0])),
        at_most(jnp.sqrt(values[-1] / values[0]), reach(A, vectors[:, 0]) / reach(A, vectors[:, -1])),
    )


sideways = statement(
    "C4.102",
    IMPR,
    r"At $\kappa \sim 10^6$ gradient descent moves nearly perpendicular to the direction of descent.",
    but=r"It moves along $-\nabla f$, which is the direction of descent. What that may be nearly perpendicular to is "
    r"the way to the minimum: the cosine is at least $2\sqrt\kappa / (\kappa + 1)$, which is 0.198 at $\kappa = "
    r"100$ and 0.002 at $10^6$.",
)


@sideways.as_worded(at=lambda: [{"x": jnp.ones(2), "L": 1e6}])
def perpendicular_to_descent(x: Real[Array, 2], L: Positive[Array, ()]):
    r"""$\cos \angle(x_1 - x_0, -\nabla f(x_0)) \le \frac1{100}$ on $\frac12 (x_1^2 + L x_2^2)$"""
    f = lambda x: (x[0] ** 2 + L * x[1] ** 2) / 2
    move, slope = jnp.diff(gradient_descent(f, x, 1 / L, 1), axis=0)[0], jax.grad(f)(x)
    return at_most(-(move @ slope), 0.01 * jnp.linalg.norm(move) * jnp.linalg.norm(slope))


WORST = [{"A": np.diag([1.0, k]), "x": np.array([np.sqrt(k), 1.0])} for k in (100.0, 1e6)]


@sideways.true(at=WORST)
def angle_to_the_minimum(x: Real[Array, d], A: PositiveDefinite[Array, d, d]):
    r"""$\cos \angle(-\nabla f(x), x^* - x) \ge \frac{2\sqrt\kappa}{\kappa + 1}$; attained at $x = (\sqrt\kappa, 1)$
    in the eigenvectors"""
    values, slope = jnp.linalg.eigvalsh(A), jax.grad(quadratic(A))(x)
    least = 2 * jnp.sqrt(values[0] * values[-1]) / (values[0] + values[-1])
    return at_most(least * jnp.linalg.norm(slope) * jnp.linalg.norm(x), slope @ x)


@sideways.control(at=WORST)
def smaller_angle_to_the_minimum(x: Real[Array, d], A: PositiveDefinite[Array, d, d]):
    """A bound that is five percent larger"""
    values, slope = jnp.linalg.eigvalsh(A), jax.grad(quadratic(A))(x)
    least = 2.1 * jnp.sqrt(values[0] * values[-1]) / (values[0] + values[-1])
    return at_most(least * jnp.linalg.norm(slope) * jnp.linalg.norm(x), slope @ x)


@sideways.true
def cosines_at_the_worst_start():
    """0.198 and 0.0020"""
    cosines = [x @ A @ x / np.linalg.norm(A @ x) / np.linalg.norm(x) for A, x in (case.values() for case in WORST)]
    return close(cosines[0], 0.198, 5e-4), close(cosines[1], 0.0020, 5e-5)


# Ridge -----------------------------------------------------------------------------------------------------
ridge = statement(
    "C4.103",
    TRUE,
    r"A ridge penalty turns the condition number of $X^\top X$ into $(\lambda_{\max} + \lambda) / (\lambda_{\min} "
    r"+ \lambda)$, which falls as $\lambda$ grows.",
)


def ridge_spectra(X, lams):
    """Eigenvalues, ascending, of the Hessian of the ridge loss for some penalties."""
    loss = lambda w, lam: jnp.sum((X @ w) ** 2) / 2 + lam / 2 * (w @ w)
    return jnp.linalg.eigvalsh(jax.vmap(lambda lam: jax.hessian(loss)(jnp.zeros(X.shape[1]), lam))(lams))


@ridge.true
def every_eigenvalue_grows(X: Real[Array, n, d], lam: Positive[Array, ()]):
    r"""The eigenvalues of the Hessian are those of $X^\top X$ plus $\lambda$, so at least $\lambda$"""
    before, after = ridge_spectra(X, jnp.stack([jnp.zeros(()), lam]))
    return [at_most(*sides, scale=after[-1]) for sides in ((after, before + lam), (before + lam, after), (lam, after))]


@ridge.true
def condition_falls(X: Real[Array, n, d], lam: Positive[Array, ()], more: Positive[Array, ()]):
    r"""$\kappa(\lambda + \delta) \le \kappa(\lambda)$, multiplied by both denominators: $(\lambda_{\max} + \lambda
    + \delta)(\lambda_{\min} + \lambda) \le (\lambda_{\max} + \lambda)(\lambda_{\min} + \lambda + \delta)$
    """
    # Computed, the smallest eigenvalue of a large X is rounding and may be negative: it must not divide.
    small, large = ridge_spectra(X, jnp.stack([lam, lam + more]))
    return at_most(large[-1] * small[0], small[-1] * large[0], scale=large[-1] * small[-1])


choice = statement(
    "C4.104",
    NA,
    r"A table says which algorithm to choose for which problem.",
    but=r"Advice, not a claim. (The modelling layer that it names as an interior-point method has other solvers too.)",
)
