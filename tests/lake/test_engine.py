from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backstory.lake.engine import PlacedFile, Room, cage, files_source, select


def parquet(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{secret}']",
        "RESET lock_configuration",
        "EXPORT DATABASE '{folder}/dump'",
        "SELECT * FROM secret_frame",
    ],
)
@pytest.mark.parametrize("roomy", [False, True])
def test_the_cage_holds(tmp_path: Path, sql: str, *, roomy: bool) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    allowed = parquet(tmp_path / "allowed.parquet", a=[1])
    secret_frame = pa.table({"a": [1]})
    room = Room(memory=1 << 30, folder=tmp_path / "room") if roomy else None
    con = cage([allowed], room=room)

    with pytest.raises(duckdb.Error):
        con.sql(sql.format(secret=secret, folder=tmp_path)).fetchall()

    assert con.sql(f"SELECT a FROM read_parquet(['{allowed}'])").fetchall() == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["allowed.parquet", "secret.csv"]
    assert secret_frame.num_rows == 1


def test_columns_have_the_schema_given_whatever_the_files_lack(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("new", pa.list_(pa.int32()))])
    files = [
        parquet(tmp_path / "1.parquet", b=["x"], a=[1]),
        parquet(tmp_path / "2.parquet", a=[2]),
    ]
    source = files_source([(path, {}) for path in files], schema)

    found = cage(files).sql(select(source, schema.names, None)).to_arrow_table()

    assert found.schema == schema
    assert found.to_pylist() == [{"a": 1, "b": "x", "new": None}, {"a": 2, "b": None, "new": None}]
    nothing = cage([]).sql(select(files_source([], schema), ["new", "a"], "a > 1"))
    assert nothing.to_arrow_table().schema.names == ["new", "a"]


@pytest.mark.parametrize("name", ["r[2].parquet", "r*.parquet", "r?.parquet", "r'2.parquet"])
def test_a_name_that_looks_like_a_pattern_is_only_a_name(tmp_path: Path, name: str) -> None:
    wanted = parquet(tmp_path / name, a=[1])
    others = [parquet(tmp_path / other, a=[2]) for other in ("r2.parquet", "r3.parquet")]
    con = cage([wanted, *others])
    source = files_source([(wanted, {})], pa.schema([("a", pa.int64())]))
    assert con.sql(select(source, ["a"], None)).fetchall() == [(1,)]


def test_partition_values_are_constants_of_their_own_type(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("day", pa.date32()), ("p", pa.string())])
    first = parquet(tmp_path / "day=x/1.parquet", a=[1], p=["in the file"])
    second = parquet(tmp_path / "2.parquet", a=[2])
    files: list[PlacedFile] = [
        (first, {"day": "2026-11-14", "p": "it's"}),
        (second, {"day": None, "p": None}),
    ]

    found = cage([first, second]).sql(select(files_source(files, schema), schema.names, None))

    assert found.to_arrow_table().schema == schema
    assert [(a, str(day), p) for a, day, p in found.fetchall()] == [
        (1, "2026-11-14", "it's"),
        (2, "None", None),
    ]
