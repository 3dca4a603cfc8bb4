"""The same rows under another contract of their table, so that a batch is known again.

A batch that was stored before the contract changed has the digest of its rows as they were then.
Sent again, its rows have a column more, without a value, or a wider type: they are the same rows.

Keeps true: rows are seen under a contract only where nothing of them is lost by it.

>>> from backstory.lake.contract import Column
>>> old = Contract(slice="s", purpose="p", columns=(Column(name="n", type=pa.int32()),))
>>> seen_under(pa.table({"n": pa.array([1], pa.int64()), "new": pa.nulls(1)}), old).to_pylist()
[{'n': 1}]
>>> seen_under(pa.table({"n": pa.array([1 << 40])}), old) is None
True
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.rows import batch_digest


def seen_under(rows: pa.Table, contract: Contract) -> pa.Table | None:
    """Rows of one contract of a table under another one; None where they do not fit."""
    wanted = contract.schema
    surplus = [name for name in rows.column_names if name not in wanted.names]
    if any(rows[name].null_count < rows.num_rows for name in surplus):
        return None
    columns = []
    for field in wanted:
        column = _cast(rows, field)
        if column is None or (column.null_count and not field.nullable):
            return None
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=wanted)


def digests_under(rows: pa.Table, own: pa.Schema, contracts: Iterable[Contract]) -> Iterator[str]:
    """The digests that rows had or would have under other contracts of their table.

    Args:
        rows: what passed the gate.
        own: the schema that they passed it with.
        contracts: other contracts of the table.
    """
    seen = [own]
    for contract in contracts:
        if contract.schema in seen:
            continue
        seen.append(contract.schema)
        if (same := seen_under(rows, contract)) is not None:
            yield batch_digest(same)


def _cast(rows: pa.Table, field: pa.Field) -> pa.ChunkedArray | None:
    """A column in another type; None where a value would be another one."""
    if field.name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    column = rows[field.name]
    if column.type == field.type:
        return column
    try:
        cast = column.cast(field.type)
        back = cast.cast(column.type)
    except pa.ArrowInvalid:
        return None
    # Digests, because to them a NaN is itself and -0.0 is not 0.0.
    same = batch_digest(pa.table({"": back})) == batch_digest(pa.table({"": column}))
    return cast if same else None
