"""Where a derivation is tested: shapes and points.

Sizes are distinct and coprime, so that a transposed or mis-normalised formula cannot pass, and the edge sizes
(one observation, one feature, fewer observations than features, two classes) are in the sweep. Generic points
are drawn from the symbols' domains; edge points put one symbol at a time on an edge of its domain.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from jaxderiv.derivation import Derivation
from jaxderiv.verify.question import Place, Sizes

EFFORTS = {"quick": 1, "normal": 2, "high": 8}  # generic points at the home shape
_HOME = {"n": 7, "d": 3, "K": 4, "h": 5, "m": 6, "p": 8, "q": 2, "k": 9}
_SPARE = (11, 13, 17, 19, 23)
_OF_DATA = ("scaled up", "with duplicated rows")
_SMALLEST = {"K": 2}  # one class alone is no classification


def home_sizes(derivation: Derivation) -> Sizes:
    spare = iter(_SPARE)
    return {name: _HOME[name] if name in _HOME else next(spare) for name in derivation.dims}


def shapes(derivation: Derivation, fixed: Mapping[str, int] = MappingProxyType({})) -> dict[str, Sizes]:
    """Labelled sizes: home first, then one edge for every dimension, then n < d; some sizes may be fixed."""
    home = home_sizes(derivation) | dict(fixed)
    out = {"home": home}
    for name in (name for name in home if name not in fixed):
        least = _SMALLEST.get(name, 1)
        out[f"{name} = {least}"] = home | {name: least}
    if {"n", "d"} <= set(home) and not {"n", "d"} & set(fixed):
        out["n < d"] = home | {"n": 2, "d": 5}
    return out


def places(
    derivation: Derivation, effort: str, seed: int, fixed: Mapping[str, int] = MappingProxyType({})
) -> Iterator[Place]:
    """The places for one derivation; the same seed gives the same places in every process. Some sizes may be fixed."""
    points = EFFORTS[effort]
    for label, sizes in shapes(derivation, fixed).items():
        if not all(domain.admits(domain.concrete(sizes)) for domain in derivation.symbols.values()):
            continue
        rng = np.random.default_rng([seed, zlib.crc32(f"{derivation.name} {label}".encode())])
        for number in range(points if label == "home" else max(1, points // 2)):
            values = _draw(derivation, sizes, rng)
            yield Place(f"{label}, point {number + 1}", "generic", sizes, values)
        if label == "home":
            yield from _edges(derivation, sizes, rng, effort)


def _draw(derivation: Derivation, sizes: Sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: domain.sample(rng, sizes) for name, domain in derivation.symbols.items()}


def _edges(derivation: Derivation, sizes: Sizes, rng: np.random.Generator, effort: str) -> Iterator[Place]:
    """The parameters together on every edge of their domains but the dearest, each datum on its first one and on those
    of badly scaled data; at high effort every symbol on every edge by itself."""
    arguments = derivation.loss_arguments or tuple(derivation.symbols)
    edges = {name: _edge_values(derivation, name, sizes, rng) for name in arguments}
    parameters = {name: edges.pop(name) for name in derivation.parameters} if effort != "high" else {}
    for edge in dict.fromkeys(edge for found in parameters.values() for edge in found if edge not in _OF_DATA):
        placed = {name: found[edge] for name, found in parameters.items() if edge in found}
        yield Place(f"{', '.join(placed)} {edge}", "edge", sizes, _draw(derivation, sizes, rng) | placed)
    for name, found in edges.items():
        chosen = list(found)[:1] + [edge for edge in _OF_DATA if edge in found and np.ndim(found[edge]) > 1]
        for edge in found if effort == "high" else chosen:
            yield Place(f"{name} {edge}", "edge", sizes, _draw(derivation, sizes, rng) | {name: found[edge]})


def _edge_values(derivation: Derivation, name: str, sizes: Sizes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    domain = derivation.symbols[name]
    return domain.edges(rng, domain.concrete(sizes))
