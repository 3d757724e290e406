r"""Nesterov's acceleration: what it asks of its step and momenta, and its rate.

L is the Lipschitz constant of the gradient, R the distance of the start, x_0, from the minimiser. The chain is
$\frac L4 (\frac12 (x_1^2 + \sum (x_i - x_{i+1})^2 + x_n^2) - x_1)$.

Source: ML Math Derivations, part 4, "First-order methods"; the rate: Beck and Teboulle (2009), theorem 4.4; the chain:
Nesterov, Introductory Lectures on Convex Optimization, section 2.1.2.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveDefinite, Real, Share, UnitInterval, d
from jaxderiv.ledger.notation import gradient_descent, quadratic
from jaxderiv.theorem import HYP, at_most, close, equal, statement

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
    r"""Iterates of $x_{k+1} = y_k - \alpha \nabla f(y_k)$, $y_{k+1} = x_{k+1} + \beta_k (x_{k+1} - x_k)$, $y_0 =
    x_0$."""

    def step(state, momentum):
        x, y = state
        new = y - rate * jax.grad(f)(y)
        return (new, new + momentum * (new - x)), new

    _, trace = jax.lax.scan(step, (start, start), jnp.asarray(momenta, start.dtype))
    return jnp.concatenate([start[None], trace])


def gaps(f, trace, R, L):
    r"""The gaps to a minimum of zero at every iterate, and Nesterov's bounds $2 L R^2 / (k + 1)^2$ on them"""
    return jax.vmap(f)(trace), 2 * L * R**2 / jnp.arange(1.0, len(trace) + 1) ** 2


def chain(x):
    r"""The chain with L = 1; its least value is $\frac18 (-1 + 1 / (n + 1))$, at $x_i = 1 - i / (n + 1)$"""
    return (x[0] ** 2 + jnp.sum((x[1:] - x[:-1]) ** 2) + x[-1] ** 2) / 8 - x[0] / 4


def chain_gap(x):
    r"""$f(x) - f^*$"""
    return chain(x) + (1 - 1 / (len(x) + 1)) / 8


def distance_squared(n):
    r"""$R^2$ of the chain, from the origin"""
    return n * (2 * n + 1) / (6 * (n + 1))


scheme = statement(
    "C4.49",
    HYP,
    r"Nesterov: $x_{k+1} = y_k - \alpha \nabla f(y_k)$, $y_{k+1} = x_{k+1} + \beta_k (x_{k+1} - x_k)$ converges "
    r"faster.",
    r"$\alpha$ and $\beta_k$ are left open. Needed are $y_0 = x_0$, $\alpha \le 1/L$ and $t_{k+1}^2 - t_{k+1} \le "
    r"t_k^2$ for the $t_k$ in $\beta_k = (t_k - 1) / t_{k+1}$, $t_0 = 1$: the recursion of $t_k$, or $k / (k + 3)$. A "
    r"step at which gradient descent converges may be too long: beyond $\frac43 / L$ the accelerated iterates "
    r"diverge. And $\beta_k = 0$ is gradient descent.",
)


@scheme.as_worded(at=[{"x": 1.0, "L": 1.0, "t": 0.75}])
def any_stable_step(x: Real[Array, ()], L: Positive[Array, ()], t: UnitInterval[Array, ()]):
    r"""With any step of $(0, 2/L)$, where gradient descent converges, no iterate rises above the start"""
    f = lambda x: L * x**2 / 2
    return at_most(jax.vmap(f)(nesterov(f, x, 2 * t / L, by_ratio(STEPS))), f(x))


@scheme.true(at=[{"curvature": 1.0, "beta": 1.0}])
def longest_step(curvature: Share[Array, ()], beta: Share[Array, ()]):
    r"""With $\alpha \lambda \le \frac43$ no eigenvalue of the step exceeds one: |trace| ≤ 1 + det and det ≤ 1;
    attained"""
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
def without_momentum(x: Real[Array, d], A: PositiveDefinite[Array, d, d], alpha: Positive[Array, ()]):
    r"""$\beta_k = 0$ gives the iterates of gradient descent"""
    f = quadratic(A, 1.0)
    return equal(nesterov(f, x, alpha, np.zeros(3)), gradient_descent(f, x, alpha, 3))


rate = statement(
    "C4.50",
    HYP,
    r"Nesterov's method has $f(x_k) - f^* = O(1/k^2)$, with the constant $2 L R^2 / (k + 1)^2$.",
    r"It needs the step and the growing momenta of C4.49. With a constant momentum the rate is that of gradient "
    r"descent.",
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


@rate.true
def slopes_on_the_chain():
    r"""Between k = 50 and 200 on the chain of 400 the gap falls like $k^{-1.13}$, with $\beta = \frac12$ like
    $k^{-0.52}$ and without momentum like $k^{-0.51}$"""
    k, found = np.arange(50, 201), []
    for momenta in (by_ratio(200), np.full(200, 0.5), np.zeros(200)):
        trace = nesterov(chain, jnp.zeros(400), 1.0, momenta)[50:]
        found.append(np.polyfit(np.log(k), np.log(jax.vmap(chain_gap)(trace)), 1)[0])
    return close(np.array(found), np.array([-1.13, -0.52, -0.51]), 6e-3)
