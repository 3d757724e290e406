r"""Cross-validation: what it estimates, and a figure of it.

Source: ML Math Derivations, part 5, "Evaluation", its figure 6; Hastie, Tibshirani and Friedman (2009), chapter 7.
"""

import functools
import itertools

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from jaxderiv.domains import Array, FullColumnRank, Real, d, n
from jaxderiv.ledger.linear_regression.metrics import fitted
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.theorem import FALSE, IMPR, at_most, close, equal, holds, statement

validation = statement(
    "C5.52",
    IMPR,
    r"Cross-validation finds the choice that generalises best.",
    but=r"It estimates the error on new data, of models fitted to fewer observations, and the estimate varies: the "
    r"least one need not be the best choice.",
)


def polynomials(rng, draws=100):
    """For samples of 40 and degrees 0 to 6: error by leaving one out, and error on new data from the same line."""
    out = []
    for _ in range(draws):
        x, grid = rng.uniform(-1, 1, 40), np.linspace(-0.9, 0.9, 100)
        y = np.sin(3 * x) + 0.4 * rng.standard_normal(40)
        for degree in range(7):
            A, new = (chebyshev.chebvander(at, degree) for at in (x, grid))
            inverse = np.linalg.pinv(A)
            left_out = (y - A @ inverse @ y) / (1 - np.sum(A * inverse.T, axis=1))
            out.append([np.mean(left_out**2), 0.16 + np.mean((np.sin(3 * grid) - new @ inverse @ y) ** 2)])
    return np.array(out).reshape(draws, 7, 2).transpose(2, 0, 1)


@validation.as_worded
def always_the_best(rng):
    """In 100 samples, the degree with the least error by leaving one out has the least error on new data"""
    estimate, error = polynomials(rng)
    return holds(np.argmin(estimate, axis=1) == np.argmin(error, axis=1))


@validation.true
def good_on_average(rng):
    """Not always, but its choice is on average within a tenth of the best possible, and beats degrees 0, 1 and 2"""
    estimate, error = polynomials(rng)
    chosen = np.take_along_axis(error, np.argmin(estimate, axis=1)[:, None], axis=1).mean()
    return at_most(chosen, 1.1 * error.min(axis=1).mean()), at_most(chosen, error[:, :3].mean(axis=0))


@validation.true(sizes={"n": 7, "d": 3})
def leaving_one_out(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""Leaving out observation i without refitting: its error is $r_i / (1 - h_{ii})$"""
    r, h = y - fitted(X, y), jnp.diag(X @ jnp.linalg.solve(X.T @ X, X.T))
    refitted = [y[i] - X[i] @ least_squares(jnp.delete(X, i, axis=0), jnp.delete(y, i)) for i in range(2)]
    return equal(jnp.stack(refitted) * (1 - h[:2]), r[:2])


@validation.true
def error_of_fewer_observations(y: Real[Array, 4]):
    r"""With the mean for a model: over all samples of 3 from a population of 4, leaving one out is right on average for
    the error of samples of *two* at a new value"""
    three, two = (y[np.array(list(itertools.product(range(4), repeat=size)))] for size in (3, 2))
    left_out = (jnp.sum(three, axis=1, keepdims=True) - three) / 2 - three
    new = jnp.mean(two, axis=1)[:, None] - y[None, :]
    return equal(jnp.mean(left_out**2), jnp.mean(new**2))


@validation.control
def error_of_as_many(y: Real[Array, 4]):
    """The same of samples of three"""
    three = y[np.array(list(itertools.product(range(4), repeat=3)))]
    left_out = (jnp.sum(three, axis=1, keepdims=True) - three) / 2 - three
    return equal(jnp.mean(left_out**2), jnp.mean((jnp.mean(three, axis=1)[:, None] - y[None, :]) ** 2))


# ------------------------------------------------------------------------------------------------------------
u_shape = statement(
    "C5.54",
    FALSE,
    r"Against the degree, the training error falls and the cross-validated error is U-shaped, as the figure shows.",
    but=r"The training error falls. The other curve changes direction 9 times in the figure, and on its right arm it "
    r"jumps from 27 to 3.6 to 23 to 849: a fold that holds the outermost points is predicted by extrapolation. "
    r"It has a least value, at degree 6, and is far above it at both ends: no more of a U is there.",
)
DEGREES = range(1, 16)


@functools.cache
def figure_6():
    """By degree, of fifty points in order: squared training errors, and cross-validated ones with five shuffled
    folds."""
    rng = np.random.default_rng(4)
    x = np.sort(rng.uniform(-1, 1, 50))
    y, order = np.sin(3 * x) + 0.4 * x + 0.25 * rng.standard_normal(50), np.arange(50)
    np.random.RandomState(0).shuffle(order)  # as scikit-learn's KFold does
    train, validated = np.empty((2, len(DEGREES), 50))
    for k, degree in enumerate(DEGREES):
        A = chebyshev.chebvander(x, degree)
        train[k] = (y - A @ np.linalg.lstsq(A, y)[0]) ** 2
        for fold in order.reshape(5, 10):
            rest = np.setdiff1d(order, fold)
            validated[k, fold] = (y[fold] - A[fold] @ np.linalg.lstsq(A[rest], y[rest])[0]) ** 2
    return train, validated


def turns(curve):
    """How often it changes direction."""
    return float(np.count_nonzero(np.diff(np.sign(np.diff(curve)))))


@u_shape.as_worded
def one_turn():
    """The cross-validated error in the figure changes direction once"""
    return at_most(turns(figure_6()[1].mean(axis=1)), 1)


@u_shape.true
def in_the_figure():
    """It turns 9 times; the least value is at degree 6, both ends are over twice that; degrees 11 to 15 have 0.53,
    26.95, 3.56, 23.08 and 849.1; the training error falls"""
    train, validated = (errors.mean(axis=1) for errors in figure_6())
    shape = holds(turns(validated) == 9), holds(np.argmin(validated) == DEGREES.index(6))
    ends = at_most(2 * validated.min(), validated[[0, -1]])
    arm = close(validated[10:] / [1, 1, 1, 1, 10], np.array([0.53, 26.95, 3.56, 23.08, 84.91]), 5e-3)
    return *shape, ends, arm, at_most(train[1:], train[:-1])


@u_shape.true
def at_the_end():
    """From degree 12 on over nine tenths of it is at the two leftmost of the fifty points"""
    errors = figure_6()[1][11:]
    return at_most(0.9 * errors.sum(axis=1), errors[:, :2].sum(axis=1))
