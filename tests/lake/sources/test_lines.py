import gzip
import io
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.sources import lines
from backstory.lake.sources.lines import open_lines


def read(data: bytes) -> list[bytes]:
    with open_lines(io.BytesIO(data), "rows.csv") as found:
        return list(found)


def test_lines_keep_their_ends() -> None:
    assert read(b"a\r\nb\n\nc") == [b"a\r\n", b"b\n", b"\n", b"c"]
    assert read(b"") == []


def test_only_the_first_mark_is_dropped() -> None:
    mark = b"\xef\xbb\xbf"
    assert read(mark + b"a\n" + mark + b"b") == [b"a\n", mark + b"b"]


def test_a_file_is_closed_when_done(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a\nb\n")
    with open_lines(path, "rows.csv") as found:
        next(found)
    with pytest.raises(ValueError, match=r"closed|uninitialized|detached"):
        next(found)


PACKED = gzip.compress(b"a\n" * 10_000, mtime=0)


DAMAGED = {
    "cut short": PACKED[:-9],
    "cut in the header": PACKED[:5],
    "a wrong sum": PACKED[:-8] + b"\0" * 8,
    "a flipped byte": PACKED[:20] + bytes([PACKED[20] ^ 0xFF]) + PACKED[21:],
    "rubbish after it": PACKED + b"rubbish",
    "another method": b"\x1f\x8b\x07" + PACKED[3:],
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_stream_is_never_a_short_input(data: bytes) -> None:
    with pytest.raises(InvalidError, match=r"rows.csv: the gzip stream is damaged or cut short"):
        read(data)


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\x00\x9c\xff\n"])
def test_a_file_that_is_named_gzip_and_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.csv.GZ"
    path.write_bytes(data)
    with pytest.raises(InvalidError, match=r"rows.csv.GZ is not gzip; nothing was written") as no:
        open_lines(path, path.name).__enter__()
    assert "without .gz" in no.value.hint


ZSTD = pa.compress(b"a\n" * 10_000, codec="zstd", asbytes=True)


def test_zstd_is_unpacked(tmp_path: Path) -> None:
    assert read(ZSTD + ZSTD) == [b"a\n"] * 20_000
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(b"a\n")
    with pytest.raises(InvalidError, match=r"rows.csv.zst is not zstd; nothing was written"):
        open_lines(path, path.name).__enter__()


@pytest.mark.parametrize("data", [ZSTD[:-3], ZSTD[:6], ZSTD + b"rubbish", ZSTD[: len(ZSTD) // 2]])
def test_a_damaged_zstd_stream_is_never_a_short_input(data: bytes) -> None:
    with pytest.raises(InvalidError, match=r"rows.csv: the zstd stream is damaged or cut short"):
        read(data)


BOMB = (b"a" * 999 + b"\n") * 200_000
BOMBS = {
    "gzip": partial(gzip.compress, mtime=0),
    "zstd": partial(pa.compress, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("pack", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_early(pack: Callable[[bytes], bytes]) -> None:
    taken: list[int] = []
    with open_lines(io.BytesIO(pack(BOMB)), "rows.csv") as found:
        sizes = map(len, found)
        with pytest.raises(LimitExceededError, match="unpacks to more than 200 times") as no:
            taken.extend(sizes)
    assert sum(taken) <= lines.INFLATION_FREE_BYTES
    assert "unpack it first" in no.value.hint


def test_other_compressions_are_just_bytes() -> None:
    data = zlib.compress(b"a\nb\n")
    assert b"".join(read(data)) == data


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    monkeypatch.setattr(lines, "MAX_INFLATED_BYTES", 100)
    assert read(b"x" * 9 + b"\n") == [b"x" * 9 + b"\n"]
    with pytest.raises(LimitExceededError, match="line 2 is longer than 10 bytes; nothing") as one:
        read(b"a\n" + b"x" * 11)
    assert "Parquet" in one.value.hint
    for data in (b"a\n" * 51, gzip.compress(b"a\n" * 1_000_000, mtime=0)):
        with pytest.raises(LimitExceededError, match="larger than 100 bytes"):
            read(data)
