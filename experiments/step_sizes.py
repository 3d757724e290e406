"""On a parabola of curvature L gradient descent multiplies its distance to the minimum by |1 - alpha L| per step: it
crawls with a step far below 1/L, arrives at once with 1/L, swings from side to side beyond it, goes back and forth for
ever with 2/L and diverges with any longer step.

The parabola is f(x) = 2 x^2, so L = 4, 1/L = 0.25 and 2/L = 0.5; five steps are shown, and the factors of others, which
are drawn, are measured. Source: ML Math Derivations, part 4, figure 7, which shows 0.05, 0.18 and 0.55.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION
from experiments.loops import follow

FIGURES = ("F4.7",)
LEDGER = ("C4.36", "C4.43", "C4.44", "C4.46")
L = 4.0
RATES, STARTS = np.array([0.05, 0.18, 0.25, 0.5, 0.55]), np.array([-3.0, -3.0, -3.0, -3.0, -1.5])
STEPS = (25, 14, 1, 6, 6)  # that the figure shows
WORDS = ("too small: crawls", "below 1/L: converges", "1/L: arrives", "2/L: back and forth", "above 2/L: diverges")
EDGE = 3.3  # of the panels


@dataclass(frozen=True)
class Config(settings.Config):
    rates: int = settings.option(60, "drawn step sizes", least=2)
    longest: float = settings.option(0.7, "the largest of them", above=0.5)


class Results(NamedTuple):
    """Step sizes by column, those of the figure first."""

    rates: np.ndarray  # (m,)
    path: np.ndarray  # (26, m)


def parabola(x):
    return L / 2 * x**2


def descend(x, rates):
    """A step of gradient descent for every step size."""
    return x - rates * jax.vmap(jax.grad(parabola))(x)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    rates = np.concatenate([RATES, rng.uniform(0, config.longest, config.rates)])
    starts = np.concatenate([STARTS, rng.uniform(1, 3, config.rates)])
    _, path = follow(descend, starts, {"rates": rates}, max(STEPS))
    return Results(rates, path)


def factors(results: Results) -> np.ndarray:
    """By what each step size multiplies the distance, as a geometric mean over ten steps."""
    return np.abs(results.path[10] / results.path[0]) ** 0.1


def claim(results: Results) -> str:
    rates, path = results.rates, results.path
    script.require(np.array_equal(rates[:5], RATES), f"the first step sizes, {rates[:5]}, are {RATES}")
    script.require((path[0, :5] == STARTS).all(), f"the first starts, {path[0, :5]}, are {STARTS}")
    # In units of the point before the step; a path that has arrived stays.
    off = np.abs(path[1:] - (1 - L * rates) * path[:-1]) / np.where(path[:-1] == 0, 1, np.abs(path[:-1]))
    script.require(off.max() <= 1e-12, f"every step multiplies by 1 - alpha L, {off.max():.0e} off")
    distance, measured = np.abs(path), factors(results)
    stays, swings = path[1:] * path[:-1] > 0, path[1:] * path[:-1] < 0
    script.require(stays[:, :2].all() and (np.diff(distance[:, :2], axis=0) < 0).all(), "0.05 and 0.18 never overshoot")
    left = distance[25, 0], distance[14, 1]
    script.require(left[1] <= 1e-7 < 0.01 <= left[0], f"0.05 leaves {left[0]:.3f} after 25 steps, 0.18 1e-7 after 14")
    script.require((path[1:, 2] == 0).all(), "0.25 arrives at once")
    script.require((path[::2, 3] == -3).all() and (path[1::2, 3] == 3).all(), "0.5 goes back and forth")
    grown = distance[6, 4]
    script.require(swings[:, 4].all() and grown >= 4.4, f"0.55 swings, and is {grown:.2f} away after 6 steps")
    below, between, beyond = rates < 1 / L, (rates > 1 / L) & (rates < 2 / L), rates > 2 / L
    script.require((measured[below | between] < 1).all() and (measured[beyond] > 1).all(), "2/L parts the two regimes")
    script.require(stays[:3][:, below].all() and swings[:3][:, between | beyond].all(), "1/L parts the two sides")
    return (
        f"{len(rates)} step sizes multiply by 1 - alpha L (to {off.max():.0e}); 0.05 leaves {left[0]:.4f} after 25 "
        f"steps, 0.18 {left[1]:.0e} after 14, 0.25 nothing after one, 0.5 all, and 0.55 is {grown:.2f} away after 6"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 6.0))
    panels = figure.subplots(2, 3).ravel()
    line = np.linspace(-EDGE, EDGE, 201)
    colours = (BLUE, GREEN, BLACK, ORANGE, VERMILION)
    for case, axes in enumerate(panels[:5]):
        x = results.path[: STEPS[case] + 1, case]
        axes.plot(line, parabola(line), color="grey", linewidth=1)
        axes.plot(
            x,
            parabola(x),
            "o-",
            color=colours[case],
            ms=5,
            linewidth=1,
            label=f"{STEPS[case]} step{'s' * (STEPS[case] > 1)}",
        )
        axes.plot(x[0], parabola(x[0]), "s", color=colours[case], ms=8, label=f"start {x[0]:g}")
        axes.set(xlim=(-EDGE, EDGE), ylim=(-1, 1.25 * parabola(EDGE)), xlabel="x", ylabel="f(x) = $2x^2$")
        beyond = np.abs(x) > EDGE
        note = f" ({beyond.sum()} outside)" if beyond.any() else ""
        axes.set_title(f"$\\alpha$ = {results.rates[case]:g}, {WORDS[case]}{note}")
        axes.legend(loc="upper left" if beyond.any() else "upper center", fontsize=8)
    last, alpha = panels[5], np.linspace(0, results.rates.max(), 400)
    last.plot(alpha, np.abs(1 - L * alpha), color="grey", label="$|1 - \\alpha L|$")
    last.plot(results.rates[5:], factors(results)[5:], ".", color=PURPLE, label="measured, drawn step sizes")
    for case in range(5):
        last.plot(results.rates[case], factors(results)[case], "s", color=colours[case], ms=7)
    last.axhline(1, color=BLACK, linestyle=":", linewidth=1)
    for rate, name in ((1 / L, "1/L"), (2 / L, "2/L")):
        last.axvline(rate, color=BLACK, linestyle=":", linewidth=1)
        last.text(rate + 0.01, 1.35, name)
    last.set(
        xlabel="step size $\\alpha$", ylabel="$|x_{k+1}| / |x_k|$", title="the factor of one step; above 1: diverges"
    )
    last.legend(loc="upper left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
