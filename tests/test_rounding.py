"""The running error bound really bounds what machines lose, at every entry, and does so without waste."""

from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxderiv.catalogue
from jaxderiv.derivation import read_catalogue
from jaxderiv.verify import floating, function_errors
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.places import places
from jaxderiv.verify.question import Programs
from jaxderiv.verify.rounding import CONDITIONED, DTYPES, FUNCTION_ULPS, Rounding
from jaxderiv.verify.suite import question_of
from jaxderiv.verify.truth import settle

WASTE = 1e4  # a bound this many times larger than the error says nothing
CATALOGUE = [
    f"{path.parent.name}/{path.stem}" for path in sorted(Path(jaxderiv.catalogue.__file__).parent.glob("*/[!_]*.py"))
]
QUICK = ("classification/logistic", "regression/weighted_least_squares")

pytestmark = pytest.mark.optimised


# The functions -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", function_errors.NAMES)
def test_no_function_is_worse_than_its_table_says(name):
    for column, dtype in enumerate(DTYPES):
        error, where = function_errors.measure(name, dtype, 300)
        assert error <= FUNCTION_ULPS[name][column], f"{dtype} at {where}"


def test_every_function_of_the_interpreter_is_measured():
    from jaxderiv.verify.interpreter import _UNARY

    assert set(FUNCTION_ULPS) >= _UNARY
    assert set(function_errors.NAMES) >= _UNARY - {"square"}  # a product


def test_points_crowd_where_functions_are_hard():
    x = function_errors.points(function_errors.FUNCTIONS["log"], "float32", 3000)
    assert len(np.unique(x)) == len(x) > 2000
    assert x.min() < 1e-36
    assert x.max() > 1e36
    assert 0 < np.abs(x - 1)[x != 1].min() <= 2.0**-23


def test_errors_are_counted_in_units_of_the_exact_value():
    error = function_errors.ulps([1.5, 2.0, 2.0, np.inf], map(mpmath.mpf, [1.5, 2 + 2.0**-23, 2.0, 4]), "float32")
    assert error.tolist() == [0, 0.5, 0, np.inf]


def test_what_underflows_counts_as_lost():
    exact = [mpmath.mpf(2) ** -140]
    assert function_errors.ulps([0.0], exact, "float32")[0] == 0
    assert function_errors.ulps([1e-30], exact, "float32")[0] > 1e6


# Small programs ----------------------------------------------------------------------------------------------
PROGRAMS = {
    "a sum that cancels": lambda x: jnp.sum(x) - x[0] - x[1] - x[2],
    "products": lambda x: x * x * x - 2.5 * x,
    "a quotient": lambda x: (1 + x) / (2 + x * x),
    "log-sum-exp, naively": lambda x: jnp.log(jnp.sum(jnp.exp(x))),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "a norm": lambda x: x / jnp.sqrt(x @ x),
    "one minus tanh squared": lambda x: 1 - jnp.tanh(x) ** 2,
    "a matrix product": lambda x: jnp.outer(x, x) @ jnp.outer(x, x) @ x,
    "powers": lambda x: jnp.exp(x) ** jnp.asarray(1.75, x.dtype),
    "sinh minus cosh": lambda x: jnp.sinh(x) - jnp.cosh(x),
    "a tail": lambda x: jax.lax.erfc(3 + x),
    "a variance": lambda x: jnp.var(x),
    "a cumulative sum": lambda x: jnp.cumsum(x) / 3,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_holds_for_small_programs(name, dtype):
    f, kind = PROGRAMS[name], DTYPES[dtype]
    rng, worst, widest = np.random.default_rng(3), 0.0, 0.0
    program = trace(f, np.zeros(5))
    with jax.enable_x64(dtype == "float64"):
        compiled = jax.jit(f).lower(jax.ShapeDtypeStruct((5,), kind)).compile()
    for _ in range(20):
        x = rng.normal(size=5).astype(kind)
        with jax.enable_x64(dtype == "float64"):
            got = np.asarray(compiled(jnp.asarray(x)), np.float64)
        x = x.astype(np.float64)
        exact = settle(lambda algebra, x=x: Interpreter(algebra)(program, [x]), stop=4).low[0]
        (bound,) = Interpreter(Rounding(dtype))(program, [x])
        room = bound.error + float(floating.ml_dtypes.finfo(kind).eps) * np.abs(bound.value)
        off = np.abs(np.asarray(exact - got, np.float64))
        assert (off <= room).all(), f"{name}: off by {np.max(off / room)} of the bound at {x}"
        worst, widest = max(worst, off.max()), max(widest, room.max())
    assert widest <= WASTE * worst


def test_a_dtype_that_cannot_hold_the_value_has_no_bound():
    program = trace(lambda x: jnp.exp(x), np.zeros(2))
    with np.errstate(all="ignore"):
        (rounded,) = Interpreter(Rounding("float32"))(program, [np.array([1.0, 100.0])])
    assert np.isfinite(rounded.error).tolist() == [True, False]


def test_literals_that_are_no_dyadics_are_rounded():
    assert Rounding("float32").literal(0.5).error == 0
    assert 0 < Rounding("float32").literal(1 / 3).error <= 2.0**-24
    assert Rounding("bfloat16").literal(0.1).error > Rounding("float32").literal(0.1).error


def test_functions_that_round_their_argument_are_bounded_through_it():
    x = np.array([80.0])
    program = {name: trace(getattr(jax.lax, name), x) for name in ("exp2", "exp")}
    error = {name: Interpreter(Rounding("float32"))(p, [x])[0] for name, p in program.items()}
    assert "exp2" in CONDITIONED
    assert (error["exp2"].error / error["exp2"].value)[0] > 10 * (error["exp"].error / error["exp"].value)[0]


# The catalogue -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CATALOGUE]
)
def test_the_bound_holds_for_the_catalogue(name):
    derivation, programs = read_catalogue(name), Programs()
    questions = [question_of(derivation, claim) for claim in derivation.claims]
    points = [p for p in places(derivation, "normal", 0) if p.kind == "generic"][:2]
    for dtype in DTYPES:
        machine = floating.Machine(questions, dtype)
        for place in points:
            hands, _ = machine(place)
            for question, hand in zip(questions, hands, strict=True):
                program, args = programs.hand(question, place), question.arguments(place)
                run = lambda algebra, program=program, args=args: Interpreter(algebra)(program, args)
                exact = settle(run, stop=4).low
                bounds = floating.bounds(question, place, programs, dtype)
                error = floating.error(hand, exact, dtype, bounds)
                assert error.over <= 1, f"{question.claim} in {dtype}"
                if error.ulps:
                    assert error.bound <= WASTE * error.ulps, f"{question.claim} in {dtype}"
