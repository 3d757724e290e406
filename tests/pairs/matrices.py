"""Quadratic forms, traces, determinants and inverses."""

import jax.numpy as jnp
import numpy as np

from .pair import Draw, K, Pair, d, n

inv = jnp.linalg.inv
draw = Draw(1)


def quadratic_form(x, A):
    return x @ A @ x


def bilinear_form(A, x, y):
    return x @ A @ y


def trace_of_product(X, A):
    return jnp.trace(A @ X)


def trace_sandwich(X, A, B):
    return jnp.trace(A @ X @ B @ X.T)


def trace_of_two_products(X, A, B):
    return jnp.trace(A @ X @ B @ X)


def trace_of_square(X, A):
    return jnp.trace(A @ X @ X)


def trace_of_inverse(X, A):
    return jnp.trace(inv(X) @ A)


def inverse_form(X, a, b):
    return a @ jnp.linalg.solve(X, b)


def log_det(X):
    return jnp.linalg.slogdet(X)[1]


def determinant(X):
    return jnp.linalg.det(X)


def log_det_gram(X):
    return jnp.linalg.slogdet(X.T @ X)[1]


def log_diagonal(L):
    return 2 * jnp.sum(jnp.log(jnp.abs(jnp.diag(L))))


def matrix_residual(X, A, B):
    return jnp.sum((A @ X - B) ** 2)


def gram_penalty(W):
    return jnp.sum((W.T @ W - jnp.eye(W.shape[1])) ** 2)


def tied_reconstruction(W, X):
    return jnp.sum((X - X @ W @ W.T) ** 2)


def decoder_only(W, X):
    return -2 * X.T @ (X - X @ W @ W.T) @ W


def tied_reconstruction_gradient(W, X):
    E = X - X @ W @ W.T
    return -2 * (X.T @ E + E.T @ X) @ W


def splat(conic, offset):
    """The exponent of a Gaussian in the plane, conic = (a, b, c) for the matrix [[a, b], [b, c]]."""
    (a, b, c), (dx, dy) = conic, offset
    return -(a * dx**2 + c * dy**2) / 2 - b * dx * dy


def splat_gradient(conic, offset):
    dx, dy = offset
    return jnp.stack([-(dx**2) / 2, -dx * dy, -(dy**2) / 2])


def splat_gradient_halved(conic, offset):
    dx, dy = offset
    return jnp.stack([-(dx**2) / 2, -dx * dy / 2, -(dy**2) / 2])


