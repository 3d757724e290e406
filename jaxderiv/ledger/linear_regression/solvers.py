r"""How to solve: how accurate the normal equations are, and what gradient descent does with a lasso penalty.

$\kappa(X)$ is the ratio of the extreme singular values of X, $\epsilon = 2.2 \cdot 10^{-16}$.

Source: ML Math Derivations, part 5, "Questions" 2; Higham (2002), chapter 20, for how accurate a solution is.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, UnitInterval
from jaxderiv.ledger.linear_regression.lasso import kkt_residual, random_problem
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import IMPR, at_most, close, equal, holds, statement

direct = statement(
    "C5.63",
    IMPR,
    r"Up to about ten thousand features the normal equations give the exact solution.",
    but=r"What counts in floating point is not their number but $\kappa(X^\top X) = \kappa(X)^2$: the relative error "
    r"is about $\epsilon \kappa^2$, so that at $\kappa = 10^7$ six digits are gone that QR has. By QR it is "
    r"about $\epsilon \kappa$ where the residual is small; with a large one QR has a part with $\kappa^2$ as "
    r"well.",
)


def median_errors(rng, condition, residual=0.0):
    """Relative, of the normal equations and of QR, over 20 designs of 40 observations and 8 columns."""
    out = []
    for _ in range(20):
        U, V = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((40, 9), (8, 8)))
        X, w = (U[:, :8] * np.geomspace(1, 1 / condition, 8)) @ V.T, rng.standard_normal(8)
        y = X @ w + residual * U[:, 8]
        Q, R = np.linalg.qr(X)
        found = np.linalg.solve(X.T @ X, X.T @ y), np.linalg.solve(R, Q.T @ y)
        out.append([np.linalg.norm(one - w) / np.linalg.norm(w) for one in found])
    return np.median(out, axis=0)


@direct.as_worded
def accurate_if_small(rng):
    r"""Eight columns with $\kappa = 10^7$: six correct digits by the normal equations"""
    return at_most(median_errors(rng, 1e7)[0], 1e-6)


@direct.true
def condition_is_squared(rng):
    r"""$\kappa(X^\top X) = \kappa(X)^2$, at 10, 1000 and 100 000"""
    U, V = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((40, 8), (8, 8)))
    designs = [(U * np.geomspace(1, 1 / condition, 8)) @ V for condition in (10, 1e3, 1e5)]
    return [close(np.linalg.cond(X.T @ X) / np.linalg.cond(X) ** 2, 1.0, 1e-4) for X in designs]


@direct.true
def loss_of_digits(rng):
    r"""At $\kappa = 10^4$, $10^6$, $10^7$: between a thousandth of and ten times $\epsilon\kappa^2$ by the
    normal equations, at most $10\, \epsilon\kappa$ by QR"""
    condition = np.array([1e4, 1e6, 1e7])
    normal, by_qr = np.array([median_errors(rng, one) for one in condition]).T
    worst, eps = np.finfo(float).eps * condition**2, np.finfo(float).eps
    return at_most(worst / 1000, normal), at_most(normal, 10 * worst), at_most(by_qr, 10 * eps * condition)


@direct.true
def large_residuals(rng):
    r"""A residual of length 1 at $\kappa = 10^6$ costs QR three digits or more"""
    return at_most(1000 * median_errors(rng, 1e6)[1], median_errors(rng, 1e6, residual=1.0)[1])


# ------------------------------------------------------------------------------------------------------------
descent = statement(
    "C5.64",
    IMPR,
    r"With a lasso penalty, use gradient descent.",
    but=r"There is no gradient at zero, where the solution's coefficients are: with a fixed step, gradient descent "
    r"ends up going to and fro about zero. Proximal gradient steps or coordinate descent solve it, and reach "
    r"exact zeros.",
)


def lasso_step(alpha, lam):
    r"""Gradient descent on $\frac12 w^2 + \lambda |w|$."""
    return lambda w: w - alpha * jax.grad(lambda w: w**2 / 2 + lam * abs(w))(w)


@descent.as_worded
def settles():
    r"""On $\frac12 w^2 + |w|$ with step 0.1 gradient descent is within 0.01 of the minimum after 1000 steps"""
    return at_most(jnp.max(abs(iterates(lasso_step(0.1, 1.0), jnp.array(0.73), 1000)[-2:])), 0.01)


@descent.true
def to_and_fro(alpha: UnitInterval[Array, ()], lam: Positive[Array, ()]):
    r"""For every step $\alpha < 1$ it goes to and fro for ever between $\pm \alpha\lambda / (2 - \alpha)$, if it gets
    there"""
    w = alpha * lam / (2 - alpha)
    return equal(lasso_step(alpha, lam)(w), -w), equal(lasso_step(alpha, lam)(-w), w)


@descent.true
def proximal_steps(rng):
    """Proximal gradient on a random lasso: the conditions hold, and some coefficients are exactly zero (at nine tenths
    of the penalty that makes all zero)"""
    G, c = (jnp.asarray(one) for one in random_problem(rng))
    L, lam = jnp.linalg.eigvalsh(G)[-1], 0.9 * jnp.max(abs(c))
    w = iterates(lambda w: soft_threshold(w - (G @ w - c) / L, lam / L), jnp.zeros(len(c)), 1500)[-1]
    return at_most(kkt_residual(G, c, lam, w), 1e-9 * jnp.max(abs(c))), holds(jnp.any(w == 0) & jnp.any(w != 0))
