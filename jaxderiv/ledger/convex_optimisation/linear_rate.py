r"""The linear rate of gradient descent on strongly convex functions: a fixed share of the gap is lost in every step.

L is the Lipschitz constant of the gradient, mu that of strong convexity, $\kappa = L / \mu$.

Source: ML Math Derivations, part 4, "First-order methods". The exact factor: Taylor, Hendrickx and Glineur (2018); the
rate without convexity: Karimi, Nutini and Schmidt (2016).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Nonnegative, Positive, Real, Share, UnitInterval, d, n
from jaxderiv.ledger.convex_optimisation.smooth_functions import FAMILIES
from jaxderiv.ledger.notation import Function, gradient_descent
from jaxderiv.theorem import TRUE, at_most, close, statement

STEPS = 20

linear_rate = statement(
    "C4.41",
    TRUE,
    r"If $f$ is $\mu$-strongly convex besides, gradient descent with step $1/L$ has "
    r"$f(x_k) - f^* \le (1 - \mu / L)^k (f(x_0) - f^*)$.",
)


def along_the_axes(spectrum) -> Function:
    """The quadratic with these curvatures; gradient descent does not notice a rotation."""
    return lambda x: jnp.sum(spectrum * x**2) / 2


def strongly(mu, f, L):
    r"""$f(x) + \frac\mu2 \|x\|^2$ with its constant"""
    return lambda x: f(x) + mu / 2 * (x @ x), L + mu


def within_factor(constant, problem, mu, alpha, x, count):
    r"""$f(x_k) \le c \rho^{2k} f(x_0)$, $k \ge 1$, with $\rho = \max(|1 - a \mu|, |1 - a L|)$, for the step
    $a = 2 \alpha / L$"""
    f, L = problem
    step = 2 * alpha / L
    factor = jnp.maximum(abs(1 - step * mu), abs(1 - step * L)) ** 2
    values = jax.vmap(f)(gradient_descent(f, x, step, count))
    bounds = constant * factor ** jnp.arange(1.0, count + 1) * values[0]
    return at_most(values[1:], bounds, scale=bounds + 1e-12 * values[0])  # of a factor of zero only rounding is left


ENDS = [
    {"x": np.array(x), "mu": 1.0, "more": 9.0, "share": np.array([0.0, 0.5, 1.0]), "alpha": alpha}
    for x, alpha in (([1.0, 0.0, 0.0], 0.5), ([1.0, 0.0, 1.0], 10 / 11), ([0.0, 0.0, 1.0], 0.95))
]


@linear_rate.true(at=ENDS)
def exact_factor(
    x: Real[Array, d], mu: Positive[Array, ()], more: Nonnegative[Array, ()], share: Share[Array, d],
    alpha: UnitInterval[Array, ()],
):  # fmt: skip
    r"""On quadratics, with any step $a < 2/L$: $f(x_k) \le \max(|1 - a \mu|, |1 - a L|)^{2k} f(x_0)$; attained on
    eigenvectors. With $1/L$ the factor is $(1 - \mu / L)^2$, the square of what is claimed"""
    return within_factor(1.0, (along_the_axes(mu + more * share), mu + more), mu, alpha, x, STEPS)


@linear_rate.control(at=ENDS)
def factor_too_strong(
    x: Real[Array, d], mu: Positive[Array, ()], more: Nonnegative[Array, ()], share: Share[Array, d],
    alpha: UnitInterval[Array, ()],
):  # fmt: skip
    """The same bound five percent smaller"""
    return within_factor(0.95, (along_the_axes(mu + more * share), mu + more), mu, alpha, x, STEPS)


@linear_rate.true(sizes={"n": 4})
def exact_factor_elsewhere(
    X: Real[Array, n, d], x: Real[Array, d], mu: Positive[Array, ()], alpha: UnitInterval[Array, ()]
):
    r"""The factor $\max(|1 - a \mu|, |1 - a L|)^{2k}$ of the step $a < 2/L$ bounds Huber losses, logistic losses and
    log-sum-exp with $\frac\mu2 \|x\|^2$ added, too"""
    return [within_factor(1.0, strongly(mu, *family(X)), mu, alpha, x, 10) for family in FAMILIES]


@linear_rate.true
def without_convexity(x: Real[Array, ()]):
    r"""All that is used is $\frac12 \|\nabla f\|^2 \ge \mu (f - f^*)$: it holds of $x^2 + 3 \sin^2 x$ with
    $\mu = 1/32$ and L = 8, which is not convex, and so does the rate"""
    f = lambda x: x**2 + 3 * jnp.sin(x) ** 2
    values = jax.vmap(f)(gradient_descent(f, x, 1 / 8, STEPS))
    bounds = (1 - 1 / 256) ** jnp.arange(STEPS + 1.0) * f(x)
    concave = at_most(jax.hessian(f)(jnp.pi / 2), -4.0 + 1e-9)
    return at_most(f(x) / 32, jax.grad(f)(x) ** 2 / 2), at_most(values, bounds), concave


@linear_rate.true
def after_thirty_steps():
    r"""$\kappa = 10$: the claim leaves 4.2 percent of the gap after thirty steps, the worst case is 0.18 percent"""
    f = along_the_axes(jnp.array([1.0, 10.0]))
    start = jnp.array([1.0, 0.0])
    left = f(gradient_descent(f, start, 0.1, 30)[-1]) / f(start)
    return close((1 - 1 / 10) ** 30, 0.042, 5e-4), close(left, 0.0018, 5e-5)


conditioning = statement(
    "C4.42",
    TRUE,
    r"With $\kappa \approx 1$ gradient descent needs few steps, with $\kappa \sim 10^6$ millions.",
)


def promised(kappa):
    r"""Steps after which $(1 - 1/\kappa)^k \le 10^{-6}$"""
    return math.ceil(math.log(1e-6) / math.log1p(-1 / kappa))


def counted(kappa):
    r"""Steps $1/L$ that take the value down to $10^{-6}$ of the first, on curvatures 1 and $1/\kappa$ from the slow
    axis"""
    f = along_the_axes(jnp.array([1.0, 1 / kappa]))
    values = jax.vmap(f)(gradient_descent(f, jnp.array([0.0, 1.0]), 1.0, promised(kappa)))
    return int(jnp.argmax(values <= 1e-6 * values[0]))


@conditioning.true
def steps_to_a_millionth():
    r"""The claimed rate promises $1.38 \cdot 10^7$ steps for $\kappa = 10^6$; the exact one, its square, half of that.
    On a quadratic 3 steps do for $\kappa = 1.1$, and ten times the $\kappa$ takes ten times the steps"""
    few, hundred, thousand = counted(1.1), counted(100.0), counted(1000.0)
    exact = math.log(1e-6) / (2 * math.log1p(-1e-6))
    return (
        close(promised(1e6), 1.38e7, 5e4),
        close(exact, 0.69e7, 5e4),
        close(few, 3, 0.5),
        close(thousand / hundred, 10, 0.1),
        close(thousand / promised(1000.0), 0.5, 0.001),
    )
