r"""Where a linear classifier decides: hyperplanes, distances from them, and regions.

The model is $\hat y = \sigma(w^\top x + b)$; of K classes, class k wins where $z_k = w_k^\top x + b_k$ is the largest.

Source: ML Math Derivations, part 6, "Geometry of the decision boundary".
"""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, FullColumnRank, K, Positive, Real, Share, d
from jaxderiv.theorem import FALSE, HYP, TRUE, at_most, close, equal, holds, statement

half = statement("C6.46", TRUE, r"$\hat y \ge \frac12$ exactly where $w^\top x + b \ge 0$")


@half.true
def sign_of_the_logit(w: Real[Array, d], x: Real[Array, d], b: Real[Array, ()]):
    r"""$\hat y - \frac12 = \frac12 \tanh \frac z2$, which has the sign of $z = w^\top x + b$"""
    z = w @ x + b
    return equal(sigmoid(z) - 1 / 2, jnp.tanh(z / 2) / 2), at_most(0.0, z * (sigmoid(z) - 1 / 2))


@half.control
def without_the_intercept(w: Real[Array, d], x: Real[Array, d], b: Real[Array, ()]):
    r"""The same of $z = w^\top x$"""
    return at_most(0.0, (w @ x) * (sigmoid(w @ x + b) - 1 / 2))


distance = statement(
    "C6.47", TRUE, r"The signed distance of $x_0$ from the boundary is $(w^\top x_0 + b) / \|w\|$, for $w \ne 0$"
)


def foot(q, w, b):
    r"""The projection of q onto the hyperplane $w^\top x + b = 0$."""
    return q - (w @ q + b) / (w @ w) * w


@distance.true
def nearest_point(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d], q: Real[Array, d]):
    """The projection lies on the hyperplane, at this distance, and no point of the hyperplane is nearer"""
    w = w[:, 0]
    squared, at = (w @ x + b) ** 2 / (w @ w), foot(x, w, b)
    gap = lambda p: (x - p) @ (x - p)
    return equal(w @ at + b, 0.0), equal(gap(at), squared), at_most(squared, gap(foot(q, w, b)))


@distance.control(at=[{"w": [[1.0], [0.0]], "b": 0.0, "x": [1.0, 0.0], "q": [5.0, 0.0]}])
def farther_off(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d], q: Real[Array, d]):
    """No point of the hyperplane is nearer than 1.01 times it"""
    w = w[:, 0]
    return at_most(1.01**2 * (w @ x + b) ** 2 / (w @ w), (x - foot(q, w, b)) @ (x - foot(q, w, b)))


confidence = statement(
    "C6.48",
    FALSE,
    "The distance from the boundary is how confident the model is",
    r"The confidence is $\sigma(\|w\|\,|d|)$, and one boundary allows every $\|w\|$: at d = 0.5 it is 0.622 with "
    r"$\|w\| = 1$ and 0.993 with $\|w\| = 10$. In one model it grows with the distance",
)


def confidence_at(w, b, x):
    """The probability of the more probable class."""
    return jnp.maximum(sigmoid(w @ x + b), sigmoid(-(w @ x + b)))


@confidence.as_worded
def one_boundary_one_confidence(w: Real[Array, d], b: Real[Array, ()], x: Real[Array, d], c: Positive[Array, ()]):
    """Models with w, b and with c w, c b, whose boundary is the same, are equally confident"""
    return equal(confidence_at(c * w, c * b, x), confidence_at(w, b, x))


@confidence.true
def of_norm_times_distance(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d]):
    r"""$\max(\hat y, 1 - \hat y) = \sigma(\|w\|\,|d|)$ with the distance of x from its projection for $|d|$"""
    w = w[:, 0]
    away = x - foot(x, w, b)
    return equal(confidence_at(w, b, x), sigmoid(jnp.sqrt((w @ w) * (away @ away))))


@confidence.true
def two_norms():
    r"""$\sigma(0.5) = 0.622$ and $\sigma(5) = 0.993$, from weights of norm 1 and 10"""
    w, x = jnp.array([0.6, 0.8]), jnp.array([0.3, 0.4])
    return close(confidence_at(w, 0.0, x), 0.622, 5e-4), close(confidence_at(10 * w, 0.0, x), 0.993, 5e-4)


band = statement(
    "C6.49",
    TRUE,
    r"$\hat y$ lies between 0.27 and 0.73 exactly where $|w^\top x + b| \le 1$, a band of width $2 / \|w\|$",
)


