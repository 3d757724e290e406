"""Verdicts on formulas that come as functions, with example arrays instead of declared symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.derivation import UNTRACEABLE, untraceable_words
from jaxderiv.domains import Domain
from jaxderiv.errors import InputError
from jaxderiv.verify.diagnosis import Diagnosis
from jaxderiv.verify.examine import examine
from jaxderiv.verify.form import same_numbers, structure_problem
from jaxderiv.verify.question import Place, Programs, Question
from jaxderiv.verify.shrink import literal
from jaxderiv.verify.sweep import Sweep, said, sweep
from jaxderiv.verify.template import Domains, Template
from jaxderiv.verify.truth import Derivative
from jaxderiv.verify.verdict import Counterexample, Result, Verdict

Tried = tuple[Sweep, list[str]]  # a sweep under hypotheses, in words

_MOST_TRIED = 4  # hypotheses under which a refuted formula is looked at again
_MOST_HELD = 5000  # numbers that function or formula may close over
KINDS = ("gradient", "hessian", "hvp", "jacobian", "vjp")
_ONES = {"gradient": "the gradient", "hessian": "the Hessian", "hvp": "the Hessian-vector product",
         "jacobian": "the Jacobian", "vjp": "the vector-Jacobian product"}  # fmt: skip


def check_formulas(
    function: Callable, args: tuple, formulas: dict[str, Callable], domains: Any = None, seed: int = 0
) -> list[Result]:
    """A verdict on every formula; see `jaxderiv.check`, which documents arguments and errors."""
    _validate(function, args, formulas)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed is {seed!r}; allowed: a whole number from 0 on")
    template = Template(function, args)
    outputs = _outputs(function, template, formulas)
    given = template.given(domains)
    results = []
    for kind, formula in formulas.items():
        claim = _Claim(function, formula, kind, template, outputs)
        results.append(claim.malformed() or claim.verdict(given, seed))
    return results


def _validate(function: Callable, args: tuple, formulas: dict[str, Callable]) -> None:
    if not callable(function):
        raise InputError(f"check takes the function first; it was given {function!r}")
    if not args:
        raise InputError("check needs example arguments: check(loss, w, X, y, gradient=g)")
    if not formulas:
        raise InputError(f"check needs a formula to check: one of {', '.join(k + '=' for k in KINDS)}")
    for kind, formula in formulas.items():
        if not callable(formula):
            raise InputError(f"{kind}= takes a function of the same arguments as the loss; it was given {formula!r}")


def _outputs(function: Callable, template: Template, formulas: dict[str, Callable]) -> list[jax.ShapeDtypeStruct]:
    """Shapes of the function's results at the example; they decide which derivatives it has."""
    with jax.enable_x64(True):
        base = lambda *leaves: function(*template.rebuild(list(leaves)))
        try:
            result = jax.tree.leaves(_form(base, list(template.own().values())))
        except Exception as error:
            raise InputError(f"the function raises at the example arguments: {said(error)}") from error
    for x in result:
        if not isinstance(x, jax.ShapeDtypeStruct | jax.Array | np.ndarray | np.generic | int | float):
            raise InputError(f"the function returns {x!r}, a {type(x).__name__}; a derivative is taken of floats")
    shapes = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in result]
    scalar = [k for k in ("gradient", "hessian", "hvp") if k in formulas]
    if scalar and (len(shapes) != 1 or shapes[0].shape != ()):
        got = ", ".join(str(s.shape) for s in shapes) or "nothing"
        raise InputError(
            f"{scalar[0]}= is for a scalar function; this one returns shape {got}. Sum or average it, or use "
            "jacobian= or vjp="
        )
    if bad := [s for s in shapes if not jnp.issubdtype(s.dtype, jnp.floating)]:
        raise InputError(f"the function returns {bad[0].dtype}; a derivative is taken of floats")
    return shapes


def _form(f: Callable, args: list[np.ndarray]) -> Any:
    """What f returns, as shapes; what cannot be traced is run. (Each operation that is run is compiled for itself.)"""
    try:
        return jax.eval_shape(f, *args)
    except Exception:
        return f(*map(jnp.asarray, args))


class _Code(str):
    """Code inside of a printed container."""

    __repr__ = str.__str__


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "".join(c if c.isalnum() else "_" for c in name).strip("_")


