"""X in low precision: what is measured is what is said, and forms without a place are left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import precisions, script, settings
from experiments.precisions import Config
from jaxderiv.catalogue.classification import logistic

SMALL = settings.quick(Config, entries=1e5)


def test_the_exact_derivatives_are_those_of_all_the_data():
    with jax.enable_x64(True):
        keys, w = jax.random.split(jax.random.key(0), 3), jnp.ones(5)
        for kept in ("float64", "bfloat16"):
            X, y = precisions.drawn(keys, w, kept, "float64")
            assert (X.dtype, X.shape, y.shape) == (kept, (3 * precisions.ROWS, 5), (3 * precisions.ROWS,))
            gradient, hessian = precisions.exact(keys, w, kept)
            X = X.astype(float)
            assert np.allclose(gradient, logistic.gradient(w, X, y, precisions.LAM), rtol=1e-12)
            assert np.allclose(hessian, logistic.hessian(w, X, precisions.LAM), rtol=1e-12)


def test_forms_without_a_place_in_memory_are_left_out(monkeypatch):
    wide, _, narrow, *_ = precisions.FORMS
    monkeypatch.setattr(precisions, "FORMS", (wide, narrow))
    monkeypatch.setattr(precisions, "fits", lambda form, entries: form is narrow)
    results = precisions.run(SMALL)
    assert results.forms == (narrow.label,)
    assert len(results.rounding) == 1
    assert precisions.claim(results)
    assert precisions.plot(results)


def test_arithmetic_in_a_lower_precision_than_is_said_is_noticed(monkeypatch):
    compiled, narrow = precisions.compiled, precisions.Form("float32", "float32")

    def lower(form, want):
        called = compiled(narrow, want)
        return lambda *given: called(*(a.astype("float32") for a in given))

    monkeypatch.setattr(precisions, "FORMS", precisions.FORMS[:1])
    monkeypatch.setattr(precisions, "compiled", lower)
    with pytest.raises(script.ClaimFailed, match="the error of the arithmetic"):
        precisions.claim(precisions.run(SMALL))
