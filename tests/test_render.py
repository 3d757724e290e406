"""Formulas as readable text, verdicts as text and as JSON, tables."""

import ast
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from jaxderiv.index import entries, read_page
from jaxderiv.render import tables, text
from jaxderiv.render.formula import readable
from jaxderiv.render.json import dumps, record
from jaxderiv.verify.diagnosis import Diagnosis
from jaxderiv.verify.pool import Job, Outcome
from jaxderiv.verify.verdict import Counterexample, Evidence, Mutant, Result, Verdict

AGREES = Result("ridge", "gradient", "gradient = grad(loss)", Verdict.AGREES, "no proof", kills={"sign": (3, 4)})
REFUTED = replace(
    AGREES,
    verdict=Verdict.REFUTED,
    reason="differs from the truth at 3 of 4 points",
    diagnosis=Diagnosis("scale", "twice too large"),
    counterexample=Counterexample({"w": [1.0, 2.0]}, [2.0, 4.0], [1.0, 4.0], "[0]", 2.0, 1.0, "print(1)"),
)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"$\frac1n X^\top (\sigma(Xw) - y)$", "1/n Xᵀ (σ(Xw) - y)"),
        (r"$\frac{1}{2n} \|w\|^2$", "1/(2n) ‖w‖²"),
        (r"$\frac\lambda2 w$", "λ/2 w"),
        (r"$\frac{a + b}{c}d$", "(a + b)/c d"),
        (r"$\nabla^2 L\, v$", "∇²L v"),
        (r"$\partial\ell / \partial z_i$", "∂ℓ / ∂zᵢ"),
        (r"$e^{-z}$ and $e^{-|z|}$", "e⁻ᶻ and e^(-|z|)"),
        (r"$\rho_\delta''(r)$", "ρ_δ″(r)"),
        (r"$\nabla_{W_1} L = x_{ij}$", "∇_W₁ L = xᵢⱼ"),
        (r"$\left(\dot\delta_2 \odot \hat y\right)$", "(δ̇₂ ⊙ ŷ)"),
        (r"$\mathbb{E}[x] \in \mathbb R^n$", "𝔼[x] ∈ ℝⁿ"),
        (r"$2\log x + \sqrt{ab}$", "2 log x + √ab"),
        (r"$\operatorname{prox}_{\eta g}(v)$", r"prox_(η g)(v)"),
        (r"$\begin{aligned} a \end{aligned}$", r"\begin{aligned} a \end{aligned}"),
        (r"the same as $x", "the same as $x"),
        (r"$x^{2$, $a } b$ and $\sqrt$", "x², a } b and √"),
        ("", ""),
    ],
)
def test_readable(latex, expected):
    assert readable(latex) == " ".join(expected.split())


def test_the_formulas_of_the_catalogue_can_all_be_read():
    for entry in entries():
        for function in read_page(entry.path).functions:
            formula = readable(function.docstring)
            assert formula
            assert not set(formula) & set("\\${}"), f"{entry.full_name}: {function.name}: {formula}"


def test_a_refutation_in_full():
    said = text.describe(REFUTED)
    for words in (
        "REFUTED  gradient = grad(loss)",
        "3 of 4 points",
        "[0]  formula  2",
        "truth    1",
        "twice too large",
    ):
        assert words in said
    assert said.endswith("    print(1)")


def test_an_agreement_in_full():
    said = text.describe(
        replace(AGREES, hypotheses=("A symmetric",), notes=("odd",), evidence=(Evidence("power", "much"),))
    )
    assert said.splitlines() == [
        "agrees  gradient = grad(loss)", "  no proof", "  It holds if A symmetric.", "  power: much", "  note: odd",
    ]  # fmt: skip


def test_a_false_statement_that_survives_is_said_to():
    assert "entered as a false statement" in text.describe(replace(AGREES, expected="refuted"))


def test_json_has_no_tokens_that_json_has_not():
    odd = replace(
        REFUTED,
        evidence=(Evidence("floats", "x", {"a": math.inf, "b": np.float64("nan"), "c": np.arange(2), "d": np.True_}),),
        counterexample=replace(REFUTED.counterexample, hand=[-math.inf, (math.nan,)]),
    )
    (read,) = json.loads(dumps([record(odd)]), parse_constant=pytest.fail)
    assert read["evidence"][0]["numbers"] == {"a": "Infinity", "b": "NaN", "c": [0, 1], "d": True}
    assert read["counterexample"]["hand"] == ["-Infinity", ["NaN"]]
    assert (read["verdict"], read["diagnosis"], read["cause"]) == ("refuted", "twice too large", "scale")


def test_results_travel_between_processes():
    again = pickle.loads(pickle.dumps(REFUTED))
    assert again == REFUTED
    assert again.diagnosis.cause == "scale"


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "-"), (0.0, "0.00"), (9.994, "9.99"), (9.996, "10"), (428.4, "428"), (1.2e15, "1e15"),
     (math.inf, "inf"), (math.nan, "inf")],
)  # fmt: skip
def test_errors_fit_their_column(error, shown):
    assert text.ulps(error) == shown
    assert len(shown) <= 5


def test_the_summary_fits_a_terminal(tmp_path):
    jobs = [Job(f"regression/{name}", tmp_path) for name in ("ridge", "weighted_least_squares")]
    floating = Evidence("floating point", "x", {"dtype": "float64", "hand_ulps_generic": 1e300})
    fine = Outcome(jobs[0], (AGREES, replace(REFUTED, evidence=(floating,))), seconds=123.0)
    lines = tables.summary([fine, Outcome(jobs[1], error="broken")]).splitlines()
    row, broken, total = (next(line for line in lines if name in line) for name in ("ridge", "weighted", "total"))
    assert row.split() == ["ridge", "2", ".", "1", ".", "1", "1e300", "-", "123"]
    assert "not verified" in broken
    assert total.split()[1] == "2"
    assert max(map(len, lines)) <= 80


def test_like_notes_are_shown_once(tmp_path):
    noted = [replace(AGREES, claim=name, notes=(f"autodiff is wrong (by {i} ulps)",)) for i, name in enumerate("ab")]
    said = tables.notes([Outcome(Job("c/ridge", tmp_path), tuple(noted))])
    assert "ridge, a and 1 more claim: autodiff is wrong (by 0 ulps)" in said
    assert "by 1 ulps" not in said


def test_mutants_that_change_nothing_do_not_count():
    made = [
        Mutant("minus", f"-{i}", fate) for i, fate in enumerate(["refuted"] * 3 + ["survived"] + ["equivalent"] * 5)
    ]
    said = tables.mutants([replace(AGREES, mutants=tuple(made))])
    assert "score: 3 of 4 refuted, 75.0 %" in said
    assert "survived: " in said
    assert "-3" in said
    assert tables.unproved([AGREES]).count("no proof") == 1


def test_pages_hold_code_as_it_stands():
    page = read_page(next(entry.path for entry in entries() if entry.name == "logistic"))
    assert [function.name for function in page.functions][:2] == ["loss", "pointwise"]
    hessian = next(function for function in page.functions if function.name == "hessian")
    assert (hessian.left, hessian.section) == ("jax.jacobian(gradient)", "The Hessian")
    ast.parse(f"def f():\n    {hessian.body}")
