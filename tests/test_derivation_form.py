"""What a file may look like, and what a person is told whose file breaks a rule: file, function and cure."""

import importlib.util
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.derivation import (
    arguments,
    equals,
    hessian_vector_product,
    read,
    read_catalogue,
    read_file,
)
from jaxderiv.domains import Array, Dim, Real, d, domain_of, n
from jaxderiv.errors import DerivationError, InputError

HEAD = '''"""A model. Source: none."""
import jax
import jax.numpy as jnp
from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Bit, Positive, Real, d, n
'''
LOSS = """
def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    "$L$"
    return jnp.sum((X @ w - y) ** 2) / 2
"""
GRADIENT = """
@equals(jax.grad(loss))
def gradient(w, X, y):
    "$X^T (Xw - y)$"
    return X.T @ (X @ w - y)
"""
HESSIAN = """
def hessian(X):
    "$X^T X$"
    return X.T @ X
"""
GOOD = HEAD + LOSS + GRADIENT + HESSIAN
GRADIENT_W = """
def gradient_w(w, X, y):
    "$7 w$"
    return 7 * w
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "model.py"
        path.write_text(text)
        return path

    return write


def read_as_catalogue(path):
    spec = importlib.util.spec_from_file_location("model_of_the_catalogue", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return read(module, catalogue=True)


READERS = {"a user's file": read_file, "the catalogue": read_as_catalogue}
both_readers = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


# A file in good form ---------------------------------------------------------------------------------------
@both_readers
def test_a_good_file(write, reader):
    derivation = reader(write(GOOD))
    assert derivation.name == "model"
    assert derivation.title == "A model. Source: none"
    assert derivation.notes == ()
    assert derivation.parameters == ("w",)
    assert derivation.dims == ("d", "n")
    assert derivation.symbols == {
        symbol: domain_of(declared)
        for symbol, declared in {"w": Real[Array, d], "X": Real[Array, n, d], "y": Real[Array, n]}.items()
    }
    kinds = [(claim.kind, claim.of) for claim in derivation.claims]
    assert kinds == [("line", ()), ("gradient", ("w",)), ("hessian", ("w", "w"))]
    assert len({claim.name for claim in derivation.claims}) == 3


def test_lines_come_in_the_order_of_the_file():
    names = [claim.name for claim in read_catalogue("classification/logistic").claims if claim.kind == "line"]
    expected = "pointwise_by_magnitude residual curvature gradient_by_observation gradient hessian hvp curvature_along"
    assert names == expected.split()


def test_a_file_that_does_not_import_raises_its_own_error(write):
    with pytest.raises(ZeroDivisionError):
        read_file(write("1 / 0"))
    with pytest.raises(SyntaxError):
        read_file(write("def loss(:"))


def test_two_files_of_one_name_do_not_mix(tmp_path):
    for folder, extra in (("one", ""), ("two", GRADIENT.replace("gradient", "again"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.py").write_text(GOOD + extra)
    counts = [len(read_file(tmp_path / folder / "model.py").claims) for folder in ("one", "two", "one")]
    assert counts == [3, 4, 3]


def test_annotations_may_be_strings(write):
    assert read_file(write('"""A model."""\nfrom __future__ import annotations\n' + GOOD)).dims == ("d", "n")


# Rules of every file ---------------------------------------------------------------------------------------
MISTAKES = {
    "undeclared symbol": (
        GOOD + '\n@equals(gradient)\ndef again(w, X, t):\n    "$g$"\n    return X.T @ (X @ w - t)\n',
        "again",
        ["symbol t is not declared", "t: Real[Array, d]"],
    ),
    "undeclared symbol in the loss": (
        HEAD + 'def loss(w: Real[Array, d], X):\n    "$L$"\n    return jnp.sum((X @ w) ** 2)\n',
        "loss",
        ["symbol X is not declared", "X: Real[Array, d]"],
    ),
    "undeclared symbol on the left": (
        GOOD + '\n@equals(lambda w, u: w + u)\ndef again(w):\n    "$w$"\n    return w\n',
        "<lambda>",
        ["symbol u is not declared"],
    ),
    "symbol with two domains": (
        GOOD + '\ndef again(w, y: Bit[Array, n]):\n    "$y$"\n    return y\n',
        "again",
        ["y is Bit[n] here and Real[n] in loss", "one domain"],
    ),
    "symbol that is not named": (
        GOOD + '\nlam = 0.5\ndef again(w, lam: Positive[Array, ()]):\n    "$lw$"\n    return lam * w\n'
        '\n@equals(again)\ndef thrice(w):\n    "$lw$"\n    return lam * w\n',
        "thrice",
        ["depends on lam, which it does not name", "def thrice(w, lam)"],
    ),
    "data that is not named": (
        GOOD + '\ndata = jnp.ones(3)\n@equals(lambda w: w * data)\ndef again(w):\n    "$wx$"\n    return w\n',
        "left side of again",
        ["depends on data, which it does not name", "lambda w, data"],
    ),
    "data of NumPy in a helper": (
        GOOD + "\nimport numpy as np\ndata = np.ones(3)\ndef _helper(w):\n    return w * data\n",
        "_helper",
        ["depends on data, which it does not name", "def _helper(w, data)"],
    ),
    "symbol that is not named on the left": (
        GOOD + '\n@equals(lambda w: X @ w)\ndef again(w, X):\n    "$Xw$"\n    return X @ w\n',
        "left side of again",
        ["depends on X, which it does not name", "lambda w, X"],
    ),
    "size used as a number": (
        GOOD.replace("return X.T @ (X @ w - y)", "return X.T @ (X @ w - y) / n"),
        "gradient",
        ["n, which is the name of a size", "len(X)"],
    ),
    "loss that is not scalar": (
        GOOD.replace("jnp.sum((X @ w - y) ** 2) / 2", "(X @ w - y) ** 2 / 2"),
        "loss",
        ["returns shape (4,), not a scalar", "Sum or average"],
    ),
    "loss of two values": (
        GOOD.replace("jnp.sum((X @ w - y) ** 2) / 2", "jnp.sum(w), jnp.sum(y)"),
        "loss",
        ["not a scalar", "Sum or average"],
    ),
    "loss that does not take its shapes": (
        GOOD.replace("(X @ w - y)", "(X.T @ w - y)"),
        "loss",
        ["does not take its declared shapes", "Mend it or its domains"],
    ),
    "loss without arguments": (
        HEAD + 'def loss():\n    "$1$"\n    return jnp.ones(())\n',
        "loss",
        ["no argument", "first argument is the parameter"],
    ),
    "two lines of one name": (
        GOOD + GRADIENT,
        "gradient",
        ["have this name", "its own name"],
    ),
    "gradient under another name": (GOOD + GRADIENT_W, "gradient_w", ["nothing checks it", "Did you mean gradient"]),
    "misspelt hessian": (GOOD.replace("def hessian", "def hesian"), "hesian", ["nothing checks it", "hessian"]),
    "jitted loss": (GOOD.replace("def loss", "@jax.jit\ndef loss"), "loss", ["not a function", "without a decorator"]),
    "equals without a left side": (
        GOOD.replace("@equals(jax.grad(loss))", "@equals"),
        "gradient",
        ["no left side", "@equals(jax.grad(loss))"],
    ),
    "domain without a shape": (GOOD.replace("y: Real[Array, n]", "y: Real"), "loss", ["lacks a shape", "y: Real["]),
    "parameter twice": (GOOD + 'parameters = ("w", "w")\n', "parameters", ["('w', 'w')", "different arguments"]),
    "parameter that is a number": (GOOD + "parameters = 3\n", "parameters", ["it is 3", "('w',)"]),
    "loss of whole numbers": (GOOD.replace("jnp.sum((X @ w - y) ** 2) / 2", "len(y)"), "loss", ["int", "floats"]),
    "loss that branches": (
        GOOD.replace("    return jnp.sum((X @ w - y) ** 2) / 2", "    return jnp.sum(w) if w[0] > 0 else jnp.sum(X)"),
        "loss",
        ["cannot trace", "jnp.where"],
    ),
    "line that a plain function replaces": (
        GOOD + '\ndef gradient(w, X, y):\n    "$g$"\n    return w\n',
        "gradient",
        ["have this name", "its own name"],
    ),
    "hvp with data before its direction": (
        GOOD + '\ndef hvp(w, X, v: Real[Array, d]):\n    "$Hv$"\n    return X.T @ (X @ v)\n',
        "hvp",
        ["(w, X, v)", "hvp(w, v_w, X)"],
    ),
    "hvp with its direction first": (
        GOOD + '\ndef hvp(v: Real[Array, d], w, X):\n    "$Hv$"\n    return X.T @ (X @ v)\n',
        "hvp",
        ["(v, w, X)", "Parameters, then directions, then data"],
    ),
    "hvp without a direction": (
        GOOD + '\ndef hvp(w):\n    "$Hv$"\n    return w\n',
        "hvp",
        ["(w)", "Parameters, then directions, then data"],
    ),
    "unknown parameters": (
        'parameters = ("w", "b")\n' + GOOD,
        "parameters",
        ["b is no argument of loss('w', 'X', 'y')", "Name arguments of the loss"],
    ),
    "neither loss nor lines": (HEAD, "module", ["neither a loss nor a line", "def loss("]),
    "arguments without names": (
        GOOD + '\n@equals(gradient)\ndef again(*symbols):\n    "$g$"\n    return symbols\n',
        "again",
        ["takes *symbols", "names every symbol"],
    ),
    "unknown name in an annotation": (
        "from __future__ import annotations\n" + GOOD.replace("y: Real[Array, n]", "y: Real[Array, r]"),
        "loss",
        ["unknown name", "jaxderiv.domains"],
    ),
}


@both_readers
@pytest.mark.parametrize(("text", "function", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_explained(write, reader, text, function, says):
    path = write(text)
    with pytest.raises(DerivationError) as error:
        reader(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert function in message.removeprefix(f"{path}: ").split(": ")[0]
    for part in says:
        assert part in message


def test_a_mistake_is_an_input_error():
    assert issubclass(DerivationError, InputError)


# Rules of the catalogue, notes elsewhere -------------------------------------------------------------------
DEMANDS = {
    "no hessian": (HEAD + LOSS + GRADIENT, "module", 'no_hessian = "the reason"'),
    "no reason for no hessian": (HEAD + LOSS + GRADIENT + 'no_hessian = ""\n', "module", "no_hessian"),
    "no gradient": (HEAD + LOSS + HESSIAN, "module", "Derive the gradient"),
    "no docstring of the module": (GOOD.split("\n", 1)[1], "module", "the conventions and the source"),
    "no docstring of a line": (GOOD.replace('    "$X^T (Xw - y)$"\n', ""), "gradient", "in LaTeX"),
}


@pytest.mark.parametrize(("text", "function", "cure"), DEMANDS.values(), ids=DEMANDS)
def test_the_catalogue_demands_what_elsewhere_is_a_note(write, text, function, cure):
    path = write(text)
    with pytest.raises(DerivationError) as error:
        read_as_catalogue(path)
    assert str(error.value).startswith(f"{path}: {function}: ")
    assert cure in str(error.value)
    (note,) = read_file(path).notes
    assert note.startswith(f"{function}: ")
    assert cure in note


def test_a_reason_stands_for_the_hessian(write):
    reason = 'no_hessian = "the loss is not twice differentiable"\n'
    assert read_as_catalogue(write(HEAD + LOSS + GRADIENT + reason)).notes == ()


def test_a_product_stands_for_the_hessian(write):
    hvp = '\ndef hvp(w, v: Real[Array, d], X):\n    "$Hv$"\n    return X.T @ (X @ v)\n'
    claim = read_as_catalogue(write(HEAD + LOSS + GRADIENT + hvp)).claims[-1]
    assert (claim.kind, claim.of, claim.directions) == ("hvp", ("w",), ("v",))


# Several parameters ----------------------------------------------------------------------------------------
SEVERAL = (
    HEAD
    + """
