"""What `experiments.fit` says and shows of a fit: text, figure and record."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from experiments import files, fit_models
from experiments.files import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from experiments.fit_errors import Errors
from experiments.fit_models import Fit
from experiments.fit_options import CONVENTION, MODELS, Options
from experiments.fit_validation import Validation
from experiments.table import Labels
from jaxderiv.metrics import classification

MOST_SHOWN = 25  # features in the figure
INTERCEPT = "(intercept)"


class Study(NamedTuple):
    """All of a run. Measures are of the fit on its own rows, and of cross-validation (None without)."""

    options: Options
    labels: Labels
    X: np.ndarray
    y: np.ndarray
    fitted: Fit
    lam: float
    errors: Errors
    inside: dict[str, Any]
    outside: dict[str, Any] | None
    validation: Validation | None
    inflation: np.ndarray | None  # of the variances, for least squares

    @property
    def certified(self) -> bool:
        return self.fitted.certified and not (self.validation and self.validation.uncertified)

    @property
    def half_width(self) -> np.ndarray:
        """Of the 95 % intervals."""
        return self.errors.standard * stats.t.ppf(0.975, self.errors.freedom)

    @property
    def columns(self) -> list[tuple[str, Any]]:
        """(class or "", index of its weights)."""
        if self.fitted.weights.ndim == 1:
            return [("", slice(None))]
        return [(name, (slice(None), k)) for k, name in enumerate(self.labels.classes)]


# Text ----------------------------------------------------------------------------------------------------------
def text(study: Study) -> str:
    """The report."""
    options, model = study.options, MODELS[study.options.model]
    n, d = study.X.shape
    lines = [f"{options.model}: {options.target!r} on {d} feature{'s' * (d > 1)}, {n} rows of {options.data}"]
    if len(study.labels.classes) == 2 and study.y.ndim == 1:
        lines.append(f"classes: {study.labels.classes[0]!r} -> 0, {study.labels.classes[1]!r} -> 1")
    elif study.labels.classes:
        lines.append("classes: " + ", ".join(map(repr, study.labels.classes)) + "; weights sum to zero over them")
    lines.append(f"minimised: {model.objective(study.lam)}")
    if study.lam > 0:
        chosen = " (chosen by cross-validation)" if options.chooses_lam else ""
        lines += textwrap.wrap(f"lam = {study.lam:.6g}{chosen}; {CONVENTION}", 100, subsequent_indent="    ")
    if options.model == "elastic-net":
        lines.append(f"l1_ratio = {options.l1_ratio:g}")
    if options.model == "huber":
        found = float(study.fitted.data["delta"]) * study.fitted.units.unit
        given = "given" if options.delta is not None else "1.345 robust standard deviations of least squares' residuals"
        lines.append(f"delta = {found:.6g}, in the target's unit ({given})")
    lines += ["", *_table(study), f"standard errors: {study.errors.basis}", "", *_measures(study), "", *_verdict(study)]
    return "\n".join(lines)


def _table(study: Study) -> list[str]:
    defined = np.isfinite(study.errors.standard).any()
    letter = "t" if np.isfinite(study.errors.freedom) else "z"
    wide = min(max(map(len, (*study.labels.names, INTERCEPT))), 40)
    lines = []
    for name, index in study.columns:
        weights, standard, half = (part[index] for part in (study.fitted.weights, study.errors.standard,
                                                            study.half_width))  # fmt: skip
        head = f"{f'class {name!r}' if name else '':{wide}}  {'coefficient':>14}"
        head += f"  {'std. error':>12}  {letter:>8}  {'95 % interval':^26}" if defined else ""
        lines.append(head + ("  variance inflation" if study.inflation is not None else ""))
        for row, (label, weight) in enumerate(zip((INTERCEPT, *study.labels.names), weights, strict=True)):
            line = f"{label:{wide}}  {weight:14.7g}"
            if defined:
                low, high = weight - half[row], weight + half[row]
                ratio = weight / standard[row] if standard[row] > 0 else np.nan
                line += f"  {standard[row]:12.5g}  {ratio:8.3f}  {low:12.5g} to {high:10.5g}"
            if study.inflation is not None and row:
                line += f"  {study.inflation[row - 1]:12.4g}"
            lines.append(line)
    return lines


def _measures(study: Study) -> list[str]:
    outside, folds = study.outside or {}, study.options.cv
    lines = [f"{'measure':50}  {'same rows':>12}" + (f"  {f'{folds} folds':>12}" if outside else "")]
    for name, value in study.inside.items():
        if name != "confusion":
            cells = [value, *([outside[name]] if name in outside else [])]
            shown = "  ".join(f"{cell:12.6g}" if np.isfinite(cell) else f"{'undefined':>12}" for cell in cells)
            lines.append(f"{name:50}  {shown}")
    if "confusion" in study.inside:
        matrix = (outside or study.inside)["confusion"]
        lines.append(f"confusion ({'folds' if outside else 'same rows'}; a row per class, a column per prediction)")
        wide = max(len(str(matrix.max())), 4)
        for name, row in zip(study.labels.classes, matrix, strict=True):
            lines.append(f"    {name[:20]:20} " + " ".join(f"{count:{wide}d}" for count in row))
    if study.validation is not None:
        best = int((study.validation.lams == study.validation.lam).argmax())
        lines.append(
            f"cross-validated {study.validation.measure}: {study.validation.mean[best]:.6g} "
            f"(standard error over folds {study.validation.deviation[best]:.2g})"
            + ("; lam was chosen by it, so that it is a little too small" if study.options.chooses_lam else "")
        )
        if study.options.chooses_lam and study.lam in study.validation.lams[[0, -1]]:
            end = "largest" if best == 0 else "smallest"
            lines.append(f"lam is the {end} of its grid: the minimum of the curve may lie beyond; see the figure")
    return lines


def _verdict(study: Study) -> list[str]:
    fitted, tolerance = study.fitted, study.options.tolerance
    sparse = study.options.model in fit_models.SPARSE
    what = "KKT residual per row" if sparse else "gradient norm of the mean loss"
    lines = [
        f"certificate: {what}, standardised, in float64: {fitted.certificate:.2e} (tolerance {tolerance:g})",
        f"objective: {fitted.value:.10g}; method {fitted.method}: {fitted.stopped} after {fitted.steps} steps",
    ]
    if np.isfinite(fitted.gap):
        lines.insert(1, f"relative duality gap: {fitted.gap:.2e} of the objective without weights")
    if sparse:
        lines.append(f"{int(np.sum(fitted.weights[1:] == 0))} of {len(study.labels.names)} weights are zero")
    return [*lines, reason(study) or "certified"]


def reason(study: Study) -> str:
    """Why a fit is not certified; empty if it is."""
    fitted, validation = study.fitted, study.validation
    if not fitted.certified:
        cure = {
            "limit": f"it stopped at the limit of {fitted.steps} steps: raise --limit or take another --method",
            "diverged": f"it diverged after {fitted.steps} steps: take another --method",
        }.get(fitted.stopped, f"it stopped after {fitted.steps} steps ({fitted.stopped}): take another --method")
        return f"NOT CERTIFIED: the certificate is above the tolerance; {cure}"
    if validation is not None and validation.uncertified:
        return (
            f"NOT CERTIFIED: {validation.uncertified} of {validation.fits} fits of the cross-validation are not; "
            "raise --limit or take another --method"
        )
    return ""


# Record --------------------------------------------------------------------------------------------------------
def record(study: Study) -> dict[str, Any]:
    """What results.json holds beside the environment."""
    labels = (INTERCEPT, *study.labels.names)

    def by_name(values: np.ndarray) -> dict[str, Any]:
        parts = {name: dict(zip(labels, values[index], strict=True)) for name, index in study.columns}
        return parts.get("", parts)

    fitted, validation, options = study.fitted, study.validation, study.options
    config = {name: str(value) if name in ("data", "out") else list(value) if isinstance(value, tuple) else value
              for name, value in dataclasses.asdict(options).items()}  # fmt: skip
    config["lam"] = "cv" if options.chooses_lam else options.lam
    numbers: dict[str, Any] = {
        "coefficients": by_name(fitted.weights),
        "standard_errors": by_name(study.errors.standard),
        "half_widths_95": by_name(study.half_width),
        "lam": study.lam,
        "objective": fitted.value,
        "certificate": fitted.certificate,
        "relative_gap": fitted.gap,
        "steps": fitted.steps,
        "rows": len(study.X),
        "measures": study.inside,
    }
    if "delta" in fitted.data:
        numbers["delta"] = float(fitted.data["delta"]) * fitted.units.unit
    if study.inflation is not None:
        numbers["variance_inflation"] = dict(zip(study.labels.names, study.inflation, strict=True))
    if validation is not None:
        numbers["cross_validation"] = {"measures": study.outside, **validation._asdict()}
    return {
        "script": "fit",
        "certified": study.certified,
        "stopped": fitted.stopped,
        "verdict": reason(study) or "certified",
        "method": fitted.method,
        "objective": MODELS[options.model].objective(study.lam),
        "convention": CONVENTION,
        "standard_errors": study.errors.basis,
        "classes": list(study.labels.classes),
        "config": config,
        "numbers": files.plain(numbers),
    }


# Figure --------------------------------------------------------------------------------------------------------
def plot(study: Study) -> Figure:
    """Coefficients; fitted against observed, ROC or confusion; errors of the cross-validation."""
    panels = 2 if study.validation is None else 3
    shown = min(len(study.labels.names), MOST_SHOWN)
    figure = Figure(figsize=(3.5 * panels, max(3.6, 1.6 + 0.19 * shown)))
    axes = figure.subplots(1, panels)
    _coefficients(axes[0], study)
    {"regression": _fitted, "two classes": _roc, "classes": _confusion}[MODELS[study.options.model].kind](
        axes[1], study
    )
    if study.validation is not None:
        _errors(axes[2], study, study.validation)
    return figure


def _coefficients(axes: Axes, study: Study) -> None:
    spread = study.fitted.units.scale
    sizes, halves = study.fitted.weights[1:].T * spread, study.half_width[1:].T * spread
    sizes, halves = np.atleast_2d(sizes), np.atleast_2d(halves)
    order = np.argsort(-np.abs(sizes).max(axis=0), kind="stable")[:MOST_SHOWN]
    colours, marks = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK), "osD^vP*X"
    columns = study.columns
    for k, (name, _) in enumerate(columns):
        places = np.arange(len(order)) + (k - (len(columns) - 1) / 2) * 0.7 / len(columns)
        width = np.where(np.isfinite(halves[k, order]), halves[k, order], 0.0)
        axes.errorbar(
            sizes[k, order], places, xerr=width, fmt=marks[k % len(marks)], color=colours[k % len(colours)],
            ms=4, lw=1.2, capsize=2, label=_words(name, 16),
        )  # fmt: skip
    axes.axvline(0.0, color=BLACK, lw=0.8)
    axes.set_yticks(range(len(order)), [_words(study.labels.names[j], 18) for j in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    kind = MODELS[study.options.model].kind
    of = {
        "regression": _words(study.options.target, 18),
        "two classes": "log odds of " + _words(study.labels.classes[-1], 14) if study.labels.classes else "",
        "classes": "a class's logit",
    }[kind]
    axes.set(xlabel=f"{of} per standard deviation", ylabel="feature")
    interval = "95 % intervals" if np.isfinite(halves).any() else "no intervals: penalised"
    if not np.isfinite(halves).any() and study.lam == 0:
        interval = "no intervals"
    some = (
        f"{len(order)} largest of {len(study.labels.names)} weights"
        if len(order) < len(study.labels.names)
        else "Weights"
    )
    axes.set_title(f"{some}, {interval}")
    if len(columns) > 1:
        axes.legend(fontsize=7, title="class", title_fontsize=7)


def _fitted(axes: Axes, study: Study) -> None:
    z, target = fit_models.scores(study.fitted.weights, study.X), _words(study.options.target, 18)
    axes.plot(z, study.y, "o", ms=3.5, color=BLUE, alpha=0.6, mec="none", label="same rows")
    seen = [z, study.y]
    if study.validation is not None:
        axes.plot(study.validation.predictions, study.y, "x", ms=4, color=VERMILION, alpha=0.6, label="unseen rows")
        axes.legend(loc="upper left", fontsize=7)
        seen.append(study.validation.predictions)
    ends = np.array([min(map(np.min, seen)), max(map(np.max, seen))])
    axes.plot(ends, ends, "--", color=BLACK, lw=1)
    axes.set(xlabel=f"fitted {target}", ylabel=f"observed {target}", title=f"R² {study.inside['R^2']:.3f}")
    if study.outside is not None:
        axes.set_title(f"R² {study.inside['R^2']:.3f}, unseen rows {study.outside['R^2']:.3f}")


def _roc(axes: Axes, study: Study) -> None:
    runs = [("same rows", fit_models.scores(study.fitted.weights, study.X), BLUE, "-", study.inside)]
    if study.validation is not None and study.outside is not None:
        runs.append(("unseen rows", study.validation.predictions, VERMILION, "--", study.outside))
    for label, z, colour, line, measures in runs:
        curve = classification.roc_curve(study.y, z)
        area = measures["area under ROC"]
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, line, color=colour, label=f"{label}: {area:.3f}")
    axes.plot([0, 1], [0, 1], ":", color=BLACK, lw=1)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set_title(f"ROC for {_words(study.labels.classes[1], 18)}")
    axes.legend(loc="lower right", fontsize=7, title="area under it", title_fontsize=7)


def _confusion(axes: Axes, study: Study) -> None:
    matrix = (study.outside or study.inside)["confusion"]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    names = [_words(name, 12) for name in study.labels.classes]
    if len(names) <= 12:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else BLACK
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set_yticks(range(len(names)), names)
    rows = "unseen rows" if study.outside is not None else "same rows"
    accuracy = (study.outside or study.inside)["accuracy"]
    axes.set(xlabel="predicted class", ylabel="class", title=f"Confusion, {rows}: {100 * accuracy:.1f} % right")


def _errors(axes: Axes, study: Study, validation: Validation) -> None:
    mean, deviation = validation.mean, validation.deviation
    if len(validation.lams) > 1:
        axes.errorbar(validation.lams, mean, yerr=deviation, fmt="o-", ms=3, lw=1.2, capsize=2, color=BLUE)
        axes.axvline(validation.lam, color=VERMILION, ls="--")
        axes.set(xscale="log", xlabel="lam")
        chosen = "chosen" if study.options.chooses_lam else "given"
        axes.set_title(f"{study.options.cv} folds: lam {validation.lam:.3g} {chosen}")
    else:
        folds = np.arange(1, validation.errors.shape[1] + 1)
        axes.plot(folds, validation.errors[0], "o", color=BLUE)
        axes.axhline(mean[0], color=VERMILION, ls="--")
        axes.set(xlabel="fold", xticks=folds if len(folds) <= 12 else [1, len(folds)])
        axes.set_title(f"{study.options.cv} folds: mean {mean[0]:.3g} (dashed)")
    axes.set_ylabel(f"{validation.measure}, unseen rows")


def _words(name: str, longest: int) -> str:
    """A name that fits, and that matplotlib does not read as a formula."""
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    return short.replace("$", r"\$")
