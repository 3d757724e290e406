"""The area under the ROC curve is the share of pairs that are in order, and does not depend on how rare positives are;
average precision does, and it is not the area under straight lines between the points of the precision-recall curve:
these come out too low for distinct scores and, for scores in three grades, too high, as no threshold lies on them.

Scores are normal with variance 1: mean 1.2 for 200 positives, -0.4 for 600 negatives; in large samples the area under
the ROC curve is Phi(1.6 / sqrt 2) = 0.871, and average precision the integral of pi T / (pi T + (1 - pi) F) over the
recall T, at the false positive rate F that belongs to T and the prevalence pi = 1/4; a score that says nothing has pi.

Between two thresholds one can only choose one of them at random, which mixes counts: TP and FP move on a straight line,
precision TP / (TP + FP) on a hyperbola. Distinct scores move one count at a time, and straight lines lose half of every
step of precision; grades, which are cut at scores of -1 and 1, move both counts, and the hyperbola sags.

Source: ML Math Derivations, part 6, figure 5, whose "average precision" is the area under straight lines; Davis and
Goadrich (2006) for the hyperbola.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, SKY, VERMILION
from jaxderiv.metrics import classification as metrics

FIGURES = ("F6.5",)
LEDGER = ("C6.56", "C6.57", "C6.59")
POSITIVE, NEGATIVE, CUTS = 1.2, -0.4, (-1.0, 1.0)  # means of the scores; where the grades meet
MIXES = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class Config(settings.Config):
    positives: int = settings.option(200, "number of positives", least=20)
    negatives: int = settings.option(600, "number of negatives", least=20)


class Ranking(NamedTuple):
    """What one set of scores gives. Points are those of thresholds, the highest first."""

    auc: float
    average_precision: float
    straight: float  # the area under straight lines between the points of the precision-recall curve
    attained: float  # the area under the hyperbolas between them
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


class Results(NamedTuple):
    labels: np.ndarray
    scores: np.ndarray
    fine: Ranking  # of the scores
    coarse: Ranking  # of the scores in grades
    rarer_auc: float  # after each negative is repeated ten times
    rarer_average_precision: float


def hyperbolas(TP: np.ndarray, FP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TP and precision of random choices between neighbouring thresholds, (points - 1, mixes) each."""
    TP, FP = (x[:-1, None] + MIXES * np.diff(x)[:, None] for x in (TP, FP))
    return TP, TP / (TP + FP)


