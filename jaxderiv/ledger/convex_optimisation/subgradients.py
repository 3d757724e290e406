r"""Subgradients: the slopes of the lines below a convex function, at kinks too.

g is a subgradient of f at x, $g \in \partial f(x)$, if $f(y) \ge f(x) + g^\top (y - x)$ for every y. A kink along v is
told by a second difference $f(x + v) + f(x - v) - 2 f(x)$ that is of first order in v.

Source: ML Math Derivations, part 4, "Subgradients"; Rockafellar, Convex Analysis (1970), section 23.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Bit, Positive, PositiveSemidefinite, Real, Share, Sign, Symmetric, d, m, n
from jaxderiv.ledger.notation import Function, quadratic
from jaxderiv.theorem import HYP, IMPR, TRUE, at_most, close, equal, holds, statement


def second_difference(f: Function, x, v):
    r"""$f(x + v) + f(x - v) - 2 f(x)$: zero where f is linear around x"""
    return f(x + v) + f(x - v) - 2 * f(x)


def absolute_sum(x):
    r"""$\|x\|_1$"""
    return jnp.sum(abs(x))


kinks = statement(
    "C4.25",
    IMPR,
    r"The norm $\|x\|_1$ has its kinks on the coordinate axes.",
    r"They are on the coordinate hyperplanes $\{x_i = 0\}$, which are the axes in two dimensions only: "
    r"$(1, 1, 0)$ lies on no axis, and there is a kink across $x_3 = 0$.",
)


@kinks.as_worded
def smooth_off_the_axes(size: Positive[Array, 2], share: Share[Array, 3]):
    r"""At $(x_1, x_2, 0)$ with $x_1, x_2 > 0$ the norm is linear along every short v: its second difference is zero"""
    x = jnp.append(size, 0.0)
    v = jnp.append(size, 1.0) * (2 * share - 1)
    return equal(second_difference(absolute_sum, x, v), 0.0)


@kinks.true
def kinks_on_hyperplanes(size: Positive[Array, d], sign: Sign[Array, d], zero: Bit[Array, d], share: Share[Array, d]):
    r"""$\|x + v\|_1 + \|x - v\|_1 - 2 \|x\|_1 = 2 \sum_{i : x_i = 0} |v_i|$ for v too short to cross another
    hyperplane"""
    x, v = (1 - zero) * sign * size, size * (2 * share - 1)
    return equal(second_difference(absolute_sum, x, v), 2 * jnp.sum(zero * abs(v)))


hinge_kink = statement(
    "C4.26",
    HYP,
    r"The hinge loss $\max(0, 1 - y s)$ of a score $s$ has a kink at $s = 1/y$.",
    r"Labels have to be $\pm 1$, or at least not zero. With labels 0 and 1 the loss of $y = 0$ is the constant 1.",
)


def hinge(y) -> Function:
    """The hinge loss as a function of the score."""
    return lambda s: jnp.maximum(0.0, 1 - y * s)


@hinge_kink.as_worded
def every_label_has_a_kink(y: Bit[Array, ()], s: Real[Array, ()], h: Positive[Array, ()]):
    r"""With labels 0 and 1: where $y s = 1$, or anywhere at all if there is no such score, the slope jumps"""
    at = jnp.where(y == 0, s, 1.0)
    return holds(second_difference(hinge(y), at, h) > 0)


@hinge_kink.true
def jump_at_the_margin(size: Positive[Array, ()], sign: Sign[Array, ()], h: Positive[Array, ()]):
    r"""Any $y \ne 0$: the slope jumps by $|y|$ at $s = 1 / y$, so the second difference is $|y| h$"""
    y = size * sign
    return equal(second_difference(hinge(y), 1 / y, h), size * h)


@hinge_kink.true
def no_other_kink(y: Sign[Array, ()], r: Positive[Array, ()], share: Share[Array, ()]):
    r"""At a distance r from $1 / y = y$, on either side, the loss is linear within that distance"""
    f, s = hinge(y), jnp.stack([y - r, y + r])
    return equal(f(s + r * share) + f(s - r * share), 2 * f(s))


definition = statement(
    "C4.27",
    TRUE,
    r"$g$ is a subgradient of $f$ at $x$ if $f(y) \ge f(x) + g^\top (y - x)$ for all $y$.",
)


def pieces(A, b) -> Function:
    r"""$\max_i (a_i^\top x + b_i)$"""
    return lambda x: jnp.max(A @ x + b)


@definition.true
def slope_of_a_piece(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d], b: Real[Array, m]):
    r"""For $f(x) = \max_i (a_i^\top x + b_i)$: what JAX calls the gradient, the slope of a piece that is the largest
    (at a tie, the mean of these slopes), is a subgradient"""
    f = pieces(A, b)
    return at_most(f(x) + jax.grad(f)(x) @ (y - x), f(y))


@definition.control
def slope_of_another_piece(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d], b: Real[Array, m]):
    """The slope of the first piece, largest or not, is none"""
    f = pieces(A, b)
    return at_most(f(x) + A[0] @ (y - x), f(y))


singleton = statement(
    "C4.28",
    HYP,
    r"Where $f$ is differentiable, $\partial f(x) = \{\nabla f(x)\}$.",
    r"$f$ has to be convex, or at least to have a subgradient there: $-y^2$ is differentiable at 0 and lies below "
    r"every line through the origin somewhere, so $\partial f(0)$ is empty.",
)


@singleton.as_worded(at=[{"A": [[-2.0]], "x": [0.0], "y": [1.0]}], sizes={"d": 1})
def gradient_is_a_subgradient(A: Symmetric[Array, d, d], x: Real[Array, d], y: Real[Array, d]):
    r"""$f(y) \ge f(x) + \nabla f(x)^\top (y - x)$ for $f(x) = \frac12 x^\top A x$ with any symmetric A"""
    f = quadratic(A)
    return at_most(f(x) + jax.grad(f)(x) @ (y - x), f(y))


@singleton.true
def gradient_of_a_convex_one(X: Real[Array, n, d], w: Real[Array, d], v: Real[Array, d]):
    r"""$f(v) \ge f(w) + \nabla f(w)^\top (v - w)$ for the logistic $f(w) = \sum_i \log(1 + e^{x_i^\top w})$"""
    f = lambda w: jnp.sum(jax.nn.softplus(X @ w))
    return at_most(f(w) + jax.grad(f)(w) @ (v - w), f(v), scale=f(w) + f(v))


@singleton.true
def no_other_subgradient(A: PositiveSemidefinite[Array, d, d], x: Real[Array, d], g: Real[Array, d]):
    r"""The line of another slope g is above f a little way along $r = g - \nabla f(x)$: by $\frac t2 \|r\|^2$ at least,
    after $t = 1 / (1 + \operatorname{tr} A)$"""
    f, t = quadratic(A), 1 / (1 + jnp.trace(A))
    r = g - jax.grad(f)(x)
    return at_most(f(x + t * r) + t / 2 * (r @ r), f(x) + t * (g @ r))


absolute = statement(
    "C4.29",
    TRUE,
    r"$\partial |x|$ is $\{-1\}$ for $x < 0$, $[-1, 1]$ at 0 and $\{1\}$ for $x > 0$.",
)


@absolute.true
def slopes_between(share: Share[Array, ()], x: Real[Array, ()], y: Real[Array, ()]):
    r"""$|y| \ge |x| + g (y - x)$: at 0 with any g in [-1, 1], at x with its sign"""
    return at_most((2 * share - 1) * y, abs(y)), at_most(abs(x) + jnp.sign(x) * (y - x), abs(y))


@absolute.true
def no_slopes_beyond(x: Real[Array, ()], g: Real[Array, ()], sign: Sign[Array, ()], beyond: Positive[Array, ()]):
    r"""Any other g fails at some y: at x by $\frac12 |x| |g - \operatorname{sign} x|$ after half the way to 0 or as far
    away from it, at 0 by how far g is beyond $\pm 1$"""
    miss = g - jnp.sign(x)
    y = x + jnp.where(miss > 0, 0.5, -0.5) * abs(x)
    steep = sign * (1 + beyond)
    return equal(abs(x) + g * (y - x) - abs(y), abs(x * miss) / 2), equal(steep * sign - abs(sign), beyond)


@absolute.true
def what_jax_takes_at_the_kink():
    r"""At 0 the derivative of |x| is 1 in JAX, of max(0, x) it is 1/2, of relu it is 0: each in the interval. That of
    the Euclidean norm is not a number, though every g of length 1 at most is a subgradient there"""
    at_zero = lambda f: jax.grad(f)(0.0)
    values = at_zero(jnp.abs), at_zero(lambda x: jnp.maximum(0.0, x)), at_zero(jax.nn.relu)
    norm = jax.grad(jnp.linalg.norm)(jnp.zeros(2))
    return close(jnp.stack(values), jnp.array([1.0, 0.5, 0.0]), 1e-12), holds(jnp.isnan(norm))


@absolute.control
def derivative_tells_the_minimum():
    """At the minimum of |x| the derivative that JAX returns is zero: it is not, so test optimality otherwise"""
    return close(jax.grad(jnp.abs)(0.0), 0.0, 1e-12)
