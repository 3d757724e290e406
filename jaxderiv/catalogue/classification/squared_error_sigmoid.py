r"""Squared error behind a sigmoid.

Half the *mean* of squared differences between a probability and a label 0 or 1; no penalty; X is n by d, with
a column of ones if the model has an intercept. The gradient carries the factor sigma'(z), which vanishes
where a prediction is confidently wrong; cross-entropy cancels it. The Hessian is indefinite: one observation
with y = 1 has curvature -0.0369 at z = -3, so the loss is not convex.

Source: ML Math Derivations, part 6, "CE versus MSE".
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Bit, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    r"""$L(w) = \frac1n \sum_i \ell(x_i^\top w, y_i)$"""
    return jnp.mean(pointwise(X @ w, y))


def pointwise(z: Real[Array, n], y):
    r"""$\ell(z, y) = \frac12 (\sigma(z) - y)^2$"""
    return (sigmoid(z) - y) ** 2 / 2


# One observation --------------------------------------------------------------
@equals(jax.vmap(jax.grad(sigmoid)))
def sigmoid_slope(z):
    r"""$\sigma'(z) = \sigma(z)\,\sigma(-z)$, about $e^{-|z|}$ where the sigmoid is flat"""
    return sigmoid(z) * sigmoid(-z)


@equals(jax.vmap(jax.grad(sigmoid_slope)))
def sigmoid_bend(z):
    r"""$\sigma''(z) = \sigma'(z)\,(\sigma(-z) - \sigma(z))$"""
    return sigmoid_slope(z) * (sigmoid(-z) - sigmoid(z))


@equals(jax.vmap(jax.grad(pointwise)))
def slope(z, y):
    r"""$\partial\ell / \partial z = (\sigma(z) - y)\,\sigma'(z)$: the residual times the vanishing factor"""
    return (sigmoid(z) - y) * sigmoid_slope(z)


@equals(jax.vmap(jax.grad(slope)))
def curvature(z, y):
    r"""$\partial^2\ell / \partial z^2 = \sigma'(z)^2 + (\sigma(z) - y)\,\sigma''(z)$, of either sign"""
    return sigmoid_slope(z) ** 2 + (sigmoid(z) - y) * sigmoid_bend(z)


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y):
    r"""$\nabla L = \frac1n \sum_i \frac{\partial\ell}{\partial z_i}\, x_i$"""
    return jnp.mean(slope(X @ w, y)[:, None] * X, axis=0)


@equals(gradient_by_observation)
def gradient(w, X, y):
    r"""$\nabla L = \frac1n X^\top \left((\sigma(z) - y) \odot \sigma'(z)\right)$ with $z = Xw$"""
    return X.T @ slope(X @ w, y) / len(y)


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian(w, X, y):
    r"""$\nabla^2 L = \frac1n X^\top \mathrm{diag}(\partial^2\ell / \partial z^2)\, X$, indefinite"""
    return X.T @ (curvature(X @ w, y)[:, None] * X) / len(y)


@equals(lambda w, v, X, y: hessian(w, X, y) @ v)
def hvp(w, v: Real[Array, d], X, y):
    r"""$\nabla^2 L\, v = \frac1n X^\top \left(\partial^2\ell / \partial z^2 \odot Xv\right)$"""
    return X.T @ (curvature(X @ w, y) * (X @ v)) / len(y)
