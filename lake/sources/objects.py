"""Objects, such as JSON's or a list of dicts, into Arrow under a contract.

Keeps true: an object has no field that the contract lacks; a field that it lacks is null. How
values are taken is said in `values`.

>>> from backstory.lake.contract import Column
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="label", type=pa.int64()),))
>>> read_objects([{"label": 7}, {}], contract).to_pylist()
[{'label': 7}, {'label': None}]
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from backstory.lake.contract import Column, Contract
from backstory.lake.documents import near
from backstory.lake.sources.batches import ColumnReader, Row, parts_of, whole
from backstory.lake.sources.rejections import LaidAside, Rejections, described, shown_name
from backstory.lake.sources.values import column_of


def read_objects(
    objects: Iterable[Mapping[str, Any]], contract: Contract, rejections: Rejections | None = None
) -> pa.Table:
    """Read Python mappings, one a row.

    Args:
        objects: the rows.
        contract: what they must be.
        rejections: where faults are noted; strict ones where none are given.

    Returns:
        The contract's columns, in its order.

    Raises:
        BatchRejectedError: a row does not fit.
    """
    rejections = rejections or Rejections(contract)
    rows = _rows(objects, fits_fields(contract, rejections), rejections)
    return whole(parts_of(rows, object_readers(contract), contract, rejections), contract.slice)


def _rows(
    objects: Iterable[Mapping[str, Any]],
    fits: Callable[[object, int], bool],
    rejections: Rejections,
) -> Iterator[Row]:
    for number, found in enumerate(objects, start=1):
        if fits(found, number):
            yield Row(number, found, 0)
        if rejections.full:
            return


def fits_fields(contract: Contract, rejections: Rejections) -> Callable[[object, int], bool]:
    """A test for rows: whether one is an object without unknown fields; if not, that is noted."""
    names = {column.name for column in contract.columns}

    def fits(found: object, number: int) -> bool:
        if not isinstance(found, dict | Mapping):  # dict first: Mapping alone is slow
            rejections.add("one object", described(found), row=number)
            rejections.lay_aside(number, LaidAside(None, text=str(found)))
            return False
        if found.keys() <= names:
            return True
        for name in sorted(found.keys() - names, key=str):
            wrong = f"field {shown_name(name)} ({near(str(name), sorted(names))})"
            rejections.add("only the contract's columns", wrong, row=number)
        rejections.lay_aside(number, LaidAside(found))
        return False

    return fits


def object_readers(contract: Contract) -> list[ColumnReader]:
    """What reads each column of the contract from objects."""
    return [partial(_read_field, column) for column in contract.columns]


def _read_field(column: Column, objects: list[Mapping[str, Any]]) -> pa.Array:
    name = column.name
    return column_of([found.get(name) for found in objects], column.type)
