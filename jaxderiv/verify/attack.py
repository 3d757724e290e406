r"""Attack a theorem: look for an instance of its hypotheses at which its inequality fails.

A theorem's *margin* is ``(larger - smaller) / scale``, the least one over its inequalities and their entries. It is
attacked with the instances that come with it (known worst cases), with random ones of several shapes and scales, with
every argument on the edges of its domain and arguments that coincide, and by gradient descent on the margin itself, in
variables that are free because the domains map them into the hypotheses.

Floats propose, high precision disposes: bounds that are attained dip to -1e-16 in floating point, so a margin near
zero is looked at again, and a negative one counts only when the same program, evaluated with 40 digits, has it too.
Where high precision has no value (a program outside of what it knows, eigenvalues that coincide), a margin counts when
it is far beyond rounding.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Dim, Domain, by_name
from jaxderiv.errors import DerivationError
from jaxderiv.theorem import Check, Equality, Inequality
from jaxderiv.verify.algebra import Unsupported
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.precise import Precise

_RANDOM = {"quick": 400, "normal": 2000, "high": 20_000}  # instances of every shape
_STARTS = {"quick": 8, "normal": 32, "high": 128}  # of the descents on the margin
_STEPS = {"quick": 60, "normal": 120, "high": 400}
_HOME = {"n": 7, "d": 3, "K": 4, "h": 5, "m": 6, "p": 8, "q": 2, "k": 9}
_DIGITS = 40
_BEYOND = 1e-12  # a margin below minus this, in high precision, is no rounding of the instance
_CLEAR = 1e-6  # a margin from here on is no matter of rounding
_FAR = 1e-9  # and below this where there are only floats
# A theorem's program runs a few times on small arrays: most of the time goes into compiling it.
_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
_DISCRETE = tuple(by_name[kind] for kind in ("Bit", "Sign", "OneHot"))
_ENTRYWISE = tuple(by_name[kind] for kind in ("Real", "Positive", "Nonnegative", "UnitInterval", "Share"))
_CORNERS = 60  # instances with several arguments on edges
_RESOLVED = {
    True: 1e-13,
    False: 1e-9,
}  # with 40 digits or without: gaps below, times the square of the values, are rounding

Values = dict[str, np.ndarray]
Candidate = tuple[Values, str, tuple[float, ...]]  # an instance, how it was found, and what `Attacker.at` says of it


@dataclass(frozen=True)
class Found:
    """An instance, with its margin in floats and, where high precision knows the program, in that."""

    values: Values
    margin: float
    exact: float | None
    how: str
    gap: float = np.inf

    @property
    def least(self) -> float:
        """The margin, as exactly as it is known."""
        return self.margin if self.exact is None else self.exact

    @property
    def violates(self) -> bool:
        known = self.exact is not None
        negative = self.least < (-_BEYOND if known else -_FAR) and not (known and self.margin >= _FAR)
        # A side that is zero but for rounding makes any relative margin of a difference: look at its size, too.
        largest = max((float(np.max(np.abs(x), initial=1.0)) for x in self.values.values()), default=1.0)
        return negative and (self.least > -0.5 or self.gap > _RESOLVED[known] * largest**2)


@dataclass(frozen=True)
class Attack:
    """What an attack found.

    Attributes:
        least: the instance with the smallest margin, or a violating one.
        instances: how many were tried, on descents or at a distance from one another; `undecided`: the share of the
            latter at which some part of the margin is not a number.
        unsupported: what high precision does not know of the program; nothing if it knows all.
    """

    least: Found | None
    instances: int
    undecided: float
    unsupported: str

    @property
    def refuted(self) -> bool:
        return self.least is not None and self.least.violates


def inequalities(results: Any) -> list[Inequality]:
    """The inequalities among a function's results."""
    return [one for one in parts(results) if isinstance(one, Inequality)]


def parts(results: Any) -> list[Inequality | Equality]:
    """What a function claims, flat.

    Raises:
        DerivationError: if it returns something else.
    """
    if isinstance(results, Inequality | Equality):
        return [results]
    if isinstance(results, list | tuple) and results:
        return [one for part in results for one in parts(part)]
    raise DerivationError(
        f"it returns {type(results).__name__}; return at_most(...), equal(...), close(...) or holds(...)"
    )


