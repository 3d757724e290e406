"""Layers, activations, normalisation, embeddings and factorisations."""

import jax.numpy as jnp
from jax.nn import gelu, one_hot, sigmoid, silu

from .pair import Draw, K, Pair, d, n

draw = Draw(6)


def mean(X, axis):
    return jnp.mean(X, axis=axis, keepdims=True)


def layer_norm(X, eps):
    return (X - mean(X, 1)) / jnp.sqrt(jnp.var(X, axis=1, keepdims=True) + eps)


def inverse_deviation(X, eps):
    return 1 / jnp.sqrt(jnp.var(X, axis=1, keepdims=True) + eps)


def layer_norm_vjp(X, C, eps):
    Y = layer_norm(X, eps)
    return inverse_deviation(X, eps) * (C - mean(C, 1) - Y * mean(Y * C, 1))


def layer_norm_as_printed(X, C, eps):
    Y, s = layer_norm(X, eps), inverse_deviation(X, eps)
    return (C * s - Y * s**2 * C * Y) / X.shape[1]


def batch_norm(X, scale, shift):
    return (X - mean(X, 0)) / jnp.std(X, axis=0, keepdims=True) * scale[None, :] + shift[None, :]


def batch_norm_vjp(X, C, scale, shift):
    Y, G = (X - mean(X, 0)) / jnp.std(X, axis=0, keepdims=True), C * scale[None, :]
    return (G - mean(G, 0) - Y * mean(Y * G, 0)) / jnp.std(X, axis=0, keepdims=True)


def batch_norm_constant_variance(X, C, scale, shift):
    G = C * scale[None, :]
    return (G - mean(G, 0)) / jnp.std(X, axis=0, keepdims=True)


def gelu_inner(x):
    return jnp.tanh(jnp.sqrt(2 / jnp.pi) * (x + 0.044715 * x**3))


def gelu_vjp(x, c):
    t, slope = gelu_inner(x), jnp.sqrt(2 / jnp.pi) * (1 + 3 * 0.044715 * x**2)
    return c * ((1 + t) / 2 + x / 2 * (1 - t**2) * slope)


def gelu_vjp_without_slope(x, c):
    t = gelu_inner(x)
    return c * ((1 + t) / 2 + x / 2 * (1 - t**2))


def gated(params, x):
    return jnp.sum((params["W"] @ x) * sigmoid(params["V"] @ x))


def gated_gradient(params, x):
    h, g = params["W"] @ x, sigmoid(params["V"] @ x)
    return {"W": jnp.outer(g, x), "V": jnp.outer(h * g * (1 - g), x)}


def gated_gradient_without_slope(params, x):
    h, g = params["W"] @ x, sigmoid(params["V"] @ x)
    return {"W": jnp.outer(g, x), "V": jnp.outer(h, x)}


def dense(x, W):
    return sigmoid(W @ x)


def dense_jacobian(x, W):
    s = sigmoid(W @ x)
    return (s * (1 - s))[:, None] * W


def shared_shift(b, X, Y):
    return jnp.sum((X + b[None, :] - Y) ** 2) / 2


def tanh_network(W, X, a, y):
    return jnp.mean((jnp.tanh(X @ W) @ a - y) ** 2) / 2


def tanh_network_gradient(W, X, a, y):
    H = jnp.tanh(X @ W)
    return X.T @ (jnp.outer(H @ a - y, a) * (1 - H**2)) / len(y)


def tanh_network_without_slope(W, X, a, y):
    H = jnp.tanh(X @ W)
    return X.T @ jnp.outer(H @ a - y, a) / len(y)


def masked_factorisation(U, V, R, seen, lam):
    return jnp.sum(jnp.where(seen, R - U @ V.T, 0) ** 2) + lam * jnp.sum(U**2)


def masked_factorisation_gradient(U, V, R, seen, lam):
    return -2 * jnp.where(seen, R - U @ V.T, 0) @ V + 2 * lam * U


def factorisation(U, V, R, lam):
    return jnp.sum((R - U @ V.T) ** 2) + lam * jnp.sum(U**2)


def factorisation_machine(V, x):
    """The sum over i < j of <v_i, v_j> x_i x_j."""
    return (jnp.sum((x @ V) ** 2) - jnp.sum(x**2 @ V**2)) / 2


def embedding(E, X, y):
    return jnp.sum((E[y] - X) ** 2) / 2


def embedding_gradient(E, X, y):
    return one_hot(y, len(E)).T @ (E[y] - X)


def embedding_last_occurrence(E, X, y):
    later = (y[:, None] == y[None, :]) & (jnp.arange(len(y))[:, None] < jnp.arange(len(y))[None, :])
    last = jnp.where(jnp.any(later, axis=1), 0.0, 1.0)
    return one_hot(y, len(E)).T @ (last[:, None] * (E[y] - X))


