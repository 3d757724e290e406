"""The command line: exit codes, what is written where, and what a person is told whose input is wrong."""

import argparse
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxderiv
from jaxderiv import cli, compiled, console
from jaxderiv.errors import InputError
from jaxderiv.index import find, read_page
from jaxderiv.render import page
from jaxderiv.verify.places import EFFORTS

HEAD = '''"""Squared error of a linear model.

A sum over observations, with 1/2.
"""

import jax
import jax.numpy as jnp

from jaxderiv.derivation import equals
from jaxderiv.domains import Array, Real, d, n


def loss(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n]):
    r"""$L(w) = \\frac12 \\|Xw - y\\|^2$"""
    return jnp.sum((X @ w - y) ** 2) / 2


@equals(jax.grad(loss))
def gradient(w, X, y):
    r"""$\\nabla L = X^\\top (Xw - y)$"""
    return {gradient}


@equals(jax.jacobian(gradient))
def hessian(X):
    r"""$\\nabla^2 L = X^\\top X$"""
    return X.T @ X
'''
RIGHT, WRONG = (HEAD.replace("{gradient}", code) for code in ("X.T @ (X @ w - y)", "X.T @ (X @ w - y) * 2"))
IDLE = '''"""A loss that does not depend on its parameter."""
from jaxderiv.domains import Array, Real, d, n


def loss(w: Real[Array, d], y: Real[Array, n]):
    "$L = y^T y$"
    return y @ y


def gradient(w):
    "$0$"
    return 0 * w
'''


def run(*arguments, **environment):
    command = [sys.executable, "-m", "jaxderiv", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | environment)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def checked(folder):
    """`jaxderiv check` of a file, run once: the process, and what its JSON file holds."""
    done = {}

    def check(name, text):
        if name not in done:
            (folder / f"{name}.py").write_text(text)
            found = run("check", folder / f"{name}.py", "--json", folder / f"{name}.json", "--seed", 3)
            path = folder / f"{name}.json"
            done[name] = found, json.loads(path.read_text(), parse_constant=pytest.fail) if path.exists() else None
        return done[name]

    return check


@pytest.fixture(scope="session")
def verified(folder):
    found = run("verify", "ridge", "--mutants", "--effort", "quick", "--json", folder / "ridge.json")
    return found, json.loads((folder / "ridge.json").read_text(), parse_constant=pytest.fail)


def say(capsys, *arguments):
    """The exit code and the output of a command that answers without verifying anything."""
    try:
        code = cli.main([*map(str, arguments)])
    except SystemExit as error:
        code = error.code
    return code, capsys.readouterr()


# list, help, names ---------------------------------------------------------------------------------------------
def test_list_names_every_derivation_with_title_and_parameters(capsys):
    code, said = say(capsys, "list")
    assert code == 0
    for text in ("logistic", "Logistic regression with a ridge penalty", "W1, b1, W2, b2", "regression"):
        assert text in said.out
    assert all(len(line) <= 80 for line in said.out.splitlines())


def test_list_as_json(capsys):
    code, said = say(capsys, "list", "--json")
    entry = next(entry for entry in json.loads(said.out) if entry["name"] == "logistic")
    assert code == 0
    assert entry["chapter"] == "classification"
    assert entry["parameters"] == ["w"]
    assert entry["lines"] >= 5
    assert entry["title"] == "Logistic regression with a ridge penalty"


@pytest.mark.parametrize("arguments", [("list",), ("--help",), ("verify", "--help")])
def test_what_needs_no_jax_answers_at_once(arguments):
    started = time.perf_counter()
    assert run(*arguments).returncode == 0
    # Well under a second on an idle machine; importing JAX alone would take longer than this on a busy one.
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("command", ["verify", "show"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [("logistc", "logistic"), ("classification/logstic", "classification/logistic"),
     ("classificatoin", "classification"),
     ("sigmoid", "squared_error_sigmoid"), ("qqq", "chapters: classification, networks"),
     ("mine.py", "jaxderiv check mine.py")],
)  # fmt: skip
def test_an_unknown_name_gets_suggestions(capsys, command, name, hint):
    code, said = say(capsys, command, name)
    assert code == 2
    assert name in said.err
    assert hint in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("frob",), ("verify", "--effort", "huge"), ("verify", "--seed", "-1"), ("verify", "--seed", "x"),
     ("verify", "ridge", "--json", "/"), ("verify", "ridge", "--json", "no/such/folder.json"), ("check",), ("show",)],
)  # fmt: skip
def test_usage_errors(capsys, arguments):
    code, said = say(capsys, *arguments)
    assert code == 2
    assert "Traceback" not in said.err


def test_the_version(capsys):
    assert say(capsys, "--version")[1].out == f"jaxderiv {jaxderiv.__version__}\n"


def test_the_efforts_are_those_of_the_verifier():
    assert tuple(EFFORTS) == cli.EFFORTS


