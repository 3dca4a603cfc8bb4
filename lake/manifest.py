r"""A snapshot's manifest: the exact list of bytes that one version of a table consists of.

The text form `v1` is canonical, so that its SHA-256 identifies the snapshot for ever. This module
is pure: bytes and files are somebody else's. Format (one line each, `\n` ended, UTF-8):

    backstory-manifest v1
    table <Delta table id>
    version <Delta version>
    schema <Delta schema JSON>
    <path> TAB <size> TAB <rows> TAB <sha256> TAB <partition values as JSON, sorted keys>

Files are sorted by path; paths are relative to the table, decoded, with `/`.

>>> m = Manifest(table_id="t", version=0, schema_json="{}", files=())
>>> Manifest.from_text(m.to_text()) == m
True
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backstory.lake.errors import IntegrityError

_HEADER = "backstory-manifest v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One data file of a snapshot.

    Attributes:
        path: relative to the table's folder, decoded, never leaving it.
        size: bytes.
        rows: rows.
        sha256: 64 lowercase hex digits of the file's bytes; empty where nobody has hashed it
            (a watched foreign table).
        partition: partition values by column; empty for our own tables.
    """

    path: str
    size: int
    rows: int
    sha256: str
    partition: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        parts = self.path.split("/")  # a PurePosixPath costs more than all else of a manifest
        if not parts[0] or ".." in parts or parts[-1] in {"", "."}:
            raise IntegrityError(f"data file path {self.path!r} leaves its table")
        if "\t" in self.path or "\n" in self.path or "\r" in self.path:
            raise IntegrityError(f"data file path {self.path!r} has a control character")

    def to_line(self) -> str:
        """The file's line of the text form, without its end."""
        partition = "{}"
        if self.partition:
            partition = json.dumps(dict(self.partition), sort_keys=True, separators=(",", ":"))
        return f"{self.path}\t{self.size}\t{self.rows}\t{self.sha256}\t{partition}"

    @classmethod
    def from_line(cls, line: str) -> "ManifestFile":
        """Read one line of the text form.

        Raises:
            ValueError: the line does not have five fields of the right kinds.
        """
        path, size, rows, sha256, partition = line.split("\t")
        return cls(
            path=path,
            size=int(size),
            rows=int(rows),
            sha256=sha256,
            partition=MappingProxyType(json.loads(partition)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files, schema and identity of one version of one table."""

    table_id: str
    version: int
    schema_json: str
    files: tuple[ManifestFile, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda f: f.path)))

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(f.rows for f in self.files)

    @property
    def size(self) -> int:
        """Bytes over all files."""
        return sum(f.size for f in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of the text form, 64 hex digits: the snapshot's identity."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The canonical text form `v1`."""
        head = [
            _HEADER,
            f"table {self.table_id}",
            f"version {self.version}",
            f"schema {self.schema_json}",
        ]
        return "\n".join([*head, *(f.to_line() for f in self.files), ""])

    @classmethod
    def from_text(cls, text: str) -> "Manifest":
        """Read the canonical text form.

        Raises:
            IntegrityError: the text is not a manifest of a known format.
        """
        header, *lines = text.split("\n")
        if header != _HEADER or not lines or lines[-1] != "":
            raise IntegrityError("not a manifest of a known format (backstory-manifest v1)")
        try:
            table, version, schema, *files = lines[:-1]
            return cls(
                table_id=table.removeprefix("table "),
                version=int(version.removeprefix("version ")),
                schema_json=schema.removeprefix("schema "),
                files=tuple(ManifestFile.from_line(line) for line in files),
            )
        except ValueError as exc:
            raise IntegrityError(f"manifest does not parse: {exc}") from exc
