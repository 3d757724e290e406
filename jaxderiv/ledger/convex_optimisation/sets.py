r"""Convex sets: half-spaces, balls, ellipsoids, polyhedra, and what intersections and unions make of them.

To see that a set {g <= c} is convex for every c, take any two points: the smallest such set that holds them both,
c = max(g(x), g(y)), has to hold what lies between them.

Source: ML Math Derivations, part 4, "Convex sets" and figure 1.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, PositiveSemidefinite, Real, Share, Simplex, Symmetric, d, m, p
from jaxderiv.ledger.convex_optimisation.convex_functions import mix
from jaxderiv.ledger.notation import Function
from jaxderiv.theorem import NA, TRUE, Inequality, at_most, equal, holds, statement


def sublevel(g: Function, x, y, lam) -> Inequality:
    r"""$g(\lambda x + (1 - \lambda) y) \le \max(g(x), g(y))$: $\{g \le c\}$ holds what is between two of its points"""
    return at_most(g(mix(x, y, lam)), jnp.maximum(g(x), g(y)))


definition = statement(
    "C4.02",
    TRUE,
    r"$C$ is convex if $\lambda x + (1 - \lambda) y \in C$ for all $x, y \in C$ and $\lambda \in [0, 1]$.",
)


@definition.true
def many_points(w: Simplex[Array, m], X: Real[Array, m, d]):
    r"""Two points at a time reach every weighted mean: $c_k = c_{k-1} + \lambda_k (x_k - c_{k-1})$ ends at
    $\sum_k w_k x_k$ if $\lambda_k = w_k / (w_1 + \dots + w_k)$, which lies in [0, 1]"""
    so_far = jnp.cumsum(w)
    shares = w / jnp.where(so_far > 0, so_far, 1.0)  # points of no weight before the first that has some
    reached, _ = jax.lax.scan(lambda c, step: (mix(step[1], c, step[0]), None), X[0], (shares, X))
    return equal(reached, w @ X)


@definition.control
def circle(angles: Real[Array, 2], lam: Share[Array, ()]):
    r"""The unit circle (without its inside) is not convex: $\|\lambda x + (1 - \lambda) y\| = 1$ fails"""
    x, y = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    return equal(mix(x, y, lam) @ mix(x, y, lam), 1.0)


flat = statement(
    "C4.03",
    TRUE,
    r"Hyperplanes $\{x : a^\top x = b\}$ and half-spaces $\{x : a^\top x \le b\}$ are convex.",
)


@flat.true
def hyperplane(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], a: Real[Array, d], b: Real[Array, ()]):
    r"""The residual $a^\top x - b$ of a mixture is the mixture of the residuals: zero if these are"""
    residual = lambda x: a @ x - b
    return equal(residual(mix(x, y, lam)), mix(residual(x), residual(y), lam))


@flat.true(sizes={"d": 3})
def half_space(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], a: Real[Array, d]):
    r"""$a^\top (\lambda x + (1 - \lambda) y) \le \max(a^\top x, a^\top y)$"""
    return sublevel(lambda x: a @ x, x, y, lam)


@flat.control
def half_space_beyond(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], a: Real[Array, d]):
    r"""Without $\lambda \in [0, 1]$: the whole line through two points of a half-space need not lie in it"""
    return sublevel(lambda x: a @ x, x, y, lam)


balls = statement("C4.04", TRUE, r"The ball $\{x : \|x\| \le r\}$ of every norm is convex.")


@balls.true(sizes={"d": 3, "p": 5}, at=[{"x": [1.0, 0, 0], "y": [0, 1.0, 0], "lam": 0.5, "B": np.eye(5, 3)}])
def balls_of_vectors(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], B: FullColumnRank[Array, p, d]):
    r"""$\|Bx\|_1$; $\|Bx\|_2 = \sqrt{x^\top B^\top B x}$, which is Mahalanobis's; and $\|Bx\|_\infty$, whose balls
    approximate those of every norm. With $B = I$, the usual three"""
    norms = lambda z: jnp.stack([jnp.sum(abs(z)), jnp.sqrt(z @ z), jnp.max(abs(z))])
    return sublevel(lambda x: norms(B @ x), x, y, lam)


@balls.true
def balls_of_matrices(X: Real[Array, 2, 3], Y: Real[Array, 2, 3], lam: Share[Array, ()]):
    r"""The largest singular value (operator norm) and the sum of the singular values (nuclear norm)"""
    singular = lambda X: jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(X @ X.T), 0.0))
    return sublevel(lambda X: jnp.stack([jnp.max(singular(X)), jnp.sum(singular(X))]), X, Y, lam)


@balls.control(at=[{"x": [1.0, 0.0, 0.0], "y": [0.0, 1.0, 0.0], "lam": 0.5}])
def half_norm(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()]):
    r"""$(\sum_i \sqrt{|x_i|})^2$ is no norm: $e_1$ and $e_2$ have 1 and their midpoint has 2"""
    return sublevel(lambda x: jnp.sum(jnp.sqrt(abs(x))) ** 2, x, y, lam)


ellipsoids = statement(
    "C4.05",
    TRUE,
    r"The ellipsoid $\{x : (x - c)^\top A (x - c) \le 1\}$ is convex for symmetric positive definite $A$.",
)


@ellipsoids.true(sizes={"d": 3})
def ellipsoid(
    x: Real[Array, d], y: Real[Array, d], c: Real[Array, d], lam: Share[Array, ()], A: PositiveSemidefinite[Array, d, d]
):
    r"""$q(\lambda x + (1 - \lambda) y) \le \max(q(x), q(y))$ for $q(x) = (x - c)^\top A (x - c)$, $A \succeq 0$"""
    return sublevel(lambda x: (x - c) @ A @ (x - c), x, y, lam)


@ellipsoids.true
def below_the_chord_by(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], A: Symmetric[Array, d, d]):
    r"""$q(\lambda x + (1 - \lambda) y) = \lambda q(x) + (1 - \lambda) q(y) - \lambda (1 - \lambda)\, q(x - y)$,
    $q(x) = x^\top A x$"""
    q = lambda x: x @ A @ x
    return equal(q(mix(x, y, lam)), mix(q(x), q(y), lam) - lam * (1 - lam) * q(x - y))


@ellipsoids.control(at=[{"x": [2.0, 1.8], "y": [2.0, -1.8], "lam": 0.5, "A": [[1.0, 0.0], [0.0, -1.0]]}])
def hyperboloid(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Symmetric[Array, d, d]):
    r"""For indefinite A: $x_1^2 - x_2^2$ is 0.76 at $(2, \pm 1.8)$ and 4 between them"""
    return sublevel(lambda x: x @ A @ x, x, y, lam)


polyhedra = statement("C4.06", TRUE, r"Polyhedra, the intersections of finitely many half-spaces, are convex.")


@polyhedra.true(sizes={"d": 3, "m": 6})
def polyhedron(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Real[Array, m, d]):
    r"""The smallest $\{x : Ax \le b\}$ with x and y, $b_i = \max(a_i^\top x, a_i^\top y)$, holds what is between"""
    return sublevel(lambda x: A @ x, x, y, lam)


@polyhedra.control
def one_of_the_half_spaces(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], A: Real[Array, 2, d]):
    r"""Points that lie in at least one of two half-spaces form no convex set"""
    return sublevel(lambda x: jnp.min(A @ x), x, y, lam)


intersections = statement(
    "C4.07",
    TRUE,
    r"Intersections of convex sets are convex, also of infinitely many; unions need not be.",
)


@intersections.true(sizes={"d": 3})
def infinitely_many(X: Symmetric[Array, d, d], Y: Symmetric[Array, d, d], lam: Share[Array, ()]):
    r"""$\{X : \lambda_{\min}(X) \ge c\}$, the intersection of all half-spaces $v^\top X v \ge c$ with $\|v\| = 1$"""
    return sublevel(lambda X: -jnp.linalg.eigvalsh(X)[0], X, Y, lam)


@intersections.control
def union(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()], centre: Real[Array, d]):
    r"""Two balls together: $\min(\|x\|, \|x - c\|) \le r$"""
    return sublevel(lambda x: jnp.minimum(x @ x, (x - centre) @ (x - centre)), x, y, lam)


in_practice = statement(
    "C4.08",
    NA,
    r"The feasible sets that one meets in practice are mostly intersections of such simple convex sets.",
    but="An observation on which problems people solve; nothing that mathematics decides.",
)

figure = statement(
    "C4.111",
    TRUE,
    r"Figure 1: an ellipse holds the chord between two of its points; the chord between a crescent's tips leaves it.",
)
HALF_AXES = np.array([2.2, 1.4])


@figure.true
def chords_inside(rng):
    r"""10 000 chords of the ellipse with half-axes 2.2 and 1.4, between points of its inside and of its edge"""
    size = lambda x: np.sum((x / HALF_AXES) ** 2, axis=-1)
    directions = rng.standard_normal((2, 10_000, 2))
    radii = np.minimum(1.0, 1.5 * rng.uniform(size=(2, 10_000, 1)))  # a third of them on the edge
    x, y = HALF_AXES * radii * directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return at_most(size(mix(x, y, rng.uniform(size=(10_000, 1)))), 1.0), at_most(size(x), 1 + 1e-12)


@figure.true
def chord_outside():
    r"""A crescent, a disc without another, holds its tips $(0.4, \pm 1.35)$, where circles meet, not their middle"""
    tips, second_centre = np.array([[0.4, 1.35], [0.4, -1.35]]), np.array([0.9, 0.0])
    first, second = np.linalg.norm(tips[0]), np.linalg.norm(tips[0] - second_centre)  # the radii
    inside = lambda x: (np.linalg.norm(x) <= first) & (np.linalg.norm(x - second_centre) >= second)
    return holds(inside(tips[0])), holds(inside(tips[1])), holds(~inside(mix(*tips, 0.5)))
