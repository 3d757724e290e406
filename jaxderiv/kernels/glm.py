r"""Value, gradient, Hessian and Hessian-vector product of a generalised linear loss, X read once and in blocks of rows.

A loss of the catalogue that sees w through $z = Xw$ alone, observation by observation, is given by three formulas:
$\ell(z, y)$, its derivative, the residual, and its second derivative, the curvature. The loss here is

$$L(w) = \sum_i s_i \ell(x_i^\top w, y_i) \Big/ \sum_i s_i + \frac\lambda2 \|w\|^2$$

with weights s of the observations (all one if they are not given). With an intercept, w has one entry more, the last
one, which is not penalised. The same code serves every such loss, in float32 and in float64.

What it costs: for X of n rows and d columns the gradient reads X once, where two products read it twice; the Hessian's
scaled copy of X is a block of rows and stays in the cache, where the readable formula writes n by d numbers to memory.
On data that fit into the cache, the whole of X is one block, which is the readable formula.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxderiv.errors import InputError

_CACHE = 2**20  # entries of X that are read as one block: 8 MiB in float64, which one core's share of a cache holds
_SCALED = 2**18  # entries of a block whose scaled copy is multiplied again: that has to stay nearer


class Parts(NamedTuple):
    """What a pass over X yields; the parts that were not asked for are None."""

    value: jax.Array | None = None
    gradient: jax.Array | None = None
    hessian: jax.Array | None = None
    hvp: jax.Array | None = None


class Kernel(NamedTuple):
    """A generalised linear loss by its three formulas, each ``(z, y) -> one number for each observation``."""

    pointwise: Callable[..., jax.Array]
    residual: Callable[..., jax.Array]
    curvature: Callable[..., jax.Array]

    def value(self, w, X, y, lam=0.0, **how):
        """$L(w)$, a scalar. Arguments as in `passes`."""
        return self.passes(w, X, y, lam, want=("value",), **how).value

    def gradient(self, w, X, y, lam=0.0, **how):
        r"""$X^\top (s \odot \ell') / \sum s + \lambda w$, of the shape of w."""
        return self.passes(w, X, y, lam, want=("gradient",), **how).gradient

    def hessian(self, w, X, y, lam=0.0, **how):
        r"""$X^\top \mathrm{diag}(s \odot \ell'') X / \sum s + \lambda I$."""
        return self.passes(w, X, y, lam, want=("hessian",), **how).hessian

    def hvp(self, w, v, X, y, lam=0.0, **how):
        r"""$X^\top (s \odot \ell'' \odot Xv) / \sum s + \lambda v$."""
        return self.passes(w, X, y, lam, want=("hvp",), along=v, **how).hvp

    def passes(
        self,
        w: jax.Array,
        X: jax.Array,
        y: jax.Array,
        lam: jax.Array | float = 0.0,
        *,
        want: tuple[str, ...] = ("value", "gradient", "hessian"),
        along: jax.Array | None = None,
        weights: jax.Array | None = None,
        intercept: bool = False,
        rows: int | None = None,
    ) -> Parts:
        """Several of value, gradient, Hessian and product with a vector, in one pass over X.

        Args:
            w: (d,), or (d + 1,) with an intercept; `along` likewise, for "hvp".
            X: (n, d); y: (n,); weights: (n,), not negative.
            want: which parts.
            rows: of a block; by default chosen by the size of X.
        Raises:
            InputError: for shapes that do not fit, a part that is not known, or `rows` below 1.
        """
        _fitting(w, X, y, weights, along, intercept, want, rows)
        n, d = X.shape
        slopes, lift = w[:d], w[d] if intercept else None
        direction = along if along is not None else jnp.zeros_like(w)
        size = rows or block_rows(n, d, "hessian" in want)

        def one(total: Parts, X, y, s) -> Parts:
            z = X @ slopes + (0 if lift is None else lift)
            product = lambda r: jnp.append(r @ X, jnp.sum(r)) if intercept else r @ X
            found = {}
            if "value" in want:
                found["value"] = s @ self.pointwise(z, y)
            if "gradient" in want:
                found["gradient"] = product(s * self.residual(z, y))
            if "hvp" in want:
                moved = X @ direction[:d] + (direction[d] if intercept else 0)
                found["hvp"] = product(s * self.curvature(z, y) * moved)
            if "hessian" in want:
                found["hessian"] = _gram(X, s * self.curvature(z, y), intercept)
            return jax.tree.map(jnp.add, total, Parts(**found))

        shapes = {"value": (), "gradient": w.shape, "hvp": w.shape, "hessian": (*w.shape, *w.shape)}
        zero = Parts(**{name: jnp.zeros(shapes[name], X.dtype) for name in want})
        s = jnp.ones_like(y, X.dtype) if weights is None else weights
        total = _over_blocks(one, zero, size, X, y, s)
        mass = n if weights is None else jnp.sum(weights)
        penalised = w.at[d:].set(0) if intercept else w
        return Parts(
            *(None if part is None else part / mass + _penalty(name, penalised, direction, lam, d)
              for name, part in zip(Parts._fields, total, strict=True))
        )  # fmt: skip


def kernel(model: types.ModuleType) -> Kernel:
    """The kernel of a derivation of the catalogue that has ``pointwise``, ``residual`` and ``curvature``.

    Raises:
        InputError: if it lacks one of them.
    """
    missing = [name for name in Kernel._fields if not hasattr(model, name)]
    if missing:
        raise InputError(f"{model.__name__} has no {', '.join(missing)}; a kernel needs {', '.join(Kernel._fields)}")
    return Kernel(*(_of_logits(getattr(model, name)) for name in Kernel._fields))


def block_rows(n: int, d: int, scaled: bool) -> int:
    """The rows of a block: all of them where X fits into the cache."""
    entries = _SCALED if scaled else _CACHE
    return n if n * d <= _CACHE else max(min(n, entries // max(d, 1)), 1)


def _of_logits(formula: Callable[..., Any]) -> Callable[..., jax.Array]:
    """A formula of (z, y) as it stands, and one of z alone with the y that it does not need."""
    from jaxderiv.derivation import arguments

    return formula if len(arguments(formula)) > 1 else lambda z, y: formula(z)


def _gram(X: jax.Array, c: jax.Array, intercept: bool) -> jax.Array:
    scaled = c[:, None] * X
    H = scaled.T @ X
    if not intercept:
        return H
    edge = jnp.sum(scaled, axis=0)
    return jnp.block([[H, edge[:, None]], [edge[None, :], jnp.sum(c)[None, None]]])


def _penalty(name: str, w: jax.Array, direction: jax.Array, lam: Any, d: int) -> Any:
    if name == "value":
        return lam / 2 * (w @ w)
    if name == "gradient":
        return lam * w
    penalised = (jnp.arange(len(w)) < d).astype(w.dtype)
    return lam * (direction * penalised if name == "hvp" else jnp.diag(penalised))


def _over_blocks(one: Callable[..., Parts], zero: Parts, rows: int, *arrays: jax.Array) -> Parts:
    """The sum of what blocks of rows yield; the last one may be shorter."""
    n = len(arrays[0])
    full = n // rows
    if full <= 1:
        return one(zero, *arrays)

    def step(total: Parts, i: jax.Array) -> tuple[Parts, None]:
        return one(total, *(jax.lax.dynamic_slice_in_dim(a, i * rows, rows) for a in arrays)), None

    total, _ = jax.lax.scan(step, zero, jnp.arange(full))
    return one(total, *(a[full * rows :] for a in arrays)) if n % rows else total


def _fitting(w, X, y, weights, along, intercept, want, rows) -> None:
    unknown = [name for name in want if name not in Parts._fields]
    if unknown or not want:
        raise InputError(f"want is {want!r}; allowed are {', '.join(Parts._fields)}")
    if X.ndim != 2:
        raise InputError(f"X has shape {X.shape}; it has n rows and d columns")
    n, d = X.shape
    length = d + bool(intercept)
    needed = {"w": (w, (length,)), "y": (y, (n,)), "weights": (weights, (n,)), "along": (along, (length,))}
    for name, (array, shape) in needed.items():
        if array is not None and jnp.shape(array) != shape:
            hint = " (the intercept is the last entry)" if intercept and shape == (length,) else ""
            raise InputError(f"{name} has shape {jnp.shape(array)}; with X of shape {X.shape} it has {shape}{hint}")
    if ("hvp" in want) != (along is not None):
        raise InputError("the product with a vector takes the vector: write along=v, and want=('hvp',)")
    if rows is not None and rows < 1:
        raise InputError(f"rows is {rows}; a block has at least 1 row")
