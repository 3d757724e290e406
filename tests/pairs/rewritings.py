"""Right formulas in an algebra far from the one that differentiation yields; each must be accepted."""

import jax.numpy as jnp
from jax.nn import logsumexp, one_hot, softmax, softplus

from .pair import Draw, K, Pair, d, n

inv = jnp.linalg.inv
draw = Draw(8)


def least_squares(w, X, y):
    return jnp.mean((X @ w - y) ** 2) / 2


def quadratic_form(x, A):
    return x @ A @ x


def with_zero_term(x, A, b):
    """x'(A - A')x is zero whatever A is."""
    return (A + A.T) @ x + (x @ (A - A.T) @ x) * b


def quadratic_with_spectator(x, A, b):
    return x @ A @ x + 0 * (b @ b)


def centred_variance(x):
    return jnp.mean((x - jnp.mean(x)) ** 2)


def variance_by_projection(x):
    C = jnp.eye(len(x)) - 1 / len(x)
    return 2 / len(x) * C @ C @ C @ x


def logistic(w, X, y):
    return jnp.mean(softplus(X @ w) - jnp.where(y, X @ w, 0))


def logistic_by_tanh(w, X, y):
    return X.T @ (jnp.tanh(X @ w / 2) - jnp.where(y, 1.0, -1.0)) / (2 * len(y))


def logistic_hessian_by_cosh(w, X, y):
    scaled = X / (2 * jnp.cosh(X @ w / 2))[:, None]
    return scaled.T @ scaled / len(y)


def cross_entropy(Z, y):
    return jnp.mean(logsumexp(Z, axis=1) - Z[jnp.arange(len(y)), y])


def cross_entropy_shifted(Z, y):
    E = jnp.exp(Z - jnp.max(Z, axis=1, keepdims=True))
    P, Y = E / jnp.sum(E, axis=1, keepdims=True), one_hot(y, Z.shape[1])
    return (P * (1 - Y) - Y * (jnp.sum(P, axis=1, keepdims=True) - jnp.sum(P * Y, axis=1, keepdims=True))) / len(y)


def softmax_entropy(z):
    return -softmax(z) @ jnp.log(softmax(z))


def softmax_entropy_gradient(z):
    """p_i times the mean under p of z - z_i."""
    p = softmax(z)
    return p * (p @ (z[:, None] - z[None, :]))


def gram_penalty(W):
    return jnp.sum((W.T @ W - jnp.eye(W.shape[1])) ** 2)


def profiled_intercept(w, X, y):
    """Least squares after the best intercept has been put in."""
    r = y - X @ w
    return jnp.sum((r - jnp.mean(r)) ** 2) / 2


def ridge_optimum(lam, X, y):
    """The least value of |y - Xw|^2 + lam |w|^2, times 1/lam, in dual form."""
    return y @ jnp.linalg.solve(X @ X.T + lam * jnp.eye(len(y)), y)


def ridge_optimum_derivative(lam, X, y):
    w = jnp.linalg.solve(X.T @ X + lam * jnp.eye(X.shape[1]), X.T @ y)
    return -jnp.sum((y - X @ w) ** 2) / lam**2


def shifted_log_det(X):
    return jnp.linalg.slogdet(jnp.eye(len(X)) + X @ X.T)[1]


def gaussian_mean(mu, X, P):
    D = X - mu[None, :]
    return jnp.sum((D @ P) * D) / 2


def gaussian_mean_gradient(mu, X, P):
    return len(X) * (P + P.T) / 2 @ (mu - jnp.mean(X, axis=0))


def log_cosh(x):
    return jnp.sum(jnp.log(jnp.cosh(x)))


def kl_bernoulli(q, p):
    return jnp.sum(p * jnp.log(p / q) + (1 - p) * jnp.log((1 - p) / (1 - q)))


def spread(X):
    return jnp.sum((X[:, None, :] - X[None, :, :]) ** 2)


def laplacian_form(X):
    L = len(X) * jnp.eye(len(X)) - jnp.ones((len(X), len(X)))
    return (L @ X + L.T @ X) + 2 * L @ X


def cosine(x, y):
    return x @ y / jnp.sqrt((x @ x) * (y @ y))


def cosine_gradient(x, y):
    """Lagrange's identity: (x'x) y - (x'y) x is the antisymmetric matrix yx' - xy' applied to x."""
    return (jnp.outer(y, x) - jnp.outer(x, y)) @ x / ((x @ x) ** 1.5 * jnp.sqrt(y @ y))


def softplus_sum(z):
    return jnp.sum(softplus(z))


