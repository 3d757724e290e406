r"""Backpropagation through a hidden layer with tanh, softmax cross-entropy.

Mean over observations, no penalty; rows of T are targets on the simplex. X is n by d, W1 d by h, W2 h by K; a
gradient is laid out like its parameter; 1 is a column of ones; a dot is d/dt along (V1, c1, V2, c2).

Source: ML Math Derivations, part 19; B. A. Pearlmutter, Fast Exact Multiplication by the Hessian (1994).
"""

import jax.numpy as jnp
from jax import grad, jvp

from jaxderiv.catalogue.notation import log_softmax, softmax
from jaxderiv.derivation import equals
from jaxderiv.domains import Array, K, Real, Simplex, d, h, n

parameters = ("W1", "b1", "W2", "b2")


def activations(W1: Real[Array, d, h], b1: Real[Array, h], X: Real[Array, n, d]):
    r"""$A = X W_1 + 1 b_1^\top$, what the hidden layer receives"""
    return X @ W1 + b1[None, :]


def logits(A: Real[Array, n, h], W2: Real[Array, h, K], b2: Real[Array, K]):
    r"""$Z = H W_2 + 1 b_2^\top$ with $H = \tanh A$"""
    return jnp.tanh(A) @ W2 + b2[None, :]


def cross_entropy(Z: Real[Array, n, K], T: Simplex[Array, n, K]):
    r"""$E(Z) = -\frac1n \sum_{ik} t_{ik} \log p_{ik}$ with $P = \mathrm{softmax}(Z)$, row by row"""
    return -jnp.sum(T * log_softmax(Z)) / len(Z)


def loss(W1, b1, W2, b2, X, T):
    r"""$L(W_1, b_1, W_2, b_2) = E(Z(A))$"""
    return cross_entropy(logits(activations(W1, b1, X), W2, b2), T)


@equals(grad(cross_entropy))
def delta2(Z, T):
    r"""$\delta_2 = \partial L / \partial Z = \frac1n (P - T)$, the error signal of the output"""
    return (softmax(Z) - T) / len(Z)


@equals(grad(lambda A: jnp.sum(jnp.tanh(A))))
def slope(A):
    r"""$H' = 1 - H \odot H$"""
    return 1 - jnp.tanh(A) ** 2


@equals(grad(lambda A, W2, b2, T: cross_entropy(logits(A, W2, b2), T)))
def delta1(A, W2, b2, T):
    r"""$\delta_1 = \partial L / \partial A = \delta_2 W_2^\top \odot H'$, the hidden error signal"""
    return (delta2(logits(A, W2, b2), T) @ W2.T) * slope(A)


def gradient_W1(W1, b1, W2, b2, X, T):
    r"""$\nabla_{W_1} L = X^\top \delta_1$"""
    return X.T @ delta1(activations(W1, b1, X), W2, b2, T)


def gradient_b1(W1, b1, W2, b2, X, T):
    r"""$\nabla_{b_1} L = \delta_1^\top 1$"""
    return jnp.sum(delta1(activations(W1, b1, X), W2, b2, T), axis=0)


def gradient_W2(W1, b1, W2, b2, X, T):
    r"""$\nabla_{W_2} L = H^\top \delta_2$"""
    return jnp.tanh(activations(W1, b1, X)).T @ delta2(logits(activations(W1, b1, X), W2, b2), T)


def gradient_b2(W1, b1, W2, b2, X, T):
    r"""$\nabla_{b_2} L = \delta_2^\top 1$"""
    return jnp.sum(delta2(logits(activations(W1, b1, X), W2, b2), T), axis=0)


# Pearlmutter's R-operator: both passes along a direction. A is affine, so its dot is activations(V1, c1, X).
@equals(lambda A, dA, W2, b2, V2, c2, T: jvp(lambda *a: delta2(logits(*a), T), (A, W2, b2), (dA, V2, c2))[1])
def delta2_along(A, dA: Real[Array, n, h], W2, b2, V2: Real[Array, h, K], c2: Real[Array, K]):
    r"""$\dot\delta_2 = \frac1n P \odot (\dot Z - (P \odot \dot Z) 1 1^\top)$
    with $\dot Z = \dot H W_2 + H V_2 + 1 c_2^\top$"""
    P, dZ = softmax(logits(A, W2, b2)), (slope(A) * dA) @ W2 + logits(A, V2, c2)
    return P * (dZ - jnp.sum(P * dZ, axis=-1, keepdims=True)) / len(P)


@equals(lambda A, dA, W2, b2, V2, c2, T: jvp(delta1, (A, W2, b2, T), (dA, V2, c2, 0 * T))[1])
def delta1_along(A, dA, W2, b2, V2, c2, T):
    r"""$\dot\delta_1 = (\dot\delta_2 W_2^\top + \delta_2 V_2^\top)\odot H' + \delta_2 W_2^\top \odot \dot H'$
    with $\dot H' = -2 H \odot \dot H$ and $\dot H = H' \odot \dot A$"""
    D, dD = delta2(logits(A, W2, b2), T), delta2_along(A, dA, W2, b2, V2, c2)
    return (dD @ W2.T + D @ V2.T - 2 * (D @ W2.T) * jnp.tanh(A) * dA) * slope(A)


def hvp(W1, b1, W2, b2, V1: Real[Array, d, h], c1: Real[Array, h], V2, c2, X, T):
    r"""$(X^\top \dot\delta_1, \dot\delta_1^\top 1, \frac{d}{dt} (H^\top \delta_2), \dot\delta_2^\top 1)$"""
    A, dA = activations(W1, b1, X), activations(V1, c1, X)
    D1, D2 = delta1_along(A, dA, W2, b2, V2, c2, T), delta2_along(A, dA, W2, b2, V2, c2)
    return (X.T @ D1, D1.sum(axis=0),
        (slope(A) * dA).T @ delta2(logits(A, W2, b2), T) + jnp.tanh(A).T @ D2, D2.sum(axis=0))  # fmt: skip
