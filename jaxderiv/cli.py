"""The command line. Nothing here imports JAX before a command needs it, so that `list` and `--help` answer at once."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jaxderiv
from jaxderiv import compiled, console
from jaxderiv.errors import InputError
from jaxderiv.index import LABELS

if TYPE_CHECKING:
    from jaxderiv.index import LedgerEntry
    from jaxderiv.verify.pool import Job, Outcome
    from jaxderiv.verify.verdict import Decision

OK, CONTRADICTED, UNUSABLE, INCONCLUSIVE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 130, 141
STDOUT = Path("-")  # for --json without a file
EFFORTS = ("quick", "normal", "high")  # those of verify.places, which imports JAX

_EPILOG = """exit codes:
  0  every verdict is as expected
  1  one contradicts what is expected: a claim is refuted, or a false statement survives
  2  usage, or a file that cannot be imported or read as a derivation
  3  no contradiction, but something is inconclusive
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    console.tolerate_encodings()
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return UNUSABLE
    try:
        if options.command != "list":  # which compiles nothing
            compiled.keep()
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"jaxderiv {options.command}: {error}", file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:
        # `jaxderiv list | head`: nobody reads on. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (OSError, SyntaxError) as error:
        print(f"jaxderiv {options.command}: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print(f"\njaxderiv {options.command}: interrupted; no file was written", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxderiv",
        description="Derivations as JAX programs, each line checked against the line before it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jaxderiv {jaxderiv.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    sub = command("list", _list, "what the catalogue holds")
    sub.add_argument("--json", action="store_true", help="as JSON, on standard output")

    sub = command("verify", _verify, "the evidence for the catalogue, or for some of it")
    sub.add_argument("names", nargs="*", metavar="NAME", help="logistic, classification/logistic, or a chapter")
    _add_common(sub)
    sub.add_argument(
        "--mutants", action="store_true", help="change every step of every formula, and see that it is noticed"
    )
    _add_effort(sub, "how many points")

    sub = command("show", _show, "a derivation line by line, or a statement of the ledger: formula, code, verdict")
    sub.add_argument("name", metavar="NAME", help="logistic, classification/logistic, a chapter, or an id as C4.39")

    sub = command("check", _check, "verify a derivation file of your own")
    sub.add_argument("file", metavar="FILE.py", type=Path, help="it looks like a file of the catalogue")
    _add_common(sub)

    sub = command("ledger", _ledger, "the claims of the series, each decided by machine")
    sub.add_argument("--part", type=int, choices=(4, 5, 6), help="of one part")
    sub.add_argument("--verdict", choices=list(LABELS.values()), help="of one kind")
    sub.add_argument(
        "--json",
        metavar="FILE",
        nargs="?",
        type=Path,
        const=STDOUT,
        help="as JSON: into a file, or instead of the table",
    )
    _add_seed(sub)
    _add_effort(sub, "how many instances")

    command("doctor", _doctor, "versions, devices and precision settings")
    return parser


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", metavar="FILE", type=Path, help="write every claim's verdict and evidence as JSON")
    _add_seed(sub)


def _add_seed(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--seed", metavar="N", type=_seed, default=0, help="the same seed draws the same points (default: 0)"
    )


def _add_effort(sub: argparse.ArgumentParser, what: str) -> None:
    sub.add_argument("--effort", choices=EFFORTS, default="normal", help=f"{what} (default: normal)")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _list(options: argparse.Namespace) -> int:
    from jaxderiv.index import entries

    found = entries()
    if options.json:
        import json

        keys = ("name", "chapter", "title", "lines", "parameters")
        print(json.dumps([{key: getattr(entry, key) for key in keys} for entry in found], indent=1, ensure_ascii=False))
    else:
        from jaxderiv.render import tables

        print(tables.listing(found, console.paint))
    return UNUSABLE if any(entry.fault for entry in found) else OK


def _verify(options: argparse.Namespace) -> int:
    from jaxderiv.render import tables
    from jaxderiv.render.page import verdict_of
    from jaxderiv.render.text import describe

    started = time.monotonic()
    outcomes = _outcomes(_jobs(options.names), options.effort, options.seed, options.json, options.mutants)
    results = [result for outcome in outcomes for result in outcome.results]
    parts = [tables.summary(outcomes, console.paint)]
    parts += [describe(result, console.paint) for result in results if not result.verdict.ok or not result.as_expected]
    parts.append(tables.curvature(results))
    parts.append(tables.unproved(results))
    parts.append(tables.notes(outcomes, console.paint))
    if options.mutants:
        parts.append(tables.mutants(results, console.paint))
    elapsed = time.monotonic() - started
    parts.append(verdict_of(results, f" in {elapsed:.0f} s ({elapsed / max(len(results), 1):.2f} s each)"))
    print("\n\n".join(part for part in parts if part))
    return _exit_code(outcomes)


def _ledger(options: argparse.Namespace) -> int:
    from jaxderiv.index import ledger
    from jaxderiv.render.json import decision, dumps
    from jaxderiv.render.ledger import listing

    wanted = [e for e in ledger() if options.part in (None, e.part) and options.verdict in (None, e.label)]
    if options.json is not None and options.json != STDOUT:
        console.writable(options.json)
    outcomes = _run(_ledger_jobs(wanted), options.effort, options.seed)
    decisions = _decisions(outcomes)
    if options.json is not None:
        text = dumps(decision(one) for one in decisions)
        if options.json == STDOUT:
            print(text, end="")
            return _exit_code(outcomes)
        console.write(options.json, text)
    print(listing(decisions, console.paint, console.shows_unicode()))
    return _exit_code(outcomes)


def _ledger_jobs(entries: Sequence[LedgerEntry]) -> list[Job]:
    from jaxderiv.verify.pool import Job

    topics = dict.fromkeys((entry.topic, entry.path) for entry in entries)
    return [
        Job(topic, path, "ledger", tuple(entry.id for entry in entries if entry.topic == topic))
        for topic, path in topics
    ]


def _decisions(outcomes: Sequence[Outcome]) -> list[Decision]:
    """In the order of their ids."""
    found = [one for outcome in outcomes for one in outcome.decisions]
    return sorted(found, key=lambda one: (one.part, int(one.id.partition(".")[2])))


def _show(options: argparse.Namespace) -> int:
    from jaxderiv.index import find_statement, read_page
    from jaxderiv.render import ledger, page

    if re.fullmatch(r"[Cc]\d+\.\d+", options.name):
        entry = find_statement(options.name)
        outcomes = _run(_ledger_jobs([entry]), "normal", 0)
        for one in _decisions(outcomes):
            print(ledger.statement(one, read_page(entry.path), console.paint, console.shows_unicode()))
        return _exit_code(outcomes)
    outcomes = _outcomes(_jobs([options.name]), "quick", 0)
    for outcome in outcomes:
        if not outcome.error:
            text = page.derivation(read_page(outcome.job.path), outcome.results, console.paint, console.shows_unicode())
            print(text + "\n")
    return _exit_code(outcomes)


def _check(options: argparse.Namespace) -> int:
    from jaxderiv.index import read_page
    from jaxderiv.render import page
    from jaxderiv.verify.pool import Job

    path = options.file
    if not path.exists():
        raise InputError(f"there is no file {path}")
    if path.is_dir():
        raise InputError(f"{path} is a directory; give one file, as in jaxderiv check {path / 'model.py'}")
    if path.suffix != ".py":
        raise InputError(f"{path} is not a Python file; a derivation is a module FILE.py")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: permission denied")
    (outcome,) = _outcomes([Job(str(path), path.resolve(), kind="file")], "normal", options.seed, options.json)
    if not outcome.error and not outcome.results:
        raise InputError(f"{path} claims nothing. Write gradient(...) beside the loss, or @equals(...) above a line")
    if not outcome.error:
        print(page.checked(outcome, read_page(path), console.paint))
    return _exit_code([outcome])


def _doctor(options: argparse.Namespace) -> int:
    from jaxderiv.doctor import diagnose

    text, complete = diagnose()
    print(text)
    return OK if complete else UNUSABLE


def _jobs(names: Sequence[str]) -> list[Job]:
    from jaxderiv.index import find
    from jaxderiv.verify.pool import Job

    return [Job(entry.full_name, entry.path) for entry in find(names)]


def _outcomes(
    jobs: list[Job], effort: str, seed: int, json: Path | None = None, mutants: bool = False
) -> list[Outcome]:
    """Verify, show progress, and write the JSON file before anything is printed."""
    if json is not None:
        console.writable(json)
    outcomes = _run(jobs, effort, seed, mutants)
    if json is not None:
        from jaxderiv.render.json import dumps, record

        console.write(json, dumps(record(result) for outcome in outcomes for result in outcome.results))
    return outcomes


def _run(jobs: list[Job], effort: str, seed: int, mutants: bool = False) -> list[Outcome]:
    from jaxderiv.verify.pool import verify_all

    progress = console.Progress(len(jobs), log=len(jobs) > 1)
    try:
        return verify_all(jobs, effort, seed, mutants, progress=progress)
    finally:
        progress.clear()


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    """The most serious: what cannot be read, then what is wrong, then what is not known."""
    sys.stdout.flush()  # so that errors come after what was printed, also in a file that takes both
    results = [result for outcome in outcomes for result in outcome.results]
    for outcome in outcomes:
        if outcome.error:
            own = outcome.error.startswith(str(outcome.job.path))  # it names the file itself
            before = "\n" if len(outcomes) > 1 else ""
            print(before + (outcome.error if own else f"{outcome.job.name}: {outcome.error}"), file=sys.stderr)
    if any(outcome.error for outcome in outcomes):
        return UNUSABLE
    if not all(result.as_expected for result in results):
        return CONTRADICTED
    return INCONCLUSIVE if any(result.verdict == "inconclusive" for result in results) else OK
