r"""Logistic regression with a ridge penalty.

Labels are 0 or 1; the loss is the mean over observations; the penalty, lam/2 times the squared norm, is not
divided by n and falls on every weight, so X (n by d) holds no intercept column.

Source: ML Math Derivations, part 6, "Gradient, Hessian, convexity".
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.notation import sigmoid, softplus
from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Bit, Positive, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""$L(w) = \frac1n \sum_i \ell(x_i^\top w, y_i) + \frac\lambda2 \|w\|^2$"""
    return jnp.mean(pointwise(X @ w, y)) + lam / 2 * (w @ w)


def pointwise(z: Real[Array, n], y):
    r"""$\ell(z, y) = \log(1 + e^z) - y z$"""
    return softplus(z) - y * z


# One observation --------------------------------------------------------------
@equals(pointwise)
def pointwise_by_magnitude(z, y):
    r"""$\ell(z, y) = \max(z, 0) + \log(1 + e^{-|z|}) - y z$, where no exponential overflows"""
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z))) - y * z


@equals(jax.vmap(jax.grad(pointwise)))
def residual(z, y):
    r"""$\partial\ell / \partial z = \sigma(z) - y$"""
    return sigmoid(z) - y


@equals(jax.vmap(jax.grad(residual)))
def curvature(z):
    r"""$\partial^2\ell / \partial z^2 = \sigma(z)\,\sigma(-z)$, whatever $y$ is"""
    return sigmoid(z) * sigmoid(-z)


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y, lam):
    r"""$\nabla L = \frac1n \sum_i \frac{\partial\ell}{\partial z_i}\, x_i + \lambda w$"""
    return jnp.mean(residual(X @ w, y)[:, None] * X, axis=0) + lam * w


@equals(gradient_by_observation)
def gradient(w, X, y, lam):
    r"""$\nabla L = \frac1n X^\top (\sigma(Xw) - y) + \lambda w$"""
    return X.T @ residual(X @ w, y) / len(y) + lam * w


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian(w, X, lam):
    r"""$\nabla^2 L = \frac1n X^\top \mathrm{diag}(\sigma(z)\,\sigma(-z))\, X + \lambda I$ with $z = Xw$"""
    return X.T @ (curvature(X @ w)[:, None] * X) / len(X) + lam * jnp.eye(len(w), dtype=w.dtype)


@equals(lambda w, v, X, lam: hessian(w, X, lam) @ v)
def hvp(w, v: Real[Array, d], X, lam):
    r"""$\nabla^2 L\, v = \frac1n X^\top \left(\sigma(z)\,\sigma(-z) \odot Xv\right) + \lambda v$"""
    return X.T @ (curvature(X @ w) * (X @ v)) / len(X) + lam * v


@equals(lambda w, v, X, lam: v @ hvp(w, v, X, lam))
def curvature_along(w, v, X, lam):
    r"""$v^\top \nabla^2 L\, v = \frac1n \sum_i \sigma(z_i)\,\sigma(-z_i)\,(x_i^\top v)^2 + \lambda \|v\|^2 \ge 0$"""
    return jnp.mean(curvature(X @ w) * (X @ v) ** 2) + lam * (v @ v)
