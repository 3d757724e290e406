r"""The step of gradient descent on quadratics: what contracts, what oscillates, what diverges, and how many steps it
takes.

mu and L are the smallest and the largest curvature, $\kappa = L / \mu$.

Source: ML Math Derivations, part 4, "First-order methods" and figure 7.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Positive, Real, UnitInterval, d
from jaxderiv.ledger.convex_optimisation.linear_rate import along_the_axes
from jaxderiv.ledger.notation import gradient_descent, quadratic, rotation, symmetric
from jaxderiv.theorem import HYP, IMPR, TRUE, at_most, close, equal, holds, statement

overshoot = statement(
    "C4.43",
    TRUE,
    r"On $\frac L2 x^2$ gradient descent multiplies the iterate by $1 - \alpha L$.",
)


def stepped(x, L, alpha):
    r"""$x - \alpha f'(x)$ for $f(x) = \frac L2 x^2$"""
    return x - alpha * jax.grad(lambda x: L / 2 * x**2)(x)


@overshoot.true
def contraction(x: Real[Array, ()], L: Positive[Array, ()], alpha: Positive[Array, ()]):
    r"""$x - \alpha f'(x) = (1 - \alpha L) x$"""
    return equal(stepped(x, L, alpha), (1 - alpha * L) * x)


@overshoot.control
def contraction_by_half_the_curvature(x: Real[Array, ()], L: Positive[Array, ()], alpha: Positive[Array, ()]):
    r"""$1 - \alpha L / 2$ would be the factor on $\frac L4 x^2$"""
    return equal(stepped(x, L, alpha), (1 - alpha * L / 2) * x)


regimes = statement(
    "C4.44",
    IMPR,
    r"A step in $(0, 1/L)$ contracts slowly, in many tiny steps; $1/L$ jumps to the minimum; a step in $(1/L, 2/L)$ "
    r"oscillates and converges; one above $2/L$ diverges.",
    r"Steps below $1/L$ are slow only far below: $0.99/L$ leaves a hundredth of the distance. The list also leaves out "
    r"the step $2/L$, with which the iterate goes back and forth at the same distance for ever, and the step 0.",
)


@regimes.as_worded(at=[{"x": 1.0, "L": 4.0, "share": 0.99}])
def slow_below(x: Real[Array, ()], L: Positive[Array, ()], share: UnitInterval[Array, ()]):
    r"""Any step $s/L$ with $0 < s < 1$ takes many steps: one of them leaves a tenth of the distance or more"""
    return at_most(abs(x) / 10, abs(stepped(x, L, share / L)))


@regimes.as_worded(at=[{"x": 1.0, "L": 4.0, "alpha": 0.5}])
def nothing_left_out(x: Positive[Array, ()], L: Positive[Array, ()], alpha: Positive[Array, ()]):
    r"""Every step brings the iterate nearer or takes it further away"""
    return holds(abs(stepped(x, L, alpha)) != x)


@regimes.true
def below_and_between(x: Real[Array, ()], L: Positive[Array, ()], share: UnitInterval[Array, ()]):
    r"""With $s/L$ and $0 < s < 1$ the iterate stays on its side and keeps $1 - s$ of its distance; with $(1 + s)/L$ it
    changes sides and keeps s"""
    return equal(stepped(x, L, share / L), (1 - share) * x), equal(stepped(x, L, (1 + share) / L), -share * x)


@regimes.true
def at_the_ends_and_beyond(x: Real[Array, ()], L: Positive[Array, ()], beyond: Positive[Array, ()]):
    r"""$1/L$ reaches the minimum, two steps $2/L$ come back to the start, and $(2 + \varepsilon)/L$ multiplies the
    distance by $1 + \varepsilon$"""
    there_and_back = stepped(stepped(x, L, 2 / L), L, 2 / L)
    beyond_it = stepped(x, L, (2 + beyond) / L)
    return equal(x + stepped(x, L, 1 / L), x), equal(there_and_back, x), equal(beyond_it, -(1 + beyond) * x)


several = statement(
    "C4.45",
    HYP,
    r"The same dichotomy holds in $n$ dimensions, with $L = \lambda_{\max}$.",
    r"Of a quadratic: every eigenvector has its own factor $1 - \alpha \lambda_i$, so above $2/L$ only starts with a "
    r"component where $\alpha \lambda_i > 2$ diverge. $1/L$ is neither the best step, which is $2/(L + \mu)$, nor "
    r"does it finish at once. A function that is flatter than $L$ around the minimum may converge with steps above "
    r"$2/L$.",
)


def plane(flat):
    r"""$\frac12 (x_1^2 + \mu x_2^2)$, so L = 1"""
    return lambda x: (x[0] ** 2 + flat * x[1] ** 2) / 2


