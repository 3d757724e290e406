"""The shared words of the catalogue, each in the form that stays accurate when its argument is large.

Not a derivation: derivations live one folder down, in the chapters.
"""

import jax
from jax import Array


def softplus(z: Array) -> Array:
    r"""$\log(1 + e^z)$, entry by entry"""
    return jax.nn.softplus(z)


def sigmoid(z: Array) -> Array:
    r"""$\sigma(z) = 1 / (1 + e^{-z})$, entry by entry; $1 - \sigma(z)$ is written $\sigma(-z)$"""
    return jax.nn.sigmoid(z)


def logsumexp(z: Array) -> Array:
    r"""$\log \sum_k e^{z_k}$ along the last axis"""
    return jax.nn.logsumexp(z, axis=-1)


def log_softmax(z: Array) -> Array:
    r"""$z_k - \log \sum_j e^{z_j}$ along the last axis"""
    return jax.nn.log_softmax(z, axis=-1)


def softmax(z: Array) -> Array:
    r"""$e^{z_k} / \sum_j e^{z_j}$ along the last axis"""
    return jax.nn.softmax(z, axis=-1)
