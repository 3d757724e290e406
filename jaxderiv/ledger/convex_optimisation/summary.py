r"""What part 4's summary says once more, without the hypotheses.

Source: ML Math Derivations, part 4, "Summary".
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm
from scipy.special import ndtri

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveSemidefinite, Real, Share, UnitInterval, d, n
from jaxderiv.ledger.notation import gradient_descent, iterates, quadratic
from jaxderiv.theorem import FALSE, IMPR, at_most, close, equal, statement

# EM --------------------------------------------------------------------------------------------------------
mixtures = statement(
    "C4.109",
    FALSE,
    r"Algorithms of the EM kind reduce to convex problems.",
    but=r"Some of their M-steps do: given the responsibilities, the fit of the means is a weighted least-squares "
    r"problem. What is to be minimised in the end, the negative log-likelihood of the observations, is not "
    r"convex: of 200 points around $\pm 3$ it is 421 at the means $(-3, 3)$ and $(3, -3)$ and 1183 halfway "
    r"between them.",
)
QUANTILES = ndtri((np.arange(100) + 0.5) / 100)
AROUND = np.concatenate([QUANTILES - 3, QUANTILES + 3])


def observed(means, x):
    """Negative log-likelihood of x under equal parts of two unit normals."""
    return -jnp.sum(logsumexp(norm.logpdf(x[:, None], means[None, :]) - jnp.log(2.0), axis=1))


def complete(means, x, share):
    """Of the M-step: negative log-likelihood with the two components weighed by their responsibilities."""
    parts = norm.logpdf(x[:, None], means[None, :])
    return -(share @ parts[:, 0] + (1 - share) @ parts[:, 1])


@mixtures.as_worded(at=[{"x": AROUND, "means": np.array([-3.0, 3.0])}])
def likelihood_is_convex(x: Real[Array, n], means: Real[Array, 2]):
    """Halfway between means and the same means in the other order the likelihood is no worse than at these"""
    return at_most(observed((means + means[::-1]) / 2, x), (observed(means, x) + observed(means[::-1], x)) / 2)


@mixtures.true
def figures():
    """421 at either order of the means, 1183 halfway"""
    x = jnp.asarray(AROUND)
    values = [observed(jnp.array(means), x) for means in ([-3.0, 3.0], [3.0, -3.0], [0.0, 0.0])]
    return close(values, [421.0, 421.0, 1183.0], 0.5)


@mixtures.true
def names_do_not_matter(x: Real[Array, n], means: Real[Array, 2]):
    """Both orders of the means are worth the same, so neither minimum is the only one"""
    return equal(observed(means, x), observed(means[::-1], x))


@mixtures.true
def m_step_is_convex(
    x: Real[Array, n], a: Real[Array, 2], b: Real[Array, 2], share: Share[Array, n], t: Share[Array, ()]
):
    """Given the responsibilities the chord lies above the negative log-likelihood"""
    f = lambda means: complete(means, x, share)
    chord = t * f(a) + (1 - t) * f(b)
    return at_most(f(t * a + (1 - t) * b), chord)


@mixtures.true
def m_step_is_a_weighted_mean(x: Real[Array, n], share: UnitInterval[Array, n], start: Real[Array, 2]):
    r"""It is solved, by one step of Newton's method from anywhere, at $\mu_k = \sum_i r_{ik} x_i / \sum_i r_{ik}$"""
    means = jnp.stack([share @ x / jnp.sum(share), (1 - share) @ x / jnp.sum(1 - share)])
    slope, curvature = jax.grad(complete)(start, x, share), jax.hessian(complete)(start, x, share)
    return equal(start - jnp.linalg.solve(curvature, slope), means)


# Rates and conditions --------------------------------------------------------------------------------------
summary = statement(
    "C4.110",
    IMPR,
    r"In sum: gradient descent has the rates $O(1/k)$ and $(1 - \mu/L)^k$, Nesterov's $O(1/k^2)$ is optimal, "
    r"Newton's method converges quadratically, and the KKT conditions are necessary and sufficient.",
    but=r"The two rates are for convex and strongly convex smooth functions and step $1/L$. Nesterov's is optimal, up "
    r"to a constant, only while $k$ is below half the dimension: in one dimension bisection beats every power of "
    r"$k$. Newton's method has to start near the minimum: on $\sqrt{1 + x^2}$ it diverges from beyond 1. The KKT "
    r"conditions suffice for convex problems, and are necessary under a condition such as Slater's.",
)


