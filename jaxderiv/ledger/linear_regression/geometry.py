r"""The picture of regularisation: the ellipses of the loss, and the disc or diamond that they touch.

Two weights, least-squares solution $\hat w$, loss $(w - \hat w)^\top A (w - \hat w)$ with $A = X^\top X$; the diamond
is $\|w\|_1 \le t$, the disc $\|w\|_2 \le t$.

Source: ML Math Derivations, part 5, "Regularisation".
"""

import math

import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxderiv.domains import Array, FullColumnRank, Real, UnitInterval, d, n
from jaxderiv.ledger.linear_regression.optimisation import squares
from jaxderiv.theorem import FALSE, HYP, NA, at_most, close, equal, expectation, holds, statement

DRAWS = 200_000


# ------------------------------------------------------------------------------------------------------------
level_sets = statement(
    "C5.34",
    HYP,
    r"The sets of equal squared loss are ellipsoids around the least-squares solution.",
    but=r"If X has full column rank. Otherwise they are cylinders: the loss is constant along the null space of X.",
)


@level_sets.as_worded(at=[{"X": [[1.0, 1.0], [2.0, 2.0]], "y": [1.0, 1.0], "w": [0.0, 0.0], "v": [1.0, -1.0]}])
def curved_everywhere(X: Real[Array, n, d], y: Real[Array, n], w: Real[Array, d], v: Real[Array, d]):
    r"""On every line through w the loss is strictly convex: $L(w + v) + L(w - v) > 2 L(w)$ for $v \ne 0$"""
    L = squares(X, y)
    return holds((L(w + v) + L(w - v) > 2 * L(w)) | jnp.all(v == 0))


@level_sets.true
def ellipsoids(X: FullColumnRank[Array, n, d], y: Real[Array, n], w: Real[Array, d]):
    r"""$L(w) - L(\hat w) = \frac12 (w - \hat w)^\top X^\top X (w - \hat w)$, a quadratic form without a linear part"""
    L, G = squares(X, y), X.T @ X
    best = jnp.linalg.solve(G, X.T @ y)
    return equal(L(w) - L(best), (w - best) @ G @ (w - best) / 2)


@level_sets.true
def bounded(X: FullColumnRank[Array, n, d], v: Real[Array, d]):
    r"""Its level sets are bounded: $v^\top X^\top X v \ge \lambda_{\min} \|v\|^2$ and $\lambda_{\min} > 0$"""
    least = jnp.linalg.eigvalsh(X.T @ X)[0]
    return at_most(least * v @ v, (X @ v) @ (X @ v)), holds(least > 0)


# ------------------------------------------------------------------------------------------------------------
def touches_a_corner(A, centre, t):
    r"""Whether the constrained optimum on the diamond is a corner $\pm t e_j$: there the gradient's entry j points out,
    and is the largest. For stacks of A (by 2 by 2), centres (by 2) and budgets."""
    corners = np.concatenate([np.eye(2), -np.eye(2)])
    found = np.zeros(len(centre), dtype=bool)
    for j, corner in zip((0, 1, 0, 1), corners, strict=True):
        pull = np.einsum("kij,kj->ki", A, centre - t[:, None] * corner)  # minus the gradient
        found |= pull[:, j] * corner[j] >= abs(pull[:, 1 - j])
    return found


meeting = statement(
    "C5.35",
    FALSE,
    r"The ellipses almost always meet the diamond at a corner, which is why the lasso selects.",
    but=r"How often depends on the size of the diamond: with Gaussian designs of 10 observations in 0.068, 0.422 and "
    r"0.883 of the cases at t = 0.9, 0.5 and 0.1 of $\|\hat w\|_1$; for circles and a share s of it in "
    r"$\frac4\pi \arctan \frac{1 - s}{1 + s}$. That this is not zero, as it is for the disc, is what makes the lasso "
    r"select.",
)


def corners_of_random_designs(rng, share, rows=10):
    """Whether the optimum is a corner, for Gaussian designs and Gaussian least-squares solutions."""
    X, centre = rng.standard_normal((DRAWS, rows, 2)), rng.standard_normal((DRAWS, 2))
    return touches_a_corner(np.einsum("kni,knj->kij", X, X), centre, share * np.sum(abs(centre), axis=1))


@meeting.as_worded
def mostly_a_corner(rng):
    r"""A corner in at least half of the cases, when the diamond has half the size"""
    return at_most(0.5, np.mean(corners_of_random_designs(rng, 0.5)))


@meeting.true
def frequencies(rng):
    r"""0.068, 0.422 and 0.883 of random designs at t = 0.9, 0.5 and 0.1 of $\|\hat w\|_1$"""
    printed = zip((0.9, 0.5, 0.1), (0.068, 0.422, 0.883), strict=True)
    return [close(np.mean(corners_of_random_designs(rng, share)), value, 0.0065) for share, value in printed]


