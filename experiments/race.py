"""To the same accuracy, judged from the data by one certificate, the solvers of `experiments.solvers` are timed against
the solvers that others use, and they reach every certificate on every data set, kind or unkind.

The certificate is a gradient norm in parts of that at 0, or for sparse models a duality gap in parts of the value at 0,
computed in NumPy; of a path or of many fits it is the worst. For each peer the loosest tolerance in steps of ten is
sought with which its certificate holds; a run that takes more than `patience` seconds and ten times our time ends the
search, and so do two tolerances in a row without gain. Then all are timed in turn, round by round, from arrays of
NumPy, so that what a solver copies is within the clock; "on the device" is our solver with X copied before. Compilation
is the first call less the median of the others, and stands apart. Times are reported and not claimed: they are this
machine's.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.signal import lfilter

import jaxderiv.data
from experiments import settings
from experiments.files import BLACK, BLUE, ORANGE, SKY
from experiments.peers import Fit, many, paths, smooth
from experiments.solvers import sparse, sparse_logistic
from experiments.solvers.many import bootstrap_counts

FIGURES = ()
LEDGER = ()
TARGETS = (1e-6, 1e-10)
NEVER = np.inf  # seconds of one that did not get there
PAUSE = 0.1  # seconds before a run: the threads of BLAS wait busily for their next call, in the time of another solver
SLOWER = 10  # times our time: no peer that is slower is the fastest


@dataclass(frozen=True)
class Config(settings.Config):
    skip: int = settings.option(0, "how many of the data sets to leave out, in the order of the table", least=0)
    contests: int = settings.option(20, "how many of them to run then", quick=3, least=1)
    percent: float = settings.option(100.0, "size of the drawn data, in percent", quick=1.0, above=0)
    rounds: int = settings.option(5, "rounds of timing", quick=2, least=1)
    patience: float = settings.option(20.0, "seconds that one run of a peer may take", quick=0.2, above=0)


class Contest(NamedTuple):
    """One data set. Rows of the arrays are the contestants, columns the targets.

    Attributes:
        own: how many of the contestants, the first ones, are ours.
        seconds: median; infinite for one that did not get there.
        slower: the median over rounds of its time in parts of ours.
        certificate: at the last timed run; infinite for one that did not get there.
        compiled: seconds, (contestants,).
    """

    name: str
    n: int
    d: int
    own: int
    contestants: tuple[str, ...]
    seconds: np.ndarray
    slower: np.ndarray
    certificate: np.ndarray
    compiled: np.ndarray


class Results(NamedTuple):
    contests: tuple[Contest, ...]
    absent: tuple[str, ...]


# The data ----------------------------------------------------------------------------------------------------------
class Drawn:
    """The data sets: real, and drawn ones that are kind or not. Each is drawn from a generator of its own."""

    def __init__(self, config: Config):
        self.config = config

    @property
    def fit_count(self) -> int:
        return max(int(10 * self.config.percent), 100)

    def size(self, n: int, d: int) -> tuple[int, int]:
        return max(int(n * self.config.percent / 100), 8 * d), d

    def smaller(self, n: int, d: int) -> tuple[int, int]:
        """For data with more columns than rows both are smaller, or the shape would be another."""
        part = np.sqrt(self.config.percent / 100)
        return max(int(n * part), 60), max(int(d * part), 60)

    def labelled(self, rng, X, shift=0.0, **how) -> smooth.Data:
        w = rng.normal(size=X.shape[1])
        z = X @ w
        z = 2 * z / z.std() + shift
        y = (rng.random(len(X)) < 1 / (1 + np.exp(-z))).astype(float)
        return smooth.Data(X=np.ascontiguousarray(X), y=y, **{"lam": 1 / len(X), **how})

    def path(self, rng, n, d, correlation=0.0, logistic=False, **how) -> paths.Data:
        """A signal in one column of a hundred, ten at least, and noise of a third of its size."""
        X = rng.normal(size=(n, d))
        X[:, 1:] *= np.sqrt(1 - correlation**2)
        X = np.asfortranarray(lfilter([1.0], [1.0, -correlation], X, axis=1))
        w, k = np.zeros(d), max(d // 100, 10)
        w[rng.choice(d, k, replace=False)] = rng.normal(size=k)
        z = X @ w
        noise = rng.normal(size=n) * z.std() / 3
        y = (z + noise > 0).astype(float) if logistic else z + noise
        l1_ratio = how.get("l1_ratio", 1.0)
        lams = (sparse_logistic if logistic else sparse).lam_grid(X, y, 50, 1e-2, l1_ratio)
        return paths.Data(X, y, lams, l1_ratio, logistic)

    def real(self, rng) -> smooth.Data:
        cancer = jaxderiv.data.breast_cancer()
        return smooth.Data(_standard(cancer.X), cancer.y.astype(float), 1 / len(cancer.X))

    def fits(self, rng) -> many.Data:
        cancer = jaxderiv.data.breast_cancer()
        counts = bootstrap_counts(len(cancer.X), self.fit_count, self.config.seed)
        return many.Data(_standard(cancer.X), cancer.y.astype(float), counts, 0.01)

    def large_fits(self, rng) -> many.Data:
        drawn = self.labelled(rng, rng.normal(size=self.size(10_000, 20)))
        counts = bootstrap_counts(len(drawn.X), self.fit_count, self.config.seed)
        return many.Data(drawn.X, drawn.y, counts, 1e-3)

    def tall(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(100_000, 100)))

    def ill_conditioned(self, rng):
        n, d = self.size(50_000, 200)
        turned = np.linalg.qr(rng.normal(size=(d, d)))[0]
        return self.labelled(rng, rng.normal(size=(n, d)) * np.logspace(0, -6, d) @ turned)

    def wide(self, rng):
        return self.labelled(rng, rng.normal(size=self.size(10_000, min(1000, int(10 * self.config.percent) + 90))))

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

    def labelled_path(self, rng):
        return self.path(rng, *self.smaller(1_000, 5_000), correlation=0.5, logistic=True)


# In the order of the table. The first three, which --quick runs, are of three kinds.
CONTESTS: dict[str, tuple[ModuleType, Callable[[Drawn, np.random.Generator], Any]]] = {
    "breast cancer": (smooth, Drawn.real),
    "1000 fits": (many, Drawn.fits),
    "lasso path": (paths, Drawn.lasso),
    "elastic-net path": (paths, Drawn.elastic_net),
    "tall lasso path": (paths, Drawn.tall_lasso),
    "sparse logistic path": (paths, Drawn.labelled_path),
    "1000 larger fits": (many, Drawn.large_fits),
    "tall": (smooth, Drawn.tall),
    "ill-conditioned": (smooth, Drawn.ill_conditioned),
    "wide": (smooth, Drawn.wide),
    "digits": (smooth, Drawn.digits),
    "very tall": (smooth, Drawn.very_tall),
    "Poisson": (smooth, Drawn.counted),
    "1 in 100": (smooth, Drawn.imbalanced),
    "intercept": (smooth, Drawn.shifted),
    "correlated": (smooth, Drawn.correlated),
    "heavy tails": (smooth, Drawn.heavy),
    "sparse counts": (smooth, Drawn.sparse_counts),
    "no penalty": (smooth, Drawn.without_penalty),
}


def _standard(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)


# The race ----------------------------------------------------------------------------------------------------------
def tolerance_of(
    fit: Fit, judged: Callable[[np.ndarray], float], target: float, loosest: int, patience: float
) -> int | None:
    """The exponent of the loosest tolerance, a power of ten, with which the certificate holds; None if none was found.

    Tolerances begin at 10**-loosest.
    """
    reached: list[float] = []
    for exponent in range(loosest, 17):
        begun = time.perf_counter()
        solution = fit(10.0**-exponent)
        seconds = time.perf_counter() - begun
        reached.append(judged(solution))
        if reached[-1] <= target:
            return exponent
        if seconds > patience or (len(reached) > 8 and reached[-1] >= reached[-3]):
            return None
    return None


def contest(name: str, kind: ModuleType, data: Any, config: Config, report: script.Report) -> Contest:
    own = kind.ours(data)
    asked = [peer for peer in kind.PEERS if peer.installed and peer.applies(data)]
    fits: dict[str, Fit] = {**own, **{peer.name: partial(peer.fit, data) for peer in asked}}
    judged = lambda solution: kind.certificate(solution, data)
    shape = len(fits), len(TARGETS)
    runs: dict[tuple[int, int], Callable[[], np.ndarray]] = {}
    first, least = np.zeros(len(fits)), 0.0
    for j, (contestant, fit) in enumerate(fits.items()):
        begun = time.perf_counter()
        fit(1e-1)  # the first call compiles
        first[j] = time.perf_counter() - begun
        exponent: int | None = 3
        for i, target in enumerate(TARGETS):
            if contestant in own:
                runs[j, i] = partial(fit, target)
            else:
                exponent = tolerance_of(fit, judged, target, exponent, max(config.patience, SLOWER * least))
                if exponent is None:
                    break  # what misses the loose target misses the tight one
                runs[j, i] = partial(fit, 10.0**-exponent)
            begun = time.perf_counter()
            runs[j, i]()
            seconds = time.perf_counter() - begun
            first[j] = max(first[j], seconds)
            least = seconds if contestant in own else least
        report(j + 1, len(fits))
    seconds = np.full((*shape, config.rounds), NEVER)
    reached = np.full(shape, np.inf)
    for k in range(config.rounds):
        for at, run in runs.items():
            time.sleep(PAUSE)
            begun = time.perf_counter()
            solution = run()
            seconds[*at, k] = time.perf_counter() - begun
            reached[at] = judged(solution)
    median = np.median(seconds, axis=2)
    slower = np.median(seconds / seconds[:1], axis=2)
    compiled = np.maximum(first - np.where(np.isfinite(median), median, 0).max(axis=1), 0)
    return Contest(name, *data.X.shape, len(own), tuple(fits), median, slower, reached, compiled)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    contests, drawn = [], Drawn(config)
    for k, (name, (kind, draw)) in enumerate(CONTESTS.items()):
        if config.skip <= k < config.skip + config.contests:
            data = draw(drawn, np.random.default_rng([config.seed, k]))
            contests.append(contest(name, kind, data, config, progress(name)))
    asked = [peer for kind in (smooth, paths, many) for peer in kind.PEERS]
    return Results(tuple(contests), tuple(sorted({peer.library for peer in asked if not peer.installed})))


def fastest(found: Contest, target: int) -> tuple[str, float]:
    """The fastest peer, and its time in parts of ours."""
    others = found.slower[found.own :, target]
    if not len(others):
        return "none", NEVER
    best = int(np.argmin(others))
    return found.contestants[found.own + best], float(others[best])


def claim(results: Results) -> str:
    script.require(len(results.contests) > 0, f"there are contests; skip leaves out fewer than {len(CONTESTS)}")
    for found in results.contests:
        where = f"on {found.name}"
        for i, target in enumerate(TARGETS):
            for j, name in enumerate(found.contestants):
                timed = np.isfinite(found.seconds[j, i])
                got = found.certificate[j, i] <= target
                script.require(
                    got == timed and (timed or j >= found.own), f"{where} {name} reaches {target:g}, or is not timed"
                )
                script.require(not timed or found.seconds[j, i] > 0, f"{where} the time of {name} is positive")
        script.require(np.all(np.diff(found.certificate[0]) <= 0), f"{where} the tight target is reached more closely")
    ratios = [fastest(found, 1)[1] for found in results.contests]
    timed = [ratio for ratio in ratios if np.isfinite(ratio)]
    if not timed:
        return (
            f"every certificate is reached on {len(ratios)} data sets; no peer that is installed reaches {TARGETS[1]:g}"
        )
    return (
        f"every certificate is reached on {len(ratios)} data sets; to {TARGETS[1]:g} the fastest peer takes "
        f"{min(timed):.2g} to {max(timed):.2g} times our time, in the median {np.median(timed):.2g}\n{table(results)}"
    )


def table(results: Results) -> str:
    """Seconds to each target, and how many times slower the fastest peer is."""
    lines = [
        f"{'data':22} {'n':>8} {'d':>5}  {'target':>6} {'ours':>9} {'on device':>9}  {'fastest peer':31} {'ratio':>6}"
    ]
    for found in results.contests:
        for i, target in enumerate(TARGETS):
            name, ratio = fastest(found, i)
            lines.append(
                f"{found.name:22} {found.n:8} {found.d:5}  {target:6.0e} {found.seconds[0, i]:8.4f}s "
                + (f"{found.seconds[1, i]:8.4f}s" if found.own > 1 else f"{'':9}")
                + f"  {name if np.isfinite(ratio) else 'none':31} {ratio:6.2f}"
            )
    if results.absent:
        lines.append(f"not installed: {', '.join(results.absent)} (pip install 'jaxderiv[peers]')")
    return "\n".join(lines)


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(9.0, 1.2 + 0.42 * len(results.contests)))
    axes = figure.subplots(1, 2, sharey=True)
    for i, (target, ax) in enumerate(zip(TARGETS, axes, strict=True)):
        for k, found in enumerate(results.contests):
            for j, name in enumerate(found.contestants):
                if j >= found.own and np.isfinite(found.slower[j, i]):
                    best = name == fastest(found, i)[0]
                    ax.plot(found.slower[j, i], k, "o" if best else ".", color=ORANGE if best else SKY)
                    if best:
                        ax.annotate(name, (found.slower[j, i], k), (0, 5), textcoords="offset points", fontsize=7)
            if found.own > 1:
                ax.plot(found.slower[1, i], k, "|", color=BLUE, markersize=11, markeredgewidth=2)
        ax.axvline(1, color=BLACK, linewidth=0.8)
        ax.set_xscale("log")
        ax.set_title(f"certificate at most {target:g}")
        ax.set_ylabel("data")
        ax.set_xlabel("time in parts of ours (median of rounds)")
    axes[0].set_yticks(
        range(len(results.contests)), [f"{found.name}\n{found.n} x {found.d}" for found in results.contests]
    )
    axes[0].invert_yaxis()
    marks = [
        axes[0].plot([], [], mark, color=color, label=label)[0]
        for mark, color, label in (
            ("o", ORANGE, "fastest peer"),
            (".", SKY, "other peers"),
            ("|", BLUE, "ours, X on the device"),
        )
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
