"""What is declared is what is imported; the lock holds it all, hashed, and names no index."""

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import REPOSITORY, product

LOADED_BY_NAME = {"psycopg"}  # SQLAlchemy imports it for a postgresql:// URL
COMES_WITH = {"numpy": "scikit-learn"}  # whose arrays it holds


@cache
def declared() -> tuple[Requirement, ...]:
    """What the product needs, extras included."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    return tuple(Requirement(line) for line in project["dependencies"] + extras)


@cache
def developers() -> tuple[Requirement, ...]:
    """What only building and testing need."""
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    return tuple(Requirement(line) for line in groups["dev"])


@cache
def locked() -> dict[str, str]:
    """The version of each requirement in the lock."""
    text = (REPOSITORY / "requirements.lock").read_text("utf-8")
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


@cache
def imported() -> frozenset[str]:
    """The distributions that the product imports from."""
    names = {name.partition(".")[0] for module in product() for _, name in module.imports()}
    distributions = packages_distributions()
    libraries = names - {"backstory", *sys.stdlib_module_names}
    return frozenset(canonicalize_name(distributions.get(n, [n])[0]) for n in libraries)


def test_what_is_imported_is_declared() -> None:
    needed = {COMES_WITH.get(name, name) for name in imported()}
    assert needed <= {canonicalize_name(requirement.name) for requirement in declared()}


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_what_is_declared_is_imported(requirement: Requirement) -> None:
    assert canonicalize_name(requirement.name) in imported() | LOADED_BY_NAME


@pytest.mark.parametrize(
    "requirement", declared() + developers(), ids=lambda requirement: requirement.name
)
def test_the_lock_holds_what_is_declared(requirement: Requirement) -> None:
    assert locked()[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_lock_is_hashed_and_names_no_index() -> None:
    text = (REPOSITORY / "requirements.lock").read_text("utf-8")
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert not re.search(r"://|^\s*(--[\w-]*index|--find-links|-[if])\b", text, re.MULTILINE)
