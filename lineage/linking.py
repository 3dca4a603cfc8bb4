"""Interactions that others keep: a Delta table of theirs, read in place as a model's interactions.

    link_interactions(home, "ranker", "/data/answers", columns={"id": "order", "at": "ts"})

The table becomes a linked slice; what is recorded beside it is whose answers it holds and which
column says what. A model has one such link: another one supersedes it, and as of a time before,
the earlier one answers. Nothing is written to the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from backstory.lake.crash import crashpoint
from backstory.lake.errors import BackstoryError, InvalidError, NotFoundError
from backstory.lake.linked import LinkedTable
from backstory.lake.location import check_name, place_of
from backstory.lake.snapshot import open_snapshot
from backstory.lineage.graph import Evidence
from backstory.lineage.ingest import link_slice
from backstory.lineage.interaction_mapping import InteractionMapping
from backstory.lineage.linked_interactions import Linked, open_link, types_of
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import ModelNamed, resolve, resolve_version
from backstory.lineage.store import names, slices, tables, writes
from backstory.lineage.store.interaction_links import LinkRecord, links

_TOLD = (Evidence.DECLARED, Evidence.IMPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionTable:
    """A table that holds a model's interactions.

    Attributes:
        slice: with its newest version.
        rows: how many its commits added.
        link: whose columns say what, where others write it; None for our own.
    """

    model: str
    slice: slices.SliceRecord
    rows: int
    link: LinkRecord | None


def link_interactions(
    parts: Parts,
    model: str,
    uri: str,
    *,
    columns: Mapping[str, str],
    version: str | None = None,
    environment: str | None = None,
    evidence: str = Evidence.IMPORTED.value,
    name: str | None = None,
) -> Linked:
    """Read a Delta table that others write as a model's interactions; supersedes an earlier link.

    Args:
        model: whose answers it holds.
        uri: where it lies: a local folder, as a path or `file://` URI.
        columns: its columns by what they say: `id` and `at`, and of `version`, `environment`,
            `variant`, `subject`, `conversation`, `turn`, `external_id`, `request`, `response`,
            `parts`, `latency_ms` those that it has.
        version: the version that answered every row, where no column says it.
        environment: where every row was answered, where no column says it.
        evidence: "imported" where another system recorded the rows, "declared" where somebody says
            so.
        name: what to call the linked slice; `MODEL/interactions` where nothing is said.

    Returns:
        The link, open. Linking the same again changes nothing.

    Raises:
        NotFoundError: no such model or version, or no Delta table there.
        InvalidError: a column is not there, or of a type that does not say it.
    """
    _check_model(parts, model)
    mapping = InteractionMapping(
        columns=dict(columns),
        version=_number(parts, model, version),
        environment=environment if environment is None else check_name(environment),
    )
    known = _evidence(evidence)
    table = _table(parts, model, uri, name)
    crashpoint("link.written")
    for problem in mapping.problems(types_of(open_snapshot(table))):
        raise InvalidError(
            f"{table.uri}: {problem}",
            hint=f"see its columns with `backstory show {table.name} --schema`",
        )
    return open_link(parts, _record(parts, model, table.name, mapping, known))


def unlink_interactions(parts: Parts, model: str, *, reason: str = "") -> LinkRecord:
    """Read a model's interactions from a table of others no longer; its slice stays.

    Raises:
        NotFoundError: none is linked.
    """
    with parts.unit("interactions.unlink", f"model:{model}", reason=reason) as unit:
        held = links(unit.connection, model)
        for link in held:
            writes.end(unit, tables.interaction_link, link.id)
    if not held:
        raise NotFoundError(
            f"no interactions of {model!r} are linked",
            hint="see the links with `backstory interactions`",
        )
    return held[0]


def interaction_tables(parts: Parts, as_of: datetime | None = None) -> list[InteractionTable]:
    """The tables that hold interactions, by model: our own, and those of others."""
    with parts.store.reader(as_of) as conn:
        held = links(conn)
        known = {record.name: record for record in slices.slices(conn)}
        rows = slices.rows_added(conn, [record.id for record in known.values()])
    own = [
        (name.removeprefix(slices.INTERACTIONS_PREFIX), name, None)
        for name in known
        if name.startswith(slices.INTERACTIONS_PREFIX)
    ]
    found = [*own, *((link.model, link.slice_name, link) for link in held)]
    return [
        InteractionTable(
            model=model, slice=known[name], rows=rows.get(known[name].id, 0), link=link
        )
        for model, name, link in sorted(found, key=lambda place: place[:2])
    ]


def broken_links(parts: Parts) -> dict[str, str]:
    """What is wrong with the links that hold, by model: a table or a column that is gone."""
    with parts.store.reader() as conn:
        held = links(conn)
    found: dict[str, str] = {}
    for link in held:
        try:
            open_link(parts, link)
        except BackstoryError as exc:
            found[link.model] = exc.message
    return found


def _check_model(parts: Parts, model: str) -> None:
    if not isinstance(resolve(parts, model), ModelNamed):
        raise InvalidError(f"{model!r} is not a model", hint="see `backstory models`")


def _number(parts: Parts, model: str, version: str | None) -> int | None:
    if version is None:
        return None
    found = resolve_version(parts, version)
    if found.model != model:
        raise InvalidError(
            f"{found.ref} is not a version of {model}", hint="name a version of that model"
        )
    return found.number


def _evidence(text: str) -> Evidence:
    if text not in _TOLD:
        raise InvalidError(
            f"{text!r} is no evidence of what others wrote", hint=f"one of {', '.join(_TOLD)}"
        )
    return Evidence(text)


def _table(parts: Parts, model: str, uri: str, name: str | None) -> LinkedTable:
    """The linked slice that reads a table: the one there is, else a new one."""
    folder = str(place_of(uri).resolve())
    with parts.store.reader() as conn:
        known = [record for record in slices.slices(conn) if record.uri == folder]
        taken = names.names(conn)
    if name is None and known:
        return link_slice(parts, known[0].name, folder)
    return link_slice(parts, name or _free_name(model, taken), folder)


def _free_name(model: str, taken: list[str]) -> str:
    wanted, count = f"{model}/interactions", 1
    while wanted in taken:
        count += 1
        wanted = f"{model}/interactions-{count}"
    return wanted


def _record(
    parts: Parts, model: str, slice_name: str, mapping: InteractionMapping, evidence: Evidence
) -> LinkRecord:
    with parts.unit("interactions.link", f"model:{model}") as unit:
        record = slices.slice_by_name(unit.connection, slice_name)
        if record is None:
            raise NotFoundError(f"no slice is called {slice_name!r}", hint="link it again")
        said = (record.id, mapping.to_json(), evidence.value)
        for link in links(unit.connection, model):
            if (link.slice, dict(link.mapping), link.evidence) == said:
                return link
            writes.end(unit, tables.interaction_link, link.id)
        writes.insert(
            unit,
            tables.interaction_link,
            slice=record.id,
            model=model,
            mapping=mapping.to_json(),
            evidence=evidence.value,
        )
        unit.note(slice=slice_name, columns=dict(mapping.columns), evidence=evidence.value)
        return links(unit.connection, model)[0]
