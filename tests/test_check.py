"""`jaxderiv.check` as its users meet it: right and wrong formulas, hypotheses, and everything that may go wrong."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxderiv
from jaxderiv.domains import Symmetric

pytestmark = pytest.mark.lenient_promotion  # a user has JAX's defaults

sigmoid = jax.nn.sigmoid
rng = np.random.default_rng(3)
X, w = rng.normal(size=(6, 3)), np.array([0.75, -1.25, 0.5])
y = np.array([0.0, 1, 1, 0, 1, 0])
labels = np.array([0, 2, 1, 1, 0, 2])
mask = np.array([True, False, True, True, False, True])
S = np.array([[2.0, 0.5, -1], [0.5, 1, 0.25], [-1, 0.25, -3]])
A = np.array([[0.5, -1.25, 2], [1.5, 0.75, -0.5]])
Z = rng.normal(size=(5, 4))
T = np.eye(4)[[0, 2, 1, 3, 0]] * 0.5 + 0.125
params = {"W": A, "b": np.array([0.25, -0.5])}


squares = lambda w: jnp.sum(w**2)
ridge = lambda w, X, y, lam: jnp.mean(jax.nn.softplus(X @ w) - y * (X @ w)) + lam / 2 * (w @ w)
data_gradient = lambda w, X, y: X.T @ (sigmoid(X @ w) - y) / len(X)
gradient = lambda w, X, y, lam: data_gradient(w, X, y) + lam * w
curved = lambda w: jnp.sum(w**3) / 6 + jnp.sum(w) ** 2 / 2
hessian = lambda w: jnp.diag(w) + 1
layer = lambda x, A: jnp.tanh(A @ x)
jacobian = lambda x, A: (1 - layer(x, A) ** 2)[:, None] * A
vjp = lambda x, c, A: A.T @ ((1 - layer(x, A) ** 2) * c)
network = lambda p, x: jnp.sum(jnp.tanh(p["W"] @ x + p["b"]))
picked = lambda Z, t: -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(Z), t[:, None], axis=1))
entropy = lambda Z, T: -jnp.sum(T * jax.nn.log_softmax(Z))


def network_gradient(p, x):
    delta = 1 - jnp.tanh(p["W"] @ x + p["b"]) ** 2
    return {"W": jnp.outer(delta, x), "b": delta}


def raising(*args):
    raise RuntimeError("boom")


R = (w, X, y, 0.1)
FORMULAS = {  # function, example arguments, right formula, wrong formula
    "gradient": (ridge, R, gradient, lambda w, X, y, lam: gradient(w, X, y, 2 * lam)),
    "hessian": (curved, (w,), hessian, lambda w: jnp.diag(2 * w) + 1),
    "hvp": (curved, (w,), lambda w, v: w * v + jnp.sum(v), lambda w, v: w * v + v),
    "jacobian": (layer, (w, A), jacobian, lambda x, A: jacobian(x, A) * layer(x, A)[:, None]),
    "vjp": (layer, (w, A), vjp, lambda x, c, A: A.T @ c),
}
OTHER = {  # gradients
    "pytree": (
        network, (params, w), network_gradient, lambda p, x: network_gradient(p, x) | {"b": jnp.ones_like(p["b"])},
    ),
    "scalar": (lambda z: jnp.exp(2 * z), (0.5,), lambda z: 2 * jnp.exp(2 * z), lambda z: jnp.exp(2 * z)),
    "integer labels": (
        picked, (X, labels),
        lambda Z, t: jax.nn.softmax(Z) - jax.nn.one_hot(t, Z.shape[1]),
        lambda Z, t: jax.nn.softmax(Z) - 1 / Z.shape[1],
    ),
    "boolean mask": (
        lambda x, m: jnp.sum(jnp.where(m, x**2, 0.0)) / jnp.sum(m), (X[:, 0], mask),
        lambda x, m: jnp.where(m, 2 * x, 0.0) / jnp.sum(m),
        lambda x, m: 2 * x / jnp.sum(m),
    ),
    "rewritten": (
        ridge, R,
        lambda w, X, y, lam: jnp.mean((1 / (1 + jnp.exp(-(X @ w))) - y)[:, None] * X, axis=0) + 2 * w * (lam / 2),
        lambda w, X, y, lam: jnp.mean((1 / (1 + jnp.exp(X @ w)) - y)[:, None] * X, axis=0) + lam * w,
    ),
    "NumPy": (squares, (w,), lambda w: 2 * np.asarray(w), lambda w: 3 * np.asarray(w)),
    "if": (squares, (w,), lambda w: 2 * w if w[0] > 0 else w + w, lambda w: 2 * w if w[0] > 0 else w),
}  # fmt: skip
MISTAKES = {  # of the ridge-logistic gradient, and what has to be said
    "sign": (lambda *a: -gradient(*a), ("sign",)),
    "factor": (lambda *a: 2 * gradient(*a), ("2 times", "factor 2")),
    "half the penalty": (lambda w, X, y, lam: data_gradient(w, X, y) + lam / 2 * w, ("half",)),
    "no mean": (lambda w, X, y, lam: data_gradient(w, X, y) * len(X) + lam * w, ("1/len(X)",)),
}
POINTS = {"zero": (0 * w, X, y, 0.1), "small features": (w, X * 0.001, y, 0.1), "saturated": (w * 1000, X, y, 0.1)}
HYPOTHESES = {
    "symmetric": (lambda x, A: x @ A @ x, (w, S), lambda x, A: 2 * A @ x, "A symmetric"),
    "simplex": (entropy, (Z, T), lambda Z, T: jax.nn.softmax(Z) - T, "T summing to 1"),
    "positive": (lambda x: jnp.sum(jnp.abs(x) ** 3), (np.array([0.5, 2, 1.25]),), lambda x: 3 * x**2, "x positive"),
}
FORMS = {
    "column": (lambda w: 2 * w[:, None], "(3, 1)", "(3,)"), "row": (lambda w: 2 * w[None], "(1, 3)", "(3,)"),
    "scalar": (lambda w: 2 * w[0], "()", "(3,)"), "list": (lambda w: [2 * w], "a list", "an array of shape (3,)"),
    "None": (lambda w: None, "None", "an array of shape (3,)"),
    "float32": (lambda w: (2 * w).astype(jnp.float32), "float32", "float64"),
}  # fmt: skip
UNDECIDED = {
    "NaN everywhere": (lambda w: jnp.sum(jnp.log(-(w**2) - 1)), (w,), lambda w: 2 * w, "not finite"),
    "no parameter": (lambda w, X: jnp.sum(X), (w, X), lambda w, X: 0 * w, "identically zero.*depend on w"),
    "branching loss": (lambda w: squares(w) if w[0] > 0 else 1 - squares(w), (w,), lambda w: 2 * w, "Python's if"),
    "random bits": (lambda w: w @ jax.random.normal(jax.random.key(0), (3,)), (w,), lambda w: w, "random"),
    "unsupported": (lambda X: jnp.sum(jnp.linalg.qr(X)[1]), (X,), lambda X: X, "qr"),
}
ERRORS = {
    "integers": (squares, (np.arange(3),), "w has dtype int.*astype"), "complex": (squares, (w + 0j,), "w .*complex"),
    "string": (squares, ("a",), "w .*floats, integers or booleans"), "empty": (squares, (np.zeros(0),), "w is empty"),
    "NaN": (squares, (np.array([1, np.nan]),), r"w holds nan at \[1\]"), "nothing": (squares, (), "example arguments"),
    "no array": (squares, (None,), "w.*holds no array"), "vector": (lambda w: w**2, (w,), r"scalar.*shape \(3,\)"),
    "raises": (raising, (w,), "the function raises.*RuntimeError: boom"),
    "no function": (3, (w,), "the function first"),
}  # fmt: skip


@functools.cache
def report(table, name, choice=None):
    """One check of a table's entry; no check is made twice."""
    if table == "mistakes":
        return jaxderiv.check(ridge, *POINTS[choice], gradient=MISTAKES[name][0])
    if table == "hypotheses":
        function, args, formula, _ = HYPOTHESES[name]
        return jaxderiv.check(function, *args, gradient=formula, domains=choice and {"A": Symmetric})
    if table == "forms":
        return jaxderiv.check(squares, w, gradient=FORMS[name][0])
    function, args, right, wrong = (FORMULAS | OTHER)[name]
    return jaxderiv.check(function, *args, **{name if name in FORMULAS else "gradient": (wrong, right)[choice]})


