"""Many fits at once: each is the fit that it would be alone, and nothing that is no minimum is called converged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.solvers import batched, many
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import mean_squared_error, poisson
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel

N, D, B = 120, 4, 40


@pytest.fixture(scope="module", autouse=True)
def unoptimised():
    """Small data, many shapes: nearly all of the time is compilation."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = (rng.random(N) < 1 / (1 + np.exp(-X @ np.array([1.0, -1.0, 0.5, 0.0]) - 0.3))).astype(float)
    return X, y, rng.multinomial(N, np.full(N, 1 / N), size=B)


@pytest.fixture(scope="module")
def fits(data):
    X, y, S = data
    return many.many_fits(logistic, X, y, S, 1e-2)


def gradients(model, W, X, y, S, lams, intercept=False):
    """Norms of the gradients, by differentiation of the written loss, fit by fit."""
    pointwise = kernel(model).pointwise

    def loss(w, s, lam):
        z = X @ w[: X.shape[1]] + (w[-1] if intercept else 0.0)
        return s @ pointwise(z, y) / s.sum() + lam / 2 * jnp.sum(w[: X.shape[1]] ** 2)

    X, y = jnp.asarray(X), jnp.asarray(y)
    of = jax.jit(jax.vmap(jax.grad(loss)))
    G = of(jnp.asarray(W), jnp.asarray(S, float), jnp.broadcast_to(jnp.asarray(lams, float), len(W)))
    return np.linalg.norm(G, axis=1)


TARGETS = {logistic: lambda y, X: y, mean_squared_error: lambda y, X: X @ np.ones(D) + y, poisson: lambda y, X: 3 * y}


CASES = [(logistic, False), (logistic, True), (mean_squared_error, False), (poisson, True)]


@pytest.mark.parametrize(
    ("model", "intercept"), CASES, ids=["logistic", "logistic with intercept", "squares", "Poisson"]
)
def test_the_gradient_of_the_written_loss_is_zero(data, model, intercept):
    X, y, S = data
    y = TARGETS[model](y, X)
    found = many.many_fits(model, X, y, S, 1e-2, intercept=intercept)
    assert found.params.shape == (B, D + intercept)
    assert set(found.stopped) == {"converged"}
    norms = gradients(model, found.params, X, y, S, 1e-2, intercept)
    assert norms.max() <= 1.1e-10
    np.testing.assert_allclose(found.certificate, norms, atol=1e-14)
    # The same check of points that are a little off.
    assert gradients(model, found.params + 1e-6, X, y, S, 1e-2, intercept).min() > 1e-9


def test_each_fit_is_the_fit_done_alone(data, fits):
    X, y, S = data
    for b in (0, 7, B - 1):
        alone = many.many_fits(logistic, X, y, S[b : b + 1], 1e-2)
        np.testing.assert_allclose(alone.params[0], fits.params[b], atol=1e-8)
        assert np.abs(alone.params[0] - fits.params[b - 1]).max() > 1e-3


def test_the_order_of_the_fits_does_not_matter(data, fits):
    X, y, S = data
    order = np.random.default_rng(1).permutation(B)
    np.testing.assert_allclose(many.many_fits(logistic, X, y, S[order], 1e-2).params, fits.params[order], atol=1e-8)


def test_whole_weights_repeat_rows(data, fits):
    X, y, S = data
    repeated = many.many_fits(logistic, np.repeat(X, S[3], axis=0), np.repeat(y, S[3]), None, 1e-2)
    np.testing.assert_allclose(repeated.params[0], fits.params[3], atol=1e-8)


def test_the_type_of_the_weights_and_their_scale_do_not_matter(data, fits):
    X, y, S = data
    found = many.many_fits(logistic, X, y, 3 * S.astype(np.uint8), 1e-2)
    np.testing.assert_allclose(found.params, fits.params, atol=1e-8)


