"""Logistic regression with a ridge penalty, as a student wrote it down.

Labels are 0 or 1; the loss is the mean over observations.
"""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid, softplus

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Bit, Positive, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], lam: Positive[Array, ()]):
    r"""$L(w) = \frac1n \sum_i \log(1 + e^{z_i}) - y_i z_i + \frac\lambda2 \|w\|^2$ with $z = Xw$"""
    z = X @ w
    return jnp.mean(softplus(z) - y * z) + lam / 2 * (w @ w)


@equals(jax.grad(loss))
def gradient(w, X, y, lam):
    r"""$\nabla L = X^\top (\sigma(Xw) - y) + \lambda w$"""
    return X.T @ (sigmoid(X @ w) - y) + lam * w


@equals(jax.jacobian(gradient))
def hessian(w, X, lam):
    r"""$\nabla^2 L = X^\top \mathrm{diag}(\sigma(z)\,\sigma(-z))\, X + \lambda I$"""
    curvature = sigmoid(X @ w) * sigmoid(-X @ w)
    return X.T @ (curvature[:, None] * X) + lam * jnp.eye(len(w))