parameters = ("a", "b")
def loss(a: Real[Array, d], X: Real[Array, n, d], b: Real[Array, ()]):
    "$L$"
    return jnp.sum((X @ a + b) ** 2) / 2
def gradient_a(a, X, b):
    "$g$"
    return X.T @ (X @ a + b)
"""
)
GRADIENT_B = 'def gradient_b(a, X, b):\n    "$g$"\n    return jnp.sum(X @ a + b)\n'
BLOCK = 'def hessian_a_b(X):\n    "$H$"\n    return jnp.sum(X, axis=0)\n'


def test_each_parameter_has_its_own_claim(write):
    claims = read_as_catalogue(write(SEVERAL + GRADIENT_B + BLOCK)).claims
    assert [(c.kind, c.of) for c in claims] == [
        ("gradient", ("a",)),
        ("gradient", ("b",)),
        ("hessian", ("a", "b")),
    ]
    point = {"a": jnp.array([1.0, 2.0]), "X": jnp.array([[3.0, 5.0], [7.0, 11.0]]), "b": jnp.array(13.0)}
    for claim in claims:
        left, right = (side(*(point[s] for s in arguments(side))) for side in (claim.left, claim.right))
        assert np.array_equal(left, right)


def test_a_missing_gradient_is_named(write):
    with pytest.raises(DerivationError, match="gradient_b"):
        read_as_catalogue(write(SEVERAL + BLOCK))


def test_product_with_the_cross_blocks():
    def loss(a, X, b):
        return jnp.sum(a * X) ** 2 * b

    product = hessian_vector_product(loss, ("a", "b"), ("da", "db"))
    assert arguments(product) == ("a", "b", "da", "db", "X")
    along_a, along_b = product(*(jnp.array(x) for x in (2.0, 3.0, 5.0, 7.0, 11.0)))
    assert along_a == 2 * 11**2 * 3 * 5 + 2 * 2 * 11**2 * 7
    assert along_b == 2 * 2 * 11**2 * 5


# `equals` itself -------------------------------------------------------------------------------------------
def test_equals_returns_the_very_function():
    def gradient(w):
        return 2 * w

    assert equals(jax.grad(lambda w: w**2))(gradient) is gradient


def test_equals_takes_a_function():
    with pytest.raises(DerivationError, match=r"Write @equals\(jax.grad\(loss\)\)"):
        equals(3.0)


def test_equals_stands_above_a_function():
    with pytest.raises(DerivationError, match=r"stands above a float.*a plain def"):
        equals(jnp.sin)(3.0)


def test_steps_of_the_catalogue_stay_pure_and_jittable():
    from jaxderiv.catalogue.regression import least_squares

    w, X, y = jnp.array([1.0, 2.0]), jnp.array([[3.0, 5.0]]), jnp.array([7.0])
    assert inspect.isfunction(least_squares.gradient)
    assert np.array_equal(jax.jit(least_squares.gradient)(w, X, y), [18.0, 30.0])


def test_left_sides_stand_as_the_file_has_them():
    claims = {c.name: c for name in ("logistic", "softmax") for c in read_catalogue(f"classification/{name}").claims}
    assert claims["hessian"].left_code == "jax.jacobian(gradient)"
    assert claims["residual"].statement == "residual = vmap(grad(cross_entropy))"
    assert claims["gradient"].left_code == "gradient_by_observation"
    assert claims["probabilities_along"].left_code == "lambda Z, U: jnp.einsum('ikm,im->ik', curvature(Z), U)"


def test_a_size_is_its_name():
    assert Dim("n") == n
    assert str(Dim("r")) == "r"
