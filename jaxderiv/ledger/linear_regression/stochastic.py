r"""Stochastic gradients for least squares: unbiased, noisy, and with which steps they converge.

A step at observation i: $w \leftarrow w - \eta (x_i^\top w - y_i) x_i$. L is half the sum of n squared residuals.

Source: ML Math Derivations, part 5, "Optimisation"; Robbins and Monro (1951); Bottou et al. (2018), section 4.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, Simplex, UnitInterval, d, n
from jaxderiv.ledger.linear_regression.optimisation import squares
from jaxderiv.theorem import HYP, IMPR, NA, TRUE, at_most, close, equal, expectation, statement


def gradients(w, X, y):
    """Those of half the squared residuals, one row for each observation."""
    return jax.vmap(jax.grad(lambda w, x, y: (x @ w - y) ** 2 / 2), (None, 0, 0))(w, X, y)


# ------------------------------------------------------------------------------------------------------------
unbiased = statement(
    "C5.44",
    TRUE,
    r"The step $w - \eta (x_i^\top w - y_i) x_i$ at a uniformly drawn i is right on average: it follows an unbiased "
    r"estimate of $\nabla L / n$.",
)


@unbiased.true
def of_one_observation(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""The gradient at i is $(x_i^\top w - y_i)\, x_i$"""
    return equal(gradients(w, X, y), (X @ w - y)[:, None] * X)


