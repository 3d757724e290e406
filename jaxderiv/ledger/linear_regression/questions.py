r"""Questions on losses and solutions: which loss goes with which errors, what ridge leaves out, and what linear means.

X is n by d, $\hat w = (X^\top X)^{-1} X^\top y$. A matrix of rank r is written $X = B C^\top$ with B and C of full
column rank.

Source: ML Math Derivations, part 5, "Questions" 1, 3, 4 and 9.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import laplace, norm
from scipy import integrate, optimize

from jaxderiv.catalogue.regression.huber import pointwise
from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n, q
from jaxderiv.ledger.linear_regression.normal_equations import least_squares, pseudo_inverse
from jaxderiv.ledger.linear_regression.priors import ridge
from jaxderiv.theorem import NA, TRUE, at_most, close, equal, statement

# Losses ------------------------------------------------------------------------------------------------------
losses = statement(
    "C5.62",
    TRUE,
    r"The squared loss is smooth, has a closed form, and goes with Gaussian errors; the absolute loss has a kink, is "
    r"a linear program, and goes with Laplace errors; Huber's is smooth, needs iterations, and goes with errors that "
    r"are Gaussian in the middle with Laplace tails.",
)
losses.line("regression/least_squares", "normal_equations")
losses.line("regression/huber", "influence")


@losses.true
def squared_is_gaussian(r: Real[Array, ()], s: Positive[Array, ()]):
    r"""$-\frac{d}{dr} \log p = \frac{1}{\sigma^2} \frac{d}{dr} \frac{r^2}{2}$ for $N(0, \sigma^2)$"""
    score = -jax.grad(lambda r: norm.logpdf(r, 0.0, s))(r)
    return equal(score, jax.grad(lambda r: r**2 / 2)(r) / s**2)


@losses.true
def absolute_is_laplace(r: Positive[Array, ()], s: Positive[Array, ()]):
    r"""$-\frac{d}{dr} \log p = \pm\frac1b$ for Laplace's density of scale b, at $\pm r$: the slopes of $|r| / b$"""
    score = jax.grad(lambda r: -laplace.logpdf(r, 0.0, s))
    return equal(score(r), 1 / s), equal(score(-r), -1 / s)


@losses.true
def huber_is_a_density():
    r"""$\int e^{-\rho_\delta} = \sqrt{2\pi}\, \mathrm{erf}(\delta / \sqrt2) + \frac2\delta e^{-\delta^2 / 2}$: the
    Gaussian middle and two exponential tails make a density"""
    out = []
    for delta in (0.3, 1.345, 4.0):
        found = 2 * sum(
            integrate.quad(lambda r: math.exp(-pointwise(r, delta)), *ends)[0] for ends in ((0, delta), (delta, np.inf))
        )
        mass = math.sqrt(2 * math.pi) * math.erf(delta / math.sqrt(2)) + 2 / delta * math.exp(-(delta**2) / 2)
        out.append(close(found, mass, 1e-8))
    return out


@losses.true
def absolute_is_a_linear_program(rng):
    r"""$\min_w \sum_i |x_i^\top w - y_i|$ as $\min \sum_i t_i$ with $-t \le Xw - y \le t$; the best line through two of
    the points is as good"""
    X, y = np.stack([rng.standard_normal(12), np.ones(12)], axis=1), rng.standard_normal(12)
    costs, identity = np.append(np.zeros(2), np.ones(12)), np.eye(12)
    left = np.block([[X, -identity], [-X, -identity]])
    program = optimize.linprog(costs, left, np.append(y, -y), bounds=[(None, None)] * 14)
    lines = [np.linalg.solve(X[list(two)], y[list(two)]) for two in itertools.combinations(range(12), 2)]
    return close(program.fun, min(np.sum(abs(X @ w - y)) for w in lines), 1e-8)


# ------------------------------------------------------------------------------------------------------------
rank_deficient = statement(
    "C5.65",
    TRUE,
    r"$X^\top X + \lambda I$ is positive definite for every $\lambda > 0$, also without full column rank; the ridge "
    r"solution has no component in the null space of X.",
)
rank_deficient.line("regression/ridge", "hessian", "curvature_along")