@pytest.mark.parametrize(("own", "block"), [(False, 2**19), (True, 2**8)])
def test_groups_blocks_and_the_choice_of_hessians_do_not_matter(data, fits, monkeypatch, own, block):
    X, y, S = data
    monkeypatch.setattr(many, "BLOCK", block)
    monkeypatch.setattr(batched, "BLOCK", block)
    monkeypatch.setattr(many, "_FITS", 7 if block == 2**8 else 512)
    monkeypatch.setattr(many, "own_hessians", lambda n, d: own)
    batched.from_pooled.clear_cache()
    batched.newton_method.clear_cache()
    found = many.many_fits(logistic, X, y, S, 1e-2)
    assert gradients(logistic, found.params, X, y, S, 1e-2).max() <= 1.1e-10
    np.testing.assert_allclose(found.params, fits.params, atol=1e-8)


def test_own_hessians_pay_for_few_columns_only():
    assert many.own_hessians(10_000, 5)
    assert not many.own_hessians(569, 30)


def test_a_grid_of_penalties(data):
    X, y, _ = data
    lams = np.logspace(-4, 2, 20)
    found = many.lambda_grid(logistic, X, y, lams, intercept=True)
    assert set(found.stopped) == {"converged"}
    assert gradients(logistic, found.params, X, y, np.ones((20, N)), lams, True).max() <= 1.1e-10
    assert (np.diff(np.linalg.norm(found.params[:, :D], axis=1)) < 0).all()


def test_cross_validation_is_the_loop_over_folds(data):
    X, y, _ = data
    lams = np.array([1e-3, 1e-1, 10.0])
    found = many.cross_validation(X, y, lams, folds=5, seed=3)
    assert np.bincount(found.folds).tolist() == [24] * 5
    assert set(found.fits.stopped) == {"converged"}
    losses = np.empty((5, 3))
    for k in range(5):
        out = found.folds == k
        for j, lam in enumerate(lams):
            w = many.many_fits(logistic, X[~out], y[~out], None, lam).params[0]
            np.testing.assert_allclose(w, found.fits.params[3 * k + j], atol=1e-7)
            losses[k, j] = np.mean(np.logaddexp(0, X[out] @ w) - y[out] * (X[out] @ w))
    np.testing.assert_allclose(found.error, losses.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(found.standard_error, losses.std(axis=0, ddof=1) / np.sqrt(5), rtol=1e-6)


def test_the_bootstrap_spreads_as_the_sandwich_says(data):
    X, y, _ = data
    found = many.bootstrap(X, y, fits=400, lam=1e-2, seed=1)
    w = many.many_fits(logistic, X, y, None, 1e-2).params[0]
    p = 1 / (1 + np.exp(-X @ w))
    H = (X.T * (p * (1 - p))) @ X / N + 1e-2 * np.eye(D)
    each = (X * (p - y)[:, None]) @ np.linalg.inv(H) / N
    assert set(found.stopped) == {"converged"}
    np.testing.assert_allclose(found.params.std(axis=0), np.sqrt((each**2).sum(axis=0)), rtol=0.25)


def test_counts_are_draws_with_replacement():
    counts = many.bootstrap_counts(50, 2000, 0)
    assert (counts.sum(axis=1) == 50).all()
    np.testing.assert_allclose(counts.var(), 1 - 1 / 50, rtol=0.05)
    assert (counts != many.bootstrap_counts(50, 2000, 1)).any()


# What has no minimum, or does not get there ------------------------------------------------------------------------
def test_separable_fits_without_a_penalty_are_not_converged():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0], [0.5]])
    y = np.array([0.0, 0.0, 1.0, 1.0, 0.0])
    S = np.array(
        [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [2, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 2, 1, 1.0], [3, 1, 1, 1, 1]]
    )
    found = many.many_fits(logistic, X, y, S, 0.0, intercept=True, limit=100)
    assert found.stopped.tolist() == ["limit"] * 6  # the data are separable by 0.75
    overlapping = y.copy()
    overlapping[0] = 1.0
    weights = np.append(S[:5], [[0, 1, 1, 1, 0]], axis=0)
    found = many.many_fits(logistic, X, overlapping, weights, 0.0, intercept=True, limit=100)
    assert found.stopped.tolist() == ["converged"] * 5 + ["limit"]
    assert np.isfinite(found.params).all()