class _Claim:
    """One formula and the function that it is a derivative of, flattened."""

    def __init__(self, function, formula, kind: str, template: Template, outputs: list[jax.ShapeDtypeStruct]):
        self.function, self.formula, self.kind, self.template = function, formula, kind, template
        self.outputs = outputs
        self.name = getattr(function, "__name__", "the function").replace("<lambda>", "the function")
        leaves = template.leaves
        names = [leaf.name for leaf in leaves]
        of = tuple(i for i, leaf in enumerate(leaves) if leaf.parameter)
        self.narrow = {np.dtype(leaf.value.dtype) for leaf in leaves if leaf.parameter}
        self.extra: list[str] = []
        self.fixed: list[str] = []  # shapes that the function takes and the formula does not
        if kind == "hvp":
            self.extra = [f"v{names[i][len(template.names[0]) :]}" if len(of) > 1 else "v" for i in of]
        if kind == "vjp":
            self.extra = [f"cotangent[{i}]" if len(outputs) > 1 else "cotangent" for i in range(len(outputs))]
        along = tuple(range(len(names), len(names) + len(self.extra)))
        columns = of if kind in ("hessian", "hvp") else ()
        self.what = Derivative(kind, of, columns, along)
        self.count = len(names)
        self.names = (*names, *self.extra)
        self.question = Question(
            derivation=self.name, claim=kind,
            statement=f"{kind} is {_ONES[kind]} of {self.name} in {template.names[0]}",
            leaves=self.names, floating=frozenset(leaf.name for leaf in leaves if leaf.is_float) | set(self.extra),
            hand=self._hand, auto=self._auto, base=self._base, what=self.what, left=f"{_ONES[kind]} of {self.name}",
            domains={}, script=self._script, narrow=frozenset(self.narrow),
        )  # fmt: skip

    def _script(self, values: dict[str, np.ndarray]) -> str:
        """Code that prints formula and autodiff; function and formula are the user's own."""
        lines = ["import jax, jax.numpy as jnp", 'jax.config.update("jax_enable_x64", True)']
        code = [_Code(literal(values[name])) for name in self.names]
        args, extra = self.template.rebuild(code[: self.count]), code[self.count :]
        names = self.template.names
        lines += [f"{_identifier(n)} = {a!r}" for n, a in zip(names, args, strict=True)]
        f = getattr(self.function, "__name__", "function").replace("<lambda>", "function")
        hand = getattr(self.formula, "__name__", self.kind).replace("<lambda>", self.kind)
        x, *rest = map(_identifier, names)
        more = "".join(f", {r}" for r in rest)
        if self.kind == "hvp":
            lines.append(f"v = {jax.tree.unflatten(self.template.trees[0], extra)!r}")
            auto = f"jax.jvp(lambda {x}: jax.grad({f})({x}{more}), ({x},), (v,))[1]"
            return "\n".join([*lines, f"print({hand}({x}, v{more}))  # the formula", f"print({auto})  # autodiff"])
        if self.kind == "vjp":
            lines.append(f"cotangent = {extra[0]!r}" if len(extra) == 1 else f"cotangent = {tuple(extra)!r}")
            auto = f"jax.vjp(lambda {x}: {f}({x}{more}), {x})[1](cotangent)[0]"
            return "\n".join(
                [*lines, f"print({hand}({x}, cotangent{more}))  # the formula", f"print({auto})  # autodiff"]
            )
        transform = {"gradient": "grad", "hessian": "hessian", "jacobian": "jacobian"}[self.kind]
        lines.append(f"print({hand}({x}{more}))  # the formula")
        return "\n".join([*lines, f"print(jax.{transform}({f})({x}{more}))  # autodiff"])

    # Flat functions of the leaves ------------------------------------------------------------------------------
    def _base(self, *leaves):
        return self.function(*self.template.rebuild(list(leaves[: self.count])))

    def _split(self, leaves):
        args = self.template.rebuild(list(leaves[: self.count]))
        extra = list(leaves[self.count :])
        if self.kind == "hvp":
            extra = [jax.tree.unflatten(self.template.trees[0], extra)]
        elif self.kind == "vjp":
            tree = jax.tree.structure(jax.eval_shape(self.function, *args))
            extra = [jax.tree.unflatten(tree, extra)]
        return args, extra

    def _hand(self, *leaves):
        args, extra = self._split(leaves)
        return self.formula(args[0], *extra, *args[1:])

    def _auto(self, *leaves):
        args, extra = self._split(leaves)
        f, x, rest = self.function, args[0], args[1:]
        if self.kind == "gradient":
            return jax.grad(f)(x, *rest)
        if self.kind == "hessian":
            return jax.hessian(f)(x, *rest)
        if self.kind == "jacobian":
            return jax.jacobian(f)(x, *rest)
        if self.kind == "vjp":
            return jax.vjp(lambda x: f(x, *rest), x)[1](extra[0])[0]
        return jax.jvp(lambda x: jax.grad(f)(x, *rest), (x,), tuple(extra))[1]

    # Form ------------------------------------------------------------------------------------------------------
    def malformed(self) -> Result | None:
        """A verdict on a result of the wrong structure, shape or dtype: refuted, never broadcast.

        Raises:
            InputError: if the formula raises at the example arguments.
        """
        with jax.enable_x64(True):
            values = self._extended(self.template.own(), np.random.default_rng(0))
            leaves = [np.asarray(values[name]) for name in self.names]
            try:
                form = _form(self._hand, leaves)
            except Exception as error:
                raise InputError(f"{self.kind}= raises at the example arguments: {said(error)}") from error
            try:
                want = jax.eval_shape(self._auto, *leaves)
            except UNTRACEABLE as error:
                return self._inconclusive(f"{self.name} cannot be traced: {untraceable_words(error)}")
            except Exception as error:
                raise InputError(f"JAX cannot differentiate {self.name}: {said(error)}") from error
            problem = structure_problem(form, want, self.narrow)
            if problem is None:
                return None
            got, true = (jax.tree.leaves(f(*map(jnp.asarray, leaves))) for f in (self._hand, self._auto))
        note = same_numbers(got, [np.asarray(x) for x in true])
        example = Counterexample(
            {n: np.asarray(v).tolist() for n, v in values.items()},
            [np.asarray(x).tolist() for x in got], [np.asarray(x).tolist() for x in true], "",
            float("nan"), float("nan"),
            self._script(values),
        )  # fmt: skip
        return Result(
            self.name, self.kind, self.question.statement, Verdict.REFUTED, problem,
            diagnosis=Diagnosis("layout", problem + note), counterexample=example,
        )  # fmt: skip

    # Verdict ---------------------------------------------------------------------------------------------------
    def verdict(self, given: Domains, seed: int) -> Result:
        try:
            fine, coarse = self.template.refined(self._accepts), self.template
            shapes = fine.shapes(self._both_accept)
            self.fixed = [label for label in fine.shapes(self._accepts) if label not in shapes]
            if "coprime sizes" in shapes:
                self.template = fine
            else:  # perhaps the formula wants equal sizes where the function does not
                shapes = coarse.shapes(self._both_accept)
        except Exception as error:
            return self._inconclusive(f"the function cannot be traced ({said(error)})")
        if "coprime sizes" not in shapes:
            shapes = {"the example's shape": {}}
        if (held := self._held()) > _MOST_HELD:
            return self._inconclusive(
                f"function and formula hold {held} numbers of their own: pass the data as arguments of both, so that "
                "smaller draws can stand for them"
            )
        free = self._sweep(shapes, given, seed)
        if _good(free):
            return self._finish(free, [f"{n} {d.words}" for n, d in given.items()])
        under, refuted = self._under_hypotheses(shapes, given, seed)
        if under is not None:
            return self._finish(*under)
        if not free.refuting and not free.unsupported and not free.of("agrees", "generic", "own") and not refuted:
            close = self._sweep_near(seed)
            if _good(close) or close.refuting:
                return self._finish(close, ["values near the example's"])
        # Wrong for reals and wrong under every hypothesis: a hypothesis may still make the mistake recognisable.
        tried: list[Result] = []
        for found, words in ((free, []), *refuted) if free.refuting or refuted else ():
            if found.refuting:
                tried.append(self._finish(found, words))
                if getattr(tried[-1].diagnosis, "cause", "unknown") != "unknown":
                    return tried[-1]
        return tried[0] if tried else self._finish(free, [])

    def _held(self) -> int:
        """How many numbers function and formula close over."""
        values = self._extended(self.template.own(), np.random.default_rng(0))
        args = [values[name] for name in self.names]
        programs = [Programs().get(f, args) for f in (self._base, self._hand) if not self._opaque(f, args)]
        return max((sum(np.size(c) for c in program.consts) for program in programs), default=0)

    @staticmethod
    def _opaque(f: Callable, args: list[np.ndarray]) -> bool:
        try:
            jax.eval_shape(f, *args)
        except Exception:
            return True
        return False

    def _accepts(self, leaves: list) -> bool:
        with jax.enable_x64(True):
            try:
                out = jax.tree.leaves(jax.eval_shape(self._base, *leaves))
            except Exception:
                return False
        return len(out) == len(self.outputs) and all(
            len(o.shape) == len(s.shape) for o, s in zip(out, self.outputs, strict=True)
        )

    def _both_accept(self, leaves: list) -> bool:
        """Whether function and formula take these sizes, and the formula's results have the right shapes there. (That
        it does so at the example's own sizes has been seen.)"""
        if not self._accepts(leaves):
            return False
        values = {n: np.ones(x.shape, x.dtype) for n, x in zip(self.names, leaves, strict=False)}
        full = self._extended(values, np.random.default_rng(0))
        with jax.enable_x64(True):
            templates = [jax.ShapeDtypeStruct(np.shape(full[n]), full[n].dtype) for n in self.names]
            want = jax.eval_shape(self._auto, *templates)
            try:
                got = jax.eval_shape(self._hand, *templates)
            except UNTRACEABLE:
                return True
            except Exception:
                return False
        return structure_problem(got, want, self.narrow) is None

    def _extended(self, values: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """With directions or cotangents, drawn."""
        if not self.extra:
            return values
        if self.kind == "hvp":
            shapes = [np.shape(values[self.names[i]]) for i in self.what.of]
        else:
            with jax.enable_x64(True):
                leaves = [jax.ShapeDtypeStruct(np.shape(values[n]), values[n].dtype) for n in self.names[: self.count]]
                shapes = [o.shape for o in jax.tree.leaves(jax.eval_shape(self._base, *leaves))]
        drawn = {name: rng.integers(-128, 129, shape) / 64.0 for name, shape in zip(self.extra, shapes, strict=True)}
        return values | drawn

    def _sweep(self, shapes, domains: Domains, seed: int, edges: bool = True) -> Sweep:
        rng = np.random.default_rng(seed + 1)
        extend = lambda p: Place(p.label, p.kind, p.sizes, self._extended(p.values, rng))
        places = (extend(p) for p in self.template.places(shapes, domains, seed, edges))
        least = {dimension.name: self.template.least(dimension) for dimension in self.template.dimensions}
        return sweep(replace(self.question, domains=domains, least=least), places, Programs(), seed)

    def _sweep_near(self, seed: int) -> Sweep:
        rng = np.random.default_rng(seed + 2)
        places = [
            Place(f"near the example, point {i + 1}", "generic", self.template.named({}),
                  self._extended(self.template.near(rng), rng))
            for i in range(4)
        ]  # fmt: skip
        return sweep(self.question, places, Programs(), seed)

    def _under_hypotheses(self, shapes, given: Domains, seed: int) -> tuple[Tried | None, list[Tried]]:
        """The weakest restriction among those that the example suggests under which the claim holds, if there is
        one, and those under which it is refuted as well."""
        suggested = {n: d for n, d in self.template.suggestions().items() if n not in given}
        singles = [{name: domain} for name, found in suggested.items() for domain in found]
        joint = [{n: found[level] for n, found in suggested.items()} for level in (0, -1)] if len(suggested) > 1 else []
        refuted: list[Tried] = []
        home = dict(list(shapes.items())[:1])
        for trial in (*singles, *joint):
            tried = self._sweep(home, given | trial, seed, edges=False)
            if not _good(tried):
                if tried.refuting and len(refuted) < _MOST_TRIED:
                    refuted.append((tried, _words(trial)))
                continue
            for name in list(trial):
                fewer = {n: d for n, d in trial.items() if n != name}
                if fewer and _good(self._sweep(home, given | fewer, seed, edges=False)):
                    trial = fewer
            full = self._sweep(shapes, given | trial, seed)
            if _good(full):
                return (full, _words(trial)), []
        return None, refuted

    def _finish(self, found: Sweep, hypotheses: list[str]) -> Result:
        result = examine([found])[0]
        notes = list(result.notes)
        if self.fixed:
            notes.append(
                f"the formula works at the example's sizes but not at others: it fails at {', '.join(self.fixed)}"
            )
        if self.template.large:
            notes.append("the example is too large for exact arithmetic: its shapes were varied, its values not used")
        dtypes = {str(leaf.value.dtype) for leaf in self.template.leaves if leaf.is_float and leaf.value.ndim}
        if len(dtypes) > 1:
            notes.append(f"the example arrays mix {' and '.join(sorted(dtypes))}; all are compared as float64")
        if result.verdict is Verdict.INCONCLUSIVE and "identically zero" in result.reason:
            result = replace(result, reason=f"{result.reason} (does {self.name} depend on {self.template.names[0]}?)")
        if result.verdict is Verdict.REFUTED and hypotheses:
            notes.append(f"refuted also if {' and '.join(hypotheses)}")
            hypotheses = []
        if not self.template.dimensions:
            notes.append("every size is 1 in the example: the sizes were not varied")
        return replace(result, hypotheses=tuple(hypotheses), notes=tuple(notes))

    def _inconclusive(self, reason: str) -> Result:
        return Result(self.name, self.kind, self.question.statement, Verdict.INCONCLUSIVE, reason)


def _good(s: Sweep) -> bool:
    return not s.refuting and not s.unsupported and bool(s.of("agrees", "generic"))


def _words(domains: dict[str, Domain]) -> list[str]:
    return [f"{name} {domain.words}" for name, domain in domains.items()]