# Verdicts -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FORMULAS | OTHER)
def test_right_agrees_and_wrong_is_refuted(name):
    right, wrong = report("formulas", name, True), report("formulas", name, False)
    assert right.ok, str(right)
    assert right.ok
    assert right.diagnosis is right.counterexample is None
    right.raise_if_refuted()
    assert wrong.verdict == "refuted", str(wrong)
    assert not wrong.ok
    assert wrong.diagnosis
    assert wrong.counterexample.hand_entry != wrong.counterexample.true_entry
    with pytest.raises(AssertionError, match="REFUTED"):
        wrong.raise_if_refuted()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_wherever_the_example_lies(name, point):
    found = report("mistakes", name, point)
    assert found.verdict == "refuted"
    assert any(words in found.diagnosis for words in MISTAKES[name][1]), found.diagnosis


@pytest.mark.parametrize("name", HYPOTHESES)
def test_a_hypothesis_that_is_needed_is_named(name):
    found = report("hypotheses", name)
    assert found.verdict == "proved"
    assert len(found.hypotheses) == 1
    assert found.hypotheses[0].startswith(HYPOTHESES[name][3])
    assert not report("formulas", "gradient", True).hypotheses


def test_a_hypothesis_may_be_given():
    found = report("hypotheses", "symmetric", True)
    assert (found.verdict, found.hypotheses) == ("proved", ("A symmetric",))


