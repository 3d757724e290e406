r"""The subgradient method: what a step does, and how close to the minimum many of them come.

f is convex with minimum f* at x*, R is the distance of the start from x*, G a bound on the lengths of subgradients.
Iterates are $x_0, x_1, \dots$, and K steps are judged by the best of the K points that they are taken from.

Source: ML Math Derivations, part 4, "Subgradients"; Nesterov, Lectures on Convex Optimization (2018), section 3.2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, Share, UnitInterval, d, m, p
from jaxderiv.ledger.notation import Function, iterates
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, holds, statement

step = statement(
    "C4.31",
    TRUE,
    r"The subgradient step is $x^+ = x - \alpha g$ with some $g \in \partial f(x)$.",
)


@step.true
def distance_after_a_step(A: Real[Array, m, d], x: Real[Array, d], best: Real[Array, d], alpha: Positive[Array, ()]):
    r"""What it is good for: $\|x^+ - x^*\|^2 \le \|x - x^*\|^2 - 2 \alpha (f(x) - f^*) + \alpha^2 \|g\|^2$, here for
    $f(x) = \|A (x - x^*)\|_1$"""
    f = lambda x: jnp.sum(abs(A @ (x - best)))
    g, away = A.T @ jnp.sign(A @ (x - best)), x - best
    after = away - alpha * g
    return at_most(after @ after, away @ away - 2 * alpha * f(x) + alpha**2 * (g @ g), scale=away @ away + alpha**2 * (g @ g))


@step.control
def larger_gain(x: Real[Array, ()], alpha: Positive[Array, ()]):
    r"""The same with a gain five percent larger; on |x| the inequality above is an equality"""
    after = x - alpha * jnp.sign(x)
    return at_most(after**2, x**2 - 2.1 * alpha * abs(x) + alpha**2)


ascent = statement(
    "C4.32",
    TRUE,
    r"Minus a subgradient need not be a direction of descent.",
)


def tilted(x):
    r"""$|x_1| + 2 |x_2|$"""
    return abs(x[0]) + 2 * abs(x[1])


CORNER, SLOPE = np.array([1.0, 0.0]), np.array([1.0, 2.0])


@ascent.true
def it_is_a_subgradient(y: Real[Array, 2]):
    r"""$(1, 2) \in \partial f(1, 0)$ for $f(x) = |x_1| + 2 |x_2|$"""
    return at_most(tilted(CORNER) + SLOPE @ (y - CORNER), tilted(y))


@ascent.true
def it_ascends(alpha: UnitInterval[Array, ()]):
    r"""$f(x - \alpha g) - f(x) = 3 \alpha$ for every step $0 < \alpha < 1$ from there"""
    return equal(tilted(CORNER - alpha * SLOPE) - tilted(CORNER), 3 * alpha)


@ascent.true
def printed_rise():
    """A step of 0.1 raises f by 0.3"""
    return close(tilted(CORNER - 0.1 * SLOPE) - tilted(CORNER), 0.30, 1e-9)


@ascent.control
def every_one_ascends(alpha: UnitInterval[Array, ()], share: Share[Array, ()]):
    r"""All of $\partial f(1, 0) = \{1\} \times [-2, 2]$ ascend: the shortest, (1, 0), does not"""
    g = jnp.stack([jnp.ones(()), 2 * (2 * share - 1)])
    return at_most(tilted(CORNER), tilted(CORNER - alpha * g))


rate = statement(
    "C4.33",
    HYP,
    r"The subgradient method needs steps that shrink, such as $1/\sqrt k$, and converges at the rate $O(1/\sqrt k)$.",
    r"Subgradients have to be bounded ($\|g\| \le G$): on $x^4/4$ the steps $1/\sqrt k$ run away. What is guaranteed is the best "
    r"iterate, $\min_{i<k} f(x_i) - f^* \le (R^2 + G^2 \sum \alpha_i^2) / (2 \sum \alpha_i)$, and not the last. With steps "
    r"$c/\sqrt k$ this is $O(\log k/\sqrt k)$; the constant step $R/(G\sqrt K)$, chosen for $K$ steps, gives $R G/\sqrt K$, and so "
    r"does Polyak's. Both constants are attained.",
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
    r"""Steps that do not shrink leave the best of K points above $R G/\sqrt K$: a constant step on $\|x\|_1$ in the plane"""
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
    r"""The bound with the subgradients that are met, $(R^2 + \sum \alpha_i^2 \|g_i\|^2) / (2 \sum \alpha_i)$, on $\|A (x - x^*)\|_1$"""
    subgradient = lambda away: A.T @ jnp.sign(A @ away)
    points = method(subgradient, x - best, steps)
    met = jnp.sum(jax.vmap(subgradient)(points) ** 2, axis=1)
    bounds = (jnp.sum((x - best) ** 2) + jnp.cumsum(steps**2 * met)) / (2 * jnp.cumsum(steps))
    return at_most(jax.lax.cummin(jnp.sum(abs(points @ A.T), axis=1)), bounds)


@rate.true(at=[{"x": np.ones(8)}])
def constant_step(x: Real[Array, p]):
    r"""The step $R / (G \sqrt K)$ for K = p steps on $\|x\|_\infty$: $\min_{i<K} f(x_i) - f^* \le R G / \sqrt K$; attained"""
    goal = jnp.linalg.norm(x) / np.sqrt(len(x))
    points = method(subgradient_of_largest, x, jnp.full(len(x), 1.0) * goal)
    return at_most(jnp.min(jax.vmap(largest)(points)), goal)


@rate.true(at=[{"x": np.ones(8)}])
def polyak_step(x: Real[Array, p]):
    r"""Polyak's step $\alpha = (f(x) - f^*) / \|g\|^2$ needs no schedule: $\min_{i<k} f(x_i) - f^* \le R G / \sqrt k$; attained"""
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
    r"""With steps $1/\sqrt k$ (R = G = 1) the bound times $\sqrt k$ grows by $\frac14 \log 100$ from $k = 10^2$ to $10^4$ to $10^6$"""
    k = np.arange(1.0, 1e6 + 1)
    scaled = (np.sqrt(k) * np.asarray(bound(1.0, 1 / np.sqrt(k))))[[99, 9999, 999_999]]
    return close(np.diff(scaled), np.full(2, np.log(100) / 4), 0.12)


@rate.true
def stalls():
    r"""A constant step that is not chosen for the horizon stalls: |x| from 1 with 0.3 ends in the cycle 0.1, -0.2"""
    points = method(jnp.sign, jnp.asarray(1.0), jnp.full(101, 0.3))
    return close(points[-2:], jnp.array([-0.2, 0.1]), 1e-9), holds(jnp.max(abs(points[-20:])) < 0.21)
