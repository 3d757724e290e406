"""One factor for supports and penalties that change: what it solves is what a new one would solve."""

import numpy as np
import pytest

from experiments.solvers import factor
from experiments.solvers.factor import Factor


def supports(rng, d, changes, count=40):
    """Sets of columns in ascending order, each with so many changes from the last."""
    inside = rng.random(d) < 0.5
    for _ in range(count):
        inside[rng.choice(d, changes, replace=False)] ^= True
        if inside.any():
            yield np.flatnonzero(inside)


def largest_error(search, gram, sets, rng, penalties):
    """Of solutions, in parts of the largest entry."""
    errors = []
    for support, l2 in zip(sets, penalties, strict=False):
        b = rng.standard_normal(len(support))
        want = np.linalg.solve(gram[np.ix_(support, support)] + l2 * np.eye(len(support)), b)
        errors.append(np.abs(search.solved(gram, support, b, l2) - want).max() / np.abs(want).max())
    return max(errors)


@pytest.fixture
def kept(monkeypatch):
    """Factors of few columns are kept, too; returns how often one is made anew."""
    monkeypatch.setattr(factor, "WORTH", 3)
    monkeypatch.setattr(factor, "LEAST", 0)
    made = []
    anew = Factor.anew
    monkeypatch.setattr(Factor, "anew", lambda *args: made.append(1) or anew(*args))
    return made


@pytest.mark.parametrize("penalties", [np.zeros(40), np.geomspace(500.0, 5.0, 40), np.tile([1.0, 10.0], 20)])
@pytest.mark.parametrize("changes", [0, 1, 5])
def test_supports_and_penalties_that_change_are_solved_with_one_factor(penalties, changes, kept):
    rng = np.random.default_rng(changes)
    X = rng.standard_normal((300, 60))
    assert largest_error(Factor(), X.T @ X, supports(rng, 60, changes), rng, penalties) < 1e-12
    assert 1 <= len(kept) <= 25


def test_columns_that_leave_have_coefficients_of_exactly_zero_in_what_follows(kept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 30))
    gram, search, b = X.T @ X, Factor(), rng.standard_normal(30)
    search.solved(gram, np.arange(30), b, 0.0)
    some = np.delete(np.arange(30), [3, 17])
    assert np.allclose(search.solved(gram, some, b[some], 0.0), np.linalg.solve(gram[np.ix_(some, some)], b[some]))
    assert (search.pair(b)[[3, 17]] == 0).all()
    assert len(search.base) == 30
    assert len(kept) == 1


def test_a_penalty_far_from_that_of_the_factor_has_a_factor_of_its_own(kept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 30)) * np.geomspace(1.0, 1e-3, 30)
    assert largest_error(Factor(), X.T @ X, [np.arange(30)] * 2, rng, [1e3, 1e-3]) < 1e-9
    assert len(kept) == 2


@pytest.mark.parametrize("first", [[0, 1, 2, 3], [0, 1]])
def test_equal_columns_have_a_solution_of_what_is_near(first, kept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 4))
    X[:, 2] = X[:, 1]
    gram, search = X.T @ X, Factor()
    b = gram @ np.ones(4)
    search.solved(gram, np.array(first), b[first], 0.0)
    x = search.solved(gram, np.arange(4), b, 0.0)
    assert np.abs(gram @ x - b).max() < 1e-6 * np.abs(b).max()


@pytest.mark.parametrize("joining", [0, 5])
def test_dependent_columns_spoil_nothing_that_follows(joining, kept):
    """Of 25 columns of 20 rows, whose factor there is by luck of rounding, or of a little more on the diagonal."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 25))
    gram, search = X.T @ X, Factor()
    for support in [np.arange(25 - joining), np.arange(25), np.arange(15), np.arange(3, 20)]:
        b = rng.standard_normal(len(support))
        x = search.solved(gram, support, b, 0.0)
        if len(support) <= 20:
            want = np.linalg.solve(gram[np.ix_(support, support)], b)
            assert np.abs(x - want).max() < 1e-9 * np.abs(want).max()
