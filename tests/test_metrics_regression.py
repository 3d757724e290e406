"""Measures of a regression: against scikit-learn, against their definitions done another way, and their refusals."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.errors import InputError
from jaxderiv.metrics import regression as metrics

OF_PREDICTIONS = (
    metrics.mean_squared_error,
    metrics.root_mean_squared_error,
    metrics.mean_absolute_error,
    metrics.r_squared,
    lambda y, predicted: metrics.adjusted_r_squared(y, predicted, 0),
)


def samples():
    """Targets with predictions: good, bad, exact, of whole numbers, far from zero, and of all sizes."""
    rng = np.random.default_rng(5)
    for n in (2, 3, 10, 157):
        y = rng.standard_normal(n)
        yield y, y + 0.3 * rng.standard_normal(n)
        yield y, 5 * rng.standard_normal(n)
        yield y, y
        yield rng.permutation(n), rng.integers(0, 4, n)
        yield 1e6 + y, 1e6 + y.astype(np.float32)
        yield 10.0 ** rng.uniform(-90, 90, n), 10.0 ** rng.uniform(-90, 90, n)


def designs():
    """Features: generic, correlated, nearly collinear, in very different units, far from zero, a single one."""
    rng = np.random.default_rng(6)
    for n, d in ((3, 2), (8, 5), (60, 4), (200, 9)):
        X = rng.standard_normal((n, d))
        yield X
        yield X @ rng.standard_normal((d, d))
        yield np.hstack([X[:, :1], X[:, :1] + 1e-3 * X[:, 1:]])
        yield X * 10.0 ** rng.integers(-90, 90, d)
        yield X + 2000.0
        yield X[:, :1]


SAMPLES, DESIGNS = list(samples()), list(designs())


def fit(X, y):
    """Least squares with an intercept: predictions, residuals, and the t-statistic of the last feature."""
    A = np.hstack([np.ones((len(X), 1)), X])
    inverse = np.linalg.inv(A.T @ A)
    w = inverse @ A.T @ y
    residuals = y - A @ w
    variance = residuals @ residuals / (len(y) - A.shape[1])
    return A @ w, residuals, w[-1] / np.sqrt(variance * inverse[-1, -1])


# Against scikit-learn ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("y", "predicted"), SAMPLES)
def test_errors_are_those_of_scikit_learn(y, predicted):
    theirs = pytest.importorskip("sklearn.metrics")
    for ours, other in (
        (metrics.mean_squared_error, theirs.mean_squared_error),
        (metrics.root_mean_squared_error, theirs.root_mean_squared_error),
        (metrics.mean_absolute_error, theirs.mean_absolute_error),
        (metrics.r_squared, theirs.r2_score),
    ):
        assert ours(y, predicted) == pytest.approx(other(y, predicted), rel=1e-13, abs=0)


def test_constant_targets_have_a_value_in_scikit_learn_by_convention_only():
    theirs = pytest.importorskip("sklearn.metrics")
    assert theirs.r2_score([0.1] * 3, [0.1] * 3) == 1
    with pytest.raises(
        InputError, match=r"R\^2 is not defined for targets that are all the same; 3 came that are 0\.1"
    ):
        metrics.r_squared([0.1] * 3, [0.1] * 3)


# Against their definitions -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("y", "predicted"), SAMPLES)
def test_order_of_the_errors(y, predicted):
    largest = np.abs(y - predicted).max()
    absolute, root = metrics.mean_absolute_error(y, predicted), metrics.root_mean_squared_error(y, predicted)
    assert absolute * (1 - 1e-14) <= root <= largest * (1 + 1e-14)
    assert root <= np.sqrt(len(y)) * absolute * (1 + 1e-14)
    assert root**2 == pytest.approx(metrics.mean_squared_error(y, predicted), rel=1e-14, abs=0)


def test_of_constants_the_mean_has_the_least_square_and_the_median_the_least_size():
    rng = np.random.default_rng(7)
    for y in (rng.standard_normal(31), rng.exponential(size=40)):
        n, grid = len(y), np.linspace(y.min(), y.max(), 301)
        for metric, best in (
            (metrics.mean_squared_error, y.mean()),
            (metrics.mean_absolute_error, np.median(y)),
        ):
            assert all(metric(y, np.full(n, best)) <= metric(y, np.full(n, c)) + 1e-15 for c in grid)


def test_r_squared_of_a_fit_with_an_intercept_is_the_squared_correlation():
    rng = np.random.default_rng(8)
    for n, d in ((5, 1), (20, 3), (90, 10)):
        X, y = rng.standard_normal((n, d)), 7 + rng.standard_normal(n)
        predicted, *_ = fit(X, y)
        assert metrics.r_squared(y, predicted) == pytest.approx(np.corrcoef(y, predicted)[0, 1] ** 2, rel=1e-12)
        assert metrics.r_squared(y, np.full(n, y.mean())) == pytest.approx(0, abs=1e-14)
        assert metrics.r_squared(y, y) == 1
        assert metrics.r_squared(y, 2 * y.mean() - y) == pytest.approx(-3)


def test_adjusted_r_squared_rises_with_a_feature_exactly_if_its_t_is_above_one():
    rng, risen = np.random.default_rng(9), []
    for _ in range(200):
        n, d = int(rng.integers(8, 40)), int(rng.integers(1, 5))
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        (before, *_), (after, residuals, t) = fit(X[:, :-1], y), fit(X, y)
        shorter, longer = metrics.adjusted_r_squared(y, before, d - 1), metrics.adjusted_r_squared(y, after, d)
        assert longer == pytest.approx(1 - residuals @ residuals / (n - d - 1) / y.var(ddof=1), rel=1e-10)
        assert (longer > shorter) == (abs(t) > 1)
        risen.append(longer > shorter)
    assert 0 < sum(risen) < 200
    assert metrics.adjusted_r_squared(y, after, np.int32(0)) == pytest.approx(metrics.r_squared(y, after))


def test_sizes_do_not_matter_to_ratios():
    y, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    for unit in (2.0**-600, 2.0**300, -1.0):
        assert metrics.r_squared(unit * y, unit * predicted) == metrics.r_squared(y, predicted)
        assert metrics.durbin_watson(unit * y) == metrics.durbin_watson(y)
        assert metrics.root_mean_squared_error(unit * y, unit * predicted) == pytest.approx(
            abs(unit) * metrics.root_mean_squared_error(y, predicted), rel=1e-15, abs=0
        )
    assert metrics.r_squared([0, 5e-324], [1.0, 1.0]) == -np.inf


@pytest.mark.parametrize("X", DESIGNS)
def test_inflation_factors_are_those_of_the_inverse_gram_matrix(X):
    c = X - X.mean(axis=0)
    c = c / np.linalg.norm(c, axis=0)
    want = np.diag(np.linalg.inv(c.T @ c))
    np.testing.assert_allclose(
        metrics.variance_inflation_factors(X), want, rtol=1e-13 * np.linalg.cond(c.T @ c) + 1e-10
    )


@pytest.mark.parametrize("X", DESIGNS)
def test_inflation_factors_are_those_of_regressions_on_the_other_columns(X):
    X = X / np.abs(X).max(axis=0)
    want = [
        1 / (1 - metrics.r_squared(X[:, j], fit(np.delete(X, j, axis=1), X[:, j])[0])) if X.shape[1] > 1 else 1.0
        for j in range(X.shape[1])
    ]
    np.testing.assert_allclose(metrics.variance_inflation_factors(X), want, rtol=2e-7)


def test_orthogonal_columns_are_not_inflated_and_correlated_ones_by_their_correlation():
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    np.testing.assert_allclose(metrics.variance_inflation_factors(signs), 1, rtol=1e-15)
    pair = np.random.default_rng(1).standard_normal((50, 2)) @ np.array([[1.0, 0.9], [0.0, 0.3]])
    np.testing.assert_allclose(
        metrics.variance_inflation_factors(pair), 1 / (1 - np.corrcoef(pair.T)[0, 1] ** 2), rtol=1e-12
    )


def test_columns_that_others_determine_have_infinity_and_the_rest_do_not():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 4))
    for dependent in (0.1 * X[:, 0] - 0.7 * X[:, 1] + 3, X[:, 0] * 1e-3 + X[:, 1] * 1e5, X[:, 1] + 2 * X[:, 0]):
        found = metrics.variance_inflation_factors(np.column_stack([X, dependent]))
        assert np.isinf(found[[0, 1, 4]]).all()
        without = metrics.variance_inflation_factors(X)  # the fifth column adds nothing to the span
        np.testing.assert_allclose(found[2:4], without[2:4], rtol=1e-12)
    np.testing.assert_array_equal(
        metrics.variance_inflation_factors([[1, 2, 1], [-1, -2, 1], [0, 0, -2]]) > 1.5, [1, 1, 0]
    )
    dummies = np.eye(3)[rng.permutation(np.arange(40) % 3)]
    assert np.isinf(metrics.variance_inflation_factors(dummies)).all()
    assert np.isinf(metrics.variance_inflation_factors(rng.standard_normal((4, 4)))).all()
    years = np.arange(1990.0, 2020.0)
    assert np.isinf(metrics.variance_inflation_factors(np.column_stack([years, 0.1 * years, rng.random(30)]))[:2]).all()


def test_nearly_collinear_columns_have_large_finite_factors():
    x, z = np.random.default_rng(3).standard_normal((2, 100))
    x -= x.mean()
    z -= z.mean() + z @ x / (x @ x) * x
    for apart in (1e-3, 1e-6, 1e-9):
        found = metrics.variance_inflation_factors(np.column_stack([x, x + apart * z]))
        want = np.sum(x**2) / np.sum(z**2) / apart**2
        np.testing.assert_allclose(found, want, rtol=max(5 * apart, 1e-5))


def test_durbin_watson_is_a_ratio_of_quadratic_forms():
    rng = np.random.default_rng(4)
    for n in (2, 3, 10, 200):
        differences = np.diff(np.eye(n), axis=0)
        A = differences.T @ differences
        for e in (rng.standard_normal(n), np.ones(n), np.arange(n), (-1.0) ** np.arange(n)):
            assert metrics.durbin_watson(e) == pytest.approx(e @ A @ e / (e @ e), abs=1e-13)
            rho = e[1:] @ e[:-1] / (e @ e)
            ends = (e[0] ** 2 + e[-1] ** 2) / (e @ e)
            assert metrics.durbin_watson(e) == pytest.approx(2 * (1 - rho) - ends, abs=1e-13)
        values, vectors = np.linalg.eigh(A)
        assert values[-1] == pytest.approx(2 + 2 * np.cos(np.pi / n))
        assert metrics.durbin_watson(vectors[:, -1]) == pytest.approx(values[-1])
        assert metrics.durbin_watson(np.ones(n)) == 0


def test_durbin_watson_sees_autocorrelation():
    noise = np.random.default_rng(5).standard_normal(20_000)
    assert metrics.durbin_watson(noise) == pytest.approx(2, abs=0.05)
    e = noise.copy()
    for t in range(1, len(e)):
        e[t] += 0.7 * e[t - 1]
    assert metrics.durbin_watson(e) == pytest.approx(0.6, abs=0.05)


def test_lists_and_jax_arrays_of_any_precision_are_read():
    y, predicted = [0.25, 0.5, 4.0], [0.5, 0.5, 2.0]
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        for metric in OF_PREDICTIONS:
            assert metric(jnp.array(y, dtype), predicted) == metric(y, np.array(predicted))
    assert metrics.durbin_watson([True, False, True]) == 1.0
    assert metrics.variance_inflation_factors(jnp.eye(3)[:, :1]) == [1.0]


# Refusals ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("metric", OF_PREDICTIONS)
@pytest.mark.parametrize(
    ("y", "predicted", "words"),
    [
        ([1, 0], [1, 0, 1], r"y and predicted: one length is allowed; they came with 2 and 3\. Give one entry"),
        ([1, np.nan], [1, 0], r"y: numbers up to 1e\+100 in size are allowed; nan came at index 1\. Mend"),
        ([1, 0], [np.inf, 0], r"predicted: numbers up to 1e\+100 in size are allowed; inf came at index 0"),
        ([1, 1e101], [1, 0], r"y: .*; 1e\+101 came at index 1.*larger unit"),
        ([], [], r"y: at least one entry is needed; it came with shape \(0,\)\. Give"),
        ([1, 2], [], r"predicted: at least one entry"),
        ([[1], [0]], [1, 0], r"y: a vector is allowed; it came with shape \(2, 1\)\. Write y\.ravel\(\)"),
        (3.0, 3.0, r"y: a vector is allowed; it came with shape \(\)"),
        (["1", "2"], [1, 2], r"y: numbers are allowed; it came with entries of type <U1\. Write numbers"),
        ([1j, 2], [1, 2], r"y: numbers are allowed; it came with entries of type complex128"),
        ([1, 0], [[1], [1, 0]], r"predicted: numbers are allowed; it came with entries of different shapes"),
        (None, [1], r"y: numbers are allowed"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(metric, y, predicted, words):
    with pytest.raises(InputError, match=words):
        metric(y, predicted)


@pytest.mark.parametrize("y", [[4.0], [0.1] * 7, [0, 0], [1e-300] * 2])
def test_constant_targets_have_no_r_squared(y):
    for metric in OF_PREDICTIONS[3:]:
        with pytest.raises(InputError, match=r"targets that are all the same; .* came that are .*mean_squared_error"):
            metric(y, y)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (2, r"adjusted R\^2 needs features \+ 2 = 4 observations; 3 came\. Give more"),
        (5, r"needs features \+ 2 = 7 observations"),
        (-1, r"features: a whole number from 0 on is allowed; it came as -1\. Write X\.shape\[1\]"),
        (1.0, r"features: a whole number .* it came as 1\.0"),
        (True, r"features: a whole number .* it came as True"),
        (None, r"features: a whole number .* it came as None"),
    ],
)
def test_features_that_cannot_be_are_refused(features, words):
    with pytest.raises(InputError, match=words):
        metrics.adjusted_r_squared([1, 2, 4], [1, 2, 3], features)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (
            [[1, 2], [1, 3], [1, 5]],
            r"X: columns that vary, .* are allowed; column 0 came with 1 throughout\. Leave it out",
        ),
        ([[1.0, 2.0]], r"column 0 came with 1 throughout"),
        ([1, 2, 3], r"X: a matrix, .* came with shape \(3,\)\. Write X\.reshape\(-1, 1\) for one feature"),
        ([[1, 2], [3, np.nan]], r"X: numbers up to 1e\+100 in size are allowed; nan came at index \(1, 1\)"),
        (np.zeros((0, 2)), r"X: at least one entry is needed; it came with shape \(0, 2\)"),
        (np.zeros((3, 0)), r"X: at least one entry is needed; it came with shape \(3, 0\)"),
        (
            [[2000, 1], [2000 + 1e-12, 3]],
            r"X: columns that vary, by more than rounding, .*column 0 .*subtract its mean",
        ),
        ([["a"], ["b"]], r"X: numbers are allowed; it came with entries of type <U1"),
    ],
)
def test_features_that_cannot_be_inflated_are_refused(X, words):
    with pytest.raises(InputError, match=words):
        metrics.variance_inflation_factors(X)


@pytest.mark.parametrize(
    ("residuals", "words"),
    [
        ([0, 0, 0], r"zero residuals is 0/0; 3 came, all zero\. Give"),
        ([1.0], r"residuals: two at least are needed.*one came\. Give"),
        ([], r"residuals: at least one entry is needed"),
        ([[1, 2]], r"residuals: a vector is allowed; it came with shape \(1, 2\)"),
        ([1, np.nan], r"residuals: .*nan came at index 1"),
    ],
)
def test_residuals_without_a_statistic_are_refused(residuals, words):
    with pytest.raises(InputError, match=words):
        metrics.durbin_watson(residuals)
