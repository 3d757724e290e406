"""What the scripts on classification notice: a method swapped, a formula altered, a picture of another story."""

import importlib

import jax
import numpy as np
import pytest

from experiments import (
    accuracy_paradox,
    breast_cancer_pipeline,
    decision_boundary,
    linear_classifier,
    losses_of_one_label,
    ranking_metrics,
    script,
    settings,
    sigmoid,
    simplex,
)
from experiments.loops import Problem, minimise
from jaxderiv import data
from jaxderiv.catalogue.classification import logistic, squared_error_sigmoid
from jaxderiv.optimisers import newton

# The scripts call optax.
pytestmark = pytest.mark.lenient_promotion


@pytest.fixture(scope="module")
def results():
    """Quick results of a script, computed once."""
    done = {}

    def of(script):
        if script not in done:
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                done[script] = script.run(settings.quick(script.Config))
        return done[script]

    return of


def refuses(script_module, results, words):
    with pytest.raises(script.ClaimFailed, match=words), np.errstate(all="ignore"):
        script_module.claim(results)


def refuses_a_run(script_module, words):
    refuses(script_module, script_module.run(settings.quick(script_module.Config)), words)


def cases(table):
    return pytest.mark.parametrize(("sabotage", "words"), list(table.values()), ids=list(table))


def swapped(r, *names):
    return r._replace(**dict(zip(names, (getattr(r, name) for name in reversed(names)), strict=True)))


def trapezoid(labels, scores):
    """What a figure of the series calls average precision."""
    curve = ranking_metrics.metrics.precision_recall_curve(labels, scores)
    return np.trapezoid(np.append(curve.precision[0], curve.precision), np.append(0, curve.recall))


@pytest.mark.parametrize(
    "name",
    [
        "accuracy_paradox",
        "linear_classifier",
        "losses_of_one_label",
        "ranking_metrics",
        "sigmoid",
        "simplex",
    ],
)
def test_the_claim_holds_for_another_seed(name):
    module = importlib.import_module(f"experiments.{name}")
    module.claim(module.run(settings.quick(module.Config, seed=7)))


# The sigmoid --------------------------------------------------------------------------------------------------
@cases(
    {
        "a steeper sigmoid": (lambda r: r._replace(value=1 / (1 + np.exp(-1.01 * r.z))), "tanh"),
        "an arctangent": (lambda r: r._replace(value=0.5 + np.arctan(np.pi * r.z / 4) / np.pi), "tanh"),
        "the slope of softplus": (lambda r: r._replace(slope=r.value), "cosh"),
        "a chord that is too steep": (lambda r: r._replace(chord_slope=1.001 * r.chord_slope), "chord"),
        "chords between other points": (lambda r: r._replace(chord_slope=np.roll(r.chord_slope, 1)), "chords"),
        "another share": (lambda r: r._replace(at_saturation=1.0001 * r.at_saturation), "7 %"),
    }
)
def test_sigmoid_notices(sabotage, words, results):
    refuses(sigmoid, sabotage(results(sigmoid)), words)


# Two losses ---------------------------------------------------------------------------------------------------
def with_loss(name, **fields):
    return lambda r: r._replace(**{name: getattr(r, name)._replace(**{key: of(r) for key, of in fields.items()})})


@cases(
    {
        "losses swapped": (lambda r: swapped(r, "cross_entropy", "squared"), "cross-entropy"),
        "squared error's pull without the slope of the sigmoid": (
            with_loss("squared", pull=lambda r: 1 - r.p),
            "squared error's pull",
        ),
        "squared error without 1/2": (with_loss("squared", value=lambda r: (1 - r.p) ** 2), "squared error"),
        "curvature of Gauss and Newton": (
            with_loss("squared", curvature=lambda r: (r.p * (1 - r.p)) ** 2),
            "concave",
        ),
        "steps of twice the size": (lambda r: r._replace(step_size=2 * r.step_size), "in the time"),
        "descent on cross-entropy twice": (with_loss("squared", descent=lambda r: r.cross_entropy.descent), "time"),
        "descent from elsewhere": (with_loss("squared", descent=lambda r: r.squared.descent[1:]), "same logit"),
        "the peak at 1/2": (lambda r: r._replace(steepest=0.0, largest_pull=0.125), "1/3"),
    }
)
def test_losses_of_one_label_notices(sabotage, words, results):
    refuses(losses_of_one_label, sabotage(results(losses_of_one_label)), words)


