"""Exact arithmetic in finite fields: the numbers of a proof.

A value carries its residues modulo a chain of primes p0 = 2 p1 + 1, p1 = 2 p2 + 1, ..., and a *shadow*: the real
number that it stands for, with a running error bound, by which comparisons and branches are decided.

* exp(v) mod p_i is g_i ** (v mod p_(i+1)), with g_i of order p_(i+1) and drawn afresh: exp(a + b) = exp(a) exp(b)
  and exp(k a) = exp(a) ** k hold exactly. Every nested exponential uses up one prime.
* log(u) is an atom, a random number determined by u, that carries the image u: exp(log(u) + v) = u exp(v), and
  exp(y log(u)) = u ** y. Two values with logarithms are also equal if their images under exp are, so that
  log(a b) = log(a) + log(b) is seen.
* The squares modulo p_i are the subgroup of order p_(i+1), on which u ** y is u_i ** y_(i+1) for any y, so that a
  square root is the power 1/2. The primes are -1 modulo 8 and every odd prime up to 67, which makes a positive
  number of these factors a square, and -1 none: squares play the positive numbers. Variables are drawn that way.
  A positive number that is no square has no root here, and another draw is needed.
* Other functions (erf, sin, ...) are atoms too, with their parity and with sin^2 + cos^2 = 1.

An entry that is not known (past the last prime, outside of a function's domain) is NaN, as in floating point.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from jaxderiv.verify.algebra import FLOAT_FUNCTIONS, Algebra, Unsupported
from jaxderiv.verify.precise import closed_form, snap
from jaxderiv.verify.rounding import Rounded, Rounding

_SMALL = [q for q in range(3, 68) if all(q % r for r in range(2, q))]
_MULTIPLE = 6530745187996931495510497054515 * 8 * math.prod(_SMALL)
PRIMES = tuple(_MULTIPLE * 2**i - 1 for i in (3, 2, 1, 0))  # of 191 to 188 bits

Degree = tuple[int, int]  # bounds of the degrees of numerator and denominator
Residues = tuple[np.ndarray, ...]  # one array of Python's integers for every prime

_NAN = float("nan")
_MOST = 10_000  # a numerator that still counts as small


class Logs:
    """A value's part that is no logarithm, and the exponential of the part that is (0: not known). Worked out only
    where an exponential or a comparison of two logarithms asks for them."""

    def __init__(self, parts: Callable[[], tuple[Residues, Residues]], heights: tuple[int, int]):
        self._parts, self.heights = parts, heights  # see Element

    @functools.cached_property
    def parts(self) -> tuple[Residues, Residues]:
        rest, image = self._parts()
        arrays = lambda levels: tuple(np.asarray(x, dtype=object) for x in levels)  # of one number, NumPy makes none
        return arrays(rest), arrays(image)

    @property
    def rest(self) -> Residues:
        return self.parts[0]

    @property
    def image(self) -> Residues:
        return self.parts[1]


class Element(NamedTuple):
    """An array of values.

    Attributes:
        height: how deep exponentials are nested in it; it is known modulo all primes but the last so many.
    """

    residues: Residues
    shadow: Rounded
    degree: Degree
    logs: Logs | None = None
    height: int = 0


class Field(Algebra):
    """Residues modulo the first `depth` primes of the chain.

    Args:
        seed: of all that is drawn.
        depth: number of primes, 1 to 4: one more than exponentials are nested.
        aligned: positive variables are squares modulo all primes; else modulo p0 only, and uniform modulo others.
    Attributes:
        used: which of "exp", "power" (with a variable exponent), "log", "root" and "atom" the programs needed.
        needed: the number of primes that the atoms' arguments take.
        unlucky: a positive number that is no square had to have a root.
        rooted: of every root in turn, which entries are squares modulo p0, and which are plainly so: variables.
        kept: literals taken as the dyadic rationals they are, see `precise.snap`.
    """

    digits = math.inf

    def __init__(self, seed: int, depth: int, aligned: bool = False):
        self.depth, self.primes, self.aligned = depth, PRIMES[:depth], aligned
        self.random = random.Random(seed)
        self.bases = [pow(self.random.randrange(2, p - 1), 2, p) for p in self.primes]
        self.real = Rounding("float64")
        self.used: set[str] = set()
        self.needed, self.unlucky = 1, False
        self.rooted: list[tuple[np.ndarray, ...]] = []
        self.kept: set[float] = set()
        self._atoms: dict[Any, tuple[int, ...]] = {}
        self._variables: set[Any] = set()

    # Making values ---------------------------------------------------------------------------------------------
    def constant(self, x):
        if isinstance(x, Element):
            return x
        x = np.asarray(x, dtype=np.float64)
        return Element(self._embedded(x, Fraction), self.real.constant(x), (0, 0))

    def literal(self, x):
        x = np.asarray(x, dtype=np.float64)
        if not x.ndim and (irrational := self._irrational(float(x))) is not None:
            return irrational

        def exact(value: float) -> Fraction:
            meant = snap(value)
            if meant is None and not x.ndim:
                self.kept.add(value)
            return Fraction(value) if meant is None else meant

        return Element(self._embedded(x, exact), self.real.literal(x), (0, 0))

    @functools.cached_property
    def pi(self) -> Element:
        """A number that no algebra ties to others: a variable."""
        return self.variable(np.asarray(math.pi))._replace(shadow=Rounded(np.asarray(math.pi), np.asarray(2.0**-52)))

    def spread_pi(self, times: float, like: Element) -> Element:
        """A multiple of pi over the shape of a value."""
        multiple = self.mul(self.pi, self.literal(np.asarray(times)))
        return self.move(lambda a: np.broadcast_to(a, like.residues[0].shape), multiple)

    def _irrational(self, x: float) -> Element | None:
        """A literal such as sqrt(2 / pi), in closed form."""
        form = None if not math.isfinite(x) or snap(x) is not None else closed_form(x)
        if form is None:
            return None
        rational = Element(self._embedded(np.asarray(0.0), lambda _: form.rational),
                           self.real.literal(np.asarray(float(form.rational))), (0, 0))  # fmt: skip
        inside = self.mul(rational, self.integer_power(self.pi, form.power))
        if form.is_log:
            return self.mul(self.function("log", inside), self.literal(np.asarray(1 / form.root)))
        if form.root == 1:
            return inside
        p = self.primes[0]
        if pow(inside.residues[0][()], (p - 1) // 2, p) != 1:
            return None  # a rational with a large prime factor may be no square
        self._variables.add(inside.residues[0][()])
        return self.function("sqrt", inside)

    def _embedded(self, x: np.ndarray, exact: Callable[[float], Fraction]) -> Residues:
        known: dict[float, tuple[Any, ...]] = {}

        def residues(value: float) -> tuple[Any, ...]:
            if not math.isfinite(value):
                return (_NAN,) * self.depth
            q = exact(value)
            return tuple(q.numerator * pow(q.denominator, -1, p) % p for p in self.primes)

        columns: list[list[Any]] = [[] for _ in self.primes]
        for value in x.ravel().tolist():
            if value not in known:
                known[value] = residues(value)
            for column, r in zip(columns, known[value], strict=True):
                column.append(r)
        return tuple(_objects(column, x.shape) for column in columns)

    def variable(self, shadow: np.ndarray) -> Element:
        """Free variables near a real point: random residues, squares where the point is positive, else minus
        squares."""
        signs = np.where(np.asarray(shadow) < 0, -1, 1)
        square = lambda p, sign: sign * pow(self.random.randrange(1, p), 2, p) % p
        one = lambda level, p, sign: square(p, sign) if self.aligned or level == 0 else self.random.randrange(p)
        residues = tuple(
            _objects([one(level, p, sign) for sign in signs.ravel().tolist()], signs.shape)
            for level, p in enumerate(self.primes)
        )
        self._variables.update(residues[0].ravel().tolist())
        return Element(residues, self.real.constant(shadow), (2, 0))

    # The frame -------------------------------------------------------------------------------------------------
    def move(self, f, *values):
        arrays = lambda parts: np.asarray(f(*parts), dtype=object)
        over = lambda levels: tuple(map(arrays, zip(*levels, strict=True)))
        logs = None
        if any(v.logs is not None for v in values):
            found = [self._logs(v) for v in values]
            logs = Logs(lambda: (over([x.rest for x in found]), over([x.image for x in found])), _highest(found))
        degree = max(v.degree[0] for v in values), max(v.degree[1] for v in values)
        shadow, height = self.real.move(f, *(v.shadow for v in values)), max(v.height for v in values)
        return Element(over([v.residues for v in values]), shadow, degree, logs, height)

    def order(self, x):
        return x.shadow.value

    def varies(self, x):
        return True

    def equal(self, a, b):
        same = np.asarray(a.residues[0] == b.residues[0], dtype=bool)
        return same & (self._apart(a, b) <= a.shadow.error + b.shadow.error)

    def ties(self, a, b):
        """Where neither the shadows nor the residues can tell which one is larger."""
        close = ~(self._apart(a, b) > a.shadow.error + b.shadow.error)
        return close & ~np.asarray(a.residues[0] == b.residues[0], dtype=bool)

    @staticmethod
    def _apart(a: Element, b: Element) -> np.ndarray:
        x, y = a.shadow.value, b.shadow.value
        with np.errstate(invalid="ignore"):
            return np.where(x == y, 0.0, np.abs(x - y))

    def _logs(self, x: Element) -> Logs:
        if x.logs is not None:
            return x.logs
        ones = np.ones(x.residues[0].shape, dtype=object)
        return Logs(lambda: (x.residues, (ones,) * self.depth), (x.height, 0))

    def _levels(self, f: Callable, *values: Residues) -> Residues:
        """f(modulus, *arrays), modulus by modulus."""
        with np.errstate(invalid="ignore"):
            out = [f(p, *arrays) for p, *arrays in zip(self.primes, *values, strict=True)]
        return tuple(np.asarray(x, dtype=object) for x in out)

    # Arithmetic ------------------------------------------------------------------------------------------------
    def add(self, a, b):
        plus = lambda p, x, y: (x + y) % p
        logs = None
        if a.logs is not None or b.logs is not None:
            one, two = self._logs(a), self._logs(b)
            times = lambda p, x, y: x * y % p
            parts = lambda: (self._levels(plus, one.rest, two.rest), self._levels(times, one.image, two.image))
            logs = Logs(parts, _highest([one, two]))
        shadow, degree = self.real.add(a.shadow, b.shadow), _sum_degree(a.degree, b.degree)
        return Element(self._levels(plus, a.residues, b.residues), shadow, degree, logs, max(a.height, b.height))

    def neg(self, a):
        minus = lambda p, x: -x % p
        logs = None
        if (own := a.logs) is not None:
            parts = lambda: (self._levels(minus, own.rest), self._levels(_inverse_or_zero, own.image))
            logs = Logs(parts, own.heights)
        return Element(self._levels(minus, a.residues), self.real.neg(a.shadow), a.degree, logs, a.height)

    def mul(self, a, b):
        product = self._levels(lambda p, x, y: x * y % p, a.residues, b.residues)
        shadow, degree = self.real.mul(a.shadow, b.shadow), _product_degree(a.degree, b.degree)
        if a.logs is None and b.logs is None:
            return Element(product, shadow, degree, None, max(a.height, b.height))
        # u ** y takes y modulo the next prime, unless that is a number
        powers = [x.height + 1 for x in (a, b) if x.logs is None and x.degree != (0, 0)]
        rest, image = _highest([self._logs(a), self._logs(b)])
        logs = Logs(lambda: self._product_logs(a, b), (rest, max([image, *powers])))
        return Element(product, shadow, degree, logs, max(a.height, b.height))

    def _product_logs(self, a: Element, b: Element) -> tuple[Residues, Residues]:
        """Logarithms scaled by the other factor. Where both factors have some, nothing is known."""
        one, two = self._logs(a), self._logs(b)
        plain = [np.asarray(x == 1, dtype=bool) for x in two.image], [np.asarray(x == 1, dtype=bool) for x in one.image]
        rest, image = [], []
        scaled = self._powers(one.image, b.residues, 0), self._powers(two.image, a.residues, 0)
        for level, p in enumerate(self.primes):
            by_b, by_a = plain[0][level], plain[1][level]
            by = one.rest[level] * b.residues[level] % p, two.rest[level] * a.residues[level] % p
            rest.append(np.where(by_b, *(np.asarray(x, dtype=object) for x in by)))
            image.append(np.where(by_b, scaled[0][level], np.where(by_a, scaled[1][level], 0)))
        return tuple(rest), tuple(image)

    def div(self, a, b):
        return self.mul(a, self._inverse(b))._replace(
            shadow=self.real.div(a.shadow, b.shadow), degree=_product_degree(a.degree, b.degree[::-1])
        )

    def _inverse(self, a: Element) -> Element:
        one = self.real.constant(np.ones(a.residues[0].shape))
        inverse, logs = self._levels(_inverses, a.residues), None
        if (own := a.logs) is not None:  # known only at entries without logarithms
            parts = lambda: (inverse, tuple((x == 1).astype(int).astype(object) for x in own.image))
            logs = Logs(parts, (a.height, own.heights[1]))
        return Element(inverse, self.real.div(one, a.shadow), a.degree[::-1], logs, a.height)

    def matmul(self, a, b):
        if a.logs is not None or b.logs is not None:
            rows = self.move(lambda x: np.broadcast_to(x[:, :, :, None], (*x.shape, _last(b))), a)
            columns = self.move(lambda x: np.broadcast_to(x[:, None], (x.shape[0], _rows(a), *x.shape[1:])), b)
            return self.sum(self.mul(rows, columns), (2,))
        terms = a.residues[0].shape[-1]
        if 0 in (*a.residues[0].shape, *b.residues[0].shape):
            return self.constant(np.zeros((*a.residues[0].shape[:2], b.residues[0].shape[2])))
        product = self._levels(lambda p, x, y: np.matmul(x, y) % p, a.residues, b.residues)
        degree = _many(_product_degree(a.degree, b.degree), terms)
        return Element(product, self.real.matmul(a.shadow, b.shadow), degree, None, max(a.height, b.height))

    def sum(self, a, axes):
        shape = a.residues[0].shape
        terms = math.prod(shape[axis] for axis in axes)
        if 0 in shape:
            return self.constant(np.zeros(np.sum(np.zeros(shape), axis=axes).shape))
        total = lambda p, x: np.sum(x, axis=axes) % p
        logs = None
        if (own := a.logs) is not None:
            product = lambda p, x: np.multiply.reduce(x, axis=axes) % p
            logs = Logs(lambda: (self._levels(total, own.rest), self._levels(product, own.image)), own.heights)
        shadow = self.real.sum(a.shadow, axes)
        return Element(self._levels(total, a.residues), shadow, _many(a.degree, terms), logs, a.height)

    # Powers ----------------------------------------------------------------------------------------------------
    def _powers(self, bases: Residues, exponents: Residues, unknown: Any = _NAN) -> Residues:
        """bases ** exponents: a base modulo p_i takes its exponent modulo p_(i+1), unless that is a small fraction."""
        levels = range(self.depth)
        missing = np.full(exponents[0].shape, _NAN, dtype=object)
        next_ones = [exponents[i + 1] if i + 1 < self.depth else missing for i in levels]
        one = np.frompyfunc(functools.partial(self._power, unknown), 4, 1)
        return tuple(np.asarray(one(bases[i], exponents[i], next_ones[i], PRIMES[i]), dtype=object) for i in levels)

    def _power(self, unknown: Any, base: Any, exponent: Any, next_one: Any, p: int) -> Any:
        if base == 1:
            return 1
        if base != base or exponent != exponent:
            return unknown
        small = _small_fraction(exponent, p)
        if base == 0:
            return 0 if small is not None and small > 0 else unknown
        if small is not None and small.denominator % 2:  # an odd root is unique
            return pow(base, small.numerator * pow(small.denominator, -1, p - 1), p)
        order = (p - 1) // 2
        if pow(base, order, p) != 1:
            self.unlucky = True
            return unknown
        if small is not None:
            return pow(base, small.numerator * pow(small.denominator, -1, order), p)
        if next_one != next_one:
            return unknown
        self.used |= {"exp", "power"}
        return pow(base, next_one, p)

    def _note_root(self, x: Element) -> None:
        p = self.primes[0]
        self.used.add("root")
        square = np.frompyfunc(lambda r: r != r or pow(r, (p - 1) // 2, p) < 2, 1, 1)
        plain = np.frompyfunc(lambda r: r in self._variables, 1, 1)
        self.rooted.append(tuple(np.asarray(f(x.residues[0]), dtype=bool) for f in (square, plain)))

    def power(self, a, b):
        self._note_root(a)
        result = self._powers(a.residues, b.residues)
        height = max(a.height, b.height if b.degree == (0, 0) else b.height + 1)
        shadow = self.real.power(a.shadow, b.shadow)
        return Element(result, shadow, self._power_degree(a.degree, b), None, height)

    def _power_degree(self, degree: Degree, b: Element) -> Degree:
        small = [_small_fraction(x, self.primes[0]) for x in b.residues[0].ravel() if x == x]
        most = max((abs(x.numerator) for x in small if x is not None), default=1)
        return most * max(degree), most * max(degree)

    def _root(self, x: Element, exponent: Fraction) -> Element:
        self._note_root(x)
        fraction = self._embedded(np.zeros(x.residues[0].shape), lambda _: exponent)
        result = self._powers(x.residues, fraction)
        negative = x.shadow.value < 0
        if exponent.denominator % 2 == 0 and negative.any():
            result = tuple(np.where(negative, _NAN, r) for r in result)
        size = abs(exponent.numerator)
        degree = (x.degree[0] * size, x.degree[1] * size)
        return Element(result, x.shadow, degree if exponent > 0 else degree[::-1], None, x.height)

    # Functions -------------------------------------------------------------------------------------------------
    def function(self, name, x):
        with np.errstate(all="ignore"):
            shadow = self.real.function(name, x.shadow)
        rule = _FUNCTIONS.get(name)
        if rule is None:
            raise Unsupported(name)
        return rule(self, x)._replace(shadow=shadow)

    def exp(self, x: Element) -> Element:
        logs = self._logs(x)
        self.used.add("exp")
        out = []
        for i, p in enumerate(self.primes):
            last = i + 1 == self.depth
            exponents = logs.rest[i if last else i + 1]
            entry = functools.partial(self._exp, p, self.bases[i], last)
            out.append(np.asarray(np.frompyfunc(entry, 2, 1)(exponents, logs.image[i]), dtype=object))
        degree = (1, 1) if x.logs is None else (1 + sum(x.degree), 1 + sum(x.degree))
        return Element(tuple(out), x.shadow, degree, None, max(logs.heights[0] + 1, logs.heights[1]))

    def _exp(self, p: int, base: int, last: bool, exponent: Any, image: int) -> Any:
        if exponent != exponent or image == 0:
            return _NAN
        if exponent == 0:
            return image
        if last:
            return _NAN
        return pow(base, exponent, p) * image % p

    def log(self, x: Element) -> Element:
        self.used.add("log")
        positive = x.shadow.value > 0
        values = self._by_entry("log", x)
        atoms = tuple(np.where(positive, v, _NAN) for v in values)
        rest = tuple(v - v for v in atoms)
        image = tuple(np.where(np.asarray(r == r, dtype=bool), r, 0) for r in x.residues)
        return Element(atoms, x.shadow, (1, 0), Logs(lambda: (rest, image), (0, x.height)))

    def atom(self, name: str, x: Element) -> Element:
        """A function of which nothing is known but its parity."""
        self.used.add("atom")
        if name in _AT_ONE and (x.residues[0] == 1).all():
            return self.spread_pi(_AT_ONE[name], x)
        if name not in _ODD:
            return Element(self._by_entry(name, x), x.shadow, (1, 0))
        flipped = (x.shadow.value < 0).astype(int)
        values = self._by_entry(name, self.select(flipped, [x, self.neg(x)]))
        minus = self._levels(lambda p, v: -v % p, values)
        signed = tuple(np.where(flipped == 1, m, v) for m, v in zip(minus, values, strict=True))
        return Element(signed, x.shadow, (1, 0))

    def _by_entry(self, name: str, x: Element) -> Residues:
        """Random residues that are determined by the name and the argument."""
        self.needed = max(self.needed, x.height + 1)
        columns: list[list[Any]] = [[] for _ in self.primes]
        for key in x.residues[0].ravel().tolist():
            for column, value in zip(columns, self._atom_of(name, key), strict=True):
                column.append(value)
        return tuple(_objects(column, x.residues[0].shape) for column in columns)

    def _atom_of(self, name: str, key: Any) -> tuple[Any, ...]:
        if key != key:
            return (_NAN,) * self.depth
        if (name == "log" and key == 1) or (name in _ODD and key == 0):
            return (0,) * self.depth
        if (name, key) not in self._atoms:
            self._atoms[name, key] = tuple(self.random.randrange(p) for p in self.primes)
        return self._atoms[name, key]

    # Equality --------------------------------------------------------------------------------------------------
    def same(self, a: Element, b: Element) -> np.ndarray:
        """Where two values are equal: as residues, or as images under exp. NaN equals nothing."""
        equal = np.asarray(a.residues[0] == b.residues[0], dtype=bool)
        if equal.all() or (a.logs is None and b.logs is None):
            return equal
        image = self.exp(self.sub(a, b)).residues[0]
        return equal | np.asarray(image == 1, dtype=bool)


def _highest(logs: Sequence[Logs]) -> tuple[int, int]:
    return max(x.heights[0] for x in logs), max(x.heights[1] for x in logs)


def _objects(values: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(shape)


def _last(x: Element) -> int:
    return x.residues[0].shape[-1]


def _rows(x: Element) -> int:
    return x.residues[0].shape[1]


def _small_fraction(x: Any, p: int) -> Fraction | None:
    """The fraction with small numerator and denominator that a residue is, or None."""
    for denominator in range(1, 13):
        numerator = (x * denominator + _MOST) % p - _MOST
        if abs(numerator) <= _MOST:
            return Fraction(numerator, denominator)
    return None


def _invert(x: Any, p: int) -> Any:
    return _NAN if x != x or x == 0 else pow(x, -1, p)


def _inverses(p: int, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(_invert, 2, 1)(x, p), dtype=object)


def _inverse_or_zero(p: int, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda v: 0 if v == 0 else pow(v, -1, p), 1, 1)(x), dtype=object)


def _sum_degree(a: Degree, b: Degree) -> Degree:
    return max(a[0] + b[1], b[0] + a[1]), a[1] + b[1]


def _product_degree(a: Degree, b: Degree) -> Degree:
    return a[0] + b[0], a[1] + b[1]


def _many(a: Degree, terms: int) -> Degree:
    return a[0] + max(terms - 1, 0) * a[1], terms * a[1]


def _logistic(f: Field, x: Element) -> Element:
    one = f.number(1.0, x)
    return f.div(one, f.add(one, f.exp(f.neg(x))))


def _tanh(f: Field, x: Element) -> Element:
    one, e = f.number(1.0, x), f.exp(f.add(x, x))
    return f.div(f.sub(e, one), f.add(e, one))


def _hyperbolic(sign: int) -> Callable[[Field, Element], Element]:
    def rule(f: Field, x: Element) -> Element:
        e, inverse = f.exp(x), f.exp(f.neg(x))
        return f.mul(f.number(0.5, x), f.add(e, inverse) if sign > 0 else f.sub(e, inverse))

    return rule


def _turn(f: Field, x: Element) -> tuple[Element, Element]:
    """cos and sin, through the tangent of half the angle."""
    one, t = f.number(1.0, x), f.atom("tan of half", x)
    square = f.mul(t, t)
    below = f.add(one, square)
    return f.div(f.sub(one, square), below), f.div(f.add(t, t), below)


_AT_ONE = {"atan": 0.25, "asin": 0.5}  # in units of pi
_ODD = frozenset(["erf", "erf_inv", "atan", "asin", "asinh", "atanh", "tan of half"])
_FUNCTIONS: dict[str, Callable[[Field, Element], Element]] = {
    "exp": Field.exp,
    "log": Field.log,
    "log1p": lambda f, x: f.log(f.add(f.number(1.0, x), x)),
    "expm1": lambda f, x: f.sub(f.exp(x), f.number(1.0, x)),
    "exp2": lambda f, x: f.exp(f.mul(x, f.function("log", f.number(2.0, x)))),
    "logistic": _logistic,
    "tanh": _tanh,
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "cos": lambda f, x: _turn(f, x)[0],
    "sin": lambda f, x: _turn(f, x)[1],
    "tan": lambda f, x: f.div(_turn(f, x)[1], _turn(f, x)[0]),
    "square": lambda f, x: f.mul(x, x),
    "sqrt": lambda f, x: f._root(x, Fraction(1, 2)),
    "rsqrt": lambda f, x: f._root(x, Fraction(-1, 2)),
    "cbrt": lambda f, x: f._root(x, Fraction(1, 3)),
    "acos": lambda f, x: f.sub(f.spread_pi(0.5, x), f.atom("asin", x)),
    "erfc": lambda f, x: f.sub(f.number(1.0, x), f.atom("erf", x)),
    **{name: functools.partial(lambda name, f, x: f.atom(name, x), name)
       for name in ("erf", "erf_inv", "asin", "atan", "asinh", "acosh", "atanh", "lgamma", "digamma", "trigamma")},
}  # fmt: skip
assert set(_FUNCTIONS) <= set(FLOAT_FUNCTIONS)
