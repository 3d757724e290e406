r"""Newton's method: how fast it converges, and from where.

M is the Lipschitz constant of the Hessian, mu a lower bound of its eigenvalues, x* the minimiser.

Source: ML Math Derivations, part 4, "Second-order methods"; the rate: Nesterov, Introductory Lectures on Convex
Optimization, theorem 1.2.5.
"""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from scipy.optimize import brentq

from jaxderiv.domains import Array, Positive, PositiveSemidefinite, Real, UnitInterval, d
from jaxderiv.ledger.convex_optimisation.newton_step import newton, newton_1d
from jaxderiv.ledger.notation import iterates
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, statement

NODAL = 4 / (3 * np.sqrt(3))  # the largest third derivative of log cosh


rate = statement(
    "C4.60",
    HYP,
    r"Newton's method converges quadratically: $\|x_{k+1} - x^*\| \le C \|x_k - x^*\|^2$.",
    r"Needed: the Hessian is M-Lipschitz and $\succeq \mu I$ with $\mu > 0$ between x and x*. Then $C = M / (2 \mu)$, "
    r"the best constant, and the start has to have $C \|x_0 - x^*\| < 1$. A positive definite Hessian is not enough.",
)


@rate.as_worded
def degenerate_minimum(x: UnitInterval[Array, ()]):
    r"""$|x_{k+1}| \le C x_k^2$ on the strictly convex $x^4$ for $x_k < 1$, with the C that suffices at 1"""
    step = lambda x: abs(newton_1d(lambda x: x**4, x))
    return at_most(step(x), step(jnp.ones(())) * x**2)


@rate.as_worded
def from_anywhere():
    r"""On $\sqrt{1 + x^2}$, whose second derivative is positive, five steps lead from 1.1 nearer to the minimiser"""
    return at_most(abs(five_steps(1.1)[-1]), 1.1)


def bent(a, mu, M):
    r"""The f with $f''(t) = \mu + M |t - a|$ and its minimum at 0"""
    return lambda t: mu * t**2 / 2 + M * (abs(t - a) ** 3 / 6 + a * abs(a) * t / 2)


@rate.true(at=[{"x": 1.0, "r": 1.0, "mu": 1.0, "M": 3.0}])
def best_constant(x: Positive[Array, ()], r: Real[Array, ()], mu: Positive[Array, ()], M: Positive[Array, ()]):
    r"""$|x_{k+1}| \le \frac{M}{2\mu} x_k^2$ if $f'' = \mu + M |t - r x|$; attained with r = 1, where the curvature at x
    is the least"""
    return at_most(abs(newton_1d(bent(r * x, mu, M), x)), M / (2 * mu) * x**2)


@rate.control(at=[{"x": 1.0, "r": 1.0, "mu": 1.0, "M": 3.0}])
def smaller_constant(x: Positive[Array, ()], r: Real[Array, ()], mu: Positive[Array, ()], M: Positive[Array, ()]):
    r"""The same with a constant five percent smaller"""
    return at_most(abs(newton_1d(bent(r * x, mu, M), x)), 0.95 * M / (2 * mu) * x**2)


def regularised_step(A, x):
    r"""Newton's step on $\frac12 x^\top A x + \sum \log\cosh x_i$, by its derivatives: cosh itself overflows"""
    t = jnp.tanh(x)
    return x - jnp.linalg.solve(A + jnp.diag(1 - t**2), A @ x + t)


@rate.true
def several_variables(P: PositiveSemidefinite[Array, d, d], mu: Positive[Array, ()], x: Real[Array, d]):
    r"""$\|x_{k+1}\| \le \frac{M}{2\mu} \|x_k\|^2$ for $\frac12 x^\top A x + \sum \log\cosh x_i$ with
    $A = \mu I + P$, $P \succeq 0$, and $M = 4 / (3\sqrt3)$"""
    new = regularised_step(mu * jnp.eye(len(x)) + P, x)
    return at_most(mu * jnp.sqrt(new @ new), NODAL / 2 * (x @ x))


