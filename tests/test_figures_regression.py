"""What the figures of regression (F5.2 to F5.7) notice: a method swapped, a convention changed, a sample mixed up."""

import jax
import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebfit, chebval

from experiments import (
    cross_validation,
    outliers,
    penalty_geometry,
    polynomial_fits,
    projection,
    regularisation_paths,
    script,
    settings,
)
from jaxderiv import optimisers

pytestmark = pytest.mark.lenient_promotion


@pytest.fixture(scope="module")
def results():
    done = {}

    def of(module):
        if module not in done:
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                done[module] = module.run(settings.quick(module.Config))
        return done[module]

    return of


def fails(module, results, words):
    with pytest.raises(script.ClaimFailed, match=words), np.errstate(all="ignore"):
        module.claim(results)


def shuffled(x):
    return np.random.default_rng(0).permutation(x)


@pytest.mark.parametrize(
    "module", [projection, polynomial_fits, regularisation_paths, penalty_geometry, cross_validation, outliers]
)
def test_another_seed_bears_out_the_claim(module):
    module.claim(module.run(settings.quick(module.Config, seed=1)))


# F5.2 -----------------------------------------------------------------------------------------------------------


def foot_of_a_slanted_one(r):
    weights = np.linalg.lstsq(r.X, r.slanted[0] @ r.y)[0]
    return r._replace(weights=weights)


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (foot_of_a_slanted_one, "orthogonal to both columns"),
        (lambda r: r._replace(weights=0.99 * r.weights), "orthogonal to both columns"),
        (lambda r: r._replace(hat=r.slanted[0]), "hat matrix"),
        (lambda r: r._replace(hat=r.hat + 1e-9 * np.ones((3, 3))), "hat matrix"),
        (lambda r: r._replace(slanted=r.slanted.transpose(0, 2, 1)), "leave the columns in place"),
        (lambda r: r._replace(slanted=2 * r.slanted - r.hat @ r.slanted @ r.slanted * 0.999), "in place"),
        (lambda r: r._replace(slanted=np.repeat(r.hat[None], 3, axis=0)), "not symmetric"),
    ],
    ids=["slanted foot", "shrunk", "slanted hat", "rank", "transposed", "not idempotent", "upright"],
)
def test_projection_notices(sabotage, words, results):
    fails(projection, sabotage(results(projection)), words)


def test_projection_notices_ridge_regression(monkeypatch):
    ridge = lambda X, y: np.linalg.solve(X.T @ X + 1e-6 * np.eye(2), X.T @ y)
    monkeypatch.setattr(optimisers, "least_squares", ridge)
    fails(projection, projection.run(settings.quick(projection.Config)), "orthogonal")


# F5.3 -----------------------------------------------------------------------------------------------------------


def one_fit(r, index, **changes):
    fits = list(r.fits)
    fits[index] = fits[index]._replace(**{name: change(getattr(fits[index], name)) for name, change in changes.items()})
    return r._replace(fits=tuple(fits))


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(fits=(*r.fits[1::-1], *r.fits[2:])), "degree"),
        (lambda r: one_fit(r, 2, curve=lambda c: 0.99 * c), "the error on new data of the curve"),
        (lambda r: one_fit(r, 1, train=lambda e: e * 1.3), "C_p"),
        (lambda r: one_fit(r, 2, train=shuffled), "falls with the degree"),
        (lambda r: one_fit(r, 2, train=lambda e: 0 * e, same=lambda e: 0 * e + 2 * r.noise**2 * 16 / 30), "left"),
        (lambda r: one_fit(r, 3, train=lambda e: e + 1e-6), "C_p|passes through all"),
        (lambda r: one_fit(r, 2, highest=lambda h: r.fits[2].inside), "beside"),
        (lambda r: one_fit(r, 3, inside=lambda h: r.fits[2].inside), "between 16 points"),
        (lambda r: r._replace(noise=2 * r.noise), "curve|C_p"),
    ],
    ids=["degrees", "curve", "training error", "shuffled", "interpolates", "misses", "margin", "swing", "noise"],
)
def test_polynomial_fits_notice(sabotage, words, results):
    fails(polynomial_fits, sabotage(results(polynomial_fits)), words)


def test_polynomial_fits_notice_a_solver_that_cuts_singular_values(monkeypatch):
    solve = optimisers.least_squares
    monkeypatch.setattr(optimisers, "least_squares", lambda X, y: solve(X, y, "svd", rcond=1e-2))
    fails(polynomial_fits, polynomial_fits.run(settings.quick(polynomial_fits.Config)), "C_p|are left|passes through")


# F5.4 -----------------------------------------------------------------------------------------------------------


