"""What a derivation and its claims are. Data and the rules of their form; the evidence is `jaxderiv.verify`'s.

A derivation is a module. Every function in it is pure; ``@equals(left)`` above a function says that the function
equals ``left``, which is either what JAX made of an earlier line (``jax.grad(loss)``) or that line itself.
Symbols are matched by name: declared once with a domain, then used by every line that needs them.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Dim, Domain, Sizes, domain_of
from jaxderiv.errors import DerivationError

Formula = Callable[..., object]
Line = TypeVar("Line", bound=Formula)

# One entry per decorated function. A side table, so that `equals` returns the function itself, untouched.
_LEFT: dict[types.FunctionType, Formula] = {}


def equals(left: Formula) -> Callable[[Line], Line]:
    """Claim that the decorated function equals ``left``, as functions of the symbols that they name.

    Args:
        left: the line before, or what JAX makes of one: ``jax.grad(loss)``, ``jax.jacobian(gradient)``,
            ``jax.vmap(jax.grad(pointwise))``, or a lambda whose arguments are declared symbols.
    Raises:
        DerivationError: if left is not a function of named arguments.
    """
    if not callable(left):
        raise DerivationError(f"@equals takes a function; it was given {left!r}. Write @equals(jax.grad(loss))")

    def claim(right: Line) -> Line:
        if not inspect.isfunction(right):
            name = getattr(right, "__name__", repr(right))
            raise DerivationError(
                f"@equals stands above a {type(right).__name__} ({name}); it takes a plain def, with nothing between"
            )
        _LEFT[right] = left
        return right

    return claim


def arguments(formula: Formula) -> tuple[str, ...]:
    """The names of the symbols that a formula takes, in order."""
    return tuple(inspect.signature(formula).parameters)


@dataclass(frozen=True)
class Claim:
    """``right = left``: a hand formula and what it is claimed to equal.

    Attributes:
        derivation: name of the derivation.
        name: unique within the derivation.
        kind: "line" (left is the previous line) or "gradient", "hessian", "hvp" (left is a derivative of the loss).
        right: the hand formula; `left`: the other side as a JAX function. Both take their symbols by name.
        of: for a derivative of the loss: the names of the parameters that it is taken in (two for one block of
            the Hessian); of an hvp, all parameters.
        directions: of an hvp, the names of its directions.
        left_code: of a line, its left side as the file has it.
    """

    derivation: str
    name: str
    kind: str
    right: Formula
    left: Formula
    statement: str
    of: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    left_code: str = ""


@dataclass(frozen=True)
class Derivation:
    """A derivation, read from its module: symbols, lines and claims in the order of the file."""

    name: str
    chapter: str
    path: Path
    title: str
    text: str
    symbols: dict[str, Domain]
    loss: Formula | None
    parameters: tuple[str, ...]
    formulas: Mapping[str, Formula]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the sizes, in the order in which the symbols use them."""
        axes = (axis for domain in self.symbols.values() for axis in domain.shape)
        return tuple(dict.fromkeys(axis.name for axis in axes if isinstance(axis, Dim)))

    @property
    def loss_arguments(self) -> tuple[str, ...]:
        return arguments(self.loss) if self.loss is not None else ()


def read_file(path: str | Path) -> Derivation:
    """A derivation from a user's own file, wherever it lies. What the catalogue demands beyond form is a note here.

    Raises:
        DerivationError: if the file breaks a rule of form.
        Exception: whatever importing the file raises.
    """
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"jaxderiv_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DerivationError(f"{path} is not a Python file: a derivation is a module FILE.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # inspect finds a module's source through this table
    spec.loader.exec_module(module)
    return read(module, catalogue=False)


def read_catalogue(name: str) -> Derivation:
    """The derivation ``chapter/name`` of the catalogue."""
    return read(importlib.import_module(f"jaxderiv.catalogue.{name.replace('/', '.')}"), catalogue=True)


def read(module: types.ModuleType, catalogue: bool) -> Derivation:
    """Read a derivation from a module and check its form.

    Raises:
        DerivationError: naming file, function and cure.
    """
    return _Reader(module, catalogue).derivation()


