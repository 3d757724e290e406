"""The configuration of a script: a frozen dataclass of numbers whose fields are its command line."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from jaxderiv.errors import InputError

PLATFORMS = ("cpu", "gpu", "tpu")


def option(
    default: float,
    meaning: str,
    *,
    quick: float | None = None,
    least: float | None = None,
    above: float | None = None,
) -> Any:
    """A field of a `Config`: a number, and a whole one if its default is.

    Args:
        default: the value.
        meaning: what the number is, with its unit.
        quick: the value under --quick, where that is another.
        least: the smallest value allowed.
        above: a bound that is itself not allowed.
    """
    return dataclasses.field(
        default=default, metadata={"meaning": meaning, "quick": quick, "least": least, "above": above}
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """What every script is configured by; scripts add their own fields.

    Raises:
        InputError: for a value that is not allowed, naming field, value and what is allowed.
    """

    seed: int = option(0, "seed of all that is drawn", least=0)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, least, above = getattr(self, field.name), field.metadata["least"], field.metadata["above"]
            good = isinstance(value, int if _whole(field) else int | float) and math.isfinite(value)
            if not (good and (least is None or value >= least) and (above is None or value > above)):
                raise InputError(f"{field.name} is {value!r}; allowed: {allowed(field)}")


AnyConfig = TypeVar("AnyConfig", bound=Config)


def quick(config: type[AnyConfig], **given: Any) -> AnyConfig:
    """The configuration of --quick: smaller numbers that still bear out the claim; given ones take
    precedence.
    """
    fields = dataclasses.fields(config)
    smaller = {field.name: field.metadata["quick"] for field in fields if field.metadata["quick"] is not None}
    return config(**{**smaller, **given})


def allowed(field: dataclasses.Field) -> str:
    """The values that a field takes, in words."""
    kind = "a whole number" if _whole(field) else "a number"
    if field.metadata["above"] is not None:
        return f"{kind} above {field.metadata['above']:g}"
    return kind if field.metadata["least"] is None else f"{kind}, {field.metadata['least']:g} or more"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def parser_of(prog: str, description: str, config: type[Config], out: str) -> argparse.ArgumentParser:
    """The command line of a script: what all take, and one option per field of its configuration."""
    parser = _Parser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "--out", type=Path, default=Path(out), metavar="DIR", help=f"where the files go (default {out})"
    )
    parser.add_argument("--platform", choices=PLATFORMS, default="cpu", help="where to compute (default cpu)")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, a few seconds")
    for field in dataclasses.fields(config):
        smaller = "" if field.metadata["quick"] is None else f"; quick {field.metadata['quick']:g}"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            metavar="INTEGER" if _whole(field) else "NUMBER",
            help=f"{field.metadata['meaning']}: {allowed(field)} (default {field.default:g}{smaller})",
        )
    return parser


def configured(config: type[AnyConfig], options: argparse.Namespace) -> AnyConfig:
    """The configuration that a parsed command line asks for.

    Raises:
        InputError: for a value that is no number or not allowed.
    """
    given: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        text = getattr(options, field.name, None)
        if text is not None:
            try:
                given[field.name] = (int if _whole(field) else float)(text)
            except ValueError:
                raise InputError(f"{field.name} is {text!r}; allowed: {allowed(field)}") from None
    return quick(config, **given) if options.quick else config(**given)


def _whole(field: dataclasses.Field) -> bool:
    return isinstance(field.default, int)
