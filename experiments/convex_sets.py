"""An ellipse contains every chord between two of its points, so it is convex; a crescent does not contain the chord
between its tips, nor many others, so it is not.

The ellipse has the half-axes 2.2 and 1.4; the crescent is a disc without another disc, and its tips are where the two
circles meet. A point at a drawn place of each chord is tested, and of a chord of the crescent the one that is
nearest to the hole; a third of the ends in the ellipse lie on its edge. That no chord leaves the ellipse is evidence;
its proof is the triangle inequality of a norm, of which the ellipse is the unit ball. Source: ML Math Derivations,
part 4, figure 1.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from experiments import settings
from experiments.files import BLACK, BLUE, SKY, VERMILION

FIGURES = ("F4.1",)
LEDGER = ("C4.02", "C4.05", "C4.111")
HALF_AXES = np.array([2.2, 1.4])
SHOWN = np.array([[-1.4, 0.6], [1.6, -0.7]])  # the ends of the chord of the ellipse that the figure shows
TIPS = np.array([[0.4, 1.35], [0.4, -1.35]])
HOLE = np.array([0.9, 0.0])  # centre of the disc that the crescent lacks; the other one is centred at the origin
OUTER, INNER = np.linalg.norm(TIPS[0]), np.linalg.norm(TIPS[0] - HOLE)
ROUND_OFF = 1e-12


@dataclass(frozen=True)
class Config(settings.Config):
    chords: int = settings.option(10_000, "chords per set", quick=2000, least=100)


class Chords(NamedTuple):
    """Chords of a set; the first one is that of the figure, at its middle."""

    ends: np.ndarray  # (2, n, 2)
    shares: np.ndarray  # (n,), how far along
    points: np.ndarray  # (n, 2), there


class Results(NamedTuple):
    ellipse: Chords
    crescent: Chords


def in_ellipse(x: np.ndarray) -> np.ndarray:
    """How deep inside of the ellipse: 0 or more for its points."""
    return 1 - np.sum((x / HALF_AXES) ** 2, axis=-1)


def in_crescent(x: np.ndarray) -> np.ndarray:
    """How deep inside of the crescent: 0 or more for its points."""
    return np.minimum(OUTER - np.linalg.norm(x, axis=-1), np.linalg.norm(x - HOLE, axis=-1) - INNER)


def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, n = np.random.default_rng(config.seed), config.chords

    def chords(shown, ends):
        ends, shares = np.concatenate([shown[:, None], ends], axis=1), np.append(0.5, rng.uniform(size=n))
        return Chords(ends, shares, ends[0] + shares[:, None] * (ends[1] - ends[0]))

    directions, radii = rng.normal(size=(2, n, 2)), np.minimum(1, 1.5 * rng.uniform(size=(2, n, 1)))
    ellipse = HALF_AXES * radii * directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    found = np.empty((0, 2))
    while len(found) < 2 * n:
        tried = rng.uniform(-OUTER, OUTER, size=(4 * n, 2))
        found = np.concatenate([found, tried[in_crescent(tried) >= 0]])
    return Results(chords(SHOWN, ellipse), chords(TIPS, found[: 2 * n].reshape(2, n, 2)))


def leaving(chords: Chords) -> np.ndarray:
    """Which chords between points of the crescent leave it: those whose point nearest to the hole's centre does."""
    a, along = chords.ends[0], chords.ends[1] - chords.ends[0]
    shares = np.clip(np.sum((HOLE - a) * along, axis=-1) / np.sum(along**2, axis=-1), 0, 1)
    return in_crescent(a + shares[:, None] * along) < -ROUND_OFF


def claim(results: Results) -> str:
    for name, chords, inside, shown in (
        ("ellipse", results.ellipse, in_ellipse, SHOWN),
        ("crescent", results.crescent, in_crescent, TIPS),
    ):
        (a, b), shares = chords.ends, chords.shares[:, None]
        script.require((inside(chords.ends) >= -ROUND_OFF).all(), f"the ends of the chords lie in the {name}")
        script.require(((shares >= 0) & (shares <= 1)).all(), f"the {name}'s points lie between the ends")
        off = np.abs(a + shares * (b - a) - chords.points).max()
        script.require(off <= ROUND_OFF, f"the {name}'s points, {off:.0e} off, lie on their chords")
        off = np.abs(chords.points[0] - shown.mean(axis=0)).max()
        script.require(off <= ROUND_OFF, f"the first point of the {name} is the middle of {shown.tolist()}")
    depth, count = in_ellipse(results.ellipse.points).min(), len(results.ellipse.points)
    script.require(depth >= -ROUND_OFF, f"no chord leaves the ellipse (the least depth is {depth:.1e})")
    outside, left = -in_crescent(results.crescent.points[0]), leaving(results.crescent)[1:].mean()
    script.require(outside >= 0.9, f"the middle of the tips is outside of the crescent, by {outside:.2f}")
    script.require(left >= 0.1, f"many chords, {left:.0%}, leave the crescent")
    return (
        f"the points of {count} chords of the ellipse lie inside of it (least depth {depth:.1e}); the middle of the "
        f"crescent's tips is {outside:.2f} outside of it, and {left:.0%} of {count - 1} other chords leave it"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(9.6, 3.9))
    left, right = figure.subplots(1, 2)
    left.add_patch(Ellipse((0, 0), *(2 * HALF_AXES), facecolor=SKY, alpha=0.35, edgecolor=BLUE, linewidth=1.5))
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, 801), np.linspace(-1.6, 1.6, 801))
    depth = in_crescent(np.stack([x, y], axis=-1))
    right.contourf(x, y, depth, levels=[0, 9], colors=[SKY], alpha=0.35)
    right.contour(x, y, depth, levels=[0], colors=[BLUE], linewidths=1.5)
    left_it = leaving(results.crescent)
    for axes, chords, outside in (
        (left, results.ellipse, np.zeros(41, bool)),
        (right, results.crescent, left_it[:41]),
    ):
        for a, b, out in zip(*chords.ends[:, 1:41], outside[1:], strict=True):
            axes.plot(*np.stack([a, b], axis=1), color=VERMILION if out else BLUE, linewidth=0.6, alpha=0.6)
    left.plot(*SHOWN.T, "o-", color=BLACK, linewidth=2, label="a chord")
    left.plot(*results.ellipse.points[0], "s", color=BLACK, ms=7)
    left.annotate("its middle, inside", results.ellipse.points[0], (8, 8), textcoords="offset points", fontsize=10)
    right.plot(*TIPS.T, "o--", color=VERMILION, linewidth=2, label="the chord between the tips")
    right.plot(*results.crescent.points[0], "x", color=VERMILION, ms=11, mew=3, label="its middle, outside")
    right.plot([], [], color=VERMILION, linewidth=0.8, label="drawn chords that leave")
    for axes, limits in ((left, ((-2.5, 2.5), (-1.9, 1.9))), (right, ((-1.7, 2.9), (-1.75, 1.75)))):
        axes.plot([], [], color=BLUE, linewidth=0.8, label="drawn chords that stay")
        axes.set(xlim=limits[0], ylim=limits[1], aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    left.set_title(f"convex: {len(left_it) - 1} chords, none leaves")
    right.set_title(f"not convex: {left_it[1:].mean():.0%} of {len(left_it) - 1} chords leave")
    left.legend(loc="upper right", fontsize=8)
    right.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
