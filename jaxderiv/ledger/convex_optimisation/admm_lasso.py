r"""ADMM on the lasso: its updates in closed form.

The lasso: minimise $\frac12\|y - X\beta\|^2 + \lambda\|z\|_1$ subject to $\beta = z$, with the scaled multiplier u.

Source: ML Math Derivations, part 4, "ADMM"; Boyd et al., "Distributed optimization and statistical learning via ADMM"
(2011), section 6.4.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.convex_optimisation.dual_problems import half_square
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import TRUE, at_most, equal, statement


def solve_shifted(X, y, rho, v):
    r"""$(X^\top X + \rho I)^{-1} (X^\top y + \rho v)$"""
    return jnp.linalg.solve(X.T @ X + rho * jnp.eye(X.shape[1]), X.T @ y + rho * v)


def iteration(X, y, lam, rho):
    r"""$(\beta, z, u)$ after one iteration"""

    def update(state):
        _, z, u = state
        beta = solve_shifted(X, y, rho, z - u)
        z = soft_threshold(beta + u, lam / rho)
        return beta, z, u + beta - z

    return update


updates = statement(
    "C4.91",
    TRUE,
    r"On the lasso ADMM is $\beta^+ = (X^\top X + \rho I)^{-1} (X^\top y + \rho (z - u))$, $z^+ = "
    r"S_{\lambda/\rho}(\beta^+ + u)$, $u^+ = u + \beta^+ - z^+$.",
)


@updates.true
def beta_update(
    X: Real[Array, n, d], y: Real[Array, n], rho: Positive[Array, ()], z: Real[Array, d], u: Real[Array, d]
):
    r"""At $\beta^+$ the gradient of $\frac12\|y - X\beta\|^2$ is that of $-\frac\rho2\|\beta - z + u\|^2$: it
    minimises the sum"""
    beta = solve_shifted(X, y, rho, z - u)
    loss, penalty = lambda beta: half_square(y - X @ beta), lambda beta: rho * half_square(beta - z + u)
    return equal(jax.grad(loss)(beta), -jax.grad(penalty)(beta))


@updates.true
def z_update(
    beta: Real[Array, d], u: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()], z: Real[Array, d]
):
    r"$z^+$ minimises $\lambda\|z\|_1 + \frac\rho2\|\beta - z + u\|^2$, by at least $\frac\rho2\|z - z^+\|^2$"
    value = lambda z: lam * jnp.sum(abs(z)) + rho * half_square(beta - z + u)
    least = soft_threshold(beta + u, lam / rho)
    return at_most(value(least) + rho * half_square(z - least), value(z))


@updates.control
def z_update_by_lambda(
    beta: Real[Array, d], u: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()], z: Real[Array, d]
):
    r"So does the threshold $\lambda$ in place of $\lambda/\rho$"
    value = lambda z: lam * jnp.sum(abs(z)) + rho * half_square(beta - z + u)
    return at_most(value(soft_threshold(beta + u, lam)), value(z))


@updates.true
def solution_stays(
    X: FullColumnRank[Array, n, d], w: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()]
):
    r"With y such that w is the solution, $z = w$ and $u = \lambda \operatorname{sign}(w) / \rho$ stay where they are"
    y = X @ w + X @ jnp.linalg.solve(X.T @ X, lam * jnp.sign(w))
    u = lam * jnp.sign(w) / rho
    return [equal(*both) for both in zip(iteration(X, y, lam, rho)((w, w, u)), (w, w, u), strict=True)]


threshold = statement(
    "C4.92",
    TRUE,
    r"Soft thresholding is a minimiser: $S_\kappa(a) = \arg\min_z \frac12 (z - a)^2 + \kappa |z|$.",
)


def proximal(shrunk, a, kappa, z):
    r"""$\frac12 (z - a)^2 + \kappa|z|$ is at least its value at the shrunk a plus $\frac12$ of the squared distance"""
    value = lambda z: (z - a) ** 2 / 2 + kappa * abs(z)
    return at_most(value(shrunk) + (z - shrunk) ** 2 / 2, value(z))


@threshold.true
def soft_threshold_minimises(a: Real[Array, ()], kappa: Positive[Array, ()], z: Real[Array, ()]):
    r"The value at z exceeds that at $S_\kappa(a)$ by $\frac12 (z - S_\kappa(a))^2$ or more: it is the only minimiser"
    return proximal(soft_threshold(a, kappa), a, kappa, z)


@threshold.control
def hard_threshold_minimises(a: Real[Array, ()], kappa: Positive[Array, ()], z: Real[Array, ()]):
    r"a itself where $|a| > \kappa$, else 0, minimises it"
    return proximal(jnp.where(abs(a) > kappa, a, 0.0), a, kappa, z)
