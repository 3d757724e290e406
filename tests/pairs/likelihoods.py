"""Negative log-likelihoods: regressions, Gaussians, kernels, survival."""

import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from .pair import Draw, K, Pair, d, n

inv = jnp.linalg.inv
draw = Draw(4)


def poisson(w, X, y):
    return jnp.mean(jnp.exp(X @ w) - y * (X @ w))


def poisson_ridge(w, X, y, lam):
    return poisson(w, X, y) + lam / 2 * (w @ w)


def poisson_ridge_hvp(w, v, X, y, lam):
    return X.T @ (jnp.exp(X @ w) * (X @ v)) / len(y) + lam * v


def poisson_exposure(eta, y, exposure):
    return jnp.sum(exposure * jnp.exp(eta) - y * (eta + jnp.log(exposure)))


def exponential(w, X, y):
    return jnp.mean(X @ w + y * jnp.exp(-X @ w))


def gamma(w, X, y, shape):
    return shape * jnp.mean(X @ w + y * jnp.exp(-X @ w))


def tweedie(eta, y):
    return jnp.mean(2 * y * jnp.exp(-eta / 2) + 2 * jnp.exp(eta / 2))


def student_scale(sigma, r, nu):
    return jnp.mean(jnp.log(sigma) + (nu + 1) / 2 * jnp.log1p((r / sigma) ** 2 / nu))


def gaussian_variance(s2, x, mu):
    return jnp.sum(jnp.log(s2) / 2 + (x - mu) ** 2 / (2 * s2))


def heteroscedastic(log_sigma, r):
    return jnp.mean(log_sigma + r**2 * jnp.exp(-2 * log_sigma) / 2)


def covariance_likelihood(S, x):
    return jnp.linalg.slogdet(S)[1] / 2 + x @ jnp.linalg.solve(S, x) / 2


def covariance_likelihood_gradient(S, x):
    return inv(S).T / 2 - jnp.outer(inv(S).T @ x, inv(S) @ x) / 2


def wishart_likelihood(S, C):
    return jnp.linalg.slogdet(S)[1] + jnp.trace(inv(S) @ C)


def wishart_likelihood_gradient(S, C):
    return inv(S) - inv(S) @ C @ inv(S)


def wishart_likelihood_doubled(S, C):
    G = wishart_likelihood_gradient(S, C)
    return 2 * G - jnp.diag(jnp.diag(G))


def gaussian_kl(S, T, m):
    """KL(N(m, S) || N(0, T))."""
    log_ratio = jnp.linalg.slogdet(T)[1] - jnp.linalg.slogdet(S)[1]
    return (jnp.trace(inv(T) @ S) + m @ inv(T) @ m - len(m) + log_ratio) / 2


def vae_kl(latent):
    mu, log_var = latent["mu"], latent["log_var"]
    return jnp.sum(mu**2 + jnp.exp(log_var) - log_var - 1) / 2


def vae_kl_gradient(latent):
    return {"mu": latent["mu"], "log_var": (jnp.exp(latent["log_var"]) - 1) / 2}


def vae_kl_by_variance(latent):
    return {"mu": latent["mu"], "log_var": (1 - jnp.exp(-latent["log_var"])) / 2}


def squared_distances(X):
    return jnp.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=2)


def marginal_likelihood(C, y):
    return y @ jnp.linalg.solve(C, y) / 2 + jnp.linalg.slogdet(C)[1] / 2


def gp_length(theta, X, y):
    """Squared exponential kernel of length scale exp(theta), unit noise."""
    kernel = jnp.exp(-squared_distances(X) / (2 * jnp.exp(2 * theta)))
    return marginal_likelihood(kernel + jnp.eye(len(y)), y)


def gp_length_derivative(theta, X, y):
    D, length = squared_distances(X), jnp.exp(theta)
    kernel = jnp.exp(-D / (2 * length**2))
    precision = inv(kernel + jnp.eye(len(y)))
    alpha = precision @ y
    return jnp.sum((precision - jnp.outer(alpha, alpha)) * kernel * D) / (2 * length**2)