@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_refuted_and_never_broadcast(name):
    _, got, want = FORMS[name]
    found = report("forms", name)
    assert found.verdict == "refuted"
    assert got in found.diagnosis
    assert want in found.diagnosis


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_formula_that_is_not_finite_is_refuted(value):
    found = jaxderiv.check(squares, w, gradient=lambda w: w * value)
    assert found.verdict == "refuted"
    assert "NaN or infinity" in found.diagnosis


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_decided_is_no_pass_and_says_why(name):
    function, args, formula, why = UNDECIDED[name]
    found = jaxderiv.check(function, *args, gradient=formula)
    assert (found.verdict, found.ok) == ("inconclusive", False)
    found.raise_if_refuted()  # it is not refuted either
    assert re.search(why, found.results[0].reason)


# Reasons and notes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "why"), [("NumPy", "calls NumPy"), ("if", "Python's if")])
def test_a_formula_that_cannot_be_traced_is_run_and_that_is_said(name, why):
    reason = report("formulas", name, True).results[0].reason
    assert why in reason
    assert "float64 values only" in reason


def test_a_hard_coded_size_is_noted():
    found = jaxderiv.check(lambda w: jnp.sum(w**3) / 6 + w @ w / 2, w, hessian=lambda w: jnp.diag(w) + jnp.eye(3))
    assert found.verdict == "proved"
    assert any("works at the example's sizes but not at others" in note for note in found.results[0].notes)


@pytest.mark.parametrize("z", [12, 16, 20])
def test_the_formula_is_right_and_autodiff_is_wrong(z):
    """In float32 JAX's second derivative of softplus is 7 % off at 12 and zero from 16 on."""
    found = jaxderiv.check(jax.nn.softplus, np.float32(z), hessian=lambda z: sigmoid(z) * sigmoid(-z))
    assert found.verdict == "proved"
    said = [note for note in found.results[0].notes if note.startswith("float32 at the example's values")]
    assert len(said) == 1
    assert "the formula is right" in said[0]
    assert "autodiff is wrong" in said[0]


# The report -----------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_report():
    function, args, _, wrong = FORMULAS["gradient"]
    again = jaxderiv.check(function, *args, gradient=wrong)
    assert str(again) == str(report("formulas", "gradient", False))
    assert again.counterexample == report("formulas", "gradient", False).counterexample


