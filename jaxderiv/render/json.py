"""Verdicts as values that every JSON reader accepts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxderiv.verify.verdict import Decision, Result


def record(result: Result) -> dict[str, Any]:
    """A verdict as a dictionary: the keys of the contract first, `diagnosis` and `counterexample` when refuted."""
    out: dict[str, Any] = {
        "derivation": result.derivation,
        "claim": result.claim,
        "statement": result.statement,
        "verdict": str(result.verdict),
        "expected": result.expected,
        "as_expected": result.as_expected,
        "reason": result.reason,
        "evidence": [dataclasses.asdict(one) for one in result.evidence],
        "hypotheses": list(result.hypotheses),
        "notes": list(result.notes),
        "mutants": {kind: {"noticed": noticed, "made": made} for kind, (noticed, made) in result.kills.items()},
    }
    if result.verdict == "refuted":
        out["diagnosis"] = result.diagnosis
        out["cause"] = getattr(result.diagnosis, "cause", None)
        out["counterexample"] = result.counterexample and dataclasses.asdict(result.counterexample)
    return plain(out)


def decision(one: Decision) -> dict[str, Any]:
    """A statement of the ledger as a dictionary, with the records of its checks."""
    return {
        "id": one.id,
        "part": one.part,
        "statement": one.words,
        "verdict": one.label,
        "confirmed": one.as_expected and not one.inconclusive if one.checks else None,
        "correction": one.but,
        "where": one.where,
        "checks": [{"role": role} | record(result) for role, result in one.checks],
    }


def dumps(values: Iterable[Any]) -> str:
    """A JSON list, one value after another, without the tokens NaN and Infinity that JSON does not have."""
    return json.dumps(plain(list(values)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Dictionaries, lists, strings, booleans, finite numbers and null; other numbers become strings."""
    if isinstance(value, dict):
        return {str(key): plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inside) for inside in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