PAIRS = [
    Pair(
        "quadratic_form",
        quadratic_form,
        (draw.real(d), draw.real(d, d)),
        "gradient",
        right=lambda x, A: (A + A.T) @ x,
        wrong=lambda x, A: 2 * A @ x,
        cause="term",
        mistake="The rule for a symmetric matrix was used: A'x is missing and Ax is there twice.",
    ),
    Pair(
        "quadratic_form_symmetric",
        quadratic_form,
        (draw.real(d), draw.covariance(d)),
        "gradient",
        right=lambda x, A: 2 * A @ x,
        wrong=lambda x, A: A @ x,
        cause="scale",
        mistake="Only one of the two places in which x occurs was differentiated, which loses a factor 2.",
        hypotheses=("A symmetric",),
    ),
    Pair(
        "bilinear_form",
        bilinear_form,
        (draw.real(d, K), draw.real(d), draw.real(K)),
        "gradient",
        right=lambda A, x, y: jnp.outer(x, y),
        wrong=lambda A, x, y: jnp.outer(y, x),
        cause="layout",
        mistake="The outer product was taken in the other order.",
    ),
    Pair(
        "trace_of_product",
        trace_of_product,
        (draw.real(d, d), draw.real(d, d)),
        "gradient",
        right=lambda X, A: A.T,
        wrong=lambda X, A: A,
        cause="layout",
        mistake="Numerator layout, which gives the transpose of the gradient.",
    ),
    Pair(
        "trace_sandwich",
        trace_sandwich,
        (draw.real(d, K), draw.real(d, d), draw.real(K, K)),
        "gradient",
        right=lambda X, A, B: A @ X @ B + A.T @ X @ B.T,
        wrong=lambda X, A, B: A @ X @ B,
        cause="term",
        mistake="The product rule was stopped after one of the two places in which X occurs.",
    ),
    Pair(
        "trace_of_two_products",
        trace_of_two_products,
        (draw.real(d, d), draw.real(d, d), draw.real(d, d)),
        "gradient",
        right=lambda X, A, B: (B @ X @ A + A @ X @ B).T,
        wrong=lambda X, A, B: 2 * (B @ X @ A).T,
        cause="term",
        mistake="A and B were swapped as if they commuted: one addend is there twice, the other is missing.",
    ),
    Pair(
        "trace_of_square",
        trace_of_square,
        (draw.real(d, d), draw.real(d, d)),
        "gradient",
        right=lambda X, A: (X @ A + A @ X).T,
        wrong=lambda X, A: 2 * A @ X,
        cause="unknown",
        mistake="The rule for a scalar a x^2 was used for matrices, without order or transposes.",
    ),
    Pair(
        "trace_of_inverse",
        trace_of_inverse,
        (draw.regular(d), draw.real(d, d)),
        "gradient",
        right=lambda X, A: -(inv(X) @ A @ inv(X)).T,
        wrong=lambda X, A: -inv(X) @ A @ inv(X),
        cause="layout",
        mistake="The differential -X^-1 A X^-1 was read off without its transpose.",
    ),
    Pair(
        "inverse_form",
        inverse_form,
        (draw.regular(d), draw.real(d), draw.real(d)),
        "gradient",
        right=lambda X, a, b: -jnp.outer(inv(X).T @ a, inv(X) @ b),
        wrong=lambda X, a, b: jnp.outer(inv(X).T @ a, inv(X) @ b),
        cause="sign",
        mistake="The minus sign of the derivative of an inverse was lost.",
    ),
    Pair(
        "log_det",
        log_det,
        (draw.regular(d),),
        "gradient",
        right=lambda X: inv(X).T,
        wrong=lambda X: inv(X),
        cause="layout",
        mistake="The transpose of the inverse was dropped, which only a symmetric X forgives.",
    ),
    Pair(
        "log_det_off_diagonal",
        log_det,
        (draw.regular(d),),
        "gradient",
        right=lambda X: inv(X).T,
        wrong=lambda X: 2 * inv(X).T - jnp.diag(jnp.diag(inv(X))),
        cause="where",
        mistake="The rule for a symmetric X with d(d+1)/2 free entries doubles all entries off the diagonal.",
    ),
    Pair(
        "determinant",
        determinant,
        (draw.regular(d),),
        "gradient",
        right=lambda X: jnp.linalg.det(X) * inv(X).T,
        wrong=lambda X: inv(X).T,
        cause="chain",
        mistake="The rule for log det was used for det: the factor det(X) is missing.",
    ),
    Pair(
        "log_det_gram",
        log_det_gram,
        (draw.real(n, d),),
        "gradient",
        right=lambda X: 2 * X @ inv(X.T @ X),
        wrong=lambda X: X @ inv(X.T @ X),
        cause="scale",
        mistake="Both factors of X'X depend on X; one was differentiated.",
    ),
    Pair(
        "log_diagonal",
        log_diagonal,
        (draw.regular(d),),
        "gradient",
        right=lambda L: jnp.diag(2 / jnp.diag(L)),
        wrong=lambda L: 2 / L,
        cause="where",
        mistake="Only the diagonal of a triangular factor enters; the other entries must be zero.",
    ),
    Pair(
        "matrix_residual",
        matrix_residual,
        (draw.real(d, K), draw.real(n, d), draw.real(n, K)),
        "gradient",
        right=lambda X, A, B: 2 * A.T @ (A @ X - B),
        wrong=lambda X, A, B: 2 * (A @ X - B).T @ A,
        cause="layout",
        mistake="Numerator layout: the result has the shape of X'.",
    ),
    Pair(
        "gram_penalty",
        gram_penalty,
        (draw.real(K, d),),
        "gradient",
        right=lambda W: 4 * W @ (W.T @ W - jnp.eye(W.shape[1])),
        wrong=lambda W: 2 * W @ (W.T @ W - jnp.eye(W.shape[1])),
        cause="scale",
        mistake="2 from the square and 2 from W'W make 4.",
    ),
    Pair(
        "tied_reconstruction",
        tied_reconstruction,
        (draw.real(K, d), draw.real(n, K)),
        "gradient",
        right=tied_reconstruction_gradient,
        wrong=lambda W, X: -2 * (X - X @ W @ W.T).T @ X @ W,
        cause="path",
        mistake="Decoder and encoder share W; the W of the encoder was held constant.",
    ),
    Pair(
        "splat",
        splat,
        (draw.real(3), np.array([1.3, -0.8])),
        "gradient",
        right=splat_gradient,
        wrong=splat_gradient_halved,
        cause="where",
        mistake="The off-diagonal entry occurs twice in the form, so its derivative has no factor 1/2.",
    ),
]
