"""What a pair is, and how its example arrays are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

n, d, K = 7, 3, 4


@dataclass(frozen=True)
class Pair:
    name: str
    loss: Callable  # or the vector-valued function of a "jacobian" or a "vjp"
    args: tuple  # example arrays; the differentiated one comes first
    kind: str  # "gradient" | "hessian" | "hvp" | "jacobian" | "vjp"
    right: Callable
    wrong: Callable | None = None  # None where only a rewriting is to be accepted
    cause: str = ""  # "" exactly when there is no wrong formula
    mistake: str = ""
    hypotheses: tuple[str, ...] = ()  # what must hold of the arguments for `right` to be right


class Draw:
    """Generic example arrays from one seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def real(self, *shape):
        return np.asarray(self.rng.normal(size=shape))

    def positive(self, *shape):
        return np.asarray(self.rng.uniform(0.5, 1.8, size=shape))

    def regular(self, size):
        """A square matrix without symmetry, far from singular."""
        return self.real(size, size) / 2 + 2 * np.eye(size)

    def covariance(self, size):
        root = self.real(size, size)
        return root @ root.T / size + np.eye(size)

    def distribution(self, *shape):
        weights = self.positive(*shape)
        return weights / weights.sum(axis=-1, keepdims=True)

    def bits(self, *shape):
        """Booleans of which about half are true, never all or none."""
        size = int(np.prod(shape))
        return self.rng.permutation(np.arange(size) % 2 == 0).reshape(shape)

    def classes(self, size, count):
        """Labels 0 ... count - 1, each of which occurs."""
        return self.rng.permutation(np.arange(size) % count).astype(np.int32)
