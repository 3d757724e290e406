"""The data of `experiments.race`: real, and drawn ones that are kind or not."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from scipy.signal import lfilter

import jaxderiv.data
from experiments.peers import many, paths, smooth
from experiments.solvers import sparse, sparse_logistic
from experiments.solvers.many import bootstrap_counts


class Drawn:
    """The data sets: real, and drawn ones that are kind or not. Each is drawn from a generator of its own."""

    def __init__(self, percent: float, seed: int):
        self.percent, self.seed = percent, seed

    @property
    def fit_count(self) -> int:
        return max(int(10 * self.percent), 100)

    def size(self, n: int, d: int) -> tuple[int, int]:
        return max(int(n * self.percent / 100), 8 * d), d

    def smaller(self, n: int, d: int) -> tuple[int, int]:
        """For data with more columns than rows both are smaller, or the shape would be another."""
        part = np.sqrt(self.percent / 100)
        return max(int(n * part), 60), max(int(d * part), 60)

    def labelled(self, rng, X, shift=0.0, **how) -> smooth.Data:
        w = rng.normal(size=X.shape[1])
        z = X @ w
        z = 2 * z / z.std() + shift
        y = (rng.random(len(X)) < 1 / (1 + np.exp(-z))).astype(float)
        return smooth.Data(X=np.ascontiguousarray(X), y=y, **{"lam": 1 / len(X), **how})

    def path(self, rng, n, d, correlation=0.0, mean=0.0, l1_ratio=1.0, logistic=False, signals=0) -> paths.Data:
        """A signal in so many columns, or in one of a hundred, ten at least, and noise of a third of its size."""
        X = rng.normal(size=(n, d))
        X[:, 1:] *= np.sqrt(1 - correlation**2)
        X = np.asfortranarray(lfilter([1.0], [1.0, -correlation], X, axis=1) + mean)
        w, k = np.zeros(d), signals or max(d // 100, 10)
        w[rng.choice(d, k, replace=False)] = rng.normal(size=k)
        z = X @ w
        noise = rng.normal(size=n) * z.std() / 3
        y = (z + noise > 0).astype(float) if logistic else z + noise
        lams = (sparse_logistic if logistic else sparse).lam_grid(X, y, 50, 1e-2, l1_ratio)
        return paths.Data(X, y, lams, l1_ratio, logistic)

    def real(self, rng) -> smooth.Data:
        cancer = jaxderiv.data.breast_cancer()
        return smooth.Data(_standard(cancer.X), cancer.y.astype(float), 1 / len(cancer.X))

    def fits(self, rng) -> many.Data:
        cancer = jaxderiv.data.breast_cancer()
        counts = bootstrap_counts(len(cancer.X), self.fit_count, self.seed)
        return many.Data(_standard(cancer.X), cancer.y.astype(float), counts, 0.01)

    def large_fits(self, rng) -> many.Data:
        drawn = self.labelled(rng, rng.normal(size=self.size(10_000, 20)))
        counts = bootstrap_counts(len(drawn.X), self.fit_count, self.seed)
        return many.Data(drawn.X, drawn.y, counts, 1e-3)

    def tall(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(100_000, 100)))

    def ill_conditioned(self, rng):
        n, d = self.size(50_000, 200)
        turned = np.linalg.qr(rng.normal(size=(d, d)))[0]
        return self.labelled(rng, rng.normal(size=(n, d)) * np.logspace(0, -6, d) @ turned)

    def wide(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(10_000, min(1000, int(10 * self.percent) + 90))))

    def digits(self, rng):
        digits = jaxderiv.data.digits()
        T = np.eye(10)[digits.y.astype(int)]
        return smooth.Data(digits.X / 16.0, T, 1 / len(digits.X), model="softmax")

    def very_tall(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(1_000_000, 50)))

    def counted(self, rng):
        X = rng.normal(size=self.size(50_000, 100))
        y = rng.poisson(np.exp(X @ rng.normal(size=X.shape[1]) / 20)).astype(float)
        return smooth.Data(X, y, 1 / len(X), intercept=True, model="poisson")

    def ridge(self, rng):
        X = rng.normal(size=self.size(100_000, 100))
        return smooth.Data(X, X @ rng.normal(size=X.shape[1]) + rng.normal(size=len(X)), 1e-3, True, "least squares")

    def outliers(self, rng):
        X = rng.normal(size=self.size(50_000, 100))
        y = X @ rng.normal(size=X.shape[1]) + rng.standard_t(2, size=len(X))
        return smooth.Data(X, y, 1e-3, True, "huber")

    def imbalanced(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(50_000, 100)), shift=-6.2, intercept=True)

    def shifted(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(50_000, 100)) + 1.0, intercept=True)

    def correlated(self, rng):
        n, d = self.size(50_000, 100)
        common = rng.normal(size=(n, 1))
        return self.labelled(rng, np.sqrt(0.9) * common + np.sqrt(0.1) * rng.normal(size=(n, d)))

    def heavy(self, rng):
        return self.labelled(rng, rng.standard_t(2, size=self.size(50_000, 100)))

    def sparse_counts(self, rng):
        return self.labelled(rng, rng.poisson(0.05, size=self.size(50_000, 100)).astype(float))

    def without_penalty(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(50_000, 50)), lam=0.0, intercept=True)

    def lasso(self, rng):
        return self.path(rng, *self.smaller(5_000, 10_000), correlation=0.9)

    def elastic_net(self, rng):
        return self.path(rng, *self.smaller(2_000, 4_000), correlation=0.9, l1_ratio=0.5)

    def tall_lasso(self, rng):
        return self.path(rng, *self.size(20_000, 300))

    def lasso_with_means(self, rng):
        return self.path(rng, *self.size(5_000, 100), mean=10.0)

    def dense_path(self, rng):
        return self.path(rng, *self.size(5_000, 500), l1_ratio=0.5, signals=300)

    def labelled_path(self, rng):
        return self.path(rng, *self.smaller(1_000, 5_000), correlation=0.5, logistic=True)


# In the order of the table. The first three, which --quick runs, are of three kinds.
CONTESTS: dict[str, tuple[ModuleType, Callable[[Drawn, np.random.Generator], Any]]] = {
    "breast cancer": (smooth, Drawn.real),
    "1000 fits": (many, Drawn.fits),
    "lasso path": (paths, Drawn.lasso),
    "elastic-net path": (paths, Drawn.elastic_net),
    "tall lasso path": (paths, Drawn.tall_lasso),
    "lasso path, means of 10": (paths, Drawn.lasso_with_means),
    "sparse logistic path": (paths, Drawn.labelled_path),
    "1000 larger fits": (many, Drawn.large_fits),
    "tall": (smooth, Drawn.tall),
    "ill-conditioned": (smooth, Drawn.ill_conditioned),
    "wide": (smooth, Drawn.wide),
    "digits": (smooth, Drawn.digits),
    "very tall": (smooth, Drawn.very_tall),
    "Poisson": (smooth, Drawn.counted),
    "ridge": (smooth, Drawn.ridge),
    "Huber": (smooth, Drawn.outliers),
    "1 in 100": (smooth, Drawn.imbalanced),
    "intercept": (smooth, Drawn.shifted),
    "correlated": (smooth, Drawn.correlated),
    "heavy tails": (smooth, Drawn.heavy),
    "sparse counts": (smooth, Drawn.sparse_counts),
    "no penalty": (smooth, Drawn.without_penalty),
    "dense elastic nets": (paths, Drawn.dense_path),
}


def _standard(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)
