"""Softmax puts the logits of three classes into the open triangle: the largest logit decides into whose third of it, a
constant added to all of them moves nothing, equal ones are the centre, and however far they are scaled up no vertex is
reached: what is left decays like exp(-gap t), gap being the lead of the largest logit and t the scale.

The triangle's vertices are the certain predictions, and a point is the mean of the vertices weighted by the three
probabilities. The thirds are the points nearer to one vertex than to the others. Logits are drawn; three are marked,
and scaled by t = 0, ..., 8 they walk from the centre towards the vertex of their largest one, or, where the two largest
are equal, to the middle of a side. The entropy is ln 3, its largest value, at the centre alone.

Source: ML Math Derivations, part 6, figure 4; the walks are our own.
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
from experiments.files import BLACK, BLUE, GREEN, ORANGE
from jaxderiv.catalogue.classification.softmax import probabilities

FIGURES = ("F6.4",)
LEDGER = ("C6.28", "C6.29", "C6.30", "C6.31")
VERTICES = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # of the triangle, by class
MARKED = np.array([[2.5, 0.5, 0.5], [1.0, 2.5, 0.0], [0.0, 0.0, 3.0], [2.0, 2.0, 0.0]])  # the last: two equal ones
SCALES = np.linspace(0, 8, 81)
COLOURS, SHADES, MARKERS = (BLUE, ORANGE, GREEN), ("#cfe3f1", "#fae7c2", "#c9eadf"), ("o", "s", "^", "D")


@dataclass(frozen=True)
class Config(settings.Config):
    points: int = settings.option(2000, "rows of three logits that are drawn", quick=500, least=10)
    spread: float = settings.option(2.0, "standard deviation of these logits", above=0)


class Results(NamedTuple):
    logits: np.ndarray  # (points, 3)
    probabilities: np.ndarray  # (points, 3)
    shifted: np.ndarray  # of the same logits with a constant added to each row
    walks: np.ndarray  # (marked, scales, 3): of the scaled marked logits
    centre_entropy: float  # of equal logits, nats

    @property
    def marked(self) -> np.ndarray:
        return self.walks[:, np.argmin(abs(SCALES - 1))]


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    logits = config.spread * rng.normal(size=(config.points, 3))
    constants = rng.uniform(-50, 50, size=(config.points, 1))
    scaled = MARKED[:, None, :] * SCALES[None, :, None]
    walks = np.asarray(probabilities(scaled.reshape(-1, 3))).reshape(scaled.shape)
    centre = np.asarray(probabilities(np.full((1, 3), rng.normal())))
    given = (np.asarray(probabilities(z)) for z in (logits, logits + constants))
    return Results(logits, *given, walks, float(entropy(centre)[0]))


def entropy(P: np.ndarray) -> np.ndarray:
    """In nats, of each row."""
    return -np.sum(P * np.log(P), axis=-1)


def nearest_vertex(P: np.ndarray) -> np.ndarray:
    """The class of the vertex that is nearest to a point, by distances in the plane."""
    return np.argmin(np.linalg.norm((P @ VERTICES)[..., None, :] - VERTICES, axis=-1), axis=-1)


def claim(results: Results) -> str:
    require, (Z, P, shifted, walks, centre) = script.require, results
    require(abs(centre - np.log(3)) <= 1e-14, f"equal logits have the entropy {centre:.6f}, ln 3")
    require((abs(P.sum(axis=1) - 1) <= 1e-14).all(), "probabilities sum to 1")
    require((P > 0).all() and (walks > 0).all(), "all of them are positive: no vertex and no side is reached")
    odds = np.log(P[:, :2] / P[:, 2:]) - (Z[:, :2] - Z[:, 2:])
    require((abs(odds) <= 1e-11).all(), "the logarithm of two probabilities' ratio is the difference of their logits")
    require((nearest_vertex(P) == Z.argmax(axis=1)).all(), "the nearest vertex is that of the largest logit")
    require((abs(shifted - P) <= 1e-12).all(), "a constant added to the logits moves nothing")
    mixed = entropy(P)
    require((mixed < np.log(3)).all(), f"the entropy is below ln 3 off the centre, {mixed.max():.4f} at most")

    expected = np.exp(MARKED) / np.exp(MARKED).sum(axis=1, keepdims=True)
    require((abs(results.marked - expected) <= 1e-14).all(), "the marked points are where their logits say")
    require((abs(walks[:, 0] - 1 / 3) <= 1e-15).all(), "every walk starts at the centre")
    to_vertex = 1 - walks[:3].max(axis=2)
    require((np.diff(to_vertex) < 0).all(), "the first three walks come nearer to their vertices with every step")
    gaps = np.diff(np.sort(MARKED[:3], axis=1)[:, 1:], axis=1)[:, 0]
    late = SCALES >= 6
    rates = np.array([-np.polyfit(SCALES[late], np.log(left[late]), 1)[0] for left in to_vertex])
    require((abs(rates / gaps - 1) <= 1e-3).all(), f"what is left decays at the rates {rates}, the gaps {gaps}")
    tie = walks[3]
    require((abs(tie[:, 0] - tie[:, 1]) <= 1e-15).all(), "of two equal logits neither wins")
    require((np.diff(tie[:, 2]) < 0).all() and tie[-1, 2] < 1e-6, "their walk goes to the middle of a side")
    shares = np.bincount(Z.argmax(axis=1), minlength=3) / len(Z)
    return (
        f"{len(Z)} points, thirds of {100 * shares[0]:.0f}, {100 * shares[1]:.0f} and {100 * shares[2]:.0f} %, all in "
        f"the third of their largest logit; entropy {centre:.4f} at the centre, elsewhere {mixed.max():.4f} or less; "
        f"1 - p along the walks decays like exp(-{rates[0]:.3f} t), exp(-{rates[1]:.3f} t), exp(-{rates[2]:.3f} t)"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.0, 4.9))
    triangle, decay = figure.subplots(1, 2, width_ratios=(1.45, 1))
    centre, winners = VERTICES.mean(axis=0), results.logits.argmax(axis=1)
    places = results.probabilities @ VERTICES
    for k in range(3):
        sides = [(VERTICES[k] + VERTICES[j]) / 2 for j in ((k + 1) % 3, (k + 2) % 3)]
        triangle.fill(*np.array([VERTICES[k], sides[0], centre, sides[1]]).T, color=SHADES[k], zorder=0)
        own = winners == k
        triangle.plot(*places[own].T, ".", ms=2.5, alpha=0.5, color=COLOURS[k])
    triangle.plot(*VERTICES[[0, 1, 2, 0]].T, color=BLACK, linewidth=1)
    for z, walk, p, marker in zip(MARKED, results.walks, results.marked, MARKERS, strict=True):
        words = ", ".join(f"{entry:g}" for entry in z)
        shares = ", ".join(f"{entry:.3f}" for entry in p)
        triangle.plot(*(walk @ VERTICES).T, color=BLACK, linewidth=1, linestyle="--")
        label = f"logits ({words}): p = ({shares})"
        triangle.plot(*(p @ VERTICES), marker, color=BLACK, mfc="white", mew=1.5, label=label)
    triangle.plot(*centre, "*", ms=13, color=BLACK, label=f"equal logits: entropy ln 3 = {results.centre_entropy:.3f}")
    for k, (place, shift) in enumerate(zip(VERTICES, ((-14, -12), (14, -12), (0, 8)), strict=True)):
        triangle.annotate(f"class {k + 1}", place, shift, textcoords="offset points", ha="center", color=COLOURS[k])
    triangle.set(aspect="equal", xlim=(-0.2, 1.2), ylim=(-0.52, 0.98), yticks=np.arange(0, 1, 0.2))
    triangle.set(xlabel="p₂ + p₃ / 2", ylabel="p₃ √3 / 2")
    triangle.set_title("the open triangle: each class has a third")
    triangle.legend(loc="lower center", fontsize=8)

    for walk, marker, colour, line in zip(results.walks[:3], MARKERS, COLOURS, ("-", "--", "-."), strict=False):
        style = {"color": colour, "linestyle": line, "marker": marker, "markevery": 10, "ms": 4}
        decay.semilogy(SCALES, 1 - walk.max(axis=1), label=f"to class {walk[-1].argmax() + 1}", **style)
    decay.set(xlabel="scale t of the marked logits", ylabel="1 − largest probability")
    decay.set_title("towards a vertex, never at it")
    decay.legend(loc="upper right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
