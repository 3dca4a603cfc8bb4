"""The rows of data files in an object store, of which no more is fetched than is asked for.

Files are those of a manifest, in its order, and are read through delta-rs' own access to the store,
so that who we are to it has to be told once. DuckDB asks for columns and hands on conditions; which
row groups they rule out is decided by the statistics in the files, as it is for files in a folder.
"""

from collections.abc import Mapping
from functools import reduce
from operator import and_
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from backstory.lake.manifest import Manifest


def object_rows(folder: Path, manifest: Manifest, schema: pa.Schema) -> ds.Dataset:
    """The rows of a version, to be scanned as often as one likes.

    Args:
        folder: where its data files lie.
        manifest: which they are.
        schema: all columns; a file that lacks one has nulls there.
    """
    store = fs.PyFileSystem(DeltaStorageHandler(str(folder)))
    form = ds.ParquetFileFormat()
    fragments = [
        form.make_fragment(file.path, store, _partition(file.partition, schema))
        for file in manifest.files
    ]
    return ds.FileSystemDataset(fragments, schema, form, store)


def _partition(values: Mapping[str, str | None], schema: pa.Schema) -> pc.Expression | None:
    """What a partition's values say of its rows; they are not in the files."""
    terms = [
        pc.field(name) == pa.scalar(value, pa.string()).cast(schema.field(name).type)
        if value is not None
        else pc.field(name).is_null()
        for name, value in values.items()
    ]
    return reduce(and_, terms) if terms else None
