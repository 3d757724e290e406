"""A derivation's loss with its hand formulas for derivatives: what JAX code differentiates, it then gets from these."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxderiv.derivation import Derivation, arguments, read, read_catalogue
from jaxderiv.errors import InputError


def attach(derivation: Derivation | types.ModuleType | str) -> Callable[..., jax.Array]:
    """The loss of a derivation, for `jax.grad`, `jax.hessian`, ``jax.jvp(jax.grad(loss), ...)`` and whatever is built
    on them: its first and second derivatives in the parameters are the hand formulas. Derivatives of higher order,
    and those in the data, are JAX's, of the hand formulas where these are in between.

    The second derivative is `hvp` where there is one, else `hessian`; where there is neither, JAX differentiates the
    gradient. A Hessian made by `jax.hessian` takes one product for each direction, at once. That the formulas are right
    is the business of ``jaxderiv verify`` and ``jaxderiv check``; here they are believed.

    Args:
        derivation: a module such as ``jaxderiv.catalogue.classification.logistic``, its name in the catalogue
            ("classification/logistic"), or what `jaxderiv.derivation.read_file` makes of a file.
    Returns:
        A function of the loss's arguments, by position or by name.
    Raises:
        InputError: if it has no loss, or no gradient in one of its parameters.
        DerivationError: if the module breaks a rule of form.
    """
    if isinstance(derivation, str):
        derivation = read_catalogue(derivation)
    elif not isinstance(derivation, Derivation):
        derivation = read(derivation, catalogue=False)
    loss, names, parameters = derivation.loss, derivation.loss_arguments, derivation.parameters
    if loss is None:
        raise InputError(f"{derivation.name} has no loss, so there is nothing to attach derivatives to")
    slopes = {name: _slope(derivation, name) for name in parameters}

    def rule(at: Mapping[str, jax.Array], along: Mapping[str, jax.Array]) -> jax.Array:
        return sum(jnp.vdot(slopes[name](*at.values()), v) for name, v in along.items() if name in parameters)  # type: ignore[return-value]

    attached = _with_rule(loss, names, parameters, rule)
    signature = inspect.signature(loss)

    @functools.wraps(loss)
    def called(*args, **kwargs):
        return attached(*signature.bind(*args, **kwargs).arguments.values())

    return called


def _slope(derivation: Derivation, name: str) -> Callable[..., jax.Array]:
    """The gradient formula in one parameter, as a function of all arguments, with the second derivatives attached."""
    parameters = derivation.parameters
    formulas: Mapping[str, Any] = derivation.formulas
    several = len(parameters) > 1
    gradient = formulas.get(f"gradient_{name}" if several else "gradient")
    if gradient is None:
        raise InputError(f"{derivation.name} has no gradient in {name}; write def gradient{f'_{name}' * several}(...)")
    names = derivation.loss_arguments
    taken = arguments(gradient)
    of_all = lambda *args: gradient(*(dict(zip(names, args, strict=True))[symbol] for symbol in taken))
    blocks = {other: formulas.get(f"hessian_{name}_{other}" if several else "hessian") for other in parameters}

    if (hvp := formulas.get("hvp")) is not None:
        directions = arguments(hvp)[len(parameters) : 2 * len(parameters)]

        def rule(at, along):
            zeros = {d: jnp.zeros_like(at[p]) for p, d in zip(parameters, directions, strict=True)}
            given = {d: along[p] for p, d in zip(parameters, directions, strict=True) if p in along}
            product = hvp(*({**at, **zeros, **given}[symbol] for symbol in arguments(hvp)))
            return product[parameters.index(name)] if several else product
    elif all(blocks.values()):

        def rule(at, along):
            product = lambda block, v: jnp.tensordot(block(*(at[symbol] for symbol in arguments(block))), v, v.ndim)
            return sum(product(blocks[p], v) for p, v in along.items())
    else:
        return of_all
    return _with_rule(of_all, names, parameters, rule)


def _with_rule(function: Callable, names: Sequence[str], parameters: Sequence[str], rule: Callable) -> Callable:
    """A function whose derivative along directions of the parameters is a formula; in the data it is JAX's own.

    Args:
        rule: takes the arguments by name, and the directions of those parameters that move.
    """
    attached = jax.custom_jvp(function)

    def jvp(primals, tangents):
        moving = [i for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero)]
        data = [i for i in moving if names[i] not in parameters]
        at = dict(zip(names, primals, strict=True))
        out = attached(*primals)
        total = jnp.zeros_like(out)
        if len(data) < len(moving):
            total = total + rule(at, {names[i]: tangents[i] for i in moving if i not in data})
        if data:
            of_data = lambda *values: function(
                *({**dict(enumerate(primals)), **dict(zip(data, values, strict=True))}).values()
            )
            total = total + jax.jvp(of_data, [primals[i] for i in data], [tangents[i] for i in data])[1]
        return out, total

    attached.defjvp(jvp, symbolic_zeros=True)
    return attached
