"""Theorems: what is true withstands the attack, what is false is refuted at an instance, and neither by luck."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxderiv.domains import (
    Array,
    Bit,
    FullColumnRank,
    K,
    Nonnegative,
    Positive,
    PositiveDefinite,
    Real,
    Share,
    Simplex,
    UnitInterval,
    d,
    n,
)
from jaxderiv.errors import DerivationError, InputError
from jaxderiv.theorem import FALSE, HYP, NA, TRUE, at_most, close, equal, expectation, holds, statement
from jaxderiv.verify.attack import Attacker
from jaxderiv.verify.decide import decide


def verdict(function, role="true", seed=0, effort="normal", **how):
    """What becomes of a function under a statement."""
    one = statement("C4.01", TRUE, "x") if role == "true" else statement("C4.01", FALSE, "x", but="y")
    getattr(one, role)(function, **how)
    if role != "true":
        one.true(lambda_true)
    ((_, result), *_) = decide(one, "here", effort, seed).checks
    return result


def lambda_true(x: Real[Array, ()]):
    return at_most(-(x**2), 0.0 * x)


# Inequalities ------------------------------------------------------------------------------------------------
def cauchy_schwarz(x: Real[Array, d], y: Real[Array, d]):
    return at_most((x @ y) ** 2, (x @ x) * (y @ y))


def jensen(p: Simplex[Array, K], x: Real[Array, K]):
    return at_most(jnp.exp(p @ x), p @ jnp.exp(x))


def smallest_eigenvalue(A: PositiveDefinite[Array, d, d], v: Real[Array, d]):
    return at_most(jnp.linalg.eigvalsh(A)[0] * (v @ v), v @ A @ v)


@pytest.mark.parametrize("theorem", [cauchy_schwarz, jensen, smallest_eigenvalue])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_true_withstands(theorem, seed):
    result = verdict(theorem, seed=seed)
    assert result.verdict == "agrees", result.reason
    assert "withstands" in result.reason
    assert result.evidence[0].numbers["instances"] > 3000


@pytest.mark.parametrize("theorem", [cauchy_schwarz, smallest_eigenvalue])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_bound_five_percent_too_strong_is_refuted_without_being_told_where(theorem, seed):
    def weakened(*args):
        smaller, larger, _ = theorem(*args)
        return at_most(smaller, 0.95 * larger)

    weakened.__annotations__ = theorem.__annotations__
    weakened.__signature__ = __import__("inspect").signature(theorem)
    result = verdict(weakened, "as_worded", seed)
    assert result.verdict == "refuted"
    example = result.counterexample
    assert example.hand > example.truth


def test_a_violation_that_random_points_miss_is_found_by_descent():
    def needle(x: Real[Array, 5]):
        """Fails only within 0.1 of a point."""
        return at_most(0.01 - (x - jnp.arange(1.0, 6.0)) @ (x - jnp.arange(1.0, 6.0)), 0.0, scale=1.0)

    attacker = Attacker(one_check(needle), needle, "normal", 0)
    with jax.enable_x64(True):
        assert min(found[0] for *_, found in attacker.random()) > 0
    result = verdict(needle, "as_worded")
    assert result.verdict == "refuted"
    assert result.evidence[0].numbers["found"] == "descent on the margin"


def one_check(function):
    one = statement("C4.01", TRUE, "x")
    one.true(function)
    return one.checks[0]


def test_rounding_is_no_refutation():
    def attained(x: Positive[Array, d]):
        """Equal in exact arithmetic, apart by rounding in floats."""
        return at_most(jnp.sum(x) ** 2 / jnp.sum(x), jnp.sum(x))

    result = verdict(attained)
    assert result.verdict == "agrees"
    assert "attained" in result.reason


def test_a_tiny_violation_is_a_refutation_all_the_same():
    def barely_false(x: Positive[Array, ()]):
        return at_most(x * (1 + 1e-8), x)

    assert verdict(barely_false, "as_worded").verdict == "refuted"


def test_a_hypothesis_is_kept():
    """True for weights that sum to one, and false without."""

    def free(p: Positive[Array, K], x: Real[Array, K]):
        return at_most(jnp.exp(p @ x), p @ jnp.exp(x))

    assert verdict(jensen).verdict == "agrees"
    assert verdict(free, "as_worded").verdict == "refuted"


def test_a_given_instance_comes_first_and_is_not_changed():
    def everywhere_false(x: Real[Array, ()]):
        return at_most(x**2 + 1, 0.0)

    result = verdict(everywhere_false, "as_worded", at=[{"x": 0.123456}])
    assert result.counterexample.inputs == {"x": 0.123456}
    assert "given" in result.reason


def test_an_instance_that_is_found_is_made_simple():
    def negative(x: Real[Array, 3]):
        return at_most(jnp.sum(x), -1.0)

    values = np.array(verdict(negative, "as_worded").counterexample.inputs["x"])
    assert np.array_equal(values, np.round(values))


def test_the_code_of_a_counterexample_names_the_function():
    def negative(x: Real[Array, 3]):
        return at_most(jnp.sum(x), -1.0)

    assert "print(negative(x=jnp.array(" in verdict(negative, "as_worded").counterexample.code


def test_a_margin_that_is_no_number_is_not_passed_on():
    def undefined(x: Real[Array, ()]):
        return at_most(jnp.log(-(x**2) - 1), 1.0)

    result = verdict(undefined)
    assert result.verdict == "inconclusive"
    assert "not a number" in result.reason


def test_a_theorem_about_nothing_is_not_accepted():
    def nothing(x: Real[Array, ()]):
        return at_most(0.0 * x, 0.0 * x)

    assert verdict(nothing).verdict == "inconclusive"


def test_programs_that_high_precision_does_not_know_are_judged_in_floats():
    def largest_modulus(x: Real[Array, n]):
        return at_most(jnp.max(abs(jnp.fft.fft(x))), jnp.sum(abs(x)))

    def too_small(x: Real[Array, n]):
        return at_most(jnp.max(abs(jnp.fft.fft(x))), 0.95 * jnp.sum(abs(x)))

    result = verdict(largest_modulus)
    assert result.verdict == "agrees"
    assert "in floats, since high precision does not know" in result.evidence[0].text
    assert verdict(too_small, "as_worded").verdict == "refuted"


def test_shapes_that_the_hypotheses_rule_out_are_left_out():
    def positive_definite(X: FullColumnRank[Array, n, d], v: Real[Array, d]):
        return at_most(0.0, v @ (X.T @ X) @ v, scale=(v @ v) * jnp.sum(X**2) + 1)

    attacker = Attacker(one_check(positive_definite), positive_definite, "quick", 0)
    assert all(sizes["n"] >= sizes["d"] for sizes in attacker.shapes())
    assert verdict(positive_definite).verdict == "agrees"


# Where false theorems hide --------------------------------------------------------------------------------------
def small_eigenvalues(A: PositiveDefinite[Array, d, d]):
    """False near singular matrices that are not diagonal."""
    inverse = jnp.linalg.inv(A)
    return at_most(jnp.sum(abs(inverse - jnp.diag(jnp.diag(inverse)))), 4.0)


def corner(s: Share[Array, ()], t: Share[Array, ()]):
    """False at (1, 0)."""
    return at_most(s * (1 - t), 0.998)


def both_zero(s: Nonnegative[Array, ()], t: Nonnegative[Array, ()]):
    return holds(s + t > 0)


def different_scales(x: Real[Array, 3], y: Real[Array, 3]):
    """False for a large x with a small y."""
    return at_most(jnp.minimum(x @ x, 1 / (1e-9 + y @ y)), 1e3)


def one_positive(y: Bit[Array, n]):
    """False where one label of seven is one."""
    share = jnp.mean(y)
    return at_most(share * (1 - share) * (0.2 - share), 0.0, scale=1.0)


def partial_ties(x: Positive[Array, 5]):
    return holds((jnp.sum(x == jnp.max(x)) == 1) | (jnp.sum(x == jnp.max(x)) == 5))


def overflowing(z: Real[Array, ()]):
    """In floats not a number where it is false."""
    return at_most(-jnp.log(1 / (1 + jnp.exp(-z))), 710.0)


def hidden_by_another_part(x: Real[Array, 3]):
    return at_most(jnp.sum(x), 0.0), at_most(0.0, jnp.sqrt(jnp.sum(-x)))


def near_one(t: UnitInterval[Array, ()]):
    return at_most(t, 0.99999)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "false",
    [small_eigenvalues, corner, both_zero, different_scales, one_positive, partial_ties, overflowing,
     hidden_by_another_part, near_one],
)  # fmt: skip
def test_it_is_found_where_it_fails(false, seed):
    assert verdict(false, "as_worded", seed).verdict == "refuted"


def gram_matrix(X: Real[Array, n, d]):
    return at_most(0.0, jnp.linalg.eigvalsh(X.T @ X)[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_zero_that_is_rounded_is_no_refutation(seed):
    assert verdict(gram_matrix, seed=seed).verdict == "agrees"


def test_a_scale_that_is_none_decides_nothing():
    def negative(x: Real[Array, ()]):
        return at_most(x**2 + 1, 0.0, scale=-1.0)

    assert verdict(negative).verdict == "inconclusive"


def test_a_function_that_raises_is_named():
    def broken():
        raise ValueError("no such table")

    with pytest.raises(DerivationError, match="broken: it raises ValueError: no such table"):
        verdict(broken)


# Equalities --------------------------------------------------------------------------------------------------
def test_an_equality_is_proved():
    def expansion(x: Real[Array, d], y: Real[Array, d]):
        return equal((x + y) @ (x + y), x @ x + 2 * (x @ y) + y @ y)

    assert verdict(expansion).verdict == "proved"


def test_a_wrong_equality_is_refuted():
    def expansion(x: Real[Array, d], y: Real[Array, d]):
        return equal((x + y) @ (x + y), x @ x + x @ y + y @ y)

    result = verdict(expansion, "as_worded")
    assert result.verdict == "refuted"
    assert "expansion" in result.counterexample.code


def test_an_equality_that_only_floats_can_judge():
    def parseval(x: Real[Array, n]):
        return equal(jnp.sum(abs(jnp.fft.fft(x)) ** 2), len(x) * (x @ x))

    def without_the_length(x: Real[Array, n]):
        return equal(jnp.sum(abs(jnp.fft.fft(x)) ** 2), x @ x)

    assert verdict(parseval).verdict == "agrees"
    assert verdict(without_the_length, "as_worded").verdict == "refuted"


def test_equality_and_inequality_together():
    def both(x: Real[Array, d]):
        return equal(x @ x, jnp.sum(x**2)), at_most(-(x @ x), 0.0)

    def one_wrong(x: Real[Array, d]):
        return equal(x @ x, jnp.sum(x**2)), at_most(x @ x, 0.0)

    assert verdict(both).verdict == "agrees"
    assert verdict(one_wrong, "as_worded").verdict == "refuted"


# Computations ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("computation", "said"),
    [
        (lambda: close(3.14159, np.pi, 5e-6), "agrees"),
        (lambda: close(3.1416, np.pi, 5e-6), "refuted"),
        (lambda: holds(True), "agrees"),
        (lambda: holds(np.array([True, False])), "refuted"),
        (lambda: at_most(np.nan, 1.0), "inconclusive"),
        (lambda: holds(np.zeros(0) == 1), "inconclusive"),
        (lambda: [holds(True), equal(1.0, 1.0 + 1e-8)], "refuted"),
        (lambda: equal(1.0, 1.0), "agrees"),
        (lambda rng: expectation(rng.standard_normal(1000), 0.0), "agrees"),
        (lambda rng: expectation(rng.standard_normal(1000), 0.5), "refuted"),
    ],
)
def test_computations(computation, said):
    def computed():
        return computation()

    def seeded(rng):
        return computation(rng)

    assert verdict(seeded if computation.__code__.co_argcount else computed).verdict == said


# Form --------------------------------------------------------------------------------------------------------
def test_an_instance_that_breaks_a_hypothesis_is_rejected_by_name():
    theorem = statement("C4.01", TRUE, "x").true(smallest_eigenvalue)
    theorem(A=jnp.eye(2), v=jnp.ones(2))
    with pytest.raises(InputError, match="A has to be symmetric positive definite; it came as"):
        theorem(A=jnp.diag(jnp.array([1.0, -1.0])), v=jnp.ones(2))
    with pytest.raises(InputError, match=r"v has shape \(3,\); it is declared as Real\[d\] with d = 2"):
        theorem(A=jnp.eye(2), v=jnp.ones(3))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: statement("C4.01", HYP, "x"), "says not what holds instead"),
        (lambda: statement("C4.01", TRUE, "x", but="y"), "Leave that out"),
        (lambda: statement("C4.01", TRUE, "x").true(max), "write a plain def"),
        (lambda: statement("C4.01", TRUE, "x").true(lambda_true, points=3), "points is no option"),
        (lambda: statement("C4.01", TRUE, "x").true(lambda x: x), "x has no domain"),
        (lambda: decide(statement("C4.01", TRUE, "x"), "here"), "lacks a function that is true"),
        (lambda: decide(statement("C4.01", FALSE, "x", but="y"), "here"), "lacks a function that is as worded and one"),
        (lambda: decide(with_check(statement("C4.01", NA, "x", but="y")), "here"), "label it false or hyp"),
        (lambda: verdict(returns_a_number), "return at_most"),
        (lambda: verdict(branches), "branches on values"),
        (lambda: verdict(lambda_true, at=[{"y": 1.0}]), "the instance lacks x"),
        (lambda: verdict(mismatched), r"given \(3,\) and \(2,\)"),
    ],
)  # fmt: skip
def test_bad_form_says_what_to_write(wrong, message):
    with pytest.raises(InputError, match=message):
        wrong()


def with_check(one):
    one.true(lambda_true)
    return one


def returns_a_number(x: Real[Array, ()]):
    return x


def branches(x: Real[Array, ()]):
    return holds(True) if x > 0 else holds(False)


def mismatched(t: Share[Array, ()]):
    return at_most(jnp.ones(3) * t, jnp.ones(2))


def test_errors_are_errors_of_a_derivation():
    assert issubclass(DerivationError, InputError)


def test_an_equality_of_sizes_of_its_own_and_one_that_leaves_no_column():
    def pythagoras(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
        """Also with one column, where the shorter model has none."""
        fit = lambda X: X @ jnp.linalg.solve(X.T @ X, X.T @ y)
        square, long, short = lambda r: r @ r, fit(X), fit(X[:, :-1])
        return equal(square(y - short), square(y - long) + square(long - short))

    assert verdict(pythagoras).verdict == "proved"
    assert verdict(pythagoras, sizes={"n": 5, "d": 2}).verdict == "proved"
