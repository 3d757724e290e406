"""Exact arithmetic: identities that hold are proved, what does not hold never is, and the assumption is said."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxderiv
from jaxderiv.derivation import read_catalogue
from jaxderiv.domains import OneHot, Positive, PositiveDefinite, Sign, Simplex, Symmetric
from jaxderiv.verify import proof as prover
from jaxderiv.verify.dual import Dual
from jaxderiv.verify.field import PRIMES, Field
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.places import places
from jaxderiv.verify.precise import closed_form, snap
from jaxderiv.verify.proof import prove
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.suite import question_of
from jaxderiv.verify.truth import Derivative

pytestmark = pytest.mark.lenient_promotion

x, y = np.array([0.75, -1.25, 2.5]), np.array([1.5, 0.375, -0.25])
A = np.array([[2.0, -0.5, 1.25], [0.75, 3.0, -1.5], [-0.25, 1.0, 2.5]])
exp, log, sqrt, sigmoid, solve = jnp.exp, jnp.log, jnp.sqrt, jax.nn.sigmoid, jnp.linalg.solve


def compare(left, right, *values, domains=None, seed=0):
    """Whether two functions are the same one, by exact arithmetic near a point."""
    names = tuple(f"a{i}" for i in range(len(values)))
    question = Question(
        derivation="", claim="", statement="", leaves=names, floating=frozenset(names), hand=left, auto=right,
        base=None, what=Derivative("value"), left="", domains=domains or {}, script=lambda values: "",
    )  # fmt: skip
    place = Place("here", "generic", {"n": 3}, dict(zip(names, values, strict=True)))
    return prove(question, [place], Programs(), seed)


# The primes ----------------------------------------------------------------------------------------------------
def is_prime(n):
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(a, d, n)
        if power not in (1, n - 1) and not any((power := power * power % n) == n - 1 for _ in range(s - 1)):
            return False
    return True


def test_the_primes_form_a_chain_in_which_squares_are_positive():
    assert not is_prime(PRIMES[0] * PRIMES[1])
    assert all(map(is_prime, PRIMES))
    assert all(p == 2 * q + 1 for p, q in itertools.pairwise(PRIMES))
    for p in PRIMES:
        assert all(pow(n, (p - 1) // 2, p) == 1 for n in (2, 3, 5, 6, 7, 35, 61, 67))
        assert pow(-1, (p - 1) // 2, p) == p - 1
        assert p.bit_length() >= 188


# Identities ------------------------------------------------------------------------------------------------------
TRUE = {
    "polynomial": (lambda a, b: (a + b) ** 3, lambda a, b: a**3 + 3 * a**2 * b + 3 * a * b**2 + b**3),
    "rational": (lambda a, b: 1 / a + 1 / b, lambda a, b: (a + b) / (a * b)),
    "thirds": (lambda a, b: a / 3, lambda a, b: 0.3333333333333333 * a),
    "exp of a sum": (lambda a, b: exp(a + 2 * b), lambda a, b: exp(a) * exp(b) ** 2),
    "nested exp": (lambda a, b: exp(-exp(a + b)), lambda a, b: 1 / exp(exp(a) * exp(b))),
    "sigmoid and tanh": (lambda a, b: jnp.tanh(a), lambda a, b: 2 * sigmoid(2 * a) - 1),
    "sinh and cosh": (lambda a, b: jnp.cosh(a) ** 2 - jnp.sinh(a) ** 2, lambda a, b: jnp.ones_like(a)),
    "log of a product": (lambda a, b: log(a * a * exp(b)), lambda a, b: log(a * a) + b),
    "log of a power": (lambda a, b: log((1 + a * a) ** 3), lambda a, b: 3 * log(1 + a * a)),
    "exp of a log": (lambda a, b: exp(b * log(1 + a * a)), lambda a, b: (1 + a * a) ** b),
    "shifted log-sum-exp": (lambda a, b: jax.nn.logsumexp(a), lambda a, b: log(jnp.sum(exp(a)))),
    "root of a square": (lambda a, b: sqrt(a * a * b * b), lambda a, b: jnp.abs(a * b)),
    "product of roots": (lambda a, b: sqrt(1 + a * a) * sqrt(4 + 4 * a * a), lambda a, b: 2 + 2 * a * a),
    "cube root": (lambda a, b: jnp.cbrt(a**3), lambda a, b: a),
    "norm": (lambda a, b: a / jnp.linalg.norm(a), lambda a, b: a * jax.lax.rsqrt(a @ a)),
    "pi": (lambda a, b: a * np.sqrt(2 / np.pi) ** 2 * np.pi, lambda a, b: 2 * a),
    "log 2": (lambda a, b: exp(a * np.log(2)), lambda a, b: jnp.exp2(a)),
    "arcs": (lambda a, b: jnp.arccos(a / 4) + jnp.arcsin(a / 4), lambda a, b: jnp.full_like(a, np.pi / 2)),
    "arcs at one": (lambda a, b: 2 * jnp.arctan(a / a), lambda a, b: jnp.arcsin(a / a)),
    "complement": (lambda a, b: jax.scipy.special.erfc(-a), lambda a, b: 2 - jax.scipy.special.erfc(a)),
    "tangent": (lambda a, b: jnp.tan(a) * jnp.cos(a), lambda a, b: jnp.sin(a)),
    "circle": (lambda a, b: jnp.sin(a) ** 2 + jnp.cos(-a) ** 2, lambda a, b: jnp.ones_like(a)),
    "odd": (lambda a, b: jax.scipy.special.erf(a - b), lambda a, b: -jax.scipy.special.erf(b - a)),
    "branches": (lambda a, b: jax.nn.relu(a) - jax.nn.relu(-a), lambda a, b: a),
    "maximum": (lambda a, b: jnp.maximum(a, b), lambda a, b: (a + b + jnp.abs(a - b)) / 2),
    "sorting": (lambda a, b: jnp.sum(jnp.sort(a)), lambda a, b: jnp.sum(a)),
    "centred": (lambda a, b: jnp.sum(a - jnp.mean(a)) + b, lambda a, b: b),
}
FALSE = {
    "1e-13": (lambda a, b: a * b * (1 + 1e-13), lambda a, b: a * b),
    "1e-15 in a log": (lambda a, b: log(a * a + 1e-15), lambda a, b: log(a * a)),
    "sign of a root": (lambda a, b: sqrt((a + b) ** 2), lambda a, b: -jnp.abs(a + b)),
    # a + b > 0 in every entry; an expanded square, so that the arithmetic cannot see whose square it is
    "sign of a root in disguise": (lambda a, b: sqrt(a**4 + 2 * a * a + 1), lambda a, b: -(a * a) - 1),
    "log of a sum": (lambda a, b: log(1 + a * a), lambda a, b: log(a * a)),
    "exponent": (lambda a, b: exp(2 * a), lambda a, b: exp(a) + exp(a)),
    "pi": (lambda a, b: a * np.sqrt(2 / np.pi), lambda a, b: a * np.sqrt(3 / np.pi)),
    "branch": (lambda a, b: jax.nn.relu(a), lambda a, b: a),
    "tanh": (lambda a, b: jnp.tanh(a), lambda a, b: 2 * sigmoid(a) - 1),
    "arcs": (lambda a, b: jnp.arccos(a / 4) + jnp.arcsin(a / 4), lambda a, b: jnp.full_like(a, np.pi)),
}


@pytest.mark.parametrize("name", TRUE)
def test_an_identity_is_proved(name):
    left, right = TRUE[name]
    for seed in range(3):
        found = compare(left, right, x, y, seed=seed)
        assert found.found, f"{found.reason} {found.undecided}"
        assert found.probability < 1e-30
        assert not found.kept


@pytest.mark.parametrize("name", FALSE)
def test_what_is_no_identity_is_never_proved(name):
    left, right = FALSE[name]
    for seed in range(5):
        found = compare(left, right, x, y, seed=seed)
        assert not found.found
        assert found.reason


LINEAR = {
    "solve": (lambda a: solve(a @ a, a), jnp.linalg.inv),
    "determinant": (lambda a: jnp.linalg.det(a @ a), lambda a: jnp.linalg.det(a) ** 2),
    "woodbury": (
        lambda a: jnp.linalg.inv(jnp.eye(3) + a @ a.T),
        lambda a: jnp.eye(3) - a @ solve(jnp.eye(3) + a.T @ a, a.T),
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_algebra_is_rational(name):
    found = compare(*LINEAR[name], A)
    assert found.found, found.reason
    assert found.assumption == "rational"


def test_eigenvalues_are_outside_and_named():
    found = compare(lambda a: jnp.linalg.eigvalsh(a + a.T), lambda a: jnp.linalg.eigvalsh(a + a.T), A)
    assert not found.found
    assert "eigh" in found.reason


# Domains -----------------------------------------------------------------------------------------------------------
S = (A + A.T) / 2
DOMAINS = {
    "symmetric": (Symmetric, lambda a: 2 * a @ x, lambda a: (a + a.T) @ x, S),
    "positive": (Positive, lambda a: sqrt(a) * sqrt(a), lambda a: a, np.array([0.5, 2.0, 3.25])),
    "positive definite": (
        PositiveDefinite, lambda a: jnp.linalg.cholesky(a) @ jnp.linalg.cholesky(a).T, lambda a: a, A @ A.T,
    ),
    "simplex": (Simplex, lambda a: jnp.sum(a) * x, lambda a: x, np.array([0.25, 0.5, 0.25])),
    "signs": (Sign, lambda a: a * a * x, lambda a: x, np.array([1.0, -1.0, 1.0])),
    "one-hot": (OneHot, lambda a: jnp.sum(a * a) * x, lambda a: x, np.array([0.0, 1.0, 0.0])),
}  # fmt: skip


@pytest.mark.parametrize("name", DOMAINS)
def test_a_hypothesis_enters_by_parametrisation(name):
    kind, left, right, value = DOMAINS[name]
    if name not in ("positive", "positive definite"):
        assert not compare(left, right, value).found
    found = compare(left, right, value, domains={"a0": kind(())})
    assert found.found, f"{found.reason} {found.undecided}"


def test_labels_that_are_too_many_to_try_are_no_proof():
    many = np.where(np.arange(12) % 3, 1.0, -1.0)
    found = compare(lambda a: a * a, jnp.ones_like, many, domains={"a0": Sign(())})
    assert not found.found
    assert "labels drawn" in found.reason


# Assumptions, regions -----------------------------------------------------------------------------------------------
ASSUMED = {
    "rational": (lambda X, w: X @ w, (x[None] * x[:, None] + A, y)),
    "independent exponents": (lambda X, w: sigmoid(X @ w), (A, y)),
    "heuristic": (lambda X, w: exp(exp(X @ w)), (A, y)),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_the_assumption_is_said(name):
    f, values = ASSUMED[name]
    found = compare(f, lambda *a: f(*a) + 0 * a[1], *values)
    assert found.found
    assert found.assumption == name
    assert (found.numbers["failure_probability"] is None) == (name == "heuristic")


def test_exponents_that_depend_on_one_another_are_not_called_independent():
    """w_1 w_2 and w_1 + w_2 are both exponents: uniform one by one, not together affine."""
    f = lambda w: exp(w[0] * w[1]) + exp(w[0] * w[0]) + exp(w[1] * w[1])
    assert compare(f, lambda w: f(w) + 0 * w[0], x).assumption == "heuristic"


def test_comparisons_that_never_turn_are_named():
    report = jaxderiv.check(lambda w: jnp.sum(jnp.where(w * w > -1, w**3, w)), x, gradient=lambda w: 3 * w**2)
    assert report.verdict == "proved"
    evidence = next(e for e in report.results[0].evidence if e.kind == "proof")
    assert evidence.numbers["not_covered"] == ["w * w > -1 was always true"]


SOUGHT = {
    "large": (lambda w: jnp.sum(jnp.where(w > 50, w**3, w**2)), lambda w: 2 * w),
    "a band": (lambda w: jnp.sum(jnp.where((w > 5) & (w < 7), w**3, w**2)), lambda w: 2 * w),
    "small": (lambda w: jnp.sum(jnp.where(jnp.abs(w) < 1e-4, w, w**2)), lambda w: 2 * w),
    "a norm": (lambda w: jnp.where(w @ w > 1e4, w @ w, jnp.sum(w)), jnp.ones_like),
    "relu of a product": (lambda w: jnp.sum(w**2) + jax.nn.relu(w[0] * w[1] - 30) ** 2, lambda w: 2 * w),
}


@pytest.mark.parametrize("name", SOUGHT)
def test_a_branch_that_random_points_miss_is_sought_out(name):
    loss, wrong = SOUGHT[name]
    right = jaxderiv.check(loss, x, gradient=jax.grad(loss))
    assert right.ok, str(right)
    assert jaxderiv.check(loss, x, gradient=wrong).verdict == "refuted"


# A difference that high precision has to confirm ---------------------------------------------------------------------
def test_a_small_entry_beside_a_large_one_is_looked_at():
    loss = lambda w: jnp.sum(jnp.cosh(100 * (w + 1))) + jnp.sum(w)
    assert jaxderiv.check(loss, x, gradient=lambda w: 100 * jnp.sinh(100 * (w + 1))).verdict == "refuted"


# The prover is tested too --------------------------------------------------------------------------------------------
@functools.cache
def claim(name, of):
    derivation = read_catalogue(name)
    found = next(c for c in derivation.claims if c.name.startswith(of))
    where = [p for p in places(derivation, "quick", 0) if p.kind == "generic"]
    return question_of(derivation, found), where


def test_the_catalogue_is_proved_and_a_mutant_is_not():
    question, where = claim("classification/logistic", "hessian")
    assert prove(question, where, Programs()).found
    wrong = dataclasses.replace(question, hand=lambda *leaves: question.hand(*leaves) * (1 + 2.0**-40))
    found = prove(wrong, where, Programs())
    assert not found.found
    assert found.differs_at in where


def test_a_sabotaged_product_rule_proves_nothing(monkeypatch):
    question, where = claim("regression/ridge", "gradient (")
    right = Dual._scale
    monkeypatch.setattr(
        Dual, "_scale", lambda self, tangent, by: right(self, tangent, self.base.add(by, self.base.number(1.0, by)))
    )
    assert not prove(question, where, Programs()).found


def test_without_squares_for_positive_numbers_a_root_has_no_proof(monkeypatch):
    uniform = lambda self, shadow: Field.constant(self, np.asarray(shadow) * 3)
    monkeypatch.setattr(prover, "_UNLUCKY", 5)
    monkeypatch.setattr(Field, "variable", uniform)
    assert not compare(lambda a: sqrt(a * a), jnp.abs, np.array([0.5, 11 / 8])).found


def test_the_same_seed_gives_the_same_residues():
    program = trace(lambda a: exp(a) / (1 + exp(a)), x)
    first, second, other = (
        Interpreter(field)(program, [field.variable(x)])[0] for field in (Field(1, 2), Field(1, 2), Field(2, 2))
    )
    assert (first.residues[0] == second.residues[0]).all()
    assert (first.residues[0] != other.residues[0]).all()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1 / 3, None), (0.1, None), (float(np.float32(0.1)), None),
        (np.sqrt(2 / np.pi), (False, 2, -1, 2)), (np.pi, (False, 1, 1, 1)), (1 / np.sqrt(2), (False, 0.5, 0, 2)),
        (np.log(2), (True, 2, 0, 1)), (np.log(2 * np.pi) / 2, (True, 2, 1, 2)), (0.123456789123456, None),
    ],
)  # fmt: skip
def test_literals_are_what_they_were_meant_to_be(number, words):
    if words is None:
        assert closed_form(float(number)) is None or snap(float(number)) is not None
    else:
        assert snap(float(number)) is None
        assert tuple(closed_form(float(number))) == words
