"""The subject index of a table: one set of subjects for each data file, joined into larger ones.

A data file's set is written beside it, into `_subjects/` of its table, and synced before the commit
that lists the file. It stays when the file goes: what was collected cannot be read again. Sets are
joined when many are of a size, so that a lookup opens few of them, whatever the number of commits.

Keeps true: an entry is never lost. A joined set is in its place and synced before those that it was
made of go; who dies in between leaves both, which say the same. One process joins at a time, and
nobody waits for it: writers only add, and a lookup whose set went away meanwhile begins anew. Each
file's name ends with its SHA-256. A file without a commit, as crashes leave it, is in no version,
so what is said of it harms nobody.

Which files a table consisted of at a version is somebody else's to know.
"""

import fcntl
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.contract import Contract, Role
from backstory.lake.crash import crashpoint
from backstory.lake.errors import GoneError, IntegrityError, UnavailableError
from backstory.lake.files import hash_file, make_folder, write_durably
from backstory.lake.location import inside, translate_os_error
from backstory.lake.object_path import is_object, parquet_source
from backstory.lake.subject_sets import SubjectSet, joined, named, read_set, set_of, written
from backstory.lake.versions import digest_in_name

SUBJECTS_FOLDER = "_subjects"
JOIN_AT = 16  # sets of one size
MAX_JOINED_BYTES = 1 << 24
MAX_LOOKUPS = 20  # attempts of one lookup, each after sets were joined meanwhile

