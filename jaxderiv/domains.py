"""Where symbols live: a set, a shape, a sampler, edge values and free variables.

``Real[Array, n, d]`` declares an n by d array of reals. For a type checker it is ``Annotated[Array, ...]``;
at run time its metadata is a `Domain` that knows

* its set (`contains`): also how a hypothesis is recognised in somebody's example arrays,
* how to draw from it (`sample`): generic values with at most eight significant bits, so that float64,
  float32 and bfloat16 hold the *same* numbers and one exact answer judges all three,
* the places where formulas break (`edges`): zero, huge, tiny, tied, the vertices of a simplex,
* how unconstrained variables reach it (`from_free`): a map built from rational operations wherever the set
  allows, so that an identity which needs the hypothesis can be stated for free variables.

Draws come from NumPy: a JAX key gives different numbers in different precisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxderiv.errors import InputError

__all__ = [  # noqa: RUF022 (in the order in which a reader meets them)
    "Array", "Dim", "Domain", "Real", "Positive", "Nonnegative", "UnitInterval", "Share", "Bit", "Sign", "OneHot",
    "Simplex", "Symmetric", "PositiveDefinite", "PositiveSemidefinite", "FullColumnRank",
    "n", "d", "K", "h", "m", "p", "q", "k", "by_name",
]  # fmt: skip


@dataclass(frozen=True)
class Dim:
    """The name of a size, such as n observations. ``r = Dim("r")`` makes one that is not predefined."""

    name: str

    def __repr__(self) -> str:
        return self.name


n, d, K, h, m, p, q, k = (Dim(name) for name in ("n", "d", "K", "h", "m", "p", "q", "k"))

Sizes = dict[str, int]

# Multiples of 1/64 below 4: at most eight significant bits, which is what bfloat16 holds.
_GRID = np.arange(1, 256) / 64.0
_ROUNDING = 1e-12  # relative; an eigenvalue of that size may be zero


def _generic(rng: np.random.Generator, shape: tuple[int, ...], signed: bool = True) -> np.ndarray:
    """Values distributed about as standard normals (or their sizes), exact in bfloat16, all different."""
    grid = np.concatenate([-_GRID[::-1], _GRID]) if signed else _GRID
    density = np.exp(-(grid**2) / 2)
    size = int(np.prod(shape, dtype=int))
    drawn = rng.choice(grid, size, replace=size > len(grid), p=density / density.sum())
    return np.asarray(drawn, dtype=np.float64).reshape(shape)


@dataclass(frozen=True)
class Domain:
    """A set of arrays of one shape. Subclasses are written as annotations: ``Positive[Array, n]``.

    Attributes:
        shape: the axes, each a `Dim` or a fixed size.
    """

    shape: tuple[Dim | int, ...] = ()

    words: ClassVar[str] = "any array"
    axes: ClassVar[int] = 0  # the set is a set of vectors (1) or square matrices (2) along the last axes

    def __class_getitem__(cls, item: Any) -> Any:
        array, *axes = item if isinstance(item, tuple) else (item,)
        if axes == [()]:
            axes = []
        elif not axes:
            raise InputError(f"{cls.__name__}[...] lacks a shape: write {cls.__name__}[Array, n] or [Array, ()]")
        for axis in axes:
            if not isinstance(axis, Dim | int) or (isinstance(axis, int) and axis < 1):
                raise InputError(
                    f"{cls.__name__}[...]: {axis!r} is not a size: use n, d, K, Dim('r') or a positive integer"
                )
        if len(axes) < cls.axes or (cls.axes == 2 and axes[-1] != axes[-2]):
            what, example = ("vectors", "n, K") if cls.axes == 1 else ("square matrices", "d, d")
            raise InputError(f"{cls.__name__}{axes} is no set of {what}: write {cls.__name__}[Array, {example}]")
        return Annotated[array, cls(tuple(axes))]

    def __repr__(self) -> str:
        return f"{type(self).__name__}[{', '.join(map(str, self.shape)) or '()'}]"

    def concrete(self, sizes: Sizes) -> tuple[int, ...]:
        """The shape with its sizes filled in."""
        return tuple(sizes[axis.name] if isinstance(axis, Dim) else axis for axis in self.shape)

    def contains(self, x: np.ndarray) -> bool:
        """Whether the values of x lie in the set (whatever its shape is called)."""
        raise NotImplementedError

    def holds_exactly(self, x: np.ndarray) -> bool:
        """Whether x lies in the set without any allowance for rounding."""
        return self.contains(x)

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether the set has elements of this shape."""
        return True

    def sample(self, rng: np.random.Generator, sizes: Sizes) -> np.ndarray:
        """A generic element, float64."""
        return self.draw(rng, self.concrete(sizes))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """A generic element of a concrete shape, float64."""
        raise NotImplementedError

    def edges(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Elements where formulas break, by name."""
        raise NotImplementedError

    def free_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the unconstrained variables that `from_free` takes."""
        return shape

    def from_free(self, u: Array) -> Array:
        """The element of the set that unconstrained variables u stand for."""
        raise NotImplementedError


class _Real(Domain):
    """All reals."""

    words = "real"

    def contains(self, x):
        return bool(np.isfinite(x).all())

    def draw(self, rng, shape):
        return _generic(rng, shape)

    def edges(self, rng, shape):
        generic = _generic(rng, shape)
        edges = {
            "zero": np.zeros(shape),
            "huge": 1000.0 * np.sign(generic),
            "tiny": generic * 2.0**-27,
            "tied": np.full(shape, 0.5),
            "scaled up": generic * 2.0**27,
        }
        if len(shape) > 1 and shape[0] > 1:
            edges["with duplicated rows"] = generic[np.arange(shape[0]) // 2]
        return edges

    def from_free(self, u):
        return u


class _Positive(Domain):
    """Reals above zero."""

    words = "positive"

    def contains(self, x):
        return bool((np.asarray(x) > 0).all() and np.isfinite(x).all())

    def draw(self, rng, shape):
        return _generic(rng, shape, signed=False)

    def edges(self, rng, shape):
        generic = _generic(rng, shape, signed=False)
        return {"huge": 1000.0 * generic, "tiny": generic * 2.0**-27, "tied": np.full(shape, 0.5)}

    def from_free(self, u):
        return u * u


class _Nonnegative(_Positive):
    """Reals from zero on."""

    words = "not negative"

    def contains(self, x):
        return bool((np.asarray(x) >= 0).all() and np.isfinite(x).all())

    def edges(self, rng, shape):
        return {"zero": np.zeros(shape)} | super().edges(rng, shape)


class _UnitInterval(Domain):
    """Reals between zero and one, such as probabilities."""

    words = "between 0 and 1"

    def contains(self, x):
        return bool(((np.asarray(x) > 0) & (np.asarray(x) < 1)).all())

    def draw(self, rng, shape):
        size = int(np.prod(shape, dtype=int))
        return rng.choice(np.arange(1, 256) / 256.0, size, replace=size > 255).reshape(shape)

    def edges(self, rng, shape):
        return {"tiny": np.full(shape, 2.0**-27), "tied": np.full(shape, 0.5), "near one": np.full(shape, 1 - 2.0**-27)}

    def from_free(self, u):
        return u * u / (1 + u * u)


class _Share(_UnitInterval):
    """Reals from zero to one, such as the weight of one point on the way to another."""

    words = "from 0 to 1"

    def contains(self, x):
        return bool(((np.asarray(x) >= 0) & (np.asarray(x) <= 1)).all())

    def edges(self, rng, shape):
        return {"zero": np.zeros(shape), "one": np.ones(shape)} | super().edges(rng, shape)


class _Bit(Domain):
    """Zero or one."""

    words = "0 or 1"
    low: ClassVar[float] = 0.0

    def contains(self, x):
        return bool(np.isin(x, [self.low, 1.0]).all())

    def draw(self, rng, shape):
        size = int(np.prod(shape, dtype=int))
        bits = rng.permutation(np.arange(size) % 2 == rng.integers(2))  # both values, whatever the size
        return np.where(bits, 1.0, self.low).reshape(shape)

    def edges(self, rng, shape):
        return {"all low": np.full(shape, self.low), "all one": np.ones(shape)}

    def from_free(self, u):
        return jnp.where(u > 0, 1.0, self.low).astype(u.dtype)


class _Sign(_Bit):
    """Minus one or one."""

    words = "-1 or 1"
    low = -1.0


class _OneHot(Domain):
    """Rows (last axis) with a single one."""

    words = "one-hot along the last axis"
    axes = 1

    def contains(self, x):
        return bool(np.ndim(x) and np.isin(x, [0.0, 1.0]).all() and (np.sum(x, axis=-1) == 1).all())

    def draw(self, rng, shape):
        rows = int(np.prod(shape[:-1], dtype=int))
        classes = rng.permutation((np.arange(rows) + rng.integers(shape[-1])) % shape[-1])
        return np.eye(shape[-1])[classes].reshape(shape)

    def edges(self, rng, shape):
        return {"one class": np.broadcast_to(np.eye(shape[-1])[0], shape).copy()}

    def from_free(self, u):
        return jax.nn.one_hot(jnp.argmax(u, axis=-1), u.shape[-1], dtype=u.dtype)


class _Simplex(Domain):
    """Rows (last axis) of non-negative entries that sum to one."""

    words = "summing to 1 along the last axis"
    axes = 1

    def contains(self, x):
        x = np.asarray(x)
        return bool(x.ndim and (x >= 0).all() and np.allclose(x.sum(-1), 1, rtol=0, atol=1e-6))

    def holds_exactly(self, x):
        rows = np.asarray(x, dtype=float).reshape(-1, np.shape(x)[-1])
        return self.contains(x) and all(sum(map(Fraction, row)) == 1 for row in rows.tolist())

    def draw(self, rng, shape):
        rows, parts = int(np.prod(shape[:-1], dtype=int)), shape[-1]
        whole = 256 * -(-parts // 64)  # entries are multiples of 1/256: exact in bfloat16, the sum is exactly one
        cuts = [np.sort(rng.choice(np.arange(1, whole), parts - 1, replace=False)) for _ in range(rows)]
        return np.array([np.diff(cut, prepend=0, append=whole) / whole for cut in cuts]).reshape(shape)

    def edges(self, rng, shape):
        return {
            "uniform": np.full(shape, 1 / shape[-1]),
            "vertices": _OneHot(()).draw(rng, shape),
        }

    def free_shape(self, shape):
        return (*shape[:-1], shape[-1] - 1)

    def from_free(self, u):
        squares = jnp.concatenate([u * u, jnp.ones((*u.shape[:-1], 1), u.dtype)], axis=-1)
        return squares / jnp.sum(squares, axis=-1, keepdims=True)


class _Symmetric(Domain):
    """Symmetric matrices (last two axes)."""

    words = "symmetric"
    axes = 2

    def contains(self, x):
        x = np.asarray(x)
        return bool(x.ndim >= 2 and x.shape[-1] == x.shape[-2] and np.array_equal(x, np.swapaxes(x, -1, -2)))

    def draw(self, rng, shape):
        lower = np.tril(_generic(rng, shape))
        return lower + np.swapaxes(np.tril(lower, -1), -1, -2)

    def edges(self, rng, shape):
        identity = np.broadcast_to(np.eye(shape[-1]), shape).copy()
        return {"zero": np.zeros(shape), "tied": identity, "huge": 1000.0 * self.draw(rng, shape)}

    def from_free(self, u):
        return jnp.tril(u) + jnp.swapaxes(jnp.tril(u, -1), -1, -2)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices with positive eigenvalues (last two axes)."""

    words = "symmetric positive definite"

    def contains(self, x):
        return super().contains(x) and bool((np.linalg.eigvalsh(np.asarray(x, dtype=float)) > 0).all())

    def draw(self, rng, shape):
        root = rng.integers(-3, 4, shape) / 4.0
        return root @ np.swapaxes(root, -1, -2) + np.eye(shape[-1]) / 2

    def edges(self, rng, shape):
        stretched = np.diag(2.0 ** -np.linspace(0, 26, shape[-1]))
        identity = np.eye(shape[-1])
        return {name: np.broadcast_to(x, shape).copy() for name, x in (("tied", identity), ("tiny", stretched))}

    def from_free(self, u):
        identity = jnp.broadcast_to(jnp.eye(u.shape[-1], dtype=u.dtype), u.shape)
        return u @ jnp.swapaxes(u, -1, -2) + identity


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues (last two axes)."""

    words = "symmetric positive semidefinite"

    def contains(self, x):
        if not super().contains(x):
            return False
        values = np.linalg.eigvalsh(np.asarray(x, dtype=float))
        return bool((values >= -_ROUNDING * np.abs(values).max(-1, keepdims=True)).all())

    def draw(self, rng, shape):
        root = rng.integers(-3, 4, shape) / 4.0
        return root @ np.swapaxes(root, -1, -2)

    def edges(self, rng, shape):
        root = rng.integers(1, 4, shape[:-1]) / 4.0
        return {"zero": np.zeros(shape), "of rank one": root[..., :, None] * root[..., None, :]}

    def from_free(self, u):
        return u @ jnp.swapaxes(u, -1, -2)


class _FullColumnRank(_Real):
    """Matrices with independent columns (last two axes), such as the design of a regression with one answer."""

    words = "of full column rank"
    axes = 0

    def admits(self, shape):
        return len(shape) > 1 and shape[-2] >= shape[-1]

    def contains(self, x):
        x = np.asarray(x, dtype=float)
        return super().contains(x) and x.ndim > 1 and bool((np.linalg.matrix_rank(x) == x.shape[-1]).all())

    def draw(self, rng, shape):
        if not self.admits(shape):
            raise InputError(f"no matrix of shape {shape} is {self.words}: it has fewer rows than columns")
        while not self.contains(x := super().draw(rng, shape)):
            pass
        return x

    def edges(self, rng, shape):
        generic = self.draw(rng, shape)
        near = generic.copy()
        near[..., -1] = near[..., 0] + generic[..., -1] * 2.0**-16
        return {"nearly dependent": near, "scaled up": generic * 2.0**27, "tiny": generic * 2.0**-27}


if TYPE_CHECKING:
    from typing import Annotated as Bit
    from typing import Annotated as FullColumnRank
    from typing import Annotated as Nonnegative
    from typing import Annotated as OneHot
    from typing import Annotated as Positive
    from typing import Annotated as PositiveDefinite
    from typing import Annotated as PositiveSemidefinite
    from typing import Annotated as Real
    from typing import Annotated as Share
    from typing import Annotated as Sign
    from typing import Annotated as Simplex
    from typing import Annotated as Symmetric
    from typing import Annotated as UnitInterval
else:
    Real, Positive, Nonnegative, UnitInterval, Share = _Real, _Positive, _Nonnegative, _UnitInterval, _Share
    Bit, Sign, OneHot, Simplex = _Bit, _Sign, _OneHot, _Simplex
    Symmetric, PositiveDefinite, PositiveSemidefinite = _Symmetric, _PositiveDefinite, _PositiveSemidefinite
    FullColumnRank = _FullColumnRank

by_name: dict[str, type[Domain]] = {
    kind.__name__.removeprefix("_"): kind
    for kind in (
        _Real, _Positive, _Nonnegative, _UnitInterval, _Share, _Bit, _Sign, _OneHot, _Simplex, _Symmetric,
        _PositiveDefinite, _PositiveSemidefinite, _FullColumnRank,
    )
}  # fmt: skip
for _name, _kind in by_name.items():
    _kind.__name__ = _kind.__qualname__ = _name


def domain_of(annotation: Any) -> Domain | None:
    """The domain that an annotation carries, or None."""
    return next((part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Domain)), None)
