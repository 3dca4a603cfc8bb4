"""Every command, setting, variable, error, GraphQL type and public name is in the reference.

What there is comes from the code itself here, and not from the generator, which could forget it.
"""

import ast
import dataclasses
import json
import re
import tomllib
from functools import cache
from importlib import import_module

import click
import graphql
import pytest

import backstory
from backstory.lineage.settings import TEMPLATE, Settings
from tests.architecture.source_tree import REPOSITORY, product

PAGES = REPOSITORY / "docs/reference"


@cache
def text_of(page: str) -> str:
    return (PAGES / page).read_text("utf-8")


@cache
def headings(page: str) -> frozenset[str]:
    return frozenset(re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE))


def command_names(name: str, command: click.Command) -> list[str]:
    """The command's full name and those of all below it."""
    if not isinstance(command, click.Group):
        return [name]
    context = click.Context(command)
    below = {child: command.get_command(context, child) for child in command.list_commands(context)}
    names = [command_names(f"{name} {child}", found) for child, found in below.items() if found]
    return [name, *(found for nested in names for found in nested)]


def error_names() -> list[str]:
    """Every class that descends from `BackstoryError`, wherever it is defined."""
    classes = [node for module in product() for node in module.classes()]
    bases = {node.name: {ast.unparse(base) for base in node.bases} for node in classes}
    found = {"BackstoryError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return sorted(found)


def test_every_command_is_documented() -> None:
    main = import_module("backstory.cli.main").main
    assert set(command_names("backstory", main)) <= headings("commands.md")


@pytest.mark.parametrize("name", sorted(set(backstory.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name: str) -> None:
    assert name in headings("python.md")


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_documented(field: dataclasses.Field[object]) -> None:
    assert f"- `{field.name}`: " in text_of("settings.md")


def test_every_variable_is_documented() -> None:
    used = {name for m in product() for name in re.findall(r"\bBACKSTORY_[A-Z_]+\b", m.text)}
    assert used == set(
        re.findall(r"^\| `(BACKSTORY_\w+)` \|", text_of("settings.md"), re.MULTILINE)
    )


def test_the_settings_that_init_writes_are_the_ones_documented() -> None:
    shown = re.search(r"```toml\n(.*?)```", text_of("settings.md"), flags=re.DOTALL)
    assert shown
    assert tomllib.loads(shown[1]) == tomllib.loads(TEMPLATE)


@pytest.mark.parametrize("name", error_names())
def test_every_error_is_documented(name: str) -> None:
    assert name in headings("errors.md")


# What bounds our own work, and not what comes from outside.
INWARD = {
    "MAX_ATTEMPTS",
    "MAX_CONTRACT_RACES",
    "MAX_CONTRACT_RIVALS",
    "MAX_FILE_BYTES",
    "MAX_GROUP_BYTES",
    "MAX_GROUP_FILES",
    "MAX_LOG_COMMITS",
    "MAX_MESSAGE_LENGTH",
    "MAX_NAMED",
    "MAX_OFFSET_ATTEMPTS",
    "MAX_PROBLEMS",
    "MAX_REBASES",
    "MAX_REJECTED_SHARE",  # what holds where a contract says none
    "MAX_RIVALS",
    "MAX_RETRIES",
    "MAX_SHOWN",
    "MAX_STATISTIC_CHARS",
}


def test_every_bound_is_documented() -> None:
    written = {n for m in product() for n in re.findall(r"^(MAX_\w+)\b.* = ", m.text, re.MULTILINE)}
    shown = set(re.findall(r"\| `(MAX_\w+)` \|$", text_of("bounds.md"), re.MULTILINE))
    assert shown == written - INWARD


def test_every_graphql_type_is_documented() -> None:
    schema: graphql.GraphQLSchema = import_module("backstory.api.schema").schema.graphql_schema
    own = {name for name in schema.type_map if not name.startswith("__")}
    assert own - graphql.specified_scalar_types.keys() <= headings("graphql.md")


def test_every_facet_is_documented() -> None:
    schemas = (REPOSITORY / "lineage/openlineage/facets").rglob("*.json")
    keys = {key for path in schemas for key in json.loads(path.read_text("utf-8"))["properties"]}
    assert keys <= headings("facets.md")
