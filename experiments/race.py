"""To the same accuracy, judged from the data by one certificate, the solvers of `experiments.solvers` are timed against
the solvers that others use, and they reach every certificate on every data set, kind or unkind.

The certificate is a gradient norm in parts of that at 0, or for sparse models a duality gap in parts of the value at 0,
computed in NumPy; of a path or of many fits it is the worst. For each peer the loosest tolerance in steps of ten is
sought with which its certificate holds, until the search has taken `patience` seconds and thirty times our time, or two
tolerances in a row are without gain. Then all are timed in turn, round by round and in another order in each, after an
untimed run of their own that makes caches, memory and threads theirs; from arrays of NumPy, so that what a solver
copies is within the clock. "On the device" is our solver with X copied before. Compilation is the first call less the
median of the others, and stands apart; memory that our copies of X use again is new in the first call, too. Times are
reported and not claimed: they are this machine's.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLACK, BLUE, ORANGE, SKY
from experiments.peers import Fit, many, paths, smooth
from experiments.peers.contests import CONTESTS, Drawn

FIGURES = ()
LEDGER = ()
TARGETS = (1e-6, 1e-10)
NEVER = np.inf  # seconds of one that did not get there
PAUSE = 0.1  # seconds before a run: threads of BLAS and OpenMP wait busily for a next call, in another solver's time
DEAF = ("__del__", "_xla_gc_callback")  # functions from which Python lets no error out
SEARCH = 30  # times our time, at least, for the search: who does not get there in it is several times slower


@dataclass(frozen=True)
class Config(settings.Config):
    skip: int = settings.option(0, "how many of the data sets to leave out, in the order of the table", least=0)
    contests: int = settings.option(100, "how many of them to run then", quick=3, least=1)
    percent: float = settings.option(100.0, "size of the drawn data, in percent", quick=1.0, above=0)
    rounds: int = settings.option(5, "rounds of timing", quick=2, least=1)
    patience: float = settings.option(
        20.0, "seconds that the search for a peer's tolerances may take", quick=1.0, above=0
    )


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


class OutOfTime(BaseException):
    """Not an Exception: a peer's code must not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends the block after so many seconds, as soon as compiled code returns to Python.

    There is no limit without timer signals, as on Windows, nor outside of the main thread.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    rung = False

    def stop(number, frame):
        nonlocal rung
        rung = True
        while frame is not None:
            if frame.f_code.co_name in DEAF:
                return
            frame = frame.f_back
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    # Again and again, for where it cannot raise.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    except BaseException:
        # Code that is compiled makes an error of its own of it.
        if not rung:
            raise
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tolerance_of(fit: Fit, judged: Callable[[np.ndarray], float], target: float, loosest: int) -> int | None:
    """The exponent of the loosest tolerance, a power of ten, with which the certificate holds; None if none was found.

    Tolerances begin at 10**-loosest.
    """
    reached: list[float] = []
    for exponent in range(loosest, 17):
        reached.append(judged(fit(10.0**-exponent)))
        if reached[-1] <= target:
            return exponent
        if len(reached) > 8 and reached[-1] >= reached[-3]:
            return None
    return None


def tolerances_of(fit: Fit, judged: Callable[[np.ndarray], float], seconds: float) -> list[float]:
    """Those for the targets that it reaches in so many seconds: what misses the loose one misses the tight one."""
    found: list[float] = []
    exponent: int | None = 3
    with time_limit(seconds):
        for target in TARGETS:
            exponent = tolerance_of(fit, judged, target, exponent)
            if exponent is None:
                break
            found.append(10.0**-exponent)
    return found


def contest(name: str, kind: ModuleType, data: Any, config: Config, report: script.Report) -> Contest:
    own = kind.ours(data)
    asked = [peer for peer in kind.PEERS if peer.installed and peer.applies(data)]
    fits: dict[str, Fit] = {**own, **{peer.name: partial(peer.fit, data) for peer in asked}}
    judged = lambda solution: kind.certificate(solution, data)
    runs: dict[tuple[int, int], Callable[[], np.ndarray]] = {}
    first, least = np.zeros(len(fits)), 0.0
    for j, (contestant, fit) in enumerate(fits.items()):
        # The first call compiles, and for the tight target perhaps another program.
        first[j] = _seconds(partial(fit, 1e-1))
        found = TARGETS if contestant in own else tolerances_of(fit, judged, max(config.patience, SEARCH * least))
        for i, tolerance in enumerate(found):
            runs[j, i] = partial(fit, tolerance)
            first[j] = max(first[j], _seconds(runs[j, i]))
        if contestant in own:
            least = _seconds(runs[j, len(TARGETS) - 1])
        report(j + 1, len(fits))
    seconds = np.full((len(fits), len(TARGETS), config.rounds), NEVER)
    reached = np.full(seconds.shape[:2], np.inf)
    timed = list(runs)
    for k in range(config.rounds):
        for i in np.random.default_rng([config.seed, k]).permutation(len(timed)):
            at = timed[i]
            time.sleep(PAUSE)
            runs[at]()
            begun = time.perf_counter()
            solution = runs[at]()
            seconds[*at, k] = time.perf_counter() - begun
            reached[at] = judged(solution)
    median = np.median(seconds, axis=2)
    slower = np.median(seconds / seconds[:1], axis=2)
    compiled = np.maximum(first - np.where(np.isfinite(median), median, 0).max(axis=1), 0)
    return Contest(name, *data.X.shape, len(own), tuple(fits), median, slower, reached, compiled)


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    contests, drawn = [], Drawn(config.percent, config.seed)
    for k, (name, (kind, draw)) in enumerate(CONTESTS.items()):
        if config.skip <= k < config.skip + config.contests:
            data, report = draw(drawn, np.random.default_rng([config.seed, k])), progress(name)
            contests.append(contest(name, kind, data, config, report))
            # At once, as the whole race takes long.
            report(len(contests), config.contests, "seconds to each certificate\n" + in_full(contests[-1]))
    asked = [peer for kind in (smooth, paths, many) for peer in kind.PEERS]
    return Results(tuple(contests), tuple(sorted({peer.library for peer in asked if not peer.installed})))


def in_full(found: Contest) -> str:
    """The seconds of each contestant to each target; one that was not found in the time of the search is missing."""
    lines = [f"  {'':31} {''.join(f'{target:10.0e}' for target in TARGETS)}"]
    for name, seconds, compiled in zip(found.contestants, found.seconds, found.compiled, strict=True):
        each = [f"{number:10.4f}" if np.isfinite(number) else f"{'-':>10}" for number in seconds]
        lines.append(f"  {name:31} {''.join(each)}   {compiled:6.2f} of compilation")
    return "\n".join(lines)


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
    axes[0].set_ylim(len(results.contests) - 0.5, -0.8)  # the first is on top, with room for a name
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
