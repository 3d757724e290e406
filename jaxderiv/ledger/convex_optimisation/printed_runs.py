r"""The two runs of the text's code: three methods on a quadratic, and the Lasso by ADMM.

The data follow the text's recipe (NumPy's old generator, whose stream is frozen, with seed 42): a 10 by 10 normal
matrix A, the quadratic $\frac12 x^\top Q x - b^\top x$ with $Q = A^\top A + I$; then 100 by 50 normal data, ten
nonzero weights and noise 0.1. Source: ML Math Derivations, part 4, "Code".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, PositiveDefinite, Real, d
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import FALSE, TRUE, at_most, close, equal, holds, statement


def recipe():
    """Q, b, X, y and the true weights, in the order in which the text draws them."""
    normal = np.random.RandomState(42).randn
    A, b, X, w = normal(10, 10), normal(10), normal(100, 50), np.zeros(50)
    w[:10] = normal(10)
    return A.T @ A + np.eye(10), b, X, X @ w + 0.1 * normal(100), w


# The quadratic ---------------------------------------------------------------------------------------------
methods = statement(
    "C4.96",
    TRUE,
    r"On a strongly convex quadratic in ten variables gradient descent is still on its way after 200 steps, Newton's "
    r"method is done after one, and BFGS comes to rounding error in about twenty.",
)


@methods.true(sizes={"d": 3})
def newton_is_done_after_one(x: Real[Array, d], centre: Real[Array, d], Q: PositiveDefinite[Array, d, d]):
    r"""$x - [\nabla^2 f]^{-1} \nabla f(x) = x^*$ from everywhere"""
    f = quadratic(Q, centre)
    return equal(x - jnp.linalg.solve(jax.hessian(f)(x), jax.grad(f)(x)), centre)


@methods.true
def descent_is_on_its_way():
    r"""$\kappa(Q) = 26.5$, and 200 steps of length $1/L$ leave an error of $4.8 \cdot 10^{-4}$"""
    Q, b, *_ = recipe()
    x, rate = np.zeros(10), 1 / np.linalg.eigvalsh(Q)[-1]
    for _ in range(200):
        x = x - rate * (Q @ x - b)
    error = np.linalg.norm(x - np.linalg.solve(Q, b))
    return close(np.linalg.cond(Q), 26.5, 0.05), close(error, 4.8e-4, 5e-6)


def bfgs(Q, b, count, step):
    """Iterate and inverse-Hessian matrix after so many steps from zero; `step` chooses a step's length."""
    x, H = np.zeros(len(b)), np.eye(len(b))
    for _ in range(count):
        slope = Q @ x - b
        move = -H @ slope
        move = step(x, slope, move) * move
        change = Q @ move
        if move @ change > 0:  # else it is zero in floats, and there is nothing to learn from it
            V = np.eye(len(b)) - np.outer(move, change) / (move @ change)
            x, H = x + move, V @ H @ V.T + np.outer(move, move) / (move @ change)
    return x, H


@methods.true
def bfgs_by_halving():
    r"""With steps halved from 1 until $f$ falls by a tenth of the slope, BFGS is within $10^{-12}$ after 20 steps"""
    Q, b, *_ = recipe()
    f = lambda x: x @ Q @ x / 2 - b @ x

    def halved(x, slope, move):
        lengths = 0.5 ** np.arange(40.0)
        return next(t for t in lengths if t == lengths[-1] or f(x + t * move) <= f(x) + 0.1 * t * (slope @ move))

    return at_most(np.linalg.norm(bfgs(Q, b, 20, halved)[0] - np.linalg.solve(Q, b)), 1e-12)


@methods.true
def bfgs_with_exact_steps():
    r"""With the best step along each direction BFGS ends after $n = 10$ steps, and with $H = Q^{-1}$"""
    Q, b, *_ = recipe()
    x, H = bfgs(Q, b, 10, lambda x, slope, move: -(slope @ move) / (move @ Q @ move))
    return at_most(np.linalg.norm(x - np.linalg.solve(Q, b)), 1e-9), at_most(np.linalg.norm(H @ Q - np.eye(10)), 1e-6)


@methods.control
def bfgs_one_step_short():
    """Nine exact steps are not enough"""
    Q, b, *_ = recipe()
    x, _ = bfgs(Q, b, 9, lambda x, slope, move: -(slope @ move) / (move @ Q @ move))
    return at_most(np.linalg.norm(x - np.linalg.solve(Q, b)), 1e-9)


# The Lasso -------------------------------------------------------------------------------------------------
support = statement(
    "C4.97",
    FALSE,
    r"The Lasso by ADMM with $\lambda = 0.1$ finds ten nonzero weights where ten are in the truth.",
    but=r"It keeps 43 of 50: $\lambda = 0.1$ is 0.05\% of the $\lambda_{\max} = 218$ from which on all weights are "
    r"zero. $\lambda = 3$ keeps exactly the true ten, with an error of 0.098 (least squares: 0.102); $\lambda = "
    r"5$ keeps them too, but shrinks them further, to an error of 0.175.",
)


def admm(X, y, lam, rho=10.0, count=500):
    """The sparse iterate of ADMM for the Lasso."""
    inverse = np.linalg.inv(X.T @ X + rho * np.eye(X.shape[1]))
    z, u = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(count):
        beta = inverse @ (X.T @ y + rho * (z - u))
        z = np.sign(beta + u) * np.maximum(abs(beta + u) - lam / rho, 0.0)
        u = u + beta - z
    return z


@support.as_worded
def ten_are_found():
    r"""$\|z\|_0 \le 10$ at $\lambda = 0.1$"""
    _, _, X, y, _ = recipe()
    return at_most(float(np.count_nonzero(admm(X, y, 0.1))), 10.0)


@support.true
def more_are_kept():
    r"""43 nonzeros at $\lambda = 0.1$, where the conditions of optimality $|X_j^\top (y - Xz)| \le \lambda$ hold;
    errors"""
    _, _, X, y, w = recipe()
    z, error = admm(X, y, 0.1), lambda fit: np.linalg.norm(fit - w)
    pull = X.T @ (y - X @ z)
    return (
        equal(float(np.count_nonzero(z)), 43.0),
        at_most(abs(np.where(z == 0, np.maximum(abs(pull) - 0.1, 0), pull - 0.1 * np.sign(z))), 1e-9),
        close([error(z), error(np.linalg.lstsq(X, y)[0])], [0.0909, 0.1021], 5e-5),
    )


@support.true
def penalties_that_find_ten():
    r"""$\lambda_{\max} = \max_j |X_j^\top y| = 218$; $\lambda = 3$ and $\lambda = 5$ keep exactly the true ten, with
    their errors"""
    _, _, X, y, w = recipe()
    smaller, larger, largest = admm(X, y, 3.0), admm(X, y, 5.0), abs(X.T @ y).max()
    return (
        close(largest, 218, 0.5),
        holds(np.any(admm(X, y, 0.99 * largest)) and not np.any(admm(X, y, 1.01 * largest))),
        holds(np.array_equal(smaller != 0, w != 0) and np.array_equal(larger != 0, w != 0)),
        close([np.linalg.norm(smaller - w), np.linalg.norm(larger - w)], [0.0984, 0.1753], 5e-5),
    )
