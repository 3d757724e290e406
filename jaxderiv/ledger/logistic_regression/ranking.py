r"""How well scores rank: ROC and precision-recall curves, and the areas under them.

Source: ML Math Derivations, part 6, "Evaluation"; Hanley and McNeil (1982) for the area under the ROC curve.
"""

import itertools

import numpy as np
import scipy.stats

from jaxderiv.domains import Array, Positive
from jaxderiv.metrics import classification as metrics
from jaxderiv.theorem import FALSE, HYP, IMPR, NA, TRUE, at_most, close, equal, expectation, holds, statement

curves = statement(
    "C6.56",
    TRUE,
    "Over all thresholds the ROC curve shows true against false positive rate, the PR curve precision against recall",
)


@curves.true
def precision_from_rates(
    TP: Positive[Array, ()], FP: Positive[Array, ()], FN: Positive[Array, ()], TN: Positive[Array, ()]
):
    r"""Precision is $\pi\,TPR / (\pi\,TPR + (1 - \pi)\,FPR)$ with the prevalence $\pi$"""
    pi, TPR, FPR = (TP + FN) / (TP + FP + FN + TN), TP / (TP + FN), FP / (FP + TN)
    return equal(TP / (TP + FP), pi * TPR / (pi * TPR + (1 - pi) * FPR))


@curves.true
def printed_precisions():
    """TPR 0.8 and FPR 0.05: 0.941, 0.457 and 0.016 at prevalences 0.5, 0.05 and 0.001"""
    pi = np.array([0.5, 0.05, 0.001])
    return close(pi * 0.8 / (pi * 0.8 + (1 - pi) * 0.05), np.array([0.941, 0.457, 0.016]), 5e-4)


def with_ten_times_the_negatives(rng, read):
    """A curve's coordinate before and after every negative is repeated ten times."""
    y, s = rng.permutation(np.arange(30) % 3 == 0), rng.integers(0, 20, 30)
    times = np.where(y, 1, 10)
    return read(y, s), read(np.repeat(y, times), np.repeat(s, times))


@curves.true
def roc_forgets_prevalence(rng):
    """The false positive rates of the ROC curve are the same after every negative is repeated ten times"""
    return equal(*with_ten_times_the_negatives(rng, lambda y, s: metrics.roc_curve(y, s).false_positive_rate))


@curves.control
def precision_forgets_prevalence(rng):
    """The precisions of the PR curve are the same"""
    return equal(*with_ten_times_the_negatives(rng, lambda y, s: metrics.precision_recall_curve(y, s).precision))


area = statement(
    "C6.57",
    HYP,
    "The area under the ROC curve is the probability that a random positive scores above a random negative",
    r"Without ties. In general it is $P(s^+ > s^-) + \frac12 P(s^+ = s^-)$; of a constant score the area is 1/2 and "
    "nothing scores above anything",
)


def area_and_pairs(y, s):
    """The area under the curve by trapezoids, and the shares of pairs that are in order and that tie."""
    curve, apart = metrics.roc_curve(y, s), s[y == 1][:, None] - s[y == 0]
    by_trapezoids = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    return by_trapezoids, np.mean(apart > 0), np.mean(apart == 0)


@area.as_worded
def of_a_constant_score():
    """The area of a constant score is the share of pairs in order"""
    under, above, _ = area_and_pairs(np.array([1, 0, 0]), np.ones(3))
    return equal(under, above)


@area.true
def with_half_the_ties(rng):
    """The area by trapezoids, the pairs in order and half of those that tie, and the Mann-Whitney statistic of SciPy"""
    y, s = rng.permutation(np.arange(60) % 3 == 0), rng.integers(0, 8, 60).astype(float)
    under, above, tied = area_and_pairs(y, s)
    statistic = scipy.stats.mannwhitneyu(s[y], s[~y]).statistic / (y.sum() * (~y).sum())
    return equal(under, above + tied / 2), equal(under, statistic), equal(under, metrics.auc(y, s))


ends = statement(
    "C6.58",
    IMPR,
    "An area of 1 is a perfect ranking, one of 1/2 is random",
    "A random score has 1/2 in the mean; 3 positives and 5 negatives never have it without ties. A score with 1/2 need "
    "not be random: it may put the positives at both ends",
)


@ends.as_worded
def random_scores_have_one_half(rng):
    """A random order of 3 positives and 5 negatives has the area 1/2"""
    return equal(metrics.auc(np.arange(8) < 3, rng.permutation(8)), 0.5)


@ends.as_worded
def one_half_is_uninformative():
    """Of a score with area 1/2, no function ranks better"""
    y, s = np.array([1, 0, 0, 1]), np.array([-2.0, -1.0, 1.0, 2.0])
    return equal(metrics.auc(y, s), 0.5), at_most(metrics.auc(y, abs(s)), metrics.auc(y, s))


@ends.true
def of_all_orders():
    """Over all 56 orders of 3 positives and 5 negatives the mean is 1/2, and only the perfect order has the area 1"""
    orders = [np.isin(np.arange(8), ones) for ones in itertools.combinations(range(8), 3)]
    areas = np.array([metrics.auc(y, np.arange(8)) for y in orders])
    return equal(np.mean(areas), 0.5), holds((areas == 1) == [y[-3:].all() for y in orders])


average = statement(
    "C6.59",
    FALSE,
    "A figure's average precision, of 200 positive N(1.2, 1) and 600 negative N(-0.4, 1) scores, is the trapezoid area "
    "under the PR curve",
    r"It is $\sum_k (R_k - R_{k-1}) P_k$, the mean precision at the scores of the positives. No threshold attains the "
    "straight lines between points: of a constant score, at 5 percent positives, they promise 0.525 instead of 0.05",
)


def drawn_scores(rng):
    y = np.arange(800) < 200
    return y, rng.standard_normal(800) + np.where(y, 1.2, -0.4)


def by_trapezoids(y, s):
    """From the customary first point, recall 0 with precision 1."""
    curve = metrics.precision_recall_curve(y, s)
    return np.trapezoid([1.0, *curve.precision], [0.0, *curve.recall])


@average.as_worded
def trapezoids(rng):
    """To the four digits of the figure"""
    y, s = drawn_scores(rng)
    return close(metrics.average_precision(y, s), by_trapezoids(y, s), 5e-5)


@average.true
def mean_over_positives(rng):
    """Average precision is the mean, over the positives, of the precision with their score as the threshold"""
    y, s = drawn_scores(rng)
    return equal(metrics.average_precision(y, s), np.mean([np.mean(y[s >= one]) for one in s[y]]))


@average.true
def constant_score():
    """0.05 by steps and 0.525 by trapezoids"""
    y, s = np.arange(100) < 5, np.ones(100)
    return equal(metrics.average_precision(y, s), 0.05), equal(by_trapezoids(y, s), 0.525)


@average.true
def area_of_the_population(rng):
    r"""The area under the ROC curve has the mean $\Phi(1.6 / \sqrt2) = 0.8711$"""
    expected = scipy.stats.norm.cdf(1.6 / np.sqrt(2))
    areas = np.array([metrics.auc(*drawn_scores(rng)) for _ in range(200)])
    return close(expected, 0.8711, 5e-5), expectation(areas, expected)


preferred = statement(
    "C6.60",
    NA,
    "For rare positives the PR curve is more informative than the ROC curve",
    "Which is depends on the question. C6.56 says how precision falls with the prevalence while the ROC curve stays",
)
