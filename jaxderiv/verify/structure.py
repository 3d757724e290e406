"""Rearrangements: primitives that move numbers about and compute nothing.

Each is carried out once on an array of integers, the positions of the operands' entries, and the values follow
these positions. What NumPy does not do (gather, scatter, padding, ...) JAX does, on integers, so that its own
rules about bounds and windows hold.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Algebra, Value

if TYPE_CHECKING:
    from jaxderiv.verify.interpreter import Interpreter

Rule = Callable[["Interpreter", JaxprEqn, list[Value]], list[Value]]


def take(
    algebra: Algebra, values: list[Value], shapes: list[tuple[int, ...]], ids: np.ndarray, fill: float = np.nan
) -> Value:
    """The entries of the values, flattened and joined, at these positions; `fill` where a position is negative."""

    def pick(*arrays: np.ndarray) -> np.ndarray:
        flat = [a.reshape(-1, *a.shape[len(s) :]) for a, s in zip(arrays, shapes, strict=True)]
        joined = flat[0] if len(flat) == 1 else np.concatenate(flat)
        return joined[np.maximum(ids, 0)]

    out = algebra.move(pick, *values)
    if (ids < 0).any():
        out = algebra.select((ids < 0).astype(int), [out, algebra.constant(np.full(ids.shape, fill))])
    return out


def _broadcast(ids: np.ndarray, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> np.ndarray:
    lifted = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, ids.shape, strict=True):
        lifted[axis] = size
    return np.broadcast_to(ids.reshape(lifted), shape)


def _slice(ids: np.ndarray, params: dict) -> np.ndarray:
    strides = params["strides"] or (1,) * ids.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return ids[tuple(slice(*b) for b in bounds)]


def _dynamic_slice(ids: np.ndarray, starts: list[np.ndarray], sizes: tuple[int, ...]) -> np.ndarray:
    first = [int(np.clip(s, 0, n - k)) for s, n, k in zip(starts, ids.shape, sizes, strict=True)]
    return ids[tuple(slice(f, f + k) for f, k in zip(first, sizes, strict=True))]


def _pad(ids: np.ndarray, fill: np.ndarray, config: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    for axis, (low, high, inside) in enumerate(config):
        size = ids.shape[axis]
        places = low + np.arange(size) * (inside + 1)
        length = low + high + size + max(size - 1, 0) * inside
        wide = np.full((*ids.shape[:axis], length, *ids.shape[axis + 1 :]), int(fill), dtype=ids.dtype)
        kept = (places >= 0) & (places < length)
        wide[(slice(None),) * axis + (places[kept],)] = np.compress(kept, ids, axis)
        ids = wide
    return ids


def _gather(ids: np.ndarray, indices: np.ndarray, params: dict) -> np.ndarray:
    """Windows of the operand at the starting indices; -1 where one that may be filled is out of bounds."""
    d, sizes, batch = params["dimension_numbers"], params["slice_sizes"], indices.shape[:-1]
    start = np.zeros((*batch, ids.ndim), dtype=int)
    start[..., list(d.start_index_map)] = indices
    for axis, along in zip(d.operand_batching_dims, d.start_indices_batching_dims, strict=True):
        start[..., axis] = np.arange(batch[along]).reshape([-1 if i == along else 1 for i in range(len(batch))])
    room = np.array(ids.shape) - np.array(sizes)
    outside = ((start < 0) | (start > room)).any(-1)
    start = np.clip(start, 0, room)
    window = [axis for axis in range(ids.ndim) if axis not in (*d.collapsed_slice_dims, *d.operand_batching_dims)]
    at = []
    for axis in range(ids.ndim):
        offset = np.zeros([1] * len(window), dtype=int)
        if axis in window:
            offset = np.arange(sizes[axis]).reshape([-1 if w == axis else 1 for w in window])
        at.append(start[..., axis].reshape(batch + (1,) * len(window)) + offset)
    out = ids[tuple(np.broadcast_arrays(*at))]
    if "FILL" in str(params["mode"]):
        out = np.where(outside.reshape(batch + (1,) * len(window)), -1, out)
    rank = len(batch) + len(window)
    rest = iter(range(len(batch)))
    window_axes = {axis: len(batch) + i for i, axis in enumerate(d.offset_dims)}
    return out.transpose([window_axes[i] if i in window_axes else next(rest) for i in range(rank)])


_BY_NUMPY: dict[str, Callable[[dict, list[np.ndarray]], np.ndarray]] = {
    "reshape": lambda p, x: x[0].reshape(p["new_sizes"]),
    "transpose": lambda p, x: x[0].transpose(p["permutation"]),
    "broadcast_in_dim": lambda p, x: _broadcast(x[0], p["shape"], p["broadcast_dimensions"]),
    "squeeze": lambda p, x: x[0].squeeze(p["dimensions"]),
    "expand_dims": lambda p, x: np.expand_dims(x[0], p["dimensions"]),
    "rev": lambda p, x: np.flip(x[0], p["dimensions"]),
    "slice": lambda p, x: _slice(x[0], p),
    "concatenate": lambda p, x: np.concatenate(x, p["dimension"]),
    "stack": lambda p, x: np.stack(x, p["axis"]),
    "dynamic_slice": lambda p, x: _dynamic_slice(x[0], x[1:], p["slice_sizes"]),
    "gather": lambda p, x: _gather(x[0], x[1], p),
    "pad": lambda p, x: _pad(x[0], x[1], p["padding_config"]),
}
_FILLING = frozenset(["gather"])  # where a position out of bounds is -1, which integers must not become
_BY_JAX = frozenset("dynamic_update_slice scatter split unstack select_and_gather_add tile".split())


def on_integers(eqn: JaxprEqn, inputs: list[np.ndarray]) -> list[np.ndarray] | None:
    """A rearrangement of integers, or None if the equation is none that NumPy does."""
    name = eqn.primitive.name
    return [_BY_NUMPY[name](eqn.params, inputs)] if name in _BY_NUMPY and name not in _FILLING else None


def _rearrange(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """Follow the positions of the float operands through the primitive."""
    values, shapes, operands, start = [], [], [], 0
    for atom, x in zip(eqn.invars, inputs, strict=True):
        if atoms.is_float(atom):
            size = int(np.prod(atoms.shape(atom), dtype=int))
            operands.append(np.arange(start, start + size).reshape(atoms.shape(atom)))
            values.append(x)
            shapes.append(atoms.shape(atom))
            start += size
        else:
            operands.append(np.asarray(x))
    name = eqn.primitive.name
    if name in _BY_NUMPY:
        positions = [_BY_NUMPY[name](eqn.params, operands)]
    else:
        with jax.enable_x64(True):
            out = eqn.primitive.bind(*(jnp.asarray(x) for x in operands), **eqn.params)
        positions = [np.asarray(x) for x in (out if eqn.primitive.multiple_results else [out])]
    given = eqn.params.get("fill_value")
    fill = np.nan if given is None else float(given)
    return [take(interpreter.algebra, values, shapes, ids, fill) for ids in positions]


def _flat_last(algebra: Algebra, x: Value, axes: tuple[int, ...]) -> Value:
    """The reduced axes joined into one, the last."""
    rank = len(algebra.shape(x))
    kept = [axis for axis in range(rank) if axis not in axes]

    def arrange(a: np.ndarray) -> np.ndarray:
        a = a.transpose(*kept, *axes, *range(rank, a.ndim))
        return a.reshape((*a.shape[: len(kept)], -1, *a.shape[rank:]))

    return algebra.move(arrange, x)


def _along_last(algebra: Algebra, x: Value, index: np.ndarray) -> Value:
    """x[..., index[..., i]] for every i."""
    shape = algebra.shape(x)
    rows = np.arange(int(np.prod(shape[:-1], dtype=int))).reshape(*shape[:-1], 1) * shape[-1]
    return take(algebra, [x], [shape], rows + index)


def _extreme(order: np.ndarray, sign: int) -> np.ndarray:
    """The position of the largest (or smallest) entry along the last axis; NaN wins, then the first."""
    flat = order.reshape(-1, order.shape[-1])
    best = np.zeros(len(flat), dtype=int)
    for row, entries in enumerate(flat):
        for i, entry in enumerate(entries):
            if entry != entry:
                best[row] = i
                break
            if (entry - entries[best[row]]) * sign > 0:
                best[row] = i
    return best.reshape(order.shape[:-1])


def _reduce_extreme(sign: int, position: bool) -> Rule:
    def rule(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
        algebra = interpreter.algebra
        flat = _flat_last(algebra, inputs[0], tuple(eqn.params["axes"]))
        if not algebra.ordered and not position:
            last = len(algebra.shape(flat)) - 1
            at = lambda i: algebra.move(lambda a: a[(slice(None),) * last + (i,)], flat)
            parts = [at(i) for i in range(algebra.shape(flat)[-1])]
            return [functools.reduce(lambda a, b: algebra.larger(a, b, sign), parts)]
        index = _extreme(algebra.order(flat), sign)
        if position:
            return [index.astype(atoms.dtype(eqn.outvars[0]))]
        best = _along_last(algebra, flat, index[..., None])
        spread = algebra.move(lambda a: np.repeat(a, algebra.shape(flat)[-1], axis=index.ndim), best)
        tied = algebra.ties(flat, spread) & (np.arange(algebra.shape(flat)[-1]) != index[..., None])
        if algebra.varies(flat) and tied.any():
            interpreter.ties.append(eqn.primitive.name)
        return [algebra.move(lambda a: a[(slice(None),) * index.ndim + (0,)], best)]

    return rule


def _sort(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """Sort along one axis by the first num_keys operands; the others follow."""
    algebra, axis = interpreter.algebra, eqn.params["dimension"]
    floats = [atoms.is_float(v) for v in eqn.invars]
    orders = [algebra.order(x) if f else np.asarray(x) for x, f in zip(inputs, floats, strict=True)]
    keys = [np.moveaxis(o, axis, -1) for o in orders[: eqn.params["num_keys"]]]
    index = np.empty(keys[0].shape, dtype=int)
    for row in np.ndindex(*keys[0].shape[:-1]):
        ranks = [tuple(k[row][i] for k in keys) for i in range(keys[0].shape[-1])]
        index[row] = sorted(range(len(ranks)), key=ranks.__getitem__)
    if floats[0]:
        _note_equal_neighbours(interpreter, eqn, _along_last(algebra, _flat_last(algebra, inputs[0], (axis,)), index))

    def follow(a: np.ndarray) -> np.ndarray:
        a = np.moveaxis(a, axis, index.ndim - 1)
        spread = index.reshape(index.shape + (1,) * (a.ndim - index.ndim))
        return np.moveaxis(np.take_along_axis(a, spread, axis=index.ndim - 1), index.ndim - 1, axis)

    return [algebra.move(follow, x) if f else follow(np.asarray(x)) for x, f in zip(inputs, floats, strict=True)]


def _note_equal_neighbours(interpreter: Interpreter, eqn: JaxprEqn, ranked: Value) -> None:
    """A tie where two numbers that follow one another in a ranking (along the last axis) are equal."""
    algebra = interpreter.algebra
    last = len(algebra.shape(ranked)) - 1
    at = lambda part: algebra.move(lambda a: a[(slice(None),) * last + (part,)], ranked)
    if algebra.varies(ranked) and algebra.ties(at(slice(1, None)), at(slice(None, -1))).any():
        interpreter.ties.append(eqn.primitive.name)


def _top_k(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    algebra, count = interpreter.algebra, eqn.params["k"]
    order = algebra.order(inputs[0])
    index = np.empty(order.shape, dtype=int)
    for row in np.ndindex(*order.shape[:-1]):
        descending = [-entry for entry in order[row]]
        index[row] = sorted(range(len(descending)), key=descending.__getitem__)
    # the first one that is left out may be as large as the last one that is not
    _note_equal_neighbours(interpreter, eqn, _along_last(algebra, inputs[0], index[..., : count + 1]))
    index = index[..., :count]
    return [_along_last(algebra, inputs[0], index), index.astype(np.int32)]


RULES: dict[str, Rule] = {
    **dict.fromkeys([*_BY_NUMPY, *_BY_JAX], _rearrange),
    "reduce_max": _reduce_extreme(1, position=False),
    "reduce_min": _reduce_extreme(-1, position=False),
    "argmax": _reduce_extreme(1, position=True),
    "argmin": _reduce_extreme(-1, position=True),
    "sort": _sort,
    "top_k": _top_k,
}
