"""Somebody's example arrays as a sweep: which sizes vary together, what is drawn, which hypotheses are suggested."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Domain, by_name, domain_of
from jaxderiv.errors import InputError
from jaxderiv.verify.question import Place, Sizes

_POOL = (7, 5, 3, 4, 11, 13, 17)
# Hypotheses that example arrays may suggest, from the loosest on within each row.
_LADDERS = (
    ("Symmetric", "PositiveDefinite"),
    ("Simplex", "OneHot"),
    ("Positive", "UnitInterval"),
    ("Bit",),
    ("Sign",),
)
_LARGE = 20_000  # numbers
_MOST_AXES = 7  # of one size that are told apart
_CONTINUOUS = ("Symmetric", "PositiveDefinite", "Simplex", "Positive", "UnitInterval")

Domains = dict[str, Domain]
Axis = tuple[int, int]  # which leaf, which of its axes
Accepts = Callable[[list], bool]  # whether arrays of these shapes and dtypes do


@dataclass(frozen=True)
class Leaf:
    """One array of the example arguments; `name` as in "w" or "params['W']"."""

    name: str
    value: np.ndarray
    parameter: bool

    @property
    def is_float(self) -> bool:
        return bool(jnp.issubdtype(self.value.dtype, jnp.floating))


@dataclass(frozen=True)
class Dimension:
    """Axes of the arrays that have one size and vary together, called after the first of them."""

    name: str
    size: int
    axes: tuple[Axis, ...]


Sizing = Mapping[Dimension, int]


class Template:
    """The example arguments, flattened.

    Attributes:
        dimensions: the axes that are longer than one, by size; see `refined`.

    Args:
        function: whose parameter names call the arguments.
        args: arrays, numbers or pytrees of them.
    Raises:
        InputError: if an argument is not of numbers, is empty or not finite, or if the first one is not of floats.
    """

    def __init__(self, function: Callable, args: tuple):
        self.names = _argument_names(function, len(args))
        self.leaves: list[Leaf] = []
        self.trees: list[Any] = []
        for position, (name, arg) in enumerate(zip(self.names, args, strict=True)):
            paths, tree = jax.tree_util.tree_flatten_with_path(arg)
            self.trees.append(tree)
            for path, value in paths:
                label = name + jax.tree_util.keystr(path)
                self.leaves.append(Leaf(label, _number_array(label, value, position == 0), position == 0))
        axes: dict[int, list[Axis]] = {}
        for index, leaf in enumerate(self.leaves):
            for axis, size in enumerate(leaf.value.shape):
                if size > 1:
                    axes.setdefault(size, []).append((index, axis))
        self.dimensions = tuple(self._dimension(size, tuple(found)) for size, found in axes.items())
        if not any(leaf.parameter for leaf in self.leaves):
            raise InputError(f"{self.names[0]}, the argument to differentiate in, holds no array")

    def rebuild(self, leaves: list) -> list:
        """Arguments from leaves, in the structure that came."""
        out, start = [], 0
        for tree in self.trees:
            out.append(jax.tree.unflatten(tree, leaves[start : start + tree.num_leaves]))
            start += tree.num_leaves
        return out

    def own(self) -> dict[str, np.ndarray]:
        """The example's values: floats as float64, integers and booleans as they came."""
        return {x.name: np.asarray(x.value, np.float64) if x.is_float else x.value for x in self.leaves}

    @property
    def large(self) -> bool:
        """Whether exact arithmetic at the example's own values would take minutes; smaller draws then stand for it."""
        return sum(leaf.value.size for leaf in self.leaves) > _LARGE

    # Sizes ---------------------------------------------------------------------------------------------------
    def refined(self, accepts: Accepts) -> Template:
        """The same with dimensions as fine as the function allows: axes of equal size vary together only where it
        does not take them apart."""
        finer: list[Dimension] = []
        for dimension in self.dimensions:
            rest = list(dimension.axes)
            while rest:
                block = self._together(rest, dimension.size, accepts) if len(rest) <= _MOST_AXES else tuple(rest)
                finer.append(self._dimension(dimension.size, block))
                rest = [axis for axis in rest if axis not in block]
        out = copy.copy(self)
        out.dimensions = tuple(finer)
        return out

    def _together(self, axes: list[Axis], size: int, accepts: Accepts) -> tuple[Axis, ...]:
        """The fewest of these axes, the first among them, that may change while the others stay."""
        first, others = axes[0], axes[1:]
        for count in range(len(others)):
            for more in itertools.combinations(others, count):
                block = self._dimension(size, (first, *more))
                if accepts(self._structs({block: self._other(block)})):
                    return block.axes
        return tuple(axes)

    def _dimension(self, size: int, axes: tuple[Axis, ...]) -> Dimension:
        leaf, axis = min(axes)
        name = self.leaves[leaf].name
        return Dimension(f"len({name})" if axis == 0 else f"{name}.shape[{axis}]", size, axes)

    def least(self, dimension: Dimension) -> int:
        """How small a dimension may become: labels in an integer array must stay within the axis that they index."""
        least = 1
        for index, leaf in enumerate(self.leaves):
            own = any(index == i for i, _ in dimension.axes)
            if leaf.is_float or leaf.value.dtype == bool or own:
                continue
            labels = int(leaf.value.max()) + 1
            if leaf.value.min() >= 0 and labels <= dimension.size:
                least = max(least, labels)
        return least

    def resized(self, sizes: Sizing) -> list[tuple[int, ...]]:
        new = {axis: size for dimension, size in sizes.items() for axis in dimension.axes}
        return [
            tuple(new.get((i, axis), s) for axis, s in enumerate(leaf.value.shape))
            for i, leaf in enumerate(self.leaves)
        ]

    def _structs(self, sizes: Sizing) -> list[jax.ShapeDtypeStruct]:
        return [
            jax.ShapeDtypeStruct(shape, jnp.float64 if leaf.is_float else leaf.value.dtype)
            for shape, leaf in zip(self.resized(sizes), self.leaves, strict=True)
        ]

    def shapes(self, accepts: Accepts) -> dict[str, Sizing]:
        """Labelled changes of sizes that the function accepts: a home of coprime sizes first, then edges."""
        by_size = sorted(self.dimensions, key=lambda d: -d.size)
        free = [d for d in by_size if accepts(self._structs({d: self._other(d)}))]
        home = dict(zip(free, self._coprime(free), strict=True))
        labelled: dict[str, Sizing] = {"coprime sizes": home}
        for dimension in free:
            small = self.least(dimension)
            labelled[f"{dimension.name} = {small}"] = home | {dimension: small}
        if len(free) > 1:
            turned = dict(zip(free, reversed(list(home.values())), strict=True))
            if all(turned[d] >= self.least(d) for d in free):
                labelled["sizes in the other order"] = turned
        return {label: sizes for label, sizes in labelled.items() if accepts(self._structs(sizes))}

    def named(self, sizes: Sizing) -> Sizes:
        return {dimension.name: sizes.get(dimension, dimension.size) for dimension in self.dimensions}

    def _other(self, dimension: Dimension) -> int:
        """Another size, different from all that occur."""
        taken = {d.size for d in self.dimensions}
        return next(s for s in range(max(2, self.least(dimension)), 10**6) if s not in taken)

    def _coprime(self, free: list[Dimension]) -> list[int]:
        """New sizes: distinct, pairwise coprime, different from the sizes that cannot vary."""
        taken = [d.size for d in self.dimensions if d not in free]
        out: list[int] = []
        for dimension in free:
            least = self.least(dimension)
            fits = lambda s, least=least: s >= least and s not in taken and all(math.gcd(s, o) == 1 for o in out)
            out.append(next(s for s in itertools.chain(_POOL, itertools.count(19)) if fits(s)))
        return out

    # Points --------------------------------------------------------------------------------------------------
    def draw(self, rng: np.random.Generator, sizes: Sizing, domains: Domains) -> dict[str, np.ndarray]:
        """Values of these sizes: floats from their domains (reals unless told), others from the example's values."""
        out = {}
        for leaf, shape in zip(self.leaves, self.resized(sizes), strict=True):
            if leaf.is_float:
                out[leaf.name] = domains.get(leaf.name, by_name["Real"](())).draw(rng, shape)
            else:
                values = np.unique(leaf.value)
                count = math.prod(shape)
                drawn = np.concatenate([values, rng.choice(values, max(count - len(values), 0))])[:count]
                out[leaf.name] = rng.permutation(drawn).reshape(shape).astype(leaf.value.dtype)
        return out

    def near(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The example's values, each moved by a few per cent."""
        own = self.own()
        move = lambda x: x * (1 + rng.integers(-8, 9, x.shape) / 128)
        return {leaf.name: move(own[leaf.name]) if leaf.is_float else own[leaf.name] for leaf in self.leaves}

    def places(self, shapes: dict[str, Sizing], domains: Domains, seed: int, edges: bool = True) -> Iterator[Place]:
        rng = np.random.default_rng(seed)
        for number, (label, sizes) in enumerate(shapes.items()):
            for point in range(3 if number == 0 else 1):
                yield Place(
                    f"{label}, point {point + 1}",
                    "generic",
                    self.named(sizes),
                    self.draw(rng, sizes, domains),
                )
            if number == 0 and edges:
                yield from self._edges(rng, sizes, domains)
        own = self.own()
        if not self.large and all(domain.holds_exactly(own[name]) for name, domain in domains.items()):
            yield Place("the example's values", "own", self.named({}), own)

    def _edges(self, rng: np.random.Generator, sizes: Sizing, domains: Domains) -> Iterator[Place]:
        for edge in ("zero", "huge", "tiny"):
            values, changed = self.draw(rng, sizes, domains), False
            for leaf, shape in zip(self.leaves, self.resized(sizes), strict=True):
                if leaf.parameter:
                    found = domains.get(leaf.name, by_name["Real"](())).edges(rng, shape)
                    if edge in found:
                        values[leaf.name], changed = found[edge], True
            if changed:
                yield Place(f"{self.names[0]} {edge}", "edge", self.named(sizes), values)

    def suggestions(self) -> dict[str, list[Domain]]:
        """Of every leaf of floats, the hypotheses that its example values satisfy, from the loosest on."""
        out: dict[str, list[Domain]] = {}
        for leaf in self.leaves:
            x = np.asarray(leaf.value, np.float64) if leaf.is_float else None
            if x is None:
                continue
            placeholder = x.size > 1 and (np.ptp(x) == 0 or _is_identity(x))
            for ladder in _LADDERS:
                for name in ladder:
                    if placeholder and name != "Simplex":
                        continue  # np.ones and np.eye suggest nothing, but for targets that they sum to one
                    if leaf.parameter and name not in _CONTINUOUS:
                        continue
                    if x.size < 2 and name not in ("Positive", "UnitInterval"):
                        continue  # nor does a number
                    domain = by_name[name](())
                    if domain.contains(x):
                        out.setdefault(leaf.name, []).append(domain)
        return out

    def given(self, domains: Any) -> Domains:
        """The domains that the user named: a mapping of argument names, or a sequence in the order of arguments."""
        if domains is None:
            return {}
        if isinstance(domains, str) or not isinstance(domains, Mapping | Sequence):
            raise InputError(f'domains is {domains!r}; write a mapping, as {{"{self.names[0]}": Positive}}')
        if not isinstance(domains, Mapping):
            domains = dict(zip(self.names, domains, strict=False))
        out: Domains = {}
        for name, value in domains.items():
            leaves = [leaf.name for leaf in self.leaves if leaf.name == name or leaf.name.startswith(f"{name}[")]
            if not leaves:
                raise InputError(f"domains: {name!r} is no argument; the arguments are {', '.join(self.names)}")
            domain = domain_of(value) or value
            if isinstance(domain, type) and issubclass(domain, Domain):
                domain = domain(())
            if not isinstance(domain, Domain):
                known = ", ".join(by_name)
                raise InputError(f"domains: {name} came with {value!r}; write one of {known} from jaxderiv.domains")
            own = self.own()
            for leaf in leaves:
                if not domain.contains(own[leaf]):
                    raise InputError(f"domains: {leaf} is not {domain.words} in the example (shape {own[leaf].shape})")
            out |= dict.fromkeys(leaves, domain)
        return out


def _is_identity(x: np.ndarray) -> bool:
    return x.ndim == 2 and x.shape[0] == x.shape[1] and bool((x == x[0, 0] * np.eye(len(x))).all())


def _argument_names(function: Callable, count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"args[{i}]" for i in range(count)]


def _number_array(name: str, value: Any, parameter: bool) -> np.ndarray:
    try:
        array = np.asarray(value)
    except Exception as error:
        raise InputError(f"{name} is not an array of numbers ({type(value).__name__})") from error
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if not floating and array.dtype.kind not in "iub":
        raise InputError(f"{name} has dtype {array.dtype}; arguments are arrays of floats, integers or booleans")
    if array.size == 0:
        raise InputError(f"{name} is empty (shape {array.shape}); give an example with at least one entry")
    if parameter and not floating:
        raise InputError(
            f"{name} has dtype {array.dtype}; a derivative is taken in floats: pass {name}.astype(float), or 2.0 for 2"
        )
    if floating and not np.isfinite(np.asarray(array, np.float64)).all():
        where = np.argwhere(~np.isfinite(np.asarray(array, np.float64)))[0].tolist()
        raise InputError(f"{name} holds {array[tuple(where)]} at {where}; give finite example values")
    return array
