"""Arrays of NumPy on JAX's device, faster than `jnp.asarray` brings them there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.solvers.threads import at_once, threads

_ALIGNMENT = 64  # bytes: where an array begins that JAX takes on a CPU without a copy of its own
_LARGE = 2**20  # entries, from which on threads share the copy
SHARE = 2**22  # bytes of X for each device, at least, that shares its rows
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

    JAX's own copy is written by one thread to new memory; this one by several, to memory that is used again: eight
    times faster for X of 80 MB, and two to five times where there is nothing to be used again.
    """
    if isinstance(a, jax.Array):
        return a if a.dtype == dtype else a.astype(dtype)
    a = np.asarray(a)
    return jax.device_put(_copied(a, dtype, len(a)), may_alias=True)


def _copied(a: np.ndarray, dtype: Any, rows: int) -> np.ndarray:
    """An aligned copy, with zeros after its rows."""
    copy = aligned((rows, *a.shape[1:]), dtype, recycled)
    parts = min(threads(), len(a)) if a.size >= _LARGE else 1
    pairs = zip(np.array_split(copy[: len(a)], parts), np.array_split(a, parts), strict=True)
    at_once(partial(np.copyto, *pair) for pair in pairs)
    copy[len(a) :] = 0
    return copy


class Rows(NamedTuple):
    """Data that one device has, or whose rows several share.

    Attributes:
        arrays: X, y and weights, or None for those that are one. Where devices share the rows, some of weight 0 may be
            appended.
        host: the same without these, of which NumPy takes rows on a CPU.
        over: the devices that share the rows.
    """

    arrays: tuple[jax.Array | None, ...]
    host: tuple[Any, ...]
    over: jax.sharding.Mesh | None


def placed(X: Any, y: Any, weights: Any = None, dtype: Any = np.float64) -> Rows:
    """Copies of arrays of NumPy on the device, or shared by all of a CPU where that pays; arrays of JAX as they are."""
    backend = jax.default_backend()
    shares = np.size(X) * np.dtype(dtype).itemsize // SHARE
    mesh = split_over(jax.devices()[:shares]) if backend == "cpu" else None
    # X last: memory of arrays that are gone is let go at JAX's next call, and X may use it again.
    if mesh is None:
        y, weights, X = (None if a is None else on_device(a, dtype) for a in (y, weights, X))
        arrays = (X, y, weights)
        host = tuple(None if a is None else np.asarray(a) for a in arrays) if backend == "cpu" else arrays
        return Rows(arrays, host, None)
    n = len(X)
    total = n + -n % (_TOGETHER * mesh.size)
    if total > n and weights is None:
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
    return Rows(*zip(X, y, weights, strict=True), mesh)


def split_over(devices: Sequence[jax.Device]) -> jax.sharding.Mesh | None:
    """A mesh of devices along which rows are split; None for one device."""
    if len(devices) < 2:
        return None
    return jax.make_mesh((len(devices),), ("rows",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices)
