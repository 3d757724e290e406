"""The figures on optimisation: each script notices what would make its own figure wrong."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from experiments import (
    convex_sets,
    descent_landscapes,
    duality_gap,
    kkt_conditions,
    quasi_newton,
    sampling_noise,
    script,
    settings,
    step_sizes,
    surfaces,
    worst_cases,
)
from experiments.steps import MiniBatch
from jaxderiv.optimisers import bfgs, nesterov, weak_wolfe

# Scripts call optax, which relies on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion


@pytest.fixture(scope="module")
def results():
    """Quick results of a script, computed once."""
    done = {}

    def of(module):
        if module not in done:
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
                done[module] = module.run(settings.quick(module.Config))
        return done[module]

    return of


def refused(module, results, words):
    with pytest.raises(script.ClaimFailed, match=words), np.errstate(all="ignore"):
        module.claim(results)


def rerun(module, **config):
    return module.run(dataclasses.replace(settings.quick(module.Config), **config))


# Convex sets -----------------------------------------------------------------
def with_ellipse(r, **changes):
    return r._replace(ellipse=r.ellipse._replace(**{name: of(r.ellipse) for name, of in changes.items()}))


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(ellipse=r.crescent), "the ellipse"),
        (lambda r: r._replace(crescent=r.ellipse), "lie in the crescent"),
        (lambda r: with_ellipse(r, ends=lambda c: 1.2 * c.ends, points=lambda c: 1.2 * c.points), "lie in the ellipse"),
        (lambda r: with_ellipse(r, points=lambda c: c.points + np.array([0, 0.01])), "on their chords"),
        (lambda r: with_ellipse(r, shares=lambda c: 2 * c.shares), "between the ends"),
        (lambda r: with_ellipse(r, ends=lambda c: c.ends[[0, 0]], points=lambda c: c.ends[0]), "first point"),
    ],
    ids=["crescent for ellipse", "ellipse for crescent", "larger", "off the chord", "beyond the ends", "no chords"],
)
def test_convex_sets_notices(sabotage, words, results):
    refused(convex_sets, sabotage(results(convex_sets)), words)


def test_convex_sets_notices_an_ellipse_with_a_dent(results, monkeypatch):
    whole = convex_sets.in_ellipse
    monkeypatch.setattr(
        convex_sets, "in_ellipse", lambda x: np.where(np.linalg.norm(x - [0, 1.4], axis=-1) < 0.3, -1, whole(x))
    )
    refused(convex_sets, results(convex_sets), "the ellipse")


def test_convex_sets_notices_a_crescent_that_keeps_its_chords(results):
    chords = results(convex_sets).crescent
    kept = np.append(True, ~convex_sets.leaving(chords)[1:])
    chords = convex_sets.Chords(chords.ends[:, kept], chords.shares[kept], chords.points[kept])
    refused(convex_sets, results(convex_sets)._replace(crescent=chords), "many chords, 0%")


# Surfaces ---------------------------------------------------------------------
def saddle():
    """Of the carton, between the global minimum and the local one above it, by undamped Newton steps."""
    x = np.array([0.0, 0.8])
    for _ in range(30):
        x = x - np.linalg.solve(jax.hessian(surfaces.surface)(x, 1.0), jax.grad(surfaces.surface)(x, 1.0))
    return x


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        # What the original figure marks: points that are not stationary.
        (lambda r: r._replace(carton_minima=np.array([[0.78, -0.78], [-0.78, 0.78]])), "is level"),
        (lambda r: r._replace(carton_minima=np.vstack([r.carton_minima, saddle()])), "is a minimum"),
        (lambda r: r._replace(carton_minima=r.carton_minima[1:]), "listed minimum of the carton"),
        (lambda r: r._replace(carton_minima=np.roll(r.carton_minima, 1, axis=0)), "lowest first"),
        (lambda r: r._replace(carton_ends=r.bowl_ends), "is level"),
        (lambda r: r._replace(carton_ends=r.carton_ends + 1e-4), "is level"),
        (lambda r: r._replace(bowl_minima=np.vstack([r.bowl_minima] * 2)), "are its centre"),
    ],
    ids=["marks of the original", "saddle", "one left out", "order", "ends of the bowl", "inexact", "twice"],
)
def test_surfaces_notices(sabotage, words, results):
    refused(surfaces, sabotage(results(surfaces)), words)


# Descent ----------------------------------------------------------------------
def on_the_bowl(rate, r):
    return (1 - rate * descent_landscapes.CURVATURES) ** np.arange(len(r.bowl_path))[:, None] * r.bowl_path[0]


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(bowl_path=on_the_bowl(0.2, r)), "path on the bowl"),
        (lambda r: r._replace(far_path=r.near_path), "far path"),
        (lambda r: r._replace(near_path=r.far_path), "near path"),
        (lambda r: r._replace(far_path=np.vstack([r.far_path[:1], r.far_path[2:], r.far_path[-1:]])), "far path"),
        (lambda r: r._replace(ends=r.starts), "a part of the starts"),
        (lambda r: r._replace(ends=np.broadcast_to(r.near_path[-1], r.ends.shape)), "a part of the starts"),
        (lambda r: r._replace(ends=np.where(r.starts[..., :1] > 0, r.starts, r.ends)), "all other starts"),
        (lambda r: r._replace(starts=r.starts / 2), "fill the frame"),
    ],
    ids=["step", "near for far", "far for near", "one left out", "no descent", "all global", "half of them", "frame"],
)
def test_descent_landscapes_notices(sabotage, words, results):
    refused(descent_landscapes, sabotage(results(descent_landscapes)), words)


def test_descent_landscapes_notices_another_method(monkeypatch):
    sgd = optax.sgd
    monkeypatch.setattr(optax, "sgd", lambda rate: sgd(rate, momentum=0.5))
    refused(descent_landscapes, rerun(descent_landscapes), "path on the bowl")


# KKT --------------------------------------------------------------------------
def with_slack_and_multiplier(r):
    """A problem whose point satisfies all conditions but complementary slackness."""
    targets, points, multipliers = (part.copy() for part in r[:3])
    targets[-1], points[-1], multipliers[-1] = [1, 1], [0.5, 0.5], [1, 0, 0]
    return kkt_conditions.Results(targets, points, multipliers, r.steps)


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        # The sign error of the original: the gradient itself where its negative belongs.
        (lambda r: r._replace(points=2 * r.targets - r.points), "is the combination"),
        (lambda r: r._replace(multipliers=-r.multipliers), "is the combination"),
        (lambda r: r._replace(multipliers=np.roll(r.multipliers, 1, axis=1)), "is the combination"),
        (lambda r: r._replace(points=r.targets, multipliers=0 * r.multipliers), "feasible"),
        (with_slack_and_multiplier, "its slack"),
        (lambda r: kkt_conditions.Results(*(part[3:] for part in r[:3]), r.steps), "points of the figure"),
    ],
    ids=["mirrored", "sign", "order", "unconstrained", "slack", "others only"],
)
def test_kkt_conditions_notices(sabotage, words, results):
    refused(kkt_conditions, sabotage(results(kkt_conditions)), words)


def test_kkt_conditions_notices_a_dual_without_its_constraint(monkeypatch):
    monkeypatch.setattr(kkt_conditions, "nonnegative", lambda v, t: v)
    refused(kkt_conditions, rerun(kkt_conditions), "not so")


def test_kkt_conditions_notices_an_unfinished_run():
    refused(kkt_conditions, rerun(kkt_conditions, tolerance=0.1), "not so")


# Duality ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        # What the original figure marks.
        (lambda r: r._replace(other=r.other._replace(primal_value=1.80, dual_value=0.90, multiplier=0.6)), "p*"),
        (lambda r: r._replace(other=r.other._replace(multiplier=-r.other.multiplier)), "p*"),
        (lambda r: r._replace(other=r.other._replace(dual=r.other.dual + 0.01)), "the intercepts"),
        (lambda r: r._replace(convex=r.convex._replace(g=r.convex.g + 0.01)), "the intercepts"),
        (lambda r: r._replace(other=r.convex), "p*"),
        (lambda r: r._replace(convex=r.other), "p*"),
        (lambda r: r._replace(convex=r.convex._replace(dual=r.convex.dual + 0.01)), "no intercept is above"),
    ],
    ids=["marks of the original", "rising line", "other intercepts", "other image", "convex", "not convex", "weak"],
)
def test_duality_gap_notices(sabotage, words, results):
    refused(duality_gap, sabotage(results(duality_gap)), words)


def test_duality_gap_notices_a_line_that_is_tangent(results):
    r = results(duality_gap)
    heights = duality_gap.above(r.other)
    middle = len(heights) // 2
    bent = r.other.f - np.where(np.arange(len(heights)) == middle, heights, 0)  # a spike down to the line
    refused(duality_gap, r._replace(other=r.other._replace(f=bent)), "tangent|the intercepts")


# Sampling ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        # The unequal steps of the original.
        (
            lambda r: r._replace(descent=r.descent[np.minimum(3 * np.arange(len(r.gap)), len(r.gap) - 1)]),
            "off, is that",
        ),
        (lambda r: r._replace(mean=r.mean + 0.3), "mean path"),
        (lambda r: r._replace(mean=r.one_run), "mean path"),
        (lambda r: r._replace(one_run=r.descent), "strays"),
        (lambda r: r._replace(gap=1.5 * r.gap), "mean and spread"),
        (lambda r: r._replace(gap=sampling_noise.gap_of(r.mean)), "mean and spread"),
        (lambda r: r._replace(floor=2 * r.floor), "floor"),
        (lambda r: r._replace(spread=2 * r.spread), "mean and spread"),
    ],
    ids=["unequal steps", "biased", "one run", "no noise", "gap", "gap of the mean", "floor", "spread"],
)
def test_sampling_noise_notices(sabotage, words, results):
    refused(sampling_noise, sabotage(results(sampling_noise)), words)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (lambda problem, optimiser: MiniBatch(problem, optax.sgd(0.05)), "mean path"),
        (lambda problem, optimiser: MiniBatch(problem, optimiser, size=2), "mean gap"),
    ],
    ids=["step", "two at a time"],
)
def test_sampling_noise_notices_another_method(method, words, monkeypatch):
    monkeypatch.setattr(sampling_noise, "MiniBatch", method)
    refused(sampling_noise, rerun(sampling_noise), words)


# Step sizes -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(path=np.roll(r.path, 1, axis=1)), "first starts"),
        (lambda r: r._replace(rates=np.concatenate([r.rates[:5], r.rates[:4:-1]])), "every step multiplies"),
        (lambda r: r._replace(path=np.abs(r.path)), "first starts"),
        (lambda r: r._replace(path=r.path[::2]), "every step multiplies"),
        (lambda r: r._replace(rates=1.001 * r.rates), "first step sizes"),
    ],
    ids=["paths", "rates", "no swings", "every other step", "all longer"],
)
def test_step_sizes_notices(sabotage, words, results):
    refused(step_sizes, sabotage(results(step_sizes)), words)


def test_step_sizes_notices_another_curvature(monkeypatch):
    monkeypatch.setattr(step_sizes, "descend", lambda x, rates: x - 3.9 * rates * x)
    refused(step_sizes, rerun(step_sizes), "every step multiplies")


# Worst cases ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(huber_gaps=1.05 * r.huber_gaps), "no gap of any run"),
        (lambda r: r._replace(huber_gaps=0.95 * r.huber_gaps), "attains it"),
        (lambda r: r._replace(huber_gaps=np.roll(r.huber_gaps, 1, axis=0)), "not so"),
        (lambda r: r._replace(best=0.9 * r.best), "lower bound|which leaves"),
        (lambda r: r._replace(best=1.1 * r.best), "which leaves"),
        (lambda r: r._replace(accelerated=r.descent), "within a constant"),
        (lambda r: r._replace(accelerated=0.9 * r.best), "not better"),
        (lambda r: r._replace(accelerated=2 * r.accelerated), "within a constant"),
        (lambda r: r._replace(descent=r.accelerated), "falls behind"),
        (lambda r: r._replace(reach=1e-3), "beyond"),
    ],
    ids=["above", "below", "shifted", "best", "worst", "plain", "too good", "twice", "as fast", "reach"],
)
def test_worst_cases_notices(sabotage, words, results):
    refused(worst_cases, sabotage(results(worst_cases)), words)


def test_worst_cases_notices_another_step(monkeypatch):
    sgd = optax.sgd
    monkeypatch.setattr(optax, "sgd", lambda rate: sgd(0.9 * rate))
    refused(worst_cases, rerun(worst_cases), "no gap of any run|attains it")


def test_worst_cases_notices_a_constant_momentum(monkeypatch):
    monkeypatch.setattr(worst_cases, "nesterov", lambda rate, schedule: nesterov(rate, 0.5))
    refused(worst_cases, rerun(worst_cases, chain_steps=60), "within a constant")


# Quasi-Newton -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(bfgs=r.lbfgs), "the ratio of BFGS"),
        (lambda r: r._replace(lbfgs=r.bfgs), "the ratio of L-BFGS"),
        (lambda r: r._replace(unlimited=r.lbfgs), "it is BFGS"),
        (lambda r: r._replace(lengths=0.5 * r.lengths), "full ones"),
        (lambda r: r._replace(secant=1e-3), "secant"),
        (lambda r: r._replace(lbfgs=r.lbfgs[0] * 0.9 ** (2 * np.arange(600.0))), "the ratio of L-BFGS"),
        (lambda r: r._replace(bfgs=np.append(r.bfgs[:40], 1.1 * r.bfgs[39:])), "never rise"),
    ],
    ids=["L-BFGS for BFGS", "BFGS for L-BFGS", "few pairs", "half lengths", "secant", "another rate", "rise"],
)
def test_quasi_newton_notices(sabotage, words, results):
    refused(quasi_newton, sabotage(results(quasi_newton)), words)


def test_quasi_newton_notices_shorter_steps(monkeypatch):
    half = optax.chain(weak_wolfe(), optax.scale(0.5))
    monkeypatch.setattr(quasi_newton, "bfgs", lambda: bfgs(linesearch=half))
    refused(quasi_newton, rerun(quasi_newton), "the ratio of BFGS")
