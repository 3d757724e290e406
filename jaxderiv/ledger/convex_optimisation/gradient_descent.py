r"""Gradient descent on smooth convex functions: what many steps guarantee, and the functions that attain it.

f* is the least value of f, x* a point where it is attained, R the distance of the start from it, L the Lipschitz
constant of the gradient; the step is $1/L$.

Source: ML Math Derivations, part 4, "First-order methods"; the exact worst case: Drori and Teboulle (2014), theorem
3.1.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, d, n
from jaxderiv.ledger.convex_optimisation.smooth_functions import (
    FAMILIES,
    huber_losses,
    least_squares,
    logistic_losses,
    smooth_convex,
)
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.theorem import TRUE, at_most, close, statement

rate = statement(
    "C4.39",
    TRUE,
    r"Gradient descent with step $1/L$ on a convex $L$-smooth $f$: $f(x_k) - f^* \le L R^2 / (2k)$ for $k \ge 1$.",
)
STEPS = 20


def huber(L, knee):
    """Quadratic inside of the knees and linear outside, with curvature L."""
    return lambda x: L * jnp.where(abs(x) < knee, x**2 / 2, knee * abs(x) - knee**2 / 2)[0]


def gaps_on_huber(x, L, knee):
    """Values of the Huber function, whose minimum is 0, at the iterates."""
    f = huber(L, knee)
    return jax.vmap(f)(gradient_descent(f, x, 1 / L, STEPS))


def half_way(L, radius_squared, count):
    r"""$L R^2 / (4k + 2)$ for k = 0, 1, ...; for $k \ge 1$ less than half of what is claimed"""
    return L * radius_squared / (4 * jnp.arange(count + 1.0) + 2)


KNEES = [{"x": np.array([1.0]), "L": 2.0, "knee": 1 / (2 * k + 1)} for k in (1, 5, STEPS)]


@rate.true(at=KNEES)
def exact_worst_case(x: Real[Array, 1], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""$f(x_k) - f^* \le L R^2 / (4k + 2)$ at every iterate; attained by the Huber function with knee $R / (2k + 1)$"""
    return at_most(gaps_on_huber(x, L, knee), half_way(L, x @ x, STEPS))


@rate.control(at=KNEES)
def too_strong(x: Real[Array, 1], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""The bound with a constant five percent too small"""
    return at_most(gaps_on_huber(x, L, knee), 0.95 * half_way(L, x @ x, STEPS))


@rate.true
def how_far_from_the_claim():
    r"""The worst case reaches $2k / (4k + 2)$ of the claimed bound: 0.333, 0.455, 0.488, 0.4975 for k = 1, 5, 20,
    100"""
    steps, shares = (1, 5, 20, 100), []
    for k in steps:
        f = huber(1.0, 1 / (2 * k + 1))
        shares.append(f(gradient_descent(f, jnp.ones(1), 1.0, k)[-1]) * 2 * k)
    return close(jnp.stack(shares), jnp.array([0.333, 0.455, 0.488, 0.4975]), 5e-4)


@rate.true(sizes={"n": 4})
def on_convex_families(X: Real[Array, n, d], x: Real[Array, d]):
    r"""$f(x_k) - f^* \le L R^2 / (4k + 2)$ on Huber losses, logistic losses and log-sum-exp"""
    gaps = lambda f, L: jax.vmap(f)(gradient_descent(f, x, 1 / L, 10))
    return [at_most(gaps(f, L), half_way(L, x @ x, 10)) for f, L in (family(X) for family in FAMILIES)]


proof = statement(
    "C4.40",
    TRUE,
    r"Its proof: $f(x^+) \le f(x) - \|\nabla f(x)\|^2 / (2L)$ for the step $x^+$; with convexity "
    r"$f(x^+) - f^* \le \frac L2 (\|x - x^*\|^2 - \|x^+ - x^*\|^2)$; the sum telescopes, and the values decrease.",
)


def decrease(constant, f, L, x):
    r"""$f(x^+) \le f(x) - c \|\nabla f(x)\|^2 / (2L)$"""
    g = jax.grad(f)(x)
    return at_most(f(x - g / L), f(x) - constant * (g @ g) / (2 * L), scale=f(x))


def nearer(constant, f, L, x):
    r"""$f(x^+) - f^* \le c \frac L2 (\|x - x^*\|^2 - \|x^+ - x^*\|^2)$"""
    after = x - jax.grad(f)(x) / L
    return at_most(f(after), constant * L / 2 * (x @ x - after @ after))


@proof.true
def sufficient_decrease(X: Real[Array, n, d], x: Real[Array, d]):
    r"""$f(x^+) \le f(x) - \|\nabla f(x)\|^2 / (2L)$"""
    return [decrease(1.0, f, L, x) for f, L in smooth_convex(X)]


@proof.control(at=[{"X": [[1.0]], "x": [1.0]}], sizes={"n": 1, "d": 1})
def larger_decrease(X: Real[Array, n, d], x: Real[Array, d]):
    r"""A decrease five percent larger: the bound is attained by least squares with one observation"""
    return decrease(1.05, *least_squares(X), x)


@proof.true
def one_term(X: Real[Array, n, d], x: Real[Array, d]):
    r"""$f(x^+) - f^* \le \frac L2 (\|x - x^*\|^2 - \|x^+ - x^*\|^2)$"""
    return [nearer(1.0, f, L, x) for f, L in smooth_convex(X)]


@proof.control(at=[{"X": [[1.0]], "x": [100.0]}], sizes={"n": 1, "d": 1})
def one_term_too_strong(X: Real[Array, n, d], x: Real[Array, d]):
    r"""$\frac L2$ five percent smaller: far out on one Huber loss the two sides are $|z| - \frac32$ and $|z| -
    \frac12$"""
    return nearer(0.95, *huber_losses(X), x)


@proof.true(sizes={"n": 4})
def telescope(X: Real[Array, n, d], x: Real[Array, d]):
    r"""$f(x_{k+1}) \le f(x_k)$ and $k (f(x_k) - f^*) \le \sum_{i \le k} (f(x_i) - f^*) \le \frac L2 (R^2 - \|x_k -
    x^*\|^2)$, on logistic losses"""
    f, L = logistic_losses(X)
    path = gradient_descent(f, x, 1 / L, 10)
    gaps, R = jax.vmap(f)(path), jnp.sum(path**2, axis=1)
    sums = jnp.cumsum(gaps[1:])
    return (
        at_most(gaps[1:], gaps[:-1]),
        at_most(jnp.arange(1.0, 11) * gaps[1:], sums),
        at_most(sums, L / 2 * (R[0] - R[1:])),
    )
