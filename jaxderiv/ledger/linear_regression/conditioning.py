r"""The condition number of least squares, and what standardising the features does to it.

X is n by d; $\kappa$ is the ratio of the extreme eigenvalues of $X^\top X$.

Source: ML Math Derivations, part 5, "Optimisation"; the best scaling: van der Sluis (1969).
"""

import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Positive, Real, d, n
from jaxderiv.ledger.notation import iterates
from jaxderiv.theorem import IMPR, at_most, close, equal, holds, statement

conditioning = statement(
    "C5.43",
    IMPR,
    r"A large $\kappa$ makes gradient descent slow; therefore standardise the features.",
    but=r"That removes the part of $\kappa$ that comes from units: two features with correlation $\rho$ have "
    r"$\kappa = (1 + |\rho|) / (1 - |\rho|)$ afterwards, which correlation alone can make as large as one likes. No "
    r"other scaling of d centred features is more than d times as good.",
)


def standardised(X):
    """Columns of mean zero and length one."""
    X = X - jnp.mean(X, axis=0, keepdims=True)
    return X / jnp.sqrt(jnp.sum(X**2, axis=0, keepdims=True))


def extremes(X):
    """The least and the largest eigenvalue of X'X."""
    spectrum = jnp.linalg.eigvalsh(X.T @ X)
    return spectrum[0], spectrum[-1]


@conditioning.as_worded(at=[{"X": [[1.0, 1.0], [-1.0, -1.0], [0.0, 0.1]]}])
def standardising_suffices(X: FullColumnRank[Array, 3, 2]):
    r"""Once the features are standardised $\kappa$ is at most 100"""
    least, most = extremes(standardised(X))
    return at_most(most, 100 * least)


@conditioning.true
def correlated_pair(u: Real[Array, 7], v: Real[Array, 7]):
    r"""A standardised pair has the eigenvalues $1 \pm |\rho|$, whatever its units were"""
    u, v = u - jnp.mean(u), v - jnp.mean(v)
    rho = u @ v / jnp.sqrt((u @ u) * (v @ v))
    return equal(jnp.stack(extremes(standardised(jnp.stack([u, v], axis=1)))), jnp.stack([1 - abs(rho), 1 + abs(rho)]))


@conditioning.true
def units_go(X: FullColumnRank[Array, n, d], units: Positive[Array, d]):
    r"""Standardising undoes any choice of units: the columns come out the same"""
    return equal(standardised(X * units[None, :]), standardised(X))


@conditioning.true(sizes={"n": 7, "d": 3})
def nearly_the_best_scaling(X: FullColumnRank[Array, n, d], units: Positive[Array, d]):
    r"""$\kappa$ of the standardised columns is at most d times that of the centred ones in any units"""
    X = X - jnp.mean(X, axis=0, keepdims=True)
    (least, most), (other_least, other_most) = extremes(standardised(X)), extremes(X * units[None, :])
    return at_most(most * other_least, X.shape[1] * other_most * least)


@conditioning.true
def slow_in_either_case():
    r"""A pair with correlation 0.9999, standardised: $\kappa$ = 19999, and 1000 steps leave 0.90 of the gap at worst"""
    rho = 0.9999
    X = jnp.array([[1.0, rho], [0.0, np.sqrt(1 - rho**2)]])
    w = iterates(lambda w: w - X.T @ (X @ w) / (1 + rho), jnp.array([1.0, -1.0]), 1000)
    gaps = jnp.sum((w @ X.T) ** 2, axis=1)
    least, most = extremes(X)
    return close(most / least, 19999.0, 0.5), close(gaps[-1] / gaps[0], 0.90, 5e-3), holds(gaps[1:] < gaps[:-1])