_FULL_BYTES = MAX_JOINED_BYTES // 4
_SMALL_BITS, _SIZE_BITS = 12, 4  # up to 4 KiB is one size, each other one spans a factor of 16
_NAME = re.compile(r".+-([0-9a-f]{64})\.arrow")
_LOCK_FILE = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the index of a table says of a person.

    Attributes:
        files: rows by data file.
        known: every file that the index speaks of, with its rows by the id of their subjects' key.
        unreadable: sets that are damaged; what they said is not known.
    """

    files: Mapping[str, int]
    known: Mapping[str, Mapping[str, int]]
    unreadable: tuple[Path, ...]


def subjects_in(rows: pa.Table, contract: Contract) -> SubjectSet | None:
    """The subjects of rows that a data file will hold; None where a contract names no subject."""
    column = contract.column_with(Role.SUBJECT)
    return None if column is None else set_of("", rows[column.name])


def keep_set(folder: Path, file: str, subjects: SubjectSet) -> None:
    """Write the set of a data file beside it, so that it survives a power cut.

    Args:
        folder: the table's folder.
        file: the data file's name.
        subjects: whose rows it holds.

    Raises:
        UnavailableError: disk full, no permission.
    """
    _put(folder, Path(file).stem, named(subjects, file))
    crashpoint("subjects.written")


def discard_set(folder: Path, file: str) -> None:
    """Remove the set of a data file that no version lists."""
    for path in set_files(folder):
        if path.name.startswith(f"{Path(file).stem}-"):
            path.unlink(missing_ok=True)


def set_files(folder: Path) -> list[Path]:
    """The sets of a table's index, sorted by name."""
    try:
        found = sorted((folder / SUBJECTS_FOLDER).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise translate_os_error(exc, f"reading the subject index of {folder.name}") from exc
    return [path for path in found if _NAME.fullmatch(path.name)]


def digest_of(path: Path) -> str:
    """The digest that a set carries in its name."""
    match = _NAME.fullmatch(path.name)
    return match[1] if match else ""


def look_up(folder: Path, subjects: Sequence[int]) -> Held:
    """Find the data files that hold rows of a person.

    Args:
        folder: the table's folder.
        subjects: the numbers of the person's pseudonyms.

    Raises:
        UnavailableError: no permission, or sets are joined faster than they can be read.
    """
    for _ in range(MAX_LOOKUPS):
        try:
            return _looked_up(folder, subjects)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise translate_os_error(exc, f"reading the subject index of {folder.name}") from exc
    raise UnavailableError(
        f"the subject index of {folder.name} changed {MAX_LOOKUPS} times while it was read",
        hint="ask again",
    )


def add_missing(folder: Path, file: str, contract: Contract) -> None:
    """Write the set of a data file that has none, from the file itself.

    Raises:
        GoneError: the file is no longer there.
        IntegrityError: it is not what was written.
        UnavailableError: disk full, no permission.
    """
    path = inside(folder, file)
    column = contract.column_with(Role.SUBJECT)
    if column is None:
        return
    try:
        digest, _ = hash_file(path)
        if digest != digest_in_name(file):
            raise IntegrityError(f"{folder.name}: data file {file} is not what was written")
        rows = pq.ParquetFile(parquet_source(path))
        has_column = column.name in rows.schema_arrow.names
        subjects = rows.read([column.name])[column.name] if has_column else pa.chunked_array([[]])
    except FileNotFoundError as exc:
        raise GoneError(f"{folder.name}: data file {file} is no longer there") from exc
    except pa.ArrowException as exc:
        raise IntegrityError(f"{folder.name}: {file} is no Parquet file: {exc}") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {file} of {folder.name}") from exc
    keep_set(folder, file, set_of(file, subjects.cast(pa.string())))


def join_sets(folder: Path) -> int:
    """Join sets of a size where there are many; what a crash left of a join goes.

    Returns:
        How many sets went into others; 0 where another process is at it, and in an object store,
        where nobody can be alone.

    Raises:
        UnavailableError: disk full, no permission; nothing is lost.
    """
    done = 0
    try:
        if is_object(folder) or not _ripe(folder):
            return 0
        with _alone(folder) as alone:
            while alone and (joined_now := _join(folder, _ripe(folder))):
                done += joined_now
    except OSError as exc:
        raise translate_os_error(exc, f"joining the subject index of {folder.name}") from exc
    return done


def remove_sets(paths: Iterable[Path]) -> None:
    """Remove sets that are damaged, when others speak of their files."""
    for path in paths:
        path.unlink(missing_ok=True)


def _looked_up(folder: Path, subjects: Sequence[int]) -> Held:
    files: dict[str, int] = {}
    known: dict[str, Mapping[str, int]] = {}
    unreadable: list[Path] = []
    for path in set_files(folder):
        try:
            one = _opened(path)
            found = [one.held(subject) for subject in subjects]
        except IntegrityError:
            unreadable.append(path)
            continue
        known |= zip(one.files, one.keys, strict=True)
        # Under several keys a person has rows of each; where two sets speak of a file they agree.
        files |= sum(map(Counter, found), Counter())
    return Held(files=files, known=known, unreadable=tuple(unreadable))


def _opened(path: Path) -> SubjectSet:
    if not path.stat().st_size:  # nothing can be mapped
        raise IntegrityError(f"{path.name} is empty")
    return read_set(path.read_bytes() if is_object(path) else pa.memory_map(str(path)))


def _put(folder: Path, stem: str, sets: SubjectSet) -> Path:
    place = folder / SUBJECTS_FOLDER
    body = written(sets)
    path = place / f"{stem}-{hashlib.sha256(body).hexdigest()}.arrow"
    try:
        if not place.is_dir():
            make_folder(place)
        write_durably(path, body)
    except OSError as exc:
        raise translate_os_error(exc, f"writing the subject index of {folder.name}") from exc
    return path


def _ripe(folder: Path) -> list[Path]:
    """Sets of one size that are many enough to be joined, the smallest first; or none."""
    by_size: dict[int, list[tuple[int, Path]]] = {}
    for path in set_files(folder):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue  # joined meanwhile
        if size < _FULL_BYTES:
            step = max(0, size.bit_length() - _SMALL_BITS) // _SIZE_BITS
            by_size.setdefault(step, []).append((size, path))
    for sets in by_size.values():
        if len(sets) >= JOIN_AT:
            total, ripe = 0, []
            for size, path in sorted(sets):
                total += size
                if total <= MAX_JOINED_BYTES:
                    ripe.append(path)
            return ripe
    return []


def _join(folder: Path, ripe: Sequence[Path]) -> int:
    """Join sets, each hashed again; those that a larger one speaks for already only go.

    Returns:
        How many sets went.
    """
    sets = {path: one for path in ripe if (one := _proved(path)) is not None}
    needed = _unspoken(folder, sets)
    kept: set[Path] = set(needed)
    if len(needed) > 1:
        # One of them may be all that comes out: a join was killed that had made it of the others.
        kept = {_put(folder, "joined", joined([sets[path] for path in needed]))}
        crashpoint("subjects.joined")
    gone = [path for path in sets if path not in kept]
    for path in gone:
        path.unlink(missing_ok=True)
        crashpoint("subjects.cleared")
    return len(gone)


def _unspoken(folder: Path, sets: Mapping[Path, SubjectSet]) -> list[Path]:
    """Which of some sets say what no other set says."""
    asked = {file for one in sets.values() for file in one.files}
    told: set[str] = set()
    for path in set_files(folder):
        if path not in sets and not asked.isdisjoint(_files_of(path)):
            other = _proved(path)
            told.update(other.files if other else ())
    return [path for path, one in sets.items() if not told.issuperset(one.files)]


def _files_of(path: Path) -> tuple[str, ...]:
    try:
        return _opened(path).files
    except (IntegrityError, FileNotFoundError):
        return ()


def _proved(path: Path) -> SubjectSet | None:
    """A set whose bytes are what its name says; None where they are not."""
    try:
        body = path.read_bytes()
        return read_set(body) if hashlib.sha256(body).hexdigest() == digest_of(path) else None
    except (FileNotFoundError, IntegrityError):
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process joins the sets of a table; none does until the end of the block."""
    with (folder / SUBJECTS_FOLDER / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
