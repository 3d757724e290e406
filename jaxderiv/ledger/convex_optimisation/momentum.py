r"""Momentum: Polyak's heavy ball, Nesterov's acceleration, and how far first-order methods can go.

L is the Lipschitz constant of the gradient, mu that of strong convexity, kappa = L / mu; R is the distance of the start
from a minimiser. Velocities start at zero, and iterates are counted from the start, x_0.

Source: ML Math Derivations, part 4, "First-order methods"; the cycle: Lessard, Recht and Packard (2016), section 4.6; the
lower bound and the chain: Nesterov, Introductory Lectures on Convex Optimization, theorem 2.1.7; the potential: Beck and
Teboulle (2009); half of the constant: Kim and Fessler (2016).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Array, Nonnegative, Positive, Real, Share, UnitInterval, d, k
from jaxderiv.ledger.notation import gradient_descent, iterates, quadratic, symmetric
from jaxderiv.theorem import FALSE, HYP, IMPR, TRUE, at_most, close, equal, holds, statement

STEPS = 20


def huber(L, knee):
    """Curvature L inside of the knees, straight outside; its minimum is 0, at 0."""
    return lambda x: L * jnp.where(abs(x) < knee, x**2 / 2, knee * abs(x) - knee**2 / 2)


def by_ratio(count):
    r"""$\beta_k = k / (k + 3)$"""
    return np.arange(float(count)) / (np.arange(count) + 3)


def by_recursion(count):
    r"""$\beta_k = (t_k - 1) / t_{k+1}$ with $t_0 = 1$, $t_{k+1} = \frac12 (1 + \sqrt{1 + 4 t_k^2})$"""
    t = [1.0]
    for _ in range(count):
        t.append((1 + math.sqrt(1 + 4 * t[-1] ** 2)) / 2)
    return (np.array(t[:-1]) - 1) / np.array(t[1:])


def nesterov(f, start, rate, momenta):
    r"""Iterates of $x_{k+1} = y_k - \alpha \nabla f(y_k)$, $y_{k+1} = x_{k+1} + \beta_k (x_{k+1} - x_k)$, $y_0 = x_0$."""

    def step(state, momentum):
        x, y = state
        new = y - rate * jax.grad(f)(y)
        return (new, new + momentum * (new - x)), new

    _, trace = jax.lax.scan(step, (start, start), jnp.asarray(momenta, start.dtype))
    return jnp.concatenate([start[None], trace])


def gaps(f, trace, R, L):
    r"""The gaps to a minimum of zero at every iterate, and Nesterov's bounds $2 L R^2 / (k + 1)^2$ on them"""
    return jax.vmap(f)(trace), 2 * L * R**2 / jnp.arange(1.0, len(trace) + 1) ** 2


# The heavy ball ------------------------------------------------------------------------------------------
average = statement(
    "C4.47",
    IMPR,
    r"Momentum replaces the gradient by an average of the past gradients.",
    r"The weights of the past gradients do not sum to one but to $(1 - \beta^k) / (1 - \beta)$, ten in the long run for "
    r"$\beta = 0.9$: momentum also lengthens the step. Weighting the new gradient by $1 - \beta$ would make an average.",
)


def velocity(gradients, alpha, beta):
    r"""$v_k$ of $v \leftarrow \beta v - \alpha g$, from zero"""
    return jax.lax.scan(lambda v, g: (beta * v - alpha * g, None), 0 * alpha, gradients)[0]


@average.as_worded
def within_the_gradients(g: Real[Array, k], beta: UnitInterval[Array, ()]):
    r"""An average is no larger than the largest: $|v_k| \le \alpha \max_i |g_i|$"""
    return at_most(abs(velocity(g, jnp.ones_like(beta), beta)), jnp.max(abs(g)))


@average.true
def geometric_weights(g: Real[Array, k], alpha: Positive[Array, ()], beta: UnitInterval[Array, ()]):
    r"""$\partial v_k / \partial g_i = -\alpha \beta^{k-i}$, and these weights sum to $-\alpha (1 - \beta^k) / (1 - \beta)$"""
    weights = jax.grad(velocity)(g, alpha, beta)
    powers = jnp.stack([beta**i for i in reversed(range(len(g)))])
    return equal(weights, -alpha * powers), equal(jnp.sum(weights), -alpha * (1 - beta ** len(g)) / (1 - beta))