def test_columns_that_depend_on_each_other(data):
    X, y, S = data
    found = many.many_fits(logistic, changed(X, (slice(None), 0), 1.0), y, S, 0.0, intercept=True)
    assert set(found.stopped) == {"converged"}


def test_too_few_steps_are_the_limit(data):
    X, y, S = data
    found = many.many_fits(logistic, X, y, S, 1e-2, limit=1)
    assert set(found.stopped) == {"limit"}
    assert (found.steps <= 1).all()
    assert (found.certificate > 1e-10).all()


def test_a_tolerance_below_rounding_ends(data):
    X, y, S = data
    found = many.many_fits(logistic, X, y, S, 1e-2, tolerance=1e-30)
    assert set(found.stopped) <= {"limit", "converged"}
    assert found.certificate.max() < 1e-12


def test_hard_starts_are_damped(data):
    rng, S = np.random.default_rng(2), data[2]
    X = rng.normal(size=(N, D)) * np.array([1.0, 30.0, 1e3, 1.0])
    y = rng.poisson(np.exp(np.clip(X @ np.array([1.0, 0.05, 1e-3, 0.0]), -5, 5))).astype(float)
    found = many.many_fits(poisson, X, y, S, 1e-3, intercept=True, tolerance=1e-8, limit=200)
    assert set(found.stopped) == {"converged"}
    assert gradients(poisson, found.params, X, y, S, 1e-3, True).max() <= 1.1e-8


@pytest.mark.parametrize("broken", ["residual", "along"])
def test_wrong_formulas_do_not_pass(data, broken):
    X, y, _ = data
    right = kernel(logistic)
    wrong = {
        "residual": lambda z, y: right.residual(z, y) * 1.01,
        "along": lambda z, y, u: jnp.full_like(z, jnp.nan),
    }[broken]
    found = many.many_fits(right._replace(**{broken: wrong}), X, y, None, 1e-2, limit=8)
    if broken == "residual":
        assert gradients(logistic, found.params, X, y, np.ones((1, N)), 1e-2).min() > 1e-5
    else:
        assert "converged" not in found.stopped


# Input -------------------------------------------------------------------------------------------------------------
def changed(array, place, value):
    array = np.array(array, float)
    array[place] = value
    return array


BAD = {
    "a negative weight": ({"weights": lambda S: changed(S, (5, 0), -1)}, "fit 5 .*from -1"),
    "no weight": ({"weights": lambda S: changed(S, 6, 0)}, "fit 6 are all zero"),
    "weights NaN": ({"weights": lambda S: changed(S, (7, 2), np.nan)}, "fit 7"),
    "weights of one fit": ({"weights": lambda S: S[0]}, r"weights has shape \(120,\)"),
    "lams of others": ({"lams": np.ones(3)}, r"lams \(3,\)"),
    "a negative lam": ({"lams": -1.0}, "lams is -1"),
    "a tolerance of 0": ({"tolerance": 0.0}, "tolerance is 0"),
    "no step": ({"limit": 0}, "limit 0"),
    "X NaN": ({"X": lambda X: changed(X, (0, 0), np.nan)}, "X has entries"),
    "y of others": ({"y": lambda y: y[1:]}, r"y have shapes \(120, 4\) and \(119,\)"),
    "labels of -1": ({"y": lambda y: 2 * y - 1}, "labels are 0 or 1"),
    "several logits": ({"model": softmax}, "several logits"),
    "too many columns": ({"X": lambda X: np.zeros((N, 4097))}, "4097 columns"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named(data, what):
    change, message = BAD[what]
    given = dict(zip(("X", "y", "weights"), data, strict=True)) | {"model": logistic, "lams": 1e-2}
    given |= {name: new(given[name]) if name in ("X", "y", "weights") else new for name, new in change.items()}
    with pytest.raises(InputError, match=message):
        many.many_fits(given.pop("model"), **given)


def test_batches_beyond_memory_are_refused(data):
    X, y, _ = data
    with pytest.raises(InputError, match="2 GiB"):
        many.bootstrap(X, y, fits=10**8)
    with pytest.raises(InputError, match="folds is 1"):
        many.cross_validation(X, y, [1.0], folds=1)
