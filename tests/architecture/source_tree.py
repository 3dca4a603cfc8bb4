"""The product's source as data: every module of the five packages, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "lake", "lineage", "migrations")


@dataclass(frozen=True)
class Module:
    """One source file, its path relative to the repository."""

    path: Path
    text: str = field(repr=False)

    @property
    def name(self) -> str:
        """The import name, such as `backstory.lake.manifest`."""
        parts = self.path.with_suffix("").parts
        inside = parts[2:] if parts[0] == "src" else parts
        return ".".join(("backstory", *inside)).removesuffix(".__init__")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield node

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of everything imported, at any depth."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def product() -> tuple[Module, ...]:
    """Every module that ships."""
    files = [REPOSITORY / "src/backstory/__init__.py"]
    files += [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
    return tuple(_read(path) for path in files)


@cache
def everything() -> tuple[Module, ...]:
    """Every module that ships, the tests and the scripts of the documentation."""
    files = [path for folder in ("tests", "docs") for path in (REPOSITORY / folder).rglob("*.py")]
    return (*product(), *(_read(path) for path in sorted(files)))


def _read(path: Path) -> Module:
    return Module(path.relative_to(REPOSITORY), path.read_text("utf-8"))
