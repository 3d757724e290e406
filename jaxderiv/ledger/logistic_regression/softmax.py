r"""Softmax regression: probabilities of several classes, its gradient and its Hessian.

Logits $Z = XW$ with W of shape p by K; $P = \mathrm{softmax}(Z)$ row by row; targets T are rows that sum to one.

Source: ML Math Derivations, part 6, "Softmax regression"; the bound on its curvature: D. Boehning, Multinomial logistic
regression algorithm, Annals of the Institute of Statistical Mathematics 44 (1992).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.notation import log_softmax, logsumexp, sigmoid, softmax
from jaxderiv.domains import Array, K, Nonnegative, Positive, Real, Simplex, n
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, holds, statement


def cross_entropy(W, X, T):
    r"""$-\frac1n \sum_{ik} t_{ik} \log p_{ik}$"""
    return -jnp.sum(T * log_softmax(X @ W)) / len(X)


definition = statement("C6.28", TRUE, r"$P_k = e^{z_k} / \sum_j e^{z_j}$; for two classes it is $\sigma(z_2 - z_1)$.")


@definition.true
def quotient_of_exponentials(z: Real[Array, K]):
    r"""$P_k = e^{z_k} / \sum_j e^{z_j}$ for the shifted form that the catalogue computes"""
    return equal(softmax(z), jnp.exp(z) / jnp.sum(jnp.exp(z)))


@definition.true
def two_classes(z: Real[Array, 2]):
    r"""$P_2 = \sigma(z_2 - z_1)$"""
    return equal(softmax(z)[1], sigmoid(z[1] - z[0]))


probabilities = statement("C6.29", TRUE, "The outputs are positive, sum to one, and keep the order of the logits.")


@probabilities.true
def they_sum_to_one(z: Real[Array, K]):
    r"""$\sum_k P_k = 1$"""
    return equal(jnp.sum(softmax(z)), 1.0)


@probabilities.true(at=[{"z": [1.0, 1.0, 1.0]}])
def the_order_is_kept(z: Real[Array, K]):
    r"""$\log P_j - \log P_k = z_j - z_k$ for all pairs, so neither order nor ties change, and no $P_k$ is zero"""
    logs = log_softmax(z)
    return equal(logs[:, None] - logs[None, :], z[:, None] - z[None, :])


@probabilities.control
def positive_in_floating_point():
    """In float64 the smallest output at logits 0 and 800 is positive"""
    return holds(softmax(jnp.array([0.0, 800.0])).min() > 0)


shift = statement(
    "C6.30",
    TRUE,
    r"$P(z + c 1) = P(z)$: adding one vector to every column of W changes nothing, so the loss is never strictly "
    "convex.",
)


@shift.true
def invariance(z: Real[Array, K], c: Real[Array, ()]):
    r"""$P(z + c1) = P(z)$"""
    return equal(softmax(z + c), softmax(z))


@shift.true
def flat_directions(W: Real[Array, 2, 3], X: Real[Array, n, 2], T: Simplex[Array, n, 3], v: Real[Array, 2]):
    r"""$\nabla L$ is the same at W and at $W + v 1^\top$ for every v, so the Hessian has p zero eigenvalues or more"""
    gradient = jax.grad(cross_entropy)
    return equal(gradient(W + jnp.outer(v, jnp.ones(3)), X, T), gradient(W, X, T))


@shift.true
def no_more_than_these(rng):
    """At random points exactly p of the p K eigenvalues are zero, here three of twelve"""
    X, W = rng.standard_normal((30, 3)), rng.standard_normal((3, 4))
    T = np.eye(4)[rng.integers(4, size=30)]
    H = jax.hessian(cross_entropy)(jnp.asarray(W), X, T).reshape(12, 12)
    values = jnp.linalg.eigvalsh(H)
    return at_most(abs(values[:3]), 1e-12 * values[-1]), at_most(1e-6 * values[-1], values[3:])


triangle = statement(
    "C6.31",
    HYP,
    "The outputs for three classes fill a triangle, with the certain predictions at its corners and the uniform one, "
    "of largest entropy, in the middle.",
    but="They fill its inside: no finite logits lead to a corner or an edge.",
)


@triangle.true(at=[{"z": [0.5, 0.5, 0.5]}])
def the_middle_has_the_largest_entropy(z: Real[Array, K]):
    r"""$-\sum_k P_k \log P_k \le \log K$"""
    P = softmax(z)
    return at_most(-jnp.sum(P * log_softmax(z)), jnp.log(float(len(z))))


@triangle.true
def inside(t: Positive[Array, ()]):
    r"""At logits $(t, 0, 0)$ the corner is missed by $2 / (e^t + 2) > 0$"""
    missed = 1 - softmax(jnp.stack([t, 0 * t, 0 * t]))[0]
    return equal(missed, 2 / (jnp.exp(t) + 2))


@triangle.as_worded(at=[{"t": 0.0}])
def a_corner_is_reached(t: Nonnegative[Array, ()]):
    r"""A logit that is ahead by 10 or more makes a class certain: $P_1 \ge 1$"""
    return at_most(1.0, softmax(jnp.stack([10 + t, 0 * t, 0 * t]))[0])


loss = statement("C6.32", TRUE, r"For class c the loss is $-z_c + \log \sum_k e^{z_k}$.")


@loss.true
def logsumexp_form(z: Real[Array, K]):
    r"""$-\log P_c = \log \sum_k e^{z_k} - z_c$ for every c"""
    return equal(-jnp.log(softmax(z)), logsumexp(z) - z)


in_logits = statement(
    "C6.33", TRUE, r"$\partial L / \partial z_k = P_k - t_k$, for soft targets that sum to one as well."
)
in_logits.line("classification/softmax", "residual")


@in_logits.control
def targets_of_any_sum(z: Real[Array, K], t: Positive[Array, K]):
    r"""$P - t$ also where the targets do not sum to one"""
    return equal(jax.grad(lambda z: -t @ log_softmax(z))(z), softmax(z) - t)


@in_logits.true
def the_sum_of_the_targets(z: Real[Array, K], t: Positive[Array, K]):
    r"""In general $(\sum_j t_j) P - t$"""
    return equal(jax.grad(lambda z: -t @ log_softmax(z))(z), jnp.sum(t) * softmax(z) - t)


in_weights = statement("C6.34", TRUE, r"$\nabla_W L = \frac1n X^\top (P - T)$, of the shape of W.")
in_weights.line("classification/softmax", "gradient")


second = statement(
    "C6.35",
    TRUE,
    r"The Hessian in z is $\mathrm{diag}(P) - P P^\top$; in W it is $\frac1n \sum_i$ of its Kronecker product with "
    r"$x_i x_i^\top$, whose order depends on how W is flattened.",
)
second.line("classification/softmax", "hessian", "curvature_along")


@second.true
def in_the_logits(z: Real[Array, K]):
    r"""$\nabla_z^2 \log \sum_k e^{z_k} = \mathrm{diag}(P) - P P^\top$"""
    P = softmax(z)
    return equal(jax.hessian(logsumexp)(z), jnp.diag(P) - jnp.outer(P, P))


def _kronecker(W, X, rows_first):
    P = softmax(X @ W)
    S = jax.vmap(lambda p: jnp.diag(p) - jnp.outer(p, p))(P)
    terms = jax.vmap(lambda s, x: jnp.kron(jnp.outer(x, x), s) if rows_first else jnp.kron(s, jnp.outer(x, x)))(S, X)
    return jnp.mean(terms, axis=0)


@second.true
def rows_one_after_another(W: Real[Array, 2, 3], X: Real[Array, 3, 2], T: Simplex[Array, 3, 3]):
    r"""With W flattened row by row, as `W.ravel()` does: $x_i x_i^\top \otimes (\mathrm{diag} P_i - P_i P_i^\top)$"""
    H = jax.hessian(lambda w: cross_entropy(w.reshape(2, 3), X, T))(W.ravel())
    return equal(H, _kronecker(W, X, rows_first=True))


@second.true
def columns_one_after_another(W: Real[Array, 2, 3], X: Real[Array, 3, 2], T: Simplex[Array, 3, 3]):
    r"""With columns stacked, the textbooks' vec: $(\mathrm{diag} P_i - P_i P_i^\top) \otimes x_i x_i^\top$"""
    H = jax.hessian(lambda w: cross_entropy(w.reshape(3, 2).T, X, T))(W.T.ravel())
    return equal(H, _kronecker(W, X, rows_first=False))