def test_losses_of_one_label_notices_a_gradient_without_its_vanishing_factor(monkeypatch):
    monkeypatch.setattr(squared_error_sigmoid, "gradient", lambda w, X, y: logistic.gradient(w, X, y, 0.0))
    refuses_a_run(losses_of_one_label, "squared error gets")


# The simplex --------------------------------------------------------------------------------------------------
def by_sigmoids(r):
    p = 1 / (1 + np.exp(-r.logits))
    return r._replace(probabilities=p / p.sum(axis=1, keepdims=True))


@cases(
    {
        "sigmoids, normalised": (by_sigmoids, "ratio"),
        "logits of half the size": (lambda r: r._replace(logits=r.logits / 2), "ratio"),
        "rows of others": (lambda r: r._replace(probabilities=np.roll(r.probabilities, 1, axis=0)), "ratio"),
        "classes in another order": (lambda r: r._replace(walks=np.roll(r.walks, 1, axis=2)), "marked"),
        "walks backwards": (lambda r: r._replace(walks=r.walks[:, ::-1]), "marked"),
        "shifted by one logit only": (lambda r: r._replace(shifted=np.roll(r.shifted, 1, axis=1)), "constant"),
        "a vertex is reached": (lambda r: r._replace(walks=np.where(r.walks < 1e-6, 0, r.walks)), "positive"),
        "entropy in bits": (lambda r: r._replace(centre_entropy=np.log2(3)), "ln 3"),
    }
)
def test_simplex_notices(sabotage, words, results):
    refuses(simplex, sabotage(results(simplex)), words)


# The decision boundary ----------------------------------------------------------------------------------------
@cases(
    {
        "true weights for estimated ones": (lambda r: r._replace(weights=decision_boundary.TRUE), "gradient is zero"),
        "descent that has not ended": (lambda r: r._replace(descended=0.999 * r.descended), "gradient is zero"),
        "labels of the other class": (lambda r: r._replace(labels=1 - r.labels), "gradient is zero"),
        "methods swapped": (lambda r: swapped(r, "newton_steps", "descent_steps"), "Newton takes"),
        "lines in reverse": (lambda r: r._replace(on_levels=r.on_levels[::-1]), "levels"),
        "half the information": (lambda r: r._replace(covariance=2 * r.covariance), "spread"),
        "twice the information": (lambda r: r._replace(covariance=r.covariance / 2), "spread"),
        "correlation of the other sign": (
            lambda r: r._replace(estimates=r.estimates * [1, -1, 1] + [0, 2 * decision_boundary.W_TRUE[1], 0]),
            "correlation",
        ),
        "fits that have not converged": (lambda r: r._replace(largest_norm=1e-6), "every draw"),
    }
)
def test_decision_boundary_notices(sabotage, words, results):
    refuses(decision_boundary, sabotage(results(decision_boundary)), words)


def test_decision_boundary_notices_a_hessian_of_the_wrong_size(monkeypatch):
    hessian = logistic.hessian
    monkeypatch.setattr(logistic, "hessian", lambda w, X, lam: 1.5 * hessian(w, X, lam))
    refuses_a_run(decision_boundary, "Newton takes")


# The linear classifier ----------------------------------------------------------------------------------------
@cases(
    {
        "labels swapped": (lambda r: r._replace(at_labels=r.at_labels[::-1]), "where they stand"),
        "lines and labels swapped": (
            lambda r: r._replace(at_labels=r.at_labels[::-1], on_dotted=r.on_dotted[::-1]),
            "labels|they are",
        ),
        "lines a unit of length away": (
            lambda r: r._replace(on_dotted=r.on_dotted + r.weights[:2] / np.linalg.norm(r.weights[:2])),
            "where they stand",
        ),
        "foot straight below": (
            lambda r: r._replace(foot=np.array([-(r.weights[2] - 1.4 * r.weights[1]) / r.weights[0], -1.4])),
            "perpendicular",
        ),
        "foot off the boundary": (lambda r: r._replace(foot=0.99 * r.foot), "boundary"),
        "without the penalty": (lambda r: r._replace(lam=0.0), "stationary"),
        "confidence of the distance alone": (
            lambda r: r._replace(confidence=np.full(3, r.confidence[1])),
            "confidence",
        ),
    }
)
def test_linear_classifier_notices(sabotage, words, results):
    refuses(linear_classifier, sabotage(results(linear_classifier)), words)


