r"""Certificates of optimality, computed from data: how far a point can be from a minimum, whatever method found it.

The elastic net is $P(w) = \frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|^2)$, a *sum* over
observations; $\alpha$ is ``l1_ratio``, the lasso has $\alpha = 1$ and ridge regression $\alpha = 0$. The logistic loss
is a *mean* over observations with labels 0 or 1, and the penalty $\frac\lambda2 \|w\|^2$, as in the catalogue. There is
no intercept: X is (n, d), y (n,), w (d,).

A KKT residual is the distance of zero from the subdifferential, in the largest entry. A duality gap is the value less a
lower bound of the minimum: the value of the dual at a point made of the residuals of w. All are computed in float64,
whatever the method used, and are pure JAX functions which the loops compile.

Source: Boyd and Vandenberghe, Convex Optimization, chapter 5; Kim, Koh, Lustig, Boyd and Gorinevsky, An interior-point
method for large-scale l1-regularized least squares (2007), for the scaled residual.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from jaxderiv.catalogue.classification import logistic
from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import within


def elastic_net(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1_ratio=1.0) -> jax.Array:
    r"""$P(w)$, the value that the elastic net minimises, in the precision of its arguments"""
    r = y - X @ w
    return r @ r / 2 + lam * (l1_ratio * jnp.abs(w).sum() + (1 - l1_ratio) / 2 * (w @ w))


def elastic_net_kkt(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1_ratio=1.0) -> jax.Array:
    r"""The largest violation of $X_j^\top (y - Xw) - \lambda (1 - \alpha) w_j = \lambda\alpha\, \mathrm{sign}(w_j)$
    where $w_j \ne 0$, and of $|X_j^\top (y - Xw)| \le \lambda\alpha$ where $w_j = 0$. InputError for a negative lam or
    empty data.
    """
    w, X, y, lam, l1_ratio = _double(w, X, y, lam, l1_ratio=l1_ratio)
    c = X.T @ (y - X @ w) - lam * (1 - l1_ratio) * w
    violation = jnp.where(w == 0, jnp.maximum(jnp.abs(c) - lam * l1_ratio, 0.0), c - lam * l1_ratio * jnp.sign(w))
    return jnp.abs(violation).max()


def elastic_net_gap(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1_ratio=1.0) -> jax.Array:
    """P(w) less the dual value of the residuals: P(w) - min P, or more. Divided by P(0) by `elastic_net_relative_gap`.

    Of two dual points the better one counts: the residual scaled into the dual's domain of the l1 norm, and, where
    there is a quadratic part, the residual as it is. InputError as in `elastic_net_kkt`.
    """
    w, X, y, lam, l1_ratio = _double(w, X, y, lam, l1_ratio=l1_ratio)
    r, l1, l2 = y - X @ w, lam * l1_ratio, lam * (1 - l1_ratio)
    # The quadratic part as d more observations of value 0: a lasso, whose dual point is scaled into |X'theta| <= l1.
    c, squares, product = X.T @ r - l2 * w, r @ r + l2 * (w @ w), y @ r
    longest = l1 / jnp.maximum(jnp.abs(c).max(), jnp.finfo(float).tiny)
    scale = jnp.clip(product / jnp.where(squares > 0, squares, 1.0), -longest, longest)
    scaled = squares / 2 + l1 * jnp.abs(w).sum() - (scale * product - scale**2 * squares / 2)
    return _least_gap(scaled, X.T @ r, w, l1, l2)


def elastic_net_relative_gap(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1_ratio=1.0) -> jax.Array:
    r"""`elastic_net_gap` in units of $P(0) = \frac12 \|y\|^2$ (of 1 if that is 0). InputError as there."""
    gap, at_zero = elastic_net_gap(w, X, y, lam, l1_ratio), jnp.sum(jnp.asarray(y, jnp.float64) ** 2) / 2
    return gap / jnp.where(at_zero > 0, at_zero, 1.0)


def ridge_gap(w: jax.Array, X: jax.Array, y: jax.Array, lam) -> jax.Array:
    """`elastic_net_gap` of ridge regression: |gradient|^2 / (2 lam), or the value if that is less. InputError unless
    lam > 0, or for empty data.
    """
    within("ridge_gap: lam", lam, above=0)
    return elastic_net_gap(w, X, y, lam, 0.0)


def logistic_gap(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1=0.0) -> jax.Array:
    r"""The duality gap of $\frac1n \sum_i \ell(x_i^\top w, y_i) + l_1 \|w\|_1 + \frac\lambda2 \|w\|^2$; for l1 = 0 it
    is |gradient|^2 / (2 lam), or the value if that is less.

    The dual value of u, (n,), is $-\frac1n \sum_i H(y_i + n u_i) - h^*(-X^\top u)$, $H(p) = p \log p + (1 - p) \log(1 -
    p)$; u are the residuals over n, as they are (if lam > 0) or scaled into $|X^\top u| \le l_1$. InputError for a
    negative number, for lam = l1 = 0 (there is no finite gap), or for empty data.
    """
    w, X, y, lam, l1 = _double(w, X, y, lam, l1=l1)
    within("logistic_gap: lam + l1", lam + l1, above=0)
    residual = logistic.residual(X @ w, y)
    c = -X.T @ residual / len(y)
    # The value of the lasso-like dual, its quadratic part being left out: valid, since that part is not negative.
    longest = jnp.minimum(1.0, l1 / jnp.maximum(jnp.abs(c).max(), jnp.finfo(float).tiny))
    p = y + longest * residual
    dual = -jnp.mean(xlogy(p, p) + xlogy(1 - p, 1 - p))
    scaled = logistic.loss(w, X, y, lam) + l1 * jnp.abs(w).sum() - dual
    return _least_gap(scaled, c, w, l1, lam)


def logistic_relative_gap(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1=0.0) -> jax.Array:
    """`logistic_gap` in units of the value at w = 0, log 2."""
    return logistic_gap(w, X, y, lam, l1) / jnp.log(2.0)


def _least_gap(scaled: jax.Array, c: jax.Array, w: jax.Array, l1: jax.Array, l2: jax.Array) -> jax.Array:
    """The smaller of a gap and of that of the dual point as it is, c = -X'u, which needs l2 > 0."""
    # By Fenchel and Young it is the sum of h(w_j) + h*(c_j) - c_j w_j, here without cancellation: a square, and what
    # |w_j| l1 lacks to the product with the part of c_j that the l1 norm takes.
    taken = jnp.clip(c, -l1, l1)
    squares = (c - taken - l2 * w) ** 2
    unscaled = jnp.sum(squares / (2 * jnp.where(l2 > 0, l2, 1.0)) + l1 * jnp.abs(w) - taken * w)
    # At the minimum round-off may take a difference of values below zero.
    return jnp.maximum(jnp.where(l2 > 0, jnp.minimum(scaled, unscaled), scaled), 0.0)


def _double(w, X, y, lam, **others) -> list[jax.Array]:
    """The arguments in float64, checked."""
    if not jax.config.jax_enable_x64:
        raise InputError("certificates are computed in float64; write `with jax.enable_x64(True):` around the run")
    shapes = tuple(jnp.shape(array) for array in (w, X, y))
    *observations, d = shapes[1] or (0,)
    if not (jnp.size(X) and observations and shapes == ((d,), shapes[1], tuple(observations))):
        came = "w, X and y have the shapes {}, {} and {}".format(*shapes)
        raise InputError(f"{came}; allowed: (d,), (n, d) and (n,), n, d >= 1")
    for name, number in {"lam": lam, **others}.items():
        within(name, number, least=0, most=1 if name == "l1_ratio" else math.inf)
    w, X, y, lam, *numbers = (jnp.asarray(array, jnp.float64) for array in (w, X, y, lam, *others.values()))
    return [w, X.reshape(-1, w.size), y.ravel(), lam, *numbers]