@second.control
def orders_exchanged(W: Real[Array, 2, 3], X: Real[Array, 3, 2], T: Simplex[Array, 3, 3]):
    r"""The textbooks' order for W flattened row by row"""
    H = jax.hessian(lambda w: cross_entropy(w.reshape(2, 3), X, T))(W.ravel())
    return equal(H, _kronecker(W, X, rows_first=False))


@second.true(at=lambda: [{"z": jnp.array([0.0, 0.0, -40.0]), "v": jnp.array([1.0, -1.0, 0.0])}])
def curvature_at_most_a_half(z: Real[Array, K], v: Real[Array, K]):
    r"""$0 \le v^\top (\mathrm{diag} P - P P^\top) v \le \frac12 \|v\|^2$, attained by two equally likely classes"""
    P = softmax(z)
    along = jnp.sum(P * (v - P @ v) ** 2)
    return at_most(along, (v @ v) / 2), at_most(0.0, along)


@second.true(at=lambda: [{"W": jnp.zeros((2, 2)), "X": jnp.array([[1.0, 2.0], [0.0, 1.0]])}])
def smoothness(W: Real[Array, 2, 2], X: Real[Array, n, 2]):
    r"""So $\lambda_{\max}(\nabla^2 L) \le \lambda_{\max}(X^\top X) / (2n)$, whatever the targets are"""
    H = jax.hessian(lambda W: jnp.mean(logsumexp(X @ W)))(W).reshape(4, 4)
    largest = lambda A: jnp.linalg.eigvalsh(A)[-1]
    return at_most(largest(H), largest(X.T @ X) / (2 * len(X)))


differences = statement(
    "C6.36", TRUE, "Central differences of the softmax loss agree with the gradient to about 1e-11."
)


@differences.true
def central_differences(rng):
    """With four classes and steps of 1e-5 the largest difference is below 1e-9"""
    X, W = jnp.asarray(rng.standard_normal((20, 3))), jnp.asarray(rng.standard_normal((3, 4)))
    T, h = jnp.asarray(np.eye(4)[rng.integers(4, size=20)]), 1e-5
    steps = h * jnp.eye(12).reshape(12, 3, 4)
    quotients = jax.vmap(lambda e: (cross_entropy(W + e, X, T) - cross_entropy(W - e, X, T)) / (2 * h))(steps)
    return close(quotients.reshape(3, 4), X.T @ (softmax(X @ W) - T) / 20, 1e-9)
