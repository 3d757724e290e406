"""The command that fits a model to a file: against scikit-learn and textbooks, and with every kind of bad file."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from experiments import fit, fit_errors, fit_existence, fit_models, fit_options, fit_report, fit_validation, table
from experiments.fit_options import MODELS
from jaxderiv.errors import InputError

ROOT = Path(fit.__file__).parents[1]
n, d = 60, 3
NAMES = ("age", "dose", "price")

# The loops call optax, which relies on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion


def features():
    rng = np.random.default_rng(7)
    return rng.normal(size=(n, d)) * [1.0, 20.0, 0.1] + [5.0, -40.0, 3.0]


def targets(model):
    """What the models are tested on, from the same features: numbers, or classes as words."""
    rng, X = np.random.default_rng(8), features()
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    if MODELS[model].kind == "regression":
        return 100 + 10 * (Z @ [1.0, -2.0, 0.0] + 0.7 * rng.standard_t(2.5, size=n))
    if model == "logistic":
        return np.where(Z @ [1.0, -1.0, 0.3] + rng.logistic(size=n) > 0, "yes", "no")
    scores = Z @ rng.normal(size=(d, 3)) + 1.5 * rng.gumbel(size=(n, 3))
    return np.array(["low", "mid", "top"])[scores.argmax(axis=1)]


def written(path, names, columns, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(names)
        writer.writerows(zip(*(map(str, column) for column in columns), strict=True))
    return path


@pytest.fixture
def fitted(tmp_path, capsys, monkeypatch):
    """Run the command on the features and a target of the model. Returns exit code, record, stdout and stderr.

    The figure, which takes most of the time, is empty unless it is asked for.
    """
    plot = fit_report.plot

    def run(model, *more, path=None, figure=False):
        monkeypatch.setattr(fit_report, "plot", plot if figure else lambda study: Figure())
        path = path or written(tmp_path / "data.csv", (*NAMES, "y"), [*features().T, targets(model)])
        out = tmp_path / "out"
        code = fit.main(["--data", str(path), "--target", "y", "--model", model, "--out", str(out), *more])
        said = capsys.readouterr()
        record = json.loads((out / "results.json").read_text(encoding="utf-8")) if out.exists() else None
        return code, record, said.out, said.err

    return run


@pytest.fixture
def refused(tmp_path, capsys):
    """Run the command on a file of this text. Returns the one line that it says."""

    def run(text, *more, model="linear", target="y"):
        path = tmp_path / "data.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        code = fit.main(
            ["--data", str(path), "--target", target, "--model", model, "--out", str(tmp_path / "o"), *more]
        )
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        # On a slow machine the progress of a cross-validation comes first.
        *progress, said = err.splitlines()
        assert said.startswith("fit: ")
        assert all(re.fullmatch(r"fit: cross-validation, \d+ of \d+ steps", line) for line in progress)
        assert not (tmp_path / "o" / "results.json").exists()
        return said

    return run


def weights(record):
    """(d + 1,), the intercept first; a column per class for softmax."""
    found = record["numbers"]["coefficients"]
    if "(intercept)" in found:
        return np.array([found[name] for name in ("(intercept)", *NAMES)])
    return np.column_stack([[part[name] for name in ("(intercept)", *NAMES)] for part in found.values()])


def standard_errors(record):
    return weights({"numbers": {"coefficients": record["numbers"]["standard_errors"]}})


def standardised():
    X = features()
    return (X - X.mean(axis=0)) / X.std(axis=0)


def in_original_units(intercept, slopes):
    """What scikit-learn finds on standardised features; slopes (d,), or (d, K)."""
    X = features()
    slopes = (np.asarray(slopes).T / X.std(axis=0)).T
    return np.concatenate([np.atleast_1d(intercept - X.mean(axis=0) @ slopes).reshape(1, *slopes.shape[1:]), slopes])


def assert_close(found, expected, tolerance=1e-8):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


# Against scikit-learn ----------------------------------------------------------------------------------------


def test_linear(fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    code, record, out, err = fitted("linear")
    other = linear_model.LinearRegression().fit(features(), targets("linear"))
    assert (code, err) == (0, "")
    assert_close(weights(record), [other.intercept_, *other.coef_])
    assert record["numbers"]["measures"]["R^2"] == pytest.approx(other.score(features(), targets("linear")), rel=1e-12)
    assert "lam" not in out.split("standard errors")[0]


def test_ridge_penalises_standardised_features_and_no_intercept(fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    code, record, out, _ = fitted("ridge", "--lam", "7.5")
    other = linear_model.Ridge(alpha=7.5).fit(standardised(), targets("ridge"))
    assert code == 0
    assert_close(weights(record), in_original_units(other.intercept_, other.coef_))
    assert record["numbers"]["relative_gap"] <= 1e-12
    assert "lam = 7.5; lam belongs to features standardised" in out


@pytest.mark.parametrize(("model", "lam"), [("lasso", 80.0), ("elastic-net", 60.0)])
def test_lasso_and_elastic_net(model, lam, fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    share = [] if model == "lasso" else ["--l1-ratio", "0.7"]
    code, record, out, _ = fitted(model, "--lam", str(lam), *share)
    ratio = 1.0 if model == "lasso" else 0.7
    other = linear_model.ElasticNet(alpha=lam / n, l1_ratio=ratio, tol=1e-14, max_iter=10**6)
    other.fit(standardised(), targets(model))
    assert code == 0
    assert (other.coef_ == 0).any() == (model == "lasso")
    assert ((weights(record)[1:] == 0) == (other.coef_ == 0)).all()
    assert_close(weights(record), in_original_units(other.intercept_, other.coef_))
    r = targets(model) - standardised() @ other.coef_ - other.intercept_
    value = r @ r / 2 + lam * (ratio * np.abs(other.coef_).sum() + (1 - ratio) / 2 * other.coef_ @ other.coef_)
    assert record["numbers"]["objective"] == pytest.approx(value, rel=1e-10)
    assert 0 <= record["numbers"]["relative_gap"] <= 1e-9
    assert "of 3 weights are zero" in out


def test_huber_at_the_scale_that_scikit_learn_finds(fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    other = linear_model.HuberRegressor(epsilon=1.5, alpha=0.0, tol=1e-12, max_iter=10**5)
    other.fit(standardised(), targets("huber"))
    code, record, _, _ = fitted("huber", "--delta", repr(float(1.5 * other.scale_)))
    assert code == 0
    # Its quasi-Newton run stops early, so that this is close only to a few digits.
    assert_close(weights(record), in_original_units(other.intercept_, other.coef_), 1e-3)


def test_huber_by_reweighting_in_the_original_units(fitted):
    code, record, _, _ = fitted("huber", "--delta", "6")
    X, y = rows_with_ones(), targets("huber")
    found = np.linalg.lstsq(X, y)[0]
    for _ in range(300):
        r = np.abs(y - X @ found)
        root = np.sqrt(np.minimum(1.0, 6 / r))
        found = np.linalg.lstsq(root[:, None] * X, root * y)[0]
    assert code == 0
    assert 5 < np.sum(r > 6) < n / 2
    assert_close(weights(record), found)


@pytest.mark.parametrize("lam", [0.0, 0.05])
def test_logistic(lam, fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    code, record, out, _ = fitted("logistic", "--lam", str(lam))
    strength = 1 / (n * lam) if lam else np.inf
    other = linear_model.LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    other.fit(standardised(), targets("logistic"))
    assert code == 0
    assert_close(weights(record), in_original_units(other.intercept_[0], other.coef_[0]))
    assert record["classes"] == ["no", "yes"]
    assert "classes: 'no' -> 0, 'yes' -> 1" in out
    assert record["numbers"]["measures"]["accuracy"] == other.score(standardised(), targets("logistic"))


def test_softmax(fitted):
    linear_model = pytest.importorskip("sklearn.linear_model")
    code, record, _, _ = fitted("softmax", "--lam", "0.05")
    other = linear_model.LogisticRegression(C=1 / (n * 0.05), solver="newton-cholesky", tol=1e-13, max_iter=1000)
    other.fit(standardised(), targets("softmax"))
    found = weights(record)
    assert code == 0
    assert record["classes"] == list(other.classes_)
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-12)
    # A number that is added to all intercepts changes nothing.
    assert_close(found, in_original_units(other.intercept_ - other.intercept_.mean(), other.coef_.T))
    metrics = pytest.importorskip("sklearn.metrics")
    said, y = other.predict(standardised()), targets("softmax")
    measures = record["numbers"]["measures"]
    assert measures["confusion"] == metrics.confusion_matrix(y, said).tolist()
    assert measures["mean F1 of the classes"] == pytest.approx(metrics.f1_score(y, said, average="macro"))
    assert measures["log loss"] == pytest.approx(metrics.log_loss(y, other.predict_proba(standardised())), rel=1e-8)
    area = metrics.roc_auc_score(y, other.predict_proba(standardised()), multi_class="ovr")
    assert measures["mean area under ROC, one class against the rest"] == pytest.approx(area)


def test_errors_of_the_cross_validation(tmp_path):
    pytest.importorskip("sklearn")
    from sklearn.linear_model import Lasso
    from sklearn.model_selection import PredefinedSplit, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options = fit_options.parse("--data x --target y --model lasso --lam cv --seed 3".split())
    X, y, labels = features(), targets("lasso"), table.Labels("y", NAMES, ())
    with jax.enable_x64(True):
        found = fit_validation.validate(options, X, y, labels, lambda *progress: None)
        folds = fit_validation.folds_of(options, y, labels)
    for row in (0, 10, 20):
        other = make_pipeline(StandardScaler(), Lasso(alpha=found.lams[row] / n, tol=1e-14, max_iter=10**6))
        scores = cross_val_score(other, X, y, cv=PredefinedSplit(folds), scoring="neg_mean_squared_error")
        np.testing.assert_allclose(found.errors[row], -scores, rtol=1e-8)
    assert found.lam == found.lams[found.mean.argmin()]
    errors = np.array([np.mean((y - found.predictions)[folds == fold] ** 2) for fold in range(5)])
    np.testing.assert_allclose(errors, found.errors[found.mean.argmin()], rtol=1e-12)


# Standard errors ---------------------------------------------------------------------------------------------


def rows_with_ones():
    return np.column_stack([np.ones(n), features()])


def test_standard_errors_of_least_squares(fitted):
    _, record, out, _ = fitted("linear")
    X, y = rows_with_ones(), targets("linear")
    r = y - X @ np.linalg.lstsq(X, y)[0]
    expected = np.sqrt(r @ r / (n - d - 1) * np.diag(np.linalg.inv(X.T @ X)))
    assert_close(standard_errors(record), expected)
    half = np.array(list(record["numbers"]["half_widths_95"].values()))
    assert_close(half, expected * stats.t.ppf(0.975, n - d - 1))
    assert f"with {n - d - 1} degrees of freedom" in out
    inflation = [record["numbers"]["variance_inflation"][name] for name in NAMES]
    correlation = np.corrcoef(features().T)
    assert_close(inflation, np.diag(np.linalg.inv(correlation)))


def test_standard_errors_of_logistic_regression_are_of_the_observed_information(fitted):
    _, record, _, _ = fitted("logistic")
    X = rows_with_ones()
    p = 1 / (1 + np.exp(-X @ weights(record)))
    information = X.T @ (X * (p * (1 - p))[:, None])
    assert_close(standard_errors(record), np.sqrt(np.diag(np.linalg.inv(information))), 1e-7)


def test_softmax_of_two_classes_is_logistic_regression_with_half_of_the_weights(fitted, tmp_path):
    path = written(tmp_path / "two.csv", (*NAMES, "y"), [*features().T, targets("logistic")])
    _, one, _, _ = fitted("logistic", path=path)
    code, two, _, _ = fitted("softmax", path=path)
    assert code == 0
    assert_close(weights(two)[:, 1], weights(one) / 2)
    assert_close(standard_errors(two), np.column_stack([standard_errors(one)] * 2) / 2)


def test_standard_errors_of_softmax_in_blocks_of_rows(fitted, monkeypatch):
    _, record, _, _ = fitted("softmax")
    X, W = rows_with_ones(), weights(record)
    P = np.exp(X @ W)
    P /= P.sum(axis=1, keepdims=True)
    C = P[:, :, None] * np.eye(3) - P[:, :, None] * P[:, None, :]
    information = np.einsum("ij,ikm,il->jklm", X, C, X).reshape(12, 12)
    assert_close(
        standard_errors(record), np.sqrt(np.diag(np.linalg.pinv(information, rcond=1e-13))).reshape(4, 3), 1e-6
    )
    monkeypatch.setattr(fit_errors, "LARGE", 150)
    assert_close(standard_errors(fitted("softmax")[1]), standard_errors(record), 1e-10)


def test_standard_errors_of_huber_regression(fitted):
    _, record, _, _ = fitted("huber")
    X, delta = rows_with_ones(), record["numbers"]["delta"]
    r = targets("huber") - X @ weights(record)
    bread = np.linalg.inv(X.T @ (X * (np.abs(r) < delta)[:, None]))
    filling = X.T @ (X * np.clip(r, -delta, delta)[:, None] ** 2)
    assert 0 < np.mean(np.abs(r) > delta) < 0.5
    assert_close(standard_errors(record), np.sqrt(np.diag(bread @ filling @ bread) * n / (n - d - 1)), 1e-7)
    residuals = targets("huber") - X @ np.linalg.lstsq(X, targets("huber"))[0]
    assert delta == pytest.approx(1.345 * 1.4826 * np.median(np.abs(residuals)), rel=1e-9)


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("ridge", ["--lam", "1"], "the penalty biases the weights"),
        ("logistic", ["--lam", "0.1"], "the penalty biases the weights"),
        ("huber", ["--delta", "1e-3"], "within delta are too few"),
    ],
)
def test_no_standard_errors_where_they_are_not_defined(model, more, words, fitted):
    code, record, out, _ = fitted(model, *more)
    assert code == 0
    assert set(record["numbers"]["standard_errors"].values()) == {None}
    assert words in record["standard_errors"]
    assert words in out
    assert "95 %" not in out


def test_as_many_rows_as_weights_leave_no_standard_errors(fitted, tmp_path):
    path = written(tmp_path / "few.csv", (*NAMES, "y"), [*features()[:4].T, targets("linear")[:4]])
    code, record, out, _ = fitted("linear", path=path)
    assert code == 0
    assert "4 rows for 4 weights leave no degree of freedom" in out
    assert set(record["numbers"]["standard_errors"].values()) == {None}


# Methods and certificates ------------------------------------------------------------------------------------
ALL = [(model, method) for model, one in MODELS.items() for method in one.methods]
QUICK = [("linear", "svd"), ("lasso", "fista"), ("huber", "irls"), ("logistic", "lbfgs")]


@pytest.mark.parametrize(
    ("model", "method"), [each if each in QUICK else pytest.param(*each, marks=pytest.mark.slow) for each in ALL]
)
def test_every_method_finds_the_minimum(model, method):
    lam = {"ridge": "3", "lasso": "30", "elastic-net": "30"}.get(model)
    words = f"--data x --target y --model {model} --method {method}".split()
    options = fit_options.parse([*words, *(["--lam", lam] if lam else [])])
    y = targets(model)
    if MODELS[model].kind != "regression":
        names, codes = np.unique(y, return_inverse=True)
        y = np.eye(len(names))[codes] if model == "softmax" else codes.astype(float)
    with jax.enable_x64(True):
        found = fit_models.fit(options, features(), y, options.lam)
        default = fit_models.fit(fit_options.Options(**{**vars(options), "method": None}), features(), y, options.lam)
    assert found.certified
    assert found.method == method
    assert found.stopped == ("solved" if method in fit_options.DIRECT else "converged")
    assert_close(found.weights, default.weights, 1e-6)


def test_huber_with_a_threshold_that_hardly_any_residual_is_within():
    X, y = features(), targets("huber")
    for delta in ("1e-1", "1e-3", "1e-5"):
        options = fit_options.parse(f"--data x --target y --model huber --delta {delta}".split())
        with jax.enable_x64(True):
            assert fit_models.fit(options, X, y, 0.0).certified


@pytest.mark.parametrize(
    ("model", "more"), [("logistic", []), ("lasso", ["--lam", "1"]), ("softmax", ["--method", "newton-cg"])]
)
def test_a_run_that_stops_at_its_limit_is_not_certified(model, more, fitted):
    code, record, out, err = fitted(model, *more, "--limit", "1")
    assert (code, err) == (1, "")
    assert (record["certified"], record["stopped"]) == (False, "limit")
    assert record["numbers"]["certificate"] > 1e-10
    assert "NOT CERTIFIED: the certificate is above the tolerance; it stopped at the limit of 1 steps" in out
    assert "none: the fit is not certified" in out or "penalty" in out


def test_a_run_that_diverges_says_so(fitted, monkeypatch):
    minimise = fit_models.minimise

    def diverging(*args, **more):
        found = minimise(*args, **more)
        return found._replace(params=1e7 * found.params, stopped="diverged")

    monkeypatch.setattr(fit_models, "minimise", diverging)
    code, record, out, _ = fitted("ridge", "--lam", "1")
    assert (code, record["stopped"]) == (1, "diverged")
    assert "NOT CERTIFIED" in out
    assert "it diverged" in out


def test_the_certificate_does_not_believe_the_method(fitted, monkeypatch):
    right = fit_models.optimisers.least_squares
    monkeypatch.setattr(fit_models.optimisers, "least_squares", lambda *args: right(*args) * (1 + 1e-6))
    code, record, out, _ = fitted("linear", "--method", "qr")
    assert code == 1
    assert 1e-8 < record["numbers"]["certificate"] < 1e-5
    assert "NOT CERTIFIED" in out


def test_folds_that_are_not_certified_count(fitted, monkeypatch):
    checked = fit_validation.checked_fit
    monkeypatch.setattr(fit_validation, "checked_fit", lambda *args: checked(*args)._replace(certified=False))
    code, record, out, _ = fitted("linear", "--cv", "5")
    assert code == 1
    assert not record["certified"]
    assert "5 of 5 fits of the cross-validation are not" in out


@pytest.mark.parametrize(("factor", "shift"), [(1e9, 0.0), (1e-9, 0.0), (1.0, 1e7)])
def test_units_do_not_matter(factor, shift, fitted, tmp_path):
    y = targets("linear")
    path = written(tmp_path / "units.csv", (*NAMES, "y"), [*(features() * factor).T, y * factor + shift])
    code, record, _, _ = fitted("linear", path=path)
    other = np.linalg.lstsq(standardised(), y - y.mean())[0] / features().std(axis=0)
    assert code == 0
    assert_close(weights(record)[1:], other, 1e-6 if shift else 1e-9)


# Cross-validation --------------------------------------------------------------------------------------------


def test_the_choice_of_lam_depends_on_the_seed_alone(fitted):
    runs = [fitted("ridge", "--lam", "cv", "--method", "svd", "--seed", seed)[1]["numbers"] for seed in ("0", "0", "1")]
    assert runs[0] == runs[1]
    assert runs[0]["cross_validation"]["errors"] != runs[2]["cross_validation"]["errors"]
    found = runs[0]["cross_validation"]
    assert len(found["lams"]) == 25
    assert len(found["errors"][0]) == 5
    assert found["lam"] == runs[0]["lam"] == found["lams"][int(np.mean(found["errors"], axis=1).argmin())]


def test_a_given_lam_is_marked_in_the_curve(fitted):
    code, record, out, _ = fitted("elastic-net", "--lam", "5", "--cv", "3")
    found = record["numbers"]["cross_validation"]
    assert code == 0
    assert (found["lam"], found["fits"], len(found["lams"])) == (5.0, 78, 26)
    assert 5.0 in found["lams"]
    assert found["lams"] == sorted(found["lams"], reverse=True)
    assert "3 folds" in out
    assert "chosen" not in out


def test_folds_have_equal_shares_of_the_classes():
    options = fit_options.parse("--data x --target y --model logistic --cv 5".split())
    y = np.repeat([0.0, 1.0], [40, 20])
    folds = fit_validation.folds_of(options, y, table.Labels("y", NAMES, ("no", "yes")))
    for fold in range(5):
        assert [np.sum(folds[y == label] == fold) for label in (0, 1)] == [8, 4]
    with pytest.raises(InputError, match="'yes' has one"):
        fit_validation.folds_of(options, np.repeat([0.0, 1.0], [9, 1]), table.Labels("y", NAMES, ("no", "yes")))


def test_unseen_rows_are_unseen(fitted, tmp_path):
    # Pure noise: what is left of R^2 on unseen rows is about zero or below.
    rng = np.random.default_rng(0)
    X, names = rng.normal(size=(n, 20)), [f"x{j}" for j in range(20)]
    path = written(tmp_path / "noise.csv", (*names, "y"), [*X.T, rng.normal(size=n)])
    code, record, _, _ = fitted("linear", "--cv", "5", "--method", "svd", path=path)
    assert code == 0
    assert record["numbers"]["measures"]["R^2"] > 0.2
    _, _, out, _ = fitted("ridge", "--lam", "cv", "--method", "svd", path=path)
    assert "lam is the largest of its grid: the minimum of the curve may lie beyond" in out
    assert record["numbers"]["cross_validation"]["measures"]["R^2"] < 0.1


def test_a_fold_without_a_minimum_is_named(refused):
    # All rows are inseparable because of one row; without it they are separable.
    rows = [f"{x},{'yes' if x > 9 else 'no'}" for x in range(20) if x != 4] + ["4,yes"]
    text = "\n".join(["x,y", *rows])
    said = refused(text, "--cv", "5", model="logistic")
    assert re.search(r"in fold \d of the cross-validation, with 16 rows: no finite optimum exists", said)


# Separation --------------------------------------------------------------------------------------------------


def test_separable_classes_are_shown_with_a_direction_in_the_units_of_the_file(refused):
    X = features()
    labels = np.where(X[:, 0] - 0.1 * X[:, 1] > 9.0, "ill", "well")
    assert 5 < np.sum(labels == "ill") < n - 5
    text = "\n".join(["age,dose,price,y", *(f"{a},{b},{c},{y}" for (a, b, c), y in zip(X, labels, strict=True))])
    said = refused(text, model="logistic")
    assert "no finite optimum exists: the classes are separable (completely)" in said
    found = re.search(r": ((?:\S+\*\w+ )+)(\S+) is > 0 in every row where 'y' is 'well' and < 0 in", said)
    terms = dict(term.split("*")[::-1] for term in found[1].split())
    score = sum(float(weight) * X[:, NAMES.index(name)] for name, weight in terms.items()) + float(found[2])
    assert ((score > 0) == (labels == "well")).all()
    assert "give --lam" in said


def test_quasi_complete_separation(refused, fitted, tmp_path):
    text = "\n".join(["x,y", *(f"{x},{'b' if x > 5 else 'a'}" for x in range(11)), "5,b"])
    said = refused(text, model="logistic")
    assert "(quasi-completely)" in said
    assert ">= 0 in every row where 'y' is 'b' and <= 0 in every row where it is 'a', level in 2 rows" in said
    path = tmp_path / "overlap.csv"
    path.write_text(text + "\n4,b\n7,a\n")
    assert fitted("logistic", path=path)[0] == 0


def test_separable_classes_have_a_fit_with_a_penalty(fitted, tmp_path):
    path = tmp_path / "separable.csv"
    path.write_text("\n".join(["x,y", *(f"{x},{x > 5}" for x in range(11))]))
    assert fitted("logistic", "--lam", "1e-3", path=path)[0] == 0


def test_one_class_that_stands_apart_among_three(refused):
    x = [0, 1, 2, 3, 1, 2, 3, 0, 10, 11, 12]
    y = ["a", "b", "a", "b", "b", "a", "a", "b", "c", "c", "c"]
    said = refused("\n".join(["x,y", *(f"{a},{b}" for a, b in zip(x, y, strict=True))]), model="softmax")
    assert "no finite optimum exists: the classes are separable (quasi-completely): of the scores 'a': " in said
    scores = dict(re.findall(r"'(\w)': (\S+\*x \S+?)[,\s]", said))
    slope, offset = (np.array([float(part) for part in column]) for column in zip(
        *(re.match(r"(\S+)\*x (\S+)", scores[name]).groups() for name in "abc"), strict=True))  # fmt: skip
    z = np.outer(x, slope) + offset
    own = z[range(len(x)), ["abc".index(each) for each in y]]
    assert (own >= z.max(axis=1) - 1e-6).all()
    assert np.sum(z.max(axis=1) - z.min(axis=1)) > 1


@pytest.mark.parametrize("classes", [2, 3])
def test_a_balance_of_the_classes_and_a_direction_exclude_each_other(classes):
    answers = set()
    for seed in range(24):
        rng = np.random.default_rng(seed)
        X = np.column_stack([np.ones(25), rng.normal(size=(25, 3))])
        T = np.eye(classes)[
            (X @ rng.normal(size=(4, classes)) + seed / 8 * rng.gumbel(size=(25, classes))).argmax(axis=1)
        ]
        if not T.sum(axis=0).all():
            continue
        y = T[:, 1] if classes == 2 else T
        model = "logistic" if classes == 2 else "softmax"
        options = fit_options.parse(f"--data x --target y --model {model}".split())
        with jax.enable_x64(True):
            found = fit_models.fit(options, X[:, 1:], y, 0.0)
        logits = fit_models.scores(found.weights, X[:, 1:])
        balanced = fit_existence.has_minimum(found.data["X"], y, logits, found.certificate)
        direction = fit_existence.separating_direction(found.data["X"], y)
        # Neither may be at hand, but never both.
        assert not balanced or direction is None
        answers.add((balanced, direction is not None))
        if direction is not None:
            z = found.data["X"] @ direction.weights
            own = (2 * y - 1) * z if classes == 2 else (z[T == 1][:, None] - z)[T == 0]
            assert own.min() > 0 if direction.complete else own.min() > -1e-8
            assert own.max() > 1e-3
    assert answers >= {(True, False), (False, True)}


# Bad files ---------------------------------------------------------------------------------------------------
GOOD = "age,dose,y\n1,2,3\n2,1,5\n3,5,4\n4,2,8\n5,0,2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "data.csv is empty; allowed: a row of names"),
        (" \n\n", "data.csv is empty"),
        ("age,y\n", "has names but no rows below them"),
        ("1,2\n3,4\n", "the first row holds numbers, 1, 2; put a row of names above it"),
        ("age,,y\n1,2,3\n", "column 2 has no name"),
        ("age,dose,age,y\n1,2,3,4\n", "columns 1 and 3 are both named 'age'; rename one of them"),
        ("age,y\n1,2\n3\n", "row 2 (line 3) has 1 cells, but there are 2 names"),
        ("age,y\n\n1,2\n\n3,4,5\n", "row 2 (line 5) has 3 cells"),
        ('age,y\n1,"2\n3,4\n', "is no CSV file"),
        ("y\n1\n2\n", "no feature is left beside the target 'y'"),
        ("age,y\n1,2\nold,3\n", "row 2 (line 3), column 'age': 'old' is not a number; write a number"),
        ("age,y\n1,2\n2,tall\n", "row 2 (line 3), column 'y': 'tall' is not a number"),
        ("age;y\n1;2\n2,5;3\n", "row 2 (line 3), column 'age': '2,5' is not a number; write 2.5"),
        ("age,y\n1,2\n1_000,3\n", "'1_000' is not a number"),
        ("age,y\n1,2\ninf,3\n", "row 2 (line 3), column 'age': 'inf'; allowed: up to 1e+100"),
        ("age,y\n1,2\n1e200,3\n", "column 'age': '1e200'; allowed: up to 1e+100"),
        ("age,y\n1,2\n,3\n4,NA\n5,nan\n",
         "missing values: row 2 (line 3), column 'age'; row 3 (line 4), column 'y'; row 4 (line 5), column 'y'"),
        ("age,y\n1,1\n" + "2,\n" * 9, "... 9 in all. Fill them in or drop these rows"),
        ("age,dose,y\n1,2,3\n4,2,5\n6,2.0,5\n", "column 'dose' is constant, 2 in all 3 rows"),
        ("age,y\n1,7\n2,7\n3,7\n", "the target 'y' is constant, 7"),
        ("a,b,c,y\n1,2,4,4\n2,3,5,7\n1,5,6,2\n", "3 columns and an intercept are more than 3 rows"),
        ("a,b,y\n1,2,4\n2,4,7\n3,6,1\n4,8,2\n", "the columns 'a', 'b' determine one another"),
        (b"age,y\n\xff,2\n", "is not UTF-8: byte 0xff at offset 6; save it as UTF-8"),
    ],
)  # fmt: skip
def test_bad_files(text, words, refused):
    if "column 'y'" in words and "missing" in words:
        # Features come first; a missing one of these is named by itself.
        assert "row 2 (line 3), column 'age'. Fill" in refused(text)
        text, words = text.replace("\n,3", "\n2,3"), "missing values: row 3 (line 4), column 'y'; row 4 (line 5)"
    assert words in refused(text)


def test_a_file_that_is_not_there_and_one_that_is_a_folder(tmp_path, capsys):
    (tmp_path / "heights.csv").write_text(GOOD)
    for path, words in (
        (tmp_path / "height.csv", "No such file or directory; did you mean 'heights.csv'?"),
        (tmp_path / "none" / "a.csv", "No such file or directory; allowed: a CSV file"),
        (tmp_path, "Is a directory"),
    ):
        assert fit.main(["--data", str(path), "--target", "y", "--model", "linear"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err


def test_a_column_that_is_not_there(refused):
    assert "no such column; did you mean 'y'? (it has 'age', 'dose', 'y')" in refused(GOOD, target="Y")
    assert "did you mean 'dose'?" in refused(GOOD, target="dosis")
    assert "did you mean" not in refused(GOOD, target="xylophone")
    assert "--drop is 'agee', but" in refused(GOOD, "--drop", "agee")
    assert "--features names 'y', which is the target" in refused(GOOD, "--features", "age", "y")


def test_targets_of_classes(refused):
    assert "has one class only, 'no' in all 2 rows" in refused("x,y\n1,no\n2,no\n", model="logistic")
    assert "has one class only, '1' in all 2 rows" in refused("x,y\n1,1\n2,1.0\n", model="softmax")
    three = "x,y\n1,a\n2,b\n3,c\n"
    said = refused(three, model="logistic")
    assert "3 distinct values ('a', 'b', 'c', ...); allowed: 2 classes; --model softmax takes more than two" in said
    assert "is not a number" in refused(three)
    many = "x,y\n" + "\n".join(f"{x % 7},{x / 3}" for x in range(150))
    assert "150 distinct values" in refused(many, model="softmax")
    assert "is it a number? --model linear" in refused(many, model="logistic")
    assert "missing values: row 2 (line 3), column 'y'" in refused("x,y\n1,a\n2,?\n3,b\n", model="logistic")


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("linear", ["--lam", "1"], "--lam is for models with a penalty"),
        ("ridge", [], "--model ridge needs --lam: a number above 0, or cv"),
        ("lasso", ["--lam", "0"], "lam is '0'; allowed: a number above 0; cv; for none: --model linear"),
        ("lasso", ["--lam=-1"], "lam is '-1'; allowed: a number above 0"),
        ("logistic", ["--lam", "nan"], "lam is 'nan'; allowed: a number, 0 or more; cv"),
        ("ridge", ["--lam", "1", "--l1-ratio", "0.5"], "--l1-ratio belongs to --model elastic-net; the model is ridge"),
        ("elastic-net", ["--lam", "1", "--l1-ratio", "0"], "l1_ratio is '0'; allowed: a number above 0 and up to 1"),
        ("linear", ["--delta", "1"], "--delta belongs to --model huber"),
        ("huber", ["--delta", "0"], "delta is '0'; allowed: a number above 0"),
        ("huber", ["--method", "irls", "--lam", "1"], "method is 'irls', which penalises the intercept as well"),
        ("lasso", ["--lam", "1", "--method", "newton"], "method is 'newton'; allowed for lasso: coordinate-descent, "),
        ("linear", ["--cv", "1"], "cv is '1'; allowed: a whole number, 2 or more"),
        ("linear", ["--cv", "6"], "cv is 6; allowed: 2 to 5, the number of rows"),
        ("linear", ["--seed", "-1"], "seed is '-1'"),
        ("linear", ["--tolerance", "x"], "tolerance is 'x'; allowed: a number above 0"),
        ("linear", ["--limit", "0"], "limit is '0'; allowed: a whole number, 1 or more"),
        ("linear", ["--nosuch"], "unrecognized arguments: --nosuch (--help lists the options)"),
        ("probit", [], "invalid choice: 'probit'"),
    ],
)
def test_usage_errors_are_one_line(model, more, words, refused):
    assert words in refused(GOOD, *more, model=model)


def test_half_of_the_rows_on_a_line_leave_no_threshold(refused):
    text = "x,y\n" + "\n".join(f"{x},{2 * x}" for x in range(9))
    assert "half of the residuals of least squares are zero; give --delta" in refused(text, model="huber")


def test_bad_files_are_answered_without_jax(tmp_path):
    code = (
        "import sys; from experiments import fit; "
        f"code = fit.main(['--data', {str(tmp_path / 'none.csv')!r}, '--target', 'y', '--model', 'linear']); "
        "sys.exit(code if 'jax' not in sys.modules else 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 2


# What is read and what is left -------------------------------------------------------------------------------


def test_semicolons_tabs_quotes_and_a_byte_order_mark(tmp_path):
    plain = table.read(written(tmp_path / "a.csv", ("a, b", "y"), [(1.5, 2), (3, 4)]))
    assert plain.names == ("a, b", "y")
    for delimiter in ";\t":
        path = written(tmp_path / "b.csv", ("a, b", "y"), [(1.5, 2), (3, 4)], delimiter)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")
        assert table.read(path)[1:] == plain[1:]
    assert table.numbers(plain, plain.names).tolist() == [[1.5, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["1", "0", "1.0"], ("0", "1")),
        (["-1", "1", "1"], ("-1", "1")),
        (["10", "9", "9"], ("9", "10")),
        (["yes", "no", "no"], ("no", "yes")),
        (["1", "one", "1"], ("1", "one")),
        (["None", "-", "-"], ("-", "None")),
    ],
)
def test_any_two_values_are_classes(labels, names, tmp_path):
    sheet = table.read(written(tmp_path / "a.csv", ("x", "y"), [range(3), labels]))
    found = table.classes(sheet, "y", 2)
    assert found.names == names
    assert found.codes.tolist() == [names.index(label.removesuffix(".0")) for label in labels]


def test_columns_can_be_chosen_and_dropped(fitted, tmp_path):
    columns = [*features().T, [f"patient {i}" for i in range(n)], targets("linear")]
    path = written(tmp_path / "more.csv", (*NAMES, "who", "y"), columns)
    _, dropped, _, _ = fitted("linear", "--drop", "who", path=path)
    assert weights(dropped).shape == (4,)
    _, chosen, _, _ = fitted("linear", "--features", "price", "age", path=path)
    assert list(chosen["numbers"]["coefficients"]) == ["(intercept)", "price", "age"]


def test_the_record_and_the_figure(fitted, tmp_path):
    code, record, out, _ = fitted("logistic", "--cv", "5", "--seed", "4", figure=True)
    assert code == 0
    assert (record["script"], record["certified"], record["stopped"]) == ("fit", True, "converged")
    assert record["config"]["seed"] == 4
    assert record["config"]["model"] == "logistic"
    assert record["config"]["lam"] == 0
    assert record["device"]["platform"] == "cpu"
    assert set(record["versions"]) >= {"jax", "scipy", "python"}
    assert record["wall_seconds"] > 0
    assert record["method"] == "newton"
    assert len(record["numbers"]["cross_validation"]["predictions"]) == n
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figure.png", "figure.svg", "results.json"]
    assert matplotlib.image.imread(tmp_path / "out" / "figure.png").shape[1] > 1000
    for words in ("certified", "area under ROC", "std. error", "5 folds", "(tolerance 1e-10)"):
        assert words in out
    for name in NAMES:
        assert f"\n{name}" in out


@pytest.mark.parametrize(
    ("model", "more"),
    [("linear", ["--cv", "3", "--method", "svd"]), ("logistic", ["--lam", "1"]), ("softmax", ["--lam", "1"])],
)
def test_every_axis_is_labelled_whatever_the_names_are(model, more, tmp_path, monkeypatch):
    figures, plot = [], fit_report.plot
    monkeypatch.setattr(fit_report, "plot", lambda study: figures.append(plot(study)) or figures[-1])
    rng = np.random.default_rng(2)
    X = rng.normal(size=(90, 30 if model == "linear" else 5))
    y = np.arange(90) % {"linear": 90, "logistic": 2, "softmax": 9}[model]
    names = [f"$ {'very ' * 8}long $ {j}" for j in range(X.shape[1])]
    path = written(tmp_path / "data.csv", (*names, "the $ and $"), [*X.T, y])
    arguments = ["--data", str(path), "--target", "the $ and $", "--model", model, "--out", str(tmp_path / "out")]
    assert fit.main([*arguments, *more]) == 0
    assert len(figures[0].axes) == 2 + (model == "linear")
    for axes in figures[0].axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title()


def test_a_file_runs_by_its_path(tmp_path):
    path = written(tmp_path / "data.csv", ("x", "y"), [range(9), [0, 1, 3, 2, 5, 4, 6, 8, 7]])
    command = [sys.executable, "experiments/fit.py"]
    more = ["--data", str(path), "--target", "y", "--model", "linear", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("linear: 'y' on 1 feature, 9 rows of ")
    helped = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert helped.returncode == 0
    assert "lam belongs to features standardised to mean 0 and variance 1" in helped.stdout
    assert all(name in helped.stdout for name in MODELS)
