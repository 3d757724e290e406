r"""What acceleration cannot do, and what it costs: the lower bound for first-order methods, and its hypotheses.

L is the Lipschitz constant of the gradient, R the distance of the start from the minimiser. On the chain (of
`acceleration`) each gradient reaches one more coordinate.

Source: ML Math Derivations, part 4, "First-order methods"; the lower bound: Nesterov, Introductory Lectures on Convex
Optimization, theorem 2.1.7; the optimised gradient method: Kim and Fessler (2016), theorem 2 and section 6.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, Share, k
from jaxderiv.ledger.convex_optimisation.acceleration import (
    by_ratio,
    chain,
    chain_gap,
    distance_squared,
    huber,
    nesterov,
)
from jaxderiv.ledger.notation import gradient_descent, iterates
from jaxderiv.theorem import FALSE, IMPR, at_most, close, equal, statement

optimal = statement(
    "C4.51",
    FALSE,
    r"$O(1/k^2)$ is optimal: no method that uses gradients only can beat it asymptotically in the worst case.",
    r"The bound $3 L R^2 / (32 (k + 1)^2)$ is for $k \le (n - 1) / 2$ steps that stay in the span of the gradients, "
    r"and its worst function changes with k. For a fixed dimension and $k \to \infty$ gradients allow a linear rate: "
    r"in one dimension by bisection on the sign of $f'$. Until then Nesterov's method is optimal up to a constant, "
    r"and another method has half of it.",
)


def lower_bound(n, k):
    r"""$3 L R^2 / (32 (k + 1)^2)$ with L = 1"""
    return 3 * distance_squared(n) / (32 * (k + 1) ** 2)


def bisection(f, R, count):
    r"""The midpoints of $[-R, R]$ as it is halved by the sign of $f'$"""

    def halve(state):
        middle, half = state
        return middle - half / 2 * jnp.sign(jax.grad(f)(middle)), half / 2

    return iterates(halve, (0.0 * R, R), count)[0]


@optimal.as_worded
def no_method_beats_it():
    r"""$3 L R^2 / (32 (k + 1)^2)$ is below the worst gap of bisection after k = 40 steps, over 300 Huber functions"""
    R, k = 1.0, 40
    functions = [huber(1.0, knee) for knee in (0.01, 0.3, 3.0)]
    centres = jnp.linspace(-R, R, 100)
    gap = lambda f, c: f(bisection(lambda x: f(x - c), R, k)[-1] - c)
    worst = max(float(jnp.max(jax.vmap(lambda c, f=f: gap(f, c))(centres))) for f in functions)
    return at_most(3 * R**2 / (32 * (k + 1) ** 2), worst)


