"""Arrays of NumPy on JAX's device, faster than `jnp.asarray` brings them there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from experiments.solvers.threads import at_once, threads

_ALIGNMENT = 64  # bytes: where an array begins that JAX takes on a CPU without a copy of its own
_LARGE = 2**20  # entries, from which on threads share the copy
SHARE = 2**22  # bytes of X for each device, at least, that shares its rows
_SMALL = 2**18  # entries of X, below which each call of a compiled program takes it from NumPy faster
_TOGETHER = 8  # rows, whose number is divisible so that each device's begin at an aligned address
KEPT = 2**29  # bytes that stay with the process for the next copies


def aligned(shape: tuple[int, ...], dtype: Any = np.float64, allocated: Any = np.empty) -> np.ndarray:
    """An array that ``jax.device_put(_, may_alias=True)`` takes without a copy on a CPU.

    Args:
        allocated: given a number of bytes and their type, the memory: np.empty, np.zeros or `recycled`.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = allocated(size + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return memory[first : first + size].view(dtype).reshape(shape)


_free: dict[int, np.ndarray] = {}  # memory by its id, the longest unused first


class _Lent:
    """What arrays in such memory, and all views of them, refer to: when the last one is gone the memory is free."""

    def __init__(self, memory: np.ndarray):
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        if self.memory.nbytes > KEPT:
            return
        _free[id(self.memory)] = self.memory
        for key in list(_free):
            if sum(memory.nbytes for memory in list(_free.values())) <= KEPT:
                break
            _free.pop(key, None)


def recycled(size: int, dtype: Any) -> np.ndarray:
    """Like np.empty, but in memory of an earlier one that nothing refers to any more, where there is some of that size.

    To fill memory that the system hands over anew takes 2 to 15 times as long.
    """
    needed = size * np.dtype(dtype).itemsize
    for key, memory in list(_free.items()):
        # Another thread may have taken it: only one gets it from pop.
        if needed <= memory.nbytes <= 2 * needed and _free.pop(key, None) is not None:
            break
    else:
        memory = np.empty(needed, np.uint8)
    return np.asarray(_Lent(memory))[:needed].view(dtype)


def on_device(a: Any, dtype: Any = np.float64) -> jax.Array:
    """A copy of an array of NumPy, or of what NumPy takes for one; an array of JAX as it is, unless its type differs.

    JAX's own copy is written by one thread to new memory. That of a large array is written by several here, to memory
    that is used again: eight times faster for X of 80 MB, and two to five times where there is nothing to use again.
    """
    if isinstance(a, jax.Array):
        return a if a.dtype == dtype else a.astype(dtype)
    a = np.asarray(a)
    if a.size < _LARGE:
        return jax.device_put(a.astype(dtype, copy=False))
    return jax.device_put(_copied(a, dtype, len(a)), may_alias=True)


def _copied(a: np.ndarray, dtype: Any, rows: int) -> np.ndarray:
    """An aligned copy, with zeros after its rows."""
    copy = aligned((rows, *a.shape[1:]), dtype, recycled)
    parts = min(threads(), len(a)) if a.size >= _LARGE else 1
    pairs = zip(np.array_split(copy[: len(a)], parts), np.array_split(a, parts), strict=True)
    at_once(partial(np.copyto, *pair) for pair in pairs)
    copy[len(a) :] = 0
    return copy


class Rows:
    """Data that one device has, or whose rows several share, from when that is asked for.

    Arrays of NumPy, which are not to change before, are copied for that, to all devices of a CPU where that pays; small
    ones are left to each call of a compiled program. Arrays of JAX are taken as they are.

    Attributes:
        host: X, y and weights, of which NumPy takes rows on a CPU; None for weights that are one.
    """

    def __init__(self, X: Any, y: Any, weights: Any = None, dtype: Any = np.float64):
        self._given, self._dtype, self.shape = (X, y, weights), dtype, np.shape(X)
        fits = type(X) is np.ndarray and X.dtype == dtype and X.flags.c_contiguous
        self._as_it_is = fits and jax.default_backend() == "cpu"
        if self._as_it_is:
            self._given = X, *(None if a is None else np.asarray(a, dtype) for a in (y, weights))
        self.host = self._given if self._as_it_is else self._placed[2]

    @property
    def arrays(self) -> tuple[jax.Array | np.ndarray | None, ...]:
        """The same for JAX. Where devices share the rows, some of weight 0 may be appended."""
        return self._placed[0]

    @property
    def over(self) -> jax.sharding.Mesh | None:
        """The devices that share the rows."""
        return self._placed[1]

    @cached_property
    def _placed(self) -> tuple[tuple[Any, ...], jax.sharding.Mesh | None, tuple[Any, ...]]:
        (X, y, weights), dtype, n = self._given, self._dtype, self.shape[0]
        backend = jax.default_backend()
        shares = math.prod(self.shape) * np.dtype(dtype).itemsize // SHARE
        mesh = split_over(jax.devices()[:shares]) if backend == "cpu" else None
        if mesh is None and self._as_it_is and X.size < _SMALL:
            return self._given, None, self._given
        # X last: memory of arrays that are gone is let go at JAX's next call, and X may use it again.
        if mesh is None:
            y, weights, X = (None if a is None else on_device(a, dtype) for a in (y, weights, X))
            arrays = (X, y, weights)
            views = tuple(None if a is None else np.asarray(a) for a in arrays) if backend == "cpu" else arrays
            return arrays, None, views
        total = n + -n % (_TOGETHER * mesh.size)
        unweighted = weights is None
        if unweighted and total > n:
            weights = np.ones(n)
        sharding = jax.NamedSharding(mesh, jax.P(mesh.axis_names))

        def split(a: Any) -> tuple[Any, Any]:
            if a is None:
                return None, None
            # Of memory of JAX there are views; the user's may change.
            theirs = isinstance(a, jax.Array) and a.dtype == dtype and total == n
            whole = np.asarray(a) if theirs else _copied(np.asarray(a), dtype, total)
            return jax.device_put(whole, sharding, may_alias=True), whole[:n]

        y, weights, X = split(y), split(weights), split(X)
        arrays, host = zip(X, y, weights, strict=True)
        return arrays, mesh, (*host[:2], None) if unweighted else host


def split_over(devices: Sequence[jax.Device]) -> jax.sharding.Mesh | None:
    """A mesh of devices along which rows are split; None for one device."""
    if len(devices) < 2:
        return None
    return jax.make_mesh((len(devices),), ("rows",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices)
