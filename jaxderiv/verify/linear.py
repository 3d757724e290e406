"""Sums, products and linear algebra over any algebra.

Factorisations are carried out on the entries themselves (Gaussian elimination with pivots chosen by size), so
that they mean in every arithmetic what they mean on paper.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jax.extend.core import JaxprEqn

from jaxderiv.verify import atoms
from jaxderiv.verify.algebra import Algebra, Unsupported, Value
from jaxderiv.verify.structure import Rule, take

if TYPE_CHECKING:
    from jaxderiv.verify.interpreter import Interpreter

Cells = list[list[Value]]  # the entries of one matrix, each a scalar value


def _dot_general(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    algebra = interpreter.algebra
    (contract_a, contract_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
    a, b = (_as_float(interpreter, x, v) for x, v in zip(inputs, eqn.invars, strict=True))
    shape_a, shape_b = algebra.shape(a), algebra.shape(b)
    free_a = [i for i in range(len(shape_a)) if i not in (*contract_a, *batch_a)]
    free_b = [i for i in range(len(shape_b)) if i not in (*contract_b, *batch_b)]
    if eqn.invars[0] is eqn.invars[1] and contract_a == contract_b and not (free_a or free_b or batch_a):
        return [algebra.sum(algebra.integer_power(a, 2), tuple(contract_a))]  # z @ z is a sum of squares
    count = lambda shape, axes: math.prod(shape[i] for i in axes)

    def matrix(x: Value, shape: tuple[int, ...], *groups: list[int]) -> Value:
        axes = [axis for group in groups for axis in group]
        sizes = [count(shape, group) for group in groups]

        def arrange(m: np.ndarray) -> np.ndarray:
            return m.transpose(*axes, *range(len(shape), m.ndim)).reshape((*sizes, *m.shape[len(shape) :]))

        return algebra.move(arrange, x)

    rows = matrix(a, shape_a, list(batch_a), free_a, list(contract_a))
    columns = matrix(b, shape_b, list(batch_b), list(contract_b), free_b)
    out = atoms.shape(eqn.outvars[0])
    return [algebra.move(lambda m: m.reshape((*out, *m.shape[3:])), algebra.matmul(rows, columns))]


def _as_float(interpreter: Interpreter, x: Value, variable) -> Value:
    is_float = atoms.is_float(variable) or not isinstance(x, np.ndarray)
    return x if is_float or x.dtype == object else interpreter.algebra.constant(np.asarray(x, dtype=np.float64))


def _reduce_sum(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    return [interpreter.algebra.sum(inputs[0], tuple(eqn.params["axes"]))]


def _slices(algebra: Algebra, x: Value, axis: int) -> list[Value]:
    at = lambda i: lambda a: a[(slice(None),) * axis + (i,)]
    return [algebra.move(at(i), x) for i in range(algebra.shape(x)[axis])]


def _reduce_prod(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    algebra, out = interpreter.algebra, inputs[0]
    for axis in sorted(eqn.params["axes"], reverse=True):
        first, *rest = _slices(algebra, out, axis)
        for part in rest:
            first = algebra.mul(first, part)
        out = first
    return [out]


def _cumulative(name: str) -> Rule:
    def rule(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
        algebra, axis, backwards = interpreter.algebra, eqn.params["axis"], eqn.params["reverse"]
        parts = _slices(algebra, inputs[0], axis)
        total, collected = None, []
        for part in reversed(parts) if backwards else parts:
            if total is None:
                total = part
            elif name in ("cummax", "cummin"):
                interpreter.note_ties(eqn, total, part)
                a, b = algebra.order(total), algebra.order(part)
                total = algebra.select(np.asarray(b > a if name == "cummax" else b < a, dtype=int), [total, part])
            else:
                total = (algebra.add if name == "cumsum" else algebra.mul)(total, part)
            collected.append(total)
        if backwards:
            collected.reverse()
        return [algebra.move(lambda *arrays: np.stack(arrays, axis), *collected)]

    return rule


def _scatter_add(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """operand with updates added: which update falls on which entry is asked of JAX, one update at a time."""
    import jax
    import jax.numpy as jnp

    algebra, (operand, indices, updates) = interpreter.algebra, inputs
    shape, window = algebra.shape(operand), algebra.shape(updates)
    count = math.prod(window)
    with jax.enable_x64(True):
        hit = lambda one: eqn.primitive.bind(jnp.zeros(shape), jnp.asarray(indices), one, **eqn.params)
        hits = np.asarray(jax.vmap(hit)(jnp.eye(count).reshape(count, *window))).reshape(count, -1)
    layers: list[np.ndarray] = []
    for update, row in enumerate(hits):
        for entry in np.flatnonzero(row):
            layer = next((x for x in layers if x[entry] < 0), None)
            if layer is None:
                layers.append(layer := np.full(math.prod(shape), -1))
            layer[entry] = update
    for layer in layers:
        ids = layer.reshape(shape)
        values = take(algebra, [updates], [window], np.maximum(ids, 0))
        zeros = algebra.constant(np.zeros(shape))
        operand = algebra.add(operand, algebra.select((ids < 0).astype(int), [values, zeros]))
    return [operand]


# Matrices --------------------------------------------------------------------------------------------------------
def _cells(algebra: Algebra, x: Value) -> Cells:
    rows, columns = algebra.shape(x)
    at = lambda i, j: lambda a: a[i, j]
    return [[algebra.move(at(i, j), x) for j in range(columns)] for i in range(rows)]


def _joined(algebra: Algebra, cells: Cells) -> Value:
    shape = (len(cells), len(cells[0]))

    def join(*arrays: np.ndarray) -> np.ndarray:
        return np.stack(arrays).reshape((*shape, *arrays[0].shape))

    return algebra.move(join, *(cell for row in cells for cell in row))


def _batched(rule):
    """Apply a rule on matrices to the leading axes of stacks of them."""

    def batched(interpreter: Interpreter, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
        algebra = interpreter.algebra
        if 0 in algebra.shape(inputs[0]):  # the matrix without columns, as of a model without features
            blank = [np.zeros(atoms.shape(v), atoms.dtype(v)) for v in eqn.outvars]
            return [algebra.constant(x) if atoms.is_float(v) else x for x, v in zip(blank, eqn.outvars, strict=True)]
        if len(algebra.shape(inputs[0])) == 2:
            return rule(algebra, eqn, inputs)
        stacks = zip(*(_slices(algebra, x, 0) for x in inputs), strict=True)
        outs = [batched(interpreter, eqn, list(stack)) for stack in stacks]
        gathered = []
        for parts in zip(*outs, strict=True):
            plain = isinstance(parts[0], np.ndarray) and np.issubdtype(parts[0].dtype, np.integer)
            gathered.append(np.stack(parts) if plain else algebra.move(lambda *a: np.stack(a), *parts))
        return gathered

    return batched


def eliminate(algebra: Algebra, a: Cells) -> list[int]:
    """LU factors in place of a square or tall matrix; returns the permutation of its rows."""
    rows, columns = len(a), len(a[0])
    permutation = list(range(rows))
    for c in range(min(rows, columns)):
        pivot = max(range(c, rows), key=lambda r: abs(algebra.order(a[r][c])[()]))
        a[c], a[pivot] = a[pivot], a[c]
        permutation[c], permutation[pivot] = permutation[pivot], permutation[c]
        if algebra.order(a[c][c])[()] == 0:
            continue
        for r in range(c + 1, rows):
            a[r][c] = algebra.div(a[r][c], a[c][c])
            for j in range(c + 1, columns):
                a[r][j] = algebra.sub(a[r][j], algebra.mul(a[r][c], a[c][j]))
    return permutation


def _lu(algebra: Algebra, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    cells = _cells(algebra, inputs[0])
    permutation = eliminate(algebra, cells)
    order, pivots = list(range(len(permutation))), []
    for c in range(min(len(cells), len(cells[0]))):
        swap = order.index(permutation[c])
        pivots.append(swap)
        order[c], order[swap] = order[swap], order[c]
    return [_joined(algebra, cells), np.array(pivots, np.int32), np.array(permutation, np.int32)]


def _substitute(algebra: Algebra, a: Cells, b: Cells, lower: bool, unit: bool) -> Cells:
    """Solve a x = b with a triangular matrix."""
    size, x = len(a), [list(row) for row in b]
    for i in range(size) if lower else reversed(range(size)):
        for j in range(i) if lower else range(i + 1, size):
            x[i] = [algebra.sub(cell, algebra.mul(a[i][j], known)) for cell, known in zip(x[i], x[j], strict=True)]
        if not unit:
            x[i] = [algebra.div(cell, a[i][i]) for cell in x[i]]
    return x


def _transposed(cells: Cells) -> Cells:
    return [list(column) for column in zip(*cells, strict=True)]


def _triangular_solve(algebra: Algebra, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    p, (a, b) = eqn.params, (_cells(algebra, x) for x in inputs)
    lower, left = p["lower"], p["left_side"]
    if p["transpose_a"] == left:  # x a = b is a' x' = b'
        a, lower = _transposed(a), not lower
    solution = _substitute(algebra, a, b if left else _transposed(b), lower, p["unit_diagonal"])
    return [_joined(algebra, solution if left else _transposed(solution))]


def _cholesky(algebra: Algebra, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    a = _cells(algebra, inputs[0])
    zero = algebra.constant(np.zeros(()))
    root = [[zero for _ in row] for row in a]
    for j in range(len(a)):
        for i in range(j, len(a)):
            left = a[i][j]
            for c in range(j):
                left = algebra.sub(left, algebra.mul(root[i][c], root[j][c]))
            root[i][j] = algebra.function("sqrt", left) if i == j else algebra.div(left, root[j][j])
    return [_joined(algebra, root)]


def _eigh(algebra: Algebra, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """Eigenvectors and eigenvalues of a symmetric matrix: float64 ones, improved by Newton's method on
    (A v - lambda v, v'v - 1) in the algebra itself, which yields the digits and the derivatives alike."""
    if math.isinf(algebra.digits):
        raise Unsupported(f"{eqn.primitive.name} (eigenvalues are no rational functions)")
    given = _cells(algebra, inputs[0])
    size, lower = len(given), eqn.params.get("lower", True)
    a = [[given[i][j] if (i >= j) == lower or i == j else given[j][i] for j in range(size)] for i in range(size)]
    matrix = algebra.order(_joined(algebra, a))
    values, vectors = np.linalg.eigh(np.asarray(matrix, dtype=np.float64))
    number = lambda x: algebra.constant(np.asarray(float(x)))
    steps = 4 + max(0, math.ceil(math.log2(algebra.digits / 12)))
    still = [[algebra.freeze(x) for x in row] for row in a]
    pairs = []
    for index in range(size):
        pair = [number(x) for x in vectors[:, index]], number(values[index])
        # The digits come without the derivatives, which take one step for every order.
        for matrix_of_step in (*[still] * steps, *[a] * (algebra.orders + 1)):
            pair = _eigen_step(algebra, matrix_of_step, *pair)
        pairs.append(pair[::-1])
    stacked = algebra.move(lambda *xs: np.stack(xs), *(lam for lam, _ in pairs))
    return [_joined(algebra, _transposed([v for _, v in pairs])), stacked]


def _eigen_step(algebra: Algebra, a: Cells, v: list[Value], lam: Value) -> tuple[list[Value], Value]:
    """A step of Newton's method towards an eigenpair."""
    size, number = len(a), lambda x: algebra.constant(np.asarray(float(x)))
    bordered = [
        [*(algebra.sub(a[i][j], lam) if i == j else a[i][j] for j in range(size)), algebra.neg(v[i])]
        for i in range(size)
    ]
    bordered.append([*v, number(0.0)])
    excess = [algebra.neg(_inner(algebra, bordered[i][:size], v)) for i in range(size)]
    excess.append(algebra.mul(number(0.5), algebra.sub(number(1.0), _inner(algebra, v, v))))
    step = solve(algebra, bordered, [[x] for x in excess])
    return [algebra.add(x, dx[0]) for x, dx in zip(v, step, strict=False)], algebra.add(lam, step[size][0])


def _svd(algebra: Algebra, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """Singular values, and thin singular vectors, from the eigenvectors of A'A; signs as they come."""
    turn = lambda x: algebra.move(lambda a: np.swapaxes(a, 0, 1), x)
    rows, columns = algebra.shape(inputs[0])
    vectors = eqn.params["compute_uv"]
    if vectors and eqn.params["full_matrices"] and rows != columns:
        raise Unsupported("svd (with full_matrices, of a matrix that is not square)")
    a = inputs[0] if rows >= columns else turn(inputs[0])
    product = lambda x, y: algebra.move(lambda m: m[0], algebra.matmul(_stack(algebra, x), _stack(algebra, y)))
    right, squares = _eigh(algebra, eqn, [product(turn(a), a)])
    right, squares = (algebra.move(lambda m, axis=axis: np.flip(m, axis), x) for x, axis in ((right, 1), (squares, 0)))
    values = algebra.function("sqrt", squares)
    if not vectors:
        return [values]
    size, long = algebra.shape(right)[0], algebra.shape(a)[0]
    over = algebra.move(lambda m: np.broadcast_to(m[None], (long, size, *m.shape[1:])), values)
    left = algebra.div(product(a, right), over)
    return [values, left, turn(right)] if rows >= columns else [values, right, turn(left)]


def _stack(algebra: Algebra, x: Value) -> Value:
    return algebra.move(lambda a: a[None], x)


def _inner(algebra: Algebra, a: list[Value], b: list[Value]) -> Value:
    total = algebra.mul(a[0], b[0])
    for x, y in zip(a[1:], b[1:], strict=True):
        total = algebra.add(total, algebra.mul(x, y))
    return total


def solve(algebra: Algebra, a: Cells, b: Cells) -> Cells:
    """The solution x of a x = b by Gaussian elimination."""
    a = [list(row) for row in a]
    permutation = eliminate(algebra, a)
    y = _substitute(algebra, a, [b[i] for i in permutation], lower=True, unit=True)
    return _substitute(algebra, a, y, lower=False, unit=False)


RULES: dict[str, Rule] = {
    "dot_general": _dot_general,
    "reduce_sum": _reduce_sum,
    "reduce_prod": _reduce_prod,
    **{name: _cumulative(name) for name in ("cumsum", "cumprod", "cummax", "cummin")},
    "scatter-add": _scatter_add,
    "scatter_add": _scatter_add,
    "lu": _batched(_lu),
    "triangular_solve": _batched(_triangular_solve),
    "cholesky": _batched(_cholesky),
    "eigh": _batched(_eigh),
    "svd": _batched(_svd),
}
