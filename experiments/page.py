"""One self-contained HTML page of all runs: every figure, its claim, whether it held, the command and the time."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments import files

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #666; --line: #ddd;
  --good: #00704f; --bad: #b34000; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #161616; --faint: #9a9a9a; --line: #333;
  --good: #3fbf95; --bad: #ff8a4c; } }
body { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 66rem; padding: 1rem 1.2rem 4rem; }
nav { columns: 18rem; font-size: .9rem; } nav a { display: block; }
a { color: inherit; } section { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
h2 { margin: 0; font-size: 1.2rem; } .good { color: var(--good); } .bad { color: var(--bad); }
img { background: #fff; display: block; height: auto; margin: 1rem auto; max-width: 100%; }
.verdict { overflow-wrap: anywhere; white-space: pre-wrap; } .facts { color: var(--faint); font-size: .85rem; }
code { font-size: .85rem; }
"""


def write(out: Path, names: Iterable[str]) -> Path:
    """Make ``index.html`` from what the runs below a directory left there. Returns its path."""
    runs = [(name, *_read(out / name)) for name in names if (out / name / "results.json").exists()]
    path = out / "index.html"
    files.replace(path, page(runs))
    return path


def page(runs: list[tuple[str, dict[str, Any], bytes]]) -> str:
    """The page of (name, record, figure as SVG)."""
    held = sum(record["holds"] for _, record, _ in runs)
    links = "".join(
        f'<a href="#{name}"><span class="{_class(record)}">{"✓" if record["holds"] else "✗"}</span> {name}</a>'
        for name, record, _ in runs
    )
    body = "".join(_section(*run) for run in runs)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>jaxderiv: experiments</title><style>{_STYLE}</style></head><body>"
        f"<h1>Experiments</h1><p>{held} of {len(runs)} claims hold. Each figure comes from the script above it.</p>"
        f"<nav>{links}</nav>{body}</body></html>\n"
    )


def _section(name: str, record: dict[str, Any], svg: bytes) -> str:
    word = "holds" if record["holds"] else "fails"
    options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in record["config"].items())
    versions = ", ".join(f"{key} {value}" for key, value in record["versions"].items() if value)
    shows = ", ".join([*record["figures"], *record["ledger"]])
    device = record["device"]
    facts = f"{record['wall_seconds']:.1f} s on {device['platform']} ({device['kind']}); {versions}"
    image = base64.b64encode(svg).decode()
    return (
        f'<section id="{name}"><h2>{html.escape(name)} <span class="{_class(record)}">{word}</span></h2>'
        f"<p>{html.escape(record['claim'])}</p>"
        f'<img alt="{html.escape(record["claim"], quote=True)}" src="data:image/svg+xml;base64,{image}">'
        f'<p class="verdict">{html.escape(record["verdict"])}</p>'
        f"<p><code>python -m experiments {html.escape(name)} {html.escape(options)}</code></p>"
        f'<p class="facts">{html.escape(shows + "; " if shows else "")}{html.escape(facts)}</p></section>'
    )


def _class(record: dict[str, Any]) -> str:
    return "good" if record["holds"] else "bad"


def _read(folder: Path) -> tuple[dict[str, Any], bytes]:
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    # The page names no other file, and an XML prologue has no place inside of it.
    svg = re.sub(rb"^<\?xml.*?(?=<svg)", b"", (folder / "figure.svg").read_bytes(), flags=re.DOTALL)
    return record, svg
