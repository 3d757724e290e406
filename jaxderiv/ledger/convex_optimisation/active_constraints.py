r"""Active constraints at an optimum: the cone of their gradients, and what dropping the inactive ones does.

The problem: minimise f(x) subject to $g(x) \le 0$; the constraint $g_i$ is active at x if $g_i(x) = 0$.

Source: ML Math Derivations, part 4, "KKT conditions"; Boyd and Vandenberghe, "Convex optimization", section 5.5.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveSemidefinite, Real, d
from jaxderiv.ledger.convex_optimisation.dual_problems import half_square, program
from jaxderiv.ledger.convex_optimisation.optimality import double_well
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import FALSE, HYP, at_most, close, equal, statement

cone = statement(
    "C4.82",
    HYP,
    r"At the optimum $-\nabla f$ lies in the cone of the gradients of the active constraints.",
    r"It needs a constraint qualification: for $\min x$ subject to $x^2 \le 0$ the cone is $\{0\}$ and $-f' = -1$. "
    "With equations, their span is added.",
)


@cone.as_worded
def cone_without_qualification(weight: Nonnegative[Array, ()]):
    r"At the optimum x = 0 of $\min x$, $x^2 \le 0$, a multiple of $g'$ is $-f'$"
    return equal(-jax.grad(lambda x: x)(0.0), weight * jax.grad(lambda x: x**2)(0.0))


@cone.true
def cone_of_a_box(c: Real[Array, d], low: Real[Array, d], width: Nonnegative[Array, d]):
    r"Over a box, affine, the nearest point x to c has $c - x$ in the cone: of $e_i$ at an upper end, $-e_i$ at a lower"
    high = low + width
    x = jnp.minimum(jnp.maximum(c, low), high)
    residual = -jax.grad(lambda x: half_square(x - c))(x)
    weights = (
        jnp.where(x == high, jnp.maximum(residual, 0.0), 0.0),
        jnp.where(x == low, jnp.maximum(-residual, 0.0), 0.0),
    )
    return equal(residual, weights[0] - weights[1])


@cone.true
def descent_outside_of_the_cone(rng):
    r"""Farkas: what a vector lacks to the cone of the rows of G, v, is a feasible direction, $Gv \le 0$, along which
    f falls"""
    results = []
    for _ in range(10):
        G, slope = rng.standard_normal((3, 4)), rng.standard_normal(4)
        v = -slope - G.T @ optimize.nnls(G.T, -slope)[0]
        results += [at_most(G @ v, np.full(3, 1e-9)), close(slope @ v, -v @ v, 1e-9)]
    return results


@cone.true
def cone_with_an_equation(c: Real[Array, d], h: Real[Array, d], nu: Real[Array, ()]):
    r"On $h^\top x = 0$ the nearest point to c has $c - x$ in the span of h, with a weight of either sign"
    c = c - h * (h @ c) / (h @ h) + nu * h
    x = c - h * (h @ c) / (h @ h)
    return equal(-jax.grad(lambda x: half_square(x - c))(x), nu * h), at_most(abs(h @ x), 0.0, abs(h) @ abs(c))


arrows = statement(
    "C4.83",
    FALSE,
    "At the optimum on a half-plane the negative gradient of the objective and the gradient of the constraint "
    "point in exactly opposite directions.",
    r"They point in the same direction: $-\nabla f = \lambda \nabla g$ with $\lambda \ge 0$. It is $+\nabla f$ that "
    r"is opposite. In the figure $-\nabla f = (2, 2)$ and $\nabla g = (1, 1)$, with $\lambda = 2$.",
)


def at_the_edge(a, offset, beyond):
    r"""$-\nabla f$ at the optimum and $\nabla g$ for $f(x) = \|x - c\|^2$, $g(x) = a^\top x - b$, c by $t \|a\|^2$
    infeasible"""
    c = offset + beyond * a
    g = lambda x: a @ (x - offset)
    x = c - a * jnp.maximum(0.0, g(c)) / (a @ a)
    return -jax.grad(lambda x: 2 * half_square(x - c))(x), jax.grad(g)(x)


@arrows.as_worded
def opposite(a: Real[Array, 2], offset: Real[Array, 2], beyond: Positive[Array, ()]):
    r"$-\nabla f \cdot \nabla g = -\|\nabla f\| \|\nabla g\|$"
    down, across = at_the_edge(a, offset, beyond)
    return equal(down @ across, -jnp.sqrt((down @ down) * (across @ across)))


@arrows.true
def parallel(a: Real[Array, d], offset: Real[Array, d], beyond: Positive[Array, ()]):
    r"$-\nabla f = \lambda \nabla g$ with $\lambda = 2 t > 0$"
    down, across = at_the_edge(a, offset, beyond)
    return equal(down, 2 * beyond * across)


@arrows.true
def arrows_of_the_figure():
    r"$\min \|x - (2, 2)\|^2$, $x_1 + x_2 \le 2$: solved, $-\nabla f = (2, 2) = 2 \nabla g$, the cosine of the two is 1"
    f, slope = (lambda x: (x - 2) @ (x - 2)), (lambda x: 2 * (x - 2))
    inside = {"type": "ineq", "fun": lambda x: 2 - x[0] - x[1]}
    down = -slope(optimize.minimize(f, np.zeros(2), jac=slope, constraints=inside, method="SLSQP").x)
    return close(down, [2.0, 2.0], 1e-6), close(down @ [1, 1] / np.linalg.norm(down) / np.sqrt(2), 1.0, 1e-9)


drop = statement(
    "C4.85",
    HYP,
    "Constraints that are inactive at the optimum can be dropped without changing the answer.",
    r"It needs convexity: $(x^2 - 1)^2 + 0.3 x$ subject to $x \ge 0$ has its optimum at 0.960 with the value 0.294, "
    "where the constraint is inactive; without it the optimum is at -1.036, with -0.305.",
)


@drop.as_worded
def dropped_without_convexity(x: Real[Array, ()]):
    r"The optimum over $x \ge 0$ of $(x^2 - 1)^2 + 0.3 x$, at x = 0.960, is the optimum over all x"
    f = lambda x: double_well(x) + 0.3 * x
    return at_most(f(0.960), f(x))


@drop.true
def figures_without_convexity():
    "The two optima and their values, from the roots of the derivative"
    f = lambda x: double_well(x) + 0.3 * x
    roots = np.sort(np.roots([4, 0, -4, 0.3]).real)
    inside, outside = (points[np.argmin(f(points))] for points in (np.append(roots[roots > 0], 0.0), roots))
    printed = (inside, 0.960), (f(inside), 0.294), (outside, -1.036), (f(outside), -0.305)
    return [close(value, figure, 5e-4) for value, figure in printed]


@drop.true
def dropped_if_convex(
    A: PositiveSemidefinite[Array, d, d], b: Real[Array, d], B: PositiveSemidefinite[Array, d, d],
    x: Real[Array, d], z: Real[Array, d], slack: Positive[Array, ()],
):  # fmt: skip
    r"""If g(x) < 0 and z violates g, the point that divides xz as $-g(x) : g(z)$ is feasible, f below the chord: if z
    beats x, so does it"""
    f, g = (lambda x: program(A, b, x)), (lambda z: quadratic(B)(z) - quadratic(B)(x) - slack)
    share = slack / (slack + jnp.maximum(g(z), 0.0))
    between = x + share * (z - x)
    size = abs(x) @ abs(A) @ abs(x) + abs(z) @ abs(A) @ abs(z) + abs(b) @ (abs(x) + abs(z))
    chord = (1 - share) * f(x) + share * f(z)
    return at_most(f(between), chord, size), at_most(g(between), 0.0, quadratic(B)(x) + quadratic(B)(z) + slack)