class _Reader:
    def __init__(self, module: types.ModuleType, catalogue: bool):
        self.module, self.catalogue = module, catalogue
        self.path = Path(module.__file__ or module.__name__)
        self.name = self.path.stem
        self.notes: list[str] = []
        self.lines = {right: left for right, left in _LEFT.items() if right.__globals__ is vars(module)}
        self.functions = {
            name: value
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }

    def error(self, where: str, what: str, cure: str) -> DerivationError:
        return DerivationError(f"{self.path}: {where}: {what}. {cure}")

    def demand(self, where: str, what: str, cure: str) -> None:
        """A rule of the catalogue, which in a user's own file is only worth a note. Errors of form come first."""
        self.notes.append(f"{where}: {what}. {cure}")

    def _plain_functions(self) -> None:
        """Lines and losses are functions as they were written: not jitted, not partial, not defined twice."""
        for name, value in vars(self.module).items():
            if getattr(value, "__qualname__", "") == "equals.<locals>.claim":
                raise self.error(name, "its @equals has no left side", "Write @equals(jax.grad(loss)) above it")
            wrapped = getattr(value, "__wrapped__", None)
            if not inspect.isfunction(value) and (name == "loss" or wrapped in self.lines):
                raise self.error(
                    name, f"it is a {type(value).__name__}, not a function",
                    "Write def without a decorator but @equals: jaxderiv compiles it where that helps",
                )  # fmt: skip
        try:
            tree = ast.parse(inspect.getsource(self.module))
        except (OSError, TypeError, SyntaxError):
            return
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        for name in names:
            if names.count(name) > 1:
                raise self.error(name, "two functions have this name", "Give each its own name")

    def derivation(self) -> Derivation:
        self._plain_functions()
        text = inspect.getdoc(self.module) or ""
        if not text:
            self.demand("module", "it has no docstring", "Say what is derived, the conventions and the source")
        for right in self.lines:
            if self.functions.get(right.__name__) is not right:
                raise self.error(
                    right.__name__, "two lines have this name, or it was rebound", "Give each line its own name"
                )
        symbols = self._symbols()
        loss = self.functions.get("loss")
        if loss is None and not self.lines:
            raise self.error("module", "it has neither a loss nor a line", "Write def loss(w: Real[Array, d], ...)")
        parameters = self._parameters(loss)
        claims = tuple(self._claims(loss, parameters))
        for function in (loss, *(claim.right for claim in claims), *(claim.left for claim in claims)):
            if function is not None:
                self._known_symbols(function, symbols)
        for function in vars(self.module).values():
            if inspect.isfunction(function) and function.__module__ == self.module.__name__:
                self._names_what_it_uses(function, function.__name__, symbols)
        for right, left in self.lines.items():
            left = inspect.unwrap(left)
            if inspect.isfunction(left) and left.__globals__ is vars(self.module):
                self._names_what_it_uses(left, f"the left side of {right.__name__}", symbols)
        for right in self.lines:
            if not inspect.getdoc(right):
                self.demand(right.__name__, "it has no docstring", "The docstring is the formula, in LaTeX")
        derivation = Derivation(
            name=self.name,
            chapter=self.path.parent.name if self.catalogue else "",
            path=self.path,
            title=text.split("\n", 1)[0].rstrip("."),
            text=text,
            symbols=symbols,
            loss=loss,
            parameters=parameters,
            formulas=self.functions,
            claims=claims,
            notes=tuple(self.notes),
        )
        if loss is not None:
            self._scalar_loss(loss, derivation)
        if self.catalogue and self.notes:
            raise DerivationError("\n".join(f"{self.path}: {note}" for note in self.notes))
        return derivation

    def _symbols(self) -> dict[str, Domain]:
        symbols: dict[str, Domain] = {}
        declared_by: dict[str, str] = {}
        for function in self.functions.values():
            try:
                annotations = typing.get_type_hints(function, include_extras=True)
            except NameError as error:
                raise self.error(
                    function.__name__,
                    f"an annotation uses an unknown name ({error})",
                    "Import it from jaxderiv.domains",
                ) from None
            for name, annotation in annotations.items():
                domain = domain_of(annotation)
                if inspect.isclass(annotation) and issubclass(annotation, Domain):
                    kind = annotation.__name__
                    cure = f"Write {name}: {kind}[Array, d], or {kind}[Array, ()] for a number"
                    raise self.error(function.__name__, f"{name}: {kind} lacks a shape", cure)
                if domain is None or name == "return":
                    continue
                if symbols.setdefault(name, domain) != domain:
                    raise self.error(
                        function.__name__,
                        f"{name} is {domain!r} here and {symbols[name]!r} in {declared_by[name]}",
                        "A symbol has one domain: declare it once, or give the second one another name",
                    )
                declared_by.setdefault(name, function.__name__)
        return symbols

    def _parameters(self, loss: Formula | None) -> tuple[str, ...]:
        if loss is None:
            return ()
        names = arguments(loss)
        if not names:
            raise self.error("loss", "it has no argument", "Its first argument is the parameter")
        given = getattr(self.module, "parameters", names[:1])
        parameters = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, tuple | list) else ()
        if not parameters or len(set(parameters)) < len(parameters):
            cure = f"Write different arguments of the loss, as ({names[0]!r},)"
            raise self.error("parameters", f"it is {given!r}", cure)
        if unknown := [name for name in parameters if name not in names]:
            raise self.error(
                "parameters", f"{', '.join(unknown)} is no argument of loss{names}", "Name arguments of the loss"
            )
        return parameters

    def _known_symbols(self, function: Formula, symbols: dict[str, Domain]) -> None:
        name = getattr(function, "__name__", repr(function))
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise self.error(name, f"it takes *{parameter.name}", "A line names every symbol that it depends on")
            if parameter.name not in symbols:
                raise self.error(
                    name,
                    f"the symbol {parameter.name} is not declared",
                    f"Give it a domain where it first appears, as in {parameter.name}: Real[Array, d]",
                )

    def _names_what_it_uses(self, function: types.FunctionType, where: str, symbols: dict[str, Domain]) -> None:
        code, used = [function.__code__], set()
        while code:
            part = code.pop()
            used |= {i.argval for i in _instructions(part) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
            code += [const for const in part.co_consts if inspect.iscode(const)]
        for name in sorted(used):
            value = getattr(self.module, name, None)
            if isinstance(value, Dim):
                cure = "Take the size from an array, as in len(X) or X.shape[-1]"
                raise self.error(where, f"it computes with {name}, which is the name of a size, not a number", cure)
            if (name in symbols and not callable(value)) or isinstance(value, jax.Array | np.ndarray):
                own = ", ".join((*arguments(function), name))
                head = "lambda " + own if function.__name__ == "<lambda>" else f"def {function.__name__}({own})"
                raise self.error(where, f"it depends on {name}, which it does not name", f"Write {head}: ...")

    def _claims(self, loss: types.FunctionType | None, parameters: tuple[str, ...]) -> Iterator[Claim]:
        for line in sorted(self.lines, key=lambda line: line.__code__.co_firstlineno):
            name, before = line.__name__, self.lines[line]
            code = _left_code(line) or getattr(before, "__name__", "another function")
            yield Claim(self.name, name, "line", line, before, f"{name} = {code.replace('jax.', '')}", left_code=code)
        if loss is None:
            return
        names, several = arguments(loss), len(parameters) > 1
        position = {name: names.index(name) for name in parameters}
        wanted: dict[str, tuple[str, ...]]
        wanted = {"gradient" + (f"_{a}" if several else ""): (a,) for a in parameters}
        blocks = {"hessian" + (f"_{a}_{b}" if several else ""): (a, b) for a in parameters for b in parameters}
        for name, of in (wanted | blocks).items():
            if (right := self.functions.get(name)) is None:
                continue
            kind = "gradient" if len(of) == 1 else "hessian"
            left: Formula = jax.grad(loss, argnums=position[of[0]])
            if kind == "hessian":
                left = jax.jacobian(left, argnums=position[of[1]])
            what = f"{kind} of the loss" + (f" in {', '.join(of)}" if several else "")
            yield Claim(self.name, f"{name} ({what})", kind, right, left, f"{name} = {what}", of)
        if (hvp := self.functions.get("hvp")) is not None:
            yield self._hvp_claim(loss, hvp, parameters)
        self._no_claim_is_missed((*wanted, *blocks, "hvp"), loss)
        if missing := [name for name in wanted if name not in self.functions]:
            self.demand("module", f"it has no {' or '.join(missing)}", "Derive the gradient in every parameter")
        derived = any(name in self.functions for name in blocks) or "hvp" in self.functions
        reason = getattr(self.module, "no_hessian", None)
        if not derived and not (isinstance(reason, str) and reason.strip()):
            self.demand(
                "module", "it has no hessian and no hvp", 'Derive one, or say why not: no_hessian = "the reason"'
            )

    def _no_claim_is_missed(self, claims: tuple[str, ...], loss: types.FunctionType) -> None:
        """A function with a name like a claim's would look verified and be none."""
        for name, function in self.functions.items():
            if name in claims or function is loss or function in self.lines:
                continue
            near = difflib.get_close_matches(name, claims, n=1, cutoff=0.8)
            if near or name.startswith(("gradient", "hessian", "hvp")):
                cure = f"Did you mean {near[0]}? " if near else f"The claims are {', '.join(claims)}. "
                raise self.error(
                    name, "by its name it claims a derivative, and nothing checks it",
                    cure + "Else put @equals(...) above it, or begin its name with _",
                )  # fmt: skip

    def _hvp_claim(self, loss: Formula, hvp: Formula, parameters: tuple[str, ...]) -> Claim:
        count, names = len(parameters), arguments(hvp)
        directions = names[count : 2 * count]
        if names[:count] != parameters or len(directions) < count or set(directions) & set(arguments(loss)):
            example = ", ".join([*parameters, *("v_" + name for name in parameters), "X"])
            raise self.error(
                "hvp",
                f"its arguments are ({', '.join(names)})",
                f"Parameters, then directions, then data: hvp({example})",
            )
        left = hessian_vector_product(loss, parameters, directions)
        return Claim(
            self.name, "hvp (of the loss)", "hvp", hvp, left, "hvp = Hessian of the loss times a direction",
            parameters, directions,
        )  # fmt: skip

    def _scalar_loss(self, loss: Formula, derivation: Derivation) -> None:
        sizes: Sizes = {name: size for size, name in enumerate(derivation.dims, start=3)}
        names = arguments(loss)
        shapes = {name: derivation.symbols[name].concrete(sizes) for name in names}
        templates = [jax.ShapeDtypeStruct(shapes[name], jnp.result_type(float)) for name in names]
        try:
            out = jax.eval_shape(loss, *templates)
        except UNTRACEABLE as error:
            raise self.error("loss", "JAX cannot trace it", untraceable_words(error)) from error
        except Exception as error:
            raise self.error(
                "loss",
                f"it does not take its declared shapes {shapes} ({_first_line(error)})",
                "Mend it or its domains",
            ) from error
        if getattr(out, "shape", None) == () and not jnp.issubdtype(out.dtype, jnp.floating):
            raise self.error("loss", f"it returns {out.dtype}", "A derivative is taken of floats: return one")
        if getattr(out, "shape", None) != ():
            raise self.error(
                "loss",
                f"it returns shape {getattr(out, 'shape', out)}, not a scalar",
                "Sum or average over observations",
            )


# What JAX raises when a function needs values while it is traced, as NumPy functions and Python branches do.
UNTRACEABLE = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)


