"""Convexity is read off proved lines; a sign that is not there is not seen; negative curvature is told where it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.catalogue.classification import squared_error_sigmoid
from jaxderiv.derivation import read_catalogue, read_file
from jaxderiv.domains import Bit, Positive, Real, Simplex
from jaxderiv.index import entries
from jaxderiv.verify import curvature
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.intervals import Interval, Intervals, anywhere
from jaxderiv.verify.places import places
from jaxderiv.verify.question import Programs
from jaxderiv.verify.suite import question_of, verify
from jaxderiv.verify.sweep import sweep

NAMES = [entry.full_name for entry in entries()]
X, V = np.array([[0.5, -1.25], [2.0, 0.75]]), np.array([[1.5, -0.5], [0.25, 3.0]])


def swept(derivation, name, change=lambda value: value):
    """One place is enough: the sign holds for all arguments."""
    claim = next(c for c in derivation.claims if c.name.startswith(name))
    right = claim.right
    question = question_of(derivation, claim)
    question = dataclasses.replace(question, hand=lambda *leaves: change(question_of(derivation, claim).hand(*leaves)))
    assert claim.right is right
    return sweep(question, list(places(derivation, "quick", 0))[:1], Programs())


@pytest.mark.parametrize("name", [n for n in NAMES if "squared_error" not in n and "networks" not in n])
def test_a_convex_loss_of_the_catalogue_is_proved_to_be(name):
    one = swept(read_catalogue(name), curvature.LINE)
    assert one.proof.found
    found = curvature.of_line(one)
    assert found.text.startswith("convex")
    assert found.numbers["low"] >= 0


@pytest.mark.parametrize("change", [lambda v: -v, lambda v: v - 1e-6])
def test_a_sign_that_is_not_there_is_not_seen(change):
    found = curvature.of_line(swept(read_catalogue("classification/logistic"), curvature.LINE, change))
    assert "is not known" in found.text


def test_a_direction_of_negative_curvature_is_one():
    derivation = read_catalogue("classification/squared_error_sigmoid")
    results = verify(derivation, "quick")
    (found,) = [e for r in results for e in r.evidence if e.kind == "curvature"]
    assert found.text.startswith("not convex")
    at, v = found.numbers["at"], np.array(found.numbers["v"])
    w, *data = (jnp.array(at[name]) for name in ("w", "X", "y"))
    bend = float(v @ jax.hessian(squared_error_sigmoid.loss)(w, *data) @ v)
    assert bend < 0
    assert bend == pytest.approx(found.numbers["value"], rel=1e-9)


def test_samples_without_negative_curvature_are_no_proof(tmp_path):
    path = tmp_path / "model.py"
    path.write_text('''"""A quartic."""
import jax
import jax.numpy as jnp
from jaxderiv.domains import Array, Real, d

def loss(w: Real[Array, d]):
    "$L$"
    return jnp.sum(w**4)

def gradient(w):
    "$g$"
    return 4 * w**3

def hessian(w):
    "$H$"
    return jnp.diag(12 * w**2)
''')
    results = verify(read_file(path), "quick")
    (found,) = [e for r in results for e in r.evidence if e.kind == "curvature"]
    assert "no proof" in found.text


INSIDE = {
    "softmax": (lambda x: jax.nn.softmax(x), (0, np.inf)),
    "log-sum-exp": (lambda x: jax.nn.logsumexp(x, axis=-1), (-np.inf, np.inf)),
    "square": (lambda x: x * x + x**4, (0, np.inf)),
    "dot": (lambda x: (lambda z: z @ z)(x[0]), (0, np.inf)),
    "sigmoids": (lambda x: jax.nn.sigmoid(x) * jax.nn.sigmoid(-x), (0, 1)),
    "tanh": (lambda x: 1 - jnp.tanh(x) ** 2, (0, 1)),
    "relu": (lambda x: jax.nn.relu(x) + jnp.abs(x), (0, np.inf)),
    "clip": (lambda x: jnp.clip(x, -2.0, 3.0), (-2, 3)),
    "branch": (lambda x: jnp.where(x > 0, x**2, 1.0), (0, np.inf)),
    "indicator": (lambda x: (jnp.abs(x) < 1).astype(x.dtype), (0, 1)),
    "root": (lambda x: jnp.sqrt(1 + x * x), (1, np.inf)),
    "quotient": (lambda x: 1 / (1 + jnp.exp(x)), (0, 1)),
    "difference": (lambda x: x - x, (-np.inf, np.inf)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_bounds_hold_and_are_what_they_ought_to_be(name):
    f, (low, high) = INSIDE[name]
    (found,) = Interpreter(Intervals())(trace(f, X), [anywhere(None, X.shape)])
    assert found.low.min() == low
    assert found.high.max() == high
    rng = np.random.default_rng(0)
    for scale in (0.01, 1.0, 30.0):
        value = np.asarray(f(scale * rng.normal(size=X.shape)))
        assert (found.low <= value + 1e-12).all()
        assert (value <= found.high + 1e-12).all()


@pytest.mark.parametrize("seed", range(5))
def test_products_and_quotients_of_bounded_values_stay_inside(seed):
    rng = np.random.default_rng(seed)
    f = lambda a, b: (a @ b) / (3 + jnp.sin(a)) - a * b + jnp.maximum(a, b) ** 3
    ends = [np.sort(rng.normal(size=(2, 2, 2)), axis=0) for _ in range(2)]
    (found,) = Interpreter(Intervals())(trace(f, X, V), [Interval(*e) for e in ends])
    for _ in range(50):
        a, b = (low + rng.random((2, 2)) * (high - low) for low, high in ends)
        value = np.asarray(f(a, b))
        assert (found.low <= value + 1e-12).all()
        assert (value <= found.high + 1e-12).all()


def test_domains_bound_their_values():
    for kind, low, high in ((Real, -np.inf, np.inf), (Positive, 0, np.inf), (Bit, 0, 1), (Simplex, 0, 1)):
        found = anywhere(kind(()), (3,))
        assert (found.low == low).all()
        assert (found.high == high).all()
