"""Measures of a classifier: against scikit-learn, against their definitions counted one by one, and their refusals."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.errors import InputError
from jaxderiv.metrics import classification as metrics

OF_PREDICTIONS = (metrics.confusion, metrics.accuracy, metrics.precision, metrics.recall, metrics.f1)
OF_SCORES = (metrics.roc_curve, metrics.precision_recall_curve, metrics.auc, metrics.average_precision)


def labels(rng, n):
    """Of both classes."""
    return rng.permutation(np.arange(n) % 3 == 0).astype(int)


def samples():
    """Labels with scores: continuous, with many ties, constant, perfect, of other types, far apart in size."""
    rng = np.random.default_rng(5)
    for n in (2, 3, 10, 157):
        y = labels(rng, n)
        yield y, rng.standard_normal(n) + y
        yield y, rng.integers(0, 4, n)
        yield y.astype(bool), rng.integers(0, 3, n).astype(np.float32) / 3
        yield y, np.full(n, 0.25)
        yield y, y.astype(float)
        yield y, 1.0 - y
        yield y, 10.0 ** rng.uniform(-300, 300, n)


SAMPLES = list(samples())


# Against scikit-learn ----------------------------------------------------------------------------------------
@pytest.fixture
def sklearn_metrics():
    return pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("n", [1, 2, 9, 200])
def test_counts_and_ratios_are_those_of_scikit_learn(n, sklearn_metrics):
    rng = np.random.default_rng(n)
    for _ in range(20):
        y, predicted = rng.integers(0, 2, n), rng.integers(0, 2, n)
        theirs = sklearn_metrics.confusion_matrix(y, predicted, labels=[0, 1])
        assert (metrics.confusion(y, predicted).matrix == theirs).all()
        assert metrics.accuracy(y, predicted) == pytest.approx(sklearn_metrics.accuracy_score(y, predicted), abs=1e-15)
        for ours, other in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
            want = getattr(sklearn_metrics, other)(y, predicted, zero_division=0.0)
            assert getattr(metrics, ours)(y, predicted, undefined=0.0) == pytest.approx(want, abs=1e-15)


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_the_roc_curve_is_that_of_scikit_learn(y, scores, sklearn_metrics):
    theirs = sklearn_metrics.roc_curve(y, scores, drop_intermediate=False)
    for ours, other in zip(metrics.roc_curve(y, scores), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-15)
    assert metrics.auc(y, scores) == pytest.approx(sklearn_metrics.roc_auc_score(y, scores), abs=1e-14)


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_the_precision_recall_curve_is_that_of_scikit_learn_without_its_extra_point(y, scores, sklearn_metrics):
    precision, recall, thresholds = sklearn_metrics.precision_recall_curve(y, scores)
    ours = metrics.precision_recall_curve(y, scores)
    np.testing.assert_allclose(ours.precision, precision[-2::-1], rtol=1e-15)
    np.testing.assert_allclose(ours.recall, recall[-2::-1], rtol=1e-15)
    np.testing.assert_array_equal(ours.thresholds, thresholds[::-1])
    want = sklearn_metrics.average_precision_score(y, scores)
    assert metrics.average_precision(y, scores) == pytest.approx(want, abs=1e-14)


def test_where_nothing_is_defined_scikit_learn_needs_a_value_too(sklearn_metrics):
    nothing = np.zeros(4, int)
    assert metrics.f1([1, 0, 0, 1], nothing) == sklearn_metrics.f1_score([1, 0, 0, 1], nothing, zero_division=1.0) == 0
    assert metrics.precision([1, 0, 0, 1], nothing, undefined=1.0) == 1.0
    assert metrics.recall(nothing, nothing, undefined=0.5) == 0.5
    assert metrics.f1(nothing, nothing, undefined=1.0) == 1.0


# Against their definitions -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_the_area_is_the_share_of_pairs_in_order_with_ties_counted_half(y, scores):
    ones, zeros = scores[y == 1], scores[y == 0]
    won = sum(int(a > b) * 2 + int(a == b) for a, b in itertools.product(ones, zeros))
    assert metrics.auc(y, scores) == won / (2 * len(ones) * len(zeros))


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_the_area_is_the_one_under_the_curve(y, scores):
    curve = metrics.roc_curve(y, scores)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert metrics.auc(y, scores) == pytest.approx(area, abs=1e-14)


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_a_point_of_a_curve_is_what_its_threshold_predicts(y, scores):
    roc, curve = metrics.roc_curve(y, scores), metrics.precision_recall_curve(y, scores)
    assert (roc.thresholds[1:] == curve.thresholds).all()
    assert (curve.thresholds == np.unique(scores)[::-1]).all()
    for k, threshold in enumerate(curve.thresholds):
        predicted = scores >= threshold
        assert curve.precision[k] == metrics.precision(y, predicted)
        assert curve.recall[k] == roc.true_positive_rate[k + 1] == metrics.recall(y, predicted)
        _, FP, _, TN = metrics.confusion(y, predicted)
        assert roc.false_positive_rate[k + 1] == FP / (FP + TN)
    assert (roc.false_positive_rate[0], roc.true_positive_rate[0], roc.thresholds[0]) == (0, 0, np.inf)


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_average_precision_is_the_sum_of_steps(y, scores):
    curve = metrics.precision_recall_curve(y, scores)
    steps = sum(
        p * (r - before) for p, r, before in zip(curve.precision, curve.recall, [0, *curve.recall], strict=False)
    )
    assert metrics.average_precision(y, scores) == pytest.approx(steps, abs=1e-14)


@pytest.mark.parametrize(("y", "scores"), SAMPLES)
def test_order_alone_counts(y, scores):
    order = np.random.default_rng(0).permutation(len(y))
    ranks = np.searchsorted(np.unique(scores), scores)  # increasing in the score
    for metric in (metrics.auc, metrics.average_precision):
        assert metric(y, scores) == metric(y, ranks) == metric(y[order], scores[order])
    assert metrics.auc(y, scores) + metrics.auc(y, -ranks) == pytest.approx(1, abs=1e-15)
    assert metrics.auc(1 - y, scores) == metrics.auc(y, -ranks)


def test_perfect_constant_and_reversed_scores():
    y = labels(np.random.default_rng(1), 30)
    assert (metrics.auc(y, y), metrics.auc(y, 0 * y), metrics.auc(y, -y)) == (1, 0.5, 0)
    assert metrics.average_precision(y, y) == 1
    assert metrics.average_precision(y, 0 * y) == y.mean()


def test_lists_and_jax_arrays_of_any_precision_are_read():
    y = jnp.array([0, 1, 1])
    for scores in ([0.25, 0.5, 0.125], jnp.array([0.25, 0.5, 0.125], jnp.bfloat16), np.float16([0.25, 0.5, 0.125])):
        assert metrics.auc(y, scores) == metrics.auc([False, True, True], scores) == 0.5


# Refusals ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("metric", OF_PREDICTIONS)
@pytest.mark.parametrize(
    ("y", "predicted", "words"),
    [
        ([1, 0], [1, 0, 1], r"y and predicted: one length .* 2 and 3.*Give"),
        ([1, -1], [1, 0], r"y: 0 and 1 are allowed; -1 came at index 1.*Write"),
        ([1, 0], [0.9, 0.2], r"predicted: 0 and 1 are allowed; 0\.9 came at index 0.*scores >= threshold"),
        ([1, np.nan], [1, 0], r"y: 0 and 1 are allowed; nan came at index 1"),
        ([], [], r"y: at least one entry is needed; it came empty"),
        ([1], [], r"predicted: at least one entry is needed; it came empty"),
        ([[1, 0]], [1, 0], r"y: a vector is allowed; it came with shape \(1, 2\)\. Write y\.ravel"),
        (["yes", "no"], [1, 0], r"y: a vector of numbers is allowed; it came with entries of type <U3\. Write numbers"),
        ([1, 0], [[1], [1, 0]], r"predicted: a vector of numbers .* entries of different shapes"),
        (None, [1], r"y: a vector of numbers"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(metric, y, predicted, words):
    with pytest.raises(InputError, match=words):
        metric(y, predicted)


@pytest.mark.parametrize("metric", OF_SCORES)
@pytest.mark.parametrize(
    ("y", "scores", "words"),
    [
        ([1, 0], [0.5], r"y and scores: one length .* 2 and 1"),
        ([2, 0], [0.5, 0.1], r"y: 0 and 1 are allowed; 2 came at index 0"),
        ([1, 0], [0.5, np.nan], r"scores: finite numbers are allowed; nan came at index 1"),
        ([1, 0], [-np.inf, 0], r"scores: finite numbers are allowed; -inf came at index 0"),
        ([1, 1], [0.5, 0.1], r"y: all 2 labels are 1.*both classes"),
        ([0], [0.5], r"y: all 1 labels are 0"),
        ([], [], r"y: at least one entry"),
        ([1, 0], [1j, 0], r"scores: a vector of numbers is allowed; it came with entries of type complex128"),
    ],
)
def test_scores_that_make_no_sense_are_refused(metric, y, scores, words):
    with pytest.raises(InputError, match=words):
        metric(y, scores)


@pytest.mark.parametrize(
    ("metric", "y", "words"),
    [
        (metrics.precision, [1, 0], r"precision is 0/0, as nothing is predicted to be 1\. Write undefined="),
        (metrics.recall, [0, 0], r"recall is 0/0, as no label is 1"),
        (metrics.f1, [0, 0], r"f1 is 0/0, as nothing is predicted to be 1 and no label is 1"),
    ],
)
def test_a_ratio_of_zeros_is_refused_unless_a_value_is_given(metric, y, words):
    with pytest.raises(InputError, match=words):
        metric(y, [0, 0])
    assert metric(y, [0, 0], undefined=0.0) == 0.0
