r"""The sigmoid: its values, its derivative, and what floating point makes of them.

$\sigma(z) = 1 / (1 + e^{-z})$; its inverse is the logit, $\log(p / (1 - p))$.

Source: ML Math Derivations, part 6, "From linear regression to probabilities".
"""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from jaxderiv.catalogue.notation import sigmoid
from jaxderiv.domains import Array, Bit, Positive, Real, UnitInterval, d, n
from jaxderiv.theorem import HYP, IMPR, TRUE, at_most, close, equal, holds, statement

link = statement(
    "C6.01",
    IMPR,
    "A linear output has no meaning as a probability; a link function maps it into [0, 1].",
    but="The sigmoid is the inverse of the link, which is the logit and maps probabilities to the line; and its range "
    "is the open interval, so that no finite output is a probability of 0 or 1.",
)


@link.true
def logit_is_the_link(p: UnitInterval[Array, n]):
    r"""$\sigma(\log \frac{p}{1 - p}) = p$: the link leads from probabilities to the line"""
    return equal(sigmoid(jnp.log(p / (1 - p))), p)


@link.true
def ends_are_not_reached(z: Real[Array, n]):
    r"""$0 < \sigma(z) < 1$ at every finite output: decided with 40 digits"""
    return holds((sigmoid(z) > 0) & (sigmoid(-z) > 0))


@link.as_worded
def the_link_maps_into_the_interval(p: UnitInterval[Array, ()]):
    r"""The link, $\log \frac{p}{1 - p}$, is at most 1"""
    return at_most(jnp.log(p / (1 - p)), 1.0)


centre = statement(
    "C6.02",
    TRUE,
    r"$\sigma(0) = \frac12$ and $\sigma'(0) = \frac14$, so $\sigma(z) \approx \frac12 + \frac z4$; "
    r"the slope is largest there and only there.",
)


@centre.true
def values_at_zero():
    r"""$\sigma(0) = \frac12$, $\sigma'(0) = \frac14$, $\sigma''(0) = 0$"""
    found = [f(0.0) for f in (jax.nn.sigmoid, jax.grad(jax.nn.sigmoid), jax.grad(jax.grad(jax.nn.sigmoid)))]
    return equal(jnp.array(found), jnp.array([0.5, 0.25, 0.0]))


@centre.true(at=[{"z": 0.0}])
def slope_is_at_most_a_quarter(z: Real[Array, ()]):
    r"""$\sigma'(z) \le \frac14$"""
    return at_most(jax.grad(jax.nn.sigmoid)(z), 0.25)


@centre.true
def slope_falls_away_from_zero(z: Positive[Array, ()]):
    r"""$\sigma'(z) \le \frac14 / (1 + z^2 / 4)$, which is a quarter at zero alone"""
    return at_most(jax.grad(jax.nn.sigmoid)(z) * (1 + z**2 / 4), 0.25)


open_interval = statement(
    "C6.03",
    HYP,
    r"$0 < \sigma(z) < 1$ for every $z$.",
    but="So it is for real numbers. In float64 the sigmoid is 1 from 37 on, in float32 from 17 on, and far below zero "
    "it is 0: losses are to be computed from log-sigmoids.",
)


@open_interval.true
def both_are_positive(z: Real[Array, n]):
    r"""$0 < \sigma(z)$ and $0 < \sigma(-z) = 1 - \sigma(z)$: decided with 40 digits, where floats have zero"""
    return holds((sigmoid(z) > 0) & (sigmoid(-z) > 0))


@open_interval.true
def logarithms_stay_finite(z: Real[Array, n]):
    r"""$\log \sigma(z) = -\log(1 + e^{-z})$, which floats can hold"""
    return equal(jax.nn.log_sigmoid(z), jnp.log(sigmoid(z)))


@open_interval.as_worded
def in_floating_point():
    r"""$\sigma(z) < 1$ as float64 has it at 37 and float32 at 17, and $\sigma(z) > 0$ at -800"""
    ones = jax.nn.sigmoid(jnp.array(37.0)), jax.nn.sigmoid(jnp.array(17.0, jnp.float32))
    return holds(jnp.array([ones[0] < 1, ones[1] < 1, jax.nn.sigmoid(jnp.array(-800.0)) > 0]))


symmetry = statement("C6.04", TRUE, r"$\sigma(-z) = 1 - \sigma(z)$.")


@symmetry.true
def point_symmetry(z: Real[Array, n]):
    r"""$\sigma(-z) = 1 - \sigma(z)$, as real numbers"""
    return equal(sigmoid(-z), 1 - sigmoid(z))


@symmetry.control
def difference_keeps_its_digits():
    r"""In float64, $1 - \sigma(40)$ has an error below one percent (it is zero; $\sigma(-40)$ is exact)"""
    exact = float(1 / (1 + mpmath.exp(40)))
    return close(1 - jax.nn.sigmoid(40.0), exact, exact / 100)


