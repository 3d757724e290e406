"""Losses of residuals and margins, and penalties."""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, relu, sigmoid

from .pair import Draw, K, Pair, d, n

draw = Draw(5)


def sign_of(y):
    """Boolean labels as -1 and +1."""
    return jnp.where(y, 1.0, -1.0)


def hinge_squared(w, X, y):
    return jnp.mean(relu(1 - sign_of(y) * (X @ w)) ** 2)


def hinge_squared_gradient(w, X, y):
    return -2 * X.T @ (sign_of(y) * relu(1 - sign_of(y) * (X @ w))) / len(y)


def hinge_squared_everywhere(w, X, y):
    return -2 * X.T @ (sign_of(y) * (1 - sign_of(y) * (X @ w))) / len(y)


def huber(r, delta):
    return jnp.where(jnp.abs(r) <= delta, r**2 / 2, delta * (jnp.abs(r) - delta / 2))


def huber_regression(w, X, y, delta):
    return jnp.mean(huber(X @ w - y, delta))


def huber_regression_unit_tails(w, X, y, delta):
    r = X @ w - y
    return X.T @ jnp.where(jnp.abs(r) <= delta, r, jnp.sign(r)) / len(y)


def smooth_quantile(pred, y, tau, delta):
    r = y - pred
    return jnp.sum(jnp.where(r < 0, 1 - tau, tau) * huber(r, delta))


def smooth_quantile_gradient(pred, y, tau, delta):
    r = y - pred
    return -jnp.where(r < 0, 1 - tau, tau) * jnp.clip(r, -delta, delta)


def smooth_quantile_swapped(pred, y, tau, delta):
    r = y - pred
    return -jnp.where(r > 0, 1 - tau, tau) * jnp.clip(r, -delta, delta)


def smooth_l1(pred, y, beta):
    r = pred - y
    return jnp.mean(jnp.where(jnp.abs(r) < beta, r**2 / (2 * beta), jnp.abs(r) - beta / 2))


def smooth_l1_gradient(pred, y, beta):
    r = pred - y
    return jnp.where(jnp.abs(r) < beta, r / beta, jnp.sign(r)) / len(y)


def smooth_l1_unscaled_core(pred, y, beta):
    r = pred - y
    return jnp.where(jnp.abs(r) < beta, r, jnp.sign(r)) / len(y)


def fair(pred, y, c):
    u = jnp.abs(pred - y) / c
    return jnp.sum(c**2 * (u - jnp.log1p(u)))


def pseudo_huber(w, X, y, delta):
    return delta**2 * jnp.mean(jnp.sqrt(1 + ((X @ w - y) / delta) ** 2) - 1)


def weighted_gram(X, weights):
    return X.T @ (weights[:, None] * X) / len(X)


def log_cosh(w, X, y):
    return jnp.mean(jnp.log(jnp.cosh(X @ w - y)))


def root_mean_square(w, X, y):
    return jnp.sqrt(jnp.mean((X @ w - y) ** 2))


def observed_mean_square(w, X, y, seen):
    r = jnp.where(seen, X @ w - y, 0)
    return r @ r / jnp.sum(jnp.where(seen, 1.0, 0.0))


def observed_mean_square_gradient(w, X, y, seen):
    return 2 * X.T @ jnp.where(seen, X @ w - y, 0) / jnp.sum(jnp.where(seen, 1.0, 0.0))


def mean_over_entries(W, X, Y):
    return jnp.mean((X @ W - Y) ** 2)


def focal(z, y, gamma):
    p = sigmoid(sign_of(y) * z)
    return -jnp.sum((1 - p) ** gamma * jnp.log(p))


def focal_by_probability(z, y, gamma):
    p = sigmoid(sign_of(y) * z)
    return sign_of(y) * (gamma * (1 - p) ** (gamma - 1) * jnp.log(p) - (1 - p) ** gamma / p)


def focal_gradient(z, y, gamma):
    return sigmoid(z) * sigmoid(-z) * focal_by_probability(z, y, gamma)