def cut_to_zero(r):
    """What the series says of the lasso: a weight that is zero stays there."""
    lasso = r.lasso.copy()
    for j in range(lasso.shape[1]):
        lasso[np.argmin(np.append(lasso[:, j], 0) != 0) :, j] = 0
    return r._replace(lasso=lasso)


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(ridge=r.lasso), "ridge path"),
        (lambda r: r._replace(lasso=r.ridge), "lasso path"),
        (lambda r: r._replace(lambdas=r.lambdas / len(r.y)), "ridge path|lasso path"),
        (lambda r: r._replace(lasso=np.roll(r.lasso, 1, axis=0)), "lasso path"),
        (lambda r: r._replace(lasso=shuffled(r.lasso)), "lasso path"),
        (cut_to_zero, "lasso path"),
        (lambda r: r._replace(ridge=np.abs(r.ridge)), "ridge path"),
        (lambda r: r._replace(crossing=0 * r.crossing), "ridge path that is shown"),
        (lambda r: r._replace(coming_back=shuffled(r.coming_back.T).T), "lasso path that is shown"),
        (lambda r: r._replace(coming_back=np.maximum(r.coming_back, 1e-9)), "in some, not in most|shown"),
    ],
    ids="ridge lasso scikit-learn shifted shuffled stays-zero sign crossing other-weight always".split(),
)
def test_regularisation_paths_notice(sabotage, words, results):
    fails(regularisation_paths, sabotage(results(regularisation_paths)), words)


def test_regularisation_paths_notice_the_lambda_of_a_mean(monkeypatch):
    rounds, kkt, factor = regularisation_paths.rounds_of_all, regularisation_paths.worst_kkt, 1 / 80
    monkeypatch.setattr(regularisation_paths, "rounds_of_all", lambda w, X, y, lam: rounds(w, X, y, factor * lam))
    monkeypatch.setattr(regularisation_paths, "worst_kkt", lambda w, X, y, lam: kkt(w, X, y, factor * lam))
    config = settings.quick(regularisation_paths.Config, lambdas=3, lowest=1.0)
    fails(regularisation_paths, regularisation_paths.run(config), "lasso path")


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ([3, 2, 1, 0, 0], 0),
        ([3, 2, 0, 1, 0], 1),
        ([-3, -2, 0, 2, 0], 2),
        ([-3, -2, 2, 1, 0], 2),
        ([0, 0, 2, 1, 0], 0),
        ([0, 1, 0, 5, 0], 1),
        ([0, 0, 0, 0, 0], 0),
    ],
)
def test_a_weight_that_comes_back(path, size):
    assert regularisation_paths.comeback(np.array(path, float)[:, None]) == [size]


# F5.5 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(lasso=r.ridge, ridge=r.lasso), "diamond"),
        (lambda r: r._replace(ridge=r.nearest), "disc"),
        (lambda r: r._replace(lasso=np.array([0.9, 0.1])), "diamond"),
        (lambda r: r._replace(lasso_gap=1e-6), "gaps"),
        (lambda r: r._replace(corners=r.circles), "share 0"),
        (lambda r: r._replace(circles=r.corners), "arc tangent"),
        (lambda r: r._replace(corners=shuffled(r.corners)), "share 0"),
        (lambda r: r._replace(corners=r.corners + 0.03), "share 0"),
        (lambda r: r._replace(least_weight=0.0), "on the disc"),
    ],
    ids="swapped nearest edge gap circles designs shuffled shifted zero".split(),
)
def test_penalty_geometry_notices(sabotage, words, results):
    found = results(penalty_geometry)
    # As many draws as in a full run, else circles and random designs are too alike to tell.
    fails(penalty_geometry, sabotage(found._replace(draws=1e6) if "share" in words else found), words)


def test_penalty_geometry_notices_a_projection_onto_the_wrong_set(monkeypatch):
    monkeypatch.setattr(penalty_geometry, "onto_diamond", penalty_geometry.onto_disc)
    fails(penalty_geometry, penalty_geometry.run(settings.quick(penalty_geometry.Config)), "gaps")


@pytest.mark.parametrize("seed", range(20))
def test_a_corner_is_optimal_when_no_point_of_the_diamond_is_better(seed):
    rng = np.random.default_rng(seed)
    X, centre, share = rng.normal(size=(3, 2)), rng.normal(size=2), rng.uniform(0.1, 0.9)
    matrix, budget = X.T @ X, share * abs(centre).sum()
    s = np.linspace(-1, 1, 2001)
    edge = budget * np.concatenate([np.stack([s, 1 - abs(s)], axis=1), np.stack([s, abs(s) - 1], axis=1)])
    losses = np.einsum("ki,ij,kj->k", edge - centre, matrix, edge - centre)
    best = edge[losses.argmin()]
    assert penalty_geometry.at_a_corner(matrix[None], centre[None], share) == [np.isclose(abs(best).max(), budget)]


