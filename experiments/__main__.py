"""List the experiments, run one, or run all.

    python -m experiments [--json]                  the scripts and the claim that each one shows
    python -m experiments NAME [--help | options]   run one
    python -m experiments --all [--quick] [--out DIR] [--seed N] [--platform cpu|gpu|tpu]
                                                    run all, and make one page of them, DIR/index.html
    python -m experiments fit [--help | options]    fit a model to a file of your own

Exit code 0: every claim holds; 1: one does not; 2: usage; 130: Ctrl-C.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments import page, script
from experiments.settings import Config, configured, parser_of
from jaxderiv import compiled
from jaxderiv.errors import InputError


class Entry(NamedTuple):
    """A script: its path from the folder that holds the experiments, and what it says of itself."""

    script: str
    claim: str
    figures: tuple[str, ...]
    ledger: tuple[str, ...]


def scripts(folder: Path = script.FOLDER) -> dict[str, Entry]:
    """The scripts in a folder, by name: the modules that define Config, run, claim and plot.

    They are read, not imported, which would cost a second for JAX.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        if names >= {"Config", "run", "claim", "plot"}:
            claim = script.summary(ast.get_docstring(tree))
            found[path.stem] = Entry(
                f"{folder.name}/{path.name}", claim, *(_ids(tree, n) for n in ("FIGURES", "LEDGER"))
            )
    return found


def _ids(tree: ast.Module, name: str) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return ()


def main(argv: Sequence[str] | None = None) -> int:
    """What the docstring of this module says. Returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    known = scripts()
    if not argv or argv[0] in ("-h", "--help"):
        print(_listing(known) if not argv else __doc__.strip())
        return 0
    if argv == ["--json"]:
        print(json.dumps([entry._asdict() for entry in known.values()], indent=1, ensure_ascii=False))
        return 0
    if argv[0] in known:
        return script.main(importlib.import_module(f"experiments.{argv[0]}"), argv[1:])
    if argv[0] == "fit":
        compiled.keep()
        return importlib.import_module("experiments.fit").main(argv[1:])
    if "--all" in argv:
        return _run_all(known, [word for word in argv if word != "--all"])
    print(f"experiments: there is no script {argv[0]!r}; allowed: --all, {', '.join(known)}", file=sys.stderr)
    return 2


def _listing(known: dict[str, Entry]) -> str:
    claims = (f"{name}\n{textwrap.fill(entry.claim, 100, initial_indent='    ', subsequent_indent='    ')}"
              for name, entry in known.items())  # fmt: skip
    ends = "Run one: python -m experiments NAME [--help]    all: --all --quick    own data: fit --help"
    return "\n".join([*claims, "", ends])


def _run_all(known: dict[str, Entry], argv: list[str]) -> int:
    codes = []
    try:
        parser = parser_of("experiments --all", "Run every script.", Config, "results")
        options = parser.parse_args(argv)
        configured(Config, options)
        script.device_of(options.platform)
        for number, name in enumerate(known):
            _show_bar(number, len(known), name)
            module = importlib.import_module(f"experiments.{name}")
            try:
                config = configured(module.Config, options)
                codes.append(script.execute(module, config, options.platform, options.out / name))
            except InputError:
                raise
            except Exception:
                # One broken script does not keep the others from running.
                traceback.print_exc()
                codes.append(1)
    except InputError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    _show_bar(len(known), len(known), "")
    print(f"{codes.count(0)} of {len(known)} claims hold; all on one page: {page.write(options.out, known)}")
    return max(codes)


def _show_bar(done: int, total: int, name: str) -> None:
    """How far all scripts are, on a terminal; elsewhere each one's verdict says as much."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        width = 30 * done // total
        print(f"[{'#' * width}{'.' * (30 - width)}] {done} of {total} {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
