"""The command line of `experiments.fit`, read and checked before JAX is imported."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from experiments.settings import PLATFORMS
from jaxderiv.errors import InputError

SMOOTH = ("newton", "newton-cg", "trust-region", "bfgs", "lbfgs", "nesterov", "gradient-descent")
LIMITS = {
    **dict.fromkeys(("newton", "newton-cg", "trust-region", "irls"), 500),
    **dict.fromkeys(("bfgs", "lbfgs"), 5000),
    **dict.fromkeys(("coordinate-descent", "admm"), 20_000),
    **dict.fromkeys(("nesterov", "gradient-descent", "fista", "ista"), 200_000),
}
DIRECT = ("qr", "cholesky", "svd")
CHOOSE = "cv"


class Model(NamedTuple):
    """What the command line needs to know of a model.

    Attributes:
        loss: what is minimised over the intercept b and the weights w, in words.
        penalty: what is added to it; "" if there is none.
        methods: the default first.
        needs_lam: whether lam has to be given, above 0.
        sums: whether the loss is a sum over rows; else a mean.
        kind: "regression", "two classes" or "classes".
    """

    loss: str
    penalty: str
    methods: tuple[str, ...]
    needs_lam: bool
    sums: bool
    kind: str = "regression"

    def objective(self, lam: float) -> str:
        return self.loss + (self.penalty if lam != 0 else "")


SQUARES = "1/2 sum (y - b - x'w)^2"
SPARSE_METHODS = ("coordinate-descent", "fista", "ista")
MODELS = {
    "linear": Model(SQUARES, "", SMOOTH + DIRECT, False, True),
    "ridge": Model(SQUARES, " + lam/2 |w|^2", (*SMOOTH, "svd"), True, True),
    "lasso": Model(SQUARES, " + lam |w|_1", (*SPARSE_METHODS, "admm"), True, True),
    "elastic-net": Model(SQUARES, " + lam (r |w|_1 + (1 - r)/2 |w|^2), r = l1_ratio", SPARSE_METHODS, True, True),
    # Newton's method may crawl where few residuals are within delta, and the Hessian is singular.
    "huber": Model(
        "sum rho_delta(y - b - x'w)",
        " + lam/2 |w|^2",
        ("trust-region", *(name for name in SMOOTH if name != "trust-region"), "irls"),
        False,
        True,
    ),
    "logistic": Model(
        "mean (log(1 + exp(b + x'w)) - y (b + x'w))", " + lam/2 |w|^2", (*SMOOTH, "irls"), False, False, "two classes"
    ),
    "softmax": Model(
        "mean (-log softmax_y(b_1 + x'w_1, ..., b_K + x'w_K))",
        " + lam/2 sum_k |w_k|^2",
        SMOOTH,
        False,
        False,
        "classes",
    ),
}

CONVENTION = (
    "lam belongs to features standardised to mean 0 and variance 1 (divisor n) and to the target in its own unit; the "
    "loss is a sum over rows for linear, ridge, lasso, elastic-net and huber and a mean for logistic and softmax. The "
    "intercept is not penalised."
)
EPILOG = f"""
What is minimised, over the intercept b and the weights w of the standardised features x:
{chr(10).join(f"  {name:12} {model.objective(1.0)}" for name, model in MODELS.items())}

{textwrap.fill(CONVENTION, 110)}
In scikit-learn, on standardised features: Ridge(alpha=lam), Lasso(alpha=lam/n), ElasticNet(alpha=lam/n),
LogisticRegression(C=1/(n*lam)). In cross-validation sums over fewer rows get as much less of lam.

Methods, the default first:
{chr(10).join(f"  {name:12} {', '.join(model.methods)}" for name, model in MODELS.items())}