@unbiased.true
def average(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""$\frac1n \sum_i (x_i^\top w - y_i)\, x_i = \nabla L(w) / n$"""
    return equal(jnp.mean((X @ w - y)[:, None] * X, axis=0), jax.grad(squares(X, y))(w) / len(y))


@unbiased.control
def drawn_unevenly(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], chances: Simplex[Array, n]):
    r"""The same if observation i is drawn with a chance of its own"""
    return equal(chances @ gradients(w, X, y), jax.grad(squares(X, y))(w) / len(y))


@unbiased.true
def drawn_unevenly_and_weighted(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], chances: Simplex[Array, n]):
    r"""... which weights $1 / (n p_i)$ repair, as long as no chance is zero"""
    chances = (chances + 1 / len(y)) / 2
    weighted = gradients(w, X, y) / (len(y) * chances)[:, None]
    return equal(chances @ weighted, jax.grad(squares(X, y))(w) / len(y))


# ------------------------------------------------------------------------------------------------------------
decreasing = statement(
    "C5.45",
    HYP,
    r"Almost sure convergence needs steps that decrease, such as $\eta_t = \eta_0 / (1 + t)$.",
    but=r"They suffice, and with noise at the solution a constant step does stall, at a variance of "
    r"$\eta\sigma^2 / (2 - \eta)$ on $\frac12 w^2$. They are not needed if the model interpolates: then a constant "
    r"step converges, linearly, and from zero to the solution of least norm. And the rate is O(1/t) only if "
    r"$\eta_0 \mu > \frac12$.",
)


def kaczmarz_like(rng, rows, columns, steps):
    """Constant steps on more weights than observations, so that all residuals can be zero: X, y, and the iterates'
    end."""
    X, y = rng.standard_normal((rows, columns)) / np.sqrt(columns), rng.standard_normal(rows)
    w = np.zeros(columns)
    for i in rng.integers(rows, size=steps):
        w -= 0.8 * (X[i] @ w - y[i]) * X[i]
    return X, y, w


@decreasing.as_worded
def constant_steps_stall(rng):
    r"""With a constant step the residuals of 5 observations and 20 weights do not go below a hundredth"""
    X, y, w = kaczmarz_like(rng, 5, 20, 2000)
    return at_most(0.01, np.linalg.norm(X @ w - y))


@decreasing.true
def interpolation(rng):
    r"""They go to zero, and w to $X^+ y$, the solution of least norm"""
    X, y, w = kaczmarz_like(rng, 5, 20, 2000)
    return close(X @ w, y, 1e-8), close(w, np.linalg.pinv(X) @ y, 1e-8)


@decreasing.true
def linear_rate(
    X: FullColumnRank[Array, n, d], w: Real[Array, d], best: Real[Array, d], share: UnitInterval[Array, ()]
):
    r"""If $y = X w^*$ and $\eta \le 1 / \max_i \|x_i\|^2$:
    $E\|w^+ - w^*\|^2 \le (1 - \eta\lambda_{\min}/n) \|w - w^*\|^2$ in each step"""
    eta = share / jnp.max(jnp.sum(X**2, axis=1))
    after = w[None, :] - eta * gradients(w, X, X @ best) - best[None, :]
    least = jnp.linalg.eigvalsh(X.T @ X)[0]
    return at_most(jnp.mean(jnp.sum(after**2, axis=1)), (1 - eta * least / len(X)) * (w - best) @ (w - best))


@decreasing.true
def noise_floor(eta: UnitInterval[Array, ()], sigma: Positive[Array, ()], start: Real[Array, ()]):
    r"""On $\frac12 w^2$ with gradient noise $\pm\sigma$ the mean of $w^2$, over all outcomes of 6 steps, goes to
    $V = \eta\sigma^2 / (2 - \eta)$ by $(1 - \eta)^2$ a step and no further"""
    signs = jnp.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    w = jnp.full(len(signs), 1.0) * start
    for sign in signs.T:
        w = w - eta * (w + sigma * sign)
    floor = eta * sigma**2 / (2 - eta)
    return equal(jnp.mean(w**2) - floor, (1 - eta) ** 12 * (start**2 - floor))


@decreasing.true
def running_mean(noise: Real[Array, n], start: Real[Array, ()]):
    r"""With $\eta_t = 1 / (1 + t)$, on $\frac12 (w - y_t)^2$, the iterate is the mean of the $y_t$: the law of large
    numbers"""
    w = start
    for t in range(len(noise)):
        w = w - (w - noise[t]) / (1 + t)
    return equal(w, jnp.mean(noise))


def variance(eta0, steps):
    r"""$V_t$ of $w_t$ with $\eta_t = \eta_0 / (1 + t)$ on $\frac12 w^2$, noise of variance one, $w_0 = 1$"""
    out = [1.0]
    for t in range(1, steps + 1):
        out.append((1 - eta0 / t) ** 2 * out[-1] + (eta0 / t) ** 2)
    return np.array(out)


@decreasing.as_worded
def fast_for_every_first_step():
    r"""Decreasing steps give O(1/t) for every $\eta_0$: with 0.25 too, $t V_t$ is bounded by 10"""
    return at_most(np.arange(40_001) * variance(0.25, 40_000), 10.0)


@decreasing.true
def fast_and_slow():
    r"""With $\mu = 1$: $t V_t \to \eta_0^2 / (2\eta_0 - 1)$ for $\eta_0$ = 1 and 2; $V_t \sim t^{-1/2}$ for
    $\eta_0 = \frac14$"""
    ends = {eta0: variance(eta0, 40_000) for eta0 in (1.0, 2.0, 0.25)}
    limits = [close(40_000 * ends[eta0][-1], eta0**2 / (2 * eta0 - 1), 1e-3) for eta0 in (1.0, 2.0)]
    return *limits, close(ends[0.25][-1] / ends[0.25][10_000], 0.5, 0.01)


# ------------------------------------------------------------------------------------------------------------
batches = statement(
    "C5.46",
    IMPR,
    r"Mini-batches of 32 to 512 combine the speed of full gradients with SGD's variance reduction.",
    but=r"The variance is reduced by averaging, to 1/B of a single gradient's (with replacement; without, to "
    r"$\frac{n - B}{n - 1}$ of that). A single gradient's is the largest, so SGD has none to contribute. The range is "
    r"practice.",
)


def spread(estimates):
    """The total variance of equally likely estimates, one to a row."""
    return jnp.mean(jnp.sum((estimates - jnp.mean(estimates, axis=0, keepdims=True)) ** 2, axis=1))


def of_batches(g, draws):
    """The averages of these rows, one for each draw."""
    return jnp.mean(g[np.array(list(draws))], axis=1)


@batches.as_worded(at=[{"w": [0.0], "X": [[1.0]] * 4, "y": [1.0, -1.0, 0.0, 0.0]}])
def one_varies_less(w: Real[Array, d], X: Real[Array, 4, d], y: Real[Array, 4]):
    r"""A single gradient varies no more than the average of two"""
    g = gradients(w, X, y)
    return at_most(spread(g), spread(of_batches(g, itertools.product(range(4), repeat=2))))


@batches.true
def averaging(w: Real[Array, d], X: Real[Array, 4, d], y: Real[Array, 4]):
    r"""Over all draws of B = 3 of n = 4: a third of the variance with replacement, $\frac13 \cdot \frac{n - B}{n - 1}$
    without"""
    g = gradients(w, X, y)
    with_replacement, without = itertools.product(range(4), repeat=3), itertools.combinations(range(4), 3)
    one = spread(g)
    return equal(spread(of_batches(g, with_replacement)), one / 3), equal(spread(of_batches(g, without)), one / 9)


@batches.true
def batches_of_32(rng):
    r"""Of 2000 random batches of 32: the squared distance from the full gradient averages 1/32 of a single
    gradient's"""
    X, y, w = rng.standard_normal((500, 3)), rng.standard_normal(500), rng.standard_normal(3)
    g = np.asarray(gradients(w, X, y))
    estimates = g[rng.integers(500, size=(2000, 32))].mean(axis=1)
    return expectation(np.sum((estimates - g.mean(axis=0)) ** 2, axis=1), spread(g) / 32)


# ------------------------------------------------------------------------------------------------------------
escaping = statement(
    "C5.47",
    NA,
    r"In non-convex problems the noise of stochastic gradients helps to escape from bad regions.",
    but=r"A tendency, without a class of problems, a kind of noise or a notion of bad that would make it decidable. "
    r"Least squares has no bad regions.",
)
