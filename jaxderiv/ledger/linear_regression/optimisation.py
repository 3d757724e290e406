r"""Least squares by gradient descent: costs, conventions and rates.

X is n by d and $L(w) = \frac12 \|y - Xw\|^2$ a sum; a step of batch gradient descent uses L/n. The condition number
$\kappa$ is that of X'X, the ratio of its extreme eigenvalues. Stochastic gradients have a file of their own.

Source: ML Math Derivations, part 5, "Optimisation".
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, UnitInterval, d, n
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.theorem import FALSE, IMPR, at_most, close, equal, statement


def squares(X, y):
    r"""$L(w) = \frac12 \|y - Xw\|^2$"""
    return lambda w: (y - X @ w) @ (y - X @ w) / 2


# ------------------------------------------------------------------------------------------------------------
cost = statement(
    "C5.40",
    IMPR,
    r"The closed form costs $O(d^3)$ time and $O(d^2)$ memory, so for $d = 10^6$ gradient descent is the only option.",
    but=r"With more observations than features, forming $X^\top X$ in $O(n d^2)$ is what costs most. And for a large "
    r"d there are conjugate gradients, LSQR, sketching and sparse factorisation: the first two need products with X "
    r"only, like gradient descent, and far fewer of them.",
)


def operations(function, *shapes):
    """The floating-point operations that XLA counts in a compiled function of arrays of these shapes."""
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*shapes).compile().cost_analysis()["flops"]


@cost.as_worded
def cubic_in_features():
    r"""For 20 features a solution by $X^\top X$ takes at most $10 d^3$ operations, also with 10000 observations"""
    return at_most(operations(lambda X: X.T @ X, (10_000, 20)), 10.0 * 20**3)


@cost.true
def forming_the_matrix():
    r"""$X^\top X$ takes $2 n d^2$ operations, as counted by the compiler"""
    counts = [operations(lambda X: X.T @ X, shape) for shape in ((100, 20), (1000, 20), (1000, 40))]
    return close(np.array(counts), 2.0 * np.array([100 * 20**2, 1000 * 20**2, 1000 * 40**2]), 1.0)


@cost.true
def elimination_is_cheaper():
    r"""Eliminating in a d by d matrix takes $2 \sum_k k (k + 1) \approx \frac23 d^3$ operations: less than forming
    it already at n = d"""
    sizes = (10, 40, 160)
    elimination = [2.0 * sum(k * (k + 1) for k in range(size)) for size in sizes]
    return at_most(np.array(elimination), np.array([operations(lambda X: X.T @ X, (size, size)) for size in sizes]))


@cost.true
def fewer_products_with_lsqr(rng):
    r"""20000 features, 30000 observations, sparse: LSQR is at the solution after 60 iterations, where gradient descent
    has a hundred times its error; no 20000 by 20000 matrix is formed"""
    places = rng.integers(30_000, size=120_000), rng.integers(20_000, size=120_000)
    X = sparse.csr_array((rng.uniform(0, 1, 120_000), places), shape=(30_000, 20_000)) + sparse.eye_array(
        30_000, 20_000
    )
    w, v = rng.standard_normal((2, 20_000))
    for _ in range(30):
        v = X.T @ (X @ (v / np.linalg.norm(v)))  # its length becomes the largest eigenvalue
    y, rate = X @ w, 1 / np.linalg.norm(v)
    by_lsqr, descent = linalg.lsqr(X, y, atol=0, btol=0, iter_lim=60)[0], np.zeros(20_000)
    for _ in range(60):
        descent -= rate * (X.T @ (X @ descent - y))
    return at_most(100 * np.linalg.norm(by_lsqr - w), np.linalg.norm(descent - w))


# ------------------------------------------------------------------------------------------------------------
batch = statement(
    "C5.41",
    IMPR,
    r"Batch gradient descent on $L = \frac12\|y - Xw\|^2$ is $w \leftarrow w - \eta \frac1n X^\top (Xw - y)$, at "
    r"$O(nd)$ a step.",
    but=r"That is the gradient of L/n, the mean, and not of L, the sum that was defined; the two differ by a factor "
    r"of n in $\eta$. The cost is right.",
)


@batch.as_worded
def step_on_the_sum(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], rate: Positive[Array, ()]):
    r"""$w - \eta \nabla L(w) = w - \eta \frac1n X^\top (Xw - y)$"""
    return equal(w - rate * jax.grad(squares(X, y))(w), w - rate * X.T @ (X @ w - y) / len(y))


batch.line("regression/mean_squared_error", "gradient")


@batch.true
def step_on_the_mean(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], rate: Positive[Array, ()]):
    r"""$w - \eta \nabla (L/n)(w) = w - \eta \frac1n X^\top (Xw - y)$, a step on L with the rate $\eta / n$"""
    mean, step = lambda w: squares(X, y)(w) / len(y), w - rate * X.T @ (X @ w - y) / len(y)
    return equal(w - rate * jax.grad(mean)(w), step), equal(w - rate / len(y) * jax.grad(squares(X, y))(w), step)


@batch.true
def cost_of_a_step():
    r"""Twice as many observations or features: twice the operations, about 4nd"""
    step = lambda X, w, y: w - X.T @ (X @ w - y) / len(y)
    counts = [
        operations(step, (rows, columns), (columns,), (rows,)) for rows, columns in ((500, 50), (1000, 50), (500, 100))
    ]
    return close(np.array(counts) / (4 * np.array([500 * 50, 1000 * 50, 500 * 100])), 1.0, 0.05)


# ------------------------------------------------------------------------------------------------------------
rate = statement(
    "C5.42",
    FALSE,
    r"The gap of batch gradient descent shrinks at least by $(\frac{\kappa - 1}{\kappa + 1})^2$ in each step.",
    but=r"For one $\eta$ only, $2n / (\lambda_{\max} + \lambda_{\min})$: every other one has a slower worst case. In "
    r"general the factor is $\max_i (1 - \eta\lambda_i / n)^2$, which is $(1 - 1/\kappa)^2$ at the usual "
    r"$\eta = n / \lambda_{\max}$, and above 1 from $\eta > 2n / \lambda_{\max}$ on.",
)
STEPS = 8


def descent(X, start, scaled, count=STEPS):
    r"""Of gradient descent on L/n with $\eta$ = scaled $\cdot\, n / \lambda_{\max}$, y = 0: the gaps, and the
    extreme eigenvalues of X'X"""
    spectrum = jnp.linalg.eigvalsh(X.T @ X)
    mean = lambda w: squares(X, jnp.zeros(len(X)))(w) / len(X)
    trace = gradient_descent(mean, start, scaled(spectrum) * len(X) / spectrum[-1], count)
    return jax.vmap(mean)(trace), spectrum[0], spectrum[-1]


