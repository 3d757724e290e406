r"""Least squares, as a sum.

The loss is half the *sum* of squared residuals: no 1/n, no penalty. X is n by d, with a column of ones if the
model has an intercept. The Hessian is d by d and does not depend on w; `hessian` takes w all the same, so
that every model is called alike.

Source: ML Math Derivations, part 5, "Setup, algebra, geometry".
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""$L(w) = \frac12 \|Xw - y\|^2$"""
    r = X @ w - y
    return r @ r / 2


@equals(loss)
def expansion(w, X, y):
    r"""$L(w) = \frac12 \left(w^\top X^\top X w - 2\, y^\top X w + y^\top y\right)$"""
    z = X @ w
    return (z @ z - 2 * (y @ z) + y @ y) / 2


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y):
    r"""$\nabla L = \sum_i (x_i^\top w - y_i)\, x_i$"""
    return jnp.sum((X @ w - y)[:, None] * X, axis=0)


@equals(gradient_by_observation)
def gradient(w, X, y):
    r"""$\nabla L = X^\top (Xw - y)$"""
    return X.T @ (X @ w - y)


@equals(jax.grad(expansion))
def normal_equations(w, X, y):
    r"""$\nabla L = X^\top X w - X^\top y$, zero exactly at the least-squares solutions"""
    return (X.T @ X) @ w - X.T @ y


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian_by_observation(X):
    r"""$\nabla^2 L = \sum_i x_i x_i^\top$, the same for every $w$"""
    return jnp.sum(X[:, :, None] * X[:, None, :], axis=0)


@equals(hessian_by_observation)
def hessian(w, X):
    r"""$\nabla^2 L = X^\top X$"""
    return X.T @ X


@equals(lambda w, v, X: hessian(w, X) @ v)
def hvp(w, v: Real[Array, d], X):
    r"""$\nabla^2 L\, v = X^\top (Xv)$, without forming $X^\top X$"""
    return X.T @ (X @ v)


@equals(lambda w, v, X: v @ hvp(w, v, X))
def curvature_along(v, X):
    r"""$v^\top \nabla^2 L\, v = \|Xv\|^2 \ge 0$: convex, strictly so when X has full column rank"""
    z = X @ v
    return z @ z
