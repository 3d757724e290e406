"""The peers of `experiments.race`: solvers that others use, each as it is meant to be used, and the judges of all.

A module for each kind of problem has ``Data``; ``certificate(solution, data)``, computed in NumPy from the definition
by code that it shares with no solver; ``ours(data)``, the ways to call the solvers of `experiments.solvers`; ``PEERS``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

STEPS = 100_000  # more than any run takes

Fit = Callable[[float], np.ndarray]  # a solution from a tolerance


class Peer(NamedTuple):
    """A solver: ``fit(data, tolerance)`` returns the solution. One whose library is not installed is left out."""

    name: str
    library: str
    applies: Callable[[Any], bool]
    fit: Callable[[Any, float], np.ndarray]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.library) is not None
