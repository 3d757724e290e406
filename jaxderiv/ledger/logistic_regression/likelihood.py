r"""Likelihood, cross-entropy and squared error of a probability.

Labels are 0 or 1; $\hat y = \sigma(z)$; the loss of the series is the mean cross-entropy, in nats.

Source: ML Math Derivations, part 6, "Maximum likelihood" and "Cross-entropy against squared error".
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.classification import logistic, squared_error_sigmoid
from jaxderiv.catalogue.notation import sigmoid, softplus
from jaxderiv.domains import Array, Bit, K, Positive, Real, Simplex, UnitInterval, d, n
from jaxderiv.theorem import FALSE, TRUE, at_most, close, equal, holds, statement


def cross_entropy(p, q):
    r"""$H(p, q) = -\sum_k p_k \log q_k$ in nats"""
    return -jnp.sum(p * jnp.log(q))


def divergence(p, q):
    r"""$\mathrm{KL}(p \| q) = \sum_k p_k \log(p_k / q_k)$ for positive p"""
    return jnp.sum(p * jnp.log(p / q))


likelihood = statement(
    "C6.09",
    TRUE,
    r"The log-likelihood of independent labels is $\sum_i y_i \log \hat y_i + (1 - y_i) \log(1 - \hat y_i)$; the mean "
    "cross-entropy is minus its n-th part, so both have the same maximisers and minimisers.",
)


@likelihood.true
def logarithm_of_the_product(p: UnitInterval[Array, n], y: Bit[Array, n]):
    r"""$\log \prod_i \hat y_i^{y_i} (1 - \hat y_i)^{1 - y_i}$ is that sum"""
    product = jnp.prod(jnp.where(y == 1, p, 1 - p))
    return equal(jnp.log(product), jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)))


@likelihood.true
def loss_is_the_mean(w: Real[Array, d], X: Real[Array, n, d], y: Bit[Array, n]):
    r"""$-\frac1n$ of it is the loss of the catalogue without a penalty"""
    p = sigmoid(X @ w)
    log_likelihood = jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))
    return equal(-log_likelihood / len(y), logistic.loss(w, X, y, 0.0))


signs = statement(
    "C6.10",
    TRUE,
    r"With signs $s = 2y - 1$ the loss is $\frac1n \sum_i \log(1 + e^{-s_i z_i})$, and "
    r"$\log(1 + e^z) - yz$ for each observation.",
)
signs.line("classification/logistic_signs", "gradient")


@signs.true
def stable_forms_agree(z: Real[Array, n], y: Bit[Array, n]):
    r"""$\log(1 + e^{-sz}) = \log(1 + e^z) - yz$"""
    return equal(softplus(-(2 * y - 1) * z), logistic.pointwise(z, y))


bits = statement(
    "C6.11",
    FALSE,
    r"The cross-entropy $H(p, q) = -\sum_k p_k \ln q_k$ measures the extra bits for coding p with a code for q.",
    but=r"It is the whole expected length; the excess is $\mathrm{KL}(p \| q) = H(p, q) - H(p, p)$, and the natural "
    r"logarithm counts nats. For one-hot p, the case in use, $H(p, p) = 0$ and both are the same.",
)


@bits.as_worded(at=[{"p": [0.5, 0.5], "q": [0.5, 0.5]}])
def cross_entropy_is_the_excess(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$H(p, q)$ is the excess over the best code; at $p = q$ there is none, and $H = \log 2$"""
    return equal(cross_entropy(p, q), divergence(p, q))