@optimal.true(at=[{"t": 1.0, "R": 1.0, "L": 1.0, "knee": 3.0}])
def bisection_is_linear(t: Share[Array, ()], R: Positive[Array, ()], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""Bisection: $f(x_k) - f^* \le \frac L2 R^2 4^{-k}$ wherever in $[-R, R]$ the minimiser lies; attained"""
    centre, h = R * (2 * t - 1), huber(L, knee)
    trace = bisection(lambda x: h(x - centre), R, 20)
    bounds = L / 2 * R**2 / 4 ** jnp.arange(21.0)
    return at_most(jax.vmap(h)(trace - centre), bounds, scale=bounds)


@optimal.true
def bisection_beats_nesterov():
    r"""On $x^4 / 12$ ($|x| \le 1$, quadratic beyond) 50 bisections of $[-1, 2]$ leave a gap of $3 \cdot 10^{-63}$, and
    1000 of Nesterov's steps from 1 one of $1.6 \cdot 10^{-12}$"""
    f = lambda x: jnp.where(abs(x) < 1, x**4 / 12, 1 / 12 + (abs(x) - 1) / 3 + (abs(x) - 1) ** 2 / 2)
    middle = 0.5 + bisection(lambda x: f(x + 0.5), 1.5, 50)[-1]
    theirs = f(nesterov(f, jnp.asarray(1.0), 1.0, by_ratio(1000))[-1])
    return close(f(middle) * 1e63, 3.0, 0.5), close(theirs * 1e12, 1.6, 0.05)


@optimal.true(at=lambda: [{"x": 1 - jnp.arange(1.0, 10) / 10}])
def span_lower_bound(x: Real[Array, k]):
    r"""Whatever combination of its k gradients from 0 a method takes, on the chain of $2k + 1$ it has
    $f(x_k) - f^* \ge L / (16 (k + 1)) \ge 3 L R^2 / (32 (k + 1)^2)$; the first is attained"""
    k, reached = len(x), jnp.concatenate([x, jnp.zeros(len(x) + 1)])
    return at_most(1 / (16 * (k + 1)), chain_gap(reached)), at_most(lower_bound(2 * k + 1, k), chain_gap(reached))


@optimal.control(at=lambda: [{"x": 1 - jnp.arange(1.0, 10) / 10}])
def larger_lower_bound(x: Real[Array, k]):
    r"""The lower bound with a constant a tenth larger"""
    return at_most(1.1 * lower_bound(2 * len(x) + 1, len(x)), chain_gap(jnp.concatenate([x, jnp.zeros(len(x) + 1)])))


@optimal.control
def beyond_half_of_the_dimension():
    r"""The lower bound at k = 200 on a chain of five, where Nesterov's method has long arrived"""
    return at_most(lower_bound(5, 200), chain_gap(nesterov(chain, jnp.zeros(5), 1.0, by_ratio(200))[-1]))


@optimal.true
def between_the_bounds():
    r"""On the chain of 121, k = 60: lower bound 1.0120e-3, best of the span 1.0246e-3, Nesterov 3.28e-3, upper bound
    2.16e-2; his k-th iterate has reached k coordinates"""
    k, n = 60, 121
    trace = nesterov(chain, jnp.zeros(n), 1.0, by_ratio(k))
    unreached = jnp.triu(jnp.ones((k + 1, n), bool))
    best = chain_gap(jnp.concatenate([1 - jnp.arange(1.0, k + 1) / (k + 1), jnp.zeros(k + 1)]))
    bounds = np.array([lower_bound(n, k), 2 * distance_squared(n) / (k + 1) ** 2])
    found = 1e3 * jnp.array([bounds[0], best, chain_gap(trace[-1]), bounds[1]])
    error = jnp.array([5e-5, 5e-5, 5e-3, 5e-2])
    return (
        at_most(abs(found - jnp.array([1.0120, 1.0246, 3.28, 21.6])), error),
        equal(jnp.where(unreached, trace, 0.0), jnp.zeros((k + 1, n))),
    )


def optimised_gradient(f, start, rate, count):
    r"""The last iterate of Kim and Fessler's method, and its $\theta$"""
    theta, x, y = 1.0, start, start
    for i in range(1, count + 1):
        after = (1 + math.sqrt(1 + (8 if i == count else 4) * theta**2)) / 2
        new = x - rate * jax.grad(f)(x)
        x, y = new + (theta - 1) / after * (new - y) + theta / after * (new - x), new
        theta = after
    return x, theta


@optimal.true(at=[{"x": 1.0, "L": 1.0, "knee": 2.0}])
def half_of_the_constant(x: Real[Array, ()], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""The optimised gradient method has $f(x_k) - f^* \le L R^2 / (2 \theta_k^2) \le L R^2 / (k + 1)^2$; the first is
    attained"""
    k, f = 8, huber(L, knee)
    last, theta = optimised_gradient(f, x, 1 / L, k)
    return at_most(f(last), L * x**2 / (2 * theta**2)), at_most((k + 1) ** 2 / 2, theta**2)


free = statement(
    "C4.52",
    IMPR,
    r"Acceleration is for free.",
    r"It costs no more gradients, but other things: f no longer decreases at every step, the step has to be "
    r"shorter (below $\frac43 / L$, C4.49), and noise of the gradients is amplified.",
)


@free.as_worded(at=[{"x": [1.0, 1.0], "curvature": 0.05}])
def monotone(x: Real[Array, 2], curvature: Share[Array, ()]):
    r"""$f(x_{k+1}) \le f(x_k)$, as with gradient descent, on $\frac12 (x_1^2 + \mu x_2^2)$"""
    f = lambda x: (x[0] ** 2 + curvature * x[1] ** 2) / 2
    values = jax.vmap(f)(nesterov(f, x, 1.0, by_ratio(30)))
    return at_most(values[1:], values[:-1], scale=f(x))


@free.true
def increases():
    r"""On $\frac12 (x_1^2 + 10^{-3} x_2^2)$ from (1, 1), f rises at 411 of 1000 accelerated steps, and at none of
    gradient descent"""
    f = lambda x: (x[0] ** 2 + 1e-3 * x[1] ** 2) / 2
    rises = lambda trace: jnp.sum(jnp.diff(jax.vmap(f)(trace)) > 0, dtype=float)
    start = jnp.ones(2)
    accelerated, plain = nesterov(f, start, 1.0, by_ratio(1000)), gradient_descent(f, start, 1.0, 1000)
    return equal(rises(accelerated), 411), equal(rises(plain), 0)


@free.true
def noise_is_amplified():
    r"""Noise of the gradients of $\frac{1}{200} x^2$ enters $x_{100}$ with $\sum_i (\partial x_{100} / \partial
    e_i)^2$, which is more than ten times that of gradient descent with the same step"""

    def last(noise, momenta):
        def step(state, now):
            (x, y), (momentum, e) = state, now
            new = y - (y / 100 + e)
            return (new, new + momentum * (new - x)), None

        return jax.lax.scan(step, (0.0, 0.0), (momenta, noise))[0][0]

    variance = lambda momenta: jnp.sum(jax.grad(last)(jnp.zeros(100), momenta) ** 2)
    return at_most(10 * variance(jnp.zeros(100)), variance(jnp.asarray(by_ratio(100))))
