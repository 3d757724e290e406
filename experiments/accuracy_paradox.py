"""Where positives are rare, accuracy can fall while a classifier gets better: one fit to data with 5 % positives is
more accurate than "always negative" at the threshold 1/2, and less accurate, though it finds more of the positives and
costs less, at 1/20; accuracy changes by (TP - FP)/N against "always negative", while F1 rises from 0 with the first TP.

Logistic regression with a small ridge penalty, fitted by Newton's method to 1000 observations, 50 of them positive, and
judged on 1000 others, likewise drawn: two features of variance 1 whose means differ by 2.5 along one diagonal. A missed
positive costs 19, a false alarm 1, so that flagging costs less in the mean where the probability is above 1/20. By
these costs "always negative" is the worst of the three although it is more accurate than the last.

Source: ML Math Derivations, part 6, figure 6. Its matrices are made up, and their model (TP 42, FP 35) is the more
accurate one, against its text.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, VERMILION
from experiments.loops import Problem, minimise
from jaxderiv.catalogue.classification import logistic
from jaxderiv.metrics import classification as metrics
from jaxderiv.optimisers import newton

FIGURES = ("F6.6",)
LEDGER = ("C6.52", "C6.54", "C6.55")
MISS, ALARM = 19, 1  # costs of a false negative and of a false positive
CHEAPEST = ALARM / (ALARM + MISS)
THRESHOLDS = (np.inf, 0.5, CHEAPEST)  # "always negative" flags nothing
NAMES = ("always negative", "fit, threshold 1/2", f"fit, threshold {CHEAPEST:g}")
SIZE, POSITIVES = 1000, 50


@dataclass(frozen=True)
class Config(settings.Config):
    separation: float = settings.option(2.5, "distance of the means, in standard deviations", above=0)
    lam: float = settings.option(1e-3, "ridge penalty", above=0)


class Results(NamedTuple):
    labels: np.ndarray  # of the observations that it is judged on
    probabilities: np.ndarray  # by the fit
    gradient_norm: float  # where the fit ended
    matrices: np.ndarray  # (3, 2, 2) counts by NAMES, label and prediction
    accuracies: np.ndarray  # (3,), by NAMES
    f1s: np.ndarray
    thresholds: np.ndarray  # rising
    accuracy: np.ndarray  # by threshold
    f1: np.ndarray
    cost: np.ndarray  # per observation


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, y = np.random.default_rng(config.seed), np.repeat([0, 1], [SIZE - POSITIVES, POSITIVES])
    mean = config.separation / np.sqrt(2) * np.array([0.0, 1.0])[y]

    def drawn():
        return np.insert(rng.normal(size=(SIZE, 2)) + mean[:, None], 2, 1.0, axis=1)

    arguments = {"X": drawn(), "y": y.astype(float), "lam": config.lam}
    problem = Problem(logistic.loss, logistic.gradient)
    fit = minimise(problem, newton(logistic.hessian), np.zeros(3), arguments, 1e-11, 50)
    p = expit(drawn() @ fit.params)

    thresholds = np.geomspace(2e-3, 0.998, 200)
    flags = [p >= threshold for threshold in (*THRESHOLDS, *thresholds)]
    counts = [metrics.confusion(y, flagged) for flagged in flags]
    accuracy, f1 = (np.array([of(y, flagged) for flagged in flags]) for of in (metrics.accuracy, metrics.f1))
    return Results(
        labels=y,
        probabilities=p,
        gradient_norm=fit.gradient_norm,
        matrices=np.array([each.matrix for each in counts[:3]]),
        accuracies=accuracy[:3],
        f1s=f1[:3],
        thresholds=thresholds,
        accuracy=accuracy[3:],
        f1=f1[3:],
        cost=np.array([(MISS * each.FN + ALARM * each.FP) / SIZE for each in counts[3:]]),
    )


def counted(labels: np.ndarray, p: np.ndarray, threshold: float) -> np.ndarray:
    """TP, FP, FN, TN, from the probabilities."""
    flagged, positive = p >= threshold, labels == 1
    cells = (flagged & positive, flagged & ~positive, ~flagged & positive, ~flagged & ~positive)
    return np.array([cell.sum() for cell in cells])


def costs(results: Results) -> np.ndarray:
    """Per observation, by NAMES."""
    return (MISS * results.matrices[:, 1, 0] + ALARM * results.matrices[:, 0, 1]) / len(results.labels)


def claim(results: Results) -> str:
    require, labels, p = script.require, results.labels, results.probabilities
    require(results.gradient_norm <= 1e-11, f"the fit is one, |g| = {results.gradient_norm:.1e}")
    require((labels == 1).sum() == POSITIVES and len(labels) == SIZE, "50 of 1000 are positive")
    for name, threshold, matrix, accuracy, f1 in zip(
        NAMES, THRESHOLDS, results.matrices, results.accuracies, results.f1s, strict=True
    ):
        TP, FP, FN, TN = counted(labels, p, threshold)
        require((matrix == [[TN, FP], [FN, TP]]).all(), f"{name}: the matrix {matrix.tolist()} counts")
        require(abs(accuracy - (TP + TN) / SIZE) <= 1e-12, f"{name}: accuracy {accuracy:.3f}")
        require(abs(f1 - 2 * TP / (2 * TP + FP + FN)) <= 1e-12, f"{name}: F1 {f1:.3f}")
    require((np.diff(results.thresholds) > 0).all(), "the thresholds rise")
    TP, FP, FN, TN = np.array([counted(labels, p, threshold) for threshold in results.thresholds]).T
    gain = results.accuracy - (1 - POSITIVES / SIZE)
    require((abs(gain - (TP - FP) / SIZE) <= 1e-12).all(), "accuracy gains (TP - FP)/N over always negative")
    require(((results.f1 > 0) == (TP > 0)).all(), "F1 is above 0 where TP is")
    require((abs(results.f1 - 2 * TP / (2 * TP + FP + FN)) <= 1e-12).all(), "the curve of F1 is that of the counts")
    require((abs(results.cost - (MISS * FN + ALARM * FP) / SIZE) <= 1e-12).all(), "that of the cost as well")

    (never, half, cheap), (_, f_half, f_cheap), cost = results.accuracies, results.f1s, costs(results)
    require(never == 0.95 and results.f1s[0] == 0, f"always negative: accuracy {never:.3f} and F1 0")
    require(half > never and f_half > 0.3, f"threshold 1/2: accuracy {half:.3f} and F1 {f_half:.3f} are higher")
    require(cheap < never and f_cheap > 0.3, f"threshold 1/20: accuracy {cheap:.3f} lower, F1 {f_cheap:.3f} higher")
    found = results.matrices[:, 1, 1]
    require(found[0] < found[1] < found[2], f"positives found: {found}")
    require(cost[2] < cost[1] < cost[0], f"costs {cost} fall")
    return "; ".join(
        f"{name}: TP {TP}, FP {FP}, FN {FN}, TN {TN}, accuracy {accuracy:.3f}, F1 {f1:.3f}, cost {each:.3f}"
        for name, ((TN, FP), (FN, TP)), accuracy, f1, each in zip(
            NAMES, results.matrices, results.accuracies, results.f1s, cost, strict=True
        )
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 6.4))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    for axes, name, matrix, accuracy, f1, cost in zip(
        above.subplots(1, 3), NAMES, results.matrices, results.accuracies, results.f1s, costs(results), strict=True
    ):
        axes.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1.8)
        for label in (0, 1):
            for predicted in (0, 1):
                word = ("true" if label == predicted else "false") + (" positive" if predicted else " negative")
                axes.text(predicted, label, f"{matrix[label, predicted]}\n{word}", ha="center", va="center")
        axes.set(xticks=(0, 1), yticks=(0, 1), xlabel="prediction", ylabel="label")
        axes.set_title(f"{name}\naccuracy {accuracy:.3f}, F1 {f1:.3f}, cost {cost:.3f}")
        axes.grid(False)

    measures, cost = below.subplots(1, 2)
    measures.semilogx(results.thresholds, results.accuracy, color=BLUE, label="accuracy")
    measures.semilogx(results.thresholds, results.f1, "--", color=VERMILION, label="F1")
    measures.axhline(results.accuracies[0], color=BLACK, linestyle=":", label="accuracy of always negative")
    measures.set_ylabel("accuracy, F1")
    measures.set_title("accuracy above the dotted line: TP > FP")
    cost.semilogx(results.thresholds, results.cost, color=GREEN, label="the fit")
    cost.axhline(costs(results)[0], color=BLACK, linestyle=":", label="always negative")
    cost.set_ylabel("cost per observation")
    cost.set_title(f"a missed positive costs {MISS}, a false alarm {ALARM}")
    for axes in (measures, cost):
        for threshold, line in ((0.5, "-."), (CHEAPEST, "--")):
            label = f"threshold {threshold:g}"
            axes.axvline(threshold, color=ORANGE, linestyle=line, linewidth=1.2, label=label)
        axes.set(ylim=(0, 1.45), yticks=np.linspace(0, 1, 6), xlabel="threshold on the probability")
        axes.legend(loc="upper left", fontsize=8, ncols=2)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
