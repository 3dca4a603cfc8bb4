"""A SQLite store as a file: copied whole while others write, and prepared for many readers."""

import os
from pathlib import Path

from sqlalchemy.engine import Engine


def copy_into(engine: Engine, target: Path) -> None:
    """Write the store as it is at one instant into a file of its own; writers do not wait."""
    reader = engine.raw_connection()
    try:
        reader.cursor().execute("VACUUM INTO ?", (str(target),))
    finally:
        reader.close()
    with target.open("rb") as copy:
        os.fsync(copy.fileno())


def write_ahead(engine: Engine) -> None:
    """Let readers and a writer work at once from now on; a copied file has forgotten that."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
