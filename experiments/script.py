"""What every script shares. A script is a module of this folder whose docstring begins with its claim, and
that has

    Config            a frozen dataclass, subclass of `settings.Config`; its fields are the command line
    run(config, progress) -> Results      a NamedTuple of arrays and numbers; prints and writes nothing
    claim(results) -> str                 the docstring as a check: a verdict with numbers, or `ClaimFailed`
    plot(results) -> Figure
    FIGURES, LEDGER   the figures of the series that it shows, as "F4.1", and the claims that it bears on, as "C4.39"

``python -m experiments`` finds it there; nothing else registers it. JAX is imported only when a script runs,
so that the list and every usage error appear at once.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from experiments import files
from experiments.settings import configured, parser_of
from jaxderiv.errors import InputError

if TYPE_CHECKING:
    import jax

FOLDER = Path(__file__).resolve().parent


class Report(Protocol):
    """What is told how far a run is: with a note it is said at once, else now and then."""

    def __call__(self, done: int, total: int, note: str = "") -> object: ...


Progress = Callable[[str], Report]


class ClaimFailed(AssertionError):
    """The numbers of a run do not bear out what its script claims."""


def require(holds: Any, statement: str) -> None:
    """Raise ClaimFailed unless the condition holds. Write ``a <= b``, not ``not a > b``: NaN must fail."""
    if not bool(holds):
        raise ClaimFailed(f"not so: {statement}")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, which a terminal shows aligned too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def no_progress(label: str) -> Report:
    """For a caller who wants no progress."""
    return lambda done, total, note="": None


def progress_of(name: str, seconds: float = 2.0) -> Progress:
    """Lines on stderr, one per so many seconds, and none for a run that is shorter; and notes."""
    last, begun = time.monotonic(), set()

    def of(label: str) -> Report:
        if label in begun:
            label += ", once more without compilation"
        begun.add(label)

        def report(done: int, total: int, note: str = "") -> None:
            nonlocal last
            if note or (done < total and time.monotonic() - last >= seconds):
                last = time.monotonic()
                print(f"{name}: {label}, {note or f'{done} of {total} steps'}", file=sys.stderr, flush=True)

        return report

    return of


def summary(docstring: str | None) -> str:
    """The claim of a script: the first paragraph of its docstring, on one line."""
    return " ".join((docstring or "").strip().split("\n\n")[0].split())


def name_of(script: ModuleType) -> str:
    """The name under which a script is listed, also when it runs as ``__main__``."""
    return Path(str(script.__file__)).stem


def main(script: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Run one script from its command line.

    Returns:
        0 if the claim holds, 1 if it does not, 2 for a usage error, which is one line on stderr.
    """
    name = name_of(script)
    try:
        options = parser_of(name, summary(script.__doc__), script.Config, f"results/{name}").parse_args(argv)
        return execute(script, configured(script.Config, options), options.platform, options.out)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


def execute(script: ModuleType, config: Any, platform: str, out: Path) -> int:
    """Run a script, write its files into `out` and print the verdict.

    Returns:
        0 if the claim holds, else 1; the files are written in both cases.
    Raises:
        InputError: if the platform is not there, or `out` cannot be written.
    """
    files.writable(out)
    device = device_of(platform)
    import jax
    import matplotlib

    name, begun = name_of(script), time.perf_counter()
    with jax.default_device(device):
        results = script.run(config, progress_of(name))
    seconds = time.perf_counter() - begun
    with jax.enable_x64(True):  # as the results are
        try:
            holds, verdict = True, script.claim(results)
        except ClaimFailed as failed:
            holds, verdict = False, str(failed)
        with matplotlib.rc_context(files.STYLE):
            figure = script.plot(results)
    record = {
        "script": name,
        "claim": summary(script.__doc__),
        "figures": list(script.FIGURES),
        "ledger": list(script.LEDGER),
        "holds": holds,
        "verdict": verdict,
        "config": dataclasses.asdict(config),
        "wall_seconds": seconds,
        **files.environment(device),
        "numbers": files.plain(results._asdict()),
    }
    with matplotlib.rc_context(files.STYLE):
        files.write(out, record, figure)
    print(f"{name} {'holds' if holds else 'FAILS'} ({seconds:.1f} s, {out}): {verdict}", flush=True)
    return 0 if holds else 1


def device_of(platform: str) -> jax.Device:
    """The first device of a platform.

    Raises:
        InputError: if there is none.
    """
    import jax

    from experiments.solvers.threads import cores_as_devices

    cores_as_devices()
    if platform == "cpu":
        # Else JAX would take memory of an accelerator that the run does not use.
        jax.config.update("jax_platforms", "cpu")
    try:
        return jax.devices(platform)[0]
    except RuntimeError:
        here = ", ".join(sorted({device.platform for device in jax.devices()}))
        cure = "; JAX for it comes with jaxderiv[cuda12] or jaxderiv[cuda13]" if platform == "gpu" else ""
        raise InputError(f"--platform is {platform!r}, which JAX does not find; allowed here: {here}{cure}") from None
