"""The truth is true: against closed forms, at kinks, where floats fail, and against the failures of JAX."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxderiv
from jaxderiv.verify.interpreter import trace
from jaxderiv.verify.precise import Precise, snap
from jaxderiv.verify.truth import Derivative, Probe, differentiate, settle, truth

GRADIENT, HESSIAN = Derivative("gradient", (0,)), Derivative("hessian", (0,), (0,))
mp = mpmath.MPContext()
mp.dps = 500  # exp(-1000) beside 1 needs 435 digits


def true(f, x, what=GRADIENT):
    point = [np.asarray(x, dtype=float)]
    return truth(trace(f, *point), point, what, (0,))


def only(t):
    (low,), (high,) = t.low, t.high
    assert t.decided
    assert not t.kink
    assert np.all(abs(high - low) <= 1e-25 * abs(low))
    return low if low.ndim else low[()]


def assert_digits(value, exact, digits=24):
    assert abs(value - exact) <= mpmath.mpf(10) ** -digits * abs(exact), mpmath.nstr(value, 30)


# Closed forms ------------------------------------------------------------------------------------------------
def naive_softplus(z):
    return jnp.log(1 + jnp.exp(z))


def logistic(z):
    return 1 / (1 + mp.exp(-mp.mpf(z)))


@pytest.mark.parametrize("z", [0.0, 20.0, 100.0, 300.0, 1000.0, -1000.0, 5e-324])
@pytest.mark.parametrize("softplus", [jax.nn.softplus, naive_softplus], ids=["stable", "naive"])
def test_softplus(softplus, z):
    assert_digits(only(true(softplus, z)), logistic(z))
    curvature = only(true(softplus, z, HESSIAN))
    if (softplus, z) == (naive_softplus, 1000.0):  # 5e-435: what cancels down to 200 digits below one counts as zero
        assert 0 <= curvature < mpmath.mpf(10) ** -200
    else:
        assert_digits(curvature, logistic(z) * logistic(-z))


@pytest.mark.parametrize("z", [20.0, -1000.0])
def test_sigmoid(z):
    s = logistic(z)
    assert_digits(only(true(jax.nn.sigmoid, z)), s * logistic(-z))
    assert_digits(only(true(lambda z: 1 / (1 + jnp.exp(-z)), z, HESSIAN)), s * logistic(-z) * (1 - 2 * s))


@pytest.mark.parametrize(
    ("f", "x", "what", "exact"),
    [
        (lambda x: jnp.exp(-x) * jnp.cos(x), 3.25, GRADIENT, lambda x: -mp.exp(-x) * (mp.cos(x) + mp.sin(x))),
        (lambda x: jnp.log(jnp.cosh(x)), 200.0, HESSIAN, lambda x: mp.sech(x) ** 2),
        (jnp.tanh, 40.0, GRADIENT, lambda x: mp.sech(x) ** 2),
        (jax.lax.erf, 10.0, HESSIAN, lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-(x**2))),
        (jax.lax.lgamma, 2.5, HESSIAN, lambda x: mp.psi(1, x)),
        (lambda x: x**x, 1.5, GRADIENT, lambda x: x**x * (mp.log(x) + 1)),
        (lambda x: (1 - jnp.cos(x)) / x**2, 1e-8, GRADIENT, lambda x: -x / 12 + x**3 / 180),
        (lambda x: (x + 1e16) - 1e16, 0.5, GRADIENT, lambda x: mp.mpf(1)),
        (lambda x: x / 3, 0.5, GRADIENT, lambda x: mp.mpf(1) / 3),
    ],
    ids=["product", "log cosh", "tanh", "erf", "lgamma", "x to the x", "cancellation", "absorption", "a third"],
)
def test_closed_forms(f, x, what, exact):
    assert_digits(only(true(f, x, what)), exact(mp.mpf(x)))


def test_the_seam_of_a_branch_that_fits():
    """A guard at zero: both branches have the same derivatives there."""
    sinc = lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))
    assert only(true(sinc, 0.0)) == 0
    assert_digits(only(true(sinc, 0.0, HESSIAN)), -mp.mpf(1) / 3)
    huber = lambda r: jnp.where(jnp.abs(r) <= 1, r**2 / 2, jnp.abs(r) - 0.5)
    assert_digits(only(true(huber, 1.0)), 1)
    assert_digits(only(true(huber, -1.0)), -1)


def test_an_unguarded_quotient_at_zero_has_a_limit():
    assert abs(only(true(lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / x), 0.0))) < 1e-20


def test_ramps_that_make_a_line():
    """JAX says 0: it takes the left derivative of both ramps."""
    line = lambda x: jax.nn.relu(x) - jax.nn.relu(-x)
    assert jax.grad(line)(0.0) == 0
    assert_digits(only(true(line, 0.0)), 1)


# Kinks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (jnp.abs, -1, 1),
        (jax.nn.relu, 0, 1),
        (lambda x: jnp.maximum(2 * x, -x), -1, 2),
        (lambda x: jnp.where(x > 0, 3 * x, x), 1, 3),
        (lambda x: jnp.sqrt(x * x), -1, 1),
    ],
    ids=["abs", "relu", "maximum", "where", "root of a square"],
)
def test_a_kink_has_its_one_sided_limits(f, low, high):
    found = true(f, 0.0)
    assert found.kink
    assert_digits(found.low[0][()], low)
    assert_digits(found.high[0][()], high)


def test_the_second_derivative_at_the_seam_of_the_huber_loss():
    found = true(lambda r: jnp.where(jnp.abs(r) <= 1, r**2 / 2, jnp.abs(r) - 0.5), 1.0, HESSIAN)
    assert found.kink
    assert (found.low[0][()], found.high[0][()]) == (0, 1)


def test_a_tiny_slope_at_a_seam_keeps_its_digits():
    """From the sides it is only known to be small; there the program itself says what it is."""
    seam = lambda x: jnp.where(x < 1, x * x, 2 * x - 1) * 2.0**-300
    assert_digits(only(true(seam, 1.0)), mp.mpf(2) ** -299)


def test_a_tiny_jump_at_a_kink():
    """Too small to be told from the sides at first: a formula that differs from what the program says looks closer."""
    kink = lambda x: 2.0**-150 * jnp.abs(x)
    report = jaxderiv.check(kink, np.float64(0.0), gradient=lambda x: jnp.where(x < 0, -(2.0**-150), 2.0**-150))
    assert report.ok
    report = jaxderiv.check(kink, np.float64(0.0), gradient=lambda x: jnp.where(x < 0, -(2.0**-151), 2.0**-150))
    assert report.verdict == "refuted"


def test_a_tiny_jump_beside_a_large_slope():
    """The sum of the slopes does not show it."""

    def tiny(x):  # by literals that are exact
        for _ in range(5):
            x = x * 2.0**-20
        return x

    kink = lambda w: w[0] ** 2 + tiny(jnp.abs(w[1]))
    gradient = lambda w: jnp.stack([2 * w[0], tiny(jnp.where(w[1] > 0, 1.0, -1.0))])
    assert jaxderiv.check(kink, np.array([1.0, 0.0]), gradient=gradient).ok


def test_an_entry_that_no_float_holds_has_to_be_right():
    """Only on edges, where entries of 1e-400 are what is left of others, they are not held against a formula."""

    def tiny(x):
        for _ in range(60):
            x = x * 2.0**-20
        return x

    f = lambda w: w[0] ** 2 + tiny(w[1] ** 2)
    gradient = lambda factor: lambda w: jnp.stack([2 * w[0], tiny(factor * w[1])])
    assert jaxderiv.check(f, np.array([1.0, 3.0]), gradient=gradient(2.0)).ok
    assert jaxderiv.check(f, np.array([1.0, 3.0]), gradient=gradient(4.0)).verdict == "refuted"


def test_the_norm_at_zero():
    """JAX says NaN. The subdifferential is the unit ball; limits from a few sides lie inside."""
    assert np.isnan(jax.grad(jnp.linalg.norm)(np.zeros(3))).all()
    found = true(jnp.linalg.norm, np.zeros(3))
    assert found.kink == "a singular point"
    assert (found.low[0] >= -1).all()
    assert (found.low[0] < 0).all()
    assert (found.high[0] > 0).all()
    assert (found.high[0] <= 1).all()


def test_what_has_no_derivative_is_not_decided():
    assert not true(jnp.sqrt, 0.0).decided
    assert not true(lambda x: 1 / x, 0.0).decided
    assert not true(jnp.log, -1.0).decided


# Literals ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("literal", "meant"),
    [
        (0.5, Fraction(1, 2)), (1 / 3, Fraction(1, 3)), (-2 / 7, Fraction(-2, 7)), (1e-5, Fraction(1, 100_000)),
        (0.1, Fraction(1, 10)), (0.044715, Fraction(44715, 10**6)), (1e-12, Fraction(1, 10**12)),
        (1e22, Fraction(10**22)), (0.0, Fraction(0)), (2.0**-20, Fraction(1, 2**20)),
        (123456789.125, Fraction(987654313, 8)),
        (np.log(2), None), (np.sqrt(2 / np.pi), None), (np.pi, None), (0.1 + 2**-40, None),
    ],
)  # fmt: skip
def test_a_literal_is_the_rational_it_was_meant_to_be(literal, meant):
    assert snap(literal) == meant


def test_constants_that_are_kept_are_told():
    algebra = Precise(30)
    odd = 0.1234567890123456
    differentiate(trace(lambda x: x * odd * np.sqrt(2 / np.pi) + 0.1, 1.0), [np.ones(())], GRADIENT, algebra)
    assert algebra.kept == {odd}


# The precision -----------------------------------------------------------------------------------------------
def test_the_precision_rises_with_the_cancellation():
    assert true(jnp.sin, 0.5).digits <= 60
    assert true(naive_softplus, 300.0, HESSIAN).digits > 130


def test_a_result_that_shrinks_with_the_precision_is_zero():
    t = settle(lambda a: [a.sub(a.function("exp", a.constant([1.0])), a.function("exp", a.constant([1.0])))])
    assert t.decided
    assert t.low[0][0] == 0


# Probes ------------------------------------------------------------------------------------------------------
A = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
x = np.array([0.375, -0.75, 0.625])
KINDS = {
    "gradient": (lambda x, v, c: jnp.sum(jnp.tanh(A @ x)), GRADIENT),
    "hessian": (lambda x, v, c: jnp.sum(jnp.tanh(A @ x) * c), HESSIAN),
    "hvp": (lambda x, v, c: jnp.sum(jnp.exp(A @ x) * c), Derivative("hvp", (0,), (0,), (1,))),
    "jacobian": (lambda x, v, c: (jnp.tanh(A @ x), x[0] * x), Derivative("jacobian", (0,))),
    "vjp": (lambda x, v, c: jnp.tanh(A @ x), Derivative("vjp", (0,), along=(2,))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_probe_of_a_derivative_is_the_contraction_of_its_entries(kind):
    f, what = KINDS[kind]
    point = [x, np.array([1.0, -0.5, 2.0]), np.array([0.75, -1.5])]
    program, algebra = trace(f, *point), Precise(40)
    entries = differentiate(program, point, what, algebra)
    for seed in range(2):
        probe = Probe.draw(np.random.default_rng(seed), what, point, program)
        number = probe.derivative(program, point, what, algebra, [])
        assert_digits(number[()], probe.contraction(entries, algebra)[()], 35)
        changed = [entries[0] * (1 + algebra.context.mpf(10) ** -30), *entries[1:]]  # the smallest of changes
        assert abs(number[()] - probe.contraction(changed, algebra)[()]) > 1e-33


# Where JAX is wrong (float32) the tool sides with the hand formula ---------------------------------------------
def notes(report):
    return " ".join(report.results[0].notes)


@pytest.mark.parametrize("z", [12.0, 16.0, 20.0])
def test_the_second_derivative_of_softplus(z):
    hand = lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    machine = jax.hessian(jax.nn.softplus)(np.float32(z))
    assert abs(machine / hand(z) - 1) > 0.05, "JAX has mended it"
    report = jaxderiv.check(jax.nn.softplus, np.float64(z), hessian=hand)
    assert report.ok
    assert "float32 at the example's values: the formula is right" in notes(report)
    assert "autodiff is wrong" in notes(report)


def test_two_wrong_numbers_that_agree():
    """s(1 - s) is right on paper; in float32 it is 0 at 20, and so is JAX's."""
    s = jax.nn.sigmoid
    report = jaxderiv.check(s, np.float64(20.0), gradient=lambda z: s(z) * (1 - s(z)))
    assert report.ok
    assert "this way to compute it loses its digits" in notes(report)
    report = jaxderiv.check(s, np.float64(20.0), gradient=lambda z: s(z) * s(-z))
    assert report.ok
    assert "the formula is right" in notes(report)
    assert "loses its digits" not in notes(report)


def test_the_right_slope_at_a_seam_where_jax_is_wrong():
    line = lambda x: jax.nn.relu(x) - jax.nn.relu(-x)
    report = jaxderiv.check(line, np.float64(0.0), gradient=lambda x: jnp.ones_like(x))
    assert report.ok
    assert "autodiff is wrong" in notes(report)
    report = jaxderiv.check(line, np.float64(0.0), gradient=jax.grad(line))
    assert report.verdict == "refuted", "what autodiff says is no derivative here"
