"""Iteratively reweighted least squares: Newton's step of a linear model, written as a weighted regression."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import Formula, named, one_array
from jaxderiv.optimisers.linesearch import armijo


def irls(
    residual: Formula,
    curvature: Formula,
    *,
    penalty: Formula | None = None,
    linesearch: optax.GradientTransformationExtraArgs | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Step to the weighted least-squares fit of the working response, damped by backtracking.

    The model has z = Xw; its loss $\sum_i \ell(z_i, y_i)$, up to a positive factor, the residuals $u_i = \ell'(z_i)$
    and the curvatures $s_i = \ell''(z_i)$. The full step leads to
    $w_+ = (X^\top S X + \lambda I)^{-1} X^\top S \tilde z$ with $\tilde z = Xw - S^{-1} u$, the same point as Newton's,
    found by the QR factorisation of $S^{1/2} X$, whose condition number is the root of the Hessian's.

    Args:
        residual: ``residual(z, **data)``, (n,); `logistic.residual` as it stands.
        curvature: ``curvature(z, **data)``, (n,), positive; `logistic.curvature` as it stands. Other positive weights
            give other methods: with $s_i = \min(1, \delta / |r_i|)$ it is the usual one for Huber's loss.
        penalty: ``penalty(**data)``, the lambda of half the squared norm beside the *sum* over observations; none if
            None. For a mean over observations, ``lambda X, lam: len(X) * lam``.
        linesearch: `armijo()` if None; ``optax.identity()`` gives the pure method.
    Returns:
        A transformation; ``update`` needs the data ``X``, (n, d).
    Raises:
        InputError: while tracing, if the parameter is not (d,) for X of (n, d).

    Where weights vanish, or X has dependent columns and there is no penalty, the step is NaN.

    Source: ML Math Derivations, part 6, "Newton and IRLS"; Hastie, Tibshirani and Friedman, The Elements of Statistical
        Learning (2nd edition), section 4.4.1.
    """
    return optax.chain(scale_by_irls(residual, curvature, penalty), optax.scale(-1.0), linesearch or armijo())


def scale_by_irls(
    residual: Formula, curvature: Formula, penalty: Formula | None = None
) -> optax.GradientTransformationExtraArgs:
    """The direction from the weighted least-squares fit to the parameter, undamped. As in `irls`."""

    def init(params):
        one_array(params)
        return optax.EmptyState()

    def update(updates, state, params, *, X, **extra):
        data = {"X": X, **extra}
        if updates.shape != (X.shape[1],):
            raise InputError(f"irls: the parameter has shape {updates.shape}; X of shape {X.shape} needs {X.shape[1:]}")
        z = X @ params
        s = curvature(z, **named(curvature, data))
        root = jnp.sqrt(s)
        rows, response = root[:, None] * X, root * z - residual(z, **named(residual, data)) / root
        if penalty is not None:
            lam = penalty(**named(penalty, data, given=0))
            rows = jnp.concatenate([rows, jnp.sqrt(lam) * jnp.eye(X.shape[1], dtype=X.dtype)])
            response = jnp.concatenate([response, jnp.zeros_like(params)])
        Q, R = jnp.linalg.qr(rows)
        return params - jax.scipy.linalg.solve_triangular(R, Q.T @ response), state

    return optax.GradientTransformationExtraArgs(init, update)