# Ranking ------------------------------------------------------------------------------------------------------
def with_ranking(name, **fields):
    return lambda r: r._replace(**{name: getattr(r, name)._replace(**{key: of(r) for key, of in fields.items()})})


def without_ties(r):
    """The share of pairs in order, ties not counted."""
    grades = np.digitize(r.scores, ranking_metrics.CUTS)
    return np.mean(grades[r.labels == 1][:, None] > grades[r.labels == 0])


@cases(
    {
        "the trapezoid": (
            with_ranking("fine", average_precision=lambda r: trapezoid(r.labels, r.scores)),
            "average precision",
        ),
        "ties left out": (with_ranking("coarse", auc=without_ties), "share of pairs"),
        "areas swapped": (lambda r: r._replace(coarse=swapped(r.coarse, "straight", "attained")), "attained is"),
        "straight lines that gain": (with_ranking("fine", straight=lambda r: r.fine.average_precision), "lose"),
        "scores of the other class": (lambda r: r._replace(scores=-r.scores), "share of pairs"),
        "curves of the grades": (lambda r: swapped(r, "fine", "coarse"), "share of pairs"),
        "average precision that forgets the prevalence": (
            lambda r: r._replace(rarer_average_precision=r.fine.average_precision),
            "falls",
        ),
        "an area that does not": (lambda r: r._replace(rarer_auc=r.rarer_average_precision), "is the same"),
    }
)
def test_ranking_metrics_notices(sabotage, words, results):
    refuses(ranking_metrics, sabotage(results(ranking_metrics)), words)


def test_ranking_metrics_notices_another_average_precision(monkeypatch):
    monkeypatch.setattr(ranking_metrics.metrics, "average_precision", trapezoid)
    refuses_a_run(ranking_metrics, "average precision")


# Accuracy -----------------------------------------------------------------------------------------------------
def made_up(r):
    """The counts of the series: TP 42, FN 8, FP 35, TN 915."""
    matrices = r.matrices.copy()
    matrices[2] = [[915, 35], [8, 42]]
    return r._replace(matrices=matrices)


@cases(
    {
        "made-up counts": (made_up, "counts"),
        "thresholds in reverse": (lambda r: r._replace(thresholds=r.thresholds[::-1]), "rise"),
        "predictions by row": (lambda r: r._replace(matrices=r.matrices.transpose(0, 2, 1)), "counts"),
        "classifiers in another order": (lambda r: r._replace(matrices=r.matrices[::-1]), "counts"),
        "recall for F1": (lambda r: r._replace(f1s=r.matrices[:, 1, 1] / 50), "F1"),
        "a mean for F1": (lambda r: r._replace(f1=(r.f1 + 1) / 2), "F1"),
        "a better ranking": (lambda r: r._replace(probabilities=np.where(r.labels, 0.9, 0.1)), "counts"),
        "labels of the other class": (lambda r: r._replace(labels=1 - r.labels), "50 of 1000"),
        "costs the other way round": (lambda r: r._replace(cost=r.cost[::-1]), "cost"),
    }
)
def test_accuracy_paradox_notices(sabotage, words, results):
    refuses(accuracy_paradox, sabotage(results(accuracy_paradox)), words)


def test_accuracy_paradox_needs_a_fit_that_separates():
    weak = accuracy_paradox.run(accuracy_paradox.Config(separation=0.1))
    refuses(accuracy_paradox, weak, "accuracy")


# The pipeline -------------------------------------------------------------------------------------------------
def of_another_penalty(r):
    return r._replace(lam=r.lams[np.argmin(r.validation.mean(axis=1)) + 1])


