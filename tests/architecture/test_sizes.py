"""Small things: modules, functions and classes that a reader can hold in the head."""

import ast
import pathlib
import statistics

import pytest

from tests.architecture.source_tree import Module, product

MODULE_LINES = 500
FUNCTION_LINES = 60
FUNCTION_MEDIAN = 10
FUNCTION_P90 = 30
PUBLIC_METHODS = 12


def function_lengths() -> dict[str, int]:
    """Lines of every function, whole `def`, by `path:line name`."""
    return {
        f"{module.path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno)
        - node.lineno
        + 1
        for module in product()
        for node in module.functions()
    }


@pytest.mark.parametrize("module", product(), ids=lambda module: str(module.path))
def test_modules_stay_short(module: Module) -> None:
    lines = module.text.count("\n")
    assert lines <= MODULE_LINES


def test_no_function_is_long() -> None:
    assert not {name: n for name, n in function_lengths().items() if n > FUNCTION_LINES}


def test_most_functions_are_short() -> None:
    lengths = list(function_lengths().values())
    assert statistics.median(lengths) <= FUNCTION_MEDIAN
    assert statistics.quantiles(lengths, n=10)[-1] <= FUNCTION_P90


def standard_bases(node: ast.ClassDef) -> list[type]:
    """The classes of `pathlib` that a class is one of: what it has as they do is known."""
    names = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return [getattr(pathlib, name) for name in names if hasattr(pathlib, name)]


def test_classes_have_few_public_methods() -> None:
    methods = {
        f"{module.path}:{node.lineno} {node.name}": [
            child.name
            for child in node.body
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if not child.name.startswith("_")
            if not any(hasattr(base, child.name) for base in standard_bases(node))
        ]
        for module in product()
        for node in module.classes()
    }
    assert not {name: found for name, found in methods.items() if len(found) > PUBLIC_METHODS}
