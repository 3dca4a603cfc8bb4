"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module

import pytest

from tests.architecture.source_tree import Module, product

WITH_EXAMPLES = [
    module for module in product() if "\n>>> " in module.text or "    >>> " in module.text
]


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: str(module.path))
def test_examples_in_docstrings_run(module: Module) -> None:
    outcome = doctest.testmod(import_module(module.name), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted
    assert not outcome.failed
