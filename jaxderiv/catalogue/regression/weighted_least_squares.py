r"""Weighted least squares.

Half the *sum* of squared residuals, each times its observation's weight s_i > 0; no 1/n, no penalty. X is n
by d, with a column of ones if the model has an intercept. A Newton step for the logistic loss is the solution
of such a problem.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2nd edition), section 4.4.1.
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Positive, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], s: Positive[Array, n]):
    r"""$L(w) = \frac12 \sum_i s_i\, (x_i^\top w - y_i)^2$"""
    return jnp.sum(s * (X @ w - y) ** 2) / 2


@equals(loss)
def matrix_form(w, X, y, s):
    r"""$L(w) = \frac12 (Xw - y)^\top S\, (Xw - y)$ with $S = \mathrm{diag}(s)$"""
    r = X @ w - y
    return r @ (s * r) / 2


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(w, X, y, s):
    r"""$\nabla L = \sum_i s_i\, (x_i^\top w - y_i)\, x_i$"""
    return jnp.sum((s * (X @ w - y))[:, None] * X, axis=0)


@equals(gradient_by_observation)
def gradient(w, X, y, s):
    r"""$\nabla L = X^\top S\, (Xw - y)$"""
    return X.T @ (s * (X @ w - y))


@equals(gradient)
def normal_equations(w, X, y, s):
    r"""$\nabla L = X^\top S X\, w - X^\top S\, y$, zero exactly at the minimisers"""
    return (X.T @ (s[:, None] * X)) @ w - X.T @ (s * y)


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian_by_observation(X, s):
    r"""$\nabla^2 L = \sum_i s_i\, x_i x_i^\top$, the same for every $w$"""
    return jnp.sum(s[:, None, None] * X[:, :, None] * X[:, None, :], axis=0)


@equals(hessian_by_observation)
def hessian(w, X, s):
    r"""$\nabla^2 L = X^\top S X$"""
    return X.T @ (s[:, None] * X)


@equals(lambda w, v, X, s: hessian(w, X, s) @ v)
def hvp(w, v: Real[Array, d], X, s):
    r"""$\nabla^2 L\, v = X^\top (s \odot Xv)$, without forming $X^\top S X$"""
    return X.T @ (s * (X @ v))


@equals(lambda w, v, X, s: v @ hvp(w, v, X, s))
def curvature_along(v, X, s):
    r"""$v^\top \nabla^2 L\, v = \sum_i s_i\, (x_i^\top v)^2 \ge 0$: convex, strictly so when X has full column rank"""
    return jnp.sum(s * (X @ v) ** 2)
