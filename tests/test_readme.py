"""What the README promises is run: its commands (without making an environment) and its Python blocks."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(words: list[str], cwd: Path = ROOT) -> subprocess.CompletedProcess:
    environment = os.environ | {"COLUMNS": "80", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_main_command_runs(tmp_path):
    main, tests = (block.strip().split(" && ") for block in blocks("sh"))
    assert main[0] == tests[0] == "python3 -m venv .venv"
    assert main[1].startswith(".venv/bin/pip install -e .")
    for command in main[2:]:
        words = shlex.split(command.replace(".venv/bin/", f"{BIN}/"))
        if words[1] == "verify":
            words += ["logistic", "--effort", "quick"]  # the whole catalogue is another test's
        if "experiments" in words:
            words += ["--quick", "--out", str(tmp_path)]
        done = run(words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_test_command_is_the_one_that_ci_runs():
    command = blocks("sh")[1].strip().split(" && ")[-1]
    assert command == ".venv/bin/python -m pytest"
    assert '"$bin/python" -m pytest\n' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_failing_check_is_a_real_one():
    command, _, shown = blocks("console")[0].partition("\n")
    words = shlex.split(command.removeprefix("$ "))
    done = run([sys.executable, "-m", *words])
    assert done.returncode == 1
    # the file's own place differs from machine to machine
    assert done.stdout.replace(f"{ROOT}/", "").strip() == shown.strip()


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_blocks(number, tmp_path):
    path = tmp_path / "block.py"
    path.write_text(blocks("python")[number], encoding="utf-8")
    derivation = "@equals" in blocks("python")[number]
    command = ["-m", "jaxderiv", "check", str(path)] if derivation else [str(path)]
    done = run([sys.executable, *command], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
