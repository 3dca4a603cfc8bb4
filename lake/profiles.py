"""Profiles of data files, kept beside them: `_profiles/<data file>.json` in the table's folder.

Keeps true: a profile is written and synced before the commit that lists its file, and says which
file it is of, so that one whose commit did not happen is an orphan that nothing reads. It is
sealed: a damaged one is told and never used. Nothing else depends on it: a file without a profile,
or with a damaged one, is read where its profile is asked for.

What a table's columns count their histograms on is fixed once, in `_profiles/edges/`, by whoever
has enough values first; each profile repeats its edges, so none of them depends on that either. Top
values and bounds repeat what rows say, so a profile goes when its data file goes.

The format is 1; `from_json` reads it for ever.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from backstory.lake.distinct import Distinct
from backstory.lake.errors import BackstoryError, IntegrityError
from backstory.lake.files import make_folder, write_durably, write_first
from backstory.lake.histogram import ENOUGH, Edges, Histogram, choose_edges
from backstory.lake.profile import ColumnKind, ColumnProfile, Profile
from backstory.lake.profiling import edges_by, is_number
from backstory.lake.sealed import read_sealed, seal
from backstory.lake.top_values import TopValues

PROFILES_FOLDER = "_profiles"
EDGES_FOLDER = "edges"
FORMAT = 1
MAX_LOOKED_AT = 256  # newest profiles whose values edges are chosen by

# msgspec's own errors are ValueErrors.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def profile_file(folder: Path, data_file: str) -> Path:
    """Where the profile of a data file of a table lies."""
    return folder / PROFILES_FOLDER / f"{Path(data_file).name}.json"


def write_profile(folder: Path, data_file: str, profile: Profile) -> None:
    """Keep the profile of a data file, durably.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    path = profile_file(folder, data_file)
    if not path.parent.is_dir():
        make_folder(path.parent)
    write_durably(path, seal(to_json(profile, data_file) + "\n").encode())


def read_profile(folder: Path, data_file: str, *, rows: int | None = None) -> Profile | None:
    """The profile of a data file; None where nobody kept one.

    Args:
        folder: the table's folder.
        data_file: the file, as its version lists it.
        rows: how many it has, where that is known.

    Raises:
        IntegrityError: it is damaged, of another file, or of so many rows that it cannot be of it.
    """
    path = profile_file(folder, data_file)
    if not path.exists():
        return None
    profile = from_json(read_sealed(path), data_file)
    if rows is not None and profile.rows != rows:
        raise IntegrityError(f"{path} is of {profile.rows} rows, not of {rows}")
    return profile


def to_json(profile: Profile, data_file: str) -> str:
    """The text of a profile, format 1."""
    columns = {name: _column_json(column) for name, column in profile.columns.items()}
    body = {"v": FORMAT, "file": data_file, "rows": profile.rows, "columns": columns}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_json(text: str, data_file: str) -> Profile:
    """Read the text of a profile.

    Raises:
        IntegrityError: it is none of a known format, or of another file.
    """
    try:
        body = msgspec.json.decode(text)
        if body["v"] != FORMAT or body["file"] != data_file:
            raise IntegrityError(f"the profile of {data_file} is of another file or format")
        rows = int(body["rows"])
        return Profile(
            rows=rows,
            columns={n: _column_from(c, rows) for n, c in body["columns"].items()},
        )
    except _MALFORMED as exc:
        raise IntegrityError(f"the profile of {data_file} does not parse: {exc}") from exc


