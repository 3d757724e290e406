"""Imports point downwards, and what has to be fast does not import JAX."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxderiv

PACKAGE = Path(jaxderiv.__file__).parent
# A module may import from its own layer and from those before it. What is not named here stands beside the
# layers: it may be imported by none of them and imports only the first.
LAYERS = [("errors",), ("domains",), ("derivation",), ("theorem", "attachment"),
          ("catalogue", "index", "metrics", "optimisers", "data"),
          ("ledger",), ("kernels",), ("verify",), ("render",),
          ("report", "console", "compiled"), ("doctor",), ("cli",), ("__main__",)]  # fmt: skip
LEVEL = {part: level for level, layer in enumerate(LAYERS) for part in layer}
# The package's own file hands out `check` on demand, from near the top.
FILES = {
    ".".join(["jaxderiv", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


def imports(path):
    """Modules that a file imports, also inside of functions, but not for a type checker's eyes alone."""
    todo, found = [ast.parse(path.read_text())], set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        else:
            todo += ast.iter_child_nodes(node)
    return found


def part(module):
    return module.split(".")[1] if module.count(".") else ""


def own(modules):
    return {module for module in modules if module in FILES}


@pytest.mark.parametrize("module", FILES)
def test_imports_point_downwards(module):
    for imported in own(imports(FILES[module])):
        if part(module) in LEVEL:
            assert LEVEL.get(part(imported), len(LAYERS)) <= LEVEL[part(module)], f"{module} imports {imported}"
        else:
            assert part(imported) in (part(module), *LAYERS[0]), f"{module} imports {imported}"


def test_every_layer_but_the_planned_one_is_there():
    assert {name for name in LEVEL if name != "kernels"} <= {part(module) for module in FILES}


def test_there_are_no_cycles():
    graph = {module: own(imports(path)) - {module} for module, path in FILES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [module for module in FILES if part(module) == "catalogue"])
def test_the_catalogue_is_mathematics(module):
    foreign = {name.split(".")[0] for name in imports(FILES[module])} - {"jax", "jaxderiv", "math", "functools"}
    assert not foreign


@pytest.mark.parametrize("module", [module for module in FILES if part(module) == "ledger"])
def test_the_ledger_needs_nothing_to_read_but_mathematics(module):
    standard = {
        "collections",
        "dataclasses",
        "fractions",
        "functools",
        "itertools",
        "math",
        "typing",
        "warnings",
        "__future__",
    }
    numerical = {"jax", "jaxderiv", "numpy", "scipy", "optax", "mpmath"}
    foreign = {name.split(".")[0] for name in imports(FILES[module])} - standard - numerical
    assert not foreign


def test_nothing_of_the_package_imports_the_experiments():
    assert not {m for m, path in FILES.items() for name in imports(path) if name.split(".")[0] == "experiments"}


@pytest.mark.parametrize(
    "code", ["import jaxderiv", "import jaxderiv.cli", "import jaxderiv.verify.pool, jaxderiv.index",
             "from jaxderiv.cli import main; main(['list'])"]
)  # fmt: skip
def test_no_jax_where_an_answer_has_to_be_quick(code):
    slow = {"jax", "numpy", "mpmath", "optax", "matplotlib"}
    left = f"import sys; sys.exit(', '.join(sorted({slow} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", f"{code}; {left}"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
