"""Names that tell the story: no drawers for leftovers, exports on purpose, nothing half done."""

import ast
import inspect
import io
import re
import tokenize
from importlib import import_module

import pytest

from tests.architecture.source_tree import Module, product

DRAWERS = {"base", "common", "core", "helper", "helpers", "lib", "manager", "managers", "misc"}
DRAWERS |= {"shared", "stuff", "util", "utils"}
UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|TBD|WIP)\b|not (yet )?implemented|coming soon", re.IGNORECASE
)

each_module = pytest.mark.parametrize("module", product(), ids=lambda module: str(module.path))


def exports(package: Module) -> list[str]:
    """The names in `__all__`, as written."""
    for node in package.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def export_order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: the order that the linter keeps too."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


PACKAGES = [module for module in product() if module.path.name == "__init__.py"]
EXPORTS = [(package.name, name) for package in PACKAGES for name in exports(package)]


@each_module
def test_no_drawers(module: Module) -> None:
    words = {word for part in module.path.with_suffix("").parts for word in part.split("_")}
    assert not DRAWERS & words


@each_module
def test_every_module_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_exports_are_sorted(package: Module) -> None:
    names = exports(package)
    assert names == sorted(names, key=export_order)


@pytest.mark.parametrize(("home", "name"), EXPORTS, ids=[f"{h}.{n}" for h, n in EXPORTS])
def test_exports_exist_and_are_documented(home: str, name: str) -> None:
    thing = getattr(import_module(home), name)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        written = inspect.getdoc(thing) or ""
        made_by_dataclass = written.startswith(f"{thing.__name__}(")
        assert written
        assert not made_by_dataclass


@each_module
def test_nothing_is_left_for_later(module: Module) -> None:
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    prose = [t for t in tokens if t.type in (tokenize.COMMENT, tokenize.STRING)]
    assert not [f"{module.path}:{t.start[0]}" for t in prose if UNFINISHED.search(t.string)]


@each_module
def test_no_function_is_a_stub(module: Module) -> None:
    declarations = {
        id(function)
        for node in module.classes()
        if any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        for function in node.body
    }
    stubs = [f for f in module.functions() if _is_empty(f) and id(f) not in declarations]
    assert not [f"{module.path}:{f.lineno} {f.name}" for f in stubs]


def _is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Nothing in it but a docstring, `pass`, `...` or `raise NotImplementedError`."""
    if any(ast.unparse(decorator).endswith("overload") for decorator in function.decorator_list):
        return False
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node))
        for node in function.body
    )


@each_module
def test_input_that_cannot_be_taken_gets_a_hint(module: Module) -> None:
    """Without one the command line can only point to its help."""
    raised = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    refusals = [c for c in raised if ast.unparse(c.func) in {"InvalidError", "LimitExceededError"}]
    silent = [c.lineno for c in refusals if "hint" not in {k.arg for k in c.keywords}]
    assert not silent
