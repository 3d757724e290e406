"""Norms, ratios, statistics of a sample, and similarities."""

import jax.numpy as jnp

from .pair import Draw, Pair, d, n

norm = jnp.linalg.norm
draw = Draw(2)


def distance(x, A, b):
    return norm(A @ x - b)


def rayleigh(x, A):
    return x @ A @ x / (x @ x)


def ratio(x, a, b):
    return a @ x / (b @ x)


def ratio_gradient(x, a, b):
    return (a * (b @ x) - b * (a @ x)) / (b @ x) ** 2


def mahalanobis(x, mu, S):
    return (x - mu) @ jnp.linalg.solve(S, x - mu)


def mahalanobis_gradient(x, mu, S):
    return jnp.linalg.solve(S, x - mu) + jnp.linalg.solve(S.T, x - mu)


def variance(x):
    return jnp.mean((x - jnp.mean(x)) ** 2)


def unit(x):
    return x / norm(x)


def unit_jacobian(x):
    return (jnp.eye(len(x)) - jnp.outer(unit(x), unit(x))) / norm(x)


def standardised(x):
    return (x - jnp.mean(x)) / jnp.std(x)


def standardised_jacobian(x):
    z = standardised(x)
    return (jnp.eye(len(x)) - 1 / len(x) - jnp.outer(z, z) / len(x)) / jnp.std(x)


def cosine_distance(X, Y):
    return jnp.mean(1 - jnp.sum(X * Y, axis=1) / (norm(X, axis=1) * norm(Y, axis=1)))


def cosine_distance_gradient(X, Y):
    x, y = norm(X, axis=1, keepdims=True), norm(Y, axis=1, keepdims=True)
    cosine = jnp.sum(X * Y, axis=1, keepdims=True) / (x * y)
    return (cosine * X / x**2 - Y / (x * y)) / len(X)


def cosine_distance_mixed(X, Y):
    x, y = norm(X, axis=1, keepdims=True), norm(Y, axis=1, keepdims=True)
    cosine = jnp.sum(X * Y, axis=1, keepdims=True) / (x * y)
    return (cosine * X / (x * y) - Y / (x * y)) / len(X)


def weight_normalised(v, g, X, y):
    return jnp.sum((X @ (g * v / norm(v)) - y) ** 2) / 2


def downstream(v, g, X, y):
    return X.T @ (X @ (g * v / norm(v)) - y)


def weight_normalised_gradient(v, g, X, y):
    u, G = v / norm(v), downstream(v, g, X, y)
    return g / norm(v) * (G - u * (u @ G))


def pairwise(X):
    return jnp.sum((X[:, None, :] - X[None, :, :]) ** 2)


def total_variation(x, eps):
    return jnp.sum(jnp.sqrt(jnp.diff(x) ** 2 + eps))


def total_variation_gradient(x, eps):
    u = jnp.diff(x) / jnp.sqrt(jnp.diff(x) ** 2 + eps)
    return jnp.pad(u, (1, 0)) - jnp.pad(u, (0, 1))


def dice(p, y):
    return 1 - 2 * jnp.sum(jnp.where(y, p, 0)) / (jnp.sum(p) + jnp.sum(jnp.where(y, 1.0, 0.0)))


def dice_gradient(p, y):
    t = jnp.where(y, 1.0, 0.0)
    total = jnp.sum(p) + jnp.sum(t)
    return -2 * t / total + 2 * (p @ t) / total**2


def dice_numerator_only(p, y):
    t = jnp.where(y, 1.0, 0.0)
    return -2 * t / (jnp.sum(p) + jnp.sum(t))


