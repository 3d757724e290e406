r"""Softmax regression with a ridge penalty.

Rows of T are targets on the simplex. The loss is a mean; the penalty, lam/2 times the squared norm, is not divided by n
and falls on every weight: X is n by d without an intercept column, W d by K. H[j, k, l, m] is of W[j, k] and W[l, m].

Source: ML Math Derivations, part 6, "Softmax"; the Hessian, which the text leaves out, is our own.
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.notation import log_softmax, logsumexp, softmax
from jaxderiv.derivation import equals
from jaxderiv.domains import Array, K, Positive, Real, Simplex, d, n


def loss(W: Real[Array, d, K], X: Real[Array, n, d], T: Simplex[Array, n, K], lam: Positive[Array, ()]):
    r"""$L(W) = \frac1n \sum_i \ell(W^\top x_i, t_i) + \frac\lambda2 \|W\|_F^2$"""
    return jnp.mean(cross_entropy(X @ W, T)) + lam / 2 * jnp.sum(W * W)


def cross_entropy(Z: Real[Array, n, K], T):
    r"""$\ell(z, t) = -\sum_k t_k \log p_k$ with $p = \mathrm{softmax}(z)$"""
    return -jnp.sum(T * log_softmax(Z), axis=-1)


# One observation --------------------------------------------------------------
@equals(cross_entropy)
def cross_entropy_of_logits(Z, T):
    r"""$\ell(z, t) = \log \sum_k e^{z_k} - t^\top z$, since $\sum_k t_k = 1$"""
    return logsumexp(Z) - jnp.sum(T * Z, axis=-1)


@equals(lambda Z: jax.vmap(jax.grad(logsumexp))(Z))
def probabilities(Z):
    r"""$p = \nabla \log \sum_k e^{z_k}$"""
    return softmax(Z)


@equals(jax.vmap(jax.grad(cross_entropy)))
def residual(Z, T):
    r"""$\partial\ell / \partial z = p - t$"""
    return probabilities(Z) - T


@equals(jax.vmap(jax.jacobian(residual)))
def curvature_with_diagonal(Z):
    r"""$\partial^2\ell / \partial z^2 = \mathrm{diag}(p) - p\,p^\top$, whatever $t$ is"""
    P, I = probabilities(Z), jnp.eye(Z.shape[-1], dtype=Z.dtype)
    return P[:, :, None] * I[None] - P[:, :, None] * P[:, None, :]


@equals(curvature_with_diagonal)
def curvature(Z):
    r"""The same with $p_k(1 - p_k) = \sum_{m \ne k} p_k\, p_m$ on the diagonal, which does not cancel"""
    P, I = probabilities(Z), jnp.eye(Z.shape[-1], dtype=Z.dtype)
    C = P[:, :, None] * P[:, None, :] * (1 - I[None])
    return jnp.sum(C, axis=-1)[:, :, None] * I[None] - C


# The gradient -----------------------------------------------------------------
@equals(jax.grad(loss))
def gradient_by_observation(W, X, T, lam):
    r"""$\nabla L = \frac1n \sum_i x_i\, (p_i - t_i)^\top + \lambda W$"""
    return jnp.mean(X[:, :, None] * residual(X @ W, T)[:, None, :], axis=0) + lam * W


@equals(gradient_by_observation)
def gradient(W, X, T, lam):
    r"""$\nabla L = \frac1n X^\top (P - T) + \lambda W$"""
    return X.T @ residual(X @ W, T) / len(X) + lam * W


# The Hessian ------------------------------------------------------------------
@equals(jax.jacobian(gradient))
def hessian(W, X, lam):
    r"""$H_{jklm} = \frac1n \sum_i x_{ij}x_{il}C_{ikm} + \lambda \delta_{jl}\delta_{km}$, $C$: `curvature`"""
    H = jnp.einsum("ij,ikm,il->jklm", X, curvature(X @ W), X) / len(X)
    return H + lam * jnp.eye(W.size, dtype=W.dtype).reshape(H.shape)


@equals(lambda Z, U: jnp.einsum("ikm,im->ik", curvature(Z), U))
def probabilities_along(Z, U: Real[Array, n, K]):
    r"""$(\mathrm{diag}(p) - p\,p^\top)\, u = p \odot u - (p^\top u)\, p$"""
    P = probabilities(Z)
    return P * (U - jnp.sum(P * U, axis=-1, keepdims=True))


@equals(lambda W, V, X, lam: jnp.tensordot(hessian(W, X, lam), V))
def hvp(W, V: Real[Array, d, K], X, lam):
    r"""$\nabla^2 L[V] = \frac1n X^\top \dot P + \lambda V$ with $\dot P$ the change of $P$ along $U = XV$"""
    return X.T @ probabilities_along(X @ W, X @ V) / len(X) + lam * V


@equals(lambda W, V, X, lam: jnp.sum(V * hvp(W, V, X, lam)))
def curvature_along(W, V, X, lam):
    r"""$\frac1n \sum_{ik} p_{ik}\, (u_{ik} - p_i^\top u_i)^2 + \lambda \|V\|_F^2 \ge 0$: variances of $U = XV$"""
    P, U = probabilities(X @ W), X @ V
    return jnp.sum(P * (U - jnp.sum(P * U, axis=-1, keepdims=True)) ** 2) / len(X) + lam * jnp.sum(V * V)