def gp_noise(sigma, X, y):
    return marginal_likelihood(jnp.exp(-squared_distances(X) / 2) + sigma**2 * jnp.eye(len(y)), y)


def gp_noise_derivative(sigma, X, y):
    precision = inv(jnp.exp(-squared_distances(X) / 2) + sigma**2 * jnp.eye(len(y)))
    alpha = precision @ y
    return sigma * (jnp.trace(precision) - alpha @ alpha)


def gp_noise_data_only(sigma, X, y):
    alpha = jnp.linalg.solve(jnp.exp(-squared_distances(X) / 2) + sigma**2 * jnp.eye(len(y)), y)
    return -sigma * (alpha @ alpha)


def kernel_machine(x, centres, a, gamma):
    return a @ jnp.exp(-gamma * jnp.sum((x[None, :] - centres) ** 2, axis=1))


def kernel_weights(x, centres, a, gamma):
    return a * jnp.exp(-gamma * jnp.sum((x[None, :] - centres) ** 2, axis=1))


def kernel_machine_gradient(x, centres, a, gamma):
    return -2 * gamma * kernel_weights(x, centres, a, gamma) @ (x[None, :] - centres)


def kernel_machine_outer(x, centres, a, gamma):
    D = x[None, :] - centres
    return 4 * gamma**2 * D.T @ (kernel_weights(x, centres, a, gamma)[:, None] * D)


def kernel_machine_hessian(x, centres, a, gamma):
    trace_term = 2 * gamma * jnp.sum(kernel_weights(x, centres, a, gamma)) * jnp.eye(len(x))
    return kernel_machine_outer(x, centres, a, gamma) - trace_term


def at_risk(t):
    """R[i, j]: is j under observation when i has its event?"""
    return jnp.where(t[None, :] >= t[:, None], 1.0, 0.0)


def cox(w, X, t, event):
    log_risk = jnp.log(at_risk(t) @ jnp.exp(X @ w))
    return jnp.sum(jnp.where(event, log_risk - X @ w, 0))


def cox_residual(w, X, event, R):
    e, hazard = jnp.where(event, 1.0, 0.0), jnp.exp(X @ w)
    return X.T @ (hazard * (R.T @ (e / (R @ hazard))) - e)


def dirichlet(alpha, log_p):
    return jnp.sum(gammaln(alpha) - (alpha - 1) * log_p) - gammaln(jnp.sum(alpha))


def box_cox(power, y):
    return jnp.sum((y**power - 1) / power)


