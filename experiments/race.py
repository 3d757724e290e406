"""To the same accuracy, judged from the data by one certificate, the solver of `experiments.solvers` is timed against
the solvers that others use, and it reaches every certificate on every data set, kind or unkind.

The certificate is the gradient norm of the penalised mean loss in parts of its norm at w = 0, computed in NumPy. For
each peer the loosest tolerance in steps of ten is sought with which its certificate holds; a run of more than
`patience` seconds ends the search, and so do two tolerances in a row without gain. Then all are timed in turn, round by
round, from arrays of NumPy, so that what a solver copies is within the clock; "on the device" is our solver with X
copied before. Compilation is the first call less the median of the others, and stands apart. Times are reported and not
claimed: they are this machine's.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxderiv.data
from experiments import peers, settings
from experiments.files import BLACK, BLUE, ORANGE, SKY
from experiments.peers import PEERS, Data
from experiments.solvers.smooth import solve

FIGURES = ()
LEDGER = ()
TARGETS = (1e-6, 1e-10)
OURS, RESIDENT = "jaxderiv", "jaxderiv, X on the device"
NEVER = np.inf  # seconds of one that did not get there


@dataclass(frozen=True)
class Config(settings.Config):
    contests: int = settings.option(11, "how many of the data sets, in the order of the table", quick=3, least=1)
    percent: float = settings.option(100.0, "size of the drawn data, in percent", quick=1.0, above=0)
    rounds: int = settings.option(5, "rounds of timing", quick=2, least=1)
    patience: float = settings.option(20.0, "seconds that one run of a peer may take", quick=0.2, above=0)


class Contest(NamedTuple):
    """One data set. Rows of the arrays are the contestants, columns the targets.

    Attributes:
        seconds: median; infinite for one that did not get there.
        slower: the median over rounds of its time in parts of ours.
        certificate: at the last timed run; infinite for one that did not get there.
        compiled: seconds, (contestants,).
    """

    name: str
    n: int
    d: int
    method: str
    contestants: tuple[str, ...]
    seconds: np.ndarray
    slower: np.ndarray
    certificate: np.ndarray
    compiled: np.ndarray


class Results(NamedTuple):
    contests: tuple[Contest, ...]
    absent: tuple[str, ...]


def drawn(config: Config) -> Iterator[Data]:
    """The data sets: real, and drawn ones that are kind or not."""
    rng = np.random.default_rng(config.seed)
    cancer, digits = jaxderiv.data.breast_cancer(), jaxderiv.data.digits()
    yield _data("breast cancer", _standard(cancer.X), cancer.y.astype(float))

    def size(n, d):
        return max(int(n * config.percent / 100), 8 * d), d

    def labelled(name, X, shift=0.0, intercept=False):
        w = rng.normal(size=X.shape[1])
        z = X @ w
        z = 2 * z / z.std() + shift
        return _data(name, X, (rng.random(len(X)) < 1 / (1 + np.exp(-z))).astype(float), intercept)

    yield labelled("tall", rng.normal(size=size(100_000, 100)))
    n, d = size(50_000, 200)
    turned = np.linalg.qr(rng.normal(size=(d, d)))[0]
    yield labelled("ill-conditioned", rng.normal(size=(n, d)) * np.logspace(0, -6, d) @ turned)
    n, d = size(50_000, 100)
    yield labelled("1 in 100", rng.normal(size=(n, d)), shift=-6.2, intercept=True)
    yield labelled("intercept", rng.normal(size=(n, d)) + 1.0, intercept=True)
    common = rng.normal(size=(n, 1))
    yield labelled("correlated", np.sqrt(0.9) * common + np.sqrt(0.1) * rng.normal(size=(n, d)))
    yield labelled("heavy tails", rng.standard_t(2, size=(n, d)))
    yield labelled("sparse counts", rng.poisson(0.05, size=(n, d)).astype(float))
    yield labelled("wide", rng.normal(size=size(10_000, min(1000, int(10 * config.percent) + 90))))
    yield _data("digits", digits.X / 16.0, np.eye(10)[digits.y.astype(int)])
    yield labelled("very tall", rng.normal(size=size(1_000_000, 50)))


def _data(name: str, X: np.ndarray, y: np.ndarray, intercept: bool = False) -> Data:
    return Data(name, np.ascontiguousarray(X), y, 1 / len(X), intercept)


def _standard(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)


def ours(data: Data, tolerance: float, X: np.ndarray | jax.Array | None = None):
    model = "logistic" if data.y.ndim == 1 else "softmax"
    X = data.X if X is None else X
    # Half of it, so that rounding in the judge's own sums does not matter.
    return solve(model, X, data.y, data.lam, intercept=data.intercept, tolerance=tolerance / 2)


def tolerance_of(fit: Callable, data: Data, target: float, patience: float) -> float | None:
    """The loosest tolerance, a power of ten, with which the certificate holds; None if none was found."""
    reached = []
    for exponent in range(3, 17):
        begun = time.perf_counter()
        reached.append(peers.certificate(fit(data, 10.0**-exponent), data))
        if reached[-1] <= target:
            return 10.0**-exponent
        if time.perf_counter() - begun > patience or (len(reached) > 8 and reached[-1] >= reached[-3]):
            return None
    return None


def contest(data: Data, config: Config, report: script.Report) -> Contest:
    X = jax.block_until_ready(jnp.asarray(data.X))
    asked = [peer for peer in PEERS if peers.installed(peer) and peer.applies(data)]
    names = (OURS, RESIDENT, *(peer.name for peer in asked))
    runs: dict[tuple[int, int], Callable] = {}
    first = np.zeros(len(names))
    for j, peer in enumerate([None, None, *asked]):
        for i, target in enumerate(TARGETS):
            if peer is None:
                run = [
                    lambda target=target: ours(data, target).params,
                    lambda target=target: ours(data, target, X).params,
                ][j]
            else:
                begun = time.perf_counter()
                if i == 0:
                    peer.fit(data, 1e-1)  # the first call compiles
                    first[j] = time.perf_counter() - begun
                tolerance = tolerance_of(peer.fit, data, target, config.patience)
                if tolerance is None:
                    break  # what misses the loose target misses the tight one
                run = lambda peer=peer, tolerance=tolerance: peer.fit(data, tolerance)
            begun = time.perf_counter()
            run()
            first[j] = max(first[j], time.perf_counter() - begun)
            runs[i, j] = run
        report(j + 1, len(names))
    seconds = np.full((len(names), len(TARGETS), config.rounds), NEVER)
    reached = np.full(seconds.shape[:2], np.inf)
    for k in range(config.rounds):
        for (i, j), run in runs.items():
            begun = time.perf_counter()
            w = run()
            seconds[j, i, k] = time.perf_counter() - begun
            reached[j, i] = peers.certificate(w, data)
    median = np.median(seconds, axis=2)
    slower = np.median(seconds / seconds[:1], axis=2)
    compiled = np.maximum(first - np.where(np.isfinite(median), median, 0).max(axis=1), 0)
    method = ours(data, TARGETS[1], X).method
    return Contest(data.name, *data.X.shape, method, names, median, slower, reached, compiled)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    contests = tuple(
        contest(data, config, progress(data.name)) for data in itertools.islice(drawn(config), config.contests)
    )
    return Results(contests, tuple(sorted({peer.library for peer in PEERS if not peers.installed(peer)})))


def fastest(found: Contest, target: int) -> tuple[str, float]:
    """The fastest peer, and its time in parts of ours."""
    others = found.slower[2:, target]
    if not len(others):
        return "none", NEVER
    best = int(np.argmin(others))
    return found.contestants[2 + best], float(others[best])


def claim(results: Results) -> str:
    script.require(len(results.contests) > 0, "there are contests")
    for found in results.contests:
        where = f"on {found.name}"
        for i, target in enumerate(TARGETS):
            for j, name in enumerate(found.contestants):
                timed = np.isfinite(found.seconds[j, i])
                got = found.certificate[j, i] <= target
                script.require(got == timed and (timed or j > 1), f"{where} {name} reaches {target:g}, or is not timed")
                script.require(not timed or found.seconds[j, i] > 0, f"{where} the time of {name} is positive")
        script.require(np.all(np.diff(found.certificate[0]) < 0), f"{where} the tight target is reached more closely")
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
        f"{'data':22} {'n':>8} {'d':>5}  {'target':>6} {'ours':>9} {'on device':>9}  {'fastest peer':24} {'ratio':>6}"
    ]
    for found in results.contests:
        for i, target in enumerate(TARGETS):
            name, ratio = fastest(found, i)
            lines.append(
                f"{found.name:22} {found.n:8} {found.d:5}  {target:6.0e} {found.seconds[0, i]:8.4f}s "
                f"{found.seconds[1, i]:8.4f}s  {name if np.isfinite(ratio) else 'none':24} {ratio:6.2f}"
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
                if j > 1 and np.isfinite(found.slower[j, i]):
                    best = name == fastest(found, i)[0]
                    ax.plot(found.slower[j, i], k, "o" if best else ".", color=ORANGE if best else SKY)
                    if best:
                        ax.annotate(name, (found.slower[j, i], k), (0, 5), textcoords="offset points", fontsize=7)
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
