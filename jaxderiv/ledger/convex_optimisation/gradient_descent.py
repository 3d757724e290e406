r"""Gradient descent on smooth convex functions: what one step guarantees, and many.

f* is the least value of f, x* a point where it is attained, R the distance of the start from it, L the Lipschitz
constant of the gradient.

Source: ML Math Derivations, part 4, "First-order methods"; the exact worst case: Drori and Teboulle (2014), Theorem 3.1.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, PositiveSemidefinite, Positive, Real, d
from jaxderiv.ledger.notation import gradient_descent, quadratic
from jaxderiv.theorem import FALSE, TRUE, at_most, equal, statement

lemma = statement(
    "C4.38",
    TRUE,
    r"Descent lemma: if $\nabla f$ is $L$-Lipschitz, then "
    r"$f(y) \le f(x) + \nabla f(x)^\top (y - x) + \frac L2 \|y - x\|^2$.",
)


@lemma.true
def descent_lemma(x: Real[Array, d], y: Real[Array, d], A: PositiveSemidefinite[Array, d, d]):
    r"""$f(y) \le f(x) + \nabla f(x)^\top (y - x) + \frac L2 \|y - x\|^2$ for $f(x) = \frac12 x^\top A x$, $L = \lambda_{\max}(A)$"""
    f, L = quadratic(A), jnp.linalg.eigvalsh(A)[-1]
    return at_most(f(y), f(x) + jax.grad(f)(x) @ (y - x) + L / 2 * (y - x) @ (y - x))


rate = statement(
    "C4.39",
    TRUE,
    r"Gradient descent with step $1/L$ on a convex $L$-smooth $f$: $f(x_k) - f^* \le L R^2 / (2k)$ for $k \ge 1$.",
)
STEPS = 20


def huber(L, knee):
    """Quadratic inside of the knees and linear outside, with curvature L."""
    return lambda x: L * jnp.where(abs(x) < knee, x**2 / 2, knee * abs(x) - knee**2 / 2)[0]


@rate.true(at=lambda: [{"x": jnp.array([1.0]), "L": 2.0, "knee": 1 / (2 * k + 1)} for k in (1, 5, STEPS)])
def exact_worst_case(x: Real[Array, 1], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""$f(x_k) - f^* \le L R^2 / (4k + 2)$ at every iterate; attained by the Huber function with knee $R / (2k + 1)$"""
    f = huber(L, knee)
    gaps = jax.vmap(f)(gradient_descent(f, x, 1 / L, STEPS))
    k = jnp.arange(STEPS + 1.0)
    return at_most(gaps, L * (x @ x) / (4 * k + 2))


@rate.control(at=lambda: [{"x": jnp.array([1.0]), "L": 2.0, "knee": 1 / 3}])
def too_strong(x: Real[Array, 1], L: Positive[Array, ()], knee: Positive[Array, ()]):
    r"""The bound with a constant five percent too small"""
    f = huber(L, knee)
    gaps = jax.vmap(f)(gradient_descent(f, x, 1 / L, STEPS))
    return at_most(gaps, 0.95 * L * (x @ x) / (4 * jnp.arange(STEPS + 1.0) + 2))


overshoot = statement(
    "C4.43",
    TRUE,
    r"On $\frac L2 x^2$ gradient descent multiplies the iterate by $1 - \alpha L$.",
)


@overshoot.true
def contraction(x: Real[Array, ()], L: Positive[Array, ()], alpha: Positive[Array, ()]):
    r"""$x - \alpha f'(x) = (1 - \alpha L) x$"""
    return equal(x - alpha * jax.grad(lambda x: L / 2 * x**2)(x), (1 - alpha * L) * x)
