"""The race: its judges agree with the certificates, its search is fair, and every peer solves its problem."""

import dataclasses
import time

import jax
import numpy as np
import pytest

from experiments import certificates, race
from experiments.peers import many, paths, smooth
from experiments.solvers import sparse


def path_data(logistic=False, l1_ratio=1.0, n=40, d=12):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.normal(size=(n, d)))
    z = X[:, 0] - X[:, 1] + rng.normal(size=n) / 2
    c = np.abs((z > 0) - 0.5 if logistic else z) @ np.abs(X)
    lams = c.max() / (n if logistic else 1) * np.array([0.2, 0.05, 0.02])
    return paths.Data(X, (z > 0).astype(float) if logistic else z, lams, l1_ratio, logistic)


def smooth_data(model="logistic", intercept=False, lam=0.02, n=80, d=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    y = {
        "logistic": lambda: (X[:, 0] + rng.normal(size=n) > 0).astype(float),
        "least squares": lambda: X[:, 0] + rng.normal(size=n),
        "huber": lambda: X[:, 0] + 3 * rng.standard_t(2, size=n),
        "poisson": lambda: rng.poisson(np.exp(X[:, 0] / 2)).astype(float),
        "softmax": lambda: np.eye(3)[rng.integers(3, size=n)],
    }[model]()
    return smooth.Data(X, y, lam, intercept, model)


def many_data(fits=5, n=60, d=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(float)
    return many.Data(X, y, rng.multinomial(n, np.full(n, 1 / n), size=fits), 0.05)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("logistic", [False, True])
def test_the_judge_of_paths_agrees_with_the_certificates(logistic, l1_ratio):
    data = path_data(logistic, l1_ratio)
    # With a quadratic part there are several dual points to choose from: both gaps hold, and are nearly the same.
    W = np.random.default_rng(1).normal(size=(3, 12)) * np.array([[0.0], [0.01], [0.3]])
    with jax.enable_x64(True):
        if logistic:
            rows = [
                certificates.logistic_relative_gap(w, data.X, data.y, lam * (1 - l1_ratio), lam * l1_ratio)
                for w, lam in zip(W, data.lams, strict=True)
            ]
        else:
            rows = [
                certificates.elastic_net_relative_gap(w, data.X, data.y, lam, l1_ratio)
                for w, lam in zip(W, data.lams, strict=True)
            ]
    assert [paths.relative_gap(w, data, lam) for w, lam in zip(W, data.lams, strict=True)] == pytest.approx(
        [float(gap) for gap in rows], rel=1e-9 if logistic or l1_ratio == 1 else 1e-4
    )
    assert paths.certificate(W, data) == pytest.approx(float(max(rows)), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (smooth, smooth_data()),
        (smooth, smooth_data("logistic", intercept=True)),
        (smooth, smooth_data("softmax")),
        (smooth, smooth_data("poisson", intercept=True)),
        (smooth, smooth_data("least squares")),
        (smooth, smooth_data("least squares", intercept=True)),
        (smooth, smooth_data("huber")),
        (smooth, smooth_data("logistic", intercept=True, lam=0.0)),
        (paths, path_data()),
        (paths, path_data(l1_ratio=0.4)),
        (paths, path_data(logistic=True)),
        (many, many_data()),
    ],
)
def test_every_contestant_solves_the_problem_it_is_given(kind, data):
    # The peers' code promotes types and ranks as it likes.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        fits = {**kind.ours(data), **{p.name: lambda t, p=p: p.fit(data, t) for p in kind.PEERS if applies(p, data)}}
        assert len(fits) > 1 or kind is paths
        for name, fit in fits.items():
            found = fit(1e-8)
            assert kind.certificate(found, data) <= 1e-5, name
            assert kind.certificate(found * 1.01, data) > 1e-5, name
            assert kind.certificate(found[:-1], data) == np.inf
            assert kind.certificate(found * np.nan, data) == np.inf


def applies(peer, data):
    return peer.installed and peer.applies(data)


def test_the_loosest_tolerance_that_holds_is_found():
    asked = []

    def fit(tolerance):
        asked.append(tolerance)
        return 3 * tolerance

    assert race.tolerances_of(fit, float, 60.0) == pytest.approx([1e-7, 1e-11])
    assert asked == pytest.approx(10.0 ** -np.array([3, 4, 5, 6, 7, 7, 8, 9, 10, 11]))


def test_a_peer_that_gains_nothing_or_takes_too_long_is_left_out():
    assert race.tolerances_of(lambda tolerance: 1.0, float, 60.0) == []
    assert race.tolerances_of(lambda tolerance: max(tolerance, 1e-8), float, 60.0) == pytest.approx([1e-6])
    begun = time.perf_counter()

    def fit(tolerance):
        try:
            if tolerance < 1e-7:
                time.sleep(60)
        except Exception:  # as libraries have it
            return tolerance
        return tolerance

    assert race.tolerances_of(fit, float, 0.3) == pytest.approx([1e-6])
    assert time.perf_counter() - begun < 30
    time.sleep(0.1)  # nothing rings any more


def test_an_error_before_the_alarm_is_one_and_one_made_of_the_alarm_is_not():
    def fit(tolerance):
        try:
            time.sleep(tolerance)
        except BaseException:
            raise SystemError("with an exception set") from None
        raise ValueError("a bug")

    assert race.tolerances_of(lambda tolerance: fit(60), float, 0.2) == []
    with pytest.raises(ValueError, match="a bug"):
        race.tolerances_of(lambda tolerance: fit(0), float, 60.0)


def test_who_sleeps_through_the_first_alarm_hears_the_next():
    class Deaf:
        def __del__(self):
            time.sleep(0.5)

    def fit(tolerance):
        Deaf()
        time.sleep(60)

    begun = time.perf_counter()
    assert race.tolerances_of(fit, float, 0.2) == []  # an alarm that is lost would be a warning, which is an error here
    assert time.perf_counter() - begun < 30


def test_data_do_not_depend_on_what_is_skipped():
    config = race.Config(percent=0.1, skip=2)
    assert {name: kind for name, (kind, _) in race.CONTESTS.items()}["lasso path"] is paths
    names = []
    for k, (name, (_, draw)) in enumerate(race.CONTESTS.items()):
        first, second = (
            draw(race.Drawn(c.percent, c.seed), np.random.default_rng([0, k]))
            for c in (config, race.Config(percent=0.1))
        )
        assert np.array_equal(first.X, second.X), name
        names.append(name)
    assert names == list(race.CONTESTS)


def test_a_faster_peer_is_named_and_a_false_certificate_is_not_believed():
    found = race.Contest(
        "drawn", 10, 2, 1, ("jaxderiv", "slow", "fast", "lost"),
        seconds=np.array([[1.0, 2.0], [4.0, 8.0], [0.5, 1.0], [0.1, np.inf]]),
        slower=np.array([[1.0, 1.0], [4.0, 4.0], [0.5, 0.5], [0.1, np.inf]]),
        certificate=np.array([[1e-7, 1e-11], [1e-7, 1e-11], [1e-7, 1e-11], [1e-7, np.inf]]),
        compiled=np.zeros(4),
    )  # fmt: skip
    assert race.fastest(found, 1) == ("fast", 0.5)
    assert race.fastest(found, 0) == ("lost", 0.1)
    results = race.Results((found,), ())
    assert "0.5 to 0.5 times our time" in race.claim(results)
    for at in ((0, 1), (2, 0)):
        certificate = found.certificate.copy()
        certificate[at] = 1e-3
        with pytest.raises(AssertionError, match="reaches"):
            race.claim(race.Results((found._replace(certificate=certificate),), ()))


def test_skipping_everything_is_an_error():
    with pytest.raises(AssertionError, match="skip leaves out fewer than"):
        race.claim(race.run(dataclasses.replace(race.Config(), skip=1000)))


def test_the_path_of_the_race_is_that_of_the_solver():
    data = path_data()
    assert np.array_equal(paths.ours(data)["jaxderiv"](1e-8), sparse.elastic_net_path(*data[:3], tolerance=5e-9).params)