slope = statement("C6.05", TRUE, r"$\sigma'(z) = \sigma(z) (1 - \sigma(z))$.")
slope.line("classification/logistic", "curvature")


@slope.true
def slope_of_the_sigmoid(z: Real[Array, n]):
    r"""$\sigma' = \sigma (1 - \sigma)$"""
    return equal(jax.vmap(jax.grad(jax.nn.sigmoid))(z), sigmoid(z) * (1 - sigmoid(z)))


@slope.true
def written_with_both_tails():
    r"""In float64 at $z = 100$, where JAX's derivative is 0, $\sigma(z)\,\sigma(-z)$ is right to twelve digits"""
    exact = float(mpmath.exp(-100) / (1 + mpmath.exp(-100)) ** 2)
    ours = float(sigmoid(jnp.array(100.0)) * sigmoid(jnp.array(-100.0)))
    return at_most(abs(ours / exact - 1), 1e-12), holds(jax.grad(jax.nn.sigmoid)(100.0) == 0)


differences = statement(
    "C6.06",
    IMPR,
    "Finite differences on a thousand points of [-6, 6] verify the derivative of the sigmoid.",
    but=r"They bound its error by what they themselves get wrong, $h^2 \max|\sigma'''| / 6$ inside and a first-order "
    "error at the two ends: a wrong formula off by less would pass. Autodiff and exact arithmetic leave no such room.",
)


def _difference_errors() -> np.ndarray:
    z = np.linspace(-6, 6, 1000)
    s = 1 / (1 + np.exp(-z))
    return abs(np.gradient(s, z) - s * (1 - s))


@differences.as_worded
def differences_see_round_off():
    """The differences tell the formula from one that is off by 1e-6 everywhere: their own error is smaller"""
    return at_most(_difference_errors().max(), 1e-6)


@differences.true
def what_differences_get_wrong():
    r"""Inside, the error is $h^2/6 \cdot \max|\sigma'''|$ with $\max|\sigma'''| = \frac18$; at the ends it is larger"""
    errors, h = _difference_errors(), 12 / 999
    third = jax.vmap(jax.grad(jax.grad(jax.grad(jax.nn.sigmoid))))(jnp.linspace(-6, 6, 1001))
    return (
        close(jnp.max(abs(third)), 0.125, 1e-9),
        at_most(errors[1:-1].max(), h**2 / 6 / 8),
        close(errors[1:-1].max(), h**2 / 6 / 8, 1e-8),
        close(errors[[0, -1]], 1.48e-5, 5e-8),
    )


bernoulli = statement(
    "C6.07",
    TRUE,
    r"With $P(y = 1 | x) = \sigma(w^\top x)$ the probability of a label is $\hat y^y (1 - \hat y)^{1 - y}$.",
)


@bernoulli.true
def power_form(p: UnitInterval[Array, n], y: Bit[Array, n]):
    r"""$\hat y^y (1 - \hat y)^{1 - y}$ is $\hat y$ for a one and $1 - \hat y$ for a zero"""
    return close(p**y * (1 - p) ** (1 - y), jnp.where(y == 1, p, 1 - p), 1e-14)


@bernoulli.true
def probabilities_sum_to_one(p: UnitInterval[Array, n]):
    r"""Over both labels they sum to 1"""
    mass = lambda y: p**y * (1 - p) ** (1 - y)
    return equal(mass(0) + mass(1), jnp.ones_like(p))


@bernoulli.control
def power_form_differentiates_at_its_ends():
    r"""JAX's derivative of $p^y$ in $p$ is finite at $p = 0$ for a label that is the float 0"""
    return holds(jnp.isfinite(jax.grad(lambda p, y: p**y)(0.0, 0.0)))


monotone = statement("C6.08", TRUE, "The probability grows along w and along no other direction faster.")


@monotone.true
def slope_along_the_weights(x: Real[Array, d], w: Real[Array, d]):
    r"""$\frac{d}{dt} \hat y(x + t w) = \hat y (1 - \hat y) \|w\|^2$ at $t = 0$"""
    along = jax.jvp(lambda x: sigmoid(w @ x), (x,), (w,))[1]
    return equal(along, sigmoid(w @ x) * sigmoid(-(w @ x)) * (w @ w))


@monotone.true(at=[{"x": [1.0, 0.0], "w": [1.0, 2.0], "v": [1.0, 2.0]}])
def no_direction_is_steeper(x: Real[Array, d], w: Real[Array, d], v: Real[Array, d]):
    r"""The slope along any $v$ is at most $\hat y (1 - \hat y) \|w\| \|v\|$"""
    along = jax.jvp(lambda x: sigmoid(w @ x), (x,), (v,))[1]
    return at_most(along, sigmoid(w @ x) * sigmoid(-(w @ x)) * jnp.sqrt((w @ w) * (v @ v)))
