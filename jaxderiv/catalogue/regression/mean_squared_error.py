r"""Mean squared error of a linear model.

The loss is half the *mean* of squared residuals, 1/(2n) in all, so that its size does not grow with n; no
penalty. X is n by d, with a column of ones if the model has an intercept. This is least squares in the other
convention, derived here through the predictions z = Xw, as every generalised linear model is.

Source: ML Math Derivations, part 5, "Optimisation", where the gradient step carries this 1/n.
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""$L(w) = \frac1n \sum_i \ell(x_i^\top w, y_i) = \frac{1}{2n} \|Xw - y\|^2$"""
    return jnp.mean(pointwise(X @ w, y))


def pointwise(z: Real[Array, n], y):
    r"""$\ell(z, y) = \frac12 (z - y)^2$"""
    return (z - y) ** 2 / 2


# One observation --------------------------------------------------------------
@equals(jax.vmap(jax.grad(pointwise)))
def residual(z, y):
    r"""$\partial\ell / \partial z = z - y$"""
    return z - y


@equals(jax.vmap(jax.grad(residual)))
def curvature(z):
    r"""$\partial^2\ell / \partial z^2 = 1$"""
    return jnp.ones_like(z)


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y):
    r"""$\nabla L = \frac1n \sum_i \frac{\partial\ell}{\partial z_i}\, x_i$"""
    return jnp.mean(residual(X @ w, y)[:, None] * X, axis=0)


@equals(gradient_by_observation)
def gradient(w, X, y):
    r"""$\nabla L = \frac1n X^\top (Xw - y)$"""
    return X.T @ (X @ w - y) / len(y)


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient_by_observation))
def hessian_by_observation(w, X):
    r"""$\nabla^2 L = \frac1n \sum_i \frac{\partial^2\ell}{\partial z_i^2}\, x_i x_i^\top$"""
    return jnp.mean(curvature(X @ w)[:, None, None] * X[:, :, None] * X[:, None, :], axis=0)


@equals(hessian_by_observation)
def hessian(w, X):
    r"""$\nabla^2 L = \frac1n X^\top X$, the same for every $w$"""
    return X.T @ X / len(X)


@equals(lambda w, v, X: hessian(w, X) @ v)
def hvp(w, v: Real[Array, d], X):
    r"""$\nabla^2 L\, v = \frac1n X^\top (Xv)$, without forming $X^\top X$"""
    return X.T @ (X @ v) / len(X)


@equals(lambda w, v, X: v @ hvp(w, v, X))
def curvature_along(v, X):
    r"""$v^\top \nabla^2 L\, v = \frac1n \|Xv\|^2 \ge 0$: convex"""
    z = X @ v
    return z @ z / len(X)
