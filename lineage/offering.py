"""What a command is offered: the exact files of its run's inputs, as JSON that any language reads.

`FIELDS` says what stands in it. Within a format, fields are added and none changes its meaning.
"""

from typing import Any

from backstory.lake.errors import RefusedError
from backstory.lake.location import inside
from backstory.lake.reading import Reading

OFFER_FORMAT = 1

# Every field by its place, with its kind and its meaning.
FIELDS = {
    "v": ("integer", "The format, 1. Refuse another one; ignore fields that you do not know."),
    "run": ("string", "The run's id, a UUIDv7; also in `BACKSTORY_RUN_ID`."),
    "model": ("string", "The model that is trained."),
    "inputs": ("array", "What `--input` names, in that order; empty where nothing is named."),
    "inputs[].slice": ("string", "The slice's name."),
    "inputs[].version": ("integer", "Its version, exact, whatever the ref was."),
    "inputs[].digest": ("string", "The manifest digest of that version: SHA-256, 64 hex digits."),
    "inputs[].role": ("string", "What it is for: train, unless the input says otherwise."),
    "inputs[].where": ("string or null", "The SQL condition on its rows, which you apply."),
    "inputs[].uri": ("string", "Where the Delta table lies."),
    "inputs[].rows": ("integer", "How many rows of this version meet the condition."),
    "inputs[].schema": ("array", "The columns of the files, Backstory's own with `_` among them."),
    "inputs[].schema[].name": ("string", "The column's name."),
    "inputs[].schema[].type": ("string", "Its type, as Arrow writes it."),
    "inputs[].schema[].nullable": ("boolean", "Whether it may be null."),
    "inputs[].files": ("array", "The Parquet files that the version consists of; read no others."),
    "inputs[].files[].path": ("string", "Where the file lies, absolute."),
    "inputs[].files[].rows": ("integer", "Its rows."),
    "inputs[].files[].bytes": ("integer", "Its size."),
    "inputs[].files[].sha256": ("string or null", "SHA-256 of its bytes; null where unknown."),
    "inputs[].files[].partition": ("object", "Partition values by column, text or null."),
}


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