Exit code 0: fitted and certified; 1: not certified, and it says why; 2: bad file or usage; 130: Ctrl-C.
"""


@dataclass(frozen=True)
class Options:
    """A checked command line. lam is NaN where it is to be chosen; delta, cv and limit are None where not given."""

    data: Path
    target: str
    model: str
    method: str | None
    lam: float
    l1_ratio: float
    delta: float | None
    cv: int | None
    seed: int
    tolerance: float
    limit: int | None
    features: tuple[str, ...]
    drop: tuple[str, ...]
    out: Path
    platform: str

    @property
    def chooses_lam(self) -> bool:
        return math.isnan(self.lam)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="fit",
        description="Fit a model to the columns of a CSV file, with a certificate of optimality.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add: Any = made.add_argument
    add("--data", type=Path, required=True, metavar="FILE.csv", help="a row of names, then rows of numbers; UTF-8")
    add("--target", required=True, metavar="COLUMN", help="what is to be explained")
    add("--model", required=True, choices=MODELS)
    add("--method", metavar="NAME", help="what finds the minimum; see below")
    add("--lam", metavar="NUMBER|cv", help="strength of the penalty; cv: chosen by cross-validation on a grid")
    add("--l1-ratio", metavar="NUMBER", help="share of the l1 norm in the elastic net, in (0, 1] (default 0.5)")
    add("--delta", metavar="NUMBER", help="Huber's threshold in the target's unit (default 1.345 robust deviations)")
    add("--cv", metavar="FOLDS", help="cross-validate: the errors on rows that a fit has not seen (5 with --lam cv)")
    add("--features", nargs="+", default=(), metavar="COLUMN", help="use these only (default: all but the target)")
    add("--drop", nargs="+", default=(), metavar="COLUMN", help="leave these out")
    add("--seed", default="0", metavar="INTEGER", help="seed of the folds (default 0)")
    add("--tolerance", default="1e-10", metavar="NUMBER", help="on the certificate (default 1e-10)")
    add("--limit", metavar="INTEGER", help="largest number of steps (default: 500 to 200000, by method)")
    add("--out", type=Path, default=Path("results/fit"), metavar="DIR", help="where the files go (default results/fit)")
    add("--platform", choices=PLATFORMS, default="cpu", help="where to compute (default cpu)")
    return made


def parse(argv: Sequence[str] | None) -> Options:
    """Read a command line.

    Raises:
        InputError: for what is unknown, no number, out of its interval, or not a matter of the model.
    """
    given = parser().parse_args(argv)
    model, name = MODELS[given.model], given.model
    for option, needed in (("l1_ratio", "elastic-net"), ("delta", "huber")):
        if getattr(given, option) is not None and name != needed:
            raise InputError(f"--{option.replace('_', '-')} belongs to --model {needed}; the model is {name}")
    if given.method is not None and given.method not in model.methods:
        raise InputError(f"method is {given.method!r}; allowed for {name}: {', '.join(model.methods)}")
    lam = _lam(name, model, given.lam)
    if given.method == "irls" and lam != 0:
        raise InputError("method is 'irls', which penalises the intercept as well; allowed: without --lam, or newton")
    cv = 5 if given.cv is None and math.isnan(lam) else given.cv
    return Options(
        data=given.data,
        target=given.target,
        model=name,
        method=given.method,
        lam=lam,
        l1_ratio=_number("l1_ratio", given.l1_ratio, above=0, most=1) if given.l1_ratio is not None else 0.5,
        delta=None if given.delta is None else _number("delta", given.delta, above=0),
        cv=None if cv is None else _whole("cv", cv, least=2),
        seed=_whole("seed", given.seed, least=0),
        tolerance=_number("tolerance", given.tolerance, above=0),
        limit=None if given.limit is None else _whole("limit", given.limit, least=1),
        features=tuple(given.features),
        drop=tuple(given.drop),
        out=given.out,
        platform=given.platform,
    )


def _lam(name: str, model: Model, text: str | None) -> float:
    if not model.penalty and text is not None:
        raise InputError("--lam is for models with a penalty; allowed: without it, or --model ridge, lasso, ...")
    if text is None:
        if model.needs_lam:
            raise InputError(f"--model {name} needs --lam: a number above 0, or cv to have it chosen")
        return 0.0
    if text == CHOOSE:
        return math.nan
    if model.needs_lam:
        return _number("lam", text, above=0, or_else="; cv; for none: --model linear")
    return _number("lam", text, least=0, or_else="; cv")


def _number(
    what: str,
    text: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    or_else: str = "",
) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (above < value < math.inf and least <= value <= most):
        lower = f" above {above:g}" if above > -math.inf else f", {least:g} or more"
        upper = f" and up to {most:g}" if most < math.inf else ""
        raise InputError(f"{what} is {text!r}; allowed: a number{lower}{upper}{or_else}")
    return value


def _whole(what: str, text: str | int, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise InputError(f"{what} is {text!r}; allowed: a whole number, {least} or more")
    return value