def stable_sigmoid(z):
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z >= 0, 1 / (1 + e), e / (1 + e))


def attention(Q, keys, V, G):
    return jnp.sum(G * (softmax(Q @ keys.T, axis=1) @ V))


def attention_by_covariance(Q, keys, V, G):
    """Row by row the covariance, under the attention weights, of the keys with the values' scores."""
    P = softmax(Q @ keys.T, axis=1)
    centred = keys[None, :, :] - (P @ keys)[:, None, :]
    return jnp.einsum("ij,ijd,ij->id", P, centred, G @ V.T)


def logit_square(p):
    return jnp.sum((jnp.log(p) - jnp.log1p(-p)) ** 2) / 2


def elementary(x):
    """The sum over i < j of x_i x_j."""
    return (jnp.sum(x) ** 2 - jnp.sum(x**2)) / 2


PAIRS = [
    Pair(
        "least_squares_expanded",
        least_squares,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "gradient",
        right=lambda w, X, y: (X.T @ X @ w - X.T @ y) / len(y),
    ),
    Pair(
        "identically_zero_term",
        quadratic_with_spectator,
        (draw.real(d), draw.real(d, d), draw.real(d)),
        "gradient",
        right=with_zero_term,
    ),
    Pair("variance_by_projection", centred_variance, (draw.real(n),), "gradient", right=variance_by_projection),
    Pair(
        "logistic_by_tanh",
        logistic,
        (draw.real(d), draw.real(n, d), draw.bits(n)),
        "gradient",
        right=logistic_by_tanh,
    ),
    Pair(
        "logistic_hessian_by_cosh",
        logistic,
        (draw.real(d), draw.real(n, d), draw.bits(n)),
        "hessian",
        right=logistic_hessian_by_cosh,
    ),
    Pair(
        "cross_entropy_shifted",
        cross_entropy,
        (draw.real(n, K), draw.classes(n, K)),
        "gradient",
        right=cross_entropy_shifted,
    ),
    Pair("softmax_entropy", softmax_entropy, (draw.real(K),), "gradient", right=softmax_entropy_gradient),
    Pair(
        "gram_penalty_pushed_through",
        gram_penalty,
        (draw.real(K, d),),
        "gradient",
        right=lambda W: 4 * (W @ W.T @ W - W),
    ),
    Pair(
        "profiled_intercept",
        profiled_intercept,
        (draw.real(d), draw.real(n, d), draw.real(n)),
        "gradient",
        right=lambda w, X, y: (X - jnp.mean(X, axis=0, keepdims=True)).T @ (X @ w - y),
    ),
    Pair(
        "ridge_optimum_in_the_primal",
        ridge_optimum,
        (draw.positive(), draw.real(n, d), draw.real(n)),
        "gradient",
        right=ridge_optimum_derivative,
    ),
    Pair(
        "sylvester",
        shifted_log_det,
        (draw.real(n, d),),
        "gradient",
        right=lambda X: 2 * X @ inv(jnp.eye(X.shape[1]) + X.T @ X),
    ),
    Pair(
        "gaussian_mean",
        gaussian_mean,
        (draw.real(d), draw.real(n, d), draw.real(d, d)),
        "gradient",
        right=gaussian_mean_gradient,
    ),
    Pair(
        "log_cosh_hessian",
        log_cosh,
        (draw.real(K),),
        "hessian",
        right=lambda x: jnp.diag(4 / (jnp.exp(x) + jnp.exp(-x)) ** 2),
    ),
    Pair(
        "kl_bernoulli",
        kl_bernoulli,
        (draw.distribution(K), draw.distribution(K)),
        "gradient",
        right=lambda q, p: (q - p) / (q - q**2),
    ),
    Pair("laplacian_form", spread, (draw.real(n, d),), "gradient", right=laplacian_form),
    Pair("cosine_by_lagrange", cosine, (draw.real(d), draw.real(d)), "gradient", right=cosine_gradient),
    Pair("stable_sigmoid", softplus_sum, (draw.real(n),), "gradient", right=stable_sigmoid),
    Pair(
        "attention_by_covariance",
        attention,
        (draw.real(5, d), draw.real(n, d), draw.real(n, 2), draw.real(5, 2)),
        "gradient",
        right=attention_by_covariance,
    ),
    Pair(
        "elementary_hvp",
        elementary,
        (draw.real(n),),
        "hvp",
        right=lambda x, v: (jnp.ones((len(v), len(v))) - jnp.eye(len(v))) @ v,
    ),
]