def attained(labels: np.ndarray, found: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision between the thresholds."""
    # In units of all positives TP is the recall; the ROC curve has one point more, at which nothing is flagged.
    return hyperbolas(found.recall, found.false_positive_rate[1:] * np.sum(labels == 0) / np.sum(labels == 1))


def ranked(labels: np.ndarray, scores: np.ndarray) -> Ranking:
    roc, curve = metrics.roc_curve(labels, scores), metrics.precision_recall_curve(labels, scores)
    # The first point is a step from recall 0 for all three areas: below its threshold nothing is flagged.
    first = curve.recall[0] * curve.precision[0]
    found = Ranking(
        metrics.auc(labels, scores),
        metrics.average_precision(labels, scores),
        float(first + np.trapezoid(curve.precision, curve.recall)),
        np.nan,
        roc.false_positive_rate,
        roc.true_positive_rate,
        curve.recall,
        curve.precision,
    )
    recall, precision = attained(labels, found)
    return found._replace(attained=float(first + np.trapezoid(precision, recall).sum()))


def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    labels = np.repeat([1, 0], [config.positives, config.negatives])
    scores = rng.normal(size=len(labels)) + np.where(labels, POSITIVE, NEGATIVE)
    more = np.repeat(np.arange(len(labels)), np.where(labels, 1, 10))
    coarse = ranked(labels, np.digitize(scores, CUTS))
    rarer = metrics.auc(labels[more], scores[more]), metrics.average_precision(labels[more], scores[more])
    return Results(labels, scores, ranked(labels, scores), coarse, *rarer)


def limits(prevalence: float) -> tuple[float, float]:
    """The area under the ROC curve and average precision of large samples."""
    threshold = np.linspace(12, -12, 20_001)
    T, F = norm.sf(threshold - POSITIVE), norm.sf(threshold - NEGATIVE)
    precision = prevalence * T / (prevalence * T + (1 - prevalence) * F)
    return norm.cdf((POSITIVE - NEGATIVE) / np.sqrt(2)), float(np.trapezoid(precision, T))


def claim(results: Results) -> str:
    require, (labels, scores, fine, coarse, *rarer) = script.require, results
    ones, zeros = scores[labels == 1], scores[labels == 0]
    graded = np.digitize(scores, CUTS)
    for name, found, s in (("", fine, scores), (" in grades", coarse, graded)):
        pairs = s[labels == 1][:, None] - s[labels == 0]
        share = np.mean(pairs > 0) + np.mean(pairs == 0) / 2
        require(abs(found.auc - share) <= 1e-12, f"the area {found.auc:.4f}{name} is the share of pairs {share:.4f}")
        area = np.trapezoid(found.true_positive_rate, found.false_positive_rate)
        require(abs(found.auc - area) <= 1e-12, f"it is the area under the curve{name}, {area:.4f}")
        # Average precision: the mean, over positives, of the share of positives among what scores as high or higher.
        higher = [np.mean(labels[s >= each]) for each in s[labels == 1]]
        require(
            abs(found.average_precision - np.mean(higher)) <= 1e-12, f"average precision{name} is {np.mean(higher):.4f}"
        )

    population, limit = limits(len(ones) / len(labels))
    # The variance of a share of pairs is at most that of the smaller sample's own share.
    luck = 4 * np.sqrt(population * (1 - population) / min(len(ones), len(zeros)))
    require(abs(fine.auc - population) <= luck, f"the area {fine.auc:.4f} estimates {population:.4f}")
    require(abs(fine.average_precision - limit) <= 2 * luck, f"{fine.average_precision:.4f} estimates {limit:.4f}")
    require(rarer[0] == fine.auc, f"with ten times the negatives the area, {rarer[0]:.4f}, is the same")
    lost = fine.average_precision - rarer[1]
    require(lost > 0.1, f"average precision falls to {rarer[1]:.4f}")

    half = np.diff(fine.recall) @ np.diff(fine.precision) / 2
    gap = fine.average_precision - fine.straight
    require(abs(gap - half) <= 1e-12 and gap > 0, f"straight lines, {fine.straight:.4f}, lose half of every step")
    require(fine.straight < fine.attained < fine.average_precision, "what is attained lies between the two")
    excess = coarse.straight - coarse.attained
    require(excess > 0.005, f"of grades they give {coarse.straight:.4f}, attained is {coarse.attained:.4f}")
    require(coarse.average_precision < coarse.attained, "and average precision is less")
    return (
        f"AUC {fine.auc:.4f} (limit {population:.4f}, ten times the negatives {rarer[0]:.4f}), average precision "
        f"{fine.average_precision:.4f} (limit {limit:.4f}, ten times the negatives {rarer[1]:.4f}), straight lines "
        f"{fine.straight:.4f}; in {len(coarse.precision)} grades average precision {coarse.average_precision:.4f}, "
        f"attained {coarse.attained:.4f}, straight lines {coarse.straight:.4f}"
    )


def plot(results: Results) -> Figure:
    labels, _, fine, coarse, *_ = results
    prevalence = labels.mean()
    population, limit = limits(prevalence)
    figure = Figure(figsize=(10.5, 4.0))
    roc, curve, grades = figure.subplots(1, 3)
    roc.fill_between(fine.false_positive_rate, fine.true_positive_rate, color=SKY, alpha=0.35, linewidth=0)
    roc.plot(fine.false_positive_rate, fine.true_positive_rate, color=BLUE, label=f"AUC {fine.auc:.4f}")
    threshold = np.linspace(9, -9, 1001)
    T, F = norm.sf(threshold - POSITIVE), norm.sf(threshold - NEGATIVE)
    roc.plot(F, T, "--", color=VERMILION, label=f"large samples: {population:.4f}")
    roc.plot([0, 1], [0, 1], ":", color=BLACK, label="no information: 1/2")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.02))
    roc.set_title("ROC curve")
    roc.legend(loc="lower right", fontsize=8)

    label = f"average precision {fine.average_precision:.4f}"
    curve.step(
        np.append(0, fine.recall), np.append(fine.precision[0], fine.precision), where="pre", color=BLUE, label=label
    )
    share = prevalence * T / (prevalence * T + (1 - prevalence) * F)
    curve.plot(T, share, "--", color=VERMILION, label=f"large samples: {limit:.4f}")
    curve.plot([], [], " ", label=f"(straight lines: {fine.straight:.4f})")
    curve.set_title(f"precision and recall of {len(labels)} scores")

    recall, precision = attained(labels, coarse)
    label = f"straight lines: {coarse.straight:.4f}"
    grades.plot(coarse.recall, coarse.precision, "o--", ms=5, color=ORANGE, label=label)
    label = f"attained by random choice: {coarse.attained:.4f}"
    grades.plot(recall.ravel(), precision.ravel(), color=GREEN, label=label)
    steps = np.append(0, coarse.recall), np.append(coarse.precision[0], coarse.precision)
    label = f"average precision {coarse.average_precision:.4f}"
    grades.step(*steps, where="pre", color=BLUE, linewidth=1, linestyle="-.", label=label)
    grades.set_title(f"the same scores in {len(coarse.recall)} grades")
    for axes in (curve, grades):
        axes.axhline(prevalence, color=BLACK, linestyle=":", label=f"no information: {prevalence:g}")
        axes.set(xlim=(0, 1.02), ylim=(0, 1.45), xlabel="recall", ylabel="precision", yticks=np.linspace(0, 1, 6))
        axes.legend(loc="upper right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