PAIRS = [
    Pair(
        "poisson",
        poisson,
        (draw.real(d), draw.real(n, d), draw.positive(n)),
        "gradient",
        right=lambda w, X, y: X.T @ (jnp.exp(X @ w) - y) / len(y),
        wrong=lambda w, X, y: X.T @ (y - jnp.exp(X @ w)) / len(y),
        cause="sign",
        mistake="The score of the log-likelihood was given for the gradient of the loss.",
    ),
    Pair(
        "poisson_ridge_hvp",
        poisson_ridge,
        (draw.real(d), draw.real(n, d), draw.positive(n), draw.positive()),
        "hvp",
        right=poisson_ridge_hvp,
        wrong=lambda w, v, X, y, lam: X.T @ (jnp.exp(X @ w) * (X @ v)) / len(y),
        cause="term",
        mistake="The penalty's share lam v is missing.",
    ),
    Pair(
        "gradient_at_the_direction",
        poisson,
        (draw.real(d), draw.real(n, d), draw.positive(n)),
        "hvp",
        right=lambda w, v, X, y: X.T @ (jnp.exp(X @ w) * (X @ v)) / len(y),
        wrong=lambda w, v, X, y: X.T @ (jnp.exp(X @ v) - y) / len(y),
        cause="unknown",
        mistake="The gradient was evaluated at v, as if it were a linear map.",
    ),
    Pair(
        "poisson_exposure",
        poisson_exposure,
        (draw.real(n), draw.positive(n), draw.positive(n)),
        "hessian",
        right=lambda eta, y, exposure: jnp.diag(exposure * jnp.exp(eta)),
        wrong=lambda eta, y, exposure: jnp.diag(jnp.exp(eta)),
        cause="chain",
        mistake="The exposure is missing from the expected count.",
    ),
    Pair(
        "exponential",
        exponential,
        (draw.real(d), draw.real(n, d), draw.positive(n)),
        "gradient",
        right=lambda w, X, y: X.T @ (1 - y * jnp.exp(-X @ w)) / len(y),
        wrong=lambda w, X, y: X.T @ (1 + y * jnp.exp(-X @ w)) / len(y),
        cause="term",
        mistake="The inner derivative -1 of exp(-eta) was lost, so the second addend has the wrong sign.",
    ),
    Pair(
        "fisher_for_observed",
        gamma,
        (draw.real(d), draw.real(n, d), draw.positive(n), draw.positive()),
        "hessian",
        right=lambda w, X, y, shape: shape * X.T @ ((y * jnp.exp(-X @ w))[:, None] * X) / len(y),
        wrong=lambda w, X, y, shape: shape * X.T @ X / len(y),
        cause="chain",
        mistake="Expected information for observed: the weights y exp(-eta), whose mean is 1, are missing.",
    ),
    Pair(
        "tweedie",
        tweedie,
        (draw.real(n), draw.positive(n)),
        "gradient",
        right=lambda eta, y: (jnp.exp(eta / 2) - y * jnp.exp(-eta / 2)) / len(y),
        wrong=lambda eta, y: (jnp.exp(-eta / 2) - y * jnp.exp(-3 * eta / 2)) / len(y),
        cause="chain",
        mistake="The derivative in the mean mu; the factor dmu/deta = mu of the log link is missing.",
    ),
    Pair(
        "student_scale",
        student_scale,
        (draw.positive(), draw.real(n), draw.positive()),
        "gradient",
        right=lambda s, r, nu: jnp.mean(1 / s - (nu + 1) * r**2 / (s * (nu * s**2 + r**2))),
        wrong=lambda s, r, nu: jnp.mean(-(nu + 1) * r**2 / (s * (nu * s**2 + r**2))),
        cause="term",
        mistake="The derivative 1/sigma of the normalising constant is missing.",
    ),
    Pair(
        "gaussian_variance",
        gaussian_variance,
        (draw.positive(), draw.real(n), draw.real()),
        "gradient",
        right=lambda s2, x, mu: len(x) / (2 * s2) - jnp.sum((x - mu) ** 2) / (2 * s2**2),
        wrong=lambda s2, x, mu: len(x) / jnp.sqrt(s2) - jnp.sum((x - mu) ** 2) / s2**1.5,
        cause="chain",
        mistake="The derivative in sigma was given for that in sigma^2: the factor 1/(2 sigma) is missing.",
    ),
    Pair(
        "heteroscedastic",
        heteroscedastic,
        (draw.real(n), draw.real(n)),
        "gradient",
        right=lambda s, r: (1 - r**2 * jnp.exp(-2 * s)) / len(r),
        wrong=lambda s, r: (1 - r**2 * jnp.exp(-2 * s) / 2) / len(r),
        cause="term",
        mistake="The inner derivative -2 was taken for -1, which halves the data term.",
    ),
    Pair(
        "covariance_likelihood",
        covariance_likelihood,
        (draw.regular(d), draw.real(d)),
        "gradient",
        right=covariance_likelihood_gradient,
        wrong=lambda S, x: -covariance_likelihood_gradient(S, x),
        cause="sign",
        mistake="The derivative of the log-likelihood was given for that of the loss.",
    ),
    Pair(
        "wishart_likelihood",
        wishart_likelihood,
        (draw.covariance(d), draw.covariance(d)),
        "gradient",
        right=wishart_likelihood_gradient,
        wrong=wishart_likelihood_doubled,
        cause="where",
        mistake="The off-diagonal entries were doubled, as if S[i, j] and S[j, i] were one variable.",
        hypotheses=("S symmetric", "C symmetric"),
    ),
    Pair(
        "gaussian_kl",
        gaussian_kl,
        (draw.regular(d), draw.regular(d), draw.real(d)),
        "gradient",
        right=lambda S, T, m: (inv(T) - inv(S)).T / 2,
        wrong=lambda S, T, m: (inv(T) + inv(S)).T / 2,
        cause="term",
        mistake="The log determinant of S enters with a minus sign.",
    ),
    Pair(
        "vae_kl",
        vae_kl,
        ({"mu": draw.real(K), "log_var": draw.real(K)},),
        "gradient",
        right=vae_kl_gradient,
        wrong=vae_kl_by_variance,
        cause="chain",
        mistake="The derivative in the variance, not in its logarithm: exp(log_var) is missing.",
    ),
    Pair(
        "gp_length_scale",
        gp_length,
        (draw.real(), draw.real(n, d), draw.real(n)),
        "gradient",
        right=gp_length_derivative,
        wrong=lambda theta, X, y: gp_length_derivative(theta, X, y) / jnp.exp(theta),
        cause="chain",
        mistake="The derivative in the length scale was given for that in its logarithm.",
    ),
    Pair(
        "gp_noise",
        gp_noise,
        (draw.positive(), draw.real(n, d), draw.real(n)),
        "gradient",
        right=gp_noise_derivative,
        wrong=gp_noise_data_only,
        cause="term",
        mistake="Only the data fit was differentiated; the log determinant is missing.",
    ),
    Pair(
        "kernel_machine",
        kernel_machine,
        (draw.real(d), draw.real(n, d), draw.real(n), draw.positive()),
        "gradient",
        right=kernel_machine_gradient,
        wrong=lambda x, centres, a, gamma: kernel_machine_gradient(x, centres, a, gamma) / 2,
        cause="scale",
        mistake="exp(-gamma r^2) was differentiated as if it were exp(-gamma r^2 / 2).",
    ),
    Pair(
        "kernel_machine_hessian",
        kernel_machine,
        (draw.real(d), draw.real(n, d), draw.real(n), draw.positive()),
        "hessian",
        right=kernel_machine_hessian,
        wrong=kernel_machine_outer,
        cause="term",
        mistake="The derivative of the inner difference, a multiple of the identity, is missing.",
    ),
    Pair(
        "cox",
        cox,
        (draw.real(d), draw.real(n, d), draw.positive(n), draw.bits(n)),
        "gradient",
        right=lambda w, X, t, event: cox_residual(w, X, event, at_risk(t)),
        wrong=lambda w, X, t, event: cox_residual(w, X, event, at_risk(-t)),
        cause="branch",
        mistake="The comparison is the wrong way round: those who left earlier were taken for those at risk.",
    ),
    Pair(
        "dirichlet",
        dirichlet,
        (draw.positive(K), draw.real(K)),
        "gradient",
        right=lambda alpha, log_p: digamma(alpha) - digamma(jnp.sum(alpha)) - log_p,
        wrong=lambda alpha, log_p: jnp.log(alpha) - jnp.log(jnp.sum(alpha)) - log_p,
        cause="unknown",
        mistake="The digamma function was replaced by the logarithm, its limit for large arguments.",
    ),
    Pair(
        "box_cox",
        box_cox,
        (draw.positive(), draw.positive(n)),
        "gradient",
        right=lambda p, y: jnp.sum(y**p * jnp.log(y) / p - (y**p - 1) / p**2),
        wrong=lambda p, y: jnp.sum(y ** (p - 1)),
        cause="unknown",
        mistake="The power rule in y was used, but the variable is the exponent.",
    ),
]
