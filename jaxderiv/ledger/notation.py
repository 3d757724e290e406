"""The shared words of the ledger: families of functions with known constants, and the traces of algorithms."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

Function = Callable[[Array], Array]


def rotation(u: Array) -> Array:
    """The orthogonal matrix that is the product of the reflections along the rows of u (d by d); all are reached."""
    identity = jnp.eye(u.shape[-1], dtype=u.dtype)
    out = identity
    for row in u:
        out = out - 2 * jnp.outer(out @ row, row) / (row @ row)
    return out


def symmetric(spectrum: Array, u: Array) -> Array:
    """The symmetric matrix with these eigenvalues and the rotation of u for eigenvectors."""
    Q = rotation(u)
    return (Q * spectrum[None, :]) @ Q.T


def quadratic(A: Array, centre: Array | float = 0.0) -> Function:
    r"""$f(x) = \\frac12 (x - c)^\\top A (x - c)$"""
    return lambda x: (x - centre) @ A @ (x - centre) / 2


def iterates(step: Callable, start, count: int):
    """A trace: what a step makes of its start again and again, the start first; axis 0 is the iteration."""
    _, trace = jax.lax.scan(lambda state, _: (step(state), state), start, length=count + 1)
    return trace


def gradient_descent(f: Function, start: Array, rate: Array | float, count: int) -> Array:
    """Iterates (count + 1 by d) of gradient descent with a fixed step."""
    return iterates(lambda x: x - rate * jax.grad(f)(x), start, count)


def soft_threshold(a: Array, t: Array | float) -> Array:
    """S_t(a): towards zero by t, and zero within t of it."""
    return jnp.sign(a) * jnp.maximum(abs(a) - t, 0.0)