@several.as_worded(at=[{"x": [0.0, 1.0], "flat": 0.1, "beyond": 0.5}])
def diverges_beyond(x: Real[Array, 2], flat: UnitInterval[Array, ()], beyond: Positive[Array, ()]):
    r"""A step $(2 + \varepsilon)/L$ takes every start further away"""
    after = x - (2 + beyond) * jax.grad(plane(flat))(x)
    return at_most(x @ x, after @ after)


@several.as_worded(at=[{"x": [1.0, 1.0], "flat": 0.1}])
def jumps_to_the_minimum(x: Real[Array, 2], flat: UnitInterval[Array, ()]):
    r"""The step $1/L$ reaches the minimum at once"""
    return at_most(jnp.linalg.norm(x - jax.grad(plane(flat))(x)), 0.0)


def worst_factor(spectrum, alpha):
    r"""$\rho(I - \alpha A) = \max_i |1 - \alpha \lambda_i|$"""
    return jnp.max(abs(1 - alpha * spectrum))


@several.as_worded(at=[{"spectrum": [1.0, 0.1], "alpha": 2 / 1.1}], sizes={"d": 2})
def best_is_one_over_L(spectrum: Positive[Array, d], alpha: Positive[Array, ()]):
    r"""No step has a smaller factor than $1/L$"""
    return at_most(worst_factor(spectrum, 1 / jnp.max(spectrum)), worst_factor(spectrum, alpha))


@several.true
def every_eigenvector_by_itself(
    spectrum: Real[Array, 2], u: Real[Array, 2, 2], x: Real[Array, 2], alpha: Real[Array, ()]
):
    r"""$q_i^\top x_k = (1 - \alpha \lambda_i)^k q_i^\top x_0$ for the eigenvectors $q_i$ of any symmetric A, here k =
    2"""
    f, Q = quadratic(symmetric(spectrum, u)), rotation(u)
    return equal(Q.T @ gradient_descent(f, x, alpha, 2)[2], (1 - alpha * spectrum) ** 2 * (Q.T @ x))


@several.true
def best_step(spectrum: Positive[Array, d], alpha: Positive[Array, ()]):
    r"""$\rho(I - \alpha A) \ge (L - \mu) / (L + \mu)$, and $\alpha = 2 / (L + \mu)$ attains it"""
    mu, L = jnp.min(spectrum), jnp.max(spectrum)
    best, attained = (L - mu) / (L + mu), worst_factor(spectrum, 2 / (L + mu))
    return at_most(best, worst_factor(spectrum, alpha)), at_most(attained, best, scale=1.0)


@several.true
def converges_below(spectrum: Positive[Array, d], x: Real[Array, d], share: UnitInterval[Array, ()]):
    r"""Below $2/L$ every start converges: $\|x_k\| \le \rho^k \|x_0\|$ with $\rho < 1$"""
    alpha = 2 * share / jnp.max(spectrum)
    path = gradient_descent(along_the_axes(spectrum), x, alpha, 10)
    rho = worst_factor(spectrum, alpha)
    lengths = jnp.linalg.norm(path, axis=1)
    return at_most(lengths, rho ** jnp.arange(11.0) * lengths[0]), at_most(rho, 1.0)


@several.true
def flatter_around_the_minimum(x: UnitInterval[Array, ()]):
    r"""Curvature 0.1 within $|x| < 1$ and L = 1 outside: the step $2.5/L$ takes a start within to $0.75 x$"""
    f = lambda x: jnp.where(x < 1, x**2 / 20, 1 / 20 + (x - 1) / 10 + (x - 1) ** 2 / 2)
    return equal(x - 2.5 * jax.grad(f)(x), 0.75 * x), equal(jax.hessian(f)(x + 1), 1.0)


figure = statement(
    "C4.46",
    TRUE,
    r"Figure, $f(x) = 2x^2$ with $L = 4$: the step 0.05 is too small, 0.18 is about right, 0.55 diverges.",
)


@figure.true
def three_paths():
    r"""From -3, 25 steps 0.05 leave 0.011 and 14 steps 0.18 less than $10^{-7}$; from -1.5, 6 steps 0.55 > 2/L end at
    4.5, each on the other side. (1/L is 0.25, and would need one step.)"""
    f = lambda x: 2 * x**2
    path = lambda start, step, count: gradient_descent(f, jnp.asarray(start), step, count)
    small, right, large, exact = path(-3.0, 0.05, 25), path(-3.0, 0.18, 14), path(-1.5, 0.55, 6), path(-3.0, 0.25, 1)
    return (
        holds(small[1:] > small[:-1]),
        close(small[-1], -0.0113, 5e-5),
        at_most(abs(right[-1]), 1e-7),
        holds(large[1:] * large[:-1] < 0),
        close(large[-1], -4.48, 5e-3),
        close(exact[-1], 0.0, 1e-12),
        at_most(2 / jax.hessian(f)(0.0), 0.55),
    )
