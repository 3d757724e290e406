r"""What a step costs: operations and numbers to store, with n variables and m observations.

Operations are counted: multiplications by numbers that count them, or floating-point operations as XLA reports them.

Source: ML Math Derivations, part 4, "Second-order methods"; Golub and Van Loan, Matrix Computations, section 4.2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solveh_banded

from jaxderiv.domains import Array, PositiveDefinite, Real, d
from jaxderiv.ledger.convex_optimisation.quasi_newton import bfgs, two_loops
from jaxderiv.theorem import IMPR, at_most, close, equal, statement

newton = statement(
    "C4.62",
    IMPR,
    r"A Newton step costs $O(n^3)$ operations and $O(n^2)$ numbers, which is prohibitive beyond $n = 10^4$.",
    r"So it is for a dense Hessian: $(n^3 - n) / 6$ multiplications for its factors. A banded or otherwise structured "
    r"one costs less: of a tridiagonal one a step stores 2n numbers, and $n = 10^5$ is solved at once.",
)


class Counted(float):
    """A number that counts the multiplications and divisions of its kind"""

    count = 0

    def __mul__(self, other):
        Counted.count += 1
        return Counted(float(self) * float(other))

    def __truediv__(self, other):
        Counted.count += 1
        return Counted(float(self) / float(other))

    def __sub__(self, other):
        return Counted(float(self) - float(other))


def elimination(A):
    r"""$A = \ell D \ell^\top$ by symmetric elimination: the factors, and how many multiplications and divisions they
    took"""
    n, Counted.count = len(A), 0
    A, unit = [[Counted(a) for a in row] for row in A], np.eye(len(A))
    for j in range(n):
        for i in range(j + 1, n):
            factor = A[i][j] / A[j][j]
            unit[i, j] = factor
            for k in range(j + 1, i + 1):
                A[i][k] = A[i][k] - factor * A[k][j]
    return unit, np.diag([float(A[i][i]) for i in range(n)]), Counted.count


def chain(x):
    """Gradient of a chain with two curved terms per variable, and the bands of its Hessian"""
    n = len(x)
    gradient = 2 * x + np.tanh(x) - 0.5
    gradient[1:] -= x[:-1]
    gradient[:-1] -= x[1:]
    return gradient, np.stack([np.r_[0.0, -np.ones(n - 1)], 2 + 1 / np.cosh(x) ** 2])


def banded_newton(n):
    """Newton's method on the chain, from 0: the largest slopes, and the numbers that a step stores"""
    x, largest = np.zeros(n), []
    for _ in range(10):
        gradient, bands = chain(x)
        largest.append(abs(gradient).max())
        x = x - solveh_banded(bands, gradient)
    return np.array(largest), bands.size


@newton.as_worded
def storage_of_any_hessian():
    r"""With a tridiagonal Hessian and $n = 10^5$ a step of Newton's method stores at least half of $n^2$ numbers"""
    return at_most(10.0**10 / 2, banded_newton(10**5)[1])


@newton.true
def tridiagonal_hessian():
    r"""There 2n numbers are enough, and the slope falls from 1/2 to less than 1e-12 in nine steps"""
    largest, stored = banded_newton(10**5)
    return equal(stored, 2 * 10**5), close(largest[0], 0.5, 1e-12), at_most(largest[-1], 1e-12)


@newton.true
def dense_hessian(rng):
    r"""Symmetric elimination of a dense one takes $(n^3 - n) / 6$ multiplications and $(n^2 - n) / 2$ divisions"""
    found = []
    for n in (2, 5, 12):
        root = rng.normal(size=(n, n))
        A = root @ root.T + np.eye(n)
        unit, pivots, count = elimination(A)
        found += [equal(count, (n**3 - n) / 6 + (n**2 - n) / 2), at_most(abs(unit @ pivots @ unit.T - A).max(), 1e-10)]
    return found


table = statement(
    "C4.70",
    IMPR,
    r"A step costs $O(n)$ with gradient descent, SGD and L-BFGS, $O(n^2)$ with BFGS, $O(n^3)$ with Newton's method.",
    r"That is without the gradient, which for least squares costs O(mn); and L-BFGS takes O(n) times its memory.",
)


def operations(function, *shapes):
    """Floating-point operations of a function of arrays of these shapes"""
    counted = jax.jit(function).lower(*map(jnp.ones, shapes)).cost_analysis()
    assert counted is not None
    return counted["flops"]


def gradient_step(m, n):
    """Operations of a step of gradient descent on least squares"""
    loss = lambda w, X, y: jnp.sum((X @ w - y) ** 2) / 2
    return operations(lambda w, X, y: w - 0.1 * jax.grad(loss)(w, X, y), n, (m, n), m)


def limited_memory(memory, n):
    """Operations of the two loops"""
    return operations(lambda g, S, Y: two_loops(g, S, Y, 1.0), n, (memory, n), (memory, n))


@table.as_worded
def gradient_included():
    r"""A step of gradient descent on least squares with n = 50 takes as many operations for m = 1000 as for m = 100, to
    10 percent"""
    return at_most(gradient_step(1000, 50), 1.1 * gradient_step(100, 50))


@table.true
def gradient_of_least_squares():
    r"""It takes $4 m n$ operations, to three percent"""
    found = [gradient_step(m, n) / (4 * m * n) for m, n in ((100, 50), (1000, 50), (100, 500))]
    return close(np.array(found), 1.0, 0.03)


def expanded_bfgs(H, s, y):
    r"""The update without products of matrices: $H - \rho (s y^\top H + H y s^\top) + (\rho + \rho^2 y^\top H y) s
    s^\top$"""
    rho, Hy = 1 / (y @ s), H @ y
    cross = s[:, None] * Hy[None]
    return H - rho * (cross + cross.T) + (rho + rho**2 * (y @ Hy)) * s[:, None] * s[None]


@table.true
def expanded_update(H: PositiveDefinite[Array, d, d], s: Real[Array, d], y: Real[Array, d]):
    r"""Expanded, the update of BFGS has no product of two matrices, and is the same"""
    return equal(expanded_bfgs(H, s, y), bfgs(H, s, y))


@table.true
def quasi_newton_step():
    r"""With twice the n this takes four times as many operations (the product form eight times); the two loops of
    L-BFGS are linear in n and in the memory"""
    dense = lambda update, n: operations(update, (n, n), n, n)
    base = limited_memory(5, 1000)
    return (
        close(dense(expanded_bfgs, 400) / dense(expanded_bfgs, 200), 4.0, 0.05),
        close(dense(bfgs, 400) / dense(bfgs, 200), 8.0, 0.05),
        close(limited_memory(5, 2000) / base, 2.0, 0.02),
        close(limited_memory(10, 1000) / base, 2.0, 0.02),
    )
