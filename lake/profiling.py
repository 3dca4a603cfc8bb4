"""Profiles from rows: what the columns of an Arrow table look like.

Meant to run beside the encoding of the same rows: nearly all of it are Arrow's kernels, which need
no interpreter lock. Counts, ranges and histograms are of all rows, and distinct numbers too. Of a
column with more than `SAMPLED_ROWS` rows that repeats itself little, top values, and of a text its
distinct values, are of that many rows spread over it, and the profile says so.

>>> found = profile_rows(pa.table({"stars": [5, 1], "user": ["a", "b"]}), ["user"], edges={})
>>> found.columns["stars"].high, found.columns["user"].kind
(5, <ColumnKind.MASKED: 'masked'>)
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.distinct import distinct_texts
from backstory.lake.histogram import ENOUGH, Edges, Histogram, choose_edges
from backstory.lake.number_hashes import distinct_numbers
from backstory.lake.profile import MAX_BOUND_CHARS, ColumnKind, ColumnProfile, Profile
from backstory.lake.top_values import MAX_VALUES, TopValues

SAMPLED_ROWS = 2_048

_FEW = SAMPLED_ROWS // 8  # so few distinct values in a sample: all of the column is counted
_EDGE_ROWS = 8_192  # by which edges are chosen, at most


@dataclass(frozen=True, slots=True)
class _Counted:
    """How often values occur in rows that were looked at.

    Attributes:
        found: Arrow's `value_counts` of them.
        of: how many rows they are.
        rows: how many there are.
    """

    found: pa.StructArray
    of: int
    rows: int

    @property
    def whole(self) -> bool:
        return self.of == self.rows

    @property
    def values(self) -> pa.Array:
        return self.found.field("values")

    @property
    def counts(self) -> pa.Array:
        return self.found.field("counts")

    @classmethod
    def all_of(cls, values: pa.Array) -> "_Counted":
        return cls(pc.value_counts(values), len(values), len(values))

    @classmethod
    def enough_of(cls, values: pa.Array) -> "_Counted":
        """Of all values where a sample holds few distinct ones, else of the sample."""
        sample = _spread(values, SAMPLED_ROWS)
        counted = cls(pc.value_counts(sample), len(sample), len(values))
        if counted.whole or len(counted.found) > _FEW:
            return counted
        return cls.all_of(values)


def profile_rows(table: pa.Table, personal: Collection[str], edges: Mapping[str, Edges]) -> Profile:
    """What the columns of some rows look like.

    Args:
        table: the rows.
        personal: columns of which only rows and nulls are told.
        edges: of histograms, by column; the histogram of a column without any holds its values
            while they are fewer than `ENOUGH`, and is not told where they are more.
    """
    return Profile(
        rows=table.num_rows,
        columns={
            field.name: _counted(table[field.name], ColumnKind.MASKED)
            if field.name in personal
            else _column(table[field.name], edges.get(field.name))
            for field in table.schema
        },
    )


def edges_by(table: pa.Table, names: Collection[str]) -> dict[str, Edges]:
    """Edges for those of these columns that hold `ENOUGH` finite numbers."""
    finite = {n: _finite(_whole(table[n].drop_null())) for n in names if is_number(table[n].type)}
    return {n: _edges(values) for n, values in finite.items() if len(values) >= ENOUGH}


def _edges(values: pa.Array) -> Edges:
    """By some of the values, the least and the greatest among them."""
    bounds = pa.array([bound.as_py() for bound in pc.min_max(values).values()], values.type)
    chosen_by = pa.concat_arrays([_spread(values, _EDGE_ROWS), bounds])
    return choose_edges(_floats(chosen_by).to_pylist())


def is_number(type_: pa.DataType) -> bool:
    """Whether a column of this type has a histogram."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_kind(type_) for is_kind in kinds)


def _counted(column: pa.ChunkedArray, kind: ColumnKind) -> ColumnProfile:
    return ColumnProfile(kind=kind, rows=len(column), nulls=column.null_count)


def _column(column: pa.ChunkedArray, edges: Edges | None) -> ColumnProfile:
    values = _whole(column.drop_null())
    if is_number(column.type):
        return _numbers(column, values, edges)
    if pa.types.is_boolean(column.type):
        return _flags(column, values)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _texts(column, values)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _times(column, values)
    return _counted(column, ColumnKind.OTHER)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(column: pa.ChunkedArray, values: pa.Array, edges: Edges | None) -> ColumnProfile:
    finite = _finite(values)
    counted = _Counted.enough_of(finite)
    distinct = distinct_numbers(counted.values if counted.whole else finite)
    if distinct.exact and not counted.whole:
        counted = _Counted.all_of(finite)
    low, high = pc.min_max(counted.values if counted.whole else finite).values()
    is_whole_number = pa.types.is_integer(column.type)
    return ColumnProfile(
        kind=ColumnKind.NUMBER,
        rows=len(column),
        nulls=column.null_count,
        not_finite=len(values) - len(finite),
        low=low.as_py(),
        high=high.as_py(),
        sampled=is_whole_number and not counted.whole,
        distinct=distinct,
        top=_top(counted) if is_whole_number else None,
        histogram=_histogram(finite, edges, counted),
    )


