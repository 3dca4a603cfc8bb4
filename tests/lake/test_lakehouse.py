from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from backstory.lake.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from backstory.lake.lakehouse import Lake
from backstory.lake.linked import LinkedTable
from backstory.lake.location import interactions_of
from tests.lake.thumbs import NOW, append, contract, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tmp_path / "artifacts")


@pytest.fixture
def others(tmp_path: Path) -> str:
    write_deltalake(tmp_path / "others", pa.table({"a": [1]}))
    return str(tmp_path / "others")


def test_an_empty_lake_has_no_tables(lake: Lake) -> None:
    assert lake.names() == []
    with pytest.raises(NotFoundError, match="thumbs"):
        lake.table("thumbs")


def test_tables_are_known_by_name(lake: Lake, others: str) -> None:
    lake.create(contract(), at=NOW)
    lake.create(replace(contract(), slice=interactions_of("ranker")), at=NOW)
    lake.link("clicks", others, at=NOW)
    (lake.root / "thumbs__en (copy)" / "_delta_log").mkdir(parents=True)
    (lake.root / "notes").mkdir()

    assert lake.names() == ["_interactions/ranker", "clicks", "thumbs/en"]
    assert isinstance(lake.table("clicks"), LinkedTable)
    assert {lake.table(name).name for name in lake.names()} == set(lake.names())


def test_another_lake_on_the_same_folder_sees_the_same(lake: Lake, tmp_path: Path) -> None:
    made = lake.create(contract(), at=NOW)
    append(made, rows(), offset=1)
    again = Lake(tmp_path / "lake", tmp_path / "artifacts").slice("thumbs/en")

    assert again.table_id == made.table_id
    assert again.version == made.version == 1


def test_a_table_is_opened_once(lake: Lake) -> None:
    made = lake.create(contract(), at=NOW)

    assert lake.slice("thumbs/en") is made
    assert lake.table("thumbs/en") is made


def test_a_wrong_name_gets_a_suggestion(lake: Lake) -> None:
    lake.create(contract(), at=NOW)

    with pytest.raises(NotFoundError) as caught:
        lake.table("thumbs/em")
    assert caught.value.hint == "did you mean thumbs/en?"
    with pytest.raises(InvalidError):
        lake.table("../thumbs")


def test_a_name_means_one_table(lake: Lake, others: str) -> None:
    lake.create(contract(), at=NOW)
    lake.link("clicks", others, at=NOW)

    with pytest.raises(ConflictError):
        lake.create(contract(), at=NOW)
    with pytest.raises(ConflictError, match="linked"):
        lake.create(replace(contract(), slice="clicks"), at=NOW)
    with pytest.raises(ConflictError):
        lake.link("thumbs/en", others, at=NOW)


def test_a_linked_table_is_not_written(lake: Lake, others: str) -> None:
    lake.link("clicks", others, at=NOW)

    with pytest.raises(RefusedError, match="linked"):
        lake.slice("clicks")


def test_artifacts_lie_in_their_own_folder(lake: Lake, tmp_path: Path) -> None:
    digest = lake.blobs.put_bytes(b"weights", "model.bin").digest

    assert (tmp_path / "artifacts" / "sha256" / digest[:2] / digest).exists()
