r"""The kernels of the catalogue's generalised linear losses, from the formulas that their derivations give.

    least squares         half the sum of squares               kernel(least_squares), also with lam or weights
    mean squared error    half the mean of squares              kernel(mean_squared_error)
    Huber                 a sum; delta is bound by the caller   kernel(huber, delta=1.345)
    logistic, Poisson     means                                 kernel(logistic), kernel(poisson)
    softmax               a mean; w is W, d by K                kernel(softmax)

What a kernel computes, and how, is said in `jaxderiv.kernels.passes`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, least_squares, mean_squared_error
from jaxderiv.derivation import arguments
from jaxderiv.errors import InputError
from jaxderiv.kernels.passes import Curvature, Kernel

# The losses that are sums over observations, and the derivation that has their formulas for one observation.
_SUMS: dict[types.ModuleType, types.ModuleType] = {huber: huber, least_squares: mean_squared_error}

# Losses with a form that takes XLA less time: it need not ask whether z is a number.
_FASTER: dict[types.ModuleType, Callable[..., jax.Array]] = {logistic: logistic.pointwise_by_magnitude}

_FEW = 10  # classes; for more, a product for each pair of them costs more than one product for all


def kernel(model: types.ModuleType, **fixed: Any) -> Kernel:
    """The kernel of a derivation, which has ``pointwise``, ``residual`` (or ``influence``) and ``curvature``.

    They are formulas of the logits z and the targets y, by name; r stands for z - y. The losses of the catalogue are
    means or sums as their derivations have them. One of your own is taken for a mean; a sum is
    ``kernel(model)._replace(mean=False)``.

    Args:
        model: the derivation's module.
        fixed: the other symbols of its formulas, as delta of Huber's. A traced value is allowed.
    Raises:
        InputError: if a formula is missing, or takes a symbol that is not given, or none takes one that is.
    """
    if model is softmax:
        _check_symbols(model, [], fixed)
        return _softmax()
    source = _SUMS.get(model, model)
    found = {name: getattr(source, name, None) for name in ("pointwise", "residual", "curvature")}
    found["residual"] = found["residual"] or getattr(source, "influence", None)
    formulas = [formula for formula in found.values() if formula is not None]
    if len(formulas) < len(found):
        missing = ", ".join(name for name, formula in found.items() if formula is None)
        raise InputError(f"{model.__name__} has no {missing}; a kernel needs {', '.join(found)}")
    _check_symbols(model, formulas, fixed)
    pointwise, residual, curvature = (
        _by_name(formula, fixed) for formula in (_FASTER.get(model, formulas[0]), *formulas[1:])
    )
    return of_numbers(pointwise, residual, curvature, mean=model not in _SUMS)


def of_numbers(
    pointwise: Callable[..., jax.Array],
    residual: Callable[..., jax.Array],
    curvature: Callable[..., jax.Array],
    mean: bool = True,
) -> Kernel:
    """A kernel from three formulas ``(z, y) -> (n,)`` of one logit for each observation: loss and two derivatives."""
    summed = Curvature(
        factors=lambda X, z, y: (curvature(z, y)[None], X),
        assembled=lambda products, shape: products[0],
        sizes=lambda shape: (1, shape[0]),
    )
    return Kernel(pointwise, residual, lambda z, y, u: curvature(z, y) * u, summed, mean)


def _softmax() -> Kernel:
    summed = Curvature(_pairs, _from_pairs, _pairs_sizes)
    along = lambda Z, T, U: softmax.probabilities_along(Z, U)
    # Of the logits: log p would be an exponential and a logarithm for each of the K classes.
    return Kernel(softmax.cross_entropy_of_logits, softmax.residual, along, summed, several=True)


# The Hessian of softmax regression by classes k and m is minus X' diag(p_k p_m) X for k other than m. As the curvature
# of each observation has rows that sum to 0, a block on the diagonal is minus the sum of those beside it, without the
# cancellation of p_k - p_k^2. Few classes: a product for each pair. Many: one, of all x_j p_k.
def _pairs(X: jax.Array, Z: jax.Array, T: jax.Array) -> tuple[jax.Array, jax.Array]:
    P = softmax.probabilities(Z)
    if Z.shape[1] > _FEW:
        return jnp.ones((1, len(X)), X.dtype), (X[:, :, None] * P[:, None, :]).reshape(len(X), -1)
    k, m = np.triu_indices(Z.shape[1], 1)
    return P.T[k] * P.T[m], X


def _pairs_sizes(shape: tuple[int, ...]) -> tuple[int, int]:
    d, K = shape
    return (1, d * K) if K > _FEW else (K * (K - 1) // 2, d)


def _from_pairs(products: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    d, K = shape
    same = jnp.eye(K, dtype=products.dtype)[:, :, None, None]
    if K > _FEW:
        beside = products.reshape(d, K, d, K).transpose(1, 3, 0, 2) * (1 - same)
    else:
        k, m = np.triu_indices(K, 1)
        beside = jnp.zeros((K, K, d, d), products.dtype).at[k, m].set(products).at[m, k].set(products)
    return (same * jnp.sum(beside, axis=1)[:, None] - beside).transpose(2, 0, 3, 1)


# Formulas by the names of their symbols --------------------------------------------------------------------------
def _by_name(formula: Callable[..., Any], fixed: dict[str, Any]) -> Callable[..., jax.Array]:
    def bound(z: jax.Array, y: jax.Array) -> jax.Array:
        at = {"z": lambda: z, "y": lambda: y, "r": lambda: z - y}
        return formula(*(fixed[name] if name in fixed else at[name]() for name in arguments(formula)))

    return bound


def _check_symbols(model: types.ModuleType, formulas: Iterable[Callable], fixed: dict[str, Any]) -> None:
    taken = {name for formula in formulas for name in arguments(formula)} - {"z", "y", "r"}
    if set(fixed) != taken:
        call = ", ".join([model.__name__.rpartition(".")[2], *(f"{name}=..." for name in sorted(taken))])
        given = f"also given {', '.join(sorted(fixed))}" if fixed else "given nothing else"
        raise InputError(f"the kernel of {model.__name__} is {given}; write kernel({call})")