PAIRS = [
    Pair(
        "layer_norm",
        layer_norm,
        (draw.real(n, d), draw.positive()),
        "vjp",
        right=layer_norm_vjp,
        wrong=lambda X, C, eps: C * inverse_deviation(X, eps),
        cause="path",
        mistake="Mean and variance were both held constant.",
    ),
    Pair(
        "layer_norm_as_printed",
        layer_norm,
        (draw.real(n, d), draw.positive()),
        "vjp",
        right=layer_norm_vjp,
        wrong=layer_norm_as_printed,
        cause="unknown",
        mistake="A printed formula without its sums: entrywise products stand where means of rows belong.",
    ),
    Pair(
        "batch_norm",
        batch_norm,
        (draw.real(n, d), draw.positive(d), draw.real(d)),
        "vjp",
        right=batch_norm_vjp,
        wrong=batch_norm_constant_variance,
        cause="path",
        mistake="The variance was held constant; the mean was followed.",
    ),
    Pair(
        "gelu",
        gelu,
        (draw.real(n),),
        "vjp",
        right=gelu_vjp,
        wrong=gelu_vjp_without_slope,
        cause="chain",
        mistake="The slope of the polynomial inside the tanh is missing.",
    ),
    Pair(
        "swish",
        silu,
        (draw.real(n),),
        "vjp",
        right=lambda x, c: c * (silu(x) + sigmoid(x) * (1 - silu(x))),
        wrong=lambda x, c: c * sigmoid(x),
        cause="path",
        mistake="The gate sigma(x) also depends on x and was held constant.",
    ),
    Pair(
        "gated_unit",
        gated,
        ({"W": draw.real(K, d), "V": draw.real(K, d)}, draw.real(d)),
        "gradient",
        right=gated_gradient,
        wrong=gated_gradient_without_slope,
        cause="chain",
        mistake="sigma' of the gate is missing.",
    ),
    Pair(
        "dense_layer",
        dense,
        (draw.real(d), draw.real(K, d)),
        "jacobian",
        right=dense_jacobian,
        wrong=lambda x, W: W,
        cause="chain",
        mistake="sigma' of the activation is missing.",
    ),
    Pair(
        "shared_shift",
        shared_shift,
        (draw.real(d), draw.real(n, d), draw.real(n, d)),
        "gradient",
        right=lambda b, X, Y: jnp.sum(X + b[None, :] - Y, axis=0),
        wrong=lambda b, X, Y: jnp.sum(X + b[None, :] - Y, axis=1),
        cause="layout",
        mistake="Summed over the features, not over the observations; the shape gives it away unless n = d.",
    ),
    Pair(
        "tanh_network",
        tanh_network,
        (draw.real(d, K), draw.real(n, d), draw.real(K), draw.real(n)),
        "gradient",
        right=tanh_network_gradient,
        wrong=tanh_network_without_slope,
        cause="chain",
        mistake="The slope 1 - tanh^2 of the hidden layer is missing.",
    ),
    Pair(
        "masked_factorisation",
        masked_factorisation,
        (draw.real(n, 2), draw.real(K, 2), draw.real(n, K), draw.bits(n, K), draw.positive()),
        "gradient",
        right=masked_factorisation_gradient,
        wrong=lambda U, V, R, seen, lam: -2 * (R - U @ V.T) @ V + 2 * lam * U,
        cause="branch",
        mistake="Entries that were not observed count as if they had been.",
    ),
    Pair(
        "penalty_per_entry",
        factorisation,
        (draw.real(n, 2), draw.real(K, 2), draw.real(n, K), draw.positive()),
        "gradient",
        right=lambda U, V, R, lam: -2 * (R - U @ V.T) @ V + 2 * lam * U,
        wrong=lambda U, V, R, lam: -2 * (R - U @ V.T) @ V + 2 * lam * len(V) * U,
        cause="term",
        mistake="The penalty was put inside of the sum over the columns of R and counted once for each.",
    ),
    Pair(
        "factorisation_machine",
        factorisation_machine,
        (draw.real(5, 2), draw.real(5)),
        "gradient",
        right=lambda V, x: jnp.outer(x, x @ V) - (x**2)[:, None] * V,
        wrong=lambda V, x: jnp.outer(x, x @ V),
        cause="term",
        mistake="The pairs i = j, which the loss takes away, were not taken away from the gradient.",
    ),
    Pair(
        "embedding",
        embedding,
        (draw.real(K, d), draw.real(n, d), draw.classes(n, K)),
        "gradient",
        right=embedding_gradient,
        wrong=embedding_last_occurrence,
        cause="unknown",
        mistake="`G[y] += E[y] - X` in NumPy: a class that occurs twice keeps its last contribution only.",
    ),
]