@meeting.true
def corner_of_circles(a: Real[Array, 2], share: UnitInterval[Array, ()], v: Real[Array, 2]):
    r"""If the level sets are circles the corner of the larger entry is optimal where
    $|w_1| (1 - s) \ge |w_2| (1 + s)$"""
    large, small = jnp.max(abs(a)), jnp.min(abs(a)) * (1 - share) / (1 + share)
    centre = jnp.stack([large, small])  # of such a centre; the other seven cases are its reflections
    t = share * jnp.sum(centre)
    inside = v * (t / jnp.maximum(t, jnp.sum(abs(v))))
    distance = lambda w: (w - centre) @ (w - centre)
    return at_most(distance(jnp.stack([t, 0 * t])), distance(inside))


@meeting.true
def frequency_of_circles(rng):
    r"""With a Gaussian centre, whose angle is uniform: $\frac4\pi \arctan \frac{1 - s}{1 + s}$, 0.4097 at half the
    size"""
    shares, centre = (0.9, 0.5, 0.1), rng.standard_normal((DRAWS, 2))
    chance = lambda s: 4 / math.pi * math.atan((1 - s) / (1 + s))
    unit, size = np.broadcast_to(np.eye(2), (DRAWS, 2, 2)), np.sum(abs(centre), axis=1)
    found = [expectation(touches_a_corner(unit, centre, s * size).astype(float), chance(s)) for s in shares]
    return *found, close(chance(0.5), 0.4097, 5e-5)


@meeting.true
def disc_has_no_corners(rng):
    r"""On the disc no weight is zero, in any of many draws: a zero needs $\hat w$ on a line, which has probability
    zero"""
    X, centre = rng.standard_normal((DRAWS, 10, 2)), rng.standard_normal((DRAWS, 2))
    A = np.einsum("kni,knj->kij", X, X)
    lam = rng.uniform(0.1, 100, (DRAWS, 1, 1))
    return holds(np.all(np.linalg.solve(A + lam * np.eye(2), A @ centre[..., None]) != 0))


# ------------------------------------------------------------------------------------------------------------
figure = statement(
    "C5.36",
    FALSE,
    r"For A with rows (1, 0.45) and (0.45, 0.8), $\hat w = (2, 1.2)$ and t = 1 the lasso's solution is (1, 0) and "
    r"ridge regression's is $\hat w / \|\hat w\| = (0.857, 0.514)$.",
    but=r"The lasso's is right, with loss 3.232. The point of the disc nearest to $\hat w$ is not that of least loss, "
    r"unless A is a multiple of the identity: ridge regression's is (0.817, 0.576), with 2.374 against 2.386.",
)
CENTRE = np.array([2.0, 1.2])


def loss(w):
    """The figure's loss, without a factor of one half."""
    A = jnp.array([[1.0, 0.45], [0.45, 0.8]])
    return (w - CENTRE) @ A @ (w - CENTRE)


@figure.as_worded
def nearest_point(v: Real[Array, 2]):
    r"""No point of the disc has a smaller loss than $\hat w / \|\hat w\|$"""
    return at_most(loss(CENTRE / np.sqrt(CENTRE @ CENTRE)), loss(v / jnp.maximum(1.0, jnp.sqrt(v @ v))))


@figure.true
def lasso_point(v: Real[Array, 2]):
    r"""No point of the diamond has a smaller loss than (1, 0)"""
    return at_most(loss(jnp.array([1.0, 0.0])), loss(v / jnp.maximum(1.0, jnp.sum(abs(v)))))


@figure.true
def ridge_point():
    r"""On the circle the least loss is at (0.817, 0.576); 3.232, 2.374 and 2.386 are the three losses"""
    at = lambda angle: np.array([np.cos(angle), np.sin(angle)])
    on_circle = optimize.minimize_scalar(lambda angle: float(loss(at(angle))), bounds=(0, np.pi / 2))
    best = at(on_circle.x)
    drawn, lasso = CENTRE / np.linalg.norm(CENTRE), np.array([1.0, 0.0])
    points = [close(best, np.array([0.817, 0.576]), 5e-4), close(drawn, np.array([0.857, 0.514]), 5e-4)]
    values = zip((lasso, best, drawn), (3.232, 2.374, 2.386), strict=True)
    return *points, *[close(loss(w), value, 5e-4) for w, value in values]


# ------------------------------------------------------------------------------------------------------------
corners = statement(
    "C5.37",
    NA,
    r"In higher dimensions the diamond has more corners, so solutions are sparser.",
    but=r"It has 2d corners, and faces of every dimension besides. What follows for sparsity depends on the data and "
    r"on t.",
)
