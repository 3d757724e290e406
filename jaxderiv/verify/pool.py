"""Verify several files at once, in processes of their own.

Files do not depend on one another, and much of the work (arithmetic in high precision) is Python's, which
threads would not speed up. A file runs in another process even when there is only one, so that whatever it does,
be it to exit or to crash, ends as an `Outcome`, and so that Ctrl-C is answered at once.

This module does not import JAX; its workers do.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from jaxderiv.errors import DerivationError
from jaxderiv.verify.verdict import Decision, Result


@dataclass(frozen=True)
class Job:
    """A file to be verified.

    Attributes:
        name: ``chapter/name`` in the catalogue or the ledger, or what the user calls the file.
        kind: "derivation" (of the catalogue), "file" (a user's own derivation) or "ledger".
        ids: of a file of the ledger, the statements that are wanted.
    """

    name: str
    path: Path
    kind: str = "derivation"
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        results: verdicts, in the order of the file; `decisions`: of a file of the ledger, the statements they belong
            to.
        error: why there are no results, for the person who wrote the file; nothing if there are.
        notes: what the catalogue would demand of a user's own file.
        seconds: of work, without the start of the process.
    """

    job: Job
    results: tuple[Result, ...] = ()
    decisions: tuple[Decision, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


# Called whenever something has happened, and several times a second: outcomes so far, and for each derivation
# in work its number of claims that have been examined.
Progress = Callable[[Sequence[Outcome], dict[str, int]], object]


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verify_all(
    jobs: Sequence[Job],
    effort: str = "normal",
    seed: int = 0,
    mutants: bool = False,
    processes: int | None = None,
    progress: Progress = lambda outcomes, running: None,
) -> list[Outcome]:
    """Verify all jobs; outcomes in their order, the same for any number of processes.

    Args:
        mutants: whether to change every step of every formula, too.
        processes: at most so many; by default as many as there are cores.
    """
    # Longest first, so that the last worker does not start a long one when the others have finished.
    todo = sorted(jobs, key=lambda job: job.path.stat().st_size, reverse=True)
    outcomes: dict[Job, Outcome] = {}
    workers = [_Worker(effort, seed, mutants) for _ in range(min(processes or cores(), len(jobs)))]
    try:
        while len(outcomes) < len(jobs):
            for worker in workers:
                if worker.job is None and todo:
                    worker.give(todo.pop(0))
            for pipe in wait([worker.pipe for worker in workers if worker.job], timeout=0.2):
                worker = next(worker for worker in workers if worker.pipe is pipe)
                if (outcome := worker.news()) is not None:
                    outcomes[outcome.job] = outcome
            progress(list(outcomes.values()), {worker.job.name: worker.claims for worker in workers if worker.job})
    finally:
        for worker in workers:
            worker.end()
    return [outcomes[job] for job in jobs]


class _Worker:
    """The near side of a process that verifies one job after another."""

    def __init__(self, effort: str, seed: int, mutants: bool):
        self.how = effort, seed, mutants
        self.job: Job | None = None
        self.claims = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_work, args=(far,), daemon=True)
        with _interrupts_ignored():
            self.process.start()
        far.close()

    def give(self, job: Job) -> None:
        self.job, self.claims = job, 0
        self.pipe.send((job, *self.how))

    def news(self) -> Outcome | None:
        """The outcome of the job, once there is one."""
        job = self.job
        assert job is not None
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            code = self.process.exitcode
            how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
            message = Outcome(job, error=f"the process that verified it ended with {how}")
            self._start()
        if not isinstance(message, Outcome):
            self.claims += 1
            return None
        self.job = None
        return message

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C, which a terminal sends to them too; this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection) -> None:
    # High precision is the CPU's work, and several processes would quarrel over the memory of one accelerator.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # One thread for each process, of which there are as many as cores. Besides, with few threads for several batched
    # LAPACK calls of one program, XLA (jaxlib 0.10.2) lets each of them wait for another one's, for ever.
    os.environ.setdefault("NPROC", "1")
    # Tracebacks are cut down to the user's file here; JAX's own remarks about hidden frames would confuse.
    os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")
    with contextlib.suppress(EOFError, BrokenPipeError):  # the other side is gone
        while True:
            job, effort, seed, mutants = pipe.recv()
            started = time.perf_counter()
            found = _verify(job, effort, seed, mutants, lambda: pipe.send("claim"))
            pipe.send(Outcome(job, seconds=time.perf_counter() - started, **found))


def _verify(job: Job, effort: str, seed: int, mutants: bool, progress: Callable[[], None]) -> dict[str, Any]:
    from jaxderiv.derivation import read_catalogue, read_file
    from jaxderiv.verify.decide import read_ledger

    try:
        if job.kind == "ledger":
            read: Any = read_ledger(job.name, job.ids)
        elif job.kind == "derivation":
            read = read_catalogue(job.name)
        else:
            # A module beside the file can be imported, as with `python FILE.py`; but last, so that none takes the
            # place of a library that JAX has yet to import.
            sys.path.append(str(job.path.resolve().parent))
            read = read_file(job.path)
    except DerivationError as error:
        return {"error": str(error)}
    except (Exception, SystemExit) as error:
        return {"error": in_file(error, job.path)}
    try:
        return (
            _decided(read, effort, seed, progress)
            if job.kind == "ledger"
            else _judged(read, effort, seed, mutants, progress)
        )
    except DerivationError as error:
        return {"error": f"{job.name}: {error}"}
    except Exception:
        return {
            "error": f"the verifier itself failed, which is a fault of jaxderiv:\n{traceback.format_exc().rstrip()}"
        }


def _judged(derivation: Any, effort: str, seed: int, mutants: bool, progress: Callable[[], None]) -> dict[str, Any]:
    from jaxderiv.verify.suite import verify

    return {"results": tuple(verify(derivation, effort, seed, progress, mutants)), "notes": derivation.notes}


def _decided(statements: Any, effort: str, seed: int, progress: Callable[[], None]) -> dict[str, Any]:
    from jaxderiv.verify.decide import decide

    decisions = tuple(decide(one, where, effort, seed, progress) for one, where in statements)
    return {"decisions": decisions, "results": tuple(result for one in decisions for _, result in one.checks)}


def in_file(error: BaseException, path: Path) -> str:
    """An exception as its file's author wants to see it: the frames in the file, the exception last."""
    stack = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in stack if Path(frame.filename).resolve() == path.resolve()]
    last = "".join(traceback.format_exception_only(error)).rstrip()
    return "".join(["Traceback in the file:\n", *traceback.format_list(own), last] if own else [last])
