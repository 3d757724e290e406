r"""Dummy variables: a column for each category of a feature, 1 where an observation belongs to it, else 0.

Source: ML Math Derivations, part 5, "Questions" 8.
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, OneHot, Positive, Real, m
from jaxderiv.theorem import HYP, at_most, equal, holds, statement

dummies = statement(
    "C5.73",
    HYP,
    r"The k dummy variables of a categorical feature sum to 1, so one has to be dropped.",
    but=r"If the model has an intercept, or the dummies of another feature, and no penalty. Without an intercept all "
    r"k have full rank, and a penalty on them makes the weights unique: they then sum to zero.",
)


def groups(rng):
    """Dummies of 3 and of 4 categories for 40 observations, in which all combinations occur."""
    order = rng.permutation(40)
    return np.eye(3)[order % 3], np.eye(4)[order % 4], np.ones((40, 1))


def rank(*blocks):
    return float(np.linalg.matrix_rank(np.hstack(blocks)))


@dummies.as_worded
def always_dependent(rng):
    """Three dummies alone have a rank of 2 at most"""
    return at_most(rank(groups(rng)[0]), 2)


@dummies.true
def ranks(rng):
    """3 alone: 3; with an intercept: still 3, and without one of them too; with 4 dummies of another feature: 6 of 7"""
    three, four, ones = groups(rng)
    found = [rank(three), rank(three, ones), rank(three[:, 1:], ones), rank(three, four), rank(three, four, ones)]
    return holds(np.array(found) == [3, 3, 3, 6, 6])


@dummies.true
def sum_of_the_dummies(D: OneHot[Array, m, 3], v: Real[Array, 3], b: Real[Array, ()], shift: Real[Array, ()]):
    r"""With an intercept b the weights $v + s$ and $b - s$ predict the same, for every s"""
    return equal(D @ (v + shift) + b - shift, D @ v + b)


@dummies.true
def penalised(D: OneHot[Array, m, 3], y: Real[Array, m], lam: Positive[Array, ()]):
    r"""Ridge with a free intercept has one solution with all dummies, whose weights sum to zero: the last is minus the
    rest"""
    A = jnp.concatenate([D, jnp.ones((len(D), 1))], axis=1)
    w = jnp.linalg.solve(A.T @ A + lam * jnp.diag(jnp.array([1.0, 1.0, 1.0, 0.0])), A.T @ y)
    return equal(w[0] + w[1], -w[2])
