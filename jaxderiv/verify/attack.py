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

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Dim, by_name
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

Values = dict[str, np.ndarray]
Candidate = tuple[Values, str, float]  # an instance, how it was found, and its margin in floats


@dataclass(frozen=True)
class Found:
    """An instance, with its margin in floats and, where high precision knows the program, in that."""

    values: Values
    margin: float
    exact: float | None
    how: str

    @property
    def least(self) -> float:
        """The margin, as exactly as it is known."""
        return self.margin if self.exact is None else self.exact

    @property
    def violates(self) -> bool:
        return self.margin < -_FAR if self.exact is None else max(self.exact + _BEYOND, self.margin - _FAR) < 0


@dataclass(frozen=True)
class Attack:
    """What an attack found.

    Attributes:
        least: the instance with the smallest margin, or a violating one.
        instances: how many were tried; `undecided`: at how many of them the margin is not a number.
        unsupported: what high precision does not know of the program; nothing if it knows all.
    """

    least: Found | None
    instances: int
    undecided: int
    unsupported: str

    @property
    def refuted(self) -> bool:
        return self.least is not None and self.least.violates


def inequalities(results: Any) -> list[Inequality]:
    """The inequalities among a function's results; an equality of numbers is one with a tolerance."""
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
        self.instances = self.undecided = 0
        self.unsupported = ""

        def margin(*args: jax.Array) -> jax.Array:
            found = [jnp.ravel(one.margin) for one in inequalities(function(*args))]
            return jnp.min(jnp.concatenate(found), initial=jnp.inf)

        self.margin = margin
        self.one, self.many = (jax.jit(f, compiler_options=_QUICKLY) for f in (margin, jax.vmap(margin)))

    # The attack ---------------------------------------------------------------------------------------------
    def run(self) -> Attack:
        """All of it, until an instance violates the theorem."""
        found: list[Found] = []
        for stage in (self.given, self.random, self.descents):
            for values, how, margin in stage():
                found.append(Found(values, margin, self.exact(values) if margin < _CLEAR else None, how))
                if found[-1].violates:
                    return self._attack(self.smaller(found[-1]) if stage != self.given else found[-1])
        return self._attack(min(found, key=lambda one: one.least, default=None))

    def _attack(self, least: Found | None) -> Attack:
        return Attack(least, self.instances, self.undecided, self.unsupported)

    def given(self) -> Iterator[Candidate]:
        """The instances that come with the theorem."""
        for instance in self.check.instances:
            values = {name: np.asarray(instance[name], dtype=np.float64) for name in self.names}
            margin = self.at(values)
            self.instances += 1
            self.undecided += np.isnan(margin)
            yield values, "given", np.inf if np.isnan(margin) else margin

    def random(self) -> Iterator[Candidate]:
        """Of every shape, the worst of many random instances and of those on edges."""
        for sizes in self.shapes():
            generic, edges = self.generic(sizes, _RANDOM[self.effort]), list(self.edges(sizes))
            batch = {name: np.concatenate([x, *([one[name]] for one in edges)]) for name, x in generic.items()}
            margins = np.asarray(self.many(*(jnp.asarray(batch[name]) for name in self.names)))
            self.instances += len(margins)
            self.undecided += int(np.isnan(margins).sum())
            if not np.isnan(margins).all():
                index = int(np.nanargmin(margins))
                how = "random" if index < _RANDOM[self.effort] else "on an edge"
                yield {name: batch[name][index] for name in self.names}, how, float(margins[index])

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
        optimiser = optax.adam(optax.cosine_decay_schedule(0.1, _STEPS[self.effort]))

        def reach(u: Any) -> dict[str, jax.Array]:
            return {name: self.check.domains[name].from_free(x) for name, x in u.items()}

        def height(u: Any, constant: Any) -> jax.Array:
            return self.margin(*((reach(u) | constant)[name] for name in self.names))

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
        self.instances += starts * _STEPS[self.effort]
        if np.isfinite(lowest).any():
            deepest = int(np.nanargmin(lowest))
            values = {n: np.asarray((dict(ends) | fixed)[n])[deepest] for n in self.names}
            yield values, "descent on the margin", float(lowest[deepest])

    # Instances ----------------------------------------------------------------------------------------------
    def shapes(self) -> Iterator[dict[str, int]]:
        """Sizes: the usual ones, then wide or small ones, as far as the hypotheses admit them."""
        axes = (axis for domain in self.check.domains.values() for axis in domain.shape)
        spare = itertools.count(5, 2)
        home = {a.name: _HOME.get(a.name) or next(spare) for a in axes if isinstance(a, Dim)} | dict(self.check.sizes)
        variants = [home, home | {"n": 2, "d": 5} if {"n", "d"} <= set(home) else dict.fromkeys(home, 2)]
        seen: list[dict[str, int]] = []
        for sizes in (variant | dict(self.check.sizes) for variant in variants):
            shapes = self.concrete(sizes)
            if sizes not in seen and all(d.admits(shapes[n]) for n, d in self.check.domains.items()):
                seen.append(sizes)
                yield sizes

    def concrete(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        return {name: domain.concrete(dict(sizes)) for name, domain in self.check.domains.items()}

    def generic(self, sizes: dict[str, int], count: int) -> Values:
        """Many random instances: some drawn from the domains, the rest mapped from normal variables of all scales."""
        drawn, out = min(count, 100), {}
        scales = 10.0 ** self.rng.uniform(-1.5, 1.5, count)
        for name, domain in self.check.domains.items():
            shape = domain.concrete(sizes)
            own = np.stack([domain.draw(self.rng, shape) for _ in range(drawn)])
            if isinstance(domain, _DISCRETE):
                out[name] = own[self.rng.integers(drawn, size=count)]
                continue
            u = self.rng.standard_normal((count - drawn, *domain.free_shape(shape)))
            u = u * scales[drawn:].reshape(-1, *[1] * (u.ndim - 1))
            out[name] = np.concatenate([own, np.asarray(jax.vmap(domain.from_free)(jnp.asarray(u)))])
        return out

    def edges(self, sizes: dict[str, int]) -> Iterator[Values]:
        """One argument on an edge of its domain, two arguments that coincide, and the rest generic."""
        generic = lambda: {name: domain.sample(self.rng, sizes) for name, domain in self.check.domains.items()}
        for name, domain in self.check.domains.items():
            for x in domain.edges(self.rng, domain.concrete(sizes)).values():
                yield generic() | {name: x}
        for a, b in itertools.combinations(self.names, 2):
            if self.check.domains[a] == self.check.domains[b]:
                values = generic()
                yield values | {b: values[a]}

    # Judging an instance ------------------------------------------------------------------------------------
    def at(self, values: Values) -> float:
        """The margin in floats."""
        return float(self.one(*(jnp.asarray(values[name]) for name in self.names)))

    def exact(self, values: Values) -> float | None:
        """The margin with 40 digits; None where there is none."""
        if self.unsupported:
            return None
        args = [values[name] for name in self.names]
        try:
            with np.errstate(all="ignore"):
                (out,) = Interpreter(Precise(_DIGITS))(trace(self.margin, *args), args)
            return None if np.isnan(float(out)) else float(out)  # as at eigenvalues that coincide
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
                simpler = Found(rounded, self.at(rounded), self.exact(rounded), found.how)
                if simpler.violates and simpler.margin < -1e-6:
                    best = simpler
                    if name is None:
                        break
        return best
