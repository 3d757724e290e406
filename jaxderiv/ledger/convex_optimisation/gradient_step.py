r"""One step of gradient descent: its direction, and what a smooth function guarantees of its length.

L is the Lipschitz constant of the gradient, $x^+ = x - \alpha \nabla f(x)$.

Source: ML Math Derivations, part 4, "First-order methods" and figure 3.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Positive, Real, Share, Symmetric, d, n
from jaxderiv.ledger.convex_optimisation.smooth_functions import smooth_convex
from jaxderiv.ledger.notation import gradient_descent, quadratic
from jaxderiv.theorem import FALSE, HYP, TRUE, at_most, close, equal, holds, statement

direction = statement(
    "C4.35",
    HYP,
    r"Gradient descent $x^+ = x - \alpha \nabla f(x)$ goes in the direction in which $f$ decreases most steeply.",
    r"So it does if the length of a direction is its Euclidean norm. With the norm $\|v\|_\infty$ the steepest "
    r"direction is $-\operatorname{sign} \nabla f(x)$.",
)


def wavy(x, A):
    r"""$\frac12 x^\top A x + \sum_i \sin x_i$ with any symmetric A, so not convex"""
    return quadratic(A)(x) + jnp.sum(jnp.sin(x))


def steeper(norm, x, v, A):
    r"""No direction v descends more per length than $-\nabla f(x)$; multiplied by both lengths"""
    f, down = lambda x: wavy(x, A), -jax.grad(wavy)(x, A)
    slope = lambda v: jax.jvp(f, (x,), (v,))[1]
    return at_most(slope(down) * norm(v), slope(v) * norm(down))


@direction.as_worded(at=[{"x": [0.0, 1.0], "v": [-1.0, -1.0], "A": [[0.0, 0.0], [0.0, 0.0]]}])
def in_any_norm(x: Real[Array, d], v: Real[Array, d], A: Symmetric[Array, d, d]):
    r"""Lengths by the maximum norm"""
    return steeper(lambda v: jnp.max(abs(v)), x, v, A)


@direction.true
def in_the_euclidean_norm(x: Real[Array, d], v: Real[Array, d], A: Symmetric[Array, d, d]):
    r"""Of all directions of one Euclidean length, $-\nabla f(x)$ has the smallest derivative"""
    return steeper(jnp.linalg.norm, x, v, A)


@direction.true
def signs_in_the_maximum_norm(x: Real[Array, d], share: Share[Array, d], A: Symmetric[Array, d, d]):
    r"""Of all directions with $\|v\|_\infty \le 1$, $-\operatorname{sign} \nabla f(x)$ has the smallest derivative"""
    slope = lambda v: jax.jvp(lambda x: wavy(x, A), (x,), (v,))[1]
    return at_most(slope(-jnp.sign(jax.grad(wavy)(x, A))), slope(2 * share - 1))


protection = statement(
    "C4.36",
    FALSE,
    r"Because the tangent of a convex $f$ lies below it, gradient descent is protected from overshooting.",
    r"A function above its tangent is what makes overshooting possible: on $x^2/2$ the step 2.5 takes 1 to -1.5, "
    r"2.25, -3.375. What protects is an upper bound: $f(x^+) \le f(x) - \alpha (1 - \alpha L / 2) \|\nabla f(x)\|^2$, "
    r"so $f$ does not increase if $0 < \alpha \le 2/L$, and for larger steps there are functions on which it does.",
)


@protection.as_worded(at=[{"x": 1.0, "alpha": 2.5}])
def never_increases(x: Real[Array, ()], alpha: Positive[Array, ()]):
    r"""$f(x^+) \le f(x)$ on $\frac12 x^2$, whatever the step"""
    f = lambda x: x**2 / 2
    return at_most(f(x - alpha * jax.grad(f)(x)), f(x))


def decrease(f, L, x, alpha):
    r"""$f(x^+) \le f(x) - \alpha (1 - \alpha L / 2) \|\nabla f(x)\|^2$"""
    g = jax.grad(f)(x)
    return at_most(f(x - alpha * g), f(x) - alpha * (1 - alpha * L / 2) * (g @ g), scale=f(x))


@protection.true
def upper_bound(X: Real[Array, n, d], x: Real[Array, d], share: Share[Array, ()]):
    r"""The bound on the decrease, for $\alpha = 4s/L$ with any s from 0 to 1, on four families of convex functions"""
    return [decrease(f, L, x, 4 * share / L) for f, L in smooth_convex(X)]


@protection.true
def increase_beyond(x: Real[Array, ()], L: Positive[Array, ()], beyond: Positive[Array, ()]):
    r"""$\alpha = (2 + \varepsilon) / L$ increases $\frac L2 x^2$ by the factor $(1 + \varepsilon)^2$"""
    f = lambda x: L / 2 * x**2
    return equal(f(x - (2 + beyond) / L * jax.grad(f)(x)), (1 + beyond) ** 2 * f(x))


@protection.true
def printed_iterates():
    r"""1, -1.5, 2.25, -3.4 on $\frac12 x^2$ with the step 2.5"""
    path = gradient_descent(lambda x: x**2 / 2, jnp.asarray(1.0), 2.5, 3)
    return close(path, jnp.array([1.0, -1.5, 2.25, -3.4]), 0.05)


landscapes = statement(
    "C4.37",
    TRUE,
    r"Figure: on a convex function gradient descent runs downhill to the minimum; on a function with several valleys "
    r"it is caught by a local minimum.",
)


def bowl(x):
    r"""$\frac12 (3 x_1^2 + x_2^2)$"""
    return (3 * x[0] ** 2 + x[1] ** 2) / 2


def valleys(x):
    r"""$\sin(1.3 x_1) \cos(1.3 x_2) + 0.1 \|x\|^2$"""
    return jnp.sin(1.3 * x[0]) * jnp.cos(1.3 * x[1]) + 0.1 * (x @ x)


@landscapes.true
def path_in_the_bowl():
    """From (-2.6, 2.5) with the step 0.18: forty steps downhill, to the minimum up to a thousandth"""
    path = gradient_descent(bowl, jnp.array([-2.6, 2.5]), 0.18, 40)
    values = jax.vmap(bowl)(path)
    return holds(values[1:] < values[:-1]), at_most(jnp.linalg.norm(path[-1]), 1e-3)


@landscapes.true
def path_in_the_valleys():
    """From (-2.2, 2.2) with the step 0.30: fifty steps end at (-3.193, 2.113), a minimum with the value 0.685. It lies
    outside of the square from -3 to 3 that the series draws"""
    end = gradient_descent(valleys, jnp.array([-2.2, 2.2]), 0.30, 50)[-1]
    local = (
        at_most(jnp.linalg.norm(jax.grad(valleys)(end)), 1e-6),
        holds(jnp.linalg.eigvalsh(jax.hessian(valleys)(end)) > 0),
    )
    return close(end, jnp.array([-3.193, 2.113]), 5e-4), close(valleys(end), 0.685, 5e-4), local, holds(abs(end[0]) > 3)


@landscapes.true
def global_minimum():
    r"""The lowest point is (-1.080, 0) with the value -0.869. Beyond $\|x\| = 6$ the value is above $0.1 \cdot 36 - 1
    > 2$, and within, the best point of a grid leads there"""
    axis = jnp.linspace(-6.0, 6.0, 241)
    grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    lowest = grid[jnp.argmin(jax.vmap(valleys)(grid))]
    end = gradient_descent(valleys, lowest, 0.30, 100)[-1]
    return close(end, jnp.array([-1.080, 0.0]), 5e-4), close(valleys(end), -0.869, 6e-4)


lemma = statement(
    "C4.38",
    TRUE,
    r"Descent lemma: if $\nabla f$ is $L$-Lipschitz, then "
    r"$f(y) \le f(x) + \nabla f(x)^\top (y - x) + \frac L2 \|y - x\|^2$.",
)


def below_the_parabola(f, L, x, y):
    r"""$f(y) \le f(x) + \nabla f(x)^\top (y - x) + \frac L2 \|y - x\|^2$"""
    return at_most(f(y), f(x) + jax.grad(f)(x) @ (y - x) + L / 2 * ((y - x) @ (y - x)))


@lemma.true
def on_quadratics(x: Real[Array, d], y: Real[Array, d], A: Symmetric[Array, d, d]):
    r"""$\frac12 x^\top A x$, convex or not: $L$ is the largest $|\lambda(A)|$"""
    return below_the_parabola(quadratic(A), jnp.max(abs(jnp.linalg.eigvalsh(A))), x, y)


@lemma.true
def on_convex_families(X: Real[Array, n, d], x: Real[Array, d], y: Real[Array, d]):
    """Least squares, Huber losses, logistic losses, log-sum-exp"""
    return [below_the_parabola(f, L, x, y) for f, L in smooth_convex(X)]


@lemma.true
def on_log_sum_exp(x: Real[Array, d], y: Real[Array, d]):
    r"""$\log \sum_i e^{x_i}$ has $L = \frac12$: numbers between a and b have a variance of $(b - a)^2 / 4$ at most,
    which is not above $(a^2 + b^2) / 2$"""
    return below_the_parabola(jax.nn.logsumexp, 0.5, x, y)


@lemma.control
def log_sum_exp_too_flat(x: Real[Array, d], y: Real[Array, d]):
    r"""Log-sum-exp with an L five percent smaller"""
    return below_the_parabola(jax.nn.logsumexp, 0.95 / 2, x, y)


@lemma.control
def too_flat(x: Real[Array, ()], y: Real[Array, ()], L: Positive[Array, ()]):
    r"""$\frac L2 x^2$ with an L five percent smaller"""
    return below_the_parabola(quadratic(L[None, None]), 0.95 * L, x[None], y[None])