def untraceable_words(error: Exception) -> str:
    """Why JAX could not trace a function, in its author's terms."""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "it calls NumPy on its arguments; write jnp for np"
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "it branches on values with Python's if, and or or; write jnp.where"
    return "it needs the values of its arguments, as float(x) or range(x) do"


def hessian_vector_product(loss: Formula, parameters: tuple[str, ...], directions: tuple[str, ...]) -> Formula:
    """``jax.jvp(jax.grad(loss))`` in several parameters, as a function (parameters, directions, data).

    Returns one array for one parameter and a tuple, in their order, for several.
    """
    names = arguments(loss)
    positions = tuple(names.index(name) for name in parameters)
    data = tuple(name for name in names if name not in parameters)

    def product(*symbols):
        at = dict(zip((*parameters, *directions, *data), symbols, strict=True))

        def gradient(*point):
            filled = at | dict(zip(parameters, point, strict=True))
            return jax.grad(loss, argnums=positions)(*(filled[name] for name in names))

        point, along = ([at[name] for name in group] for group in (parameters, directions))
        out = jax.jvp(gradient, tuple(point), tuple(along))[1]
        return out if len(parameters) > 1 else out[0]

    symbols = (inspect.Parameter(s, inspect.Parameter.POSITIONAL_OR_KEYWORD) for s in (*parameters, *directions, *data))
    product.__signature__ = inspect.Signature(list(symbols))  # type: ignore[attr-defined]
    return product


def _left_code(line: types.FunctionType) -> str:
    """What stands in the brackets of ``@equals(...)`` above a line."""
    try:
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(line))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    for decorator in getattr(function, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1] == "equals":
            return ", ".join(map(ast.unparse, (*decorator.args, *(k.value for k in decorator.keywords))))
    return ""


@functools.lru_cache(maxsize=1024)
def _instructions(code: types.CodeType):
    import dis

    return tuple(dis.get_instructions(code))


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
