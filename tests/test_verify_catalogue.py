"""The catalogue is verified, whatever it holds: one session verifies all of it, each derivation is one test."""

import concurrent.futures
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxderiv
from jaxderiv.derivation import read_catalogue
from jaxderiv.verify.suite import verify

PACKAGE = Path(jaxderiv.__file__).parent
NAMES = sorted(
    f"{path.parent.name}/{path.stem}" for path in PACKAGE.glob("catalogue/*/*.py") if path.stem != "__init__"
)

NEW = '''"""The squared norm, as a new file of the catalogue.

A sum, with 1/2. Source: any textbook.
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Real, d


def loss(w: Real[Array, d]):
    r"""$L(w) = \\frac12 \\|w\\|^2$"""
    return w @ w / 2


@equals(jax.grad(loss))
def gradient(w):
    r"""$\\nabla L = w$"""
    return w


@equals(jax.jacobian(gradient))
def hessian(w):
    r"""$\\nabla^2 L = I$"""
    return jnp.eye(len(w), dtype=w.dtype)
'''


def verified(name: str) -> list:
    return verify(read_catalogue(name), effort="quick")


@pytest.fixture(scope="session")
def results():
    """All verdicts, in two fresh processes (a fork of a process that runs JAX may hang)."""
    largest_first = sorted(NAMES, key=lambda name: -(PACKAGE / "catalogue" / f"{name}.py").stat().st_size)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        return dict(zip(largest_first, pool.map(verified, largest_first), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_holds(results, name):
    assert results[name]
    for result in results[name]:
        assert result.verdict.ok, f"{result.claim}: {result.reason}; {result.diagnosis}"
        assert result.expected == "agrees"
        assert result.counterexample is None


@pytest.mark.parametrize("name", NAMES)
def test_the_evidence_has_power_and_three_dtypes(results, name):
    for result in results[name]:
        kinds = [e.kind for e in result.evidence]
        assert kinds.count("high precision") == kinds.count("power") == 1
        assert {e.numbers.get("dtype") for e in result.evidence} >= {"float64", "float32", "bfloat16"}, result.claim
        power = next(e.numbers for e in result.evidence if e.kind == "power")
        assert power["points_with_power"] > 0
        # a result may be symmetric, constant or have an addend that vanishes; nothing else leaves it as it was
        assert set(power["equivalent"]) <= {"transposed", "row shifted", "addend dropped"}, result.claim
        for e in result.evidence:
            assert e.numbers.get("error_over_bound", 0) <= 1, f"{result.claim}: {e.text}"


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_decided_however_small_the_numbers_are(results, name):
    """With huge weights entries are 1e-160 and smaller, and fewer digits than that make them zero."""
    for result in results[name]:
        tally = next(e.numbers for e in result.evidence if e.kind == "high precision")
        assert tally["undecided"] == 0, f"{result.claim}: {tally}"


def test_autodiff_loses_the_softmax_hessian_far_out(results):
    """p - p**2 is rounding alone where one class has all the probability, and X'X magnifies it."""
    told = {result.claim: " ".join(result.notes) for result in results["classification/softmax"]}
    assert (
        "X scaled up: the formula is right (error 0 ulps) and autodiff is wrong"
        in told["hessian (hessian of the loss)"]
    )


def test_a_new_file_is_all_it_takes(tmp_path):
    """Dropped into a copy of the package, a file is listed, verified and tested with no other edit."""
    copy = tmp_path / "jaxderiv"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "catalogue" / "regression" / "half_norm.py").write_text(NEW, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "half_norm" in run("-m", "jaxderiv", "list")
    table = run("-m", "jaxderiv", "verify", "half_norm", "--effort", "quick")
    assert "half_norm" in table
    tests = Path(__file__).parent
    for name in ("conftest.py", "test_catalogue.py"):
        shutil.copy(tests / name, tmp_path / name)
    shutil.copy(tests.parent / "pyproject.toml", tmp_path / "pyproject.toml")
    said = run(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "test_catalogue.py",
        "-k",
        "half_norm",
    )
    assert "passed" in said