PAIRS = [
    Pair(
        "distance",
        distance,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "gradient",
        right=lambda x, A, b: A.T @ (A @ x - b) / norm(A @ x - b),
        wrong=lambda x, A, b: 2 * A.T @ (A @ x - b),
        cause="chain",
        mistake="The square of the norm was differentiated: the factor 1 / (2 |Ax - b|) is missing.",
    ),
    Pair(
        "rayleigh",
        rayleigh,
        (draw.real(d), draw.real(d, d)),
        "gradient",
        right=lambda x, A: ((A + A.T) @ x - 2 * rayleigh(x, A) * x) / (x @ x),
        wrong=lambda x, A: (A + A.T) @ x / (x @ x),
        cause="path",
        mistake="The denominator x'x was held constant, as if x had a fixed length.",
    ),
    Pair(
        "ratio",
        ratio,
        (draw.real(d), draw.real(d), draw.real(d)),
        "gradient",
        right=ratio_gradient,
        wrong=lambda x, a, b: (b * (a @ x) - a * (b @ x)) / (b @ x) ** 2,
        cause="sign",
        mistake="The numerator of the quotient rule in the wrong order.",
    ),
    Pair(
        "mahalanobis",
        mahalanobis,
        (draw.real(d), draw.real(d), draw.regular(d)),
        "gradient",
        right=mahalanobis_gradient,
        wrong=lambda x, mu, S: (S + S.T) @ (x - mu),
        cause="unknown",
        mistake="The covariance was taken for the precision.",
    ),
    Pair(
        "variance",
        variance,
        (draw.real(n),),
        "gradient",
        right=lambda x: 2 * (x - jnp.mean(x)) / len(x),
        wrong=lambda x: 2 * (x - jnp.mean(x)) / (len(x) - 1),
        cause="scale",
        mistake="The mean square has n in its denominator; the formula is that of the unbiased variance.",
    ),
    Pair(
        "unit_vector",
        unit,
        (draw.real(d),),
        "jacobian",
        right=unit_jacobian,
        wrong=lambda x: jnp.eye(len(x)) / norm(x),
        cause="path",
        mistake="The norm was held constant.",
    ),
    Pair(
        "standardisation",
        standardised,
        (draw.real(n),),
        "jacobian",
        right=standardised_jacobian,
        wrong=lambda x: (jnp.eye(len(x)) - 1 / len(x)) / jnp.std(x),
        cause="path",
        mistake="The standard deviation was held constant; only the mean was followed.",
    ),
    Pair(
        "cosine_distance",
        cosine_distance,
        (draw.real(n, d), draw.real(n, d)),
        "gradient",
        right=cosine_distance_gradient,
        wrong=cosine_distance_mixed,
        cause="unknown",
        mistake="The second addend was divided by |x||y| where |x|^2 belongs.",
    ),
    Pair(
        "weight_normalisation",
        weight_normalised,
        (draw.real(d), draw.positive(), draw.real(n, d), draw.real(n)),
        "gradient",
        right=weight_normalised_gradient,
        wrong=lambda v, g, X, y: g / norm(v) * downstream(v, g, X, y),
        cause="path",
        mistake="The length |v| was held constant, so the projection orthogonal to v is missing.",
    ),
    Pair(
        "pairwise_distances",
        pairwise,
        (draw.real(n, d),),
        "gradient",
        right=lambda X: 4 * (len(X) * X - jnp.sum(X, axis=0, keepdims=True)),
        wrong=lambda X: 2 * (len(X) * X - jnp.sum(X, axis=0, keepdims=True)),
        cause="scale",
        mistake="Every point occurs in both places of the difference; one place was counted.",
    ),
    Pair(
        "total_variation",
        total_variation,
        (draw.real(n), draw.positive()),
        "gradient",
        right=total_variation_gradient,
        wrong=lambda x, eps: total_variation_gradient(x, eps).at[0].set(0).at[-1].set(0),
        cause="where",
        mistake="The divergence was written for inner points only; the two ends were left at zero.",
    ),
    Pair(
        "dice",
        dice,
        (draw.positive(n), draw.bits(n)),
        "gradient",
        right=dice_gradient,
        wrong=dice_numerator_only,
        cause="path",
        mistake="The denominator also holds the predictions and was held constant.",
    ),
]
