"""Interactions that others keep, read in place; on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import backstory
from backstory.lake import lookup
from backstory.lineage.graph import EdgeKind
from backstory.lineage.home import Home
from backstory.lineage.ids import interaction_id
from backstory.lineage.interaction import PartStatus
from backstory.lineage.state import Section
from tests.integration.bandit_shop import POLICIES, impressions
from tests.lineage.homes import CONTRACT, answer, backstory_error, feed, train

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
LOOP = EdgeKind.FEEDBACK_ON
COLUMNS = {"id": "order", "at": "ts", "subject": "user", "request": "asked", "version": "v"}


def rows(first: int, count: int = 3, **more: Any) -> pa.Table:
    """Some answers of others, a minute apart."""
    numbers = range(first, first + count)
    return pa.table(
        {
            "order": [f"o-{n}" for n in numbers],
            "ts": pa.array([AT + timedelta(minutes=n) for n in numbers], pa.timestamp("us", "UTC")),
            "user": [f"ann-{n}" for n in numbers],
            "asked": [f"question {n}" for n in numbers],
            "v": pa.array([1 + n % 2 for n in numbers], pa.int64()),
            "place": ["prod" if n % 2 else "test" for n in numbers],
        }
        | more
    )


@pytest.fixture
def theirs(home: Home, tmp_path: Path) -> Path:
    """A model with two versions, and a table of others with six answers in two files."""
    feed(home)
    train(home, "thumbs/en")
    train(home, "thumbs/en")
    write_deltalake(tmp_path / "theirs", rows(0))
    write_deltalake(tmp_path / "theirs", rows(3), mode="append")
    return tmp_path / "theirs"


def test_an_interaction_of_others_has_its_state(home: Home, theirs: Path) -> None:
    made = home.link_interactions("ranker", str(theirs), columns=COLUMNS, environment="prod")
    assert made.ref == "ranker/interactions@1"
    state = home.state_of("ext:shop:o-4")
    asked = state.interaction
    assert (state.version, asked.external_id, asked.at) == ("ranker@1", "o-4", AT.replace(minute=4))
    assert (asked.request, asked.response, asked.environment) == ('"question 4"', None, "prod")
    assert asked.subject == home.key.pseudonym("ann-4")
    assert asked.id == interaction_id(asked.at, "o-4")
    assert state.linked is not None
    assert state.linked.link.evidence == "imported"
    assert {"parts", "response", "turn"} <= set(state.linked.mapping.unmapped)
    missing = {(part.section, part.kind) for part in state.missing}
    assert (Section.PART, "parts") in missing
    for ref in (f"int:{asked.id}", f"int:{asked.id[:13]}"):
        assert home.state_of(ref).digest == state.digest


def test_a_person_is_a_pseudonym_where_rows_are_shown(home: Home, theirs: Path) -> None:
    made = home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    shown = home.show("ranker/interactions", where="\"order\" = 'o-4'")
    assert [row["user"] for row in shown.rows] == [home.key.pseudonym("ann-4")]
    assert [row["order"] for row in shown.rows] == ["o-4"]
    assert made.snapshot.arrow(["user"])["user"][0].as_py().startswith("ann-")  # as it lies there


def test_their_own_uuids_and_numbers_are_taken(home: Home, theirs: Path, tmp_path: Path) -> None:
    uuid = "019a8f3c-5b1e-7000-8000-000000000001"
    write_deltalake(tmp_path / "a", rows(0, 1, order=[uuid]))
    home.link_interactions("ranker", str(tmp_path / "a"), columns=COLUMNS)
    assert home.state_of(f"int:{uuid}").interaction.id == uuid
    assert home.state_of("int:019a8f3c").interaction.id == uuid
    write_deltalake(tmp_path / "b", rows(0, 2, order=pa.array([8811, 8812], pa.int32())))
    home.link_interactions("ranker", str(tmp_path / "b"), columns=COLUMNS)
    assert home.state_of("ext:zendesk:8812").interaction.external_id == "8812"
    with pytest.raises(backstory.NotFoundError):
        home.state_of(f"int:{uuid}")


def test_a_lookup_opens_few_files(home: Home, theirs: Path) -> None:
    made = home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    whole = made.snapshot
    assert len(whole.manifest.files) == 2
    assert len(lookup.may_hold(whole, "order", "o-4", "o-4").manifest.files) == 1
    late = AT + timedelta(minutes=5)
    assert len(lookup.may_hold(whole, "ts", late, late).manifest.files) == 1
    assert len(lookup.may_hold(whole, "ts", AT, late).manifest.files) == 2


def test_parts_are_read_where_they_are_mapped(home: Home, theirs: Path, tmp_path: Path) -> None:
    found = [[{"kind": "chunk", "ref": "faq#3", "detail": '{"score":0.5}'}]]
    write_deltalake(tmp_path / "p", rows(0, 1, parts=pa.array(found)))
    home.link_interactions("ranker", str(tmp_path / "p"), columns={**COLUMNS, "parts": "parts"})
    state = home.state_of("ext:shop:o-0")
    [part] = [part for part in state.parts if part.section is Section.PART]
    assert (part.kind, part.ref, part.status) == ("chunk", "faq#3", PartStatus.DECLARED)


def test_another_link_supersedes_and_the_past_answers_as_then(
    home: Home, theirs: Path, tmp_path: Path
) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    then = home.clock()
    seq = len(home.history("ranker/interactions"))
    write_deltalake(theirs, rows(6), mode="append")
    write_deltalake(tmp_path / "new", rows(0, 1, order=["n-0"]))
    home.link_interactions("ranker", str(tmp_path / "new"), columns=COLUMNS)
    assert home.state_of("ext:shop:n-0").linked
    for lost in ("ext:shop:o-4", "ext:shop:o-7"):
        with pytest.raises(backstory.NotFoundError):
            home.state_of(lost)
    assert home.state_of("ext:shop:o-4", as_of=then).linked
    with pytest.raises(backstory.NotFoundError):
        home.state_of("ext:shop:o-7", as_of=then)
    assert seq == 2
    [table] = [table for table in home.interaction_tables() if table.link]
    assert (table.slice.name, table.rows) == ("ranker/interactions-2", 1)
    [before] = [table for table in home.interaction_tables(as_of=then) if table.link]
    assert before.slice.name == "ranker/interactions"
    assert home.verify().findings == ()


def test_the_same_link_again_changes_nothing(home: Home, theirs: Path) -> None:
    one = home.link_interactions("ranker", str(theirs), columns=COLUMNS, version=None)
    two = home.link_interactions("ranker", f"file://{theirs}", columns=COLUMNS)
    assert one.link == two.link
    home.unlink_interactions("ranker")
    with pytest.raises(backstory.NotFoundError) as caught:
        home.unlink_interactions("ranker")
    assert "no interactions of 'ranker' are linked | see" in backstory_error(caught)
    assert [table for table in home.interaction_tables() if table.link] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"id": "order"}}, "no column is named for 'at'"),
        ({"columns": {**COLUMNS, "color": "v"}}, "called 'color'"),
        ({"columns": {**COLUMNS, "turn": "nothing"}}, "no column 'nothing' for turn"),
        ({"columns": {**COLUMNS, "at": "user"}}, "column 'user' is string; at is timestamp"),
        ({"columns": {**COLUMNS, "turn": "user"}}, "turn is int8 or int16"),
        ({"version": "ranker@1"}, "the version is named twice"),
        ({"columns": {"id": "order", "at": "ts"}, "version": "ranker@9"}, "has no version 9"),
        ({"columns": {"id": "order", "at": "ts"}, "version": "other@1"}, "called 'other'"),
        ({"evidence": "observed"}, "'observed' is no evidence"),
        ({"model": "nobody"}, "called 'nobody'"),
        ({"model": "thumbs/en"}, "'thumbs/en' is not a model"),
        ({"uri": "https://bucket/answers"}, "cannot open a https location"),
        ({"uri": "/nowhere"}, "there is no Delta table at /nowhere"),
        ({"name": "No Name"}, "is no name"),
    ],
)
def test_what_cannot_be_linked_is_said_in_a_line(
    home: Home, theirs: Path, change: dict[str, Any], said: str
) -> None:
    args: dict[str, Any] = {"model": "ranker", "uri": str(theirs), "columns": COLUMNS, **change}
    with pytest.raises(backstory.BackstoryError) as caught:
        home.link_interactions(args.pop("model"), args.pop("uri"), **args)
    line = backstory_error(caught)
    assert said in line
    assert "\n" not in line
    assert caught.value.hint
    assert home.interaction_tables() == []


def test_a_table_that_is_gone_hides_nothing_of_ours(home: Home, theirs: Path) -> None:
    own = answer(home, external_id="o-1")
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    assert home.state_of("ext:shop:o-1").interaction.id == own
    theirs.rename(theirs.with_name("moved"))
    assert home.state_of(f"int:{own[:13]}").interaction.id == own
    with pytest.raises(backstory.NotFoundError, match="there is no Delta table"):
        home.state_of("ext:shop:o-2")


def test_a_column_that_is_lost_is_named(home: Home, theirs: Path) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    write_deltalake(
        theirs, rows(0).drop_columns(["user"]), mode="overwrite", schema_mode="overwrite"
    )
    with pytest.raises(backstory.UnavailableError) as caught:
        home.state_of("ext:shop:o-2")
    assert "there is no column 'user' for subject | link them anew" in backstory_error(caught)


def test_feedback_on_answers_of_others_closes_the_loop(home: Home, theirs: Path) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    feed(home, first=5, answer="o-4", count=2)
    made = train(home, "thumbs/en")
    shares = {edge.share for edge in home.trace(made).graph.edges if edge.kind is LOOP}
    assert shares == {2 / 6}


@pytest.mark.parametrize("days", [-3, 800])
def test_an_answer_of_others_is_matched_by_its_id_whenever(
    home: Home, theirs: Path, days: int
) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    given = {"event_id": "late", "at": AT + timedelta(days=days), "answer": "o-1"}
    home.slice("thumbs/en").append([given], source="shop")
    matches = home.matches("thumbs/en").found
    assert [(one.ref, one.rows) for one in matches] == [("ranker@2", 1)]


def test_no_training_stops_for_a_table_that_is_gone(
    home: Home, theirs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    theirs.rename(theirs.with_name("moved"))
    assert train(home, "thumbs/en") == "ranker@3"
    assert "which feedback speaks of ranker is not known" in caplog.text


def test_rows_that_are_hidden_are_not_found(home: Home, theirs: Path) -> None:
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    DeltaTable(theirs).delete("\"order\" = 'o-4'")
    with pytest.raises(backstory.NotFoundError):
        home.state_of("ext:shop:o-4")


def test_a_week_of_a_shop_is_read_where_it_is(
    home: Home, shared_data: Path, tmp_path: Path
) -> None:
    """Two policies' impressions, a file a day; compared with what pandas says of the same rows."""
    shown = impressions(shared_data)
    table = shown.assign(v=shown["policy"].map(POLICIES))
    for _, day in table.groupby("day"):
        frame = day[["external_id", "at", "shopper", "item", "v"]]
        write_deltalake(
            tmp_path / "shop", pa.Table.from_pandas(frame, preserve_index=False), mode="append"
        )
    train(home, model="women"), train(home, model="women")
    made = home.link_interactions(
        "women",
        str(tmp_path / "shop"),
        columns={
            "id": "external_id",
            "at": "at",
            "subject": "shopper",
            "response": "item",
            "version": "v",
        },
        environment="shop",
    )
    assert (made.snapshot.rows, len(made.snapshot.manifest.files)) == (20_000, 7)
    for _, row in table.sample(3, random_state=7).iterrows():
        state = home.state_of(f"ext:shop:{row['external_id']}")
        assert state.version == f"women@{row['v']}"
        assert state.interaction.response == str(row["item"])
        assert state.interaction.subject == home.key.pseudonym(row["shopper"])
        assert state.interaction.id == row["interaction"]
        assert home.state_of(f"int:{row['interaction']}").digest == state.digest
        assert len(lookup.may_hold(made.snapshot, "at", row["at"], row["at"]).manifest.files) <= 2
        near = home.nearest_interaction("women", "shop", row["at"].to_pydatetime())
        assert home.state_of(near).interaction.at == row["at"]
    clicked = table[table["click"] == 1]
    home.create_slice(CONTRACT)
    home.slice("thumbs/en").append(
        [
            {"event_id": row.external_id, "at": row.at, "answer": row.external_id, "stars": 1}
            for row in clicked.itertuples()
        ],
        source="shop",
    )
    trained = train(home, "thumbs/en", model="women")
    told = {edge.rows for edge in home.trace(trained).graph.edges if edge.kind is LOOP}
    assert told == set(clicked["v"].value_counts().to_list())
