r"""One step of the subgradient method, $x^+ = x - \alpha g$: it comes nearer to the minimum, but may go uphill.

Source: ML Math Derivations, part 4, "Subgradients".
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, Share, UnitInterval, d, m
from jaxderiv.theorem import TRUE, at_most, close, equal, statement

step = statement(
    "C4.31",
    TRUE,
    r"The subgradient step is $x^+ = x - \alpha g$ with some $g \in \partial f(x)$.",
)


@step.true
def distance_after_a_step(A: Real[Array, m, d], x: Real[Array, d], best: Real[Array, d], alpha: Positive[Array, ()]):
    r"""What it is good for: $\|x^+ - x^*\|^2 \le \|x - x^*\|^2 - 2 \alpha (f(x) - f^*) + \alpha^2 \|g\|^2$, here for
    $f(x) = \|A (x - x^*)\|_1$"""
    f = lambda x: jnp.sum(abs(A @ (x - best)))
    g, away = A.T @ jnp.sign(A @ (x - best)), x - best
    after = away - alpha * g
    return at_most(
        after @ after, away @ away - 2 * alpha * f(x) + alpha**2 * (g @ g), scale=away @ away + alpha**2 * (g @ g)
    )


@step.control
def larger_gain(x: Real[Array, ()], alpha: Positive[Array, ()]):
    r"""The same with a gain five percent larger; on |x| the inequality above is an equality"""
    after = x - alpha * jnp.sign(x)
    return at_most(after**2, x**2 - 2.1 * alpha * abs(x) + alpha**2)


ascent = statement(
    "C4.32",
    TRUE,
    r"Minus a subgradient need not be a direction of descent.",
)


def tilted(x):
    r"""$|x_1| + 2 |x_2|$"""
    return abs(x[0]) + 2 * abs(x[1])


CORNER, SLOPE = np.array([1.0, 0.0]), np.array([1.0, 2.0])


@ascent.true
def it_is_a_subgradient(y: Real[Array, 2]):
    r"""$(1, 2) \in \partial f(1, 0)$ for $f(x) = |x_1| + 2 |x_2|$"""
    return at_most(tilted(CORNER) + SLOPE @ (y - CORNER), tilted(y))


@ascent.true
def it_ascends(alpha: UnitInterval[Array, ()]):
    r"""$f(x - \alpha g) - f(x) = 3 \alpha$ for every step $0 < \alpha < 1$ from there"""
    return equal(tilted(CORNER - alpha * SLOPE) - tilted(CORNER), 3 * alpha)


@ascent.true
def printed_rise():
    """A step of 0.1 raises f by 0.3"""
    return close(tilted(CORNER - 0.1 * SLOPE) - tilted(CORNER), 0.30, 1e-9)


@ascent.control
def every_one_ascends(alpha: UnitInterval[Array, ()], share: Share[Array, ()]):
    r"""All of $\partial f(1, 0) = \{1\} \times [-2, 2]$ ascend: the shortest, (1, 0), does not"""
    g = jnp.stack([jnp.ones(()), 2 * (2 * share - 1)])
    return at_most(tilted(CORNER), tilted(CORNER - alpha * g))
