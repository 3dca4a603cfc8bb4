"""What a command is offered: the exact files of its run's inputs, as JSON that any language reads.

Format 1: `{"v": 1, "run", "model", "inputs": [{"slice", "version", "digest", "role", "where",
"uri", "rows", "schema": [{"name", "type", "nullable"}], "files": [{"path", "rows", "bytes",
"sha256", "partition"}]}]}`. `rows` counts the rows that meet `where`, which is the command's to
apply; types are Arrow's; paths are absolute; an unknown `sha256` or `where` is null.
"""

from typing import Any

from backstory.lake.errors import RefusedError
from backstory.lake.location import inside
from backstory.lake.reading import Reading

OFFER_FORMAT = 1


def offer(run_id: str, model: str, inputs: list[tuple[str, str, Reading]]) -> dict[str, Any]:
    """The JSON of a run's inputs.

    Args:
        run_id: the run.
        model: the model that it trains.
        inputs: role, the table's URI, and what is read of it.

    Raises:
        RefusedError: a table's files alone do not say what its rows are.
    """
    described = [_input(role, uri, reading) for role, uri, reading in inputs]
    return {"v": OFFER_FORMAT, "run": run_id, "model": model, "inputs": described}


def _input(role: str, uri: str, reading: Reading) -> dict[str, Any]:
    snapshot = reading.snapshot
    if snapshot.needs_engine:
        raise RefusedError(
            f"{snapshot}: its files alone do not say what its rows are",
            hint="read it in Python with `home.resume()`",
        )
    return {
        "slice": snapshot.slice,
        "version": snapshot.version,
        "digest": snapshot.digest,
        "role": role,
        "where": reading.where,
        "uri": uri,
        "rows": reading.rows,
        "schema": [
            {"name": field.name, "type": str(field.type), "nullable": field.nullable}
            for field in snapshot.full_schema
        ],
        "files": [
            {
                "path": str(inside(snapshot.folder, file.path).absolute()),
                "rows": file.rows,
                "bytes": file.size,
                "sha256": file.sha256 or None,
                "partition": dict(file.partition),
            }
            for file in snapshot.manifest.files
        ],
    }
