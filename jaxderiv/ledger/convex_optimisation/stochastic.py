r"""Stochastic gradients: what sampling keeps on average, the noise floor of SGD and its rates.

An expectation over samples is taken exactly, by running over all of them, or by the recursion of the second moment.

Source: ML Math Derivations, part 4, "Stochastic gradients"; the rates: Nemirovski, Juditsky, Lan and Shapiro (2009).
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, UnitInterval, d, n
from jaxderiv.ledger.convex_optimisation.costs import operations
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.theorem import FALSE, HYP, NA, TRUE, at_most, close, equal, expectation, statement

unbiased = statement(
    "C4.55",
    TRUE,
    r"If $f = \frac1N \sum f_i$ and i is uniform, then $\mathbb E \nabla f_i = \nabla f$, at $1/N$ of the cost.",
)


def batches(size, count, replaced):
    r"""All batches, as rows of weights that average over them"""
    chosen = itertools.product(range(count), repeat=size) if replaced else itertools.combinations(range(count), size)
    return np.array([np.bincount(batch, minlength=count) / size for batch in chosen])


def moments(weights, g):
    r"""Mean and covariance of the batch gradient, all batches being as likely; g: the gradients of the single terms"""
    means = jnp.asarray(weights, g.dtype) @ g
    centred = means - jnp.mean(means, axis=0)[None]
    return jnp.mean(means, axis=0), centred.T @ centred / len(means)


def logistic(w, x, y):
    r"""$\log(1 + e^{-y x^\top w})$"""
    return jnp.logaddexp(0.0, -y * (x @ w))


def mean_logistic(w, X, y):
    r"""$\frac1N \sum_i \log(1 + e^{-y_i x_i^\top w})$"""
    return jnp.mean(jnp.logaddexp(0.0, -y * (X @ w)))


@unbiased.true
def one_term(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""$\frac1N \sum_i \nabla f_i(w) = \nabla f(w)$, for the logistic loss"""
    single = jax.vmap(jax.grad(logistic), (None, 0, 0))(w, X, y)
    return equal(jnp.mean(single, axis=0), jax.grad(mean_logistic)(w, X, y))


@unbiased.true
def batch_of_two(g: Real[Array, 5, d]):
    r"""Batches of B: the mean is $\bar g$, and the covariance is $\Sigma / B$ with replacement and
    $\frac \Sigma B \frac{N - B}{N - 1}$ without"""
    mean, covariance = moments(np.eye(len(g)), g)
    with_mean, with_covariance = moments(batches(2, len(g), replaced=True), g)
    without_mean, without_covariance = moments(batches(2, len(g), replaced=False), g)
    smaller = covariance / 2 * (len(g) - 2) / (len(g) - 1)
    return (
        equal(with_mean, mean),
        equal(with_covariance, covariance / 2),
        equal(without_mean, mean),
        equal(without_covariance, smaller),
    )


@unbiased.control
def independent_without_replacement(g: Real[Array, 5, d]):
    r"""The covariance $\Sigma / B$ without replacement"""
    return equal(moments(batches(2, len(g), replaced=False), g)[1], moments(np.eye(len(g)), g)[1] / 2)


@unbiased.true
def cost():
    r"""Floating-point operations that XLA counts for the gradient of one term and of all 100: a hundredth, to one
    percent"""
    count = lambda rows: operations(jax.grad(mean_logistic), 50, (rows, 50), rows)
    return close(100 * count(1) / count(100), 1.0, 0.01)


on_average = statement(
    "C4.56",
    HYP,
    r"SGD walks around the path of gradient descent, on average close to it.",
    r"On average it *is* on that path if the gradients are affine and the steps equal. Otherwise the averages drift "
    r"apart.",
)


def average_path(slopes, x, alpha, count):
    r"""$\mathbb E x_k$ of SGD with these slopes of the terms, over all sequences of terms"""
    out, every = [x], x[None]
    for _ in range(count):
        every = jnp.ravel(jax.vmap(lambda x: x - alpha * slopes(x))(every))
        out.append(jnp.mean(every))
    return jnp.stack(out)


@on_average.as_worded
def convex_terms(x: Real[Array, ()], b: Real[Array, 2], alpha: UnitInterval[Array, ()]):
    r"""$\mathbb E x_k$ is the iterate of gradient descent for the terms $\log \cosh(x - b_i)$"""
    f = lambda x: jnp.mean(jnp.log(jnp.cosh(x - b)))
    return equal(average_path(lambda x: jnp.tanh(x - b), x, alpha, 2), gradient_descent(f, x, alpha, 2))


@on_average.true
def affine_gradients(x: Real[Array, ()], a: Positive[Array, 3], b: Real[Array, 3], alpha: Positive[Array, ()]):
    r"""$\mathbb E x_k$ is the iterate of gradient descent for the terms $\frac12 a_i (x - b_i)^2$"""
    f = lambda x: jnp.mean(a * (x - b) ** 2 / 2)
    return equal(average_path(lambda x: a * (x - b), x, alpha, 3), gradient_descent(f, x, alpha, 3))


@on_average.control
def steps_of_the_figure(x: Real[Array, ()], a: Positive[Array, 3], b: Real[Array, 3]):
    r"""The same with the unequal steps of the figure, 0.06 for SGD and 0.18 for gradient descent"""
    f = lambda x: jnp.mean(a * (x - b) ** 2 / 2)
    return equal(average_path(lambda x: a * (x - b), x, 0.06, 3), gradient_descent(f, x, 0.18, 3))


