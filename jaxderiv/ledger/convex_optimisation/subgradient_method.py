r"""The subgradient method: how close to the minimum many steps come, and how close they can come at best.

f is convex with minimum f* at x*, R is the distance of the start from x*, G a bound on the lengths of subgradients.
Iterates are $x_0, x_1, \dots$, and K steps are judged by the best of the K points that they are taken from.

Source: ML Math Derivations, part 4, "Subgradients"; Nesterov, Lectures on Convex Optimization (2018), section 3.2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, d, m, p
from jaxderiv.ledger.notation import Function, iterates
from jaxderiv.theorem import HYP, at_most, close, statement

rate = statement(
    "C4.33",
    HYP,
    r"The subgradient method needs steps that shrink, such as $1/\sqrt k$, and converges at the rate $O(1/\sqrt k)$.",
    r"Subgradients have to be bounded ($\|g\| \le G$): on $x^4/4$ the steps $1/\sqrt k$ run away. What is guaranteed "
    r"is the best iterate, $\min_{i<k} f(x_i) - f^* \le (R^2 + G^2 \sum \alpha_i^2) / (2 \sum \alpha_i)$, and not the "
    r"last. With steps $c/\sqrt k$ this is $O(\log k/\sqrt k)$; the constant step $R/(G\sqrt K)$, chosen for $K$ "
    r"steps, gives $R G/\sqrt K$, and so does Polyak's. Both constants are attained.",
)


def largest(x):
    r"""$\|x\|_\infty$, whose subgradients have length $G = 1$ and whose minimum is 0 at 0"""
    return jnp.max(abs(x))


def first_largest(x):
    """One where x is largest, zero elsewhere; of several the first, which is the worst choice for a method."""
    tied = x == jnp.max(x)
    return jnp.where(tied & (jnp.cumsum(tied) == 1), 1.0, 0.0)


def subgradient_of_largest(x):
    r"""The signed unit vector of the first coordinate that is largest"""
    return jnp.sign(x) * first_largest(abs(x))


def method(subgradient: Function, start, steps):
    """The points that the steps are taken from."""
    _, points = jax.lax.scan(lambda x, a: (x - a * subgradient(x), x), start, steps)
    return points


def bound(radius_squared, steps):
    r"""$(R^2 + \sum \alpha_i^2) / (2 \sum \alpha_i)$ after 1, 2, ... steps, with G = 1"""
    return (radius_squared + jnp.cumsum(steps**2)) / (2 * jnp.cumsum(steps))


@rate.as_worded
def without_bounded_subgradients():
    r"""$x^4/4$ from 10 with steps $1/\sqrt k$: some of the next points is better than the start"""
    points = method(jax.grad(lambda x: x**4 / 4), jnp.asarray(10.0), 1 / jnp.sqrt(jnp.arange(1.0, 6)))
    return at_most(jnp.min(abs(points[1:])), abs(points[0]))


@rate.as_worded(at=[{"x": 0.1, "steps": [1.0, 1.0, 1.0]}])
def last_iterate(x: Real[Array, ()], steps: Positive[Array, 3]):
    """The last iterate is as good as is guaranteed of the best one, on |x|"""
    points = method(jnp.sign, x, steps)
    return at_most(abs(points[1:]), bound(x**2, steps)[1:])


@rate.as_worded
def has_to_shrink():
    r"""Steps that do not shrink leave the best of K points above $R G/\sqrt K$: a constant step on $\|x\|_1$ in the
    plane"""
    start, K = jnp.array([1.0, 0.7]), 400
    radius = jnp.linalg.norm(start)
    constant = jnp.full(K, radius / np.sqrt(2 * K))
    best = jnp.min(jnp.sum(abs(method(jnp.sign, start, constant)), axis=1))
    return at_most(radius * np.sqrt(2 / K), best)


ONES = {"x": np.ones(8), "steps": np.ones(8)}


@rate.true(at=[ONES])
def best_iterate(x: Real[Array, p], steps: Positive[Array, p]):
    r"""$\min_{i<k} f(x_i) - f^* \le (R^2 + G^2 \sum_{i<k} \alpha_i^2) / (2 \sum_{i<k} \alpha_i)$ after every step, on
    $\|x\|_\infty$: attained after p unit steps from (1, ..., 1) in p dimensions, which lower one coordinate each"""
    gaps = jax.vmap(largest)(method(subgradient_of_largest, x, steps))
    return at_most(jax.lax.cummin(gaps), bound(x @ x, steps))


@rate.control(at=[ONES])
def too_strong(x: Real[Array, p], steps: Positive[Array, p]):
    """The same with a bound five percent smaller"""
    gaps = jax.vmap(largest)(method(subgradient_of_largest, x, steps))
    return at_most(jax.lax.cummin(gaps), 0.95 * bound(x @ x, steps))


@rate.true(at=[{"A": np.eye(6, 3), "x": np.ones(3), "best": np.zeros(3), "steps": np.ones(5)}])
def any_subgradients(A: Real[Array, m, d], x: Real[Array, d], best: Real[Array, d], steps: Positive[Array, 5]):
    r"""The bound with the subgradients that are met, $(R^2 + \sum \alpha_i^2 \|g_i\|^2) / (2 \sum \alpha_i)$, on $\|A
    (x - x^*)\|_1$"""
    subgradient = lambda away: A.T @ jnp.sign(A @ away)
    points = method(subgradient, x - best, steps)
    met = jnp.sum(jax.vmap(subgradient)(points) ** 2, axis=1)
    bounds = (jnp.sum((x - best) ** 2) + jnp.cumsum(steps**2 * met)) / (2 * jnp.cumsum(steps))
    return at_most(jax.lax.cummin(jnp.sum(abs(points @ A.T), axis=1)), bounds)


@rate.true(at=[{"x": np.ones(8)}])
def constant_step(x: Real[Array, p]):
    r"""The step $R / (G \sqrt K)$ for K = p steps on $\|x\|_\infty$: $\min_{i<K} f(x_i) - f^* \le R G / \sqrt K$;
    attained"""
    goal = jnp.linalg.norm(x) / np.sqrt(len(x))
    points = method(subgradient_of_largest, x, jnp.full(len(x), 1.0) * goal)
    return at_most(jnp.min(jax.vmap(largest)(points)), goal)


@rate.true(at=[{"x": np.ones(8)}])
def polyak_step(x: Real[Array, p]):
    r"""Polyak's step $\alpha = (f(x) - f^*) / \|g\|^2$ needs no schedule: $\min_{i<k} f(x_i) - f^* \le R G / \sqrt k$;
    attained"""
    points = iterates(lambda x: x - largest(x) * subgradient_of_largest(x), x, len(x) - 1)
    gaps = jax.lax.cummin(jax.vmap(largest)(points))
    return at_most(gaps, jnp.linalg.norm(x) / jnp.sqrt(jnp.arange(1.0, len(x) + 1)))


@rate.control(at=[{"x": np.ones(8)}])
def polyak_too_strong(x: Real[Array, p]):
    r"""Polyak's bound five percent smaller"""
    points = iterates(lambda x: x - largest(x) * subgradient_of_largest(x), x, len(x) - 1)
    gaps = jax.lax.cummin(jax.vmap(largest)(points))
    return at_most(gaps, 0.95 * jnp.linalg.norm(x) / jnp.sqrt(jnp.arange(1.0, len(x) + 1)))


