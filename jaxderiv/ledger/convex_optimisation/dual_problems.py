r"""Primal, Lagrangian and dual of ridge, lasso, logistic regression and the support vector machine, for the theorems.

X holds the points as rows, y the responses (of the classifiers: labels, -1 or 1), $\lambda > 0$ or $C > 0$ the penalty.
Where a problem has no constraint, its residuals r = y - Xw or margins z = y * Xw become variables of their own, and the
equation that defines them is the constraint.

Source: Boyd and Vandenberghe, "Convex optimization", sections 5.1 and 5.7.
"""

import jax.numpy as jnp
from jax.scipy.special import xlogy


def half_square(v):
    r"""$\frac12 \|v\|^2$"""
    return v @ v / 2


# Quadratic programs ---------------------------------------------------------------------------------------------
def program(A, b, x):
    r"""$\frac12 x^\top A x + b^\top x$, to be minimised over $Gx \le c$"""
    return x @ A @ x / 2 + b @ x


def program_dual(A, b, G, c, lam):
    r"""$-\frac12 q^\top A^{-1} q - \lambda^\top c$ with $q = b + G^\top\lambda$, for $\lambda \ge 0$"""
    q = b + G.T @ lam
    return -q @ jnp.linalg.solve(A, q) / 2 - lam @ c


# Ridge ----------------------------------------------------------------------------------------------------------
def ridge(X, y, lam, w):
    r"""$\frac12 \|y - Xw\|^2 + \frac\lambda2 \|w\|^2$"""
    return half_square(y - X @ w) + lam * half_square(w)


def ridge_lagrangian(X, y, lam, w, r, nu):
    r"""$\frac12 \|r\|^2 + \frac\lambda2 \|w\|^2 + \nu^\top(y - Xw - r)$"""
    return half_square(r) + lam * half_square(w) + nu @ (y - X @ w - r)


def ridge_dual(X, y, lam, nu):
    r"""$\nu^\top y - \frac12\|\nu\|^2 - \frac1{2\lambda}\|X^\top\nu\|^2$"""
    return nu @ y - half_square(nu) - half_square(X.T @ nu) / lam


# Lasso ----------------------------------------------------------------------------------------------------------
def lasso(X, y, lam, w):
    r"""$\frac12 \|y - Xw\|^2 + \lambda \|w\|_1$"""
    return half_square(y - X @ w) + lam * jnp.sum(abs(w))


def lasso_lagrangian(X, y, lam, w, r, nu):
    r"""$\frac12 \|r\|^2 + \lambda \|w\|_1 + \nu^\top(y - Xw - r)$"""
    return half_square(r) + lam * jnp.sum(abs(w)) + nu @ (y - X @ w - r)


def lasso_dual(y, nu):
    r"""$\nu^\top y - \frac12 \|\nu\|^2$, where $|x_j^\top\nu| \le \lambda$ for every column"""
    return nu @ y - half_square(nu)


def into_the_polytope(X, lam, nu):
    r"""$\nu$, scaled down until $|x_j^\top\nu| \le \lambda$ for every column"""
    return nu * lam / jnp.maximum(lam, jnp.max(abs(X.T @ nu)))


# Logistic regression --------------------------------------------------------------------------------------------
def logistic(X, y, lam, w):
    r"""$\sum_i \log(1 + e^{-y_i x_i^\top w}) + \frac\lambda2 \|w\|^2$"""
    return jnp.sum(jnp.logaddexp(0.0, -y * (X @ w))) + lam * half_square(w)


def logistic_lagrangian(X, y, lam, w, z, alpha):
    r"""$\sum_i \log(1 + e^{-z_i}) + \frac\lambda2 \|w\|^2 + \sum_i \alpha_i (z_i - y_i x_i^\top w)$"""
    return jnp.sum(jnp.logaddexp(0.0, -z)) + lam * half_square(w) + alpha @ (z - y * (X @ w))


def logistic_dual(X, y, lam, alpha):
    r"""$\sum_i H(\alpha_i) - \frac1{2\lambda}\|X^\top(\alpha \circ y)\|^2$, H the binary entropy, $0 \le \alpha \le
    1$"""
    entropy = -jnp.sum(xlogy(alpha, alpha) + xlogy(1 - alpha, 1 - alpha))
    return entropy - half_square(X.T @ (alpha * y)) / lam


# Support vector machine -----------------------------------------------------------------------------------------
def margins(X, y, w, b):
    r"""$y_i (x_i^\top w + b)$"""
    return y * (X @ w + b)


def hard_lagrangian(X, y, w, b, alpha):
    r"""$\frac12 \|w\|^2 + \sum_i \alpha_i (1 - y_i (x_i^\top w + b))$: hard margin, every margin is at least 1"""
    return half_square(w) + alpha @ (1 - margins(X, y, w, b))


def soft(X, y, C, w, b):
    r"""$\frac12 \|w\|^2 + C \sum_i \max(0, 1 - y_i (x_i^\top w + b))$"""
    return half_square(w) + C * jnp.sum(jnp.maximum(0.0, 1 - margins(X, y, w, b)))


def soft_lagrangian(X, y, C, w, b, xi, alpha, beta):
    r"""$\frac12 \|w\|^2 + C \sum_i \xi_i + \sum_i \alpha_i (1 - \xi_i - y_i (x_i^\top w + b)) - \sum_i \beta_i
    \xi_i$"""
    return half_square(w) + C * jnp.sum(xi) + alpha @ (1 - xi - margins(X, y, w, b)) - beta @ xi


def machine_dual(X, y, alpha):
    r"""$\sum_i \alpha_i - \frac12 \|X^\top(\alpha \circ y)\|^2$, where $\sum_i \alpha_i y_i = 0$, $\alpha \ge 0$
    (soft: and $\alpha \le C$)"""
    return jnp.sum(alpha) - half_square(X.T @ (alpha * y))


def balanced(share, y):
    r"""$\alpha$ with $\sum_i \alpha_i y_i = 0$, not above the given shares: those of a class times the mean of the
    other's"""
    positive = jnp.mean(jnp.where(y > 0, share, 0.0))
    negative = jnp.mean(jnp.where(y < 0, share, 0.0))
    return share * jnp.where(y > 0, negative, positive)


def separated(X, y, w, b, slack):
    r"""The points of X, moved along w until their margins are $1 + $ slack"""
    return X + jnp.outer(y * (1 + slack) - b - X @ w, w) / (w @ w)
