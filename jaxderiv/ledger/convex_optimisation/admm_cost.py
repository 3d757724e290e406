r"""What an iteration of ADMM on the lasso costs, in multiplications; p is the number of coefficients, m of the points.

Source: ML Math Derivations, part 4, "ADMM"; Boyd et al., "Distributed optimization and statistical learning via ADMM"
(2011), section 4.2.
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Positive, Real, d, n
from jaxderiv.theorem import IMPR, at_most, equal, statement

cost = statement(
    "C4.93",
    IMPR,
    "Both sub-problems of an iteration are essentially free.",
    r"The threshold is, with p multiplications at most; the $\beta$-update solves with $X^\top X + \rho I$: one "
    "factorisation of about $p^3/6$ multiplications (by Woodbury's identity of an m by m matrix, if m < p), then "
    "about $p^2$ more in every iteration.",
)


class Counted(float):
    """A number that counts multiplications"""

    multiplications = 0

    def __mul__(self, other):
        Counted.multiplications += 1
        return Counted(float(self) * other)

    def __add__(self, other):
        return Counted(float(self) + other)

    def __sub__(self, other):
        return Counted(float(self) - other)

    def __truediv__(self, other):
        return Counted(float(self) / other)


def factorise(A):
    """The Cholesky factor"""
    L = np.full(A.shape, Counted(0.0), dtype=object)
    for j in range(len(A)):
        L[j, j] = Counted(np.sqrt(A[j, j] - L[j, :j] @ L[j, :j]))
        L[j + 1 :, j] = (A[j + 1 :, j] - L[j + 1 :, :j] @ L[j, :j]) / L[j, j]
    return L


def solve_factorised(L, b):
    r"""The solution of $L L^\top x = b$"""
    x = b.copy()
    for j in range(len(L)):
        x[j] = (x[j] - L[j, :j] @ x[:j]) / L[j, j]
    for j in reversed(range(len(L))):
        x[j] = (x[j] - L[j + 1 :, j] @ x[j + 1 :]) / L[j, j]
    return x


def counts(rng, p):
    r"""Multiplications of the factorisation, and of a $\beta$-update after it; and the residual of the solution"""
    X, b = rng.standard_normal((2 * p, p)), rng.standard_normal(p)
    A, counted = X.T @ X + np.eye(p), np.vectorize(Counted, otypes=[object])
    Counted.multiplications = 0
    L = factorise(counted(A))
    once, x = Counted.multiplications, solve_factorised(L, counted(b))
    return once, Counted.multiplications - once, np.max(abs(A @ x.astype(float) - b))


@cost.as_worded
def as_cheap_as_the_threshold(rng):
    r"A $\beta$-update takes, as the z-update does, at most 10 multiplications a coefficient"
    return [at_most(counts(rng, p)[1], 10 * p) for p in (8, 16, 32)]


@cost.true
def counted_multiplications(rng):
    r"Counted: $(p^3 - p)/6$ for the factorisation, then $p^2 - p$ for every update"
    found = {p: counts(rng, p) for p in (8, 16, 32)}
    factorisations = [equal(once, (p**3 - p) / 6) for p, (once, _, _) in found.items()]
    updates = [equal(each, p**2 - p) for p, (_, each, _) in found.items()]
    return factorisations, updates, [at_most(error, 1e-9) for _, _, error in found.values()]


@cost.true
def woodbury(X: Real[Array, n, d], rho: Positive[Array, ()], v: Real[Array, d]):
    r"$(X^\top X + \rho I)^{-1} v = (v - X^\top (X X^\top + \rho I)^{-1} X v) / \rho$: a system of m equations"
    wide = jnp.linalg.solve(X @ X.T + rho * jnp.eye(len(X)), X @ v)
    return equal(jnp.linalg.solve(X.T @ X + rho * jnp.eye(X.shape[1]), v), (v - X.T @ wide) / rho)