SLOW = [{"X": [[3.0, 0.0], [0.0, 1.0]], "start": [0.0, 1.0]}]  # along the least eigenvector, with a kappa of 9
BOTH = [{"X": [[3.0, 0.0], [0.0, 1.0]], "start": [1.0, 3.0]}]


@rate.as_worded(at=SLOW)
def whatever_the_rate(X: FullColumnRank[Array, n, d], start: Real[Array, d]):
    r"""At every iterate gap $\le (\frac{\kappa - 1}{\kappa + 1})^{2t}$ times the first gap, with
    $\eta = n / \lambda_{\max}$"""
    gaps, least, most = descent(X, start, lambda spectrum: 1.0)
    return at_most(gaps, ((most - least) / (most + least)) ** (2 * jnp.arange(STEPS + 1.0)) * gaps[0], scale=gaps[0])


@rate.true(at=BOTH)
def best_rate(X: FullColumnRank[Array, n, d], start: Real[Array, d]):
    r"""The same bound with $\eta = 2n / (\lambda_{\max} + \lambda_{\min})$; attained along either extreme
    eigenvector"""
    gaps, least, most = descent(X, start, lambda spectrum: 2 * spectrum[-1] / (spectrum[0] + spectrum[-1]))
    return at_most(gaps, ((most - least) / (most + least)) ** (2 * jnp.arange(STEPS + 1.0)) * gaps[0], scale=gaps[0])


@rate.true(at=[{**SLOW[0], "share": 0.5}])
def any_rate(X: FullColumnRank[Array, n, d], start: Real[Array, d], share: UnitInterval[Array, ()]):
    r"""With any $\eta$, here up to $3n / \lambda_{\max}$: gap $\le \max_i (1 - \eta\lambda_i/n)^{2t}$ times the
    first gap"""
    gaps, least, most = descent(X, start, lambda spectrum: 3 * share)
    factor = jnp.maximum(abs(1 - 3 * share), abs(1 - 3 * share * least / most))
    bounds = factor ** (2 * jnp.arange(STEPS + 1.0)) * gaps[0]
    return at_most(gaps, bounds, scale=bounds + gaps[0])


@rate.true
def only_one_is_best(least: Positive[Array, ()], wider: Positive[Array, ()], eta: Positive[Array, ()]):
    r"""$\max_i |1 - \eta\lambda_i| \ge \frac{\kappa - 1}{\kappa + 1} + \lambda_{\min} |\eta - \eta^*|$ with
    $\eta^* = 2 / (\lambda_{\max} + \lambda_{\min})$"""
    most = least + wider
    factor = jnp.maximum(abs(1 - eta * least), abs(1 - eta * most))
    return at_most((most - least) / (most + least) + least * abs(eta - 2 / (most + least)), factor)


@rate.true
def twenty_steps():
    r"""$\kappa = 9$, 20 steps along the least eigenvector: 1.3e-4 with the best $\eta$, 9.0e-3 with
    $n / \lambda_{\max}$"""
    X, start = jnp.asarray(SLOW[0]["X"]), jnp.asarray(SLOW[0]["start"])
    gaps = [descent(X, start, lambda _, s=s: s, 20)[0] for s in (1.8, 1.0)]
    return close(gaps[0][-1] / gaps[0][0], 1.3e-4, 5e-6), close(gaps[1][-1] / gaps[1][0], 9.0e-3, 5e-5)
