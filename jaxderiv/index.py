"""What the catalogue holds, read from its files without importing them: importing a derivation imports JAX."""

from __future__ import annotations

import ast
import difflib
import functools
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jaxderiv.errors import InputError

CATALOGUE = Path(__file__).parent / "catalogue"
LEDGER = Path(__file__).parent / "ledger"
LABELS = {"TRUE": "true", "HYP": "hyp", "FALSE": "false", "IMPR": "impr", "NA": "n/a"}


@dataclass(frozen=True)
class Entry:
    """One derivation of the catalogue.

    Attributes:
        lines: number of lines, the functions under ``@equals``.
        fault: why the file cannot be read, or nothing.
    """

    name: str
    chapter: str
    path: Path
    title: str = ""
    lines: int = 0
    parameters: tuple[str, ...] = ()
    fault: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.chapter}/{self.name}"


@dataclass(frozen=True)
class LedgerEntry:
    """A statement of the ledger: its id, its label, and the file (``chapter/topic``) and line where it stands."""

    id: str
    label: str
    topic: str
    path: Path
    line: int

    @property
    def part(self) -> int:
        return int(self.id[1:].partition(".")[0])

    @property
    def where(self) -> str:
        return f"jaxderiv/ledger/{self.topic}.py:{self.line}"


@dataclass(frozen=True)
class Function:
    """A function of a derivation as it stands in the file.

    Attributes:
        head: its name with its arguments; `domains`: these with what is declared of them; `body`: its code below the
            docstring, not indented.
        left: the code of what ``@equals`` says it equals, or nothing.
        section: the comment line that opens the section in which it stands.
    """

    name: str
    head: str
    domains: str
    docstring: str
    body: str
    left: str
    line: int
    section: str


@dataclass(frozen=True)
class Page:
    """A derivation's file: its docstring and its public functions in order."""

    text: str
    functions: tuple[Function, ...]

    def line_of(self, name: str) -> int:
        """The line on which a function begins; 0 for one that is not defined in the file."""
        return next((function.line for function in self.functions if function.name == name), 0)


def entries(catalogue: Path = CATALOGUE) -> list[Entry]:
    """All derivations, chapter by chapter."""
    return [_entry(path) for path in sorted(catalogue.glob("*/[!_]*.py"))]


def find(names: Iterable[str], catalogue: Path = CATALOGUE) -> list[Entry]:
    """The derivations that names stand for: ``logistic``, ``classification/logistic`` or a chapter. No name: all.

    Raises:
        InputError: naming the nearest names, if one stands for nothing.
    """
    known, wanted = entries(catalogue), set()
    names = [name.strip("/") for name in names]
    for name in names:
        meant = {entry for entry in known if name in (entry.name, entry.full_name, entry.chapter)}
        if not meant:
            raise InputError(_unknown(name, known))
        wanted |= meant
    return [entry for entry in known if entry in wanted] if names else known


@functools.cache
def ledger(directory: Path = LEDGER) -> tuple[LedgerEntry, ...]:
    """All statements of the ledger, in the order of their ids.

    Raises:
        SyntaxError: if a file is not Python.
    """
    found = []
    for path in sorted(directory.glob("*/[!_]*.py")):
        topic = f"{path.parent.name}/{path.stem}"
        for node in ast.walk(ast.parse(_source(path), str(path))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "statement":
                id, label = (ast.unparse(argument) for argument in node.args[:2])
                found.append(LedgerEntry(ast.literal_eval(id), LABELS[label], topic, path, node.lineno))
    return tuple(sorted(found, key=lambda entry: (entry.part, int(entry.id.partition(".")[2]))))


def find_statement(id: str, directory: Path = LEDGER) -> LedgerEntry:
    """The statement with an id.

    Raises:
        InputError: naming the nearest ids, if there is none.
    """
    known = {entry.id: entry for entry in ledger(directory)}
    if id.upper() not in known:
        part, number = (int(x) for x in id[1:].split("."))
        near = sorted(known, key=lambda i: (abs(known[i].part - part), abs(int(i.partition(".")[2]) - number)))[:3]
        raise InputError(f"there is no statement {id!r}; did you mean {' or '.join(near)}? `jaxderiv ledger` shows all")
    return known[id.upper()]


def read_page(path: Path) -> Page:
    """Read a derivation's file.

    Raises:
        SyntaxError: if it is not Python.
    """
    source = _source(path)
    tree, lines = ast.parse(source, str(path)), source.splitlines()
    functions, end, section = [], 0, ""
    for node in tree.body:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        section = next((_heading(line) for line in reversed(lines[end : start - 1]) if _heading(line)), section)
        end = node.end_lineno or node.lineno
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            functions.append(_function(node, lines, section))
    return Page(ast.get_docstring(tree) or "", tuple(functions))


def _source(path: Path) -> str:
    with tokenize.open(path) as file:  # in the encoding that the file declares, as Python reads it
        return file.read()


def _function(node: ast.FunctionDef, lines: list[str], section: str) -> Function:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    code = lines[body[0].lineno - 1 : node.end_lineno] if body else []
    indent = min((len(line) - len(line.lstrip()) for line in code if line.strip()), default=0)
    return Function(
        name=node.name,
        head=f"{node.name}({', '.join(a.arg for a in [*node.args.posonlyargs, *node.args.args])})",
        domains=ast.unparse(node.args),
        docstring=ast.get_docstring(node) or "",
        body="\n".join(line[indent:] for line in code),
        left=_left(node),
        line=node.lineno,
        section=section,
    )


def _heading(line: str) -> str:
    """``# The gradient -----`` opens a section; other comments do not."""
    return line.strip("# -") if line.startswith("# ") and line.rstrip().endswith("---") else ""


def _left(node: ast.FunctionDef) -> str:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1] == "equals":
            return ", ".join(map(ast.unparse, decorator.args))
    return ""


def _entry(path: Path) -> Entry:
    name, chapter = path.stem, path.parent.name
    try:
        tree = ast.parse(_source(path), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        return Entry(name, chapter, path, fault=str(error))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return Entry(
        name,
        chapter,
        path,
        title=(ast.get_docstring(tree) or "").split("\n", 1)[0].rstrip("."),
        lines=sum(bool(_left(function)) for function in functions.values()),
        parameters=_parameters(tree, functions.get("loss")),
    )


def _parameters(tree: ast.Module, loss: ast.FunctionDef | None) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "parameters":
            # One name or several; whether they are arguments of the loss is the reader's business.
            return tuple(
                c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant) and isinstance(c.value, str)
            )
    return tuple(a.arg for a in loss.args.args[:1]) if loss else ()


def _unknown(name: str, known: list[Entry]) -> str:
    names = list(dict.fromkeys(word for entry in known for word in (entry.name, entry.full_name, entry.chapter)))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    # A part of a name is often what is remembered of it.
    near = near or [word for word in names if name and name in word][:3]
    allowed = (
        f"did you mean {' or '.join(near)}?" if near else f"chapters: {', '.join(sorted({e.chapter for e in known}))};"
    )
    file = f" For a file of your own: jaxderiv check {name}" if name.endswith(".py") else ""
    return f"there is no derivation or chapter {name!r}; {allowed} `jaxderiv list` shows all.{file}"
