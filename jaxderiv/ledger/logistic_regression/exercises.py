r"""Exercises on logistic regression.

Losses are means over N observations, labels are 0 or 1.

Source: ML Math Derivations, part 6, "Exercises".
"""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, Bit, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.logistic_regression.regularisation import mean_loss
from jaxderiv.theorem import FALSE, TRUE, equal, statement

identities = statement(
    "C6.66",
    TRUE,
    r"Exercises 1-3: $\sigma(-z) = 1 - \sigma(z)$ and $\sigma' = \sigma(1 - \sigma)$; the largest likelihood is "
    r"the least cross-entropy; $\partial \ell / \partial z = p - t$ for softmax",
)
identities.line("classification/softmax", "residual")


@identities.true
def logistic_function(z: Real[Array, ()], y: Bit[Array, ()]):
    r"""The two identities, and $-\log(\sigma^y (1 - \sigma)^{1 - y}) = \log(1 + e^z) - yz$"""
    s = sigmoid(z)
    likelihood = y * s + (1 - y) * sigmoid(-z)
    return (
        equal(sigmoid(-z), 1 - s),
        equal(jax.grad(sigmoid)(z), s * (1 - s)),
        equal(logistic.pointwise(z, y), -jnp.log(likelihood)),
    )


prior = statement(
    "C6.67",
    FALSE,
    r"Exercise 4: of $N(0, \frac1\lambda I)$ the negative log density is $\propto \frac\lambda2 \|w\|^2$, the penalty",
    r"It is $\frac\lambda2 \|w\|^2$ plus a constant, no multiple of it. That is the penalty of a sum of losses; of a "
    r"mean the prior is $N(0, \frac1{N\lambda} I)$ (C6.39); of the L1 penalty $\propto e^{-N\lambda\|w\|_1}$ (C6.43)",
)


def of_normal(w, s):
    return -jnp.sum(norm.logpdf(w, scale=s))


@prior.as_worded
def proportional(w: Real[Array, d], v: Real[Array, d], s: Positive[Array, ()]):
    r"""$-\log p(w)$ is to $-\log p(v)$ as $\|w\|^2$ is to $\|v\|^2$"""
    return equal(of_normal(w, s) * (v @ v), of_normal(v, s) * (w @ w))


@prior.true
def but_for_a_constant(w: Real[Array, d], s: Positive[Array, ()]):
    r"""$-\log p(w) + \log p(0) = \frac\lambda2 \|w\|^2$ with $\lambda = 1 / s^2$"""
    return equal(of_normal(w, s) - of_normal(jnp.zeros_like(w), s), (w @ w) / (2 * s**2))


@prior.true
def beside_the_mean(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n], s: Positive[Array, ()]):
    r"""The gradient of $L(w) - \frac1N \log p(w)$ is that of L with the penalty $\lambda = 1 / (N s^2)$"""
    objective = lambda w: mean_loss(w, X, y) + of_normal(w, s) / len(y)
    return equal(jax.grad(objective)(w), logistic.gradient(w, X, y, 1 / (len(y) * s**2)))


geometry = statement(
    "C6.68",
    TRUE,
    "Exercise 5: the boundary is a hyperplane with normal w, whose length says how steeply the probability rises",
)


@geometry.true
def normal_and_steepness(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d], v: Real[Array, d]):
    r"""w is orthogonal to the line between two points of the boundary, and there $\nabla_x \hat y = \frac14 w$"""
    w = w[:, 0]
    foot = lambda q: q - (w @ q + b) / (w @ w) * w
    rise = jax.grad(lambda x: sigmoid(w @ x + b))(foot(x))
    return equal(w @ (foot(x) - foot(v)), 0.0), equal(rise, w / 4)