def test_compiled_programs_are_kept_where_doctor_says(tmp_path):
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_COMP", "JAX_PERSISTENT"))}

    def said(*arguments, **where):
        call = [sys.executable, "-m", "jaxderiv", *map(str, arguments)]
        done = subprocess.run(call, env={**ours, **where}, capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout

    cached = {"XDG_CACHE_HOME": str(tmp_path)}
    example = Path(__file__).parent / "examples" / "mistake.py"
    place = said("doctor", **cached).partition("compiled programs")[2].split()[0]
    (folder,) = (tmp_path / "jaxderiv").iterdir()
    assert place == str(folder)
    first = said("check", example, **cached)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert kept
    assert said("check", example, **cached) == first
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == kept  # taken back, not made anew
    (tmp_path / "file").write_text("")
    assert "REFUTED" in said("check", example, XDG_CACHE_HOME=str(tmp_path / "file"))


def test_where_programs_are_kept_is_said_also_where_it_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert compiled.described().startswith(f"{tmp_path / 'mine'} (cannot be made")
    (tmp_path / "mine").mkdir()
    assert compiled.described().startswith(f"{tmp_path / 'mine'} (0.0 MB of at most 500")
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert "cannot be written: programs are compiled anew" in compiled.described()
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    assert compiled.described().startswith("not kept")


def test_kept_programs_stay_below_a_bound_and_nobody_elses_are_touched(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "MOST", 1000)
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, os.environ[name])  # which `keep` sets: to be as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(jax.config, "update", lambda *setting: None)
    ours, theirs = compiled.place(), tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
        for age in range(12):
            path = folder / f"{age}-cache"
            path.write_bytes(b"x" * 100)
            os.utime(path, (time.time() - 1000 * age,) * 2)
        (folder / "interrupted").touch()
        os.utime(folder / "interrupted", (0, 0))
    compiled.keep()
    assert {path.name for path in ours.iterdir()} == {f"{age}-cache" for age in range(5)}
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(theirs))
    compiled.keep()
    assert len(list(theirs.iterdir())) == 13


def test_doctor(capsys):
    code, said = say(capsys, "doctor")
    assert code == 0
    for word in ("python", "jaxlib", "mpmath", "devices", "x64", "matmul precision"):
        assert word in said.out


# check ---------------------------------------------------------------------------------------------------------
def test_a_right_file(checked):
    found, results = checked("right", RIGHT)
    assert (found.returncode, found.stderr) == (0, "")
    assert [r["claim"].split()[0] for r in results] == ["gradient", "hessian", "gradient", "hessian"]
    assert {r["verdict"] for r in results} <= {"agrees", "proved"}
    assert "4 claims" in found.stdout


def test_a_wrong_line_is_named_with_everything_about_it(checked):
    found, results = checked("wrong", WRONG)
    assert found.returncode == 1
    assert "The first false line is line 19, gradient." in found.stdout
    for label in ("REFUTED  gradient = grad(loss)", "where", "worst entry", "truth", "probably", "to see it"):
        assert label in found.stdout
    lines = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("  line")]
    assert lines == ["19", "19", "25", "25"]
    # The Hessian is right; it is refuted only as the derivative of a wrong gradient, and not told twice.
    assert found.stdout.count("worst entry") == 1
    assert "hessian is the hessian of the loss, as it should be." in found.stdout
    assert [r["verdict"] for r in results] == ["refuted", "refuted", "refuted", "proved"]


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_json_has_the_keys_of_the_contract(checked, name):
    _, results = checked(name, {"right": RIGHT, "wrong": WRONG}[name])
    for result in results:
        assert {"derivation", "claim", "verdict", "expected", "evidence", "statement", "reason"} <= set(result)
        assert result["derivation"] == name
        assert result["evidence"]
        assert all(one["text"] and isinstance(one["numbers"], dict) for one in result["evidence"])
        assert (result["verdict"] == "refuted") == ("counterexample" in result) == ("diagnosis" in result)


def test_the_counterexample_can_be_pasted(checked):
    _, results = checked("wrong", WRONG)
    seen = []
    exec(results[0]["counterexample"]["code"], {"print": seen.append})
    formula, truth = seen
    np.testing.assert_allclose(formula, results[0]["counterexample"]["hand"], rtol=1e-6)
    np.testing.assert_allclose(truth, results[0]["counterexample"]["truth"], rtol=1e-6)
    np.testing.assert_allclose(formula, 2 * truth, rtol=1e-6)


