import copy
import hashlib
import http.server
import io
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backstory.lake.errors import (
    BackstoryError,
    InvalidError,
    NotPermittedError,
    RefusedError,
    UnavailableError,
)
from backstory.lake.files import hash_file
from backstory.lake.location import place_of
from backstory.lake.object_path import ObjectPath, fetched, is_object, names_in, parse_object
from tests.object_store import SECRETS, environment, make_bucket, served


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectPath]:
    with served():
        yield make_bucket()


@pytest.fixture
def folder(bucket: ObjectPath, request: pytest.FixtureRequest) -> ObjectPath:
    """Below the bucket, for one test."""
    name: str = request.node.name
    return bucket / name.replace("[", "-").rstrip("]")


def test_a_place_is_told_by_its_scheme(tmp_path: Path) -> None:
    assert place_of("s3://shop/lake/") == parse_object("s3://shop/lake")
    assert is_object(place_of("s3://shop"))
    assert place_of(str(tmp_path)) == tmp_path
    assert place_of(tmp_path.as_uri()) == tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3://Shop/lake",
        "s3://a/lake",
        "s3://shop//lake",
        "s3://shop/../lake",
        "s3://shop/./lake",
        "s3://planted-secret@shop/lake",
        "s3://key:planted-secret@shop/lake",
        "s3://shop/lake?versionId=planted-secret",
        "s3://shop/lake#planted-secret",
    ],
)
def test_what_is_no_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        place_of(text)
    assert "planted-secret" not in str(caught.value) + caught.value.hint


def test_a_name_behaves_as_a_path(bucket: ObjectPath) -> None:
    path = bucket / "lake" / "thumbs__en" / "v1.json"
    assert str(path) == f"{bucket}/lake/thumbs__en/v1.json"
    assert (path.name, path.stem, path.parent.name) == ("v1.json", "v1", "thumbs__en")
    assert path.relative_to(bucket / "lake").as_posix() == "thumbs__en/v1.json"
    assert path.with_suffix(".bak").name == "v1.bak"
    assert path.resolve() == path.absolute() == path
    assert parse_object(str(path)) == path
    assert pickle.loads(pickle.dumps(path)) == copy.copy(path) == path  # noqa: S301 - our own
    assert not path.is_symlink()


def test_it_is_never_taken_for_a_file_of_this_machine(folder: ObjectPath) -> None:
    for use in (open, os.stat, os.listdir, os.fsencode):
        with pytest.raises(TypeError, match="no file of this machine"):
            use(folder)


def test_what_is_written_is_read(folder: ObjectPath) -> None:
    path = folder / "a" / "b.txt"
    assert not path.exists()
    assert not folder.is_dir()
    path.write_text("ä\nb\n")
    assert path.read_text() == "ä\nb\n"
    assert path.is_file()
    assert not path.is_dir()
    assert folder.is_dir()
    assert (folder / "a").exists()
    assert path.stat().st_size == 5
    with path.open(encoding="utf-8") as lines:
        assert list(lines) == ["ä\n", "b\n"]


def test_an_object_is_read_in_parts(folder: ObjectPath, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (folder / "large").write_bytes(data)
    with (folder / "large").open("rb") as file:
        assert file.read(3) == data[:3]
        assert file.seek(-4, io.SEEK_END) == len(data) - 4
        assert file.read() == data[-4:]
        assert file.read() == b""
    assert hash_file(folder / "large") == (hashlib.sha256(data).hexdigest(), len(data))
    here = fetched(folder / "large", tmp_path)
    assert here.read_bytes() == data
    assert fetched(folder / "large", tmp_path) == here
    assert fetched(here, tmp_path) == here


def test_of_two_who_create_one_is_first(folder: ObjectPath) -> None:
    assert (folder / "lock").create(b"first")
    assert not (folder / "lock").create(b"second")
    assert (folder / "lock").create(b"first")  # as when its answer was lost, and it came again
    assert (folder / "lock").read_bytes() == b"first"


def test_names_are_found(folder: ObjectPath) -> None:
    for name in ("a/_delta_log/0.json", "a/_delta_log/1.json", "a/x.parquet", "b/y.parquet"):
        (folder / name).write_bytes(b"1")
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert sorted(names_in(folder / "a")) == ["x.parquet"]
    assert [path.parent.name for path in folder.glob("*/_delta_log")] == ["a"]
    assert len(list(folder.glob("*/_delta_log/*.json"))) == 2
    assert list((folder / "a").glob("x.parquet")) == [folder / "a" / "x.parquet"]
    assert list(folder.glob("none/*")) == []
    assert sorted(path.name for path in folder.rglob("*.parquet")) == ["x.parquet", "y.parquet"]


def test_what_is_not_there_is_told_as_by_a_disk(folder: ObjectPath) -> None:
    path = folder / "none"
    for ask in (path.read_bytes, path.stat, path.unlink, lambda: path.open("rb")):
        with pytest.raises(FileNotFoundError, match="none"):
            ask()
    path.unlink(missing_ok=True)
    with pytest.raises(io.UnsupportedOperation):
        path.open("wb")


def test_a_bucket_that_is_not_there_is_named(bucket: ObjectPath) -> None:
    with pytest.raises(UnavailableError, match="s3://absent/x: the object store says NoSuchBucket"):
        parse_object("s3://absent/x").write_bytes(b"1")


@pytest.mark.parametrize("name", ["AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_S3_LOCKING_PROVIDER"])
def test_a_setting_that_loses_commits_is_refused(
    bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "true")
    with pytest.raises(RefusedError, match=name):
        parse_object("s3://unsafe/x").exists()


ANSWER = """<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>
<AWSAccessKeyId>{AWS_ACCESS_KEY_ID}</AWSAccessKeyId><StringToSign>{AWS_SESSION_TOKEN}</StringToSign>
</Error>""".format_map(SECRETS)


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, status: int) -> Iterator[None]:
    """A store that refuses everybody, and repeats what it was shown."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(ANSWER.encode())

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)
        yield
        server.shutdown()


def test_who_we_are_is_in_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import traceback

    from backstory.lake.table import SliceTable
    from backstory.lake.versions import open_delta
    from tests.lake.thumbs import create

    caplog.set_level("DEBUG")
    (tmp_path / "file").write_bytes(b"1")
    with refusing(monkeypatch, 403):
        path = parse_object("s3://refusing/lake")
        for ask in (
            path.read_bytes,
            path.exists,
            path.is_dir,
            lambda: list(path.iterdir()),
            lambda: path.write_bytes(b"1"),
            lambda: path.create(b"1"),
            lambda: path.upload(tmp_path / "file"),
            lambda: create(path),
            lambda: SliceTable.open(path, "thumbs/en"),
            lambda: open_delta(path, name="thumbs"),
        ):
            with pytest.raises(BackstoryError) as caught:
                ask()
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
            for secret in SECRETS.values():
                assert secret not in told + caplog.text
        with pytest.raises(NotPermittedError, match="SignatureDoesNotMatch"):
            path.read_bytes()
    assert "planted" not in repr(path) + repr(path._store)
