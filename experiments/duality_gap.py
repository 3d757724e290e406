"""Every line of slope -lam <= 0 below the image of a problem has its intercept below the optimal value. For a convex
problem the highest one reaches it; over a non-convex image it stops short of it, and a gap is left that no multiplier
closes.

In the plane of (g, f), min f subject to g <= 0: p* is the lowest f with g <= 0, d(lam) = min (f + lam g) the intercept
of the line of slope -lam that supports the image, and d* the highest intercept for lam >= 0. Left: min (x - 1)^2 with
x <= 1/2. Middle: the curve g = -0.6 + 1.6t + 0.5 sin 4t, f = 1.6 - 1.4t + 0.9 sin 3t + 0.6t^2 for t in [0, 1]; its best
line touches it at both ends and is tangent nowhere. Shaded is what lies above and to the right of the image; the values
are those of finely spaced points of the curves. Source: ML Math Derivations, part 4, figure 5, where the line of the
middle panel misses the set and the marked optimum is not one.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy import optimize

from experiments import settings
from experiments.files import BLACK, BLUE, SKY, VERMILION

FIGURES = ("F4.5",)
LEDGER = ("C4.73", "C4.74", "C4.75", "C4.77", "C4.78", "C4.79")
MULTIPLIERS = np.linspace(0, 3, 301)


@dataclass(frozen=True)
class Config(settings.Config):
    points: int = settings.option(20_000, "intervals along each curve", quick=4000, least=1000)


class Picture(NamedTuple):
    """The image of a problem and its dual."""

    g: np.ndarray  # along the curve
    f: np.ndarray
    dual: np.ndarray  # d at MULTIPLIERS
    primal_value: float  # p*
    dual_value: float  # d*
    multiplier: float  # where it is attained


class Results(NamedTuple):
    convex: Picture
    other: Picture


def parabola(t):
    x = 2.5 * t - 0.5
    return x - 0.5, (x - 1) ** 2


def wave(t):
    return -0.6 + 1.6 * t + 0.5 * jnp.sin(4 * t), 1.6 - 1.4 * t + 0.9 * jnp.sin(3 * t) + 0.6 * t**2


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    def picture(curve):
        g, f = (np.asarray(part) for part in curve(jnp.linspace(0, 1, config.points + 1)))
        support = jax.jit(lambda lam: jnp.min(f + lam * g))
        bounds, finely = (0, MULTIPLIERS[-1]), {"xatol": 1e-12}
        best = optimize.minimize_scalar(lambda lam: -float(support(lam)), bounds=bounds, options=finely)
        return Picture(g, f, np.asarray(jax.vmap(support)(MULTIPLIERS)), f[g <= 1e-12].min(), -best.fun, best.x)

    return Results(picture(parabola), picture(wave))


def above(picture: Picture) -> np.ndarray:
    """How far the points of the curve are above the best line."""
    return picture.f + picture.multiplier * picture.g - picture.dual_value


def claim(results: Results) -> str:
    for name, picture, printed in (
        ("convex problem", results.convex, (0.25, 0.25, 1.0)),
        ("other problem", results.other, (1.600, 1.2695, 0.551)),
    ):
        found = picture.primal_value, picture.dual_value, picture.multiplier
        off = np.abs(np.subtract(found, printed))
        script.require((off <= (5e-4, 5e-5, 5e-4)).all(), f"{name}: p*, d* and lam are {printed}, not {found}")
        script.require((picture.dual <= picture.primal_value + 1e-9).all(), f"{name}: no intercept is above p*")
        supports = np.min(picture.f + MULTIPLIERS[:, None] * picture.g, axis=1)
        off = np.abs(supports - picture.dual).max()
        script.require(off <= 1e-9, f"{name}: the intercepts, {off:.0e} off, are those of lines that touch the image")
        script.require(np.diff(picture.dual, 2).max() <= 1e-9, f"{name}: the dual function is concave")
        script.require(picture.dual.max() <= picture.dual_value + 1e-9, f"{name}: no intercept is above d*")
        touching = above(picture).min()
        script.require(abs(touching) <= 1e-9, f"{name}: the best line, {touching:.0e} below the image, touches it")
    contact = results.convex.g[np.argmin(above(results.convex))]
    script.require(abs(contact) <= 1e-3, f"the convex problem's line touches where g = {contact:.1e}, at the optimum")
    heights = above(results.other)
    script.require(np.abs(heights[[0, -1]]).max() <= 1e-5, "the other line passes through both ends of its curve")
    inside = heights[len(heights) // 50 : -len(heights) // 50].min()
    script.require(inside >= 0.02, f"and is tangent nowhere: in between the curve is above it, by {inside:.3f}")
    gaps = [picture.primal_value - picture.dual_value for picture in results]
    script.require(abs(gaps[0]) <= 1e-6, f"the convex problem has no gap, {gaps[0]:.1e}")
    script.require(abs(gaps[1] - 0.331) <= 5e-4, f"the other gap, {gaps[1]:.4f}, is 0.331")
    return (
        f"convex: p* = {results.convex.primal_value:.4f} = d* at lam = {results.convex.multiplier:.3f}; not convex: "
        f"p* = {results.other.primal_value:.4f}, d* = {results.other.dual_value:.4f} at lam = "
        f"{results.other.multiplier:.3f}, gap {gaps[1]:.3f}"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.0))
    left, middle, right = figure.subplots(1, 3)
    for axes, picture, name, frame in (
        (left, results.convex, "convex: $p^* = d^*$ = {:.2f}", ((-1.0, 1.25), (-0.3, 2.4))),
        (middle, results.other, "not convex: gap $p^* - d^*$ = {:.3f}", ((-0.9, 1.0), (0.6, 2.9))),
    ):
        p, d, lam = picture.primal_value, picture.dual_value, picture.multiplier
        # Above and to the right: over each g the lowest f of all points with a smaller one.
        order = np.argsort(picture.g)
        lowest = np.minimum.accumulate(picture.f[order])
        g, lowest = np.append(picture.g[order], frame[0][1]), np.append(lowest, lowest[-1])
        axes.fill_between(g, lowest, 9, color=SKY, alpha=0.3)
        axes.plot(picture.g, picture.f, color=BLUE, linewidth=2, label="image, (g, f)")
        ends = np.array(frame[0])
        line = f"slope $-\\lambda$ = {-lam:.3f}"
        axes.plot(ends, d - lam * ends, "--", color=VERMILION, linewidth=1.6, label=line)
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.plot(0, p, "o", color=BLACK, ms=7, label=f"$p^*$ = {p:.4f}", zorder=4)
        axes.plot(0, d, "D", color=VERMILION, ms=5, mec="white", label=f"$d^*$ = {d:.4f}", zorder=5)
        axes.set(xlim=frame[0], ylim=frame[1], xlabel="constraint g", ylabel="objective f")
        axes.set_title(name.format(d if picture is results.convex else p - d))
        axes.legend(loc="upper right", fontsize=8)
    p, d = results.other.primal_value, results.other.dual_value
    middle.annotate("", (0, p), (0, d), arrowprops={"arrowstyle": "<->", "color": BLACK, "shrinkA": 4, "shrinkB": 4})
    middle.text(0.04, (p + d) / 2, "gap", fontsize=9, va="center")
    for picture, name, colour, style in (
        (results.convex, "convex", BLUE, "-"),
        (results.other, "not convex", VERMILION, "--"),
    ):
        right.plot(MULTIPLIERS, picture.dual, style, color=colour, label=f"$d(\\lambda)$, {name}")
        right.axhline(picture.primal_value, linestyle=":", color=colour, label=f"$p^*$, {name}")
        right.plot(picture.multiplier, picture.dual_value, "D", color=colour, ms=5)
    right.set(xlabel="multiplier $\\lambda$", ylabel="intercept of the supporting line")
    right.set(title="the dual functions: concave, below $p^*$", ylim=(-1.3, 1.9))
    right.legend(loc="lower left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
