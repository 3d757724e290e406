r"""Value, gradient, Hessian and Hessian-vector product of a loss of $z = Xw$, in one program, without a copy of X.

The loss is

$$L(w) = \sum_i s_i\, \ell(z_i, y_i) \Big/ \sum_i s_i + \frac\lambda2 \|w\|^2,
\qquad\text{or } \sum_i s_i\, \ell(z_i, y_i) + \frac\lambda2 \|w\|^2 \text{ for the losses that are sums}$$

with weights s of the observations (all one if they are not given). $z_i = x_i^\top w$ is a number, and w of shape
(d,), or it is a vector of K logits, and w of shape (d, K). With an intercept, w has one row more, the last one, which
is not penalised. The same code serves every such loss, in float32 and in float64.

What it costs. The gradient is two products with X, which read it twice. The Hessian needs blocks of rows: its scaled
copy of X is one block, where the readable formula writes n by d numbers to memory; value and gradient come with it.
Forms and sizes of blocks were chosen by measurement, on a CPU (``experiments/derivative_cost.py``). The residuals
of numbers z stand on the left of X, as $r^\top X$: $X^\top r$ is many times slower there, and a weighted sum of the
rows of a large X, where these are not long, up to 1.7 times faster, and in single precision more accurate. The scaled
copy is written transposed, so that the Hessian's product runs along rows of both factors, at twice the rate. For many
columns only the blocks on and below the diagonal of the Hessian are computed; the others are their transposes. Cores
share products badly that are as small as a block's; as a device each they take blocks of their own, up to twice as
fast, and where both products of the gradient find a block in the core's cache X is read from memory once.

X may be kept in a lower precision than w has, or as integers: a block at a time is converted to the type of the
arithmetic, that of w. (XLA has no arithmetic in bfloat16 on a CPU, and there makes a float32 copy of all of a bfloat16
X first.)

Call the methods under `jax.jit`, which is left to the caller so that they become one program with what is around them.
Arrays of NumPy work as well, but JAX copies them at each call, as ``jnp.asarray`` does: make JAX arrays of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxderiv.errors import InputError

Symmetric = tuple[jax.Array, ...]  # panels of rows of symmetric matrices, (c, b - a, b), each up to its diagonal block

_NARROW = 64  # columns, from which on a product of matrices is shared by the cores
_SCALED = 2**14  # entries of the scaled copies of a block: well within the first levels of a core's cache
_SCALED_SHARED = 2**18  # where the cores share it: the more work, the less they wait for one another
_FEWEST = 256  # rows of a block, that its product outweighs the addition of the result to that of earlier blocks
_OF_A_CORE = 2**18  # bytes of a block, which both products of the gradient find in the cache of one core
_FEWEST_OF_A_CORE, _FEWEST_OF_SEVERAL = 16, 128  # rows that it holds, if it is worth it; the latter for several logits
_WORTH_SHARING = 2**23  # bytes of X, from which on blocks pay where each core takes its own
_LARGE = 2**23  # bytes of X, from which on a weighted sum of its rows is faster than XLA's product
_SUMMED = {8: range(2049), 4: range(80, 2049)}  # bytes of a row where it is, by those of a number
_ELSEWHERE = 2**26  # entries of a block on an accelerator, where a loop costs more than a large array
_PANEL = 256  # columns of a matrix for each panel that it is computed in
_PANEL_OF_A_CORE = 64
_MOST_PANELS = 4


class Parts(NamedTuple):
    """What a pass over X yields; the parts that were not asked for are None."""

    value: jax.Array | None = None
    gradient: jax.Array | None = None
    hessian: jax.Array | None = None
    hvp: jax.Array | None = None


class Curvature(NamedTuple):
    """The Hessian of a sum of losses, as products $F^\\top \\mathrm{diag}(c) F$ and what to make of them.

    Attributes:
        factors: ``(X, z, y) -> (C, F)``: one product for each row c of C, (c, n), with the same F, (n, k).
        assembled: ``(products, shape) -> H``: the Hessian from the products, (c, k, k), for w of that shape.
        sizes: ``shape -> (c, k)``.
    """

    factors: Callable[..., tuple[jax.Array, jax.Array]]
    assembled: Callable[[jax.Array, tuple[int, ...]], jax.Array]
    sizes: Callable[[tuple[int, ...]], tuple[int, int]]


class Kernel(NamedTuple):
    """A loss of $z = Xw$ by its formulas for one observation, each for a batch of n of them.

    Attributes:
        pointwise: ``(z, y) -> (n,)``.
        residual: ``(z, y)`` to the derivative in z, of the shape of z.
        along: ``(z, y, u)`` to the second derivative in z times u, of the shape of z.
        curvature: the same second derivative, summed over observations into a Hessian in w.
        mean: whether the loss is a mean over observations, else a sum.
        several: whether an observation has several logits.
    """

    pointwise: Callable[..., jax.Array]
    residual: Callable[..., jax.Array]
    along: Callable[..., jax.Array]
    curvature: Curvature
    mean: bool = True
    several: bool = False

    def value(self, w, X, y, lam=0.0, **how) -> jax.Array:
        """$L(w)$, a scalar. Arguments as in `passes`."""
        return self._only("value", w, X, y, lam, **how)

    def gradient(self, w, X, y, lam=0.0, **how) -> jax.Array:
        r"""$X^\top (s \odot \ell') / \sum s + \lambda w$, of the shape of w. Arguments as in `passes`."""
        return self._only("gradient", w, X, y, lam, **how)

    def hessian(self, w, X, y, lam=0.0, **how) -> jax.Array:
        r"""$X^\top \mathrm{diag}(s \odot \ell'') X / \sum s + \lambda I$, (d, d) or (d, K, d, K). See `passes`."""
        return self._only("hessian", w, X, y, lam, **how)

    def hvp(self, w, v, X, y, lam=0.0, **how) -> jax.Array:
        r"""$X^\top (s \odot \ell'' \odot Xv) / \sum s + \lambda v$, of the shape of w. Arguments as in `passes`."""
        return self._only("hvp", w, X, y, lam, along=v, **how)

    def _only(self, name, w, X, y, lam, **how) -> jax.Array:
        return getattr(self.passes(w, X, y, lam, want=(name,), **how), name)

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
        over: jax.sharding.Mesh | None = None,
    ) -> Parts:
        """Several of value, gradient, Hessian and product with a vector, which share their products with X.

        Args:
            w: (d,), or (d + 1,) with an intercept; (d, K) or (d + 1, K) for K logits. `along` likewise, for "hvp".
            X: (n, d), perhaps in a lower precision than w; y: (n,), or (n, K); weights: (n,), not negative.
            want: which parts.
            rows: of a block; by default chosen by size, for a CPU.
            over: devices among which the rows of X, y and weights are split, in equal numbers. What a pass yields is
                on each of them. The cores of a CPU as a device each (``jax.config.update("jax_num_cpu_devices", 2)``,
                before anything else) share the blocks, which one device takes one after the other.
        Raises:
            InputError: for shapes that do not fit, a part that is not known, `rows` below 1, or rows that cannot be
                split equally.
        """
        _fitting(w, X, y, weights, along, intercept, want, rows, self.several, over)
        w, X, y = (jnp.asarray(a) for a in (w, X, y))
        n, d = X.shape
        with jax.numpy_dtype_promotion("standard"):
            arithmetic = jnp.promote_types(w.dtype, X.dtype)
        sizes = self.curvature.sizes(w.shape) if "hessian" in want else None
        devices = 1 if over is None else over.size
        panel = _PANEL if devices == 1 else _PANEL_OF_A_CORE
        direction = along if along is not None else jnp.zeros_like(w)

        def one(w: jax.Array, direction: jax.Array, *block: jax.Array) -> dict[str, Any]:
            X, y, *s = (_converted(a, arithmetic) for a in block)

            # A column of ones would be a copy of X.
            def logits(u: jax.Array) -> jax.Array:
                return X @ u[:d] + u[d:] if intercept else X @ u

            def onto_columns(R: jax.Array) -> jax.Array:
                product = _onto_columns(R, X)
                return jnp.concatenate([product, jnp.sum(R, axis=0)[None]]) if intercept else product

            z = logits(w)
            weighted = lambda a, axis=0: a * jnp.expand_dims(s[0], [i for i in range(a.ndim) if i != axis]) if s else a
            found: dict[str, Any] = {}
            if "value" in want:
                found["value"] = jnp.sum(weighted(self.pointwise(z, y)))
            if "gradient" in want:
                found["gradient"] = onto_columns(weighted(self.residual(z, y)))
            if "hvp" in want:
                found["hvp"] = onto_columns(weighted(self.along(z, y, logits(direction))))
            if "hessian" in want:
                full = jnp.append(X, jnp.ones((len(X), 1), X.dtype), axis=1) if intercept else X
                C, F = self.curvature.factors(full, z, y)
                found["hessian"] = _products(weighted(C, axis=1), F, panel)
            return found

        def summed(w: jax.Array, direction: jax.Array, *arrays: jax.Array) -> dict[str, Any]:
            X = arrays[0]
            # The value alone reads X once.
            whole = set(want) == {"value"} and X.dtype == arithmetic
            block = rows or (max(len(X), 1) if whole else block_rows(X, sizes, devices, arithmetic, self.several))
            return _over_blocks(partial(one, w, direction), block, arrays)

        arrays = (X, y) if weights is None else (X, y, weights)
        total = (summed if over is None else _over_devices(summed, over, len(arrays)))(w, direction, *arrays)
        if sizes is not None:
            total["hessian"] = self.curvature.assembled(_whole(total["hessian"], *sizes, panel), w.shape)
        mass = 1 if not self.mean else n if weights is None else jnp.sum(weights, dtype=arithmetic)
        penalised = jnp.ones_like(w).at[d:].set(0)
        penalty = {
            "value": lambda: lam / 2 * jnp.sum(penalised * w * w),
            "gradient": lambda: lam * penalised * w,
            "hvp": lambda: lam * penalised * direction,
            "hessian": lambda: lam * jnp.diag(penalised.ravel()).reshape(w.shape * 2),
        }
        return Parts(**{name: part / mass + penalty[name]() for name, part in total.items()})