@rank_deficient.true
def in_the_row_space(
    B: FullColumnRank[Array, n, q], C: FullColumnRank[Array, d, q], y: Real[Array, n], lam: Positive[Array, ()]
):
    r"""$X^+ X w = w$: the ridge solution is its own projection onto the row space"""
    X = B @ C.T
    w = ridge(X, y, lam)
    return equal(pseudo_inverse(B, C) @ (X @ w), w)


@rank_deficient.control
def least_squares_too(
    B: FullColumnRank[Array, 3, 1], C: FullColumnRank[Array, 2, 1], y: Real[Array, 3], z: Real[Array, 2]
):
    r"""The same of every least-squares solution, $w = X^+ y + (I - X^+ X) z$"""
    X, P = B @ C.T, pseudo_inverse(B, C)
    w = P @ y + z - P @ (X @ z)
    return equal(P @ (X @ w), w)


tuning = statement(
    "C5.66",
    NA,
    r"Choose $\lambda$ by cross-validation on a logarithmic grid from 0.001 to 1000.",
    but=r"Advice. The range has no unit: multiply X by 1000, and the $\lambda$ that does the same is a million times "
    r"as large. Take it relative to $\|X\|^2$, or, for the lasso, to $\max_j |x_j^\top y|$.",
)


# ------------------------------------------------------------------------------------------------------------
in_parameters = statement(
    "C5.74", TRUE, r"A linear model is linear in its weights; in the inputs it need not be: polynomials can be fitted."
)


def cubic(w, x):
    return jnp.polyval(w, x)


@in_parameters.true
def linear_in_weights(v: Real[Array, 4], w: Real[Array, 4], a: Real[Array, ()], x: Real[Array, ()]):
    r"""$f_{a v + w}(x) = a f_v(x) + f_w(x)$ for cubics"""
    return equal(cubic(a * v + w, x), a * cubic(v, x) + cubic(w, x))


@in_parameters.true
def fitted_exactly(w: Real[Array, 4]):
    r"""Least squares on the columns $x^3$, $x^2$, x, 1 finds the weights of a cubic from six of its values"""
    x = jnp.arange(1.0, 7.0)
    return equal(least_squares(jnp.vander(x, 4), cubic(w, x)), w)


@in_parameters.control
def linear_in_inputs(w: Real[Array, 4], a: Real[Array, ()], x: Real[Array, ()], z: Real[Array, ()]):
    r"""$f_w(a x + z) = a f_w(x) + f_w(z)$"""
    return equal(cubic(w, a * x + z), a * cubic(w, x) + cubic(w, z))


# ------------------------------------------------------------------------------------------------------------
perspectives = statement(
    "C5.76",
    TRUE,
    r"Three independent perspectives, algebra, geometry and probability, lead to the one equation "
    r"$X^\top X w = X^\top y$.",
)
perspectives.line("regression/least_squares", "normal_equations")


def by_projection(X, y):
    """Coordinates of the projection of y, by Gram and Schmidt: last column first, then back."""
    columns: list[Array] = []
    for x in X.T:
        columns.append(x - sum((b @ x) / (b @ b) * b for b in columns))
    w: list[Array] = []
    for j in reversed(range(len(columns))):
        rest = y - sum(c * X[:, j + 1 + k] for k, c in enumerate(w))
        w.insert(0, (columns[j] @ rest) / (columns[j] @ columns[j]))
    return jnp.stack(w)


@perspectives.true
def three_ways(X: FullColumnRank[Array, n, d], y: Real[Array, n], s: Positive[Array, ()]):
    r"""The root of $\nabla L$, the coordinates of the projection, and the maximum of the Gaussian likelihood are one
    w"""
    negative = lambda w: -jnp.sum(norm.logpdf(y, X @ w, s))
    start = jnp.zeros(X.shape[1])
    likeliest = -jnp.linalg.solve(jax.hessian(negative)(start), jax.grad(negative)(start))
    w = least_squares(X, y)
    return equal(by_projection(X, y), w), equal(likeliest, w)


@perspectives.control(at=[{"y": [0.0, 0.0, 3.0], "w": 0.0}])
def laplace_errors_too(y: Real[Array, n], w: Real[Array, ()]):
    r"""Laplace errors lead to it as well: their likelihood is largest at the mean of y, where the only column is of
    ones"""
    likelihood = lambda w: jnp.sum(laplace.logpdf(y, w, 1.0))
    return at_most(-likelihood(jnp.mean(y)), -likelihood(w))
