r"""Convex functions: what the definition says, and the functions that a text calls convex.

A function is called convex if it lies below its chords: f(lam x + (1 - lam) y) <= lam f(x) + (1 - lam) f(y) for lam
from 0 to 1. For "a convex function" stand, in this folder, the largest of several affine functions (every closed convex
function is the supremum of some), and where it has to be smooth, a sum of hyperbolas along several directions.

Source: ML Math Derivations, part 4, "Convex functions".
"""

import jax
import jax.numpy as jnp

from jaxderiv.catalogue.notation import logsumexp, softmax
from jaxderiv.domains import Array, K, Nonnegative, Positive, Real, Share, d, m
from jaxderiv.ledger.notation import Function
from jaxderiv.theorem import TRUE, Inequality, at_most, equal, statement


def mix(x, y, lam):
    r"""$\lambda x + (1 - \lambda) y$, the point with weight $\lambda$ on x of the segment from y to x"""
    return lam * x + (1 - lam) * y


def below_chord(f: Function, x, y, lam) -> Inequality:
    r"""$f(\lambda x + (1 - \lambda) y) \le \lambda f(x) + (1 - \lambda) f(y)$"""
    return at_most(f(mix(x, y, lam)), mix(f(x), f(y), lam))


def largest_affine(A, b) -> Function:
    r"""$f(x) = \max_i\,(a_i^\top x + b_i)$: convex, with kinks"""
    return lambda x: jnp.max(A @ x + b)


def hyperbolas(A) -> Function:
    r"""$f(x) = \sum_i \sqrt{1 + (a_i^\top x)^2}$: convex and smooth, and close to $\sum_i |a_i^\top x|$ from afar"""
    return lambda x: jnp.sum(jnp.sqrt(1 + (A @ x) ** 2))


definition = statement(
    "C4.09",
    TRUE,
    r"$f$ is convex on a convex set if it lies below its chords: "
    r"$f(\lambda x + (1 - \lambda) y) \le \lambda f(x) + (1 - \lambda) f(y)$. In other words, its epigraph is convex.",
)


@definition.true(sizes={"d": 3, "m": 6})
def chords_and_epigraph(
    x: Real[Array, d], y: Real[Array, d], above: Nonnegative[Array, 2], lam: Share[Array, ()],
    A: Real[Array, m, d], b: Real[Array, m],
):  # fmt: skip
    r"""$f(x) = \max_i\,(a_i^\top x + b_i)$ lies below its chords, and if $(x, s)$ and $(y, t)$ lie on or above the
    graph, so does $\lambda (x, s) + (1 - \lambda)(y, t)$"""
    f = largest_affine(A, b)
    return below_chord(f, x, y, lam), at_most(f(mix(x, y, lam)), mix(f(x) + above[0], f(y) + above[1], lam))


@definition.control
def sine(x: Real[Array, ()], y: Real[Array, ()], lam: Share[Array, ()]):
    r"""$\sin x$ does not pass"""
    return below_chord(jnp.sin, x, y, lam)


@definition.control
def minus_square(x: Real[Array, ()], y: Real[Array, ()], lam: Share[Array, ()]):
    r"""$-x^2$ does not pass"""
    return below_chord(lambda x: -(x**2), x, y, lam)


@definition.control
def root(x: Nonnegative[Array, ()], y: Nonnegative[Array, ()], lam: Share[Array, ()]):
    r"""$\sqrt x$ does not pass"""
    return below_chord(jnp.sqrt, x, y, lam)


@definition.control
def epigraph_of_the_sine(x: Real[Array, ()], y: Real[Array, ()], above: Nonnegative[Array, 2], lam: Share[Array, ()]):
    r"""The set above the graph of $\sin x$ is not convex"""
    return at_most(jnp.sin(mix(x, y, lam)), mix(jnp.sin(x) + above[0], jnp.sin(y) + above[1], lam))


examples = statement(
    "C4.24",
    TRUE,
    r"Convex are: affine functions (concave as well), $e^{ax}$ for every real $a$, every norm, $x \log x$ for "
    r"$x > 0$, $\frac12 \|x\|^2$ and $\log \sum_i e^{x_i}$.",
)


@examples.true
def affine(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], a: Real[Array, d], b: Real[Array, ()]):
    r"""An affine function is its chord: $f(\lambda x + (1 - \lambda) y) = \lambda f(x) + (1 - \lambda) f(y)$"""
    f = lambda x: a @ x + b
    return equal(f(mix(x, y, lam)), mix(f(x), f(y), lam))


@examples.true
def exponential(x: Real[Array, ()], y: Real[Array, ()], lam: Share[Array, ()], a: Real[Array, ()]):
    r"""$e^{ax}$, whatever the sign of a"""
    return below_chord(lambda x: jnp.exp(a * x), x, y, lam)


@examples.true(sizes={"d": 3})
def norms(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()]):
    r"""$\|x\|_1$, $\|x\|_2$ and $\|x\|_\infty$"""
    return below_chord(lambda x: jnp.stack([jnp.sum(abs(x)), jnp.sqrt(x @ x), jnp.max(abs(x))]), x, y, lam)


@examples.true
def entropy(x: Nonnegative[Array, ()], y: Nonnegative[Array, ()], lam: Share[Array, ()]):
    r"""$x \log x$, which is 0 at 0"""
    return below_chord(lambda x: x * jnp.log(jnp.where(x > 0, x, 1.0)), x, y, lam)


@examples.true
def half_square(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()]):
    r"""$\frac12 \|x\|^2$ lies below its chord by $\frac12 \lambda (1 - \lambda) \|x - y\|^2$"""
    f = lambda x: x @ x / 2
    return equal(mix(f(x), f(y), lam) - f(mix(x, y, lam)), lam * (1 - lam) / 2 * ((x - y) @ (x - y)))


@examples.true
def log_sum_exp(z: Real[Array, K], u: Real[Array, K]):
    r"""$u^\top \nabla^2 f\, u = \sum_k p_k (u_k - p^\top u)^2 \ge 0$ with $p = \mathrm{softmax}(z)$: a variance"""
    p = softmax(z)
    return equal(u @ jax.hessian(logsumexp)(z) @ u, jnp.sum(p * (u - p @ u) ** 2))


@examples.true
def flat_along_ones(z: Real[Array, K], s: Real[Array, ()]):
    r"""But not strictly convex: $\nabla^2 f(z)\, \mathbf 1 = 0$ and $f(z + s \mathbf 1) = f(z) + s$"""
    shift = jnp.ones(z.shape)
    change = jax.jvp(jax.grad(logsumexp), (z,), (shift,))[1]
    return equal(change, jnp.zeros(z.shape)), equal(logsumexp(z + s), logsumexp(z) + s)


@examples.control
def norms_strictly(x: Real[Array, d], y: Real[Array, d]):
    r"""Nor is a norm, because of rays: below the middle of its chord by a little of $\|x - y\|$"""
    length = lambda x: jnp.sqrt(x @ x)
    return at_most(length((x + y) / 2) + 0.001 * length(x - y), (length(x) + length(y)) / 2)


@examples.control
def logarithm(x: Positive[Array, ()], y: Positive[Array, ()], lam: Share[Array, ()]):
    r"""$\log x$, the inverse of a convex function, is not convex"""
    return below_chord(jnp.log, x, y, lam)
