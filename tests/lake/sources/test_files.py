import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backstory.lake.errors import InvalidError, NotFoundError, UnavailableError
from backstory.lake.sources.files import FORMATS, format_of, read_file
from tests.lake.contracts import contract_of

CONTRACT = contract_of(a="int64")


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("thumbs.2026-11-24.csv", "csv"),
        ("A.CSV.GZ", "csv"),
        ("a.parquet", "parquet"),
        ("a.arrow", "arrow"),
    ],
)
def test_the_name_says_what_it_is(name: str, format_: str) -> None:
    assert format_of(Path(name)) == format_


@pytest.mark.parametrize("name", ["a", "a.json", "a.gz", "a.csv.zip", "a.arrow.gz", ".csv", "a."])
def test_other_names_need_a_format(name: str) -> None:
    with pytest.raises(InvalidError, match="does not say") as refused:
        format_of(Path(name))
    assert all(format_ in refused.value.hint for format_ in FORMATS)


def test_every_format_is_read(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([1, None], pa.int64())})
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{}\n')
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b'a\n1\n""\n'))
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    for name in ("a.jsonl", "a.csv.gz", "a.parquet", "a.arrow"):
        assert read_file(tmp_path / name, CONTRACT).equals(table)


def test_the_caller_may_say_the_format(tmp_path: Path) -> None:
    (tmp_path / "export.txt").write_text('{"a": 1}')
    assert read_file(tmp_path / "export.txt", CONTRACT, format="jsonl").num_rows == 1
    with pytest.raises(InvalidError, match="unknown format 'json'") as refused:
        read_file(tmp_path / "export.txt", CONTRACT, format="json")
    assert refused.value.hint == "did you mean jsonl?"


def test_a_file_that_is_not_there_is_not_asked_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nofile: there is no such file"):
        read_file(tmp_path / "nofile", CONTRACT)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.arrow"])
def test_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match=f"{name}.*no such file"):
        read_file(tmp_path / name, CONTRACT)
    (tmp_path / name).mkdir()
    with pytest.raises((UnavailableError, InvalidError), match="cannot read"):
        read_file(tmp_path / name, CONTRACT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.arrow"])
def test_files_that_may_not_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch(mode=0)
    with pytest.raises(UnavailableError, match="Permission denied"):
        read_file(tmp_path / name, CONTRACT)
