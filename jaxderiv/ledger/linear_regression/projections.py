r"""Least squares as a projection: the hat matrix, the residual maker, and the two figures that show them.

X is n by d; $H = X (X^\top X)^{-1} X^\top$, $M = I - H$. A matrix of rank r is written $X = B C^\top$ with B and C of
full column rank.

Source: ML Math Derivations, part 5, "Geometry" and its first two figures.
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Real, d, n, q
from jaxderiv.ledger.linear_regression.normal_equations import least_squares, pseudo_inverse
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, statement


def hat(X):
    r"""$X (X^\top X)^{-1} X^\top$"""
    return X @ jnp.linalg.solve(X.T @ X, X.T)


def residual_maker(X):
    r"""$I - H$"""
    return jnp.eye(len(X)) - hat(X)


# Projection ------------------------------------------------------------------------------------------------
projection = statement(
    "C5.12",
    TRUE,
    r"$\hat y = X \hat w$ is the point of the column space nearest to $y$, characterised by $X^\top (y - \hat y) = 0$.",
)


@projection.true
def residual_is_orthogonal(B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n]):
    r"""$X^\top X X^+ y = X^\top y$, of any rank"""
    X = B @ C.T
    return equal(X.T @ (X @ (pseudo_inverse(B, C) @ y)), X.T @ y)


@projection.true
def pythagoras(B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n], w: Real[Array, d]):
    r"""$\|y - v\|^2 = \|y - \hat y\|^2 + \|\hat y - v\|^2$ for every $v = Xw$, so nothing is nearer than $\hat y$"""
    X, square = B @ C.T, lambda r: r @ r
    nearest, v = X @ (pseudo_inverse(B, C) @ y), X @ w
    return equal(square(y - v), square(y - nearest) + square(nearest - v))


@projection.control
def pythagoras_off_the_projection(
    X: FullColumnRank[Array, n, d], y: Real[Array, n], w: Real[Array, d], u: Real[Array, d]
):
    """The same at another point of the column space"""
    square, v, other = lambda r: r @ r, X @ w, X @ (least_squares(X, y) + u)
    return equal(square(y - v), square(y - other) + square(other - v))


hat_matrix = statement(
    "C5.13",
    HYP,
    r"$H = X (X^\top X)^{-1} X^\top$ is symmetric and idempotent: the orthogonal projection on the column space.",
    but=r"X has to have full column rank: otherwise there is no inverse, and $X X^+$ takes its place. The trace is "
    r"the rank.",
)


@hat_matrix.as_worded(at=lambda: [{"X": jnp.ones((4, 2))}])
def for_every_design(X: Real[Array, n, d]):
    r"""$X^\top X$ has an inverse whatever X: $\det X^\top X > 0$"""
    return at_most(1e-9 * jnp.max(abs(X)) ** (2 * X.shape[1]), jnp.linalg.det(X.T @ X))


@hat_matrix.true
def symmetric_and_idempotent(X: FullColumnRank[Array, n, d]):
    r"""$H^\top = H$, $H^2 = H$, $HX = X$, $\mathrm{tr}\, H = d$"""
    H = hat(X)
    return equal(H @ X, X), equal(H.T, H), equal(H @ H, H), equal(jnp.trace(H), float(X.shape[1]))


@hat_matrix.true
def of_any_rank(B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q]):
    r"""$P = X X^+$: $P^\top = P$, $P^2 = P$, $PX = X$, $\mathrm{tr}\, P = \mathrm{rank}\, X$"""
    X = B @ C.T
    P = X @ pseudo_inverse(B, C)
    return equal(P @ X, X), equal(P.T, P), equal(P @ P, P), equal(jnp.trace(P), float(B.shape[1]))


@hat_matrix.true
def eigenvalues():
    r"""Its eigenvalues are 1, as often as the rank says, and 0"""
    X = np.vander(np.linspace(-1, 1, 8), 3)
    return at_most(
        abs(jnp.linalg.eigvalsh(hat(jnp.asarray(X))) - jnp.repeat(jnp.array([0.0, 1.0]), jnp.array([5, 3]))), 1e-12
    )


@hat_matrix.true(at=lambda: [{"X": jnp.eye(4)[:, :2]}])
def leverages(X: FullColumnRank[Array, n, d]):
    r"""$0 \le h_{ii} \le 1$, attained"""
    leverage = jnp.diag(hat(X))
    return at_most(0.0, leverage, scale=1.0), at_most(leverage, 1.0)


def oblique(X, Z):
    r"""$X (Z^\top X)^{-1} Z^\top$: on the column space of X, along the complement of that of Z"""
    return X @ jnp.linalg.solve(Z.T @ X, Z.T)


@hat_matrix.true
def oblique_is_idempotent(X: FullColumnRank[Array, n, d], Z: FullColumnRank[Array, n, d]):
    r"""Without symmetry a projection is oblique: $P^2 = P$ for $P = X (Z^\top X)^{-1} Z^\top$"""
    P = oblique(X, Z)
    return equal(P @ P, P)


@hat_matrix.control
def oblique_is_symmetric(X: FullColumnRank[Array, n, d], Z: FullColumnRank[Array, n, d]):
    r"""$P^\top = P$ for the oblique projection"""
    P = oblique(X, Z)
    return equal(P.T, P)


maker = statement(
    "C5.14", TRUE, r"$M = I - H$ is symmetric and idempotent, $MX = 0$, $HM = 0$, and $My$ is the vector of residuals."
)


@maker.true
def identities_of_the_maker(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""$M^\top = M$, $M^2 = M$, $X = X - MX$, $H = H - HM$, $\mathrm{tr}\, M = n - d$, $My = y - X \hat w$"""
    H, M = hat(X), residual_maker(X)
    return (
        equal(X - M @ X, X),
        (equal(M.T, M), equal(M @ M, M), equal(H - H @ M, H)),
        equal(jnp.trace(M), float(X.shape[0] - X.shape[1])),
        equal(M @ y, y - X @ least_squares(X, y)),
    )