rates = statement(
    "C4.57",
    FALSE,
    r"For convex f, SGD converges at $O(1/\sqrt k)$ with a constant step and at $O(1/k)$ with a shrinking one.",
    r"A constant step ends at a noise floor. $O(1/\sqrt K)$ is for the average of K iterates with a step proportional "
    r"to $1/\sqrt K$. $O(1/k)$ needs strong convexity and $\alpha_k = c/k$ with $c > 1/(2\mu)$.",
)


def second_moments(steps):
    r"""$\mathbb E x_k^2$ of SGD from 1 on the two terms $\frac12 (x \mp 1)^2$: $s \leftarrow (1 - \alpha_k)^2 s +
    \alpha_k^2$"""
    step = lambda s, alpha: ((1 - alpha) ** 2 * s + alpha**2,) * 2
    return jax.lax.scan(step, jnp.ones(()), steps)[1]


@rates.as_worded
def constant_step():
    r"""$\sqrt k\, \mathbb E[f(x_k) - f^*]$ is at k = 10⁵ no larger than it was among the first thousand, with $\alpha =
    0.1$"""
    scaled = jnp.sqrt(jnp.arange(1.0, 1e5 + 1)) * second_moments(jnp.full(10**5, 0.1)) / 2
    return at_most(scaled[-1], jnp.max(scaled[:1000]))


@rates.as_worded
def shrinking_step():
    r"""$k (f(x_k) - f^*)$ is at k = 10⁶ no larger than it was before k = 10⁴, on $x^4 / 4$ with $\alpha_k = 1/(2k)$ and
    no noise"""
    step = lambda x, alpha: (x - alpha * x**3,) * 2
    k = jnp.arange(1.0, 1e6 + 1)
    scaled = k * jax.lax.scan(step, jnp.ones(()), 0.5 / k)[1] ** 4 / 4
    return at_most(scaled[-1], jnp.max(scaled[: 10**4]))


@rates.true
def noise_floor(x: Real[Array, ()], alpha: UnitInterval[Array, ()]):
    r"""With the two terms $\frac12 (x \mp 1)^2$: $\mathbb E x_{k+1}^2 - s = (1 - \alpha)^2 (x_k^2 - s)$, $s = \alpha /
    (2 - \alpha)$: a linear approach to the gap $\frac s2$"""
    slopes = jax.vmap(jax.grad(lambda x, b: (x - b) ** 2 / 2), (None, 0))(x, jnp.array([1.0, -1.0]))
    floor = alpha / (2 - alpha)
    return equal(jnp.mean((x - alpha * slopes) ** 2) - floor, (1 - alpha) ** 2 * (x**2 - floor))


@rates.true
def simulated_floor(rng):
    r"""Simulated, 4000 runs of 200 steps with $\alpha = 0.1$: the mean gap is $\frac{\alpha}{2 (2 - \alpha)} =
    0.02632$"""
    x = np.zeros(4000)
    for _ in range(200):
        x += 0.1 * (rng.choice([-1.0, 1.0], x.size) - x)
    return expectation(x**2 / 2, 0.1 / (2 * 1.9)), close(0.1 / (2 * 1.9), 0.02632, 5e-6)


@rates.true
def averaged(x: Real[Array, ()], b: Real[Array, 2], u: Real[Array, ()]):
    r"""The average of K iterates on the terms $|x - b_i|$, with $\alpha = R / \sqrt K$: $\mathbb E f(\bar x) - f(u) \le
    R / \sqrt K$ for every u, where $R = |x_0 - u|$; over all sequences of K = 6 terms"""
    K, R, f = 6, abs(x - u), lambda x: jnp.mean(abs(x - b))
    every, total = x[None], 0 * x[None]
    for _ in range(K):
        total = jnp.repeat(total + every, 2)
        every = jnp.ravel(jax.vmap(lambda x: x - R / K**0.5 * jnp.sign(x - b))(every))
    return at_most(jnp.mean(jax.vmap(f)(total / K)) - f(u), R / K**0.5)


@rates.true
def strongly_convex():
    r"""With $\alpha_k = c/k$ on the two terms $\frac12 (x \mp 1)^2$ ($\mu = 1$), $k\, \mathbb E[f(x_k) - f^*]$ tends to
    $\frac{c^2}{2 (2c - 1)}$ for c = 1 and 2"""
    k = jnp.arange(1.0, 1e5 + 1)
    found = jnp.stack([k[-1] * second_moments(c / k)[-1] / 2 for c in (1.0, 2.0)])
    return close(found, jnp.array([1 / 2, 4 / 6]), 1e-4)


@rates.true
def too_short_steps():
    r"""Even without noise, $\alpha_k = 0.1 / k$ on $\frac12 x^2$ leaves a gap of 0.044 at k = 10⁵, and $\alpha_k =
    1/(2k)$ on $\frac14 x^4$ has k · gap = 0.36, 15 and 816 at k = 10², 10⁴ and 10⁶"""
    k = jnp.arange(1.0, 1e6 + 1)
    quartic = jax.lax.scan(lambda x, alpha: (x - alpha * x**3,) * 2, jnp.ones(()), 0.5 / k)[1] ** 4 / 4
    found = [k[10**i - 1] * quartic[10**i - 1] for i in (2, 4, 6)]
    return close(jnp.prod(1 - 0.1 / k[: 10**5]) ** 2 / 2, 0.044, 5e-4), [
        close(one, to, error) for one, to, error in zip(found, (0.36, 15, 816), (5e-3, 0.5, 0.5), strict=True)
    ]


escape = statement(
    "C4.58",
    NA,
    r"The noise of SGD helps it to leave saddles and narrow minima, and so to generalise better than full batches.",
    r"An empirical remark about networks: it names no quantity that could be compared.",
)
