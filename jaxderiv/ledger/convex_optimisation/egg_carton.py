r"""The egg carton, a function with several minima: where they are.

Source: ML Math Derivations, part 4, figure 2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Real
from jaxderiv.ledger.notation import iterates
from jaxderiv.theorem import FALSE, at_most, close, statement


def carton(x):
    r"""$\sin 2x_1 \cos 2x_2 + 0.15\,\|x\|^2$, an egg carton in a bowl"""
    return jnp.sin(2 * x[0]) * jnp.cos(2 * x[1]) + 0.15 * (x @ x)


figure = statement(
    "C4.112",
    FALSE,
    r"Figure 2: on $\sin 2x \cos 2y + 0.15 (x^2 + y^2)$, $(\pm 0.78, \mp 0.78)$ are the global minimum and a local "
    r"one, at a height of -0.85.",
    but=r"Neither is stationary, and $f$ is 0.193 and 0.172 there. The global minimum is $(-0.7305, 0)$ with "
    r"$f = -0.9139$; the other minima in $[-2.2, 2.2]^2$ are $(0.7292, \pm 1.4597)$ with $-0.5699$, $(2.1889, 0)$ with "
    r"$-0.2259$ and $(-2.1844, \pm 1.4539)$ with $0.1169$.",
)
MARKED = np.array([[0.78, -0.78], [-0.78, 0.78]])


@figure.as_worded
def marked_points_are_stationary():
    r"""The gradient at the marked points is zero to the two digits that they are given with (curvature: at most 4.3)"""
    return at_most(jnp.linalg.norm(jax.vmap(jax.grad(carton))(MARKED), axis=1), 4.3 * 0.01)


@figure.as_worded
def marked_points_are_low():
    r"""Their height is -0.85"""
    return close(jax.vmap(carton)(MARKED), -0.85, 0.005)


@figure.true
def heights_of_the_marked_points():
    r"""Their heights are 0.193 and 0.172"""
    return close(jax.vmap(carton)(MARKED), jnp.array([0.193, 0.172]), 5e-4)


def newton(x):
    r"""A step of Newton's method on the carton, in closed form"""
    (a, b), (_, c) = jax.hessian(carton)(x)
    g, h = jax.grad(carton)(x)
    return x - jnp.stack([c * g - b * h, a * h - b * g]) / (a * c - b * b)


@jax.jit
@jax.vmap
def after_newton(start):
    """The limit, how far a further step leads, the trace and the determinant of the Hessian, and the height."""
    end = iterates(newton, start, 40)[-1]
    H = jax.hessian(carton)(end)
    return end, jnp.max(abs(newton(end) - end)), jnp.trace(H), H[0, 0] * H[1, 1] - H[0, 1] ** 2, carton(end)


@figure.true
def minima():
    r"""Newton's method from 961 starts in $[-2.2, 2.2]^2$: its limits with a positive definite Hessian, lowest first"""
    starts = np.stack(np.meshgrid(*[np.linspace(-2.2, 2.2, 31)] * 2), axis=-1).reshape(-1, 2)
    ends, error, trace, determinant, heights = map(np.asarray, after_newton(starts))
    keep = (error < 1e-12) & (trace > 0) & (determinant > 0) & np.all(abs(ends) <= 2.2, axis=1)
    found = np.unique(np.column_stack([heights, ends])[keep].round(8) + 0.0, axis=0)
    printed = [[-0.7305, 0], [0.7292, -1.4597], [0.7292, 1.4597], [2.1889, 0], [-2.1844, -1.4539], [-2.1844, 1.4539]]
    levels = [-0.9139, -0.5699, -0.5699, -0.2259, 0.1169, 0.1169]
    return close(found[:, 1:], np.array(printed), 5e-5), close(found[:, 0], np.array(levels), 5e-5)


@figure.true
def above_its_valley(x: Real[Array, 2]):
    r"""$f(x, y) \ge -|\sin 2x| + 0.15 x^2$, attained at $y = 0$ for $x \in (-\frac\pi2, 0)$: the least has $y = 0$"""
    return at_most(-abs(jnp.sin(2 * x[0])) + 0.15 * x[0] ** 2, carton(x), scale=1 + x @ x)


@figure.true
def lowest_of_the_valley():
    r"""On that line, -0.9139 at -0.7305 is least: where $|x| > 0.758$, f is more than $-1 + 0.15 x^2 > -0.9139$"""
    line = np.linspace(-0.758, 0, 75_801)
    valley = np.sin(2 * line) + 0.15 * line**2
    return (
        close(line[np.argmin(valley)], -0.7305, 5e-5),
        close(valley.min(), -0.9139, 5e-5),
        at_most(-0.9139, -1 + 0.15 * 0.758**2),
    )