@summary.true
def rates_of_gradient_descent(x: Real[Array, d], A: PositiveSemidefinite[Array, d, d]):
    r"""$f(x_k) \le L R^2 / (2k)$ and $f(x_k) \le (1 - \mu/L)^k f(x_0)$ on quadratics"""
    values, f = jnp.linalg.eigvalsh(A + 1e-3 * jnp.eye(len(x))), quadratic(A + 1e-3 * jnp.eye(len(x)))
    gaps, k = jax.vmap(f)(gradient_descent(f, x, 1 / values[-1], 15)), jnp.arange(16.0)
    return at_most(2 * k * gaps, values[-1] * (x @ x)), at_most(
        gaps, (1 - values[0] / values[-1]) ** k * gaps[0], gaps[0]
    )


@summary.true
def rate_of_nesterov(x: Real[Array, d], A: PositiveSemidefinite[Array, d, d]):
    r"""$f(x_k) \le 2 L R^2 / (k + 1)^2$ on quadratics, with step $1/L$ and $\beta_k = k / (k + 3)$"""
    f, L = quadratic(A + 1e-3 * jnp.eye(len(x))), jnp.linalg.eigvalsh(A)[-1] + 1e-3

    def step(state):
        x, y, k = state
        new = y - jax.grad(f)(y) / L
        return new, new + k / (k + 3) * (new - x), k + 1

    trace, _, k = iterates(step, (x, x, jnp.zeros(())), 15)
    return at_most(jax.vmap(f)(trace)[1:], (2 * L * (x @ x) / (k + 1) ** 2)[1:], scale=1e-30 + L * (x @ x))


@summary.as_worded
def nothing_beats_nesterov():
    r"""Bisection on the gradient of $x^4 / 12$ ($L = R = 1$ on $[-1, 1]$) stays above $3 L R^2 / (32 (k + 1)^2)$ for
    50 steps"""
    f = lambda x: x**4 / 12
    low, high, gaps = -1.0, 2.0, []
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if jax.grad(f)(middle) > 0 else (middle, high)
        gaps.append(f(middle))
    return at_most(3 / (32 * (np.arange(1, 51) + 1.0) ** 2), np.array(gaps))


def newton(x):
    """A step of Newton's method on the square root of one plus x squared."""
    f = lambda x: jnp.sqrt(1 + x * x)
    return x - jax.grad(f)(x) / jax.grad(jax.grad(f))(x)


@summary.as_worded(at=lambda: [{"x": 1.1}])
def newton_converges(x: Positive[Array, ()]):
    r"""On $\sqrt{1 + x^2}$, whose second derivative is positive, a step of Newton's method comes no farther from 0"""
    return at_most(abs(newton(x)), x)


@summary.true
def newton_converges_from_near(x: UnitInterval[Array, ()]):
    r"""The step is $x_{k+1} = -x_k^3$, so from $|x_0| < 1$ the distance is squared at least"""
    return equal(newton(x), -(x**3)), at_most(abs(newton(x)), x**2)


def lagrangian(f, x, lam):
    """Of minimising f subject to x at most 5."""
    return f(x) + lam * (x - 5)


@summary.as_worded
def kkt_suffices():
    r"""$x = 0$ with multiplier 0, which meets the conditions for $(x^2 - 1)^2$ subject to $x \le 5$, has the least
    value 0"""
    f = lambda x: (x**2 - 1) ** 2
    return equal(jax.grad(lagrangian, argnums=1)(f, 0.0, 0.0), 0.0), at_most(f(0.0), f(1.0))


@summary.true
def kkt_suffices_if_convex(x: Real[Array, ()], lam: Nonnegative[Array, ()], a: Positive[Array, ()]):
    r"""$x = 5$ with any multiplier $\lambda \ge 0$ meets them for $\frac a2 (x - 5 - \frac\lambda a)^2$, and no $5 -
    x^2$ is better"""
    f = lambda x: a / 2 * (x - 5 - lam / a) ** 2
    return equal(-jax.grad(f)(jnp.asarray(5.0)), lam), at_most(f(5.0), f(5 - x**2))
