r"""Families of smooth convex functions whose Lipschitz constant and minimum are known: what gradient descent is tried
on.

Each has its minimum 0 at 0, which is no restriction: gradient descent notices neither a shift of the function nor one
of its argument. With $z = X x$ for a matrix X, all are even in z. Small values are computed without cancellation, so
that they have all their digits, however near to the minimum.
"""

import jax
import jax.numpy as jnp

from jaxderiv.ledger.notation import Function


def largest_eigenvalue(X):
    r"""$\lambda_{\max}(X^\top X)$"""
    return jnp.linalg.eigvalsh(X.T @ X)[-1]


def least_squares(X) -> tuple[Function, jax.Array]:
    r"""$\frac12 \|z\|^2$ with $L = \lambda_{\max}(X^\top X)$"""
    return lambda x: jnp.sum((X @ x) ** 2) / 2, largest_eigenvalue(X)


def huber_losses(X) -> tuple[Function, jax.Array]:
    r"""$\sum_i \frac12 z_i^2$ or, where $|z_i| > 1$, $|z_i| - \frac12$; with $L = \lambda_{\max}(X^\top X)$"""

    def f(x):
        z = abs(X @ x)
        return jnp.sum(jnp.where(z < 1, z**2 / 2, z - 0.5))

    return f, largest_eigenvalue(X)


def logistic_losses(X) -> tuple[Function, jax.Array]:
    r"""$\sum_i \log(1 + e^{z_i}) + \log(1 + e^{-z_i}) - \log 4$, every row with both labels; $L = \frac12
    \lambda_{\max}(X^\top X)$"""

    def f(x):
        z = X @ x
        near = 2 * jnp.log1p(2 * jnp.sinh(jnp.where(abs(z) < 1, z, 0.0) / 4) ** 2)  # as cosh(2a) = 1 + 2 sinh(a)^2
        return jnp.sum(jnp.where(abs(z) < 1, near, jax.nn.softplus(z) + jax.nn.softplus(-z) - jnp.log(4.0)))

    return f, largest_eigenvalue(X) / 2


def log_sum_exp(X) -> tuple[Function, jax.Array]:
    r"""$\log \frac{1}{2n} \sum_i (e^{z_i} + e^{-z_i})$, whose curvature along v is a variance of the $\pm x_i^\top v$;
    so $L = \max_i \|x_i\|^2$"""

    def f(x):
        z = X @ x
        small = jnp.max(abs(z)) < 1
        near = jnp.log1p(jnp.mean(2 * jnp.sinh(jnp.where(small, z, 0.0) / 2) ** 2))
        return jnp.where(small, near, jax.nn.logsumexp(jnp.concatenate([z, -z])) - jnp.log(2.0 * len(z)))

    return f, jnp.max(jnp.sum(X**2, axis=1))


FAMILIES = huber_losses, logistic_losses, log_sum_exp


def smooth_convex(X) -> list[tuple[Function, jax.Array]]:
    """Least squares and one function of each other family, with its constant."""
    return [family(X) for family in (least_squares, *FAMILIES)]
