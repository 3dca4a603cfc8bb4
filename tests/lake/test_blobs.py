import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backstory.lake.blobs import Artifact, Blobs
from backstory.lake.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnavailableError,
)
from backstory.lake.files import hash_file
from tests.lake.disk import files_of_at_most, watch_syncs

REPOSITORY = Path(__file__).resolve().parents[2]
ABSENT = "0" * 64


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "artifacts")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model as people make them: weights, a script, a vocabulary, an inner link."""
    folder = tmp_path / "model"
    (folder / "vocab").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 9000)
    (folder / "predict.py").write_text("print('3')\n")
    (folder / "predict.py").chmod(0o755)
    (folder / "vocab" / "ü.txt").write_text("drei\n")
    (folder / "vocab" / "again.txt").symlink_to("ü.txt")
    (folder / "empty").mkdir()
    (folder / "nothing").touch()
    return folder


def test_a_digest_is_told_and_nothing_kept(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    for path in (model, model / "weights.bin"):
        digest = blobs.digest_of(path)
        assert not objects(tmp_path) or path != model
        assert digest == blobs.put(path).digest
    with pytest.raises(NotFoundError):
        blobs.digest_of(tmp_path / "absent")
    with pytest.raises(InvalidError, match="no file"):
        blobs.digest_of(Path(os.devnull))


def test_an_artifact_is_read_in_place(blobs: Blobs, model: Path) -> None:
    file, tree = blobs.put(model / "weights.bin"), blobs.put(model)
    assert blobs.place(file.digest).read_bytes() == (model / "weights.bin").read_bytes()
    place = blobs.place(tree.digest)
    assert contents(place) == contents(model)
    assert blobs.place(tree.digest) == place
    assert set(blobs.digests()) >= {tree.digest, file.digest}
    with pytest.raises(NotFoundError):
        blobs.place(ABSENT)


def test_a_place_that_was_changed_is_named(blobs: Blobs, model: Path) -> None:
    file, tree = blobs.put(model / "predict.py"), blobs.put(model)
    place = blobs.place(tree.digest)
    (place / "predict.py").write_text("print('4')")
    with pytest.raises(IntegrityError, match=str(place)) as caught:
        blobs.place(tree.digest)
    assert caught.value.hint == "delete that folder, it is a copy"
    blobs.place(file.digest).write_text("print('4')")
    with pytest.raises(IntegrityError) as lost:
        blobs.place(file.digest)
    assert "backup" in lost.value.hint


def test_many_lay_the_same_folder_out_at_once(blobs: Blobs, model: Path) -> None:
    tree = blobs.put(model)
    start = threading.Barrier(8)

    def place(_: int) -> Path:
        start.wait()
        return blobs.place(tree.digest)

    with ThreadPoolExecutor(8) as threads:
        [found] = set(threads.map(place, range(8)))
    assert contents(found) == contents(model)


def test_no_place_without_room(blobs: Blobs, model: Path) -> None:
    tree = blobs.put(model)
    with files_of_at_most(1000), pytest.raises(UnavailableError):
        blobs.place(tree.digest)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def objects(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}


def object_path(tmp_path: Path, digest: str, ending: str = "") -> Path:
    return tmp_path / "artifacts" / "sha256" / digest[:2] / f"{digest}{ending}"


def flip(path: Path, at: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_a_file_is_kept_under_its_digest(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    weights = model / "weights.bin"
    artifact = blobs.put(weights)

    digest, size = hash_file(weights)
    assert artifact == Artifact(digest=digest, kind="file", size=size, files=1, name="weights.bin")
    assert object_path(tmp_path, digest).read_bytes() == weights.read_bytes()
    assert blobs.has(digest)
    assert blobs.read(digest) == weights.read_bytes()
    assert list(blobs.digests()) == [digest]


def test_a_folder_comes_back_as_it_was(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    artifact = blobs.put(model)
    blobs.write_to(artifact.digest, tmp_path / "out" / "model")

    assert contents(tmp_path / "out" / "model") == contents(model)
    assert (artifact.kind, artifact.files, artifact.name) == ("tree", 5, "model")
    assert os.access(tmp_path / "out" / "model" / "predict.py", os.X_OK)
    assert not os.access(tmp_path / "out" / "model" / "weights.bin", os.X_OK)
    assert not (tmp_path / "out" / "model" / "vocab" / "again.txt").is_symlink()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]


def test_a_folder_has_one_digest_wherever_it_lies(
    blobs: Blobs, model: Path, tmp_path: Path
) -> None:
    first = blobs.put(model)
    blobs.write_to(first.digest, tmp_path / "copy")

    again = blobs.put(tmp_path / "copy")

    assert (again.digest, again.name) == (first.digest, "copy")


def test_what_is_here_is_not_kept_again(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    blobs.put(model)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "artifacts").rglob("*")}

    blobs.put(model)
    blobs.put(model / "weights.bin")

    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "artifacts").rglob("*")} == before
    assert len(objects(tmp_path)) == 5  # four contents and the tree


def test_bytes_are_a_file(blobs: Blobs, tmp_path: Path) -> None:
    artifact = blobs.put_bytes(b"patch", "dirty.patch")
    (tmp_path / "dirty.patch").write_bytes(b"patch")

    assert blobs.put(tmp_path / "dirty.patch") == artifact
    assert blobs.put_bytes(b"", "empty").size == 0


def test_a_file_is_written_out_under_the_name_that_was_asked(blobs: Blobs, tmp_path: Path) -> None:
    artifact = blobs.put_bytes(b"weights", "weights.bin")
    blobs.write_to(artifact.digest, tmp_path / "out" / "w.bin")

    assert (tmp_path / "out" / "w.bin").read_bytes() == b"weights"


def test_a_file_that_reads_like_a_tree_is_a_file(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    """Also inside a folder: the artifacts of another home can be an artifact."""
    blobs.put(model)
    copy = blobs.put(tmp_path / "artifacts")
    blobs.write_to(copy.digest, tmp_path / "out")

    found = contents(tmp_path / "out")
    assert found.items() <= contents(tmp_path / "artifacts").items()
    assert len(found) == 5
    assert not list(blobs.verify(copy.digest))


def test_a_linked_folder_or_file_may_be_named(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("model")

    assert blobs.put(tmp_path / "latest").digest == blobs.put(model).digest
    assert blobs.put(tmp_path / "latest").name == "model"


Make = Callable[[Path], object]
REFUSED: dict[str, Make] = {
    "a link out of the folder": lambda m: (m / "x").symlink_to(__file__),
    "a relative link out of the folder": lambda m: (m / "x").symlink_to("../secret"),
    "a dangling link": lambda m: (m / "x").symlink_to("nowhere"),
    "a link to itself": lambda m: (m / "x").symlink_to("x"),
    "a linked folder": lambda m: (m / "x").symlink_to("vocab"),
    "a folder linked from outside": lambda m: (m / "x").symlink_to("/etc"),
    "a link to the folder itself": lambda m: (m / "vocab" / "x").symlink_to(".."),
    "a pipe": lambda m: os.mkfifo(m / "x"),
    "a name with a line break": lambda m: (m / "a\nb").touch(),
    "a name that is no text": lambda m: Path(os.fsdecode(bytes(m) + b"/\xff")).touch(),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_does_not_stay_in_the_folder_is_refused(
    blobs: Blobs, model: Path, tmp_path: Path, make: Make
) -> None:
    (tmp_path / "secret").write_text("secret")
    make(model)

    with pytest.raises(InvalidError) as caught:
        blobs.put(model)

    assert "\n" not in caught.value.message
    assert not [name for name in objects(tmp_path) if name.endswith(".tree")]
    assert hash_file(tmp_path / "secret")[0] not in objects(tmp_path)


def test_wrong_things_get_one_line(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="absent"):
        blobs.put(tmp_path / "absent")
    with pytest.raises(InvalidError, match="no file"):
        blobs.put(Path("/dev/null"))
    with pytest.raises(InvalidError, match="no file"):
        blobs.put(model / "empty")
    with pytest.raises(InvalidError, match="no digest"):
        blobs.read("../../../etc/passwd")


BOUNDS: dict[str, Callable[[Blobs, Path], object]] = {
    "MAX_READ_BYTES": lambda blobs, model: blobs.read(blobs.put(model / "weights.bin").digest),
    "MAX_TREE_FILES": lambda blobs, model: blobs.put(model),
    "MAX_ARTIFACT_BYTES": lambda blobs, model: blobs.put(model / "weights.bin"),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_bounds_are_kept(
    blobs: Blobs, model: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"backstory.lake.blobs.{bound}", 2)

    with pytest.raises(LimitExceededError):
        BOUNDS[bound](blobs, model)


def test_the_bound_of_a_folder_counts_all_its_files(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.lake.blobs.MAX_ARTIFACT_BYTES", 10)
    (tmp_path / "m").mkdir()
    for name in ("a", "b"):
        (tmp_path / "m" / name).write_bytes(name.encode() * 6)

    with pytest.raises(LimitExceededError):
        blobs.put(tmp_path / "m")


def test_absent_artifacts_are_not_found(blobs: Blobs, tmp_path: Path) -> None:
    assert not blobs.has(ABSENT)
    with pytest.raises(NotFoundError):
        blobs.read(ABSENT)
    with pytest.raises(NotFoundError):
        blobs.write_to(ABSENT, tmp_path / "out")
    assert [f.problem for f in blobs.verify(ABSENT)] == ["missing"]
    assert not list(blobs.digests())


@pytest.mark.parametrize(
    "kind", ["file", "full folder", "dangling link", "empty folder for a file"]
)
def test_nothing_is_overwritten(blobs: Blobs, model: Path, tmp_path: Path, kind: str) -> None:
    dest = tmp_path / "dest"
    artifact = blobs.put(model)
    if kind == "file":
        dest.write_text("mine")
    elif kind == "dangling link":
        dest.symlink_to("nowhere")
    else:
        dest.mkdir()
    if kind == "full folder":
        (dest / "mine").touch()
    if kind == "empty folder for a file":
        artifact = blobs.put(model / "predict.py")

    with pytest.raises(ConflictError, match="exists"):
        blobs.write_to(artifact.digest, dest)

    assert not (dest / "predict.py").exists()


def test_an_empty_folder_is_filled(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    blobs.write_to(blobs.put(model).digest, tmp_path / "dest")

    assert contents(tmp_path / "dest") == contents(model)


def test_one_changed_byte_is_found_and_named(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    tree = blobs.put(model)
    weights = hash_file(model / "weights.bin")[0]
    assert not list(blobs.verify(tree.digest))

    flip(object_path(tmp_path, weights), at=12_345)

    (found,) = blobs.verify(tree.digest)
    assert (found.problem, found.expected) == ("changed", weights)
    assert found.path == f"sha256/{weights[:2]}/{weights}"
    assert "weights.bin" in found.where
    assert found.found == hash_file(object_path(tmp_path, weights))[0]
    with pytest.raises(IntegrityError):
        blobs.read(weights)
    with pytest.raises(IntegrityError):
        blobs.write_to(tree.digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_object_of_a_folder_is_covered(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    tree = blobs.put(model)
    for path in [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file()]:
        before = path.read_bytes()
        path.write_bytes(before + b"!")
        relative = path.relative_to(tmp_path / "artifacts").as_posix()
        assert {f.path for f in blobs.verify(tree.digest)} == {relative}
        path.unlink()
        assert {f.problem for f in blobs.verify(tree.digest)} == {"missing"}
        path.write_bytes(before)
    assert not list(blobs.verify(tree.digest))


def test_a_changed_tree_is_not_followed(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    tree = blobs.put(model)
    flip(object_path(tmp_path, tree.digest, ".tree"), at=-1)

    assert [f.problem for f in blobs.verify(tree.digest)] == ["changed"]
    with pytest.raises(IntegrityError):
        blobs.write_to(tree.digest, tmp_path / "out")


def test_a_full_disk_leaves_nothing_half(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    with files_of_at_most(1 << 20), pytest.raises(UnavailableError, match="File too large"):
        blobs.put(model / "weights.bin")

    assert not objects(tmp_path)
    assert blobs.put(model / "weights.bin").size == 256 * 9000


def test_a_full_disk_leaves_nothing_half_written_out(
    blobs: Blobs, model: Path, tmp_path: Path
) -> None:
    tree = blobs.put(model)
    with files_of_at_most(1 << 20), pytest.raises(UnavailableError, match="File too large"):
        blobs.write_to(tree.digest, tmp_path / "out" / "model")

    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_changes_while_it_is_kept_is_named(
    blobs: Blobs, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashed_then_changed(path: Path) -> tuple[str, int]:
        before = hash_file(path)
        path.write_bytes(b"other")
        return before

    monkeypatch.setattr("backstory.lake.blobs.hash_file", hashed_then_changed)

    with pytest.raises(ConflictError, match=r"weights\.bin changed"):
        blobs.put(model / "weights.bin")
    assert not objects(tmp_path)


def test_what_cannot_be_read_is_told(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_bytes(b"weights", "model.bin").digest
    object_path(tmp_path, digest).unlink()
    object_path(tmp_path, digest).mkdir()

    with pytest.raises(UnavailableError, match="Is a directory"):
        blobs.read(digest)
    assert [f.problem for f in blobs.verify(digest)] == ["unreadable"]


def test_an_artifact_has_an_address(blobs: Blobs, model: Path, tmp_path: Path) -> None:
    tree, file = blobs.put(model), blobs.put(model / "predict.py")

    assert blobs.uri(tree.digest) == str(object_path(tmp_path, tree.digest, ".tree"))
    assert blobs.uri(file.digest) == str(object_path(tmp_path, file.digest))


@pytest.mark.parametrize("point", ["blob.written", "blob.renamed"])
def test_whoever_dies_while_keeping_is_healed_by_keeping_again(
    blobs: Blobs, model: Path, tmp_path: Path, point: str
) -> None:
    program = (
        "import sys; from pathlib import Path; from backstory.lake.blobs import Blobs\n"
        "Blobs(Path(sys.argv[1])).put(Path(sys.argv[2]))"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "artifacts"), str(model)],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": point},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert len(list(blobs.digests())) == (point == "blob.renamed")

    tree = blobs.put(model)

    assert not list(blobs.verify(tree.digest))
    assert len(list(blobs.digests())) == 5


def test_what_is_kept_or_written_out_survives_a_power_cut(
    blobs: Blobs, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = watch_syncs(monkeypatch, tmp_path)
    digest = blobs.put(model).digest
    blobs.write_to(digest, tmp_path / "out" / "model")
    blobs.write_to(blobs.put(model / "predict.py").digest, tmp_path / "out" / "predict.py")
    blobs.place(digest)
    assert lost() == []
