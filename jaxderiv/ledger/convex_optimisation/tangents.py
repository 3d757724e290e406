r"""Tangents: they lie below a convex function, and that is not why gradient descent descends.

The identity that makes chords of tangents is shown in exact arithmetic for a polynomial that is not convex; the
inequalities are tried on sums of hyperbolas.

Source: ML Math Derivations, part 4, "Convex functions".
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Positive, Real, Share, Sign, d, m
from jaxderiv.ledger.convex_optimisation.convex_functions import below_chord, hyperbolas, mix
from jaxderiv.theorem import FALSE, HYP, at_most, equal, statement


def tangent(f, x, y):
    r"""$f(x) + \nabla f(x)^\top (y - x)$, the tangent at x, at y"""
    return f(x) + jax.grad(f)(x) @ (y - x)


def quartic(A, b):
    r"""$f(x) = \sum_i (a_i^\top x)^4 - (b^\top x)^2$, not convex in general"""
    return lambda x: jnp.sum((A @ x) ** 4) - (b @ x) ** 2


first_order = statement(
    "C4.13",
    HYP,
    r"A differentiable $f$ is convex exactly if $f(y) \ge f(x) + \nabla f(x)^\top (y - x)$ for all $x, y$.",
    but=r"The domain has to be open and convex. $|x^2 - 1|$ passes the test on $\{|x| > 1\}$, and yet exceeds its "
    r"chords between the two halves of this set.",
)


def kinked(x):
    r"""$|x^2 - 1|$"""
    return abs(x**2 - 1)


@first_order.true(sizes={"d": 3, "m": 6})
def above_its_tangents(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d]):
    r"""A convex function lies above its tangents: $f(x) = \sum_i \sqrt{1 + (a_i^\top x)^2}$"""
    f = hyperbolas(A)
    return at_most(tangent(f, x, y), f(y))


@first_order.true
def tangents_make_chords(
    x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], A: Real[Array, m, d], b: Real[Array, d]
):
    r"""And conversely: below the chord at $z = \lambda x + (1 - \lambda) y$ by $\lambda$ times the excess over the
    tangent of z at x, and $1 - \lambda$ times that at y; for every differentiable f"""
    f, z = quartic(A, b), mix(x, y, lam)
    return equal(mix(f(x), f(y), lam) - f(z), mix(f(x) - tangent(f, z, x), f(y) - tangent(f, z, y), lam))


@first_order.true
def passes_outside_of_the_interval(
    u: Positive[Array, ()], v: Positive[Array, ()], side: Sign[Array, ()], other: Sign[Array, ()]
):
    r"""$|x^2 - 1|$ passes the test between any two points of $\{|x| > 1\}$"""
    x, y = side * (1 + u), other * (1 + v)
    return at_most(kinked(x) + jax.grad(kinked)(x) * (y - x), kinked(y), scale=1 + x**2 + y**2)


@first_order.as_worded
def chord_across_the_interval(u: Positive[Array, ()], v: Positive[Array, ()], lam: Share[Array, ()]):
    r"""So it lies below its chords between points of that set"""
    return below_chord(kinked, -(1 + u), 1 + v, lam)


@first_order.control
def tangents_of_the_sine(x: Real[Array, ()], y: Real[Array, ()]):
    r"""$\sin x$ does not pass"""
    return at_most(jnp.sin(x) + jnp.cos(x) * (y - x), jnp.sin(y))


why_descent = statement(
    "C4.14",
    FALSE,
    r"Because its tangents lie below a convex $f$, a step along $-\nabla f$ decreases $f$.",
    but=r"$-\nabla f$ is a direction of descent of every differentiable $f$ where $\nabla f \ne 0$, convex or not, "
    r"and how long a step decreases $f$ is a matter of a bound from above, such as a Lipschitz gradient. What the "
    r"bound from below gives is that a stationary point is a minimiser.",
)


@why_descent.as_worded(at=[{"x": [1.0], "A": [[1.0]], "rate": 2.5}])
def every_step_descends(x: Real[Array, d], A: Real[Array, m, d], rate: Positive[Array, ()]):
    r"""$f(x - \alpha \nabla f(x)) \le f(x)$ for convex f; on $\frac12 x^2$, a step of 2.5 leads from 1 to -1.5"""
    f = lambda x: (A @ x) @ (A @ x) / 2
    return at_most(f(x - rate * jax.grad(f)(x)), f(x))


@why_descent.true
def slope_along_the_gradient(x: Real[Array, d], A: Real[Array, m, d], b: Real[Array, d]):
    r"""$\frac{d}{dt} f(x - t \nabla f(x)) = -\|\nabla f(x)\|^2$ at 0, of a quartic that is not convex"""
    f = quartic(A, b)
    g = jax.grad(f)(x)
    return equal(jax.grad(lambda t: f(x - t * g))(0.0), -g @ g)


@why_descent.true(sizes={"d": 3})
def bound_from_above(x: Real[Array, d], share: Share[Array, ()]):
    r"""$f(x - \alpha g) \le f(x) - \alpha (1 - \frac{\alpha L}2) \|g\|^2$ for $f(x) = \sum_i \sin x_i$, not convex,
    with $L = 1$"""
    f, rate = lambda x: jnp.sum(jnp.sin(x)), 2 * share
    g = jax.grad(f)(x)
    return at_most(f(x - rate * g), f(x) - rate * (1 - rate / 2) * (g @ g), scale=1.0)


@why_descent.true(sizes={"d": 3, "m": 6})
def bound_from_below(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d]):
    r"""$f(y) \ge f(x) - \|\nabla f(x)\| \, \|y - x\|$ for convex f: nothing is lower where $\nabla f(x) = 0$"""
    f = hyperbolas(A)
    length = lambda v: jnp.sqrt(v @ v)
    return at_most(f(x) - length(jax.grad(f)(x)) * length(y - x), f(y))
