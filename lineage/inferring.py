"""A first contract from what is there already; it needs no home, and nothing is written."""

from pathlib import Path
from typing import Any

from backstory.lake.inference import Inferred, infer_file, infer_json_schema, infer_schema
from backstory.lineage.contract_input import text_of

JSON_SCHEMA = "json-schema"


def infer(
    source: Any,
    *,
    slice: str,  # noqa: A002 - the word that users know
    purpose: str,
    format: str | None = None,  # noqa: A002 - the word that users know
) -> Inferred:
    """Guess a contract; what was guessed is told with it, and nothing is tagged as personal.

    Args:
        source: the path of a sample file or of a JSON Schema, or whatever has an Arrow schema.
        slice: the name of the slice that it is for.
        purpose: why the feedback is kept.
        format: what a file is, where its name does not tell: jsonl, csv, parquet, arrow or
            json-schema.

    Raises:
        InvalidError: it cannot be read, or has a column that no table can hold.
        NotFoundError: there is no such file.
    """
    if not isinstance(source, str | Path):
        return infer_schema(source, name=slice, purpose=purpose)
    path = Path(source)
    if format == JSON_SCHEMA:
        return infer_json_schema(text_of(path), name=slice, purpose=purpose)
    return infer_file(path, name=slice, purpose=purpose, format=format)