def hard(x):
    r"""$\max_i x_i + \frac12 \|x\|^2$: least at $x_i = -1/p$"""
    return jnp.max(x) + x @ x / 2


@rate.true
def hard_function(steps: Positive[Array, p], x: Real[Array, p]):
    r"""No steps do better than $1/\sqrt K$: K - 1 of them from 0 on $\max_i x_i + \frac12 \|x\|^2$ in K dimensions
    leave a coordinate at zero, so $f(x_k) - f^* \ge G R / (2 (2 + \sqrt K))$ with $R = 1/\sqrt K$ and G = 1 + 2 R"""
    K, least = len(steps), hard(jnp.full(len(steps), -1 / len(steps)))
    points = method(lambda x: first_largest(x) + x, jnp.zeros(K), steps)
    R = 1 / np.sqrt(K)
    return at_most((1 + 2 * R) * R / (2 * (2 + np.sqrt(K))), jax.vmap(hard)(points) - least), at_most(least, hard(x))


@rate.control
def hard_function_too_hard(steps: Positive[Array, p]):
    """A lower bound five percent higher"""
    K, least = len(steps), hard(jnp.full(len(steps), -1 / len(steps)))
    points = method(lambda x: first_largest(x) + x, jnp.zeros(K), steps)
    return at_most(1.05 / (2 * K), jax.vmap(hard)(points) - least)


@rate.true
def logarithm():
    r"""With steps $1/\sqrt k$ (R = G = 1) the bound times $\sqrt k$ grows by $\frac14 \log 100$ when k grows from
    $10^4$ to $10^6$"""
    k = np.arange(1.0, 1e6 + 1)
    scaled = np.sqrt(k) * np.asarray(bound(1.0, 1 / np.sqrt(k)))
    return close(scaled[999_999] - scaled[9999], np.log(100) / 4, 0.03)


@rate.true
def stalls():
    r"""A constant step that is not chosen for the horizon stalls: |x| from 1 with 0.3 ends in the cycle 0.1, -0.2"""
    points = method(jnp.sign, jnp.asarray(1.0), jnp.full(100, 0.3))
    return close(points[3:], jnp.where(jnp.arange(97) % 2 == 0, 0.1, -0.2), 1e-9)