def test_nothing_was_tested(checked):
    found, results = checked("idle", IDLE)
    assert found.returncode == 3
    assert [r["verdict"] for r in results] == ["inconclusive"]
    assert "identically zero" in found.stdout


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("syntax", '"""x"""\ndef loss(w:\n', ["line 2", "SyntaxError"]),
        ("unknown_module", '"""x"""\nimport no_such_module\n', ["line 2", "no_such_module"]),
        ("undeclared", HEAD.split("@equals")[0].replace("y: Real[Array, n]", "y"), ["symbol y", "Real[Array"]),
        ("raises", "def f(x):\n    return 1 / x\n\n\nf(0)\n", ["line 2, in f", "line 5", "ZeroDivisionError"]),
        ("exits", "raise SystemExit(3)\n", ["SystemExit: 3"]),
        ("dies", "import os\n\nos._exit(7)\n", ["exit code 7"]),
        ("only_a_loss", HEAD.split("@equals")[0], ["claims nothing", "gradient"]),
        ("empty", "", ["neither a loss nor a line"]),
    ],
)
def test_a_file_that_is_no_derivation(folder, name, text, words):
    path = folder / f"{name}.py"
    path.write_text(text)
    found = run("check", path)
    assert (found.returncode, found.stdout) == (2, "")
    assert all(word in found.stderr for word in [f"{name}.py", *words])
    assert "jaxderiv/derivation.py" not in found.stderr
    assert len(found.stderr.splitlines()) < 12


def test_a_path_that_is_no_python_file(capsys, tmp_path):
    (tmp_path / "notes.txt").touch()
    for path, word in ((tmp_path / "gone.py", "no file"), (tmp_path, "directory"), (tmp_path / "notes.txt", "FILE.py")):
        code, said = say(capsys, "check", path)
        assert code == 2
        assert word in said.err
        assert said.err.count("\n") == 1


def test_a_module_beside_the_file_can_be_imported(folder):
    (folder / "beside.py").write_text("FACTOR = 3\n")
    (folder / "importing.py").write_text("import beside\n\nassert beside.FACTOR == 4\n")
    assert "AssertionError" in run("check", folder / "importing.py").stderr


# verify, show --------------------------------------------------------------------------------------------------
def test_verify_shows_a_table_and_writes_json(verified):
    found, results = verified
    assert (found.returncode, found.stderr) == (0, "")  # no log for a single derivation
    row = next(line for line in found.stdout.splitlines() if line.strip().startswith("ridge"))
    assert row.split()[1] == str(len(results))
    assert all(len(line) <= 80 for line in found.stdout.splitlines() if not line.startswith(("These", "equal")))
    assert {r["derivation"] for r in results} == {"ridge"}
    assert "diagnosis" not in results[0]


def test_verify_tells_its_mutants(verified):
    found, _ = verified
    assert "operand" in found.stdout
    assert "100.0 %" in found.stdout
    assert "survived: " not in found.stdout


def test_the_same_seed_gives_the_same_json(checked, folder):
    checked("wrong", WRONG)
    again = folder / "again.json"
    assert run("check", folder / "wrong.py", "--json", again, "--seed", 3).returncode == 1
    assert again.read_text() == (folder / "wrong.json").read_text()


def test_show():
    found = run("show", "regression/mean_squared_error", PYTHONIOENCODING="utf-8")
    assert (found.returncode, found.stderr) == (0, "")
    for word in (
        "gradient(w, X, y)",
        "return X.T @ ",
        "∇L = 1/n Xᵀ (Xw - y)",
        "proved equal to grad(loss)",
        "The Hessian ---",
    ):
        assert word in found.stdout


def test_a_terminal_without_letters_gets_latex(monkeypatch):
    (entry,) = find(["mean_squared_error"])
    text = page.derivation(read_page(entry.path), [], unicode=False)
    assert r"$\nabla L = \frac1n X^\top (Xw - y)$" in text
    assert text.isascii()
    for encoding, expected in (("ascii", False), ("latin-1", False), ("utf-8", True)):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert console.shows_unicode() is expected


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_the_c_locale(locale):
    assert run("list", **locale).returncode == 0
    found = run("verify", "łogistic", **locale)
    assert (found.returncode, "logistic" in found.stderr) == (2, True)


def test_nobody_reads_on():
    piped = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m jaxderiv list | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
    )
    assert piped.stdout in ("0\n", f"{cli.BROKEN_PIPE}\n")
    assert piped.stderr == ""


# Interruption --------------------------------------------------------------------------------------------------
def test_ctrl_c_on_a_terminal(tmp_path):
    """The terminal sends the signal to the whole group of processes; one line is said and no file is left."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jaxderiv", "verify", "softmax", "ridge", "--json", str(tmp_path / "out.json")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        said = b""
        while b"softmax (" not in said:  # the progress line: the workers have been started
            said += os.read(ours, 4096)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=10) == 130
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(ours)
    assert said.decode().rstrip().endswith("jaxderiv verify: interrupted; no file was written")
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []


# Files ---------------------------------------------------------------------------------------------------------
def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("before")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        console.write(path, "after")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.json", "before")]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    console.write(tmp_path / "link.json", "text")
    assert (tmp_path / "real.json").read_text() == "text"
    assert (tmp_path / "link.json").is_symlink()


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="directory"):
        console.writable(tmp_path)


def test_seeds_are_whole_numbers():
    assert cli._seed("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="whole number"):
        cli._seed("1.5")
