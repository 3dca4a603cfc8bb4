"""Rows that differ, for people and pipes: counts, by what they can be told, and a sample."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backstory.cli.figures import NUMBER, REF, TEXT, VALUE, Kind, count, value_kind
from backstory.cli.views import Facts, Table, View

if TYPE_CHECKING:
    from backstory.cli.documents.changes import RowsTold
    from backstory.lake.change_shares import ChangeShares, ColumnShare
    from backstory.lake.disagreements import Disagreements

_COUNTS = (("added", NUMBER), ("removed", NUMBER), ("changed from", NUMBER), ("changed to", NUMBER))


def change_views(told: "RowsTold") -> Iterator[View]:
    """What is shown of a comparison."""
    yield _facts(told)
    yield from _groups(told)
    if told.disagreements is not None:
        yield _disagreements(told.disagreements)
    if told.sample:
        yield _sample(told)


def notes(told: "RowsTold") -> Iterator[str]:
    """What is said beside it."""
    diff = told.diff
    if diff.rows.shape.key is None and diff.counts:
        yield "no column tells which rows are one and the same: none counts as changed; see --key"
    if any(shares and shares.truncated for shares in (told.groups, diff.rows.by_source())):
        yield "there are more values than these"
    shown = sum(1 for row in told.sample if row["_change"] != "before")
    differ = diff.counts.added + diff.counts.removed + diff.counts.changed
    if 0 < shown < differ and told.written is None:
        yield f"{shown:,} of {count(differ, 'row')} shown; see --sample and --out"


def _facts(told: "RowsTold") -> Facts:
    diff, files = told.diff, told.diff.rows.files
    read = len({file.path for file in (*files.removed, *files.added)})
    balanced = f", {count(files.cancelled, 'file')} balanced" if files.cancelled else ""
    return Facts(
        heading=f"{diff.base.ref} → {diff.head.ref}",
        lines=[
            ("added", diff.counts.added, NUMBER),
            ("removed", diff.counts.removed, NUMBER),
            ("changed", diff.counts.changed, NUMBER),
            ("key", diff.rows.shape.key, TEXT),
            ("read", f"{count(files.rows, 'row')} in {count(read, 'file')}{balanced}", TEXT),
            *(
                (c.column, f"{c.before or 'new'} → {c.after or 'gone'}", TEXT)
                for c in diff.schema_changes
            ),
            ("written", told.written and count(told.written, "row"), TEXT),
        ],
    )


def _groups(told: "RowsTold") -> Iterator[Table]:
    """The groups that were asked for, else all that are at hand."""
    diff = told.diff
    if told.groups is not None:
        yield _shares(told.by or "", told.groups)
        return
    sources, signals = diff.rows.by_source(), diff.by_signal()
    if told.by in {None, "column"} and (columns := diff.rows.by_column()):
        yield _columns(columns)
    if told.by is None:
        yield from (
            _shares(name, shares)
            for name, shares in (("source", sources), ("signal", signals))
            if shares is not None and shares.groups
        )


def _shares(what: str, shares: "ChangeShares") -> Table:
    rows = [(g.value, g.added, g.removed, g.changed_from, g.changed_to) for g in shares.groups]
    return Table(columns=((what, VALUE), *_COUNTS), rows=rows, whole=True)


def _columns(shares: "Sequence[ColumnShare]") -> Table:
    rows = [(share.column, share.changed) for share in shares]
    return Table(columns=(("column", TEXT), ("changed", NUMBER)), rows=rows)


def _disagreements(found: "Disagreements") -> Table:
    columns: Sequence[tuple[str, Kind]] = (
        ("source", REF),
        ("label", VALUE),
        ("other source", REF),
        ("other label", VALUE),
        ("rows", NUMBER),
    )
    rows = [(g.source, g.label, g.other_source, g.other_label, g.rows) for g in found.groups]
    return Table(columns=columns, rows=rows, whole=True)


def _sample(told: "RowsTold") -> Table:
    names = list(told.sample[0])
    own = [
        (name, value_kind([row[name] for row in told.sample]))
        for name in names
        if name not in {"_change", "_columns"}
    ]
    rows = [
        (row["_change"], ", ".join(row["_columns"] or ()) or None, *(row[name] for name, _ in own))
        for row in told.sample
    ]
    return Table(columns=(("change", TEXT), ("columns", TEXT), *own), rows=rows)
