"""Somebody's example arrays as a sweep: which sizes vary together, what is drawn, which hypotheses are suggested."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
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
_CONTINUOUS = ("Symmetric", "PositiveDefinite", "Simplex", "Positive", "UnitInterval")

Domains = dict[str, Domain]


@dataclass(frozen=True)
class Leaf:
    """One array of the example arguments; `name` as in "w" or "params['W']"."""

    name: str
    value: np.ndarray
    parameter: bool

    @property
    def is_float(self) -> bool:
        return bool(jnp.issubdtype(self.value.dtype, jnp.floating))


class Template:
    """The example arguments, flattened.

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
    def groups(self) -> dict[int, str]:
        """Sizes above one that occur, and what each is called: by the first axis that has it."""
        out: dict[int, str] = {}
        for leaf in self.leaves:
            for axis, size in enumerate(leaf.value.shape):
                if size > 1:
                    out.setdefault(size, f"len({leaf.name})" if axis == 0 else f"{leaf.name}.shape[{axis}]")
        return out

    def least(self, size: int) -> int:
        """How small an axis may become: labels in an integer array must stay within the axis that they index."""
        least = 1
        for leaf in self.leaves:
            if leaf.is_float or leaf.value.dtype == bool or size in leaf.value.shape:
                continue
            labels = int(leaf.value.max()) + 1
            if leaf.value.min() >= 0 and labels <= size:
                least = max(least, labels)
        return least

    def resized(self, sizes: Mapping[int, int]) -> list[tuple[int, ...]]:
        return [tuple(sizes.get(s, s) for s in leaf.value.shape) for leaf in self.leaves]

    def shapes(self, accepts: Callable[[list], bool]) -> dict[str, dict[int, int]]:
        """Labelled changes of sizes that the function accepts: a home of coprime sizes first, then edges."""
        groups = self.groups()
        template = lambda sizes: [
            jax.ShapeDtypeStruct(shape, jnp.float64 if leaf.is_float else leaf.value.dtype)
            for shape, leaf in zip(self.resized(sizes), self.leaves, strict=True)
        ]
        free = [s for s in sorted(groups, reverse=True) if accepts(template({s: _other(s, groups, self.least(s))}))]
        home = dict(zip(free, _coprime(free, groups, self), strict=True))
        labelled = {"coprime sizes": home}
        for size in free:
            small = max(self.least(size), 1)
            labelled[f"{groups[size]} = {small}"] = home | {size: small}
        if len(free) > 1:
            turned = dict(zip(free, reversed(list(home.values())), strict=True))
            if all(turned[s] >= self.least(s) for s in free):
                labelled["sizes in the other order"] = turned
        return {label: sizes for label, sizes in labelled.items() if accepts(template(sizes))}

    def named(self, sizes: Mapping[int, int]) -> Sizes:
        return {name: sizes.get(size, size) for size, name in self.groups().items()}

    # Points --------------------------------------------------------------------------------------------------
    def draw(self, rng: np.random.Generator, sizes: Mapping[int, int], domains: Domains) -> dict[str, np.ndarray]:
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

    def places(
        self, shapes: dict[str, dict[int, int]], domains: Domains, seed: int, edges: bool = True
    ) -> Iterator[Place]:
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

    def _edges(self, rng: np.random.Generator, sizes: Mapping[int, int], domains: Domains) -> Iterator[Place]:
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
            for ladder in _LADDERS:
                for name in ladder:
                    if leaf.parameter and name not in _CONTINUOUS:
                        continue
                    if name != "Positive" and (x.size < 2 or np.ptp(x) == 0) and name != "UnitInterval":
                        continue  # a constant array suggests nothing
                    domain = by_name[name](())
                    if domain.contains(x):
                        out.setdefault(leaf.name, []).append(domain)
        return out

    def given(self, domains: Any) -> Domains:
        """The domains that the user named: a mapping of argument names, or a sequence in the order of arguments."""
        if domains is None:
            return {}
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
            out |= dict.fromkeys(leaves, domain)
        return out


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


def _other(size: int, groups: dict[int, str], least: int) -> int:
    """Another size, different from all that occur."""
    return next(s for s in range(max(2, least), 10**6) if s not in groups)


def _coprime(free: list[int], groups: dict[int, str], template: Template) -> list[int]:
    """New sizes: distinct, pairwise coprime, different from the sizes that cannot vary."""
    taken = [s for s in groups if s not in free]
    out: list[int] = []
    for size in free:
        least = template.least(size)
        fits = lambda s, least=least: s >= least and s not in taken and all(math.gcd(s, o) == 1 for o in out)
        out.append(next(s for s in (*_POOL, *range(19, 10**6)) if fits(s)))
    return out