heavy_ball = statement(
    "C4.48",
    TRUE,
    r"Heavy ball: $v_{k+1} = \beta v_k - \alpha \nabla f(x_k)$, $x_{k+1} = x_k + v_{k+1}$.",
)


@heavy_ball.true
def optax_momentum(rng):
    r"""Step by step the iterates of `optax.sgd(alpha, momentum=beta)`, here on $\sum \cosh(a_i^\top x)$"""
    A, x, alpha, beta = rng.normal(size=(4, 3)), rng.normal(size=3), 0.01, 0.9
    optimiser, theirs, v, apart = optax.sgd(alpha, momentum=beta), jnp.asarray(x), np.zeros(3), []
    state = optimiser.init(theirs)
    for _ in range(STEPS):
        v = beta * v - alpha * np.sinh(A @ x) @ A
        x = x + v
        update, state = optimiser.update(jax.grad(lambda x: jnp.sum(jnp.cosh(A @ x)))(theirs), state)
        theirs = optax.apply_updates(theirs, update)
        apart.append(abs(np.asarray(theirs) - x).max())
    return at_most(np.array(apart), 1e-12)


@heavy_ball.true
def best_rate_on_quadratics(mu: Positive[Array, ()], spread: Nonnegative[Array, ()], t: Share[Array, ()]):
    r"""With $\alpha = 4 / (\sqrt L + \sqrt\mu)^2$, $\beta = ((\sqrt\kappa - 1) / (\sqrt\kappa + 1))^2$ and a curvature
    $\lambda \in [\mu, L]$ both eigenvalues of the step have modulus $\sqrt\beta$: trace² ≤ 4 det, and det = $\beta$"""
    L = mu * (1 + spread) ** 2
    alpha, beta = 4 / (mu * (2 + spread) ** 2), (spread / (2 + spread)) ** 2
    f = quadratic(jnp.reshape(mu + t * (L - mu), (1, 1)))
    step = lambda x, v: (x + beta * v - alpha * jax.grad(f)(x), beta * v - alpha * jax.grad(f)(x))
    (a, b), (c, e) = (map(jnp.squeeze, row) for row in jax.jacobian(step, (0, 1))(jnp.ones(1), jnp.ones(1)))
    return at_most((a + e) ** 2, 4 * beta), equal(a * e - b * c, beta)


@heavy_ball.true
def cycle():
    r"""Beyond quadratics these $\alpha, \beta$ need not converge: a strongly convex function with $\mu = 1$, $L = 25$ keeps
    them in a cycle of three, while gradient descent with $1/L$ arrives"""
    slope = lambda x: np.piecewise(x, [x < 1, (x >= 1) & (x < 2)], [lambda x: 25 * x, lambda x: x + 24, lambda x: 25 * x - 24])
    x, v, descending, trace = np.array(3.3), 0.0, np.array(3.3), []
    for _ in range(300):
        v = 4 / 9 * v - slope(x) / 9
        x, descending = x + v, descending - slope(descending) / 25
        trace.append(float(x))
    ends = np.sort(trace[-3:])
    periodic = close(np.array(trace[-3:]), np.array(trace[-6:-3]), 1e-12)
    return close(ends, np.array([-1.802, 0.647, 2.116]), 5e-4), periodic, at_most(abs(descending), 1e-4)


# Nesterov's acceleration -----------------------------------------------------------------------------------
scheme = statement(
    "C4.49",
    HYP,
    r"Nesterov: $x_{k+1} = y_k - \alpha \nabla f(y_k)$, $y_{k+1} = x_{k+1} + \beta_k (x_{k+1} - x_k)$ converges faster.",
    r"$\alpha$ and $\beta_k$ are left open. Needed are $y_0 = x_0$, $\alpha \le 1/L$ and $t_{k+1}^2 - t_{k+1} \le t_k^2$ for the "
    r"$t_k$ in $\beta_k = (t_k - 1) / t_{k+1}$, $t_0 = 1$: the recursion of $t_k$, or $k / (k + 3)$. A step at which gradient "
    r"descent converges may be too long: beyond $\frac43 / L$ the accelerated iterates diverge. And $\beta_k = 0$ is gradient descent.",
)


