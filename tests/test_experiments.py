"""Generated over the scripts of experiments/: a script that is dropped in there is listed, run and tested."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import __main__ as command
from experiments import files, galton, script, settings, softmax_digits
from experiments import newton_vs_gradient_descent as newton_vs
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.regression import weighted_least_squares
from jaxderiv.index import ledger

ROOT = Path(command.__file__).parents[1]
SCRIPTS = command.scripts()

# Scripts call optax, whose adam and lbfgs rely on JAX's ordinary promotion.
pytestmark = pytest.mark.lenient_promotion


def module(name):
    return importlib.import_module(f"experiments.{name}")


@pytest.fixture(scope="session")
def results():
    """Quick results of a script, computed once; x64 is off, so that the script itself must switch it on."""
    done = {}

    def of(name):
        if name not in done:
            with (
                jax.enable_x64(False),
                jax.numpy_dtype_promotion("standard"),
                jax.numpy_rank_promotion("allow"),
            ):
                done[name] = module(name).run(settings.quick(module(name).Config))
        return done[name]

    return of


def altered(value, change):
    """The same results with every floating-point number and array changed."""
    if isinstance(value, tuple):
        parts = (altered(part, change) for part in value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, float | np.floating) or getattr(value, "dtype", np.dtype(int)).kind == "f":
        return change(np.asarray(value))
    return value


# The scripts ------------------------------------------------------------------


def test_there_are_scripts_and_each_states_its_claim():
    assert {"galton", "newton_vs_gradient_descent", "softmax_digits"} <= set(SCRIPTS)
    assert all(len(entry.claim.split()) >= 10 and entry.claim.endswith(".") for entry in SCRIPTS.values())


def test_what_a_script_bears_on_is_there():
    statements = {entry.id for entry in ledger()}
    for entry in SCRIPTS.values():
        assert (ROOT / entry.script).is_file()
        assert set(entry.ledger) <= statements
    figures = [figure for entry in SCRIPTS.values() for figure in entry.figures]
    assert len(set(figures)) == len(figures)
    assert set(figures) >= {f"F{part}.{number}" for part in (4, 5, 6) for number in range(1, 8)}


def test_the_list_as_json(capsys):
    assert command.main(["--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [Path(record["script"]).stem for record in records] == list(SCRIPTS)
    assert all(set(record) == {"script", "claim", "figures", "ledger"} for record in records)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_claim_holds_in_a_quick_run_and_says_so_with_numbers(name, results):
    verdict = module(name).claim(results(name))
    assert any(character.isdigit() for character in verdict)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.flip(x) + 0.0 if x.ndim else 1.01 * x,
        lambda x: np.random.default_rng(0).permutation(x) if x.ndim else 0.99 * x,
        lambda x: np.full_like(x, np.nan),
        np.zeros_like,
    ],
    ids=["reversed", "shuffled", "nan", "zero"],
)
def test_the_claim_fails_on_sabotaged_results(name, change, results):
    with pytest.raises(script.ClaimFailed, match="not so"), np.errstate(all="ignore"):
        module(name).claim(altered(results(name), change))


@pytest.mark.parametrize("name", SCRIPTS)
def test_results_are_in_double_precision(name, results):
    precisions = set()
    altered(results(name), lambda x: precisions.add(x.dtype) or x)
    assert precisions == {np.dtype(np.float64)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_axis_of_the_figure_is_labelled(name, results):
    figure = module(name).plot(results(name))
    assert isinstance(figure, Figure)
    plotted = [axes for axes in figure.axes if axes.lines or axes.collections or axes.patches]
    assert plotted
    for axes in plotted:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel()
            assert axes.get_ylabel()
            assert axes.get_title()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_configuration_is_frozen_explained_and_checked(name, capsys):
    config = module(name).Config
    assert issubclass(config, settings.Config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().seed = 1
    for field in dataclasses.fields(config):
        assert len(field.metadata["meaning"].split()) >= 2
        least, above = field.metadata["least"], field.metadata["above"]
        beyond = [f"{least - 1}"] if least is not None else [f"{above}"] if above is not None else []
        for bad in ("x", "nan", *beyond):
            option = f"--{field.name.replace('_', '-')}"
            assert script.main(module(name), [f"{option}={bad}"]) == 2
            out, err = capsys.readouterr()
            assert out == ""
            assert err.startswith(f"{name}: {field.name} is ")
            assert bad in err
            assert "; allowed: a " in err
            assert err.count("\n") == 1


# The command line -------------------------------------------------------------


def test_all_of_them_leave_their_files(results, tmp_path, monkeypatch, capsys):
    for name in SCRIPTS:
        results(name)
        quick = settings.quick(module(name).Config)

        def stored(config, progress, name=name, quick=quick):
            assert config == dataclasses.replace(quick, seed=0)
            return results(name)

        monkeypatch.setattr(module(name), "run", stored)
    monkeypatch.setitem(files.STYLE, "figure.constrained_layout.use", False)  # half of the time, and no file more
    assert command.main(["--all", "--quick", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"{len(SCRIPTS)} of {len(SCRIPTS)} claims hold" in out
    for name in SCRIPTS:
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == [
            "figure.png",
            "figure.svg",
            "results.json",
        ]
        assert (tmp_path / name / "figure.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / name / "figure.svg").read_text(encoding="utf-8")
        record = json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))
        assert record["script"] == name
        assert record["holds"] is True
        assert record["claim"] == SCRIPTS[name].claim
        assert record["config"]["seed"] == 0
        assert record["device"]["platform"] == "cpu"
        assert set(record["versions"]) >= {"jax", "optax", "python", "torch"}  # null where it is absent
        assert set(record["numbers"]) == set(results(name)._fields)


def test_the_list_names_every_script_and_its_claim_without_importing_jax():
    code = "import sys; from experiments.__main__ import main; main([]); assert 'jax' not in sys.modules"
    listing = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    words = " ".join(listing.stdout.split())
    for name, entry in SCRIPTS.items():
        assert name in words
        assert entry.claim.split(".")[0].replace("mid-parent", "")[:40] in words.replace("mid-parent", "")


DROPPED_IN = '''"""A dropped-in script shows that two and two are four, as everybody expects them to be.