def test_several_formulas_have_the_worst_verdict():
    found = jaxderiv.check(squares, w, gradient=lambda w: 2 * w, hessian=lambda w: jnp.eye(len(w)))
    assert [r.verdict for r in found.results] == ["proved", "refuted"]
    assert (found.verdict, found.diagnosis) == ("refuted", found.results[1].diagnosis)


@pytest.mark.parametrize("name", [*FORMULAS, "pytree"])
def test_the_counterexample_is_code_that_shows_two_results(name, capsys):
    function, _, _, wrong = (FORMULAS | OTHER)[name]
    scope = {"function": function, name if name in FORMULAS else "gradient": wrong, "np": np}
    exec(report("formulas", name, False).counterexample.code, scope)
    shown = capsys.readouterr().out
    assert shown
    assert "nan" not in shown
    half = len(shown) // 2
    assert shown[:half] != shown[half:]


def test_the_counterexample_of_an_untraceable_formula_is_one():
    found = report("formulas", "NumPy", False).counterexample
    assert found.hand == (3 * np.array(found.inputs["w"])).tolist()
    assert np.any(np.array(found.inputs["w"]) != 0)  # where formula and truth are both 0


# Errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_told_in_words(name):
    function, args, words = ERRORS[name]
    with pytest.raises(jaxderiv.InputError, match=words):
        jaxderiv.check(function, *args, gradient=lambda w: w)


@pytest.mark.parametrize(
    ("formulas", "words"),
    [
        ({}, "needs a formula.*gradient="),
        ({"gradient": 3}, "gradient= takes a function.*given 3"),
        ({"hessian": raising}, "hessian= raises.*RuntimeError: boom"),
        ({"gradient": lambda w: w, "domains": {"q": Symmetric}}, "'q' is no argument; the arguments are w"),
    ],
    ids=["none", "not callable", "raises", "unknown name"],
)
def test_a_bad_formula_is_told_in_words(formulas, words):
    with pytest.raises(jaxderiv.InputError, match=words):
        jaxderiv.check(squares, w, **formulas)


# What a fresh reader found ------------------------------------------------------------------------------------------
square = rng.normal(size=(4, 4))
mean_error = lambda w, X, y: jnp.mean((X @ w - y) ** 2) / 2
norm = lambda w: jnp.linalg.norm(w)


def test_equal_sizes_are_told_apart_where_the_function_does():
    args = (rng.normal(size=4), square, rng.normal(size=4))
    wrong = jaxderiv.check(mean_error, *args, gradient=lambda w, X, y: X.T @ (X @ w - y) / len(w))
    assert wrong.verdict == "refuted"
    assert "len(w)/len(X)" in wrong.diagnosis
    assert jaxderiv.check(mean_error, *args, gradient=lambda w, X, y: X.T @ (X @ w - y) / len(y)).ok


def test_equal_sizes_vary_together_where_the_formula_wants_them_to():
    fixed = lambda X: 2 * X @ jnp.eye(len(X))
    found = jaxderiv.check(lambda X: jnp.sum(X**2), square, gradient=fixed)
    assert found.verdict == "proved"
    assert any("not at others" in note for note in found.results[0].notes)


def test_a_placeholder_suggests_no_hypothesis():
    absolute = lambda w: jnp.sum(jnp.abs(w))
    assert jaxderiv.check(absolute, np.ones(3), gradient=jnp.ones_like).verdict == "refuted"
    form = lambda x, A: jnp.sum((A @ x) ** 2)
    assert jaxderiv.check(form, w, np.eye(3), gradient=lambda x, A: 2 * A @ A.T @ x).verdict == "refuted"
    one_hot = jaxderiv.check(entropy, np.eye(4), np.eye(4), gradient=lambda Z, T: jax.nn.softmax(Z) - T)
    assert one_hot.ok


def test_an_example_at_a_kink_is_undecided_there_and_not_wrong():
    right = jaxderiv.check(norm, np.zeros(3), gradient=lambda w: w / jnp.linalg.norm(w))
    assert right.verdict == "proved"
    assert any("kink" in note for note in right.results[0].notes)
    assert jaxderiv.check(norm, np.zeros(3), gradient=lambda w: 2 * w).verdict == "refuted"


