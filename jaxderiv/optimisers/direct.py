"""Least squares and ridge regression without iterating: by Cholesky, QR and singular values."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import within

METHODS = ("cholesky", "qr", "svd")


def least_squares(X: jax.Array, y: jax.Array, method: str = "qr", rcond: float | None = None) -> jax.Array:
    r"""The minimiser of $\|Xw - y\|^2$.

    Args:
        X: (n, d).
        y: (n,), or (n, K) for K problems at once.
        method: "cholesky" solves the normal equations $X^\top X w = X^\top y$, whose condition number is the square of
            X's: half of the digits at most; "qr" solves R w = Q'y; "svd" takes $V \Sigma^+ U^\top y$, the solution of
            least norm. The first two need independent columns and give NaN or noise without.
        rcond: for "svd", singular values up to rcond times the largest count as zero; max(n, d) units of round-off if
            None, as in `numpy.linalg.matrix_rank`.
    Returns:
        w, (d,) or (d, K).
    Raises:
        InputError: for an unknown method, empty or mismatched data, fewer rows than columns (except by "svd"), or a
            negative rcond.

    Source: Golub and Van Loan, Matrix Computations (4th edition), sections 5.3 and 5.5; ML Math Derivations, part 5,
        "Normal equations".
    """
    X, y = _data(X, y)
    if method not in METHODS:
        raise InputError(f"method is {method!r}; allowed: {', '.join(map(repr, METHODS))}")
    if method != "svd" and X.shape[0] < X.shape[1]:
        raise InputError(f"X has shape {X.shape}; {method!r} needs n >= d: write method='svd'")
    if rcond is not None:
        within("rcond", rcond, least=0)
    if method == "cholesky":
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(X.T @ X), X.T @ y)
    if method == "qr":
        Q, R = jnp.linalg.qr(X)
        return jax.scipy.linalg.solve_triangular(R, Q.T @ y)
    U, sigma, Vt = jnp.linalg.svd(X, full_matrices=False)
    bound = max(X.shape) * jnp.finfo(X.dtype).eps if rcond is None else rcond
    kept = sigma > bound * sigma[0]
    inverse = jnp.where(kept, 1 / jnp.where(kept, sigma, 1.0), 0.0)
    return (Vt.T * inverse) @ (U.T @ y)


def ridge_path(X: jax.Array, y: jax.Array, lams: jax.Array) -> jax.Array:
    r"""Ridge regression for many lambdas from one decomposition: $w(\lambda) = V\, \mathrm{diag}(\frac{\sigma}{\sigma^2
    + \lambda})\, U^\top y$.

    The minimiser of $\frac12\|Xw - y\|^2 + \frac\lambda2\|w\|^2$: sums, and no intercept (centre X and y instead). For
    lambda = 0 it is the least-squares solution of least norm.

    Args:
        X: (n, d).
        y: (n,).
        lams: (m,), each 0 or more.
    Returns:
        The weights, (m, d), one row for each lambda.
    Raises:
        InputError: for a negative lambda, or empty or mismatched data.

    Source: ML Math Derivations, part 5, "Regularisation"; Hastie, Tibshirani and Friedman, The Elements of Statistical
        Learning (2nd edition), section 3.4.1.
    """
    X, y = _data(X, y)
    lams = jnp.asarray(lams, X.dtype)
    if y.ndim != 1 or lams.ndim != 1 or not lams.size:
        raise InputError(f"y has shape {y.shape} and lams {lams.shape}; allowed: (n,) and (m,) with m >= 1")
    within("the smallest of lams", lams.min(), least=0)
    U, sigma, Vt = jnp.linalg.svd(X, full_matrices=False)
    kept = sigma > max(X.shape) * jnp.finfo(X.dtype).eps * sigma[0]
    denominator = sigma[None] ** 2 + lams[:, None]
    usable = kept[None] | (lams[:, None] > 0)
    filters = jnp.where(usable, sigma[None] / jnp.where(usable, denominator, 1.0), 0.0)
    return (filters * (U.T @ y)[None]) @ Vt


def _data(X: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    X, y = jnp.asarray(X), jnp.asarray(y)
    if X.ndim != 2 or not X.size or y.ndim not in (1, 2) or len(y) != len(X):
        raise InputError(f"X has shape {X.shape} and y {y.shape}; allowed: (n, d) and (n,) with n, d >= 1")
    if not (jnp.issubdtype(X.dtype, jnp.floating) and jnp.issubdtype(y.dtype, jnp.floating)):
        raise InputError(f"X and y have dtypes {X.dtype} and {y.dtype}; allowed: floats: write X.astype(float)")
    return X, y
