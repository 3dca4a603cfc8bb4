"""The JSON of profiles and of drift."""

from dataclasses import asdict

from backstory.cli.documents.dispatch import Document, document, documents
from backstory.lake.drift import ColumnDrift
from backstory.lake.histogram import Histogram
from backstory.lake.profile import ColumnProfile
from backstory.lake.top_values import TopValues
from backstory.lineage.profiling import DriftReport, SliceProfile


@document.register
def _(thing: SliceProfile) -> Document:
    return {
        "ref": thing.ref,
        "rows": thing.profile.rows,
        "files": thing.files,
        "filesRead": thing.read,
        "damaged": list(thing.damaged),
        "profile": [
            {"column": name, **document(column)} for name, column in thing.profile.columns.items()
        ],
    }


@document.register
def _(thing: ColumnProfile) -> Document:
    return {
        "kind": str(thing.kind),
        "nulls": thing.nulls,
        "notFinite": thing.not_finite,
        "low": thing.low,
        "high": thing.high,
        "distinct": thing.distinct.estimate if thing.distinct else None,
        "distinctExact": thing.distinct.exact if thing.distinct else None,
        "sampled": thing.sampled,
        "top": document(thing.top) if thing.top else None,
        "histogram": document(thing.histogram) if thing.histogram else None,
    }


@document.register
def _(thing: TopValues) -> Document:
    return {
        "values": [{"value": value, "rows": rows} for value, rows in thing.counts.items()],
        "rest": thing.rest,
        "missed": thing.missed,
    }


@document.register
def _(thing: Histogram) -> Document:
    """Counted where there are enough values; few are given as they are."""
    return asdict(thing)


@document.register
def _(thing: ColumnDrift) -> Document:
    return {
        "column": thing.column,
        "kind": str(thing.kind),
        "baseValues": thing.base_values,
        "headValues": thing.head_values,
        "baseNulls": thing.base_nulls,
        "headNulls": thing.head_nulls,
        "psi": thing.psi,
        "js": thing.js,
        "ks": thing.ks,
        "new": None if thing.new is None else list(thing.new),
        "missing": None if thing.missing is None else list(thing.missing),
        "sampled": thing.sampled,
    }


@document.register
def _(thing: DriftReport) -> Document:
    return {
        "base": _side(thing.base),
        "head": _side(thing.head),
        "drift": documents(thing.columns),
    }


def _side(thing: SliceProfile) -> Document:
    whole = document(thing)
    return {name: whole[name] for name in ("ref", "rows", "files", "filesRead", "damaged")}