@band.true
def inside(z: Real[Array, ()]):
    r"""$|z| \le 1$ exactly where $\sigma(-1) \le \sigma(z) \le \sigma(1)$"""
    return at_most(0.0, (1 - abs(z)) * (sigmoid(jnp.ones_like(z)) - jnp.maximum(sigmoid(z), sigmoid(-z))))


@band.true
def edges(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d]):
    r"""The point $w / \|w\|^2$ away from the boundary, whose distance is $1 / \|w\|$, has the logit 1"""
    w = w[:, 0]
    step = w / (w @ w)
    return equal(w @ (foot(x, w, b) + step) + b, 1.0), equal(step @ step, 1 / (w @ w))


@band.true
def printed_values():
    """0.2689 and 0.7311"""
    return close(sigmoid(jnp.array([-1.0, 1.0])), jnp.array([0.2689, 0.7311]), 5e-5)


labels = statement(
    "C6.50",
    FALSE,
    r"A figure: $\hat y = 0.27$ on the dotted line $w^\top x + b = 1$, and 0.73 on the line $w^\top x + b = -1$",
    "The two labels are swapped: the line on the side that w points to has 0.7311, the other one 0.2689",
)


def on_the_dotted_lines(x, w, b):
    """Probabilities on the side that w points to, and on the other."""
    at, step = foot(x, w, b), w / (w @ w)
    return jnp.stack([sigmoid(w @ (at + step) + b), sigmoid(w @ (at - step) + b)])


@labels.as_worded
def as_labelled(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d]):
    """0.27 on the side that w points to and 0.73 on the other"""
    return close(on_the_dotted_lines(x, w[:, 0], b), jnp.array([0.27, 0.73]), 5e-3)


@labels.true
def swapped(w: FullColumnRank[Array, d, 1], b: Real[Array, ()], x: Real[Array, d]):
    """0.7311 and 0.2689"""
    return close(on_the_dotted_lines(x, w[:, 0], b), jnp.array([0.7311, 0.2689]), 5e-5)


regions = statement(
    "C6.51",
    HYP,
    r"The largest of K logits divides space into K convex regions, bounded by $(w_j - w_k)^\top x + b_j - b_k = 0$",
    "At most K: a class may win nowhere. And only where no third class exceeds the two is their hyperplane a boundary",
)
# Of the scores x, -x and -1 on a line, the third is never the largest: |x| is at least 0.
W3, b3 = np.array([[1.0], [-1.0], [0.0]]), np.array([0.0, 0.0, -1.0])


def lead(x, W, b, k):
    """Of class k over the best of the others; it wins where this is positive."""
    z = W @ x + b
    return z[k] - jnp.max(jnp.delete(z, k, assume_unique_indices=True))


def wins_somewhere(W, b, k):
    """Whether class k leads by something at some point: a linear program in the point and a lead of at most 1."""
    others = [j for j in range(len(b)) if j != k]
    A = np.column_stack([W[others] - W[k], np.ones(len(others))])
    bounds = [(None, None)] * W.shape[1] + [(None, 1)]
    solution = linprog(-np.eye(W.shape[1] + 1)[-1], A, b[k] - b[others], bounds=bounds)
    return -solution.fun > 1e-9


@regions.as_worded
def as_many_as_classes():
    """Each of three classes has a region"""
    return holds(np.array([wins_somewhere(W3, b3, k) for k in range(3)]))


@regions.as_worded
def bounded_by_whole_hyperplanes(W: Real[Array, K, d], b: Real[Array, K], x: Real[Array, d]):
    """On the hyperplane of the first two classes no third has a larger logit"""
    z = W @ foot(x, W[0] - W[1], b[0] - b[1]) + b
    return at_most(jnp.max(z[2:], initial=-jnp.inf), z[0], scale=1.0)


@regions.true
def convex(W: Real[Array, K, d], b: Real[Array, K], x: Real[Array, d], v: Real[Array, d], t: Share[Array, ()]):
    """The lead of a class between two points is at least the mean of its leads there, so that it wins in between"""
    ends = t * lead(x, W, b, 0) + (1 - t) * lead(v, W, b, 0)
    return at_most(ends, lead(t * x + (1 - t) * v, W, b, 0))


@regions.true
def two_of_three():
    """Of these three classes the first two have a region, and the third has none"""
    return holds(np.array([wins_somewhere(W3, b3, k) for k in range(3)]) == np.array([True, True, False]))
