"""Forward differentiation by our own rules, over any algebra.

A dual value is a primal value and its tangents in several directions at once, held in one extra axis at the end
(None: constant). ``Dual(Dual(base))`` gives second derivatives: the value of the inner algebra that is the outer
tangent has tangents of its own. No derivative rule of JAX's is used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxderiv.verify.algebra import DERIVATIVES, Algebra, Unsupported, Value


class DualValue(NamedTuple):
    primal: Value
    tangent: Value | None


class Dual(Algebra):
    """Numbers p + t * epsilon over a base algebra, epsilon squared = 0.

    Args:
        base: the algebra of primals and tangents.
        directions: number of tangents carried side by side.
    """

    def __init__(self, base: Algebra, directions: int):
        self.base, self.directions = base, directions
        self.orders, self.digits = base.orders + 1, base.digits

    def constant(self, x):
        return DualValue(self.base.constant(x), None)

    def literal(self, x):
        return DualValue(self.base.literal(x), None)

    def variable(self, primal: Value, tangent: Value) -> DualValue:
        """A value of the base with tangents, of its shape and one more axis of directions."""
        return DualValue(primal, self.base.constant(tangent))

    def tangent(self, x: DualValue) -> Value:
        """The tangents, with zeros where there are none."""
        if x.tangent is not None:
            return x.tangent
        return self.base.constant(np.zeros((*self.shape(x), self.directions)))

    def move(self, f, *values):
        primal = self.base.move(f, *(v.primal for v in values))
        if all(v.tangent is None for v in values):
            return DualValue(primal, None)
        return DualValue(primal, self.base.move(f, *(self.tangent(v) for v in values)))

    def order(self, x):
        return self.base.order(x.primal)

    def equal(self, a, b):
        return self.base.equal(a.primal, b.primal)

    def ties(self, a, b):
        return self.base.ties(a.primal, b.primal)

    def varies(self, x):
        return x.tangent is not None or (self.orders > 1 and self.base.varies(x.primal))

    def freeze(self, x):
        return DualValue(self.base.freeze(x.primal), None)

    def _scale(self, tangent: Value | None, by: Value) -> Value | None:
        if tangent is None:
            return None
        depth = len(self.base.shape(tangent)) - 1

        def spread(a: np.ndarray) -> np.ndarray:
            a = np.expand_dims(a, depth)
            return np.broadcast_to(a, (*a.shape[:depth], self.directions, *a.shape[depth + 1 :]))

        return self.base.mul(tangent, self.base.move(spread, by))

    def _plus(self, a: Value | None, b: Value | None) -> Value | None:
        if a is None or b is None:
            return b if a is None else a
        return self.base.add(a, b)

    def add(self, a, b):
        return DualValue(self.base.add(a.primal, b.primal), self._plus(a.tangent, b.tangent))

    def neg(self, a):
        return DualValue(self.base.neg(a.primal), None if a.tangent is None else self.base.neg(a.tangent))

    def mul(self, a, b):
        tangent = self._plus(self._scale(a.tangent, b.primal), self._scale(b.tangent, a.primal))
        return DualValue(self.base.mul(a.primal, b.primal), tangent)

    def div(self, a, b):
        ratio = self.base.div(a.primal, b.primal)
        if a.tangent is None and b.tangent is None:
            return DualValue(ratio, None)
        inverse = self.base.div(self.base.number(1.0, b.primal), b.primal)
        down = self._scale(b.tangent, self.base.neg(self.base.mul(ratio, inverse)))
        return DualValue(ratio, self._plus(self._scale(a.tangent, inverse), down))

    def power(self, a, b):
        base = self.base
        y = base.power(a.primal, b.primal)
        tangent = None
        if a.tangent is not None:
            lower = base.power(a.primal, base.sub(b.primal, base.number(1.0, b.primal)))
            tangent = self._scale(a.tangent, base.mul(b.primal, lower))
        if b.tangent is not None:
            slope = base.mul(y, base.function("log", a.primal))
            # x ** y is 0 for every y > 0 at x = 0: flat in y, although log 0 is infinite
            flat = ((base.order(a.primal) == 0) & (base.order(b.primal) > 0)).astype(int)
            slope = base.select(flat, [slope, base.number(0.0, slope)])
            tangent = self._plus(tangent, self._scale(b.tangent, slope))
        return DualValue(y, tangent)

    def matmul(self, a, b):
        base, count = self.base, self.directions
        tangent = None
        if a.tangent is not None:  # (batch, i, j, direction): the direction joins the rows
            batch, i, j, _ = base.shape(a.tangent)
            rows = base.move(lambda x: np.moveaxis(x, 3, 2).reshape(batch, i * count, j, *x.shape[4:]), a.tangent)
            product = base.matmul(rows, b.primal)
            k = base.shape(product)[2]
            tangent = base.move(lambda x: np.moveaxis(x.reshape(batch, i, count, k, *x.shape[3:]), 2, 3), product)
        if b.tangent is not None:  # (batch, j, k, direction): the direction joins the columns
            batch, j, k, _ = base.shape(b.tangent)
            columns = base.move(lambda x: x.reshape(batch, j, k * count, *x.shape[4:]), b.tangent)
            product = base.matmul(a.primal, columns)
            i = base.shape(product)[1]
            product = base.move(lambda x: x.reshape(batch, i, k, count, *x.shape[3:]), product)
            tangent = self._plus(tangent, product)
        return DualValue(base.matmul(a.primal, b.primal), tangent)

    def sum(self, a, axes):
        tangent = None if a.tangent is None else self.base.sum(a.tangent, axes)
        return DualValue(self.base.sum(a.primal, axes), tangent)

    def function(self, name, x):
        y = self.base.function(name, x.primal)
        if x.tangent is None:
            return DualValue(y, None)
        if name not in DERIVATIVES:
            raise Unsupported(f"the derivative of {name}")
        return DualValue(y, self._scale(x.tangent, DERIVATIVES[name](self.base, x.primal, y)))
