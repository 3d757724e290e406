r"""The normal equations: always solvable, by one w exactly if X has full column rank, and else by the pseudo-inverse.

$L(w) = \frac12 \|y - Xw\|^2$; X is n by d. A matrix of rank r is written $X = B C^\top$ with B and C of full column
rank; its pseudo-inverse is then the rational function $X^+ = C (C^\top C)^{-1} (B^\top B)^{-1} B^\top$.

Source: ML Math Derivations, part 5, "Algebra"; the four identities: Penrose (1955).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.regression.least_squares import loss
from jaxderiv.domains import Array, FullColumnRank, Real, d, n, q
from jaxderiv.theorem import TRUE, at_most, equal, statement


def pseudo_inverse(B, C):
    r"""$X^+$ of $X = B C^\top$"""
    return C @ jnp.linalg.solve(C.T @ C, jnp.linalg.solve(B.T @ B, B.T))


# Solutions -------------------------------------------------------------------------------------------------
normal = statement(
    "C5.08",
    TRUE,
    r"The minimisers of $L$ are the solutions of the normal equations $X^\top X w = X^\top y$, which exist always.",
)
normal.line("regression/least_squares", "normal_equations")


@normal.true
def always_solvable(B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n]):
    r"""$X^\top X w = X^\top y$ at $w = X^+ y$, of any rank"""
    X = B @ C.T
    return equal(X.T @ (X @ (pseudo_inverse(B, C) @ y)), X.T @ y)


@normal.true
def solutions_are_minimisers(X: Real[Array, n, d], y: Real[Array, n], w: Real[Array, d], v: Real[Array, d]):
    r"""$L(w + v) = L(w) + v^\top (X^\top X w - X^\top y) + \frac12 \|Xv\|^2$: where the bracket is 0 nothing is
    lower"""
    above = v @ (X.T @ (X @ w) - X.T @ y) + jnp.sum((X @ v) ** 2) / 2
    return equal(loss(w + v, X, y) - loss(w, X, y), above)


@normal.true
def others_are_not(X: Real[Array, n, d], y: Real[Array, n], w: Real[Array, d]):
    r"""Where $g = X^\top X w - X^\top y$ is not 0 there is something lower: $L(w - t g) \le L(w) - \frac t2
    \|g\|^2$, $t = 1 / \mathrm{tr}(X^\top X)$"""
    g, trace = X.T @ (X @ w - y), jnp.sum(X**2) + 1e-30
    return at_most(loss(w - g / trace, X, y), loss(w, X, y) - (g @ g) / (2 * trace), scale=1e-30 + loss(w, X, y))


unique = statement(
    "C5.09",
    TRUE,
    r"If $X^\top X$ is invertible, $\hat w = (X^\top X)^{-1} X^\top y$ is the only minimiser; the Hessian $X^\top "
    r"X$ is positive definite exactly if X has full column rank.",
)
unique.line("regression/least_squares", "hessian", "curvature_along")


def least_squares(X, y):
    r"""$(X^\top X)^{-1} X^\top y$"""
    return jnp.linalg.solve(X.T @ X, X.T @ y)


@unique.true
def loss_above_the_minimum(X: FullColumnRank[Array, n, d], y: Real[Array, n], w: Real[Array, d]):
    r"""$L(w) = L(\hat w) + \frac12 \|X (w - \hat w)\|^2$"""
    best = least_squares(X, y)
    return equal(loss(w, X, y), loss(best, X, y) + jnp.sum((X @ (w - best)) ** 2) / 2)


@unique.true
def hessian_is_definite(X: FullColumnRank[Array, n, d], v: Real[Array, d]):
    r"""$v^\top \nabla^2 L\, v \ge c \|v\|^2$ with $c = 1 / \mathrm{tr}\, (X^\top X)^{-1} > 0$"""
    H, least = jax.hessian(loss)(v, X, jnp.zeros(len(X))), 1 / jnp.trace(jnp.linalg.inv(X.T @ X))
    return at_most(least * (v @ v), v @ H @ v), at_most(1e-300, least)


@unique.control(at=lambda: [{"X": jnp.ones((4, 2)), "y": jnp.arange(4.0), "w": jnp.array([1.0, 0.5])}])
def unique_of_any_rank(X: Real[Array, n, d], y: Real[Array, n], w: Real[Array, d]):
    r"""Only $w = X^+ y$ has the least loss, whatever X: any other is higher"""
    best = jnp.linalg.pinv(X) @ y
    return at_most(loss(best, X, y) + 1e-6 * jnp.sum((w - best) ** 2) * jnp.sum(X**2), loss(w, X, y))


# No inverse ------------------------------------------------------------------------------------------------
singular = statement(
    "C5.10",
    TRUE,
    r"$X^\top X$ is singular if there are fewer observations than columns, and if columns are linearly dependent.",
)


@singular.true
def fewer_rows(X: Real[Array, 2, 3]):
    r"""For two rows and three columns $X^\top X z = 0$ at the rows' cross product: $z_1 g_1 + z_2 g_2 = -z_3 g_3$
    for the columns of $X^\top X$"""
    g, z = X.T @ X, jnp.cross(X[0], X[1])
    return equal(z[0] * g[:, 0] + z[1] * g[:, 1], -z[2] * g[:, 2])


@singular.true
def dependent_columns(X: Real[Array, n, d], c: Real[Array, d]):
    r"""If the last column is $Xc$, then $X^\top X z = 0$ for $z = (c, -1)$"""
    wide = jnp.hstack([X, (X @ c)[:, None]])
    return equal(wide.T @ wide @ jnp.append(c, 0.0), wide.T @ wide[:, -1])


minimum_norm = statement(
    "C5.11",
    TRUE,
    r"Then $X^+ y$, with $X^+ = V \Sigma^+ U^\top$, is the least-squares solution of the smallest norm.",
)


@minimum_norm.true
def penrose_identities(B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q]):
    r"""$X X^+ X = X$, $X^+ X X^+ = X^+$, $(X X^+)^\top = X X^+$, $(X^+ X)^\top = X^+ X$"""
    X, P = B @ C.T, pseudo_inverse(B, C)
    return equal(X @ P @ X, X), equal(P @ X @ P, P), equal((X @ P).T, X @ P), equal((P @ X).T, P @ X)


@minimum_norm.true
def other_solutions_are_longer(
    B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n], z: Real[Array, d]
):
    r"""$w = X^+ y + (I - X^+ X) z$, any solution, has the same loss, and $\|w\|^2 = \|X^+ y\|^2 + \|(I - X^+ X)
    z\|^2$"""
    X, P = B @ C.T, pseudo_inverse(B, C)
    shortest, along = P @ y, z - P @ (X @ z)
    w = shortest + along
    return equal(loss(w, X, y), loss(shortest, X, y)), equal(w @ w, shortest @ shortest + along @ along)


@minimum_norm.control
def with_another_inverse(
    B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n], z: Real[Array, d]
):
    r"""The same loss with half of $X^+$ in its place"""
    X, P = B @ C.T, pseudo_inverse(2 * B, C)
    return equal(loss(P @ y + z - P @ (X @ z), X, y), loss(P @ y, X, y))


def from_singular_values(X, tolerance):
    r"""$V \Sigma^+ U^\top$, with the singular values up to a tolerance (relative to the largest) taken for zero"""
    U, sizes, Vt = np.linalg.svd(X, full_matrices=False)
    kept = sizes > tolerance * sizes[0]
    return (Vt[kept].T / sizes[kept]) @ U[:, kept].T


@minimum_norm.true
def by_singular_values(rng):
    r"""$V \Sigma^+ U^\top$ is the same matrix, and NumPy's; the tolerance tells rank 3 from rounding"""
    B, C = rng.standard_normal((9, 3)), rng.standard_normal((6, 3))
    found, rational = from_singular_values(B @ C.T, 1e-12), np.asarray(pseudo_inverse(B, C))
    return at_most(abs(found - rational), 1e-10), at_most(abs(found - np.linalg.pinv(B @ C.T)), 1e-10)


@minimum_norm.control
def without_a_tolerance(rng):
    """The same with every singular value inverted that is not exactly zero"""
    B, C = rng.standard_normal((9, 3)), rng.standard_normal((6, 3))
    return at_most(abs(from_singular_values(B @ C.T, 0.0) - pseudo_inverse(B, C)), 1e-6)


@minimum_norm.control
def solutions_are_equally_long(
    B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n], z: Real[Array, d]
):
    r"""All solutions have the norm of $X^+ y$"""
    X, P = B @ C.T, pseudo_inverse(B, C)
    w = P @ y + z - P @ (X @ z)
    return equal(w @ w, jnp.sum((P @ y) ** 2))
