r"""Huber regression.

A *sum* over observations without 1/n, half the square inside |r| <= delta; no penalty. X is n by d, with a
column of ones if the model has an intercept. The loss is once continuously differentiable: its second
derivative jumps at |r| = delta. There the Hessian below is a generalised one, since it takes 0 out of [0, 1];
everywhere else it is the Hessian.

Source: P. J. Huber, Robust Estimation of a Location Parameter (1964); ML Math Derivations, part 5, "Metrics,
CV, polynomials, outliers".
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Positive, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], delta: Positive[Array, ()]):
    r"""$L(w) = \sum_i \rho_\delta(x_i^\top w - y_i)$"""
    return jnp.sum(pointwise(X @ w - y, delta))


def pointwise(r: Real[Array, n], delta):
    r"""$\rho_\delta(r) = \frac12 r^2$ where $|r| \le \delta$, else $\delta\,(|r| - \frac12\delta)$"""
    return jnp.where(jnp.abs(r) <= delta, r**2 / 2, delta * (jnp.abs(r) - delta / 2))


# One observation --------------------------------------------------------------
@equals(jax.vmap(jax.grad(pointwise), in_axes=(0, None)))
def influence_by_branch(r, delta):
    r"""$\rho_\delta'(r) = r$ where $|r| \le \delta$, else $\delta\,\mathrm{sign}(r)$"""
    return jnp.where(jnp.abs(r) <= delta, r, delta * jnp.sign(r))


@equals(influence_by_branch)
def influence(r, delta):
    r"""$\rho_\delta'(r) = \min(\max(r, -\delta), \delta)$: one observation pulls by at most $\delta$"""
    return jnp.clip(r, -delta, delta)


@equals(jax.vmap(jax.grad(influence), in_axes=(0, None)))
def curvature(r, delta):
    r"""$\rho_\delta''(r) = 1$ where $|r| < \delta$, else $0$"""
    return (jnp.abs(r) < delta).astype(r.dtype)


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y, delta):
    r"""$\nabla L = \sum_i \rho_\delta'(x_i^\top w - y_i)\, x_i$"""
    return jnp.sum(influence(X @ w - y, delta)[:, None] * X, axis=0)


@equals(gradient_by_observation)
def gradient(w, X, y, delta):
    r"""$\nabla L = X^\top \rho_\delta'(Xw - y)$"""
    return X.T @ influence(X @ w - y, delta)


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian_by_observation(w, X, y, delta):
    r"""$\nabla^2 L = \sum_i \rho_\delta''(x_i^\top w - y_i)\, x_i x_i^\top$"""
    return jnp.sum(curvature(X @ w - y, delta)[:, None, None] * X[:, :, None] * X[:, None, :], axis=0)


@equals(hessian_by_observation)
def hessian(w, X, y, delta):
    r"""$\nabla^2 L = X^\top \mathrm{diag}(\rho_\delta''(Xw - y))\, X$"""
    return X.T @ (curvature(X @ w - y, delta)[:, None] * X)


@equals(lambda w, v, X, y, delta: hessian(w, X, y, delta) @ v)
def hvp(w, v: Real[Array, d], X, y, delta):
    r"""$\nabla^2 L\, v = X^\top \left(\rho_\delta''(Xw - y) \odot Xv\right)$"""
    return X.T @ (curvature(X @ w - y, delta) * (X @ v))


@equals(lambda w, v, X, y, delta: v @ hvp(w, v, X, y, delta))
def curvature_along(w, v, X, y, delta):
    r"""$v^\top \nabla^2 L\, v = \sum_i \rho_\delta''(x_i^\top w - y_i)\, (x_i^\top v)^2 \ge 0$: convex"""
    return jnp.sum(curvature(X @ w - y, delta) * (X @ v) ** 2)