def focal_weight_constant(z, y, gamma):
    return -sign_of(y) * sigmoid(-sign_of(y) * z) ** (gamma + 1)


def pairwise_ranking(w, winners, losers):
    return -jnp.mean(log_sigmoid((winners - losers) @ w))


def pairwise_ranking_gradient(w, winners, losers):
    D = winners - losers
    return -D.T @ sigmoid(-D @ w) / len(D)


def sigmoid_squared_error(z, y):
    return jnp.mean((sigmoid(z) - y) ** 2) / 2


def elastic_net(w, X, y, l1, l2):
    return jnp.mean((X @ w - y) ** 2) / 2 + l1 * jnp.sum(jnp.abs(w)) + l2 / 2 * (w @ w)


def elastic_net_gradient(w, X, y, l1, l2):
    return X.T @ (X @ w - y) / len(y) + l1 * jnp.sign(w) + l2 * w


def elastic_net_doubled(w, X, y, l1, l2):
    return X.T @ (X @ w - y) / len(y) + l1 * jnp.sign(w) + 2 * l2 * w


def absolute_penalty(w, l1):
    return l1 * jnp.sum(jnp.abs(w))


PAIRS = [
    Pair(
        "hinge_squared",
        hinge_squared,
        (draw.real(d), draw.real(11, d), draw.bits(11)),
        "gradient",
        right=hinge_squared_gradient,
        wrong=hinge_squared_everywhere,
        cause="branch",
        mistake="Observations beyond the margin contribute nothing; the inactive branch was not cut.",
    ),
    Pair(
        "huber_tails",
        huber_regression,
        (2 * draw.real(d), draw.real(11, d), draw.real(11), draw.positive()),
        "gradient",
        right=lambda w, X, y, delta: X.T @ jnp.clip(X @ w - y, -delta, delta) / len(y),
        wrong=huber_regression_unit_tails,
        cause="branch",
        mistake="The slope of the linear branch is delta, not 1.",
    ),
    Pair(
        "smooth_quantile",
        smooth_quantile,
        (2 * draw.real(n), draw.real(n), np.float64(0.2), draw.positive()),
        "gradient",
        right=smooth_quantile_gradient,
        wrong=smooth_quantile_swapped,
        cause="branch",
        mistake="tau and 1 - tau were exchanged between over- and underestimates.",
    ),
    Pair(
        "smooth_l1",
        smooth_l1,
        (2 * draw.real(n), draw.real(n), np.float64(1.4)),
        "gradient",
        right=smooth_l1_gradient,
        wrong=smooth_l1_unscaled_core,
        cause="branch",
        mistake="The quadratic branch has slope r/beta; its rule was copied from the Huber loss.",
    ),
    Pair(
        "fair",
        fair,
        (draw.real(n), draw.real(n), draw.positive()),
        "gradient",
        right=lambda pred, y, c: c * (pred - y) / (jnp.abs(pred - y) + c),
        wrong=lambda pred, y, c: c * (y - pred) / (jnp.abs(y - pred) + c),
        cause="sign",
        mistake="The derivative was taken in the residual y - pred, not in the prediction.",
    ),
    Pair(
        "pseudo_huber_hessian",
        pseudo_huber,
        (2 * draw.real(d), draw.real(n, d), draw.real(n), draw.positive()),
        "hessian",
        right=lambda w, X, y, delta: weighted_gram(X, (1 + ((X @ w - y) / delta) ** 2) ** -1.5),
        wrong=lambda w, X, y, delta: weighted_gram(X, (1 + ((X @ w - y) / delta) ** 2) ** -0.5),
        cause="chain",
        mistake="The weights of reweighted least squares were taken for second derivatives.",
    ),
    Pair(
        "log_cosh",
        log_cosh,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "gradient",
        right=lambda w, X, y: X.T @ jnp.tanh(X @ w - y) / len(y),
        wrong=lambda w, X, y: X.T @ jnp.tanh(X @ w - y) / len(y) ** 2,
        cause="scale",
        mistake="Divided by n twice.",
    ),
    Pair(
        "root_mean_square",
        root_mean_square,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "gradient",
        right=lambda w, X, y: X.T @ (X @ w - y) / (len(y) * root_mean_square(w, X, y)),
        wrong=lambda w, X, y: X.T @ (X @ w - y) / root_mean_square(w, X, y),
        cause="scale",
        mistake="The 1/n of the mean under the root is missing.",
    ),
    Pair(
        "observed_mean_square",
        observed_mean_square,
        (draw.real(d), draw.real(n, d), draw.real(n), draw.bits(n)),
        "gradient",
        right=observed_mean_square_gradient,
        wrong=lambda w, X, y, seen: 2 * X.T @ jnp.where(seen, X @ w - y, 0) / len(y),
        cause="scale",
        mistake="Divided by the number of rows, not by the number of observed ones.",
    ),
    Pair(
        "mean_over_entries",
        mean_over_entries,
        (draw.real(d, K), draw.real(n, d), draw.real(n, K)),
        "gradient",
        right=lambda W, X, Y: 2 * X.T @ (X @ W - Y) / Y.size,
        wrong=lambda W, X, Y: 2 * X.T @ (X @ W - Y) / len(Y),
        cause="scale",
        mistake="The mean runs over all n K entries; 1/K is missing.",
    ),
    Pair(
        "focal_by_probability",
        focal,
        (draw.real(n), draw.bits(n), np.float64(1.7)),
        "gradient",
        right=focal_gradient,
        wrong=focal_by_probability,
        cause="chain",
        mistake="The derivative in the probability; the factor p(1 - p) of the sigmoid is missing.",
    ),
    Pair(
        "focal_weight",
        focal,
        (draw.real(n), draw.bits(n), np.float64(1.7)),
        "gradient",
        right=focal_gradient,
        wrong=focal_weight_constant,
        cause="path",
        mistake="The modulating weight (1 - p)^gamma was held constant.",
    ),
    Pair(
        "pairwise_ranking",
        pairwise_ranking,
        (draw.real(d), draw.real(n, d), draw.real(n, d)),
        "gradient",
        right=pairwise_ranking_gradient,
        wrong=lambda w, winners, losers: -pairwise_ranking_gradient(w, winners, losers),
        cause="sign",
        mistake="The step direction of ascent was given for the gradient of the loss.",
    ),
    Pair(
        "squared_error_behind_sigmoid",
        sigmoid_squared_error,
        (draw.real(n), draw.positive(n)),
        "gradient",
        right=lambda z, y: (sigmoid(z) - y) * sigmoid(z) * sigmoid(-z) / len(y),
        wrong=lambda z, y: (sigmoid(z) - y) / len(y),
        cause="chain",
        mistake="sigma'(z) is missing; it cancels for cross entropy only.",
    ),
    Pair(
        "elastic_net",
        elastic_net,
        (draw.real(d), draw.real(n, d), draw.real(n), draw.positive(), draw.positive()),
        "gradient",
        right=elastic_net_gradient,
        wrong=elastic_net_doubled,
        cause="term",
        mistake="The penalty carries a 1/2, so its gradient is l2 w and not 2 l2 w.",
    ),
    Pair(
        "absolute_penalty",
        absolute_penalty,
        (draw.real(5), draw.positive()),
        "gradient",
        right=lambda w, l1: l1 * jnp.sign(w),
        wrong=lambda w, l1: l1 * jnp.ones_like(w),
        cause="branch",
        mistake="|w| was differentiated as w: the branch of negative weights was forgotten.",
    ),
    Pair(
        "absolute_penalty_positive",
        absolute_penalty,
        (draw.positive(5), draw.positive()),
        "gradient",
        right=lambda w, l1: l1 * jnp.ones_like(w),
        wrong=lambda w, l1: jnp.ones_like(w),
        cause="chain",
        mistake="The factor l1 is missing.",
        hypotheses=("w positive",),
    ),
]