def _finite(values: pa.Array) -> pa.Array:
    """Numbers as 64 bits have them, without those that are none or without end."""
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64())
    floats = _floats(values)
    return floats.filter(pc.is_finite(floats))


def _histogram(values: pa.Array, edges: Edges | None, counted: _Counted) -> Histogram | None:
    if not edges:
        if len(values) >= ENOUGH:
            return None
        return Histogram(values=tuple(sorted(_floats(values).to_pylist())))
    if counted.whole:  # to find the bin of each value once is much quicker than that of each row
        counts = [0] * (len(edges) + 1)
        floats = _floats(counted.values).to_pylist()
        for value, count in zip(floats, counted.counts.to_pylist(), strict=True):
            counts[bisect_right(edges, value)] += count
        return Histogram(edges=edges, counts=tuple(counts))
    floats = _floats(values)
    below = [pc.less(floats, pa.scalar(edge)).true_count for edge in edges]
    ends = pairwise([0, *below, len(values)])
    return Histogram(edges=edges, counts=tuple(end - begin for begin, end in ends))


def _floats(values: pa.Array) -> pa.Array:
    return values.cast(pa.float64(), safe=False)


def _flags(column: pa.ChunkedArray, values: pa.Array) -> ColumnProfile:
    top = _top(_Counted.all_of(values))
    return ColumnProfile(
        kind=ColumnKind.FLAG,
        rows=len(column),
        nulls=column.null_count,
        distinct=distinct_texts(str(value) for value in top.counts),
        top=top,
    )


def _times(column: pa.ChunkedArray, values: pa.Array) -> ColumnProfile:
    width = pa.int32() if values.type.bit_width == 32 else pa.int64()
    low, high = pc.min_max(values).values()
    return ColumnProfile(
        kind=ColumnKind.TIME,
        rows=len(column),
        nulls=column.null_count,
        low=_time_text(low),
        high=_time_text(high),
        distinct=distinct_numbers(values.view(width).cast(pa.int64())),
    )


def _time_text(moment: pa.Scalar) -> str | None:
    """A time as ISO 8601 has it; one that Python cannot tell, of another age, is left out."""
    try:
        found = moment.as_py()
    except (ValueError, OverflowError):
        return None
    if isinstance(found, datetime):
        return found.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return found.isoformat() if found is not None else None


def _texts(column: pa.ChunkedArray, values: pa.Array) -> ColumnProfile:
    counted = _Counted.enough_of(values)
    bounds = pc.min_max(counted.values if counted.whole else values).values()
    low, high = (bound.as_py() for bound in bounds)
    return ColumnProfile(
        kind=ColumnKind.TEXT,
        rows=len(column),
        nulls=column.null_count,
        low=low[:MAX_BOUND_CHARS] if low is not None else None,
        high=high[:MAX_BOUND_CHARS] if high is not None else None,
        sampled=not counted.whole,
        distinct=distinct_texts(counted.values.to_pylist()),
        top=_top(counted),
    )


def _top(counted: _Counted) -> TopValues:
    """The most frequent values, as far as was looked."""
    found = counted.found
    if not counted.whole and len(found) == counted.of:  # each once, which says nothing of any
        return TopValues(counts={}, rest=counted.rows, missed=round(counted.rows / counted.of))
    if pa.types.is_string(counted.values.type) or pa.types.is_large_string(counted.values.type):
        # Long texts are no words that repeat: they are counted with the rest.
        length = pc.utf8_length(counted.values)
        found = found.filter(pc.less_equal(length, pa.scalar(MAX_BOUND_CHARS, length.type)))
    ranked = pa.table({"value": found.field("values"), "count": found.field("counts")})
    if len(ranked) > MAX_VALUES:
        keys = [("count", "descending"), ("value", "ascending")]
        ranked = ranked.take(pc.select_k_unstable(ranked, k=MAX_VALUES + 1, sort_keys=keys))
    named = dict(zip(ranked["value"].to_pylist(), ranked["count"].to_pylist(), strict=True))
    top = TopValues.of(named, rest=counted.of - sum(named.values()))
    return top if counted.whole else _scaled(top, counted)


def _scaled(top: TopValues, counted: _Counted) -> TopValues:
    """From counts of a sample to those of all; what was seen once only says nothing."""
    share = counted.rows / counted.of
    counts = {value: round(count * share) for value, count in top.counts.items() if count > 1}
    return TopValues(
        counts=counts,
        rest=max(0, counted.rows - sum(counts.values())),
        missed=round(max(1, top.missed) * share),
    )


def _spread(values: pa.Array, at_most: int) -> pa.Array:
    """So many of the values, evenly spread over them; all where they are no more."""
    if len(values) <= at_most:
        return values
    places = pa.array(range(at_most), pa.int64())
    step = pa.scalar(len(values), pa.int64())
    return values.take(pc.divide(pc.multiply(places, step), pa.scalar(at_most, pa.int64())))