@bits.true
def excess_is_the_divergence(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$H(p, q) - H(p, p) = \mathrm{KL}(p \| q)$"""
    return equal(cross_entropy(p, q) - cross_entropy(p, p), divergence(p, q))


@bits.true
def one_hot_targets(q: Simplex[Array, K]):
    r"""For a one-hot p the cross-entropy is $-\log q_c$, all of it excess"""
    return equal(cross_entropy(jnp.zeros_like(q).at[0].set(1.0), q), -jnp.log(q[0]))


same_minimiser = statement("C6.12", TRUE, r"$\arg\min_q H(p, q) = \arg\min_q \mathrm{KL}(p \| q)$.")


@same_minimiser.true
def they_differ_by_a_constant(p: Simplex[Array, K], q: Simplex[Array, K], r: Simplex[Array, K]):
    r"""$H(p, q) - H(p, r) = \mathrm{KL}(p \| q) - \mathrm{KL}(p \| r)$ for any two q and r"""
    return equal(cross_entropy(p, q) - cross_entropy(p, r), divergence(p, q) - divergence(p, r))


@same_minimiser.true(at=[{"p": [0.25, 0.75], "q": [0.25, 0.75]}])
def the_minimiser_is_p(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$H(p, p) \le H(p, q)$"""
    return at_most(cross_entropy(p, p), cross_entropy(p, q))


squares = statement(
    "C6.13",
    TRUE,
    r"$\frac{d}{dz} \frac12 (\sigma(z) - y)^2 = (\hat y - y)\, \hat y (1 - \hat y)$, "
    r"at most a quarter of $|\hat y - y|$.",
)
squares.line("classification/squared_error_sigmoid", "slope")


@squares.true
def slope_of_squares(z: Real[Array, n], y: Bit[Array, n]):
    r"""The derivative of half the square"""
    slopes = jax.vmap(jax.grad(lambda z, y: (sigmoid(z) - y) ** 2 / 2))(z, y)
    return equal(slopes, (sigmoid(z) - y) * sigmoid(z) * sigmoid(-z))


@squares.true(at=[{"z": 0.0, "y": 1.0}])
def damped_by_four(z: Real[Array, ()], y: Bit[Array, ()]):
    r"""$|(\hat y - y)\, \hat y (1 - \hat y)| \le \frac14 |\hat y - y|$"""
    p = sigmoid(z)
    return at_most(abs(p - y) * p * sigmoid(-z), abs(p - y) / 4)


@squares.true(at=lambda: [{"z": -jnp.log(2.0)}])
def largest_slope(z: Real[Array, ()]):
    r"""For $y = 1$ it is at most $\frac{4}{27}$, attained at $\hat y = \frac13$"""
    return at_most(sigmoid(-z) * sigmoid(z) * sigmoid(-z), 4 / 27)


entropy_slope = statement("C6.14", TRUE, r"$\frac{d}{dz}$ of the cross-entropy is $\hat y - y$.")
entropy_slope.line("classification/logistic", "residual")


saturation = statement(
    "C6.15",
    TRUE,
    r"For $y = 1$ and $\hat y \to 0$ the slope of the cross-entropy tends to -1 and that of the squared error to 0.",
)


@saturation.true
def ratio_of_the_slopes(z: Real[Array, ()]):
    r"""The first is $1 / (\hat y (1 - \hat y))$ times the second"""
    squared = jax.grad(lambda z: (sigmoid(z) - 1) ** 2 / 2)(z)
    entropy = jax.grad(lambda z: logistic.pointwise(z, 1.0))(z)
    return equal(squared, entropy * sigmoid(z) * sigmoid(-z))


@saturation.true
def limits(t: Positive[Array, ()]):
    r"""At $z = -t$: the one is within $e^{-t}$ of -1, the other within $e^{-t}$ of 0"""
    slope = lambda f: jax.grad(f)(-t)
    near = jnp.exp(-t)
    entropy, squared = slope(lambda z: softplus(z) - z), slope(lambda z: (sigmoid(z) - 1) ** 2 / 2)
    return at_most(abs(entropy + 1), near), at_most(abs(squared), near)


not_convex = statement("C6.16", TRUE, "The squared error behind a sigmoid is not convex in the weights.")
not_convex.line("classification/squared_error_sigmoid", "hessian")


@not_convex.true
def negative_curvature():
    r"""At $z = -3$, $y = 1$ its second derivative is -0.0369"""
    second = jax.grad(jax.grad(lambda z: (sigmoid(z) - 1.0) ** 2 / 2))(-3.0)
    return close(second, -0.0369, 5e-5), at_most(second, 0.0)


@not_convex.control(at=[{"z": -3.0, "y": 1.0}])
def curvature_is_never_negative(z: Real[Array, ()], y: Bit[Array, ()]):
    r"""The second derivative is at least 0 everywhere"""
    loss = lambda z: squared_error_sigmoid.pointwise(z[None], y[None])[0]
    return at_most(-jax.grad(jax.grad(loss))(z), 0.0)


picture = statement(
    "C6.17",
    TRUE,
    "Figure 3: for y = 1 the cross-entropy is unbounded and its slope near 1 where the prediction is wrong; half the "
    "squared error is at most a half and its slope vanishes there.",
)


@picture.true(at=[{"p": 2.0**-27}])
def heights(p: UnitInterval[Array, ()]):
    r"""$\frac12 (1 - p)^2 \le \frac12$ and $\frac12 (1 - p)^2 \le -\log p$"""
    return at_most((1 - p) ** 2 / 2, 0.5), at_most((1 - p) ** 2 / 2, -jnp.log(p))


@picture.true
def no_height_bounds_the_entropy(c: Positive[Array, ()]):
    r"""At $\hat y = e^{-c}$ the cross-entropy is c, however large"""
    return equal(-jnp.log(jnp.exp(-c)), c)


in_the_probability = statement(
    "C6.18",
    TRUE,
    r"$\partial L / \partial \hat y = -y / \hat y + (1 - y) / (1 - \hat y)$ for $0 < \hat y < 1$.",
)


@in_the_probability.true
def slope_in_the_probability(p: UnitInterval[Array, n], y: Bit[Array, n]):
    r"""The derivative of $-y \log p - (1 - y) \log(1 - p)$"""
    slopes = jax.vmap(jax.grad(lambda p, y: -y * jnp.log(p) - (1 - y) * jnp.log(1 - p)))(p, y)
    return equal(slopes, -y / p + (1 - y) / (1 - p))


chain = statement(
    "C6.19",
    TRUE,
    r"The chain rule through $\hat y$ and z makes it $(\hat y - y)\, x$ for one observation.",
)


@chain.true
def factors_cancel(w: Real[Array, d], x: Real[Array, d], y: Bit[Array, ()]):
    r"""$(-\frac{y}{\hat y} + \frac{1 - y}{1 - \hat y})\, \hat y (1 - \hat y)\, x = (\hat y - y)\, x = \nabla_w L$"""
    p = sigmoid(w @ x)
    product = (-y / p + (1 - y) / (1 - p)) * p * (1 - p) * x
    slope = jax.grad(lambda w: logistic.pointwise((w @ x)[None], y[None])[0])(w)
    return equal(product, (p - y) * x), equal(slope, (p - y) * x)


@chain.control
def uncancelled_product_is_finite():
    """In float64 autodiff of the uncancelled form is finite at z = 40, y = 0"""
    entropy = lambda z: -jnp.log(1 - sigmoid(z))
    return holds(jnp.isfinite(jax.grad(entropy)(40.0)))
