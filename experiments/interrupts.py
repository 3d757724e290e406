"""Ctrl-C ends a program with one line and exit code 130, whatever it is doing, and no file unfinished."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_unfinished: list[Path] = []


def answer() -> None:
    """From now on, end on SIGINT, unless whoever started the program has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: Any) -> None:
    # Neither print nor raise: the signal may come in the middle of a print, or in a callback of JAX's garbage
    # collection, which would swallow the exception.
    for folder in _unfinished:
        _remove(folder)
    os.write(2, b"\ninterrupted: the run in progress has written nothing; earlier results are as they were\n")
    os._exit(130)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A new folder that is gone afterwards, also after Ctrl-C."""
    _unfinished.append(folder)
    try:
        folder.mkdir()
        yield folder
    finally:
        _remove(folder)
        _unfinished.remove(folder)


@contextmanager
def ignored() -> Iterator[None]:
    """No SIGINT here: for the moves that belong together. Signals can be set in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _remove(folder: Path) -> None:
    # Imported late: this module comes before all others, and Ctrl-C is answered only once it is there.
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
