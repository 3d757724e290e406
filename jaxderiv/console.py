"""The terminal and the disk: colour, encodings, progress, and files that are either whole or not there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from jaxderiv.errors import InputError

if TYPE_CHECKING:
    from jaxderiv.verify.pool import Outcome

_CODES = {"good": "32", "bad": "1;31", "unsure": "33", "strong": "1", "faint": "2"}


def coloured(text: str, style: str) -> str:
    """Text in a style, for a terminal."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def paint(text: str, style: str) -> str:
    """Text in a style if standard output is a terminal that wants colour."""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return coloured(text, style) if wanted else text


def tolerate_encodings() -> None:
    """A character that the terminal cannot show becomes a question mark instead of an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def shows_unicode() -> bool:
    """Whether standard output can show mathematical letters; else formulas are better left in LaTeX."""
    try:
        "∇ᵀσᵢ".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class Progress:
    """One line on a terminal, rewritten in place; elsewhere a line for each derivation that is finished.

    Args:
        total: number of derivations.
        log: whether to write those lines where there is no terminal.
    """

    def __init__(self, total: int, log: bool = True, stream: TextIO | None = None):
        self.total, self.stream = total, stream or sys.stderr
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.log = log and not self.live
        self.logged = 0
        self.started = time.monotonic()

    def __call__(self, outcomes: Sequence[Outcome], running: dict[str, int]) -> None:
        if self.log:
            for outcome in outcomes[self.logged :]:
                what = "cannot be verified" if outcome.error else f"{len(outcome.results)} claims"
                self._write(f"{outcome.job.name}: {what}, {outcome.seconds:.1f} s\n")
            self.logged = len(outcomes)
        elif self.live:
            now = ", ".join(f"{name.rpartition('/')[2]} ({claims} claims)" for name, claims in running.items())
            text = f"{len(outcomes)}/{self.total} done, {time.monotonic() - self.started:.0f} s: {now}"
            self._write("\r\x1b[K" + text[: self._width() - 1])

    def clear(self) -> None:
        if self.live:
            self._write("\r\x1b[K")

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def writable(path: Path) -> Path:
    """A path to which a result can be written, so that this is known before minutes of work.

    Raises:
        InputError: if it is a directory, or lies in none or in one that is read-only.
    """
    if path.is_dir():
        raise InputError(f"--json {path}: this is a directory; give the name of a file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--json {path}: there is no directory {path.parent}; make it first")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InputError(f"--json {path}: it cannot be written; choose another place")
    return path


def write(path: Path, text: str) -> None:
    """Write a file as a whole: it is never there in part, and an interrupted run leaves what was there before."""
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()  # of a link, the file that it points to
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