@scheme.as_worded(at=[{"x": 1.0, "L": 1.0, "t": 0.75}])
def any_stable_step(x: Real[Array, ()], L: Positive[Array, ()], t: UnitInterval[Array, ()]):
    r"""With any step of $(0, 2/L)$, where gradient descent converges, no iterate rises above the start"""
    f = lambda x: L * x**2 / 2
    return at_most(jax.vmap(f)(nesterov(f, x, 2 * t / L, by_ratio(STEPS))), f(x))


@scheme.true(at=[{"curvature": 1.0, "beta": 1.0}])
def longest_step(curvature: Share[Array, ()], beta: Share[Array, ()]):
    r"""With $\alpha \lambda \le \frac43$ no eigenvalue of the step exceeds one: |trace| ≤ 1 + det and det ≤ 1; attained"""
    f = lambda x: curvature * x**2 / 2
    extrapolated = lambda new, x: new + beta * (new - x)
    step = lambda x, before: (lambda y: y - 4 / 3 * jax.grad(f)(y))(extrapolated(x, before))
    trace, minus_det = jax.grad(step, (0, 1))(1.0 + 0 * beta, 1.0 + 0 * beta)
    return at_most(abs(trace), 1 - minus_det), at_most(-minus_det, 1.0)


@scheme.true
def admissible_momenta(k: Nonnegative[Array, ()]):
    r"""$t = \frac12 (k + 2)$ meets $t_{k+1}^2 - t_{k+1} \le t_k^2$ and gives $\beta_k = k / (k + 3)$"""
    t, after = (k + 2) / 2, (k + 3) / 2
    return at_most(after**2 - after, t**2), equal((t - 1) / after, k / (k + 3))


@scheme.true
def without_momentum(x: Real[Array, d], u: Real[Array, d, d], spectrum: Positive[Array, d], alpha: Positive[Array, ()]):
    r"""$\beta_k = 0$ gives the iterates of gradient descent"""
    f = quadratic(symmetric(spectrum, u), 1.0)
    return equal(nesterov(f, x, alpha, np.zeros(3)), gradient_descent(f, x, alpha, 3))


rate = statement(
    "C4.50",
    HYP,
    r"Nesterov's method has $f(x_k) - f^* = O(1/k^2)$, with the constant $2 L R^2 / (k + 1)^2$.",
    r"It needs the step and the growing momenta of C4.49. With a constant momentum the rate is that of gradient descent.",
)


@rate.as_worded(at=[{"x": 1.0, "L": 1.0, "knee": 1 / 81}])
def constant_momentum(x: Real[Array, ()], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""$f(x_k) - f^* \le 2 L R^2 / (k + 1)^2$ with $\beta = \frac12$"""
    f = huber(L, knee)
    return at_most(*gaps(f, nesterov(f, x, 1 / L, np.full(40, 0.5)), x, L))


@rate.true(at=[{"x": 1.0, "L": 1.0, "knee": 0.0079}])
def bound_at_every_iterate(x: Real[Array, ()], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""$f(x_k) - f^* \le 2 L R^2 / (k + 1)^2$ with either choice of momenta, on the Huber function"""
    f = huber(L, knee)
    choices = by_ratio(STEPS), by_recursion(STEPS)
    return [at_most(*gaps(f, nesterov(f, x, 1 / L, momenta), x, L)) for momenta in choices]


@rate.control(at=[{"x": 1.0, "L": 1.0, "knee": 0.0079}])
def fifth_less(x: Real[Array, ()], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""The bound with a constant a fifth smaller, which step 20 exceeds"""
    f = huber(L, knee)
    values, bounds = gaps(f, nesterov(f, x, 1 / L, by_ratio(STEPS)), x, L)
    return at_most(values, 0.8 * bounds)