# Figures ---------------------------------------------------------------------------------------------------
plane = statement(
    "C5.15",
    TRUE,
    r"In the figure the columns are $(2, 0.4, 0)$ and $(0.5, 1.8, 0)$ and $y = (1.6, 1.2, 2)$; then $\hat y = "
    r"(1.6, 1.2, 0)$ and the residual is $(0, 0, 2)$.",
)


@plane.true
def projection_in_the_figure():
    r"""$\hat y$ and $y - \hat y$ by QR; $X^\top (y - \hat y) = 0$"""
    X, y = np.array([[2.0, 0.5], [0.4, 1.8], [0.0, 0.0]]), np.array([1.6, 1.2, 2.0])
    Q, _ = np.linalg.qr(X)
    fit = Q @ (Q.T @ y)
    return (
        close(fit, [1.6, 1.2, 0.0], 1e-12),
        close(y - fit, [0.0, 0.0, 2.0], 1e-12),
        close(X.T @ (y - fit), 0.0, 1e-12),
    )


line = statement(
    "C5.16",
    TRUE,
    r"The figure's line minimises the squared *vertical* distances from its points, and the closed form agrees with a "
    r"library's answer.",
)


def points_of_the_figure():
    """Forty points along 0.85 x + 1.2 with noise 1.1, and the coefficients of the closed form."""
    x = np.linspace(0, 10, 40)
    y = 0.85 * x + 1.2 + 1.1 * np.random.default_rng(1).standard_normal(40)
    X = np.stack([x, np.ones(40)], axis=1)
    return X, y, np.linalg.solve(X.T @ X, X.T @ y)


@line.true
def line_of_the_figure():
    r"""$0.8280 x + 1.3130$ with a sum of squares of 41.685; the closed form is the answer by singular values to
    $10^{-12}$"""
    X, y, w = points_of_the_figure()
    figures = close(w, [0.8280, 1.3130], 5e-5), close(np.sum((y - X @ w) ** 2), 41.685, 5e-4)
    return *figures, at_most(abs(w - np.linalg.lstsq(X, y)[0]), 1e-12)


def line_of_least_distance(X, y):
    """The line that minimises the distances at right angles."""
    middle = X[:, 0].mean(), y.mean()
    direction = np.linalg.svd(np.stack([X[:, 0] - middle[0], y - middle[1]], axis=1))[2][0]
    slope = direction[1] / direction[0]
    return np.array([slope, middle[1] - slope * middle[0]])


@line.control
def line_at_right_angles():
    """The line of least distances at right angles to it is the same line"""
    X, y, w = points_of_the_figure()
    return close(line_of_least_distance(X, y), w, 1e-2)
