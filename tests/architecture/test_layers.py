"""Who may import whom, and which package is the one home of a third-party library."""

import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from tests.architecture.source_tree import PACKAGES, REPOSITORY, Module, everything, product

HOMES = {
    "aiodataloader": ["api"],
    "alembic": ["lineage/store", "migrations"],
    "click": ["cli"],
    "confluent_kafka": ["lineage/openlineage", "lake/sources"],
    "deltalake": ["lake"],
    "duckdb": ["lake"],
    "graphene": ["api"],
    "graphql": ["api"],
    "msgspec": ["lake", "api"],
    "numpy": ["cli/demo"],
    "obstore": ["lake"],
    "openlineage": ["lineage/openlineage"],
    "pandas": ["lake"],
    "polars": ["lake"],
    "psycopg": ["lineage/store"],
    "pyarrow": ["lake"],
    "rfc8785": ["lineage/audit"],
    "rich": ["cli/output.py", "cli/demo"],
    "sklearn": ["cli/demo"],
    "threadpoolctl": ["cli/demo"],
    "sqlalchemy": ["lineage/store", "migrations"],
    "sqlglot": ["lake"],
    "starlette": ["api"],
    "uvicorn": ["api"],
    "yaml": ["lake"],
}


def third_party_imports(module: Module) -> list[tuple[int, str]]:
    own = {"backstory", *sys.stdlib_module_names}
    roots = [(line, name.partition(".")[0]) for line, name in module.imports()]
    return [(line, root) for line, root in roots if root not in own]


def test_layers() -> None:
    """In a process of its own: the linter switches off the loggers of the one that it runs in."""
    linter = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run(
        [linter, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("module", product(), ids=lambda module: str(module.path))
def test_each_third_party_library_has_one_home(module: Module) -> None:
    strays = [
        f"{module.path}:{line} imports {library}, whose home is {HOMES.get(library, 'not decided')}"
        for line, library in third_party_imports(module)
        if not any(module.path.is_relative_to(home) for home in HOMES.get(library, []))
    ]
    assert not strays


def test_only_serve_and_query_start_the_api() -> None:
    allowed = {PurePath("cli/commands/serve.py"), PurePath("cli/commands/query.py")}
    strays = [
        f"{module.path}:{line} imports {name}"
        for module in product()
        for line, name in module.imports()
        if name.startswith("backstory.api") and module.path.parts[0] != "api"
        if module.path not in allowed or not name.startswith("backstory.api.app.")
    ]
    assert not strays


def test_the_packages_are_never_imported_by_their_bare_names() -> None:
    strays = [
        f"{module.path}:{line} imports {name}"
        for module in everything()
        for line, name in module.imports()
        if name.partition(".")[0] in PACKAGES
    ]
    assert not strays