More about it.
"""
from typing import NamedTuple
from matplotlib.figure import Figure
from experiments import script, settings

FIGURES = ("F9.1",)
LEDGER = ()

class Config(settings.Config):
    pass

class Results(NamedTuple):
    total: float

def run(config, progress):
    return Results(2.0 + 3.0)

def claim(results):
    script.require(results.total == 4, f"{results.total} is 4")
    return "4"

def plot(results):
    return Figure()
'''


@pytest.fixture
def dropped_in(tmp_path):
    path = tmp_path / "dropped_in.py"
    path.write_text(DROPPED_IN, encoding="utf-8")
    specification = importlib.util.spec_from_file_location("dropped_in", path)
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


def test_a_script_that_is_dropped_in_is_listed(dropped_in):
    (entry,) = command.scripts(Path(dropped_in.__file__).parent).values()
    assert entry.figures == ("F9.1",)
    assert entry.claim == "A dropped-in script shows that two and two are four, as everybody expects them to be."


def test_a_claim_that_fails_is_an_exit_code_and_a_record(dropped_in, tmp_path, capsys):
    assert script.main(dropped_in, ["--out", str(tmp_path / "out")]) == 1
    assert "dropped_in FAILS" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert (record["holds"], record["verdict"]) == (False, "not so: 5.0 is 4")


def test_one_broken_script_does_not_keep_the_others_from_running(dropped_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "scripts", lambda: {"broken": None, "fails": None})
    broken = type("Broken", (), {"Config": settings.Config, "__file__": "broken.py", "__doc__": ""})
    modules = {"experiments.broken": broken, "experiments.fails": dropped_in}
    monkeypatch.setattr(command.importlib, "import_module", modules.get)
    assert command.main(["--all", "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "dropped_in FAILS" in out, err
    assert "0 of 2 claims hold" in out
    assert "AttributeError" in err


def test_unwritten_results_leave_the_earlier_ones(dropped_in, tmp_path, monkeypatch):
    out = tmp_path / "out"
    script.main(dropped_in, ["--out", str(out)])
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.json, "dumps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        script.main(dropped_in, ["--out", str(out), "--seed", "1"])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nosuch"], "there is no script 'nosuch'; allowed: --all, "),
        (["galton", "--nosuch"], "unrecognized arguments: --nosuch (--help lists the options)"),
        (["galton", "--platform", "abacus"], "invalid choice: 'abacus'"),
        (["--all", "--seed", "-1"], "seed is -1; allowed: a whole number, 0 or more"),
        (["--all", "--steps", "3"], "unrecognized arguments: --steps 3"),
        (["softmax_digits", "--lam=-1"], "lam is -1.0; allowed: a number above 0"),
        (
            ["newton_vs_gradient_descent", "--newton-steps", "0"],
            "newton_steps is 0; allowed: a whole number, 1 or",
        ),
    ],
)
def test_usage_errors_are_one_line(argv, words, capsys):
    assert command.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(galton, "run", lambda config, progress: pytest.fail("it ran"))
    assert script.main(galton, ["--out", str(tmp_path / "taken" / "below")]) == 2
    assert "allowed: a directory that can be written" in capsys.readouterr().err


def run_python(*argv, **more):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *argv], cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE, **more
    )


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_a_platform_that_is_not_there(platform, tmp_path):
    if platform in {device.platform for device in jax.devices()}:
        pytest.skip(f"there is a {platform} here")
    process = run_python("-m", "experiments", "galton", "--platform", platform, "--out", str(tmp_path))
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith(f"galton: --platform is '{platform}', which JAX does not find; allowed here: cpu")
    assert err.count("\n") == 1


def test_a_file_runs_by_its_path(tmp_path):
    process = run_python("experiments/galton.py", "--quick", "--out", str(tmp_path), stdout=subprocess.PIPE)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.startswith("galton holds")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("moment", ["while it imports", "while it runs"])
def test_ctrl_c_says_so_and_leaves_earlier_results(moment, tmp_path):
    (tmp_path / "results.json").write_text("earlier")
    program = [
        "experiments/newton_vs_gradient_descent.py",
        "--out",
        str(tmp_path),
        "--descent-steps",
        "100000000",
    ]
    if moment == "while it imports":
        process, sign = run_python("-X", "importtime", *program), "experiments.script"
    else:
        process, sign = run_python(*program), "gradient descent, "
    for line in process.stderr:
        if sign in line:
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    messages = [line for line in err.splitlines() if line and not line.startswith(("import time", "newton_vs"))]
    assert process.returncode == 130
    assert messages == ["interrupted: the run in progress has written nothing; earlier results are as they were"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "earlier"


# Each script's own sabotage ---------------------------------------------------


def test_galton_notices_a_newton_step_of_the_wrong_length(monkeypatch):
    hessian = weighted_least_squares.hessian
    monkeypatch.setattr(weighted_least_squares, "hessian", lambda w, X, s: 2 * hessian(w, X, s))
    with pytest.raises(script.ClaimFailed, match=r"slope|Newton steps"):
        galton.claim(galton.run(galton.Config()))


def test_galton_notices_counts_that_are_ignored(monkeypatch):
    parent, child, count = galton.data.galton()
    monkeypatch.setattr(galton.data, "galton", lambda: galton.data.Galton(parent, child, np.ones_like(count)))
    with pytest.raises(script.ClaimFailed, match="slope"):
        galton.claim(galton.run(galton.Config()))


def test_newton_with_a_wrong_hessian_loses_its_order(monkeypatch):
    hessian = logistic.hessian
    monkeypatch.setattr(logistic, "hessian", lambda w, X, lam: hessian(w, X, 1.1 * lam))
    with pytest.raises(script.ClaimFailed, match="Newton"):
        newton_vs.claim(newton_vs.run(settings.quick(newton_vs.Config)))


def changed_run(results, index, **fields):
    runs = list(results.runs)
    runs[index] = runs[index]._replace(**fields)
    return results._replace(runs=tuple(runs))


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(runs=r.runs[::-1]), "decrease"),
        (lambda r: changed_run(r, 0, weights=1.001 * r.runs[0].weights), "weights"),
        (lambda r: changed_run(r, 1, loss=r.runs[1].loss + 1e-6), "strong|minimum"),
        (lambda r: changed_run(r, 2, row_sum=r.runs[2].row_sum + 1e-6), "row sums"),
        (lambda r: changed_run(r, 2, gradient_norm=r.runs[2].gradient_norm + 1e-5), "tolerance"),
        (lambda r: r._replace(lam=1e3 * r.lam), "minimum"),
    ],
    ids=["order of the runs", "weights", "loss", "row sums", "not converged", "lam"],
)
def test_softmax_digits_notices(sabotage, words, results):
    with pytest.raises(script.ClaimFailed, match=words):
        softmax_digits.claim(sabotage(results("softmax_digits")))


def newton_as_slow_as_descent(r):
    norms = r.descent.gradient_norm[: len(r.newton.gradient_norm)]
    return r._replace(newton=r.newton._replace(gradient_norm=norms))


def descent_of_another_rate(r):
    steps = np.arange(len(r.descent.gradient_norm))
    return r._replace(descent=r.descent._replace(gradient_norm=np.exp(-0.05 * steps)))


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (descent_of_another_rate, "share"),
        (newton_as_slow_as_descent, "Newton"),
        (lambda r: r._replace(descent=r.newton), "share"),
        (lambda r: r._replace(eigenvalues=2 * r.eigenvalues), "share"),
        (lambda r: r._replace(newton_moves=1e-3 * r.newton_moves), "move"),
        (lambda r: r._replace(separating_margin=-r.separating_margin), "separates"),
        (lambda r: r._replace(inseparable_margin=1e-3), "margin"),
        (lambda r: r._replace(distance=1e-3), "apart"),
    ],
    ids=[
        "rate",
        "newton is descent",
        "descent is newton",
        "spectrum",
        "moves",
        "margin",
        "other margin",
        "ends",
    ],
)
def test_newton_vs_gradient_descent_notices(sabotage, words, results):
    with pytest.raises(script.ClaimFailed, match=words), np.errstate(all="ignore"):
        newton_vs.claim(sabotage(results("newton_vs_gradient_descent")))


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda r: r._replace(caught=np.roll(r.caught, 1, axis=0)), "jaxderiv catches"),
        (lambda r: r._replace(refused=np.ones_like(r.refused)), "jaxderiv refuses"),
        (lambda r: r._replace(caught=np.ones_like(r.caught)), "misses some"),
        (lambda r: r._replace(caught=r.caught[:, ::-1]), "generic point"),
        (lambda r: r._replace(checkers=r.checkers[1:] + r.checkers[:1]), "jaxderiv catches"),
    ],
    ids=["order of the checkers", "right ones refused", "all caught", "order of the examples", "order of the names"],
)
def test_checkers_notices(sabotage, words, results):
    with pytest.raises(script.ClaimFailed, match=words):
        module("checkers").claim(sabotage(results("checkers")))


def words_of(figure):
    (axes,) = figure.axes
    return " ".join([axes.get_xlabel(), *(label.get_text() for label in axes.get_yticklabels())])


def test_checkers_without_pytorch_say_so(monkeypatch, tmp_path, capsys, results):
    if importlib.util.find_spec("torch") is None:
        monkeypatch.setattr(module("checkers"), "run", lambda config, progress: results("checkers"))
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    assert script.main(module("checkers"), ["--quick", "--out", str(tmp_path)]) == 0
    assert "PyTorch was not installed" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["numbers"]
    assert numbers["checkers"] == ["jax check_grads", "scipy check_grad", "jaxderiv"]
    assert [len(numbers[name]) for name in ("caught", "refused", "seconds")] == [3, 3, 3]
    assert "PyTorch was not installed" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def test_checkers_with_pytorch_try_both_modes(results):
    pytest.importorskip("torch")
    checkers = module("checkers")
    found = results("checkers")
    assert found.checkers == ("jax check_grads", "scipy check_grad", *checkers.TORCH, "jaxderiv")
    for text in (checkers.claim(found), words_of(checkers.plot(found))):
        assert "PyTorch was not installed" not in text
        assert all(name in text for name in found.checkers)


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_is_given_the_loss_and_the_formula(fast):
    pytest.importorskip("torch")
    checkers = module("checkers")
    args, seen = checkers.example("generic", 7, np.random.default_rng(0)), []

    def formula(*given):
        seen.append(given)
        return checkers.right(*given)

    with jax.enable_x64(True):
        assert not checkers.by_torch(fast)(formula, *args)
        assert checkers.by_torch(fast)(checkers.WRONG["1/n missing"], *args)
    assert all(np.array_equal(a, b) for given in seen for a, b in zip(given, args, strict=True))


def test_the_table_that_is_written_down_bears_out_the_claim():
    checkers = module("checkers")
    text = (ROOT / "docs" / "checkers.md").read_text(encoding="utf-8")
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    names = tuple(line[0].strip() for line in lines[2:])
    assert names == ("jax check_grads", "scipy check_grad", *checkers.TORCH, "jaxderiv")
    cells = np.array([[[float(number) for number in cell.split(";")] for cell in line[1:]] for line in lines[2:]])
    mistakes, forms = len(checkers.WRONG), len(checkers.RIGHT)
    shares = np.moveaxis(cells, -1, 0) / np.array([mistakes, forms, 1]).reshape(-1, 1, 1)
    written = checkers.Results(names, *shares, mistakes, forms)
    assert checkers.table(written) in text
    assert "PyTorch was not installed" not in checkers.claim(written)


def test_the_page_holds_every_figure_and_names_no_other_file(dropped_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "scripts", lambda: {"dropped_in": None})
    monkeypatch.setattr(command.importlib, "import_module", lambda name: dropped_in)
    assert command.main(["--all", "--out", str(tmp_path)]) == 1
    written = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert str(tmp_path / "index.html") in capsys.readouterr().out
    command_line = "python -m experiments dropped_in --seed 0"
    for part in ("0 of 1 claims hold", "5.0 is 4", "data:image/svg+xml;base64,", command_line):
        assert part in written
    assert "http" not in written.replace("http-equiv", "")
