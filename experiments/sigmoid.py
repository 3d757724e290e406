"""The sigmoid is nowhere steeper than 1/4, its slope at 0, and its tangent there, 1/2 + z/4, is off by |z|^3 / 48 at
most; away from 0 its slope dies out like exp(-|z|), to 7 % of the largest at |z| = 4 and for ever less beyond.

Values and slopes are the catalogue's; the claim recomputes them from tanh and cosh, and compares the slopes with
chords: the difference quotients of pairs of points that are drawn, from a millionth apart to far apart. The constant of
the tangent's error is a sixth of the largest third derivative, 1/8, which is attained at 0, so it is the best one.
Between 1/4 exp(-|z|) and exp(-|z|) the slope is pinned for every z, and it approaches the upper one.

Source: ML Math Derivations, part 6, figure 1; the error bound and the two exponentials are our own.
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
from experiments.files import BLACK, BLUE, ORANGE, SKY, VERMILION
from jaxderiv.catalogue.classification.squared_error_sigmoid import sigmoid_slope
from jaxderiv.catalogue.notation import sigmoid

FIGURES = ("F6.1",)
LEDGER = ("C6.02", "C6.04", "C6.05")
EDGE, SATURATED = 7.0, 4.0  # of the axis, and where the bands begin


@dataclass(frozen=True)
class Config(settings.Config):
    chords: int = settings.option(10_000, "pairs of points that are drawn", quick=2_000, least=100)


class Results(NamedTuple):
    z: np.ndarray  # from -7 to 7, rising; 0 is among them
    value: np.ndarray  # the sigmoid there
    slope: np.ndarray
    at_saturation: float  # slope at |z| = 4 as a share of the slope at 0
    chord_ends: np.ndarray  # (chords, 2)
    chord_slope: np.ndarray


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    z = np.linspace(-EDGE, EDGE, 561)
    start = 3 * rng.normal(size=config.chords)
    ends = np.stack([start, start + 10.0 ** rng.uniform(-6, 1, config.chords)], axis=1)
    rise = np.diff(np.asarray(sigmoid(ends)), axis=1) / np.diff(ends, axis=1)
    slope = np.asarray(sigmoid_slope(z))
    share = float(sigmoid_slope(SATURATED) / sigmoid_slope(0.0))
    return Results(z, np.asarray(sigmoid(z)), slope, share, ends, rise[:, 0])


def claim(results: Results) -> str:
    require, (z, value, slope, share, ends, chords) = script.require, results
    at_zero = np.argmin(abs(z))
    require(z[at_zero] == 0 and (np.diff(z) > 0).all() and (np.diff(value) > 0).all(), "the sigmoid rises with z")
    require((abs(value - (1 + np.tanh(z / 2)) / 2) <= 1e-15).all(), "its values are (1 + tanh(z/2)) / 2")
    require((abs(value + value[::-1] - 1) <= 1e-15).all(), "sigma(-z) is 1 - sigma(z)")
    require((abs(slope * 4 * np.cosh(z / 2) ** 2 - 1) <= 1e-13).all(), "its slopes are 1 / (4 cosh(z/2)^2)")

    require(slope[at_zero] == 0.25 and (np.delete(slope, at_zero) < 0.25).all(), "the slope is 1/4 at 0 only")
    # A chord is an average of slopes; its rounding error is that of the two values, over its length.
    noise = 5e-16 / np.diff(ends, axis=1)[:, 0]
    require((noise > 0).all() and (chords <= 0.25 + noise).all(), f"no chord is steeper, {chords.max():.7f}")
    require(chords.max() > 0.249, f"some chord is nearly as steep, {chords.max():.7f}")
    middle = 1 / (4 * np.cosh(ends.mean(axis=1) / 2) ** 2)
    short = np.diff(ends, axis=1)[:, 0] < 1e-2
    require((abs(chords - middle)[short] <= 1e-4 / 24 / 8 + noise[short]).all(), "short chords have the slope between")

    off = abs(value - 1 / 2 - z / 4)
    bound = abs(z) ** 3 / 48
    near = (abs(z) < 0.3) & (z != 0)
    require((off <= bound + 1e-16).all(), "the tangent is off by at most |z|^3 / 48")
    tight = (off[near] / bound[near]).min()
    require(tight > 0.98, f"that bound is attained near 0, to {tight:.3f}")
    decay = slope * np.exp(abs(z))
    require((decay >= 0.25).all() and (decay < 1).all(), "the slope is between a quarter of exp(-|z|) and exp(-|z|)")
    require(decay[0] > 0.998 and decay[-1] > 0.998, f"it approaches exp(-|z|), to {decay[0]:.4f} of it at |z| = 7")
    require(abs(share - 1 / np.cosh(2) ** 2) <= 1e-14, f"at |z| = 4 the slope, {share:.4f} of the largest, is 7 %")
    require((slope[abs(z) > SATURATED] < share / 4).all(), "and beyond it is less")
    return (
        f"slope 1/4 at 0, {100 * share:.2f} % of it at |z| = 4, {100 * slope[0] / 0.25:.2f} % at 7; the steepest of "
        f"{len(chords)} chords {chords.max():.7f}; tangent off by at least {tight:.3f} of |z|^3 / 48 where |z| < 0.3"
    )


def plot(results: Results) -> Figure:
    z, value, slope, share, *_ = results
    figure = Figure(figsize=(10.0, 3.9))
    left, right = figure.subplots(1, 2)
    left.axhline(0, color=BLACK, linewidth=0.8, linestyle=":")
    left.axhline(1, color=BLACK, linewidth=0.8, linestyle=":", label="asymptotes 0 and 1")
    near = abs(z) <= 2.6
    band = abs(z[near]) ** 3 / 48
    tangent = 1 / 2 + z[near] / 4
    left.fill_between(z[near], tangent - band, tangent + band, color=ORANGE, alpha=0.25, label="within |z|³/48 of it")
    left.plot(z[near], tangent, "--", color=VERMILION, label="tangent at 0: 1/2 + z/4")
    left.plot(z, value, color=BLUE, linewidth=2, label="σ(z) = 1 / (1 + exp(−z))")
    left.set(xlim=(-EDGE, EDGE), ylim=(-0.2, 1.2), xlabel="logit z", ylabel="probability σ(z)")
    left.set_title("value: odd about the point (0, 1/2)")
    left.legend(loc="lower right", fontsize=8)

    for side in (-1, 1):
        label = f"|z| > 4: below {100 * share:.1f} % of the maximum" if side > 0 else None
        right.axvspan(side * SATURATED, side * EDGE, color=SKY, alpha=0.3, label=label, linewidth=0)
    right.plot(z, slope, color=BLUE, linewidth=2, label="σ'(z) = σ(z) σ(−z)")
    outer = abs(z) >= np.log(4)
    for side in (z < 0, z > 0):
        label = "exp(−|z|)" if z[side][0] > 0 else None
        right.plot(z[side & outer], np.exp(-abs(z[side & outer])), "--", color=VERMILION, label=label)
    right.plot(0, slope.max(), "o", color=BLACK, label=f"maximum {slope.max():g} at z = 0")
    right.set(xlim=(-EDGE, EDGE), ylim=(0, 0.4), xlabel="logit z", ylabel="slope σ'(z) per unit of z")
    right.set_title("slope: at most 1/4, and flat on both sides")
    right.legend(loc="upper right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