@cases(
    {
        "another penalty": (of_another_penalty, "lam has the least loss"),
        "the penalty of one fold": (lambda r: r._replace(validation=r.validation[:, :1]), "every fit"),
        "penalties in reverse": (lambda r: r._replace(lams=r.lams[::-1]), "least loss"),
        "one fit that has not converged": (
            lambda r: r._replace(norms=np.where(r.norms == r.norms[-1].max(), 1e-6, r.norms)),
            "converged",
        ),
        "steps backwards": (lambda r: r._replace(norms=r.norms[::-1]), "converged"),
        "an intercept without penalty": (lambda r: r._replace(train_excess=0.0), "too high"),
        "overconfident logits": (lambda r: r._replace(scores=30 * r.scores), "test loss|confusion"),
        "a threshold of 1/2": (lambda r: r._replace(threshold=0.5), "98 %|confusion"),
        "predictions by row": (lambda r: r._replace(counts=r.counts.T), "confusion"),
        "benign for malignant": (lambda r: r._replace(labels=1 - r.labels), "test loss"),
        "the trapezoid": (lambda r: r._replace(average_precision=trapezoid(r.labels, r.scores)), "average precision"),
        "draws that are not rare": (lambda r: r._replace(rare_average_precision=r.rare_auc), "of their rates"),
        "draws with more malignant rows": (
            lambda r: r._replace(false_rates=np.repeat(r.false_rates, 2, axis=1)),
            "one for twenty",
        ),
    }
)
def test_breast_cancer_pipeline_notices(sabotage, words, results):
    refuses(breast_cancer_pipeline, sabotage(results(breast_cancer_pipeline)), words)


def test_breast_cancer_pipeline_notices_statistics_of_all_rows(monkeypatch):
    design = breast_cancer_pipeline.design
    monkeypatch.setattr(breast_cancer_pipeline, "design", lambda X, seen: design(X, np.arange(len(X))))
    refuses_a_run(breast_cancer_pipeline, "rows that a fit sees")


def test_breast_cancer_pipeline_notices_a_wrong_hessian(monkeypatch):
    hessian = logistic.hessian
    monkeypatch.setattr(logistic, "hessian", lambda w, X, lam: hessian(w, X, 3 * lam))
    refuses_a_run(breast_cancer_pipeline, "converged")


@pytest.fixture
def first_fold():
    """Rows and labels that are left out of the first fold and those that are seen, as in the quick run."""
    table = data.breast_cancer()
    y = 1.0 - table.y
    test, folds, seen = breast_cancer_pipeline.split(y, np.random.default_rng(0))
    X = breast_cancer_pipeline.design(table.X, seen[0])
    return (X[folds[0]], y[folds[0]]), (X[seen[0]], y[seen[0]]), (test, folds, seen)


def loss_of(w, X, y):
    return np.mean(np.logaddexp(0, X @ w) - y * (X @ w))


def test_the_parts_are_disjoint_and_have_their_shares_of_both_classes(first_fold):
    test, folds, seen = first_fold[2]
    malignant = 1 - data.breast_cancer().y
    assert len(np.unique(np.concatenate([test, folds.ravel()]))) == len(malignant) == len(test) + folds.size
    for fold, rest in zip(folds, seen, strict=True):
        assert len(np.intersect1d(fold, rest)) == 0
        assert abs(malignant[fold].sum() - malignant.mean() * len(fold)) <= 1.5
    assert malignant[test].sum() == 106


@pytest.mark.parametrize("penalty", [0, 6, 12])
def test_the_fits_under_vmap_are_those_of_one_at_a_time(penalty, first_fold, results):
    (X_left, y_left), (X, y), _ = first_fold
    r = results(breast_cancer_pipeline)
    problem, arguments = Problem(logistic.loss, logistic.gradient), {"X": X, "y": y, "lam": r.lams[penalty]}
    alone = minimise(problem, newton(logistic.hessian), np.zeros(X.shape[1]), arguments, 1e-10, 50)
    assert loss_of(alone.params, X_left, y_left) == pytest.approx(r.validation[penalty, 0], rel=1e-8)


@pytest.mark.parametrize("penalty", [3, 9])
def test_the_fits_are_those_of_scikit_learn(penalty, first_fold, results):
    linear_model = pytest.importorskip("sklearn.linear_model")
    (X_left, y_left), (X, y), _ = first_fold
    r = results(breast_cancer_pipeline)
    C = 1 / (len(X) * r.lams[penalty])
    theirs = linear_model.LogisticRegression(C=C, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(X, y)
    assert loss_of(theirs.coef_[0], X_left, y_left) == pytest.approx(r.validation[penalty, 0], rel=1e-4)
