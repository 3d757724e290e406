r"""Ridge regression.

Half the *sum* of squared residuals plus lam/2 times the squared norm of w: the same lam means less when n
grows. The penalty falls on every weight, so X (n by d) holds no intercept column; centre X and y instead.

Source: ML Math Derivations, part 5, "Regularisation".
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Positive, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()]):
    r"""$L(w) = \frac12 \|Xw - y\|^2 + \frac\lambda2 \|w\|^2$"""
    r = X @ w - y
    return r @ r / 2 + lam / 2 * (w @ w)


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y, lam):
    r"""$\nabla L = \sum_i (x_i^\top w - y_i)\, x_i + \lambda w$"""
    return jnp.sum((X @ w - y)[:, None] * X, axis=0) + lam * w


@equals(gradient_by_observation)
def gradient(w, X, y, lam):
    r"""$\nabla L = X^\top (Xw - y) + \lambda w$"""
    return X.T @ (X @ w - y) + lam * w


@equals(gradient)
def normal_equations(w, X, y, lam):
    r"""$\nabla L = (X^\top X + \lambda I)\, w - X^\top y$, zero exactly at the minimiser"""
    return (X.T @ X + lam * jnp.eye(len(w), dtype=w.dtype)) @ w - X.T @ y


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian_by_observation(w, X, lam):
    r"""$\nabla^2 L = \sum_i x_i x_i^\top + \lambda I$"""
    return jnp.sum(X[:, :, None] * X[:, None, :], axis=0) + lam * jnp.eye(len(w), dtype=w.dtype)


@equals(hessian_by_observation)
def hessian(w, X, lam):
    r"""$\nabla^2 L = X^\top X + \lambda I$, the same for every $w$"""
    return X.T @ X + lam * jnp.eye(len(w), dtype=w.dtype)


@equals(lambda w, v, X, lam: hessian(w, X, lam) @ v)
def hvp(w, v: Real[Array, d], X, lam):
    r"""$\nabla^2 L\, v = X^\top (Xv) + \lambda v$, without forming $X^\top X$"""
    return X.T @ (X @ v) + lam * v


@equals(lambda w, v, X, lam: v @ hvp(w, v, X, lam))
def curvature_along(v, X, lam):
    r"""$v^\top \nabla^2 L\, v = \|Xv\|^2 + \lambda \|v\|^2 > 0$ for $v \ne 0$: strictly convex for every X"""
    z = X @ v
    return z @ z + lam * (v @ v)