def _column_json(column: ColumnProfile) -> dict[str, Any]:
    top, histogram = column.top, column.histogram
    body = {
        "kind": column.kind.value,
        "nulls": column.nulls,
        "notFinite": column.not_finite or None,
        "low": column.low,
        "high": column.high,
        "sampled": column.sampled or None,
        "distinct": column.distinct.to_text() if column.distinct else None,
        "top": {"values": list(top.counts.items()), "rest": top.rest, "missed": top.missed}
        if top
        else None,
        "histogram": _histogram_json(histogram) if histogram else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _histogram_json(histogram: Histogram) -> dict[str, Any]:
    if histogram.edges:
        return {"edges": histogram.edges, "counts": histogram.counts}
    return {"values": histogram.values}


def _column_from(body: Mapping[str, Any], rows: int) -> ColumnProfile:
    top, histogram = body.get("top"), body.get("histogram")
    return ColumnProfile(
        kind=ColumnKind(body["kind"]),
        rows=rows,
        nulls=body["nulls"],
        not_finite=body.get("notFinite", 0),
        low=body.get("low"),
        high=body.get("high"),
        sampled=body.get("sampled", False),
        distinct=Distinct.from_text(body["distinct"]) if "distinct" in body else None,
        top=TopValues(
            counts=dict(map(tuple, top["values"])), rest=top["rest"], missed=top["missed"]
        )
        if top
        else None,
        histogram=Histogram(**{name: tuple(found) for name, found in histogram.items()})
        if histogram
        else None,
    )


class SharedEdges:
    """What the histograms of one table are counted on, by column; fixed once, then never changed.

    Columns with few values so far are looked at again when the number of commits is a power of two:
    all that is looked at for them stays a small multiple of what was appended.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Edges] = {}

    def known(self, names: Iterable[str]) -> dict[str, Edges]:
        """The edges of those of these columns that have some; a damaged file counts as none."""
        for name in names:
            path = self._path(name)
            if name not in self._known and path.exists():
                try:
                    self._known[name] = read_edges(path)
                except BackstoryError:
                    continue  # `verify` tells it; profiles repeat their edges
        return dict(self._known)

    def fixed_by(
        self, rows: pa.Table, personal: Collection[str], version: int
    ) -> Mapping[str, Edges]:
        """The edges for rows that are to be appended, chosen by them where nobody has before.

        Args:
            rows: what is appended.
            personal: columns of which nothing may be told.
            version: the table's newest version.
        """
        names = [f.name for f in rows.schema if is_number(f.type) and f.name not in personal]
        known = self.known(names)
        lacking = [name for name in names if name not in known]
        chosen = edges_by(rows, lacking)
        looked_for = lacking if (version + 1) & version == 0 else list(chosen)
        if looked_for:
            chosen |= self._of_profiles(looked_for)
        for name, edges in chosen.items():
            self._fix(name, edges)
        return dict(self._known)

    def _of_profiles(self, names: Collection[str]) -> dict[str, Edges]:
        """Edges by what is kept already: those of a profile, or by the values of many."""
        found: dict[str, Edges] = {}
        held: dict[str, list[float]] = {name: [] for name in names}
        for histograms in _histograms(self._folder):
            for name in names & histograms.keys():
                if histograms[name].edges:
                    found.setdefault(name, histograms[name].edges)
                held[name] += histograms[name].values
        by_values = {n: choose_edges(values) for n, values in held.items() if len(values) >= ENOUGH}
        return by_values | found

    def _fix(self, name: str, edges: Edges) -> None:
        path = self._path(name)
        if not path.parent.is_dir():
            make_folder(path.parent)
        body = {"v": FORMAT, "column": name, "edges": edges}
        if not write_first(path, seal(json.dumps(body) + "\n").encode()):
            self.known([name])
            return
        self._known[name] = edges

    def _path(self, name: str) -> Path:
        # A column's name may be longer than a file's.
        return edges_folder(self._folder) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def edges_folder(folder: Path) -> Path:
    """Where the edges of a table's histograms lie."""
    return folder / PROFILES_FOLDER / EDGES_FOLDER


def edges_files(folder: Path) -> list[Path]:
    """The files that say what a table's histograms are counted on, one for each column."""
    return sorted(edges_folder(folder).glob("*.json"))


def read_edges(path: Path) -> Edges:
    """The edges of one column.

    Raises:
        IntegrityError: the file is damaged.
    """
    try:
        body = json.loads(read_sealed(path))
        if body["v"] != FORMAT:
            raise IntegrityError(f"{path} has an unknown format")
        return tuple(map(float, body["edges"]))
    except _MALFORMED as exc:
        raise IntegrityError(f"{path} does not parse: {exc}") from exc


def _histograms(folder: Path) -> Iterator[dict[str, Histogram]]:
    """The histograms of the newest profiles, by column; damaged ones are passed over."""
    names = sorted((folder / PROFILES_FOLDER).glob("*.json"), reverse=True)
    for path in names[:MAX_LOOKED_AT]:
        try:
            profile = read_profile(folder, path.stem)
        except BackstoryError:
            continue
        if profile:
            yield {n: c.histogram for n, c in profile.columns.items() if c.histogram}
