r"""The smooth objectives of `experiments.fit`: formulas of the catalogue, each weight with a penalty of its own.

The parameter has the intercept, whose penalty is 0, in its first row. Softmax regression is fitted in the K - 1
coordinates in which the weights of a feature, and the intercepts, sum to zero over the classes: an orthonormal basis,
so the penalty is the same, and without one the minimum is a point instead of a line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from experiments.fit_options import MODELS
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, least_squares


class Formulas(NamedTuple):
    """Of a smooth objective, all with the arguments of the catalogue and ``penalty``, lam for each weight."""

    loss: Callable[..., Any]
    gradient: Callable[..., Any]
    hessian: Callable[..., Any]
    hvp: Callable[..., Any]


class Contrasts:
    """Softmax regression of W = V B', B (K, K - 1) orthonormal with columns of sum zero; V is (d + 1, K - 1)."""

    @staticmethod
    def loss(V, X, T, B):
        return softmax.loss(V @ B.T, X, T, 0.0)

    @staticmethod
    def gradient(V, X, T, B):
        return softmax.gradient(V @ B.T, X, T, 0.0) @ B

    @staticmethod
    def hessian(V, X, B):
        return jnp.einsum("jklm,ka,mb->jalb", softmax.hessian(V @ B.T, X, 0.0), B, B)

    @staticmethod
    def hvp(V, U, X, B):
        return softmax.hvp(V @ B.T, U @ B.T, X, 0.0) @ B


def penalised(of: Any) -> Formulas:
    """A derivation with a penalty of its own for each weight; that of the catalogue falls on all alike, and is 0."""
    return Formulas(
        _with_term(of.loss, lambda w, penalty: jnp.sum(penalty * w**2) / 2),
        _with_term(of.gradient, lambda w, penalty: penalty * w),
        _with_term(of.hessian, lambda w, penalty: jnp.diag(penalty.ravel()).reshape(w.shape + w.shape)),
        _with_term(of.hvp, lambda w, v, penalty: penalty * v),
    )


def _with_term(formula: Callable[..., Any], term: Callable[..., Any]) -> Callable[..., Any]:
    known = inspect.signature(formula).parameters

    def both(*places, penalty, **data):
        return formula(*places, **data, **({"lam": 0.0} if "lam" in known else {})) + term(*places, penalty)

    return _naming([*(name for name in known if name != "lam"), "penalty"], both)


def _naming(names: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with names of arguments that the loops, and optax, can read."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return function


def _stationarity(gradient: Callable[..., Any], sums: bool) -> Callable[..., Any]:
    def certificate(w, **data):
        norm = jnp.linalg.norm(gradient(w, **data).ravel())
        return norm / (jnp.minimum(1.0, data.get("delta", 1.0)) * (len(data["X"]) if sums else 1))

    return _naming(list(inspect.signature(gradient).parameters), certificate)


FORMULAS = {
    "linear": penalised(least_squares),
    "ridge": penalised(least_squares),
    "huber": penalised(huber),
    "logistic": penalised(logistic),
    "softmax": penalised(Contrasts),
}
CERTIFICATES = {name: _stationarity(each.gradient, MODELS[name].sums) for name, each in FORMULAS.items()}
