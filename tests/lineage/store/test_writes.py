import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from backstory.lake.errors import ConflictError, IntegrityError
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence
from backstory.lineage.store import integrity, tables
from backstory.lineage.store.reads import entities, entity_by_key
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import (
    add_edge,
    add_entity,
    claim_name,
    end,
    insert,
)
from tests.architecture.source_tree import Module, product
from tests.lineage.store.recording import START, add_chain, add_run, unit

# The modules that may write.
WRITERS = {
    "lineage/store/writes.py",
    "lineage/store/audit_log.py",
    "lineage/store/transfer.py",  # rows that were written here go on with their log
    "lineage/store/outbox.py",  # tells nothing of the past, and no leaf vouches for it
}


def count(store: Store, table: sa.Table) -> int:
    with store.reader() as connection:
        found: int = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        return found


def test_a_thing_is_made_once(store: Store) -> None:
    with unit(store) as opened:
        first = add_entity(opened, EntityKind.MODEL, "model:ranker", "ranker")
        assert add_entity(opened, EntityKind.MODEL, "model:ranker", "ranker") == first
    with unit(store) as opened:
        assert add_entity(opened, EntityKind.MODEL, "model:ranker", "ranker") == first
    with store.reader() as connection:
        node = entity_by_key(connection, "model:ranker")
        assert node is not None
        assert (node.id, node.kind, node.label) == (first, EntityKind.MODEL, "ranker")
        assert entities(connection, [first, first + 1]) == {first: node}
        assert entity_by_key(connection, "model:rank") is None


def test_a_key_belongs_to_one_kind(store: Store) -> None:
    with unit(store) as opened:
        add_entity(opened, EntityKind.MODEL, "x", "x")
    with (
        pytest.raises(ConflictError, match="x is a model, not a job"),
        unit(store) as opened,
    ):
        add_entity(opened, EntityKind.JOB, "x", "x")


def test_an_edge_said_twice_is_one(store: Store) -> None:
    cause, effect, run = add_chain(store, 3)
    edges = count(store, tables.edge)
    for _ in range(2):
        with unit(store) as opened:
            for within in (None, run):
                for _ in range(2):
                    add_edge(
                        opened, cause, effect, EdgeKind.TRIGGERED, Evidence.OBSERVED, run=within
                    )
    assert count(store, tables.edge) == edges + 2


@pytest.mark.parametrize("within_a_run", [False, True])
def test_the_database_itself_keeps_edges_apart(store: Store, within_a_run: bool) -> None:  # noqa: FBT001
    cause, effect = add_chain(store, 2)
    row = {"src": cause, "dst": effect, "kind": "triggered", "evidence": "observed"}
    row["run"] = cause if within_a_run else None
    with unit(store) as opened:
        insert(opened, tables.edge, **row)
    with pytest.raises(ConflictError, match="uq_edge"), unit(store) as opened:
        insert(opened, tables.edge, **row)


def test_slices_and_models_share_their_names(store: Store) -> None:
    with unit(store) as opened:
        model = add_entity(opened, EntityKind.MODEL, "model:thumbs", "thumbs")
        claim_name(opened, "thumbs", model)
        claim_name(opened, "thumbs", model)
        other = add_entity(opened, EntityKind.SLICE, "slice:thumbs", "thumbs")
    with pytest.raises(ConflictError, match="'thumbs' belongs to model:thumbs"), unit(store) as u:
        claim_name(u, "thumbs", other)


def test_a_row_ends_once(store: Store) -> None:
    with unit(store) as opened:
        run = add_run(opened, "1")
        facet = insert(opened, tables.run_facet, run=run, key="params", body={"lr": 0.1})
    with unit(store) as opened:
        end(opened, tables.run_facet, facet)
        ended = opened.seq
    with (
        pytest.raises(ConflictError, match=f"run_facet {facet} has been ended already"),
        unit(store) as opened,
    ):
        end(opened, tables.run_facet, facet)
    with store.reader() as connection:
        row = connection.execute(sa.select(tables.run_facet)).one()
        assert (row.recorded_seq, row.ended_seq, row.body) == (ended - 1, ended, {"lr": 0.1})
        assert list(integrity.check(connection)) == []


def test_what_is_written_is_read_back(store: Store) -> None:
    at = datetime(2026, 11, 14, 10, 41, 7, 123456, tzinfo=timezone(timedelta(hours=1)))
    trigger = {"kind": "threshold", "ü": [1, 2.5, None, True], "z": {"a": "→"}}
    with unit(store) as opened:
        run = add_run(opened, "1", trigger=trigger)
        insert(opened, tables.run_state, run=run, state="STARTED", at=at)
        add_run(opened, "2", trigger=None)
    with store.reader() as connection:
        state = connection.execute(sa.select(tables.run_state)).one()
        assert (state.at, state.at.tzinfo, state.message) == (at, UTC, None)
        written = sa.select(tables.run.c.trigger).order_by("id")
        assert connection.scalars(written).all() == [trigger, None]
        raw = sa.select(sa.type_coerce(tables.run.c.trigger, sa.Text)).order_by("id")
        assert connection.scalars(raw).first() == (
            '{"kind":"threshold","z":{"a":"→"},"ü":[1,2.5,null,true]}'
        )
        nothing = sa.select(tables.run.c.run_id).where(tables.run.c.trigger.is_(None))
        assert connection.scalars(nothing).all() == ["2"]


def test_a_naive_time_is_refused(store: Store) -> None:
    naive = START.replace(tzinfo=None)
    with pytest.raises(sa.exc.StatementError, match="naive time"), unit(store) as opened:
        insert(opened, tables.run_state, run=1, state="STARTED", at=naive)


@pytest.mark.parametrize("column", ["trigger", "at"])
def test_a_value_that_cannot_be_read_is_damage(store: Store, column: str) -> None:
    with unit(store) as opened:
        run = add_run(opened, "1", trigger={})
        insert(opened, tables.run_state, run=run, state="STARTED", at=START)
        opened.connection.exec_driver_sql("UPDATE run SET trigger = '{'")
        opened.connection.exec_driver_sql(f"UPDATE run_state SET at = {1 << 62}")
    query = sa.select(tables.run.c.trigger if column == "trigger" else tables.run_state.c.at)
    with pytest.raises(IntegrityError, match="cannot be read"), store.reader() as connection:
        connection.execute(query).all()


def test_nothing_else_writes() -> None:
    strays = [
        f"{module.path}:{line} uses {name}"
        for module in product()
        if module.path.is_relative_to("lineage") and str(module.path) not in WRITERS
        for line, name in sqlalchemy_names(module)
        if name in {"insert", "update", "delete", "text"}
    ]
    assert strays == []


def sqlalchemy_names(module: Module) -> Iterator[tuple[int, str]]:
    """What a module takes from SQLAlchemy, imported by name or through `sa`."""
    for line, name in module.imports():
        if name.startswith("sqlalchemy."):
            yield line, name.rpartition(".")[2]
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="sa"), attr=name, lineno=line):
                yield line, name