class Attacker:
    """A theorem with its inequalities as one margin."""

    def __init__(self, check: Check, function: Callable[..., Any], effort: str, seed: int):
        self.check, self.effort = check, effort
        self.names = tuple(check.domains)
        self.rng = np.random.default_rng([seed, zlib.crc32(check.name.encode())])
        self.instances = self.descended = self.undecided = 0
        self.unsupported = ""

        def margin(*args: jax.Array) -> jax.Array:
            """The least margin among those that are numbers, how far the sides are apart there, and whether all are."""
            found = inequalities(function(*args))
            margins = jnp.concatenate([jnp.ravel(one.margin) for one in found])
            gaps = jnp.concatenate([jnp.ravel(one.smaller - one.larger) for one in found])
            numbers = ~jnp.isnan(margins)
            least = jnp.min(jnp.where(numbers, margins, jnp.inf), initial=jnp.inf)
            gap = jnp.max(jnp.where(margins == least, gaps, -jnp.inf), initial=-jnp.inf)
            return jnp.stack([least, gap, jnp.all(numbers).astype(least.dtype)])

        self.margin = margin
        self.one, self.many = (jax.jit(f, compiler_options=_QUICKLY) for f in (margin, jax.vmap(margin)))

    # The attack ---------------------------------------------------------------------------------------------
    def run(self) -> Attack:
        """All of it, until an instance violates the theorem."""
        found: list[Found] = []
        for stage in (self.given, self.random, self.descents):
            for values, how, (margin, gap, sound) in stage():
                exact = self.exact(values) if margin < _CLEAR or not sound else None
                if exact is not None and not sound and margin >= 0:
                    margin = np.nan  # of the parts that floats know: it says nothing against high precision
                found.append(Found(values, margin, exact, how, gap))
                if not sound and found[-1].exact is None and stage == self.given:
                    return Attack(found[-1], self.instances, 1.0, self.unsupported)
                if found[-1].violates:
                    return self._attack(self.smaller(found[-1]) if stage != self.given else found[-1])
        return self._attack(min(found, key=lambda one: one.least, default=None))

    def _attack(self, least: Found | None) -> Attack:
        return Attack(least, self.instances + self.descended, self.undecided / max(self.instances, 1), self.unsupported)

    def given(self) -> Iterator[Candidate]:
        """The instances that come with the theorem."""
        for instance in self.check.instances:
            values = {name: np.asarray(instance[name], dtype=np.float64) for name in self.names}
            self.instances += 1
            self.undecided += not self.at(values)[2]
            yield values, "given", self.at(values)

    def random(self) -> Iterator[Candidate]:
        """Of every shape, the worst of many random instances and of those on edges."""
        for sizes in self.shapes():
            generic, edges = self.generic(sizes, _RANDOM[self.effort]), list(self.edges(sizes))
            batch = {name: np.concatenate([x, *([one[name]] for one in edges)]) for name, x in generic.items()}
            margins = np.asarray(self.many(*(jnp.asarray(batch[name]) for name in self.names)))
            self.instances += len(margins)
            unsound = np.flatnonzero(margins[:, 2] == 0)
            self.undecided += len(unsound)
            # Where a part is not a number in floats, high precision may know it: ask it of one such instance.
            for index in dict.fromkeys([int(np.argmin(margins[:, 0])), *unsound[:1].tolist()]):
                how = "random" if index < _RANDOM[self.effort] else "on an edge"
                yield {name: batch[name][index] for name in self.names}, how, tuple(margins[index])

    def descents(self) -> Iterator[Candidate]:
        """The end of the deepest descent on the margin."""
        sizes, starts = next(self.shapes()), _STARTS[self.effort]
        shapes = self.concrete(sizes)
        fixed = {n: self.generic(sizes, starts)[n] for n, d in self.check.domains.items() if isinstance(d, _DISCRETE)}
        free = [n for n in self.names if n not in fixed]
        if not free:
            return
        spread = 10.0 ** self.rng.uniform(-1, 0.7, starts)
        begin = {}
        for name in free:
            u = self.rng.standard_normal((starts, *self.check.domains[name].free_shape(shapes[name])))
            begin[name] = u * spread.reshape(-1, *[1] * (u.ndim - 1))
        optimiser = optax.adam(optax.cosine_decay_schedule(0.2, _STEPS[self.effort]))

        def reach(u: Any) -> dict[str, jax.Array]:
            return {name: _reach(self.check.domains[name], x, 1e-4) for name, x in u.items()}

        def height(u: Any, constant: Any) -> jax.Array:
            return self.margin(*((reach(u) | constant)[name] for name in self.names))[0]

        def descend(u: Any, constant: Any) -> Any:
            def step(carry, _):
                u, state, best, lowest = carry
                value, slope = jax.value_and_grad(height)(u, constant)
                better = value < lowest  # false for NaN
                best = jax.tree.map(lambda new, old: jnp.where(better, new, old), u, best)
                slope = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0.0), slope)
                update, state = optimiser.update(slope, state)
                return (optax.apply_updates(u, update), state, best, jnp.where(better, value, lowest)), None

            start = u, optimiser.init(u), u, jnp.inf
            (_, _, best, lowest), _ = jax.lax.scan(step, start, length=_STEPS[self.effort])
            return reach(best), lowest

        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax's Adam needs them
            ends, lowest = jax.jit(jax.vmap(descend), compiler_options=_QUICKLY)(begin, fixed)
        self.descended += starts * _STEPS[self.effort]
        if not np.isnan(lowest).all():
            deepest = int(np.nanargmin(lowest))
            values = {n: np.asarray((dict(ends) | fixed)[n])[deepest] for n in self.names}
            yield values, "descent on the margin", self.at(values)

    # Instances ----------------------------------------------------------------------------------------------
    def shapes(self) -> Iterator[dict[str, int]]:
        """Sizes: the usual ones, then wide or small ones, as far as the hypotheses admit them."""
        axes = (axis for domain in self.check.domains.values() for axis in domain.shape)
        spare = itertools.count(5, 2)
        home = {a.name: _HOME.get(a.name) or next(spare) for a in axes if isinstance(a, Dim)} | dict(self.check.sizes)
        small = dict.fromkeys(home, 2)
        variants = [home, home | {"n": 2, "d": 5} if {"n", "d"} <= set(home) else small, small]
        seen: list[dict[str, int]] = []
        for sizes in (variant | dict(self.check.sizes) for variant in variants):
            shapes = self.concrete(sizes)
            if len(seen) < 2 and sizes not in seen and all(d.admits(shapes[n]) for n, d in self.check.domains.items()):
                seen.append(sizes)
                yield sizes

    def concrete(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        return {name: domain.concrete(dict(sizes)) for name, domain in self.check.domains.items()}

    def generic(self, sizes: dict[str, int], count: int) -> Values:
        """Many random instances: some drawn from the domains, the rest mapped from normal variables of all scales."""
        drawn, out = min(count, 100), {}
        together = 10.0 ** self.rng.uniform(-1.5, 1.5, count)
        for name, domain in self.check.domains.items():
            shape = domain.concrete(sizes)
            own = np.stack([domain.draw(self.rng, shape) for _ in range(drawn)])
            if isinstance(domain, _DISCRETE):
                out[name] = np.concatenate([own, self.labels(domain, shape, count - drawn)])
                continue
            # Half of the instances with one scale for all arguments, half with one for each.
            scales = np.where(self.rng.random(count) < 0.5, together, 10.0 ** self.rng.uniform(-1.5, 1.5, count))
            u = self.rng.standard_normal((count - drawn, *domain.free_shape(shape)))
            u = u * scales[drawn:].reshape(-1, *[1] * (u.ndim - 1))
            nearness = 10.0 ** self.rng.uniform(-6, 0, count - drawn)
            out[name] = np.concatenate([own, np.asarray(jax.vmap(functools.partial(_reach, domain))(u, nearness))])
        return out

    def labels(self, domain: Domain, shape: tuple[int, ...], count: int) -> np.ndarray:
        """Labels of all mixtures: the share of each kind is drawn first, so that rare ones and single ones occur."""
        if isinstance(domain, by_name["OneHot"]):
            logits = self.rng.normal(size=(count, *[1] * (len(shape) - 1), shape[-1])) * 2
            best = np.argmax(logits + self.rng.gumbel(size=(count, *shape)), axis=-1)
            return np.eye(shape[-1])[best]
        rates = self.rng.random(count).reshape(-1, *[1] * len(shape))
        low = -1.0 if isinstance(domain, by_name["Sign"]) else 0.0
        return np.where(self.rng.random((count, *shape)) < rates, 1.0, low)

    def edges(self, sizes: dict[str, int]) -> Iterator[Values]:
        """One argument on an edge of its domain, several of them, some entries that coincide, two arguments that do."""
        generic = lambda: {name: domain.sample(self.rng, sizes) for name, domain in self.check.domains.items()}
        edges = {n: list(d.edges(self.rng, d.concrete(sizes)).values()) for n, d in self.check.domains.items()}
        for name, found in edges.items():
            for x in found:
                yield generic() | {name: x}
                if type(self.check.domains[name]) is by_name["Real"]:
                    yield generic() | {name: -x}
        for _ in range(_CORNERS if len(edges) > 1 else 0):
            values = generic()
            yield {n: x if self.rng.random() < 0.3 else found[self.rng.integers(len(found))]
                   for (n, x), found in zip(values.items(), edges.values(), strict=True)}  # fmt: skip
        for name, domain in self.check.domains.items():
            if isinstance(domain, _ENTRYWISE) and np.prod(domain.concrete(sizes), dtype=int) > 2:
                x = domain.sample(self.rng, sizes)
                yield generic() | {name: np.where(self.rng.random(x.shape) < 0.5, x.ravel()[0], x)}
        for a, b in itertools.combinations(self.names, 2):
            if self.check.domains[a] == self.check.domains[b]:
                values = generic()
                yield values | {b: values[a]}

    # Judging an instance ------------------------------------------------------------------------------------
    def at(self, values: Values) -> tuple[float, ...]:
        """The margin in floats, the gap, and whether all parts are numbers."""
        return tuple(np.asarray(self.one(*(jnp.asarray(values[name]) for name in self.names))).tolist())

    def exact(self, values: Values) -> float | None:
        """The margin with 40 digits; None where there is none."""
        if self.unsupported:
            return None
        args = [values[name] for name in self.names]
        try:
            with np.errstate(all="ignore"):
                (out,) = Interpreter(Precise(_DIGITS))(trace(self.margin, *args), args)
            least, _, sound = (float(x) for x in out)
            return least if sound else None  # not where eigenvalues coincide, which it does not know
        except Unsupported as error:
            self.unsupported = str(error)
            return None
        except np.linalg.LinAlgError:  # eigenvalues of what is not finite
            return None

    def smaller(self, found: Found) -> Found:
        """The same violation at simpler numbers, where there are any."""
        best = found
        for decimals, name in itertools.product((0, 1), (None, *self.names)):
            rounded = {n: np.round(x, decimals) + 0.0 if name in (None, n) else x for n, x in best.values.items()}
            if all(d.contains(rounded[n]) for n, d in self.check.domains.items()):
                margin, gap, _ = self.at(rounded)
                simpler = Found(rounded, margin, self.exact(rounded), found.how, gap)
                if simpler.violates and simpler.margin < -1e-6:
                    best = simpler
                    if name is None:
                        break
        return best


def _reach(domain: Domain, u: Any, nearness: Any) -> jax.Array:
    """The element that free variables stand for; definite matrices come as near to singular ones as is said."""
    if isinstance(domain, by_name["PositiveDefinite"]):
        return domain.from_free(u) - (1 - nearness) * jnp.eye(u.shape[-1])
    return domain.from_free(u)