@rate.true
def quadratic_from_the_basin(
    q: UnitInterval[Array, ()], r: Real[Array, ()], mu: Positive[Array, ()], M: Positive[Array, ()]
):
    r"""With $q = C |x_0| < 1$ the whole sequence has $C |x_k| \le q^{2^k}$, for $f'' = \mu + M |t - r x_0|$"""
    C = M / (2 * mu)
    trace = iterates(lambda x: newton_1d(bent(r * q / C, mu, M), x), q / C, 4)
    return at_most(C * abs(trace), q ** jnp.array([1.0, 2.0, 4.0, 8.0, 16.0]), scale=q)


def five_steps(x):
    r"""Iterates of Newton's method on $\sqrt{1 + x^2}$"""
    return iterates(lambda x: newton_1d(lambda x: jnp.sqrt(1 + x**2), x), jnp.asarray(x), 5)


@rate.true
def cube(x: Real[Array, ()]):
    r"""On $\sqrt{1 + x^2}$ the step is $x_{k+1} = -x_k^3$: convergence exactly from $|x| < 1$"""
    return equal(newton_1d(lambda x: jnp.sqrt(1 + x**2), x), -(x**3))


@rate.true
def basins():
    r"""On it from 0.9 to 1e-11, from 1.1 to -1.1e10 in five steps; $\log\cosh$ is left by a start beyond the root
    1.0887 of $\sinh 2x = 4x$: from 1.08 it converges, from 1.09 not"""
    edge = brentq(lambda x: np.sinh(2 * x) - 4 * x, 0.5, 2)
    inside, outside = (iterates(lambda x: x - jnp.sinh(2 * x) / 2, jnp.asarray(x), 6) for x in (1.08, 1.09))
    return (
        at_most(abs(five_steps(0.9)[-1]), 1e-11),
        close(five_steps(1.1)[-1] / 1e10, -1.1, 0.05),
        close(edge, 1.0887, 5e-5),
        at_most(abs(inside[-1]), 1e-3),
        at_most(abs(outside[:-1]), abs(outside[1:])),
    )


digits = statement(
    "C4.61",
    TRUE,
    r"Close to the minimiser the number of correct digits doubles at each step: five or six steps to machine "
    r"precision.",
)


def errors_of_exp(count):
    r"""$\log |x_k|$ on $e^x - x$ from 0.5, with 500 digits"""
    with mpmath.workdps(500):
        x, out = mpmath.mpf("0.5"), []
        for _ in range(count + 1):
            out.append(float(mpmath.log(abs(x))))
            x = x - mpmath.expm1(x) / mpmath.exp(x)
    return np.array(out)


@digits.true
def doubling():
    r"""On $e^x - x$ from 0.5 the fifth error is below the unit of rounding, and $\log |x_{k+1}| / \log |x_k| \to 2$"""
    logs = errors_of_exp(9)
    return at_most(logs[5], np.log(2.0**-52)), close(logs[6:] / logs[5:-1], 2.0, 0.02)


@digits.true
def logistic_regression(rng):
    r"""A logistic regression with 200 observations, from 0: after six steps the gradient is below 1e-13"""
    X, w = rng.normal(size=(200, 3)), np.array([1.0, -0.5, 0.25])
    y = np.where(rng.random(200) < 1 / (1 + np.exp(-X @ w)), 1.0, -1.0)
    f = lambda w: jnp.mean(jnp.logaddexp(0.0, -y * (X @ w)))
    last = iterates(lambda w: newton(f, w), jnp.zeros(3), 6)[-1]
    return at_most(jnp.linalg.norm(jax.grad(f)(last)), 1e-13)


@digits.control
def at_a_degenerate_minimum():
    r"""On $x^4$ from 0.5 six steps reach machine precision"""
    return at_most(abs(iterates(lambda x: newton_1d(lambda x: x**4, x), jnp.asarray(0.5), 6)[-1]), 2.0**-52)


@digits.true
def two_thirds(x: Real[Array, ()]):
    r"""There the step contracts by two thirds only: the local regime needs $f''(x^*) > 0$"""
    return equal(newton_1d(lambda x: x**4, x), 2 * x / 3)
