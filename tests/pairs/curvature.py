"""Hessians, Hessian-vector products and Jacobians with mistakes of their own."""

import jax.numpy as jnp

from .pair import Draw, K, Pair, d, n

inv = jnp.linalg.inv
norm = jnp.linalg.norm
draw = Draw(7)


def half_quadratic(x, A, b):
    return x @ A @ x / 2 - b @ x


def two_forms(x, a, b):
    return (a @ x) * (b @ x)


def squared_distance(x, A, b):
    return jnp.sum((A @ x - b) ** 2)


def exponential_fit(w, X, y):
    return jnp.mean((jnp.exp(X @ w) - y) ** 2) / 2


def weighted_gram(X, weights):
    return X.T @ (weights[:, None] * X) / len(X)


def exponential_fit_hessian(w, X, y):
    mu = jnp.exp(X @ w)
    return weighted_gram(X, mu**2 + (mu - y) * mu)


def distance(x, A, b):
    return norm(A @ x - b)


def distance_hessian(x, A, b):
    u = (A @ x - b) / distance(x, A, b)
    return (A.T @ A - jnp.outer(A.T @ u, A.T @ u)) / distance(x, A, b)


def log_det(X):
    return jnp.linalg.slogdet(X)[1]


def matrix_regression(W, X, Y):
    return jnp.sum((X @ W - Y) ** 2) / 2


def matrix_regression_kron(W, X, Y):
    return jnp.kron(jnp.eye(W.shape[1]), X.T @ X).reshape(W.shape + W.shape)


def two_sided(X, A, B):
    return A @ X @ B


def two_sided_kron(X, A, B):
    return jnp.kron(B.T, A).reshape(len(A), B.shape[1], *X.shape)


def powers(x, A):
    return A @ x**2


def quartic(x):
    return (x @ x) ** 2 / 4


def logistic(w, X, lam):
    return jnp.mean(jnp.logaddexp(0, X @ w)) + lam / 2 * (w @ w)


def logistic_weights(w, X):
    return 1 / (2 + 2 * jnp.cosh(X @ w))


PAIRS = [
    Pair(
        "half_quadratic_hessian",
        half_quadratic,
        (draw.real(d), draw.real(d, d), draw.real(d)),
        "hessian",
        right=lambda x, A, b: (A + A.T) / 2,
        wrong=lambda x, A, b: A,
        cause="layout",
        mistake="A Hessian is symmetric: only the symmetric part of A acts.",
    ),
    Pair(
        "product_of_two_forms_hessian",
        two_forms,
        (draw.real(d), draw.real(d), draw.real(d)),
        "hessian",
        right=lambda x, a, b: jnp.outer(a, b) + jnp.outer(b, a),
        wrong=lambda x, a, b: jnp.outer(a, b),
        cause="term",
        mistake="The mirrored addend ba' is missing.",
    ),
    Pair(
        "squared_distance_hessian",
        squared_distance,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "hessian",
        right=lambda x, A, b: 2 * A.T @ A,
        wrong=lambda x, A, b: A.T @ A,
        cause="scale",
        mistake="The loss has no 1/2, so the 2 of the square stays.",
    ),
    Pair(
        "squared_distance_diagonal",
        squared_distance,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "hessian",
        right=lambda x, A, b: 2 * A.T @ A,
        wrong=lambda x, A, b: 2 * jnp.diag(jnp.sum(A**2, axis=0)),
        cause="where",
        mistake="Only the second derivatives of one variable at a time were taken.",
    ),
    Pair(
        "gauss_newton_for_hessian",
        exponential_fit,
        (draw.real(d), draw.real(n, d), draw.positive(n)),
        "hessian",
        right=exponential_fit_hessian,
        wrong=lambda w, X, y: weighted_gram(X, jnp.exp(2 * X @ w)),
        cause="term",
        mistake="The Gauss-Newton matrix lacks the residual times the second derivative of the model.",
    ),
    Pair(
        "distance_hessian",
        distance,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "hessian",
        right=distance_hessian,
        wrong=lambda x, A, b: A.T @ A / distance(x, A, b),
        cause="term",
        mistake="The denominator of the gradient was not differentiated: the rank-one term is missing.",
    ),
    Pair(
        "log_det_hessian",
        log_det,
        (draw.regular(d),),
        "hessian",
        right=lambda X: -jnp.einsum("jk,li->ijkl", inv(X), inv(X)),
        wrong=lambda X: jnp.einsum("jk,li->ijkl", inv(X), inv(X)),
        cause="sign",
        mistake="log det is concave on positive definite matrices; the minus sign was lost.",
    ),
    Pair(
        "matrix_regression_hessian",
        matrix_regression,
        (draw.real(d, K), draw.real(n, d), draw.real(n, K)),
        "hessian",
        right=lambda W, X, Y: jnp.einsum("ij,ab->iajb", X.T @ X, jnp.eye(W.shape[1])),
        wrong=matrix_regression_kron,
        cause="layout",
        mistake="kron(I, X'X) belongs to stacked columns, but a reshape reads rows.",
    ),
    Pair(
        "inverse_jacobian",
        inv,
        (draw.regular(d),),
        "jacobian",
        right=lambda X: -jnp.einsum("ik,lj->ijkl", inv(X), inv(X)),
        wrong=lambda X: -jnp.einsum("ik,jl->ijkl", inv(X), inv(X)),
        cause="layout",
        mistake="The second inverse was transposed.",
    ),
    Pair(
        "two_sided_jacobian",
        two_sided,
        (draw.real(d, K), draw.real(5, d), draw.real(K, 2)),
        "jacobian",
        right=lambda X, A, B: jnp.einsum("ik,lj->ijkl", A, B),
        wrong=two_sided_kron,
        cause="layout",
        mistake="kron(B', A) belongs to stacked columns, but a reshape reads rows.",
    ),
    Pair(
        "jvp_for_vjp",
        powers,
        (draw.real(d), draw.real(d, d)),
        "vjp",
        right=lambda x, c, A: 2 * x * (A.T @ c),
        wrong=lambda x, c, A: 2 * A @ (x * c),
        cause="layout",
        mistake="J c in place of J'c.",
    ),
    Pair(
        "quartic_hvp",
        quartic,
        (draw.real(d),),
        "hvp",
        right=lambda x, v: (x @ x) * v + 2 * x * (x @ v),
        wrong=lambda x, v: (x @ x) * v + x * (x @ v),
        cause="term",
        mistake="The derivative of x'x is 2x; the second addend is halved.",
    ),
    Pair(
        "logistic_hvp",
        logistic,
        (draw.real(d), draw.real(n, d), draw.positive()),
        "hvp",
        right=lambda w, v, X, lam: X.T @ (logistic_weights(w, X) * (X @ v)) / len(X) + lam * v,
        wrong=lambda w, v, X, lam: X.T @ (X @ v) / len(X) + lam * v,
        cause="chain",
        mistake="The weights sigma(z) sigma(-z) of the observations are missing.",
    ),
]
