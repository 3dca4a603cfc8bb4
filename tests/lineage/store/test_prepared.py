from typing import Any

import pytest
import sqlalchemy as sa

from backstory.lake.errors import BackstoryError
from backstory.lineage.graph import EntityKind
from backstory.lineage.store import tables as t
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import add_entity, insert
from tests.lineage.store.recording import START, add_run, statements, unit

RUNS = sa.select(t.run.c.id, t.run.c.run_id, t.run.c.model, t.run.c.trigger).order_by(t.run.c.id)


def add_runs(store: Store) -> list[int]:
    with unit(store) as opened:
        first = add_run(opened, "019a-1", trigger={"kind": "manual", "rate": "100 %"})
        second = add_run(opened, "019a-2", model="ranker")
        for run in (first, second):
            insert(opened, t.run_state, run=run, state="started", at=START)
    return [first, second]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (RUNS, {}),
        (RUNS.where(among(t.run.c.id, "ids")), {"ids": [1, 2, 99]}),
        (RUNS.where(among(t.run.c.id, "ids")), {"ids": []}),
        (RUNS.where(t.run.c.run_id == sa.bindparam("run_id")), {"run_id": "019a-2"}),
        (RUNS.where(t.run.c.model == "ranker").limit(sa.bindparam("most")), {"most": 1}),
        (RUNS.where(t.run.c.run_id.like("%-1")), {}),
        (sa.select(t.run_state.c.at).where(t.run_state.c.at <= sa.bindparam("at")), {"at": START}),
    ],
)
def test_a_prepared_statement_gives_what_sqlalchemy_gives(
    store: Store, statement: sa.Select[Any], values: dict[str, Any]
) -> None:
    add_runs(store)
    prepared = Prepared(statement)
    with store.reader() as connection:
        expected = [tuple(row) for row in connection.execute(statement, values)]
        for _ in range(2):
            assert [tuple(row) for row in prepared.rows(connection, **values)] == expected
        made: list[dict[str, Any]] = prepared.records(connection, dict, **values)
    assert [tuple(row.values()) for row in made] == expected


def test_it_reads_within_the_transaction(store: Store) -> None:
    labels = Prepared(sa.select(t.entity.c.label))
    with unit(store) as opened:
        add_entity(opened, EntityKind.RUN, "run:1", "one")
        assert [tuple(row) for row in labels.rows(opened.connection)] == [("one",)]


def test_listeners_see_it(store: Store) -> None:
    with statements(store.engine) as sent, store.reader() as connection:
        Prepared(RUNS).rows(connection)
    assert len(sent) == 1
    assert "FROM run" in sent[0]


def test_its_errors_are_the_stores(store: Store) -> None:
    lost = sa.table("lost", sa.column("id"))
    with pytest.raises(BackstoryError) as caught, store.reader() as connection:
        Prepared(sa.select(lost.c.id)).rows(connection)
    assert "SELECT" not in str(caught.value)
