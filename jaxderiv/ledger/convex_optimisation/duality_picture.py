r"""The picture of duality in the plane of constraint and objective: what the supporting lines show, and two drawings.

The problem: minimise f(x) subject to $g(x) \le 0$, with optimal value $p^*$; its image is the set of (g(x), f(x)).
A line $f + \lambda g = d$ below the image has the intercept d; $d^*$ is the highest for $\lambda \ge 0$.

Source: ML Math Derivations, part 4, "Duality"; Boyd and Vandenberghe, "Convex optimization", section 5.3.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveSemidefinite, Real, Share, d
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import FALSE, IMPR, TRUE, at_most, close, equal, statement

picture = statement(
    "C4.77",
    IMPR,
    r"Over the plane of $(g, f)$: $p^*$ is the lowest f with $g \le 0$ in the image of the problem, $d^*$ the "
    "highest intercept of a line that supports it; if the image is convex they coincide.",
    r"The line has to have a slope $-\lambda \le 0$: others support too high. The image of a convex problem is in "
    r"general a curve, not convex; what is convex is $\{(u, t): g(x) \le u, f(x) \le t \text{ for an } x\}$. And "
    "even then a gap is possible, if the support at the optimum is vertical: C4.76.",
)


@picture.as_worded(at=[{"slope": 2.0, "x": 0.0}])
def intercept_of_any_slope(slope: Real[Array, ()], x: Real[Array, ()]):
    r"""Of $\min x^2$ subject to $x \le 1$, with $p^* = 0$: a line of any slope s under the image has its intercept at
    most at 0"""
    lowest = -(slope**2) / 4 + slope  # of f - s g = x^2 - s (x - 1), at x = s / 2
    return at_most(lowest, x**2 - slope * (x - 1)), at_most(lowest, 0.0)


@picture.as_worded
def image_is_convex(x: Real[Array, ()], z: Real[Array, ()], share: Share[Array, ()]):
    r"""Of $\min (x - 1)^2$ subject to $x \le \frac12$: a mixture of two points $(g, f)$ lies on the image, $f = (g -
    \frac12)^2$"""
    mix = lambda of: share * of(x) + (1 - share) * of(z)
    return equal(mix(lambda x: (x - 1) ** 2), (mix(lambda x: x - 0.5) - 0.5) ** 2)


@picture.true
def intercept_of_a_falling_line(lam: Nonnegative[Array, ()], x: Real[Array, ()]):
    r"With slope $-\lambda \le 0$ the line under the image of $\min x^2$, $x \le 1$ has its intercept below $p^* = 0$"
    lowest = -(lam**2) / 4 - lam
    return at_most(lowest, x**2 + lam * (x - 1), x**2 + lam * (abs(x) + 1) + lam**2), at_most(lowest, 0.0)


@picture.true
def upper_set_is_convex(
    A: PositiveSemidefinite[Array, d, d], B: PositiveSemidefinite[Array, d, d], x: Real[Array, d], z: Real[Array, d],
    share: Share[Array, ()], above: Nonnegative[Array, 4],
):  # fmt: skip
    r"Points $(u, t)$ above two of the image: their mixture lies above the image of the mixed x, if f and g are convex"
    mix = lambda a, b: share * a + (1 - share) * b
    f, g = quadratic(A), quadratic(B)
    u, t = mix(g(x) + above[0], g(z) + above[1]), mix(f(x) + above[2], f(z) + above[3])
    return at_most(g(mix(x, z)), u, g(x) + g(z)), at_most(f(mix(x, z)), t, f(x) + f(z))


@picture.true
def vertical_support(u: Positive[Array, ()], t: Positive[Array, ()]):
    r"""$\min e^{-x}$, $x^2/y \le 0$: every $(u, t) > 0$ lies above the image, but u = 0 makes x = 0, so $p^* = 1$,
    $d^* = 0$"""
    x, y = 1 / t, 1 / (t**2 * u)
    return at_most(jnp.exp(-x), t), equal(x**2 / y, u)


parabola = statement(
    "C4.78",
    TRUE,
    r"The convex example, $\min (x - 1)^2$ subject to $x \le \frac12$: $p^* = d^* = \frac14$ and $\lambda^* = 1$.",
)


@parabola.true
def parabola_dual(lam: Nonnegative[Array, ()], slack: Nonnegative[Array, ()]):
    r"""$d(\lambda) = L(1 - \frac\lambda2, \lambda) = \frac\lambda2 - \frac{\lambda^2}4 \le \frac14 \le f$ at feasible
    points"""
    L = lambda x, lam: (x - 1) ** 2 + lam * (x - 0.5)
    stationary, d = 1 - lam / 2, lam / 2 - lam**2 / 4
    derived = equal(jax.grad(L)(stationary, lam), 0.0), equal(L(stationary, lam), d)
    return *derived, at_most(d, 0.25), at_most(0.25, (0.5 - slack - 1) ** 2)


@parabola.true
def parabola_optimum():
    r"$\max_\lambda d$ by a solver: $\lambda^* = 1$, $d^* = \frac14 = f(\frac12) = p^*$"
    found = optimize.minimize_scalar(lambda lam: lam**2 / 4 - lam / 2, bounds=(0, 5), method="bounded")
    return close(found.x, 1.0, 1e-5), close(-found.fun, (0.5 - 1) ** 2, 1e-9)


drawing = statement(
    "C4.79",
    FALSE,
    "The drawing of a gap: over a curved set the optimum is $f^* = 1.80$, and the best supporting line, of slope "
    "$-0.6$, has the intercept $d^* = 0.90$.",
    "The drawn line misses the set by 0.338 and supports nothing. On the drawn curve $p^* = 1.600$, $d^* = 1.2695$ "
    r"at $\lambda = 0.551$, a gap of 0.331; the best line touches the curve at its two ends and is tangent nowhere.",
)


def drawn_curve():
    """The lower boundary of the drawn set, as points (g, f)"""
    t = np.linspace(0, 1, 20001)
    return -0.6 + 1.6 * t + 0.5 * np.sin(4 * t), 1.6 - 1.4 * t + 0.9 * np.sin(3 * t) + 0.6 * t**2


def best_line():
    r"""$\lambda$ and the intercept of the highest line of slope $-\lambda \le 0$ below the curve"""
    g, f = drawn_curve()
    found = optimize.minimize_scalar(lambda lam: -np.min(f + lam * g), bounds=(0, 5), options={"xatol": 1e-12})
    return found.x, -found.fun


@drawing.as_worded
def drawn_optimum():
    "The lowest f with g not above 0 is 1.80"
    g, f = drawn_curve()
    return close(f[g <= 0].min(), 1.80, 5e-3)


@drawing.as_worded
def drawn_line():
    "The line of slope -0.6 and intercept 0.90 touches the set"
    g, f = drawn_curve()
    return close(np.min(f + 0.6 * g), 0.90, 5e-3)


@drawing.true
def gap_of_the_drawing():
    "The optimum, the best line, the gap, and by how much the drawn line of intercept 0.902 misses the set"
    g, f = drawn_curve()
    (lam, d), p, miss = best_line(), f[g <= 0].min(), np.min(f + 0.6 * g) - 0.902
    printed = (p, 1.600, 5e-4), (d, 1.2695, 5e-5), (lam, 0.551, 5e-4), (p - d, 0.331, 5e-4), (miss, 0.338, 5e-4)
    return [close(*one) for one in printed]


@drawing.true
def touches_at_the_ends():
    "The best line passes through the first and the last point of the curve, and lies well below in between"
    g, f = drawn_curve()
    lam, d = best_line()
    above = f + lam * g - d
    return close(above[[0, -1]], [0.0, 0.0], 1e-7), at_most(0.01, np.min(above[200:-200]))
