r"""When the alternating direction method of multipliers (ADMM) converges.

The problem: minimise f(x) + g(z) subject to x = z, with the residual r = x - z and the scaled multiplier u. The
theorems are attacked on the lasso, built backwards from its solution and its multiplier: the saddle point is known.

Source: ML Math Derivations, part 4, "ADMM"; Boyd et al., "Distributed optimization and statistical learning via ADMM"
(2011), appendix A; three blocks: Chen, He, Ye and Yuan (2016).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.convex_optimisation.dual_problems import half_square, lasso
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import HYP, at_most, close, statement

converges = statement(
    "C4.90",
    HYP,
    "The method, with these updates, converges.",
    "f and g have to be closed, proper and convex, and the Lagrangian must have a saddle point. Then the residual "
    "tends to 0 and the objective to $p^*$; the iterates need more. Without convexity it may cycle; with three "
    "blocks in place of two it may diverge.",
)


@converges.as_worded(at=[{"rho": 0.5}])
def residual_of_a_cycle(rho: Positive[Array, ()]):
    r"""$\min \frac12 z^2$ with x = z in $\{-1, 1\}$, which is not convex: from z = 1, u = 0 the residual falls below
    1/10"""

    def iteration(state):
        _, z, u = state
        x = jnp.where(z - u > 0, 1.0, -1.0)
        z = rho * (x + u) / (1 + rho)
        return x, z, u + x - z

    x, z, _ = iterates(iteration, (1.0 + 0 * rho, 1.0 + 0 * rho, 0.0 * rho), 60)
    return at_most(abs(x[-1] - z[-1]), 0.1)


SIZES = {"n": 3, "d": 2}
STEPS = 8


def from_a_known_saddle_point(X, w, lam, rho, z, u):
    r"""A trace on the lasso whose solution is w, with the multiplier $\lambda s$, s = sign(w): $(x, z, u)$, and y of
    the lasso"""
    y = X @ w + X @ jnp.linalg.solve(X.T @ X, lam * jnp.sign(w))
    factor = X.T @ X + rho * jnp.eye(len(w))

    def iteration(state):
        _, z, u = state
        x = jnp.linalg.solve(factor, X.T @ y + rho * (z - u))
        z = soft_threshold(x + u, lam / rho)
        return x, z, u + x - z

    return iterates(iteration, (z, z, u), STEPS), y


def energies(X, w, lam, rho, z, u, times=1.0):
    r"""$V_k = \rho\|u_k - u^*\|^2 + \rho\|z_k - z^*\|^2$ from k = 1 on, and what is claimed that it falls by, times a
    factor"""
    (x, z, u), _ = from_a_known_saddle_point(X, w, lam, rho, z, u)
    V = rho * jnp.sum((u - lam * jnp.sign(w) / rho) ** 2 + (z - w) ** 2, axis=1)
    falls = rho * jnp.sum((x - z)[2:] ** 2 + (z[2:] - z[1:-1]) ** 2, axis=1)
    return at_most(V[2:] + times * falls, V[1:-1], V[0] + V[1])


@converges.true(sizes=SIZES)
def energy_falls(
    X: FullColumnRank[Array, n, d], w: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()],
    z: Real[Array, d], u: Real[Array, d],
):  # fmt: skip
    r"""On the lasso $V_{k+1} \le V_k - \rho\|r_{k+1}\|^2 - \rho\|z_{k+1} - z_k\|^2$ for $k \ge 1$: the residuals are
    summable"""
    return energies(X, w, lam, rho, z, u)


@converges.control(sizes=SIZES)
def energy_falls_more(
    X: FullColumnRank[Array, n, d], w: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()],
    z: Real[Array, d], u: Real[Array, d],
):  # fmt: skip
    "It falls by a quarter more"
    return energies(X, w, lam, rho, z, u, 1.25)


@converges.true(sizes=SIZES)
def objective_is_bounded_by_the_residuals(
    X: FullColumnRank[Array, n, d], w: Real[Array, d], lam: Positive[Array, ()], rho: Positive[Array, ()],
    z: Real[Array, d], u: Real[Array, d],
):  # fmt: skip
    r"""$-y^{*\top} r \le f(x) + g(z) - p^* \le -\rho u^\top r + \rho (z - z_-)^\top (w - z - r)$, $z_-$ the z before:
    both tend to 0"""
    (x, z, u), y = from_a_known_saddle_point(X, w, lam, rho, z, u)
    residual, moved = (x - z)[1:], z[1:] - z[:-1]
    value = jax.vmap(lambda x, z: half_square(y - X @ x) + lam * jnp.sum(abs(z)))(x[1:], z[1:])
    excess = value - lasso(X, y, lam, w)
    above = rho * jnp.sum(moved * (w - z[1:] - residual) - u[1:] * residual, axis=1)
    size = y @ y + value
    return at_most(-lam * residual @ jnp.sign(w), excess, size), at_most(excess, above, size)


@converges.true
def three_blocks_diverge():
    r"On $x_1 a_1 + x_2 a_2 + x_3 a_3 = 0$, f = 0, with columns (1, 1, 1), (1, 1, 2), (1, 2, 2): spectral radius 1.028"
    columns = np.array([[1.0, 1, 1], [1, 1, 2], [1, 2, 2]])

    def iteration(state):
        x, u = np.append(0.0, state[:2]), state[2:]
        for i, a in enumerate(columns):
            others = x @ columns - x[i] * a
            x[i] = -a @ (others + u) / (a @ a)
        return np.concatenate([x[1:], u + x @ columns])

    radius = np.max(abs(np.linalg.eigvals(np.array([iteration(e) for e in np.eye(5)]).T)))
    return close(radius, 1.028, 5e-4)