def block_rows(
    X: jax.Array, sizes: tuple[int, int] | None, devices: int = 1, dtype: Any = None, several: bool = False
) -> int:
    """The rows of a block by default.

    Args:
        X: (n, d), what one device has of it.
        sizes: (c, k) of the Hessian's products, if it is wanted: c scaled copies of k columns. On a CPU a block has so
            many rows that these have 2**14 numbers, 2**18 for k >= 64, but at least 256 or k / 2. Without a Hessian all
            rows are one block.
        devices: of several on a CPU each has one core, for which small blocks do: 256 rows, or k / 2; without a Hessian
            256 KiB, if that is 16 rows at least, or 128 for several logits.
        dtype: of the arithmetic. If X has another a block is converted, and has 256 KiB then without a Hessian.
        several: whether an observation has several logits.
    """
    n, d = X.shape
    arithmetic = X.dtype if dtype is None else jnp.dtype(dtype)
    converts = arithmetic != X.dtype
    if jax.default_backend() != "cpu":
        rows = n if sizes is None and not converts else _ELSEWHERE // max(d, sizes[1] if sizes else 1, 1)
    elif sizes is None:
        rows = _OF_A_CORE // max(d * arithmetic.itemsize, 1)
        shared = devices > 1 and n * _row(X) * devices >= _WORTH_SHARING
        if not converts and not (shared and rows >= (_FEWEST_OF_SEVERAL if several else _FEWEST_OF_A_CORE)):
            rows = n
    else:
        c, k = sizes
        scaled = 0 if devices > 1 else _SCALED if k < _NARROW else _SCALED_SHARED
        rows = max(_FEWEST, k // 2, scaled // max(c * k, 1))
    return max(min(n, rows), 1)


def _converted(block: jax.Array, dtype: Any) -> jax.Array:
    # Without the barrier all of X is converted before the first block is.
    return block if block.dtype == dtype else jax.lax.optimization_barrier(block).astype(dtype)


def _row(X: jax.Array) -> int:
    """Bytes of a row."""
    return X.shape[1] * X.dtype.itemsize


def _onto_columns(R: jax.Array, X: jax.Array) -> jax.Array:
    """$X^\\top R$, in a form that is fast on a CPU."""
    if R.ndim == 2:
        return X.T @ R
    if _is_summed(X):
        # Without the barrier residuals may be computed anew for each column.
        return jnp.sum(jax.lax.optimization_barrier(R)[:, None] * X, axis=0)
    return R @ X


def _is_summed(X: jax.Array) -> bool:
    large = len(X) * _row(X) >= _LARGE and jax.default_backend() == "cpu"
    return large and _row(X) in _SUMMED.get(X.dtype.itemsize, ())


def _products(C: jax.Array, F: jax.Array, panel: int) -> Symmetric:
    """$F^\\top \\mathrm{diag}(c) F$ for each row c of C."""
    # Without the barrier the transposition becomes part of the product.
    scaled = jax.lax.optimization_barrier(C[:, None, :] * F.T[None])
    return tuple(scaled[:, a:b] @ F[:, :b] for a, b in _panels(F.shape[1], panel))


def _panels(width: int, panel: int) -> Iterator[tuple[int, int]]:
    count = min(1 + width // panel, _MOST_PANELS)
    return ((i * width // count, (i + 1) * width // count) for i in range(count))


def _whole(panels: Symmetric, count: int, width: int, panel: int) -> jax.Array:
    H = jnp.zeros((count, width, width), panels[0].dtype)
    for (a, b), part in zip(_panels(width, panel), panels, strict=True):
        H = H.at[:, a:b, :b].set(part).at[:, :a, a:b].set(jnp.swapaxes(part[:, :, :a], 1, 2))
    return H


def _over_blocks(one: Callable[..., Any], rows: int, arrays: tuple[jax.Array, ...]) -> Any:
    """The sum of what blocks of rows yield; the last one may be shorter."""
    n = len(arrays[0])
    full = n // rows
    if n <= rows:
        return one(*arrays)

    def step(i: jax.Array, total: Any) -> Any:
        block = (jax.lax.dynamic_slice_in_dim(a, i * rows, rows) for a in arrays)
        return jax.tree.map(jnp.add, total, one(*block))

    shapes = jax.eval_shape(one, *(a[:rows] for a in arrays))
    total = jax.lax.fori_loop(0, full, step, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    return jax.tree.map(jnp.add, total, one(*(a[full * rows :] for a in arrays))) if n % rows else total


def _over_devices(summed: Callable[..., Any], mesh: jax.sharding.Mesh, arrays: int) -> Callable[..., Any]:
    """The sum over devices, of w and a direction that are on each, and arrays whose rows are split."""
    names = mesh.axis_names
    split, each = jax.sharding.PartitionSpec(names), jax.sharding.PartitionSpec()
    total = lambda *given: jax.lax.psum(summed(*given), names)
    return jax.shard_map(total, mesh=mesh, in_specs=(each, each, *[split] * arrays), out_specs=each, check_vma=False)


def _fitting(w, X, y, weights, along, intercept, want, rows, several, over) -> None:
    unknown = [name for name in want if name not in Parts._fields]
    if unknown or not want:
        raise InputError(f"want is {want!r}; allowed are {', '.join(Parts._fields)}")
    if jnp.ndim(X) != 2:
        raise InputError(f"X has shape {jnp.shape(X)}; it has n rows and d columns")
    if jnp.ndim(y) != 1 + several:
        raise InputError(f"y has shape {jnp.shape(y)}; it has n {'rows of K targets' if several else 'entries'}")
    n, length, classes = len(X), X.shape[1] + bool(intercept), jnp.shape(y)[1:]
    needed = {"w": (w, (length, *classes)), "y": (y, (n, *classes)), "weights": (weights, (n,)),
              "along": (along, (length, *classes))}  # fmt: skip
    for name, (array, shape) in needed.items():
        if array is not None and jnp.shape(array) != shape:
            data = f"X of shape {X.shape}" + (f" and y of shape {y.shape}" if several else "")
            hint = " (the intercept is the last row)" if intercept and name in ("w", "along") else ""
            raise InputError(f"{name} has shape {jnp.shape(array)}; with {data} it has {shape}{hint}")
    if ("hvp" in want) != (along is not None):
        raise InputError("the product with a vector takes the vector: write along=v, and want=('hvp',)")
    if rows is not None and rows < 1:
        raise InputError(f"rows is {rows}; a block has at least 1 row")
    if over is not None and n % over.size:
        raise InputError(f"{n} rows cannot be split among {over.size} devices; append rows of weight 0")
