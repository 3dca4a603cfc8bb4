"""Delta tables that others wrote: with plain deltalake, and by hand where it cannot write them."""

import base64
import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"

Action = dict[str, Any]


def numbers(count: int = 10, first: int = 0) -> pa.Table:
    values = range(first, first + count)
    words = [f"w{value}" for value in values]
    return pa.table({"n": pa.array(values, pa.int64()), "word": pa.array(words, pa.string())})


def plain(folder: Path, *tables: pa.Table) -> Path:
    """A table with one commit per Arrow table."""
    for table in tables or (numbers(), numbers(first=10)):
        write_deltalake(folder, table, mode="append")
    return folder


def partitioned(folder: Path) -> Path:
    """Partitions of text with a space and a percent sign, of null, and of numbers."""
    rows = pa.table(
        {
            "n": pa.array(range(12), pa.int64()),
            "place": ["a b", "50%", None] * 4,
            "year": pa.array([2025, 2026] * 6, pa.int32()),
        }
    )
    write_deltalake(folder, rows, partition_by=["place", "year"])
    return folder


def with_deletion_vector(folder: Path, deleted: Iterable[int] = (3, 7)) -> Path:
    """Rows 0 to 9, of which some are hidden by a deletion vector in version 1."""
    plain(folder, numbers())
    add = next(action["add"] for action in entry(folder, 0) if "add" in action)
    features = ["deletionVectors"]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }
    write_entry(
        folder,
        1,
        [
            {"commitInfo": {"timestamp": 1795498222347, "operation": "DELETE"}},
            {"protocol": protocol},
            {"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}},
            {"add": {**add, "deletionVector": deletion_vector(deleted)}},
        ],
    )
    return folder


def with_mapped_columns(folder: Path) -> Path:
    """Rows 0 to 9 whose files call `n` and `word` by other names, crosswise."""
    physical = {"n": "word", "word": "n"}
    rows = numbers()
    plain(folder, rows)
    path = next(folder.glob("*.parquet"))
    pq.write_table(rows.rename_columns([physical[name] for name in rows.column_names]), path)

    def mapped(action: Action) -> Action:
        if "protocol" in action:
            return {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}
        if "metaData" in action:
            about = action["metaData"]
            schema = json.loads(about["schemaString"])
            for number, field in enumerate(schema["fields"], start=1):
                field["metadata"] = {
                    "delta.columnMapping.id": number,
                    "delta.columnMapping.physicalName": physical[field["name"]],
                }
            about["schemaString"] = json.dumps(schema)
            about["configuration"] = {
                "delta.columnMapping.mode": "name",
                "delta.columnMapping.maxColumnId": "2",
            }
        if "add" in action:
            action["add"] |= {"size": path.stat().st_size, "stats": '{"numRecords":10}'}
        return action

    rewrite_entry(folder, 0, mapped)
    return folder


def deletion_vector(rows: Iterable[int]) -> Action:
    """Delta's inline form: a 64-bit roaring bitmap with one array container, in Z85."""
    numbers = sorted(rows)
    header = struct.pack("<iQI", 1681511377, 1, 0)  # magic, one 32-bit bitmap, its key
    container = struct.pack("<IIHHI", 12346, 1, 0, len(numbers) - 1, 16)
    raw = header + container + b"".join(struct.pack("<H", number) for number in numbers)
    raw += bytes(-len(raw) % 4)
    text = base64.b85encode(raw).translate(bytes.maketrans(_B85, _Z85)).decode()
    return {
        "storageType": "i",
        "pathOrInlineDv": text,
        "sizeInBytes": len(raw),
        "cardinality": len(numbers),
    }


def entry_path(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def entry(folder: Path, version: int) -> list[Action]:
    return [json.loads(line) for line in entry_path(folder, version).read_text().splitlines()]


def write_entry(folder: Path, version: int, actions: Iterable[Action]) -> None:
    text = "".join(json.dumps(action) + "\n" for action in actions)
    entry_path(folder, version).write_text(text)


def rewrite_entry(folder: Path, version: int, change: Callable[[Action], Action]) -> None:
    write_entry(folder, version, [change(action) for action in entry(folder, version)])


def with_add_path(folder: Path, path: str) -> Path:
    """A table whose log names another file than the one it wrote."""
    plain(folder, numbers())

    def moved(action: Action) -> Action:
        if "add" in action:
            action["add"]["path"] = path
        return action

    rewrite_entry(folder, 0, moved)
    return folder
