r"""The lasso's path: its solutions as the penalty grows, and the scale of its axis.

$F(w) = \frac12 \|y - Xw\|^2 + \lambda \|w\|_1$, X is n by d; a sample enters by $G = X^\top X$ and $X^\top y$ only.

Source: ML Math Derivations, part 5, "Regularisation".
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Nonnegative, Positive, Real, d, n
from jaxderiv.ledger.linear_regression.lasso import coordinate_descent, random_problem
from jaxderiv.ledger.linear_regression.proximal import lasso_loss
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import FALSE, IMPR, at_most, equal, holds, statement

path = statement(
    "C5.30",
    FALSE,
    r"Along the lasso's path every coefficient hits zero as $\lambda$ grows and stays there.",
    but=r"A coefficient can come back. It is a piecewise linear function of $\lambda$, zero for all "
    r"$\lambda \ge \max_j |x_j^\top y|$, and before that it can vanish and reappear; it stays at zero if the columns "
    r"are orthogonal.",
)
GRAM = np.array([[3.37, -1.07, 0.86], [-1.07, 0.65, -0.67], [0.86, -0.67, 0.91]])
MOMENTS = np.array([-1.85, 1.57, -0.10])


@path.as_worded
def zero_stays_zero():
    r"""Of three features, over a grid of $\lambda$: once a coefficient is zero, it is zero at the next $\lambda$ too"""
    trace = np.array([coordinate_descent(GRAM, MOMENTS, lam) for lam in np.linspace(0.05, 2, 40)])
    return at_most(abs(trace[1:]) * (trace[:-1] == 0), 0.0)


@path.true
def comes_back():
    r"""Of those three the first is active at 1.44, zero from 1.137 down to 0.494, and active again below"""
    lambdas = (1.44, 1.138, 1.136, 0.495, 0.493, 0.05)
    first = np.array([coordinate_descent(GRAM, MOMENTS, lam)[0] for lam in lambdas])
    return holds((first != 0) == np.array([True, True, False, False, True, True]))


@path.true
def piecewise_linear(rng):
    r"""Wherever two $\lambda$ have the same signs of w, the solution halfway is halfway between the solutions"""
    G, c = random_problem(rng)
    grid = np.linspace(0.01, 1, 60) * np.max(abs(c))
    trace = np.array([coordinate_descent(G, c, lam) for lam in grid])
    same = np.all(np.sign(trace[2:]) == np.sign(trace[:-2]), axis=1)
    bend = abs(trace[2:] + trace[:-2] - 2 * trace[1:-1])
    return at_most(bend[same], 1e-10), at_most(0.5, np.mean(same)), holds(trace[-1] == 0)


@path.true
def orthogonal_design(
    a: Real[Array, d], squares: Positive[Array, d], lam: Positive[Array, ()], more: Nonnegative[Array, ()]
):
    r"""With orthogonal columns $|w_j(\lambda)| = |S_\lambda(x_j^\top y)| / \|x_j\|^2$ never grows: what is zero
    stays zero"""
    return at_most(abs(soft_threshold(a, lam + more)) / squares, abs(soft_threshold(a, lam)) / squares)


# ------------------------------------------------------------------------------------------------------------
units = statement(
    "C5.31",
    IMPR,
    r"One axis $\lambda$ serves for ridge and lasso paths that scikit-learn's `Ridge(alpha)` and `Lasso(alpha)` "
    r"computed.",
    but=r"`Lasso` divides the squares by 2n, so its `alpha` is $\lambda / n$; `Ridge` has no factor at all, so its "
    r"`alpha` is $\lambda$. With n = 80 observations the lasso's axis is off by a factor of 80.",
)


def lasso_of_scikit_learn(X, y, alpha):
    r"""$\frac{1}{2n} \|y - Xw\|^2 + \alpha \|w\|_1$"""
    return lambda w: jnp.mean((y - X @ w) ** 2) / 2 + alpha * jnp.sum(abs(w))


@units.as_worded(at=[{"x": [1.0, 1.0], "y": [1.0, 1.0], "alpha": 1.0, "v": [0.0]}])
def alpha_is_lambda(x: Real[Array, n], y: Real[Array, n], alpha: Positive[Array, ()], v: Real[Array, 1]):
    r"""`Lasso(alpha)` of one feature is minimised by the lasso's solution at $\lambda = \alpha$"""
    objective = lasso_of_scikit_learn(x[:, None], y, alpha)
    return at_most(objective(soft_threshold(x @ y, alpha)[None] / (x @ x)), objective(v))


@units.true
def alpha_times_n_is_lambda(X: Real[Array, n, d], y: Real[Array, n], alpha: Positive[Array, ()], w: Real[Array, d]):
    r"""`Lasso(alpha)` minimises F/n at $\lambda = n\alpha$; `Ridge(alpha)`, $\|y - Xw\|^2 + \alpha\|w\|^2$, twice
    the ridge loss at $\lambda = \alpha$"""
    r = y - X @ w
    ridge = r @ r / 2 + alpha / 2 * (w @ w)
    lasso, theirs = lasso_loss(X, y, len(y) * alpha)(w), lasso_of_scikit_learn(X, y, alpha)(w)
    return equal(len(y) * theirs, lasso), equal(jnp.sum(r**2) + alpha * jnp.sum(w**2), 2 * ridge)
