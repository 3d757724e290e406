r"""Ridge: what nearly dependent columns do to least squares, and what a shift of the eigenvalues does about it.

X is n by d; the ridge loss is $\frac12 \|y - Xw\|^2 + \frac\lambda2 \|w\|^2$, and $\sigma_{\min}$ the least
singular value of X.

Source: ML Math Derivations, part 5, "Regularisation".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.regression.ridge import loss
from jaxderiv.domains import Array, FullColumnRank, Positive, Real, UnitInterval, d, n
from jaxderiv.ledger.linear_regression.gaussian_errors import SIGNS
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.ledger.linear_regression.priors import ridge
from jaxderiv.theorem import TRUE, at_most, equal, statement

collinear = statement(
    "C5.23",
    TRUE,
    r"If columns are nearly dependent, $(X^\top X)^{-1}$ has huge entries, and small changes of y move $\hat w$ a lot.",
)


@collinear.true
def entries_of_the_inverse(rho: UnitInterval[Array, ()]):
    r"""For two unit columns with the cosine $\rho$ the entries are $1 / (1 - \rho^2)$ and $-\rho / (1 - \rho^2)$"""
    identity, swap = jnp.eye(2), jnp.eye(2)[::-1]
    return equal(jnp.linalg.inv(identity + rho * swap), (identity - rho * swap) / (1 - rho**2))


@collinear.true(at=lambda: [{"X": jnp.array([[1.0, 1.0], [0.0, 1e-3], [0.0, 0.0]]), "change": jnp.ones(3)}])
def amplification(X: FullColumnRank[Array, n, d], change: Real[Array, n]):
    r"""$\|\hat w(y + \delta) - \hat w(y)\| = \|(X^\top X)^{-1} X^\top \delta\| \le \|\delta\| / \sigma_{\min}$,
    attained along $u_{\min}$"""
    inverse = jnp.linalg.inv(X.T @ X)
    values, vectors = jnp.linalg.eigh(inverse)
    least, moved = 1 / jnp.sqrt(values[-1]), lambda change: jnp.linalg.norm(inverse @ (X.T @ change))
    u = X @ vectors[:, -1] / least
    return at_most(moved(change) * least, jnp.linalg.norm(change)), at_most(jnp.linalg.norm(u), moved(u) * least)


@collinear.true
def same_change_from_anywhere(X: FullColumnRank[Array, n, d], y: Real[Array, n], change: Real[Array, n]):
    r"""$\hat w(y + \delta) - \hat w(y) = (X^\top X)^{-1} X^\top \delta$"""
    return equal(least_squares(X, y + change) - least_squares(X, y), jnp.linalg.inv(X.T @ X) @ (X.T @ change))


@collinear.true
def covariance(X: FullColumnRank[Array, 4, 2], w: Real[Array, 2], sigma: Positive[Array, ()]):
    r"""$E(\hat w - w)(\hat w - w)^\top = \sigma^2 (X^\top X)^{-1}$, over all signs of errors $\pm\sigma$"""
    errors = least_squares(X, (X @ w)[:, None] + sigma * SIGNS.T) - w[:, None]
    return equal(errors @ errors.T / len(SIGNS), sigma**2 * jnp.linalg.inv(X.T @ X))


solution = statement("C5.24", TRUE, r"$(X^\top X + \lambda I)^{-1} X^\top y$ minimises the ridge loss.")
solution.line("regression/ridge", "gradient", "normal_equations")


@solution.true
def loss_above_the_minimum(X: Real[Array, n, d], y: Real[Array, n], w: Real[Array, d], lam: Positive[Array, ()]):
    r"""$L(w) = L(\hat w) + \frac12 \|X (w - \hat w)\|^2 + \frac\lambda2 \|w - \hat w\|^2$"""
    best = ridge(X, y, lam)
    away = w - best
    return equal(loss(w, X, y, lam), loss(best, X, y, lam) + jnp.sum((X @ away) ** 2) / 2 + lam / 2 * (away @ away))


@solution.true
def as_least_squares(rng):
    r"""It is the least-squares solution for X with $\sqrt\lambda I$ below it and y with zeros, by singular values"""
    X, y, lam = rng.standard_normal((20, 6)), rng.standard_normal(20), 0.7
    longer = np.vstack([X, np.sqrt(lam) * np.eye(6)]), np.append(y, np.zeros(6))
    return at_most(abs(ridge(X, y, lam) - np.linalg.lstsq(*longer)[0]), 1e-10)


shift = statement(
    "C5.25",
    TRUE,
    r"The penalty adds $\lambda$ to every eigenvalue of $X^\top X$, so the matrix is invertible for every "
    r"$\lambda > 0$: $v^\top (X^\top X + \lambda I) v = \|Xv\|^2 + \lambda \|v\|^2$.",
)
shift.line("regression/ridge", "hessian", "curvature_along")


@shift.true
def eigenvalues_shift(X: Real[Array, n, d], lam: Positive[Array, ()]):
    r"""$\lambda_i(\nabla^2 L) = \sigma_i^2 + \lambda$ with the singular values of X, whatever its rank"""
    hessian = jax.hessian(loss)(jnp.zeros(X.shape[1]), X, jnp.zeros(len(X)), lam)
    shifted, values = jnp.linalg.eigvalsh(jnp.stack([hessian, X.T @ X]))
    return [at_most(*sides, scale=shifted[-1]) for sides in ((shifted, values + lam), (values + lam, shifted))]


@shift.true
def shifted_by_singular_vectors(rng):
    r"""$\hat w = V\, \mathrm{diag}\left(\frac{\sigma_i}{\sigma_i^2 + \lambda}\right) U^\top y$, also with fewer rows
    than columns"""
    X, y, lam = rng.standard_normal((4, 9)), rng.standard_normal(4), 0.3
    U, sizes, Vt = np.linalg.svd(X, full_matrices=False)
    return at_most(abs(ridge(X, y, lam) - Vt.T @ (sizes / (sizes**2 + lam) * (U.T @ y))), 1e-10)


@shift.true
def invertible_of_any_rank(X: Real[Array, 2, 3], lam: Positive[Array, ()]):
    r"""$\det(X^\top X + \lambda I) \ge \lambda^d$, of two rows and three columns, too"""
    return at_most(lam**3, jnp.linalg.det(X.T @ X + lam * jnp.eye(3)))


@shift.control
def invertible_without(X: Real[Array, 2, 3]):
    r"""$\det X^\top X > 0$ of two rows and three columns"""
    return at_most(1e-6 * jnp.max(abs(X)) ** 6, jnp.linalg.det(X.T @ X))
