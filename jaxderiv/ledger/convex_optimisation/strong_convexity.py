r"""Strong convexity: by chords, by tangents, by the Hessian, and what is weaker.

Source: ML Math Derivations, part 4, "Convex functions".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, Share, Symmetric, d, m
from jaxderiv.ledger.convex_optimisation.convex_functions import hyperbolas, mix
from jaxderiv.ledger.convex_optimisation.curvature import along
from jaxderiv.ledger.convex_optimisation.tangents import quartic, tangent
from jaxderiv.theorem import IMPR, TRUE, at_most, equal, statement

strongly = statement(
    "C4.12",
    IMPR,
    r"$f$ is $\mu$-strongly convex if $f - \frac\mu2 \|x\|^2$ is convex: it has at least quadratic curvature in every "
    r"direction.",
    but=r"For twice differentiable $f$ this means $\nabla^2 f \succeq \mu I$ everywhere, or that $f$ exceeds every "
    r"tangent by $\frac\mu2 \|y - x\|^2$. Growing quadratically around its minimiser does not make $f$ strongly, "
    r"nor at all, convex: $x^2 + 3 \sin^2 x \ge x^2$ has the curvature -4 at $\frac\pi2$.",
)


@strongly.true(sizes={"d": 3, "m": 6})
def three_characterisations(
    x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Real[Array, m, d], mu: Positive[Array, ()]
):
    r"""By chords, by tangents and by curvature, a convex function plus $\frac\mu2 \|x\|^2$ is $\mu$-strongly convex"""
    f = lambda x: hyperbolas(A)(x) + mu / 2 * (x @ x)
    square = mu / 2 * ((x - y) @ (x - y))
    return (
        at_most(f(mix(x, y, lam)) + lam * (1 - lam) * square, mix(f(x), f(y), lam)),
        at_most(tangent(f, x, y) + square, f(y)),
        at_most(2 * square, along(f, x, y - x)),
    )


@strongly.true
def grows_from_its_minimum(x: Real[Array, ()]):
    r"""$x^2 + 3 \sin^2 x \ge x^2$, so that it grows as a 2-strongly convex function does from its minimiser 0"""
    return at_most(x**2, growing(x))


def growing(x):
    r"""$x^2 + 3 \sin^2 x$"""
    return x**2 + 3 * jnp.sin(x) ** 2


@strongly.as_worded(at=lambda: [{"x": jnp.pi / 2}])
def curvature_from_growth(x: Real[Array, ()]):
    r"""Its curvature is at least 2 everywhere"""
    return at_most(2.0, jax.grad(jax.grad(growing))(x))


@strongly.control(at=[{"x": [1.0, 2.0], "y": [2.0, 1.0], "A": np.zeros((1, 2)), "mu": 1.0}])
def stronger(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d], mu: Positive[Array, ()]):
    r"""With $\mu$ five percent too large"""
    f = lambda x: hyperbolas(A)(x) + mu / 2 * (x @ x)
    return at_most(tangent(f, x, y) + 1.05 * mu / 2 * ((x - y) @ (x - y)), f(y))


strong = statement(
    "C4.17",
    TRUE,
    r"On a convex domain, a twice continuously differentiable $f$ is $\mu$-strongly convex exactly if "
    r"$\nabla^2 f \succeq \mu I$.",
)


@strong.true
def depth_of_a_quadratic(
    x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], A: Symmetric[Array, d, d], mu: Real[Array, ()]
):
    r"""$f - \frac\mu2 \|x\|^2$, of a quadratic f, is below its chord by
    $\frac12 \lambda (1 - \lambda) (x - y)^\top (\nabla^2 f - \mu I)(x - y)$: never above exactly if $\nabla^2 f
    \succeq \mu I$"""
    f = lambda x: x @ A @ x / 2
    rest, v = lambda x: f(x) - mu / 2 * (x @ x), x - y
    depth = lam * (1 - lam) / 2 * (v @ jax.hessian(f)(x) @ v - mu * (v @ v))
    return equal(mix(rest(x), rest(y), lam) - rest(mix(x, y, lam)), depth)


@strong.true
def depth_is_mean_curvature(x: Real[Array, d], v: Real[Array, d], A: Real[Array, m, d], b: Real[Array, d]):
    r"""$f(x + v) + f(x - v) - 2 f(x)$, twice the depth below a chord, is a mean of the curvature along v on the way
    (quartics: with the weights $\frac1{12}, \frac{10}{12}, \frac1{12}$ at its ends and middle), so at least
    $\mu \|v\|^2$"""
    f = quartic(A, b)
    mean = (along(f, x + v, v) + 10 * along(f, x, v) + along(f, x - v, v)) / 12
    return equal(f(x + v) + f(x - v) - 2 * f(x), mean)


def strongly_below_the_chord(x, y, lam, A, spectrum, factor):
    r"""f below its chord by $\frac\mu2 \lambda (1 - \lambda) \|x - y\|^2$ for $\mu = \min_i s_i$, times a factor"""
    f = lambda x: hyperbolas(A)(x) + x @ (spectrum * x) / 2
    depth = jnp.min(spectrum) / 2 * lam * (1 - lam) * ((x - y) @ (x - y))
    return at_most(f(mix(x, y, lam)) + factor * depth, mix(f(x), f(y), lam))


@strong.true(sizes={"d": 3, "m": 6})
def from_the_least_eigenvalue(
    x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Real[Array, m, d], spectrum: Positive[Array, d]
):
    r"""A convex function plus $\frac12 \sum_i s_i x_i^2$ has a Hessian of at least $\mu I$, $\mu = \min_i s_i$, and is
    below its chord by $\frac\mu2 \lambda (1 - \lambda) \|x - y\|^2$"""
    return strongly_below_the_chord(x, y, lam, A, spectrum, 1.0)


@strong.control(at=[{"x": [1.0], "y": [0.0], "lam": 0.5, "A": [[0.0]], "spectrum": [1.0]}])
def stronger_than_the_least_eigenvalue(
    x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Real[Array, m, d], spectrum: Positive[Array, d]
):
    r"""With $\mu$ five percent too large"""
    return strongly_below_the_chord(x, y, lam, A, spectrum, 1.05)
