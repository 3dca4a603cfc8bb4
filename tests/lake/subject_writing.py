"""A process that appends batches of subjects: `python -m tests.lake.subject_writing ROOT SOURCE N…`

The rows of a batch are determined by its source and number; each line names a batch that is stored.
"""

import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa

from backstory.lake.subject_sets import number_of
from backstory.lake.table import SliceTable
from tests.lake.thumbs import KEY, append, contract

PEOPLE = ("ann", "bob", "cid", "dora", "eve")


def named(people: list[str | None], first: int = 0) -> pa.Table:
    """Rows of some people, as the gate gives them."""
    hidden = [None if who is None else KEY.pseudonym(who) for who in people]
    columns = {"event_id": [str(first + n) for n in range(len(people))], "user": hidden}
    schema = contract().schema
    return pa.table({**{n: [None] * len(people) for n in schema.names}, **columns}, schema=schema)


def people_of(source: str, number: int) -> list[str | None]:
    """Whose rows a batch has."""
    seed = sum(map(ord, source)) + number
    return [PEOPLE[(seed * step) % len(PEOPLE)] for step in range(1, 2 + seed % 4)]


def number(who: str) -> int:
    """How the index knows a person."""
    return number_of(KEY.pseudonym(who))


def counted(batches: list[list[str | None]]) -> Counter[str | None]:
    """Rows by person."""
    return Counter(who for batch in batches for who in batch)


def main(root: str, source: str, *numbers: str) -> None:
    table = SliceTable.open(Path(root), "thumbs/en")
    for n in map(int, numbers):
        append(table, named(people_of(source, n)), source=source, offset=n)
        print(n, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
