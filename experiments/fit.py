"""Fit a model to your own data: a CSV file, a target, a model, and a certificate that the minimum was found.

    python experiments/fit.py --data file.csv --target column --model linear|ridge|lasso|elastic-net|huber|logistic|
        softmax [--method NAME] [--lam NUMBER|cv] [--cv 5] [--out DIR]

It prints coefficients in the units of the file, their standard errors where they are defined, the certificate and
measures on the same rows and, with --cv, on rows that a fit has not seen. It leaves figure.svg, figure.png and
results.json. Features are standardised inside; ``--help`` says what lam belongs to and lists the methods.

Exit code 0: fitted and certified; 1: not certified, and it says why; 2: a bad file or usage, in one line; 130: Ctrl-C.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments import files, fit_options, table
from experiments.fit_options import MODELS, Options
from experiments.table import Labels
from jaxderiv.errors import InputError

if TYPE_CHECKING:
    from experiments.fit_report import Study


def main(argv: Sequence[str] | None = None) -> int:
    """What the docstring of this module says. Returns the exit code."""
    try:
        return execute(fit_options.parse(argv))
    except InputError as error:
        print(f"fit: {error}", file=sys.stderr)
        return 2


def execute(options: Options) -> int:
    """Read, fit, print and write.

    Raises:
        InputError: for a bad file, data without a minimum, or a place that cannot be written.
    """
    labels, X, y = _read(options)
    files.writable(options.out)
    device = script.device_of(options.platform)
    import jax
    import matplotlib

    from experiments import fit_report

    begun = time.perf_counter()
    with jax.default_device(device), jax.enable_x64(True):
        study = _study(options, labels, X, y)
    record = {**fit_report.record(study), "wall_seconds": time.perf_counter() - begun, **files.environment(device)}
    with matplotlib.rc_context(files.STYLE):
        files.write(options.out, record, fit_report.plot(study))
    print(f"{fit_report.text(study)}\n{options.out}: figure.svg, figure.png, results.json", flush=True)
    return 0 if study.certified else 1


def _read(options: Options) -> tuple[Labels, np.ndarray, np.ndarray]:
    """What the columns are called, the features, and the target as it is fitted."""
    sheet, kind = table.read(options.data), MODELS[options.model].kind
    names, X = table.features(sheet, options.target, options.features, options.drop)
    if kind == "regression":
        return Labels(options.target, names, ()), X, table.numeric_target(sheet, options.target)
    classes, codes = table.classes(sheet, options.target, 2 if kind == "two classes" else table.MOST_CLASSES)
    y = codes.astype(float) if kind == "two classes" else np.eye(len(classes))[codes]
    return Labels(options.target, names, classes), X, y


def _study(options: Options, labels: Labels, X: np.ndarray, y: np.ndarray) -> "Study":
    from experiments import fit_errors, fit_models, fit_report, fit_validation
    from experiments.fit_existence import checked_fit
    from jaxderiv.metrics.regression import variance_inflation_factors

    lam, fitted, validation, outside = options.lam, None, None, None
    if not options.chooses_lam:
        # Before the folds: what is wrong with all rows shall not be said of some.
        fitted = checked_fit(options, X, y, lam, labels)
    if options.cv is not None:
        report = script.progress_of("fit")("cross-validation")
        validation = fit_validation.validate(options, X, y, labels, report)
        lam, outside = validation.lam, fit_validation.measures(options.model, y, validation.predictions)
    if fitted is None:
        fitted = checked_fit(options, X, y, lam, labels)
    linear, d = options.model == "linear", X.shape[1]
    predicted = fit_models.scores(fitted.weights, X)
    return fit_report.Study(
        options=options,
        labels=labels,
        X=X,
        y=y,
        fitted=fitted,
        lam=lam,
        errors=fit_errors.standard_errors(options.model, lam, fitted),
        inside=fit_validation.measures(options.model, y, predicted, d if linear else None),
        outside=outside,
        validation=validation,
        inflation=variance_inflation_factors(X) if linear and d > 1 else None,
    )


if __name__ == "__main__":
    sys.exit(main())