def test_a_float32_formula_of_a_float32_parameter_is_right():
    found = jaxderiv.check(squares, w.astype(np.float32), gradient=lambda w: (2 * w).astype(jnp.float32))
    assert found.verdict == "proved"


@pytest.mark.parametrize("third", [lambda n: 1 / n, lambda n: np.full(n, 1 / n), lambda n: np.float32(1) / n])
def test_a_rounded_constant_is_the_rational_that_was_meant(third):
    found = jaxderiv.check(jnp.mean, w, gradient=lambda w: third(len(w)) * jnp.ones_like(w))
    assert found.ok, str(found)


def test_a_difference_that_floats_do_not_show_is_told_with_its_size():
    found = jaxderiv.check(norm, w, gradient=lambda w: w / (jnp.linalg.norm(w) + 1e-12))
    assert found.verdict == "refuted"
    assert "perhaps an epsilon" in found.diagnosis
    shown = str(found)
    assert "formula" in shown
    values = [line.split()[-1] for line in shown.splitlines() if "formula " in line or "truth " in line]
    assert values[-1] != values[-2]


def test_a_formula_without_float64_values_is_no_pass():
    found = jaxderiv.check(squares, w, gradient=lambda w: 2 * w * jnp.exp(1000 + w) / jnp.exp(1000 + w))
    assert found.verdict == "inconclusive"
    assert "not finite in float64" in found.results[0].reason


def test_a_numpy_formula_that_lacks_a_small_term_is_refuted():
    loss = lambda w, X: jnp.sum((X @ w) ** 2) / 2 + 1e-9 * (w @ w)
    numpy = lambda w, X: np.asarray(X).T @ (np.asarray(X) @ np.asarray(w))
    assert jaxderiv.check(loss, w, X, gradient=numpy).verdict == "refuted"


def test_labels_of_a_counterexample_stay_in_range():
    loss = lambda W, X, t: -jnp.mean(jax.nn.log_softmax(X @ W)[jnp.arange(len(t)), t])
    wrong = lambda W, X, t: X.T @ (jax.nn.softmax(X @ W) - jax.nn.one_hot(t, W.shape[1], dtype=X.dtype))
    found = jaxderiv.check(loss, rng.normal(size=(3, 4)), X, labels, gradient=wrong)
    assert found.verdict == "refuted"
    inputs = found.counterexample.inputs
    assert max(inputs["t"]) < len(inputs["W"][0])


def test_much_data_in_a_closure_are_asked_for_as_arguments():
    large = rng.normal(size=(300, 20))
    found = jaxderiv.check(
        lambda w: jnp.sum((large @ w) ** 2), np.ones(20), gradient=lambda w: 3 * large.T @ (large @ w)
    )
    assert found.verdict == "inconclusive"
    assert "as arguments" in found.results[0].reason


def test_a_report_is_true_where_it_is_ok():
    assert jaxderiv.check(squares, w, gradient=lambda w: 2 * w)
    assert not jaxderiv.check(squares, w, gradient=lambda w: 3 * w)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"seed": -1}, "seed is -1"), ({"seed": 1.5}, "seed is 1.5"), ({"domains": "Real"}, "domains is 'Real'"),
        ({"domains": {"w": Symmetric}}, "w is not symmetric in the example"),
    ],
)  # fmt: skip
def test_bad_settings_are_told_in_words(more, words):
    with pytest.raises(jaxderiv.InputError, match=words):
        jaxderiv.check(squares, w, gradient=lambda w: 2 * w, **more)


def test_what_jax_cannot_differentiate_is_told_in_words():
    loop = lambda w: jax.lax.while_loop(lambda v: jnp.sum(v) < 9, lambda v: 2 * v, jnp.abs(w))[0]
    with pytest.raises(jaxderiv.InputError, match="JAX cannot differentiate"):
        jaxderiv.check(loop, w, gradient=lambda w: w)
