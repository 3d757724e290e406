"""The interpreter of jaxprs: one walk for every arithmetic.

Floating-point variables hold values of an algebra; integers and booleans are plain NumPy arrays, and an equation
on these alone is evaluated by JAX itself. A float equation is either arithmetic (the algebra's), a comparison or
branch (decided by the algebra's order, ties noted), a call, or a rearrangement (`structure`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from jaxderiv.verify import atoms, linear, structure
from jaxderiv.verify.algebra import COMPARISONS, MAYBE, Algebra, Unsupported, Value

Path = tuple[int, ...]
Hook = Callable[["Interpreter", Path, JaxprEqn, list[Value], list[Value]], list[Value]]

_CALLS = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "checkpoint": "jaxpr",
    "remat2": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "call_jaxpr", "custom_lin": "call_jaxpr",
}  # fmt: skip
_UNARY = frozenset(
    "exp exp2 log log1p expm1 tanh logistic sin cos tan asin acos atan sinh cosh asinh acosh atanh sqrt rsqrt cbrt "
    "square erf erfc erf_inv lgamma digamma".split()
)
_IDENTITY = frozenset("copy copy_p reduce_precision real sharding_constraint device_put".split())
_STEPS: dict[str, Callable] = {"floor": np.floor, "ceil": np.ceil, "round": np.rint, "sign": np.sign}
_LIMIT = 100_000  # iterations of a while loop
_FEW = 1000  # numbers of an array that are looked at one by one


def trace(f: Callable, *args: Any) -> ClosedJaxpr:
    """The program of f at arrays of these shapes, in float64."""
    with jax.enable_x64(True):
        return jax.make_jaxpr(f)(*args)


def live_equations(jaxpr: Jaxpr) -> list[tuple[int, JaxprEqn]]:
    """The numbered equations that the results depend on. JAX leaves others behind, such as the comparison with the
    maximum whose derivative cancels: a tie in one of them would look like a kink."""
    needed = {id(atom) for atom in jaxpr.outvars}
    live = []
    for number, eqn in reversed(list(enumerate(jaxpr.eqns))):
        if any(id(var) in needed for var in eqn.outvars):
            live.append((number, eqn))
            needed |= {id(atom) for atom in eqn.invars}
    return live[::-1]


class Interpreter:
    """Evaluates jaxprs over an algebra.

    Attributes:
        ties: descriptions of comparisons between equal values of which at least one varies: at such a point a
            derivative may not exist.
    Args:
        algebra: the arithmetic.
        hook: called after every equation with the interpreter, the equation's path, itself, its inputs and outputs;
            what it returns takes the place of the outputs.
    Raises:
        Unsupported: on a primitive that is not known, named.
    """

    def __init__(self, algebra: Algebra, hook: Hook | None = None):
        self.algebra, self.hook = algebra, hook
        self.ties: list[str] = []

    def __call__(self, program: ClosedJaxpr, args: Sequence[Any]) -> list[Value]:
        """Evaluate; args are NumPy arrays or, for float variables, values of the algebra."""
        values = [self.lift(a, atoms.dtype(v)) for a, v in zip(args, program.jaxpr.invars, strict=True)]
        return self.evaluate(program.jaxpr, program.consts, values, ())

    def lift(self, x: Any, dtype: Any) -> Value:
        """A plain array as a value: of the algebra if it is of floats."""
        if not isinstance(x, np.ndarray | jax.Array | int | float | np.generic):
            return x
        if jnp.issubdtype(dtype, jnp.floating):
            # an object array is a value already; bfloat16 and the like are widened exactly
            return x if getattr(x, "dtype", None) == np.object_ else self.algebra.constant(np.asarray(x, np.float64))
        if jnp.issubdtype(dtype, jnp.complexfloating):
            raise Unsupported("complex numbers")
        return np.asarray(x)

    def lifted_constant(self, x: Any, var: Var) -> Value:
        """An array that the program closes over, as np.full(3, 1 / 3): its numbers may be meant as literals are."""
        if atoms.is_float(var) and isinstance(x, np.ndarray | jax.Array) and np.size(x) <= _FEW:
            return self.algebra.literal(np.asarray(x, np.float64))
        return self.lift(x, atoms.dtype(var))

    def evaluate(self, jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Value], path: Path) -> list[Value]:
        env: dict[Var, Value] = {}

        def read(atom: Any) -> Value:
            if not isinstance(atom, Literal):
                return env[atom]
            if atoms.is_float(atom):
                return self.algebra.literal(np.asarray(atom.val, np.float64))
            return np.asarray(atom.val)

        env.update(zip(jaxpr.invars, args, strict=True))
        env.update((var, self.lifted_constant(x, var)) for var, x in zip(jaxpr.constvars, consts, strict=True))
        for number, eqn in live_equations(jaxpr):
            inputs = [read(atom) for atom in eqn.invars]
            outputs = self.equation(eqn, inputs, (*path, number))
            if self.hook is not None:
                outputs = self.hook(self, (*path, number), eqn, inputs, outputs)
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def closed(self, program: ClosedJaxpr, args: Sequence[Value], path: Path) -> list[Value]:
        return self.evaluate(program.jaxpr, program.consts, args, path)

    def equation(self, eqn: JaxprEqn, inputs: list[Value], path: Path) -> list[Value]:
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params[_CALLS[name]]
            if isinstance(inner, Jaxpr):
                return self.evaluate(inner, (), inputs, path)
            return self.closed(inner, inputs, path)
        if name == "optimization_barrier":
            return inputs
        if name in _CONTROL:
            return _CONTROL[name](self, eqn, inputs, path)
        if any(jnp.issubdtype(atoms.dtype(v), jnp.complexfloating) for v in eqn.outvars):
            raise Unsupported(f"{name} (complex numbers)")
        floats_in = [atoms.is_float(atom) for atom in eqn.invars]
        if name == "iota":
            return [self.lift(_iota(eqn), eqn.params["dtype"])]
        if name in ("empty", "empty2"):
            return [self.lift(np.zeros(atoms.shape(v)), atoms.dtype(v)) for v in eqn.outvars]
        if not any(floats_in) and not any(atoms.is_float(v) for v in eqn.outvars):
            return structure.on_integers(eqn, inputs) or _discrete(eqn, inputs)
        if name in linear.RULES:
            return linear.RULES[name](self, eqn, inputs)
        if name in _ARITHMETIC:
            shape = atoms.shape(eqn.outvars[0])
            inputs = [self.spread(x, f, shape) for x, f in zip(inputs, floats_in, strict=True)]
            return [_ARITHMETIC[name](self, eqn, *inputs)]
        if name in structure.RULES:
            return structure.RULES[name](self, eqn, inputs)
        raise Unsupported(name)

    def spread(self, x: Value, is_float: bool, shape: tuple[int, ...]) -> Value:
        """An operand over the shape of the result: JAX leaves scalars and axes of size one as they are."""
        if not is_float:
            return np.broadcast_to(x, shape)
        own = self.algebra.shape(x)
        missing = len(shape) - len(own)

        def over(a: np.ndarray) -> np.ndarray:
            return np.broadcast_to(a.reshape((1,) * missing + a.shape), (*shape, *a.shape[len(own) :]))

        return x if own == shape else self.algebra.move(over, x)

    def note_ties(self, eqn: JaxprEqn, a: Value, b: Value) -> None:
        algebra = self.algebra
        if eqn.invars[0] is eqn.invars[-1] and len(eqn.invars) > 1:
            return  # x != x asks for NaN
        if (algebra.varies(a) or algebra.varies(b)) and np.any(algebra.ties(a, b)):
            self.ties.append(eqn.primitive.name)

    def compare(self, eqn: JaxprEqn, a: Value, b: Value) -> np.ndarray:
        if not atoms.is_float(eqn.invars[0]):
            return np.asarray(COMPARISONS[eqn.primitive.name](a, b), dtype=bool)
        self.note_ties(eqn, a, b)
        return self.algebra.compare(eqn.primitive.name, a, b)

    def larger(self, eqn: JaxprEqn, a: Value, b: Value, sign: int = 1) -> Value:
        self.note_ties(eqn, a, b)
        return self.algebra.larger(a, b, sign)

    def product(self, eqn: JaxprEqn, a: Value, b: Value) -> Value:
        if eqn.invars[0] is eqn.invars[1]:
            return self.algebra.integer_power(a, 2)
        return self.algebra.mul(a, b)

    def step(self, eqn: JaxprEqn, x: Value) -> Value:
        """A piecewise constant function: of the order alone."""
        name, order = eqn.primitive.name, self.algebra.order(x)
        plain = np.asarray(order, dtype=np.float64)
        if name == "sign":
            plain = np.asarray(np.asarray(order > 0, float) - np.asarray(order < 0, float))
            self.note_ties(eqn, x, self.algebra.number(0.0, x))
        elif name == "round" and int(eqn.params.get("rounding_method", 1)) == 0:
            plain = np.sign(plain) * np.floor(np.abs(plain) + 0.5)
        else:
            plain = _STEPS[name](plain)
        out = np.where(np.asarray(order != order, dtype=bool), np.nan, plain)
        return self.algebra.constant(out)

    def absolute(self, eqn: JaxprEqn, x: Value) -> Value:
        self.note_ties(eqn, x, self.algebra.number(0.0, x))
        return self.algebra.abs(x)

    def convert(self, eqn: JaxprEqn, x: Value) -> Value:
        was, now = atoms.is_float(eqn.invars[0]), atoms.is_float(eqn.outvars[0])
        if was and now:
            return x
        if now:
            return self.algebra.of_condition(x)
        order = self.algebra.order(x)
        if atoms.dtype(eqn.outvars[0]) == np.bool_:
            return np.asarray(order != 0, dtype=bool)
        return np.trunc(np.asarray(order, dtype=np.float64)).astype(atoms.dtype(eqn.outvars[0]))

    def remainder(self, eqn: JaxprEqn, a: Value, b: Value) -> Value:
        ratio = self.algebra.order(self.algebra.div(a, b))
        whole = self.algebra.constant(np.trunc(np.asarray(ratio, dtype=np.float64)))
        return self.algebra.sub(a, self.algebra.mul(whole, b))

    def pow(self, eqn: JaxprEqn, a: Value, b: Value) -> Value:
        if atoms.is_float(eqn.invars[1]):
            return self.algebra.power(a, b)
        return self.algebra.power(a, self.algebra.constant(np.asarray(b, dtype=np.float64)))

    def finite(self, eqn: JaxprEqn, x: Value) -> np.ndarray:
        if not self.algebra.ordered:
            return np.ones(self.algebra.shape(x), dtype=bool)  # values that are not are not spoken of
        order = self.algebra.order(x)
        # objects compare with infinity, and NaN with nothing
        return np.asarray((order < np.inf) & (order > -np.inf), dtype=bool)

    def clamp(self, eqn: JaxprEqn, low: Value, x: Value, high: Value) -> Value:
        return self.larger(eqn, self.larger(eqn, x, low), high, sign=-1)

    def select(self, eqn: JaxprEqn, which: Value, *cases: Value) -> Value:
        if not atoms.is_float(eqn.outvars[0]):
            return np.choose(np.asarray(which, dtype=int), cases)
        return self.algebra.select(np.asarray(which, dtype=int), cases)


def _function(interpreter: Interpreter, eqn: JaxprEqn, x: Value) -> Value:
    return interpreter.algebra.function(eqn.primitive.name, x)


def _binary(method: str) -> Callable[..., Value]:
    return lambda interpreter, eqn, a, b: getattr(interpreter.algebra, method)(a, b)


_ARITHMETIC: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(_UNARY, _function),
    **dict.fromkeys(COMPARISONS, Interpreter.compare),
    **dict.fromkeys(_STEPS, Interpreter.step),
    **dict.fromkeys(_IDENTITY, lambda interpreter, eqn, x: x),
    "add": _binary("add"),
    "add_any": _binary("add"),
    "sub": _binary("sub"),
    "mul": lambda interpreter, eqn, a, b: interpreter.product(eqn, a, b),
    "div": _binary("div"),
    "neg": lambda interpreter, eqn, x: interpreter.algebra.neg(x),
    "integer_pow": lambda interpreter, eqn, x: interpreter.algebra.integer_power(x, eqn.params["y"]),
    "pow": Interpreter.pow,
    "rem": Interpreter.remainder,
    "max": Interpreter.larger,
    "min": lambda interpreter, eqn, a, b: interpreter.larger(eqn, a, b, sign=-1),
    "clamp": Interpreter.clamp,
    "abs": Interpreter.absolute,
    "is_finite": Interpreter.finite,
    "convert_element_type": Interpreter.convert,
    "select_n": Interpreter.select,
    "stop_gradient": lambda interpreter, eqn, x: interpreter.algebra.freeze(x),
}


_INTEGER: dict[str, Callable] = COMPARISONS | {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "neg": np.negative,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert, "copy": np.asarray,
    "convert_element_type": np.asarray, "rem": np.fmod, "stop_gradient": np.asarray,
    "select_n": lambda which, *cases: np.choose(np.asarray(which, dtype=int), cases),
}  # fmt: skip
_REDUCE: dict[str, Callable] = {
    "reduce_sum": np.sum,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_and": np.all,
    "reduce_or": np.any,
}


def _iota(eqn: JaxprEqn) -> np.ndarray:
    shape, dim = eqn.params["shape"], eqn.params["dimension"]
    line = np.arange(shape[dim]).reshape([-1 if axis == dim else 1 for axis in range(len(shape))])
    return np.broadcast_to(line, shape)


def _discrete(eqn: JaxprEqn, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """An equation on integers and booleans alone: the most frequent ones in NumPy, the rest by JAX."""
    name = eqn.primitive.name
    if any(x.dtype == np.int8 and np.any(x == MAYBE) for x in inputs):
        raise Unsupported(f"{name} of a comparison that may come out either way")
    shape = atoms.shape(eqn.outvars[0])
    if name in _INTEGER:
        out = _INTEGER[name](*(np.broadcast_to(x, shape) for x in inputs))
        return [np.asarray(out, dtype=atoms.dtype(eqn.outvars[0]))]
    if name in _REDUCE:
        reduced = _REDUCE[name](inputs[0], axis=tuple(eqn.params["axes"]))
        return [np.asarray(reduced, atoms.dtype(eqn.outvars[0]))]
    if any(jnp.issubdtype(atoms.dtype(v), jax.dtypes.extended) for v in (*eqn.invars, *eqn.outvars)):
        raise Unsupported(f"{name} (random keys)")
    with jax.enable_x64(True):
        out = eqn.primitive.bind(*(jnp.asarray(x) for x in inputs), **eqn.params)
    return [np.asarray(x) for x in (out if eqn.primitive.multiple_results else [out])]


def _cond(self: Interpreter, eqn: JaxprEqn, inputs: list[Value], path: Path) -> list[Value]:
    branches = eqn.params["branches"]
    index = int(np.clip(int(inputs[0]), 0, len(branches) - 1))
    return self.closed(branches[index], inputs[1:], (*path, index))


def _while(self: Interpreter, eqn: JaxprEqn, inputs: list[Value], path: Path) -> list[Value]:
    test, body = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
    first, second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    test_consts, body_consts = inputs[:first], inputs[first : first + second]
    state = inputs[first + second :]
    for _ in range(_LIMIT):
        if not bool(self.closed(test, [*test_consts, *state], path)[0]):
            return state
        state = self.closed(body, [*body_consts, *state], path)
    raise Unsupported(f"while (more than {_LIMIT} iterations)")


def _scan(self: Interpreter, eqn: JaxprEqn, inputs: list[Value], path: Path) -> list[Value]:
    params, body = eqn.params, eqn.params["jaxpr"]
    constants, carried = params["num_consts"], params["num_carry"]
    consts, carry, rows = (
        inputs[:constants],
        inputs[constants : constants + carried],
        inputs[constants + carried :],
    )
    in_float = [atoms.is_float(v) for v in body.jaxpr.invars[constants + carried :]]
    steps, collected = range(params["length"]), []
    for step in reversed(steps) if params["reverse"] else steps:
        pick = lambda a, step=step: a[step]
        row = [self.algebra.move(pick, x) if f else np.asarray(x[step]) for x, f in zip(rows, in_float, strict=True)]
        out = self.closed(body, [*consts, *carry, *row], path)
        carry = out[:carried]
        collected.append(out[carried:])
    if params["reverse"]:
        collected.reverse()
    stacked = []
    for variable, parts in zip(eqn.outvars[carried:], zip(*collected, strict=True), strict=True):
        stack = lambda *arrays: np.stack(arrays)
        stacked.append(self.algebra.move(stack, *parts) if atoms.is_float(variable) else np.stack(parts))
    if not collected:
        stacked = [self.lift(np.zeros(atoms.shape(v)), atoms.dtype(v)) for v in eqn.outvars[carried:]]
    return [*carry, *stacked]


def _linear_solve(self: Interpreter, eqn: JaxprEqn, inputs: list[Value], path: Path) -> list[Value]:
    lengths, programs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    start = lengths.matvec + lengths.vecmat
    solve_consts = inputs[start : start + lengths.solve]
    right = inputs[sum(lengths) :]
    x = self.closed(programs.solve, [*solve_consts, *right], path)
    # JAX differentiates through the product alone and stops gradients inside of the solver; one refinement
    # x + solve(b - A x) for each order of derivatives makes x right to that order.
    for _ in range(self.algebra.orders):
        product = self.closed(programs.matvec, [*inputs[: lengths.matvec], *x], path)
        residual = [self.algebra.sub(b, ax) for b, ax in zip(right, product, strict=True)]
        step = self.closed(programs.solve, [*solve_consts, *residual], path)
        x = [self.algebra.add(old, new) for old, new in zip(x, step, strict=True)]
    return x


_CONTROL = {"cond": _cond, "while": _while, "scan": _scan, "custom_linear_solve": _linear_solve}
