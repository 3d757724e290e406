r"""Counts of right and wrong predictions, and the ratios made of them.

TP and FN count the labels 1 that are predicted 1 and 0; FP and TN the labels 0 that are predicted 1 and 0.

Source: ML Math Derivations, part 6, "Evaluation".
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Bit, Nonnegative, Positive, n
from jaxderiv.errors import InputError
from jaxderiv.ledger.logistic_regression.regularisation import mean_loss
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.metrics import classification as metrics
from jaxderiv.theorem import FALSE, HYP, TRUE, at_most, close, equal, holds, statement

ratios = statement(
    "C6.52",
    HYP,
    r"Accuracy $\frac{TP + TN}{N}$, precision $\frac{TP}{TP + FP}$, recall $\frac{TP}{TP + FN}$, and F1 from these",
    r"Precision is 0/0 where nothing is flagged, as by a model that is always negative; "
    r"$F_1 = \frac{2 TP}{2 TP + FP + FN}$ is 0 there. Recall is 0/0 where no label is 1",
)


@ratios.as_worded
def always_a_number(y: Bit[Array, n], predicted: Bit[Array, n]):
    """Precision is a number, whatever was predicted"""
    return holds(jnp.isfinite(jnp.sum(y * predicted) / jnp.sum(predicted)))


@ratios.true
def as_shares(rng):
    """Accuracy, precision and recall are shares of the observations, of the flagged and of the ones"""
    y, flagged = rng.permutation([1, 0] * 20), rng.permutation([1, 1, 0, 0, 0] * 8)
    return (
        equal(metrics.accuracy(y, flagged), np.mean(y == flagged)),
        equal(metrics.precision(y, flagged), np.mean(y[flagged == 1])),
        equal(metrics.recall(y, flagged), np.mean(flagged[y == 1])),
    )


@ratios.true
def of_the_always_negative():
    """Precision is refused, and F1 is 0"""
    y, flagged = np.array([1, 0, 0, 0]), np.zeros(4)
    return holds(np.array(refused(metrics.precision, y, flagged))), equal(metrics.f1(y, flagged), 0.0)


def refused(metric, *given):
    try:
        metric(*given)
    except InputError:
        return True
    return False


harmonic = statement("C6.53", TRUE, "F1 is the harmonic mean of precision and recall, and at most twice the worse")


def precision_and_recall(TP, FP, FN):
    return TP / (TP + FP), TP / (TP + FN)


@harmonic.true
def of_counts(TP: Positive[Array, ()], FP: Nonnegative[Array, ()], FN: Nonnegative[Array, ()]):
    r"""$\frac{2 TP}{2 TP + FP + FN} = 2 / (\frac1P + \frac1R)$, at most $\frac{P + R}2$ and $2 \min(P, R)$"""
    P, R = precision_and_recall(TP, FP, FN)
    F1 = 2 * TP / (2 * TP + FP + FN)
    return equal(F1, 2 / (1 / P + 1 / R)), at_most(F1, (P + R) / 2), at_most(F1, 2 * jnp.minimum(P, R))


@harmonic.control(at=[{"TP": 1.0, "FP": 1000.0, "FN": 0.0}])
def factor_too_small(TP: Positive[Array, ()], FP: Nonnegative[Array, ()], FN: Nonnegative[Array, ()]):
    r"""F1 is at most $1.9 \min(P, R)$"""
    return at_most(2 * TP / (2 * TP + FP + FN), 1.9 * jnp.minimum(*precision_and_recall(TP, FP, FN)))


rare = statement("C6.54", TRUE, "With 5 percent positives, predicting none is 95 percent accurate, with recall 0")


@rare.true
def nothing_flagged(rng):
    """1000 observations, 50 of them positive"""
    y, flagged = rng.permutation(np.arange(1000) < 50), np.zeros(1000)
    return equal(metrics.accuracy(y, flagged), 0.95), equal(metrics.recall(y, flagged), 0.0)


tables = statement(
    "C6.55",
    FALSE,
    "A figure of confusion matrices: the trained model has a lower accuracy than predicting no positive, and more F1",
    "With the counts that it shows the accuracy is 0.957, higher than 0.95: a model gains accuracy where TP > FP. "
    "What the text means does occur: a fit with the threshold at 0.1 loses accuracy and gains F1",
)
SHOWN = np.repeat([1, 1, 0, 0], [42, 8, 35, 915]), np.repeat([1, 0, 1, 0], [42, 8, 35, 915])


@tables.as_worded
def accuracy_as_shown():
    """The accuracy of 42 TP, 8 FN, 35 FP and 915 TN is at most 0.95"""
    return at_most(metrics.accuracy(*SHOWN), 0.95)


@tables.true
def measures_as_shown():
    """Accuracy 0.957, precision 0.545, recall 0.84, F1 0.661"""
    names = metrics.accuracy, metrics.precision, metrics.recall, metrics.f1
    return close(np.array([of(*SHOWN) for of in names]), np.array([0.957, 0.545, 0.84, 0.661]), 5e-4)


@tables.true
def gain_in_accuracy(y: Bit[Array, n], predicted: Bit[Array, n]):
    r"""Over predicting no positive the accuracy gains $(TP - FP) / N$"""
    right, without = jnp.mean(predicted * y + (1 - predicted) * (1 - y)), jnp.mean(1 - y)
    return equal(right - without, (jnp.sum(predicted * y) - jnp.sum(predicted * (1 - y))) / len(y))


@tables.true
def fit_that_trades(rng):
    """A fit to 2000 observations, 5 percent positive, that flags what has a probability of 0.1"""
    y = 1.0 * (np.arange(2000) < 100)
    X = np.column_stack([np.ones(2000), rng.standard_normal(2000) + 1.5 * y])
    rate = float(4 * len(y) / np.linalg.norm(X, 2) ** 2)
    w = gradient_descent(lambda w: mean_loss(w, X, y), jnp.zeros(2), rate, 500)[-1]
    flagged = X @ np.asarray(w) >= np.log(1 / 9)
    return at_most(metrics.accuracy(y, flagged), 0.93), at_most(0.2, metrics.f1(y, flagged))