# F5.6 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(validated=r.train), "partitions shown"),
        (lambda r: r._replace(alone=shuffled(r.alone.T).T), "for any partition"),
        (lambda r: r._replace(alone=np.sort(r.alone, axis=1)), "for any partition"),
        (lambda r: r._replace(alone=1.01 * r.alone), "those of the mean"),
        (lambda r: r._replace(train=r.new), "falls"),
        (lambda r: r._replace(turns=np.ones_like(r.turns)), "turn"),
        (lambda r: r._replace(new=r.validated), "not the best"),
        (lambda r: r._replace(new=r.new[:, ::-1]), "costs"),
        (lambda r: r._replace(outer=0 * r.outer + 0.08), "outermost"),
        (lambda r: r._replace(different=np.ones_like(r.different)), "different degrees"),
    ],
    ids="training shuffled smooth larger new turns oracle reversed everywhere agreed".split(),
)
def test_cross_validation_notices(sabotage, words, results):
    fails(cross_validation, sabotage(results(cross_validation)), words)


def test_cross_validation_notices_that_leverage_is_forgotten(monkeypatch):
    monkeypatch.setattr(cross_validation.jnp.linalg, "solve", lambda A, b: b)
    errors = cross_validation.errors.__wrapped__
    monkeypatch.setattr(cross_validation, "errors", jax.jit(lambda *args: errors(*args)))  # a program of its own
    found = cross_validation.run(settings.quick(cross_validation.Config, samples=1))
    fails(cross_validation, found, "folds left out|turns")


def test_folds_are_left_out_as_if_fitted_without_them():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-1, 1, 50))
    y, folds = cross_validation.truth(x) + rng.normal(size=50), rng.permutation(50).reshape(1, 5, 10)
    Q, _ = np.linalg.qr(cross_validation.chebvander(x, 15))
    grid = np.zeros((3, 16))
    train, validated, _, outer = cross_validation.errors(Q, y, folds, grid, np.zeros(3))
    for k, degree in enumerate(cross_validation.DEGREES[:8]):
        e = np.empty(50)
        for fold in folds[0]:
            rest = np.setdiff1d(np.arange(50), fold)
            e[fold] = y[fold] - chebval(x[fold], chebfit(x[rest], y[rest], degree))
        np.testing.assert_allclose(validated[0, k], np.mean(e**2), rtol=1e-8)
        np.testing.assert_allclose(outer[k], np.sum(e[[0, 1, 48, 49]] ** 2) / np.sum(e**2), rtol=1e-8)
        np.testing.assert_allclose(train[k], np.mean((y - chebval(x, chebfit(x, y, degree))) ** 2), rtol=1e-8)


# F5.7 -----------------------------------------------------------------------------------------------------------


def swapped(found):
    return found._replace(huber=found.squares, squares=found.huber)


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(samples=swapped(r.samples)), "samples: Huber's gradient"),
        (lambda r: r._replace(leverage=swapped(r.leverage)), "leverage: Huber's gradient"),
        (lambda r: r._replace(samples=r.samples._replace(huber=1.001 * r.samples.huber)), "Huber's gradient"),
        (lambda r: r._replace(samples=r.samples._replace(huber=shuffled(r.samples.huber))), "Huber's gradient"),
        (lambda r: r._replace(samples=r.samples._replace(delta=2.0)), "Huber's gradient"),
        (lambda r: r._replace(samples=r.samples._replace(gradient=1.0)), "all problems"),
        (lambda r: r._replace(further=r.samples), "least squares moves"),
        (lambda r: r._replace(leverage=r.samples), "Huber's slope"),
    ],
    ids="swapped leverage shifted shuffled delta certificate not-moved other-data".split(),
)
def test_outliers_notice(sabotage, words, results):
    fails(outliers, sabotage(results(outliers)), words)


def test_outliers_notice_another_delta(monkeypatch):
    weights, gradient, factor = outliers.reweighted, outliers.largest_gradient, 1.01
    monkeypatch.setattr(outliers, "reweighted", lambda w, X, y, delta: weights(w, X, y, factor * delta))
    monkeypatch.setattr(outliers, "largest_gradient", lambda w, X, y, delta: gradient(w, X, y, factor * delta))
    fails(outliers, outliers.run(settings.quick(outliers.Config, samples=10)), "samples: Huber's gradient")
