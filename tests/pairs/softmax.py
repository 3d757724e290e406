"""Log-sum-exp, softmax, cross entropy, attention and contrastive losses."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, one_hot, softmax

from .pair import Draw, K, Pair, d, n

draw = Draw(3)


def softmax_rows(Z):
    return softmax(Z, axis=1)


def softmax_rows_vjp(Z, C):
    P = softmax(Z, axis=1)
    return P * (C - jnp.sum(P * C, axis=1, keepdims=True))


def softmax_rows_vjp_other_axis(Z, C):
    P = softmax(Z, axis=1)
    return P * (C - jnp.sum(P * C, axis=0, keepdims=True))


def softmax_jacobian(z):
    return jnp.diag(softmax(z)) - jnp.outer(softmax(z), softmax(z))


def cross_entropy(Z, y):
    return jnp.mean(logsumexp(Z, axis=1) - Z[jnp.arange(len(y)), y])


def smoothed_cross_entropy(Z, y, eps):
    T = (1 - eps) * one_hot(y, Z.shape[1]) + eps / Z.shape[1]
    return -jnp.mean(jnp.sum(T * log_softmax(Z, axis=1), axis=1))


def smoothed_cross_entropy_gradient(Z, y, eps):
    T = (1 - eps) * one_hot(y, Z.shape[1]) + eps / Z.shape[1]
    return (softmax(Z, axis=1) - T) / len(y)


def soft_cross_entropy(z, t):
    return -jnp.sum(t * log_softmax(z))


def distillation(z, q, T):
    return -(T**2) * jnp.sum(q * log_softmax(z / T))


def one_label(z, y):
    return logsumexp(z) - z[y]


def softmax_regression(W, X, y):
    Z = X @ W
    return jnp.mean(logsumexp(Z, axis=1) - Z[jnp.arange(len(y)), y])


def softmax_regression_hessian(W, X, y):
    blocks = jax.vmap(softmax_jacobian)(X @ W)
    return jnp.einsum("ni,nj,nab->iajb", X, X, blocks) / len(X)


def softmax_regression_block_diagonal(W, X, y):
    P = softmax(X @ W, axis=1)
    return jnp.einsum("ni,nj,na,ab->iajb", X, X, P * (1 - P), jnp.eye(W.shape[1])) / len(X)


def decayed_softmax(params, X, y, lam):
    Z = X @ params["W"] + params["b"][None, :]
    return cross_entropy(Z, y) + lam / 2 * jnp.sum(params["W"] ** 2)


def decayed_softmax_gradient(params, X, y, lam):
    Z = X @ params["W"] + params["b"][None, :]
    G = (softmax(Z, axis=1) - one_hot(y, Z.shape[1])) / len(y)
    return {"W": X.T @ G + lam * params["W"], "b": jnp.sum(G, axis=0)}


def decayed_softmax_everywhere(params, X, y, lam):
    gradient = decayed_softmax_gradient(params, X, y, lam)
    return {"W": gradient["W"], "b": gradient["b"] + lam * params["b"]}


def entropy(p):
    return -jnp.sum(p * jnp.log(p))


def attention_weights(Q, keys):
    return softmax(Q @ keys.T / jnp.sqrt(Q.shape[1]), axis=1)


def attention_queries(Q, keys, V, G):
    return jnp.sum(G * (attention_weights(Q, keys) @ V))


def attention_keys(keys, Q, V, G):
    return attention_queries(Q, keys, V, G)


def score_cotangent(Q, keys, V, G):
    return softmax_rows_vjp(Q @ keys.T / jnp.sqrt(Q.shape[1]), G @ V.T)


def uniformity(Z, tau):
    return jnp.mean(logsumexp(Z @ Z.T / tau, axis=1))


def uniformity_gradient(Z, tau):
    P = softmax(Z @ Z.T / tau, axis=1)
    return (P + P.T) @ Z / (len(Z) * tau)


def contrastive(Z, views, tau):
    S = Z @ views.T / tau
    return jnp.mean(logsumexp(S, axis=1) - jnp.diag(S))


def contrastive_gradient(Z, views, tau):
    P = softmax(Z @ views.T / tau, axis=1)
    return (P @ views - views) / (len(Z) * tau)


PAIRS = [
    Pair(
        "softmax_jacobian",
        softmax,
        (draw.real(K),),
        "jacobian",
        right=softmax_jacobian,
        wrong=lambda z: jnp.diag(softmax(z) * (1 - softmax(z))),
        cause="where",
        mistake="Every output depends on every input; only the diagonal p(1 - p) was kept, as for a sigmoid.",
    ),
    Pair(
        "softmax_rows",
        softmax_rows,
        (draw.real(n, K),),
        "vjp",
        right=softmax_rows_vjp,
        wrong=softmax_rows_vjp_other_axis,
        cause="layout",
        mistake="The inner products were summed over the observations, not over the classes.",
    ),
    Pair(
        "log_softmax_jacobian",
        log_softmax,
        (draw.real(K),),
        "jacobian",
        right=lambda z: jnp.eye(len(z)) - softmax(z)[None, :],
        wrong=lambda z: jnp.eye(len(z)) - softmax(z)[:, None],
        cause="layout",
        mistake="The probabilities were laid along the outputs, which transposes the Jacobian.",
    ),
    Pair(
        "logsumexp_hessian",
        logsumexp,
        (draw.real(K),),
        "hessian",
        right=softmax_jacobian,
        wrong=lambda z: jnp.diag(softmax(z)),
        cause="term",
        mistake="The rank-one term -pp' is missing.",
    ),
    Pair(
        "logsumexp_hvp",
        logsumexp,
        (draw.real(K),),
        "hvp",
        right=lambda z, v: softmax(z) * v - softmax(z) * (softmax(z) @ v),
        wrong=lambda z, v: softmax(z) * v + softmax(z) * (softmax(z) @ v),
        cause="term",
        mistake="The rank-one term pp'v has the wrong sign.",
    ),
    Pair(
        "cross_entropy",
        cross_entropy,
        (draw.real(n, K), draw.classes(n, K)),
        "gradient",
        right=lambda Z, y: (softmax(Z, axis=1) - one_hot(y, Z.shape[1])) / len(y),
        wrong=lambda Z, y: softmax(Z, axis=1) - one_hot(y, Z.shape[1]),
        cause="scale",
        mistake="The loss is a mean over observations; 1/n is missing.",
    ),
    Pair(
        "label_smoothing",
        smoothed_cross_entropy,
        (draw.real(n, K), draw.classes(n, K), np.float64(0.2)),
        "gradient",
        right=smoothed_cross_entropy_gradient,
        wrong=lambda Z, y, eps: (softmax(Z, axis=1) - (1 - eps) * one_hot(y, Z.shape[1])) / len(y),
        cause="term",
        mistake="The uniform share eps/K of the targets is missing.",
    ),
    Pair(
        "soft_targets",
        soft_cross_entropy,
        (draw.real(K), draw.distribution(K)),
        "gradient",
        right=lambda z, t: softmax(z) - t,
        wrong=lambda z, t: t - softmax(z),
        cause="sign",
        mistake="The gradient of the log-likelihood was given for that of the loss.",
        hypotheses=("t sums to one",),
    ),
    Pair(
        "distillation",
        distillation,
        (draw.real(K), draw.distribution(K), draw.positive()),
        "gradient",
        right=lambda z, q, T: T * (softmax(z / T) - q),
        wrong=lambda z, q, T: T**2 * (softmax(z / T) - q),
        cause="chain",
        mistake="The inner derivative 1/T of z/T is missing.",
        hypotheses=("q sums to one",),
    ),
    Pair(
        "upper_bound_for_hessian",
        one_label,
        (draw.real(K), np.int32(2)),
        "hessian",
        right=lambda z, y: softmax_jacobian(z),
        wrong=lambda z, y: jnp.diag(2 * softmax(z) * (1 - softmax(z))),
        cause="unknown",
        mistake="The diagonal majorant 2p(1 - p) that boosting uses was given for the Hessian.",
    ),
    Pair(
        "softmax_regression_hessian",
        softmax_regression,
        (draw.real(d, K), draw.real(n, d), draw.classes(n, K)),
        "hessian",
        right=softmax_regression_hessian,
        wrong=softmax_regression_block_diagonal,
        cause="where",
        mistake="The blocks between different classes are missing.",
    ),
    Pair(
        "weight_decay_on_intercept",
        decayed_softmax,
        ({"W": draw.real(d, K), "b": draw.real(K)}, draw.real(n, d), draw.classes(n, K), draw.positive()),
        "gradient",
        right=decayed_softmax_gradient,
        wrong=decayed_softmax_everywhere,
        cause="term",
        mistake="The penalty falls on W only; the gradient also decays the intercepts.",
    ),
    Pair(
        "entropy",
        entropy,
        (draw.positive(K),),
        "gradient",
        right=lambda p: -jnp.log(p) - 1,
        wrong=lambda p: -jnp.log(p),
        cause="term",
        mistake="The second addend of the product rule, p times 1/p, is missing.",
    ),
    Pair(
        "attention_queries",
        attention_queries,
        (draw.real(5, d), draw.real(n, d), draw.real(n, 2), draw.real(5, 2)),
        "gradient",
        right=lambda Q, keys, V, G: score_cotangent(Q, keys, V, G) @ keys / jnp.sqrt(Q.shape[1]),
        wrong=lambda Q, keys, V, G: score_cotangent(Q, keys, V, G) @ keys,
        cause="scale",
        mistake="The factor 1/sqrt(d) of the scores was not carried to the gradient.",
    ),
    Pair(
        "attention_keys",
        attention_keys,
        (draw.real(n, d), draw.real(n, d), draw.real(n, 2), draw.real(n, 2)),
        "gradient",
        right=lambda keys, Q, V, G: score_cotangent(Q, keys, V, G).T @ Q / jnp.sqrt(Q.shape[1]),
        wrong=lambda keys, Q, V, G: score_cotangent(Q, keys, V, G) @ Q / jnp.sqrt(Q.shape[1]),
        cause="layout",
        mistake="The cotangent of the scores was not transposed, which as many queries as keys allow.",
    ),
    Pair(
        "uniformity",
        uniformity,
        (draw.real(n, d), draw.positive()),
        "gradient",
        right=uniformity_gradient,
        wrong=lambda Z, tau: softmax(Z @ Z.T / tau, axis=1) @ Z / (len(Z) * tau),
        cause="path",
        mistake="Every row of Z is compared and compared with; the second copy was held constant.",
    ),
    Pair(
        "contrastive",
        contrastive,
        (draw.real(n, d), draw.real(n, d), draw.positive()),
        "gradient",
        right=contrastive_gradient,
        wrong=lambda Z, views, tau: tau * contrastive_gradient(Z, views, tau),
        cause="chain",
        mistake="The factor 1/tau of the temperature is missing.",
    ),
]
