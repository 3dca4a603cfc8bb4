"""Which people's rows lie in which data files: sets of subjects, in a form that answers in place.

A set says for some data files whose rows they hold and how many. It is an Arrow file with one
batch, sorted by subject, so that a subject is found by halving, without reading the rest:

    subject: uint64                               the first 64 bits of the HMAC of a pseudonym
    held: list<struct<file: uint…, rows: uint…>>  places in the list of files, with rows
    metadata: format; files: their names, one a line; keys: JSON, of each file its rows by key id

Keeps true: without the key nobody gets from a person to a set or back, because a pseudonym is an
HMAC. Joining sets loses nothing, and a file that two sets speak of is counted once. A set is
personal data all the same: it tells who is the same person.

>>> rows = pa.chunked_array([[f"k1:{'0a' * 32}", None, f"k1:{'0a' * 32}"]])
>>> sets = read_set(written(set_of("part-1.parquet", rows)))
>>> sets.files, sets.keys, sets.held(number_of(f"k1:{'0a' * 32}"))
(('part-1.parquet',), ({'k1': 2},), {'part-1.parquet': 2})
"""

import json
import re
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.errors import IntegrityError, InvalidError

FORMAT = "backstory-subjects v1"
NO_PSEUDONYM = ""  # the key id of what stands where a subject should, and is none

_PSEUDONYM = re.compile(r"([a-z0-9][a-z0-9_-]{0,31}):([0-9a-f]{64})")
_DIGITS = 16  # of the HMAC that are kept
_HMAC_DIGITS = 64
_COLUMNS = ("subject", "file", "rows")
_WIDTHS = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())


@dataclass(frozen=True)
class SubjectSet:
    """Whose rows lie in some data files.

    Attributes:
        files: the names of all the files that it speaks of.
        keys: of each of them, how many rows have a subject that a key has hidden, by the key's id.
        batch: the entries, sorted by subject.
    """

    files: tuple[str, ...]
    keys: tuple[Mapping[str, int], ...]
    batch: pa.RecordBatch

    @cached_property
    def entries(self) -> int:
        """How many pairs of a subject and a file there are."""
        return len(self.batch["held"].values)

    def held(self, subject: int) -> dict[str, int]:
        """The rows of a subject by file.

        Raises:
            IntegrityError: the set is damaged.
        """
        subjects, held = self.batch["subject"], self.batch["held"]
        place = pc.search_sorted(subjects, pa.scalar(subject, pa.uint64())).as_py()
        if place == len(subjects) or subjects[place].as_py() != subject:
            return {}
        begin, end = (held.offsets[i].as_py() for i in (place, place + 1))
        if not 0 <= begin <= end <= len(held.values):
            raise IntegrityError("a set of subjects is damaged: a place lies outside of it")
        found = held.values.slice(begin, end - begin).to_pylist()
        try:
            return {self.files[one["file"]]: one["rows"] for one in found}
        except IndexError as exc:
            raise IntegrityError("a set of subjects is damaged: it names no such file") from exc


def number_of(pseudonym: str) -> int:
    """The number by which sets know a pseudonym.

    Raises:
        InvalidError: the text is no pseudonym.
    """
    match = _PSEUDONYM.fullmatch(pseudonym)
    if match is None:
        raise InvalidError(
            "that is no pseudonym", hint="write KEYID:HMAC, for example k1: and 64 hex digits"
        )
    return int.from_bytes(bytes.fromhex(match[2][:_DIGITS]), "little")


def key_of(pseudonym: str) -> str:
    """The id of the key that a pseudonym was made with."""
    return pseudonym.partition(":")[0]


def set_of(file: str, subjects: pa.ChunkedArray) -> SubjectSet:
    """The set of one data file.

    Args:
        file: its name.
        subjects: its column of pseudonyms; a null is nobody.
    """
    keys: dict[str, int] = {}
    numbers: list[pa.Array] = []
    for key, found in _by_key(subjects):
        keys[key] = keys.get(key, 0) + len(found)
        if key != NO_PSEUDONYM:
            numbers.append(found)
    alone = pa.concat_arrays(numbers) if numbers else pa.array([], pa.uint64())
    distinct, rows = pc.value_counts(alone).flatten()  # in half the time that sorting all takes
    order = pc.sort_indices(distinct)
    each = pa.arange(0, len(distinct) + 1, 1).cast(pa.int32())
    batch = _batch(distinct.take(order), each, _zeros(len(distinct)), rows.take(order))
    return SubjectSet((file,), (keys,), batch)


def named(sets: SubjectSet, file: str) -> SubjectSet:
    """The set of one file, whose name was not known yet when it was made."""
    return replace(sets, files=(file,))


def joined(sets: Sequence[SubjectSet]) -> SubjectSet:
    """One set that says what all of them say.

    A file that several speak of is taken from the first: what a data file holds never changes.
    """
    keys: dict[str, Mapping[str, int]] = {}
    parts = []
    for one in sets:
        new = [file for file in one.files if file not in keys]
        keys |= {file: said for file, said in zip(one.files, one.keys, strict=True) if file in new}
        places = {file: place for place, file in enumerate(keys)}
        parts.append(_entries(one, [places[f] if f in new else None for f in one.files]))
    whole = pa.concat_tables(parts)
    subjects, places_of, rows = (whole[name].combine_chunks() for name in _COLUMNS)
    order, ends, distinct = _runs(subjects)
    batch = _batch(distinct, ends, places_of.take(order), rows.take(order))
    return SubjectSet(tuple(keys), tuple(keys.values()), batch)


def written(sets: SubjectSet) -> bytes:
    """The bytes of a set."""
    about = {
        "format": FORMAT,
        "files": "\n".join(sets.files),
        "keys": json.dumps([dict(sorted(one.items())) for one in sets.keys], separators=(",", ":")),
    }
    batch = sets.batch.replace_schema_metadata(about)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def read_set(source: bytes | pa.NativeFile) -> SubjectSet:
    """Read a set; of a file that is mapped into memory only what is asked for is read.

    Raises:
        IntegrityError: it is no set of a known format.
    """
    try:
        reader = pa.ipc.open_file(source)
        about = {k.decode(): v.decode() for k, v in (reader.schema.metadata or {}).items()}
        if about.get("format") != FORMAT or reader.num_record_batches != 1:
            raise IntegrityError(f"not a set of subjects of a known format ({FORMAT})")
        batch = reader.get_batch(0)
        batch.validate()
        _check_form(batch.schema)
        return SubjectSet(
            files=tuple(about["files"].split("\n")) if about["files"] else (),
            keys=tuple(json.loads(about["keys"])),
            batch=batch,
        )
    except (pa.ArrowException, ValueError, KeyError, OSError) as exc:
        raise IntegrityError(f"a set of subjects does not parse: {exc}") from exc


def _check_form(schema: pa.Schema) -> None:
    held = schema.field("held").type
    entry = held.value_type if pa.types.is_list(held) else None
    fields = entry.fields if entry is not None and pa.types.is_struct(entry) else []
    numbers = [field.name for field in fields if field.type in _WIDTHS]
    if schema.field("subject").type != pa.uint64() or numbers != ["file", "rows"]:
        raise IntegrityError("a set of subjects is damaged: its columns have other types")


def _by_key(subjects: pa.ChunkedArray) -> Iterator[tuple[str, pa.Array]]:
    """The numbers of a column's pseudonyms, by the id of their key."""
    rest = subjects.drop_null()
    while len(rest):
        match = _PSEUDONYM.fullmatch(rest[0].as_py())
        of_key = pc.starts_with(rest, f"{match[1]}:") if match else None
        all_are = match is not None and pc.all(of_key).as_py()  # copying a column costs the most
        alike = rest if all_are or match is None else rest.filter(of_key)
        numbers = _numbers(match[1], alike) if match else None
        if match and numbers is not None:
            yield match[1], numbers
            rest = rest.slice(len(rest)) if all_are else rest.filter(pc.invert(of_key))
        else:  # looked at one by one only where something else stands among them
            right = pc.match_substring_regex(rest, f"^{_PSEUDONYM.pattern}$")
            yield NO_PSEUDONYM, rest.filter(pc.invert(right))
            rest = rest.filter(right)


def _numbers(key: str, pseudonyms: pa.ChunkedArray) -> pa.Array | None:
    """The numbers of what begins like pseudonyms of a key; None where not all are."""
    begin = len(key) + 1
    if not pc.all(pc.equal(pc.binary_length(pseudonyms), begin + _HMAC_DIGITS)).as_py():
        return None
    whole = pseudonyms.combine_chunks().cast(pa.binary())
    _, _, digits = pc.binary_slice(whole, begin, begin + _DIGITS).buffers()
    try:
        numbers = unhexlify(digits)
    except ValueError:
        return None
    return pa.Array.from_buffers(pa.uint64(), len(whole), [None, pa.py_buffer(numbers)])


def _entries(one: SubjectSet, places: Sequence[int | None]) -> pa.Table:
    """A set's entries as plain columns, under other places; none of files that have no place."""
    held = one.batch["held"]
    table = pa.table(
        {
            "subject": one.batch["subject"].take(pc.list_parent_indices(held)),
            "file": pa.array(places, pa.uint64()).take(held.values.field("file")),
            "rows": held.values.field("rows").cast(pa.uint64()),
        }
    )
    return table.filter(pc.is_valid(table["file"])) if None in places else table


def _runs(subjects: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """The order that sorts subjects, where the runs of equal ones begin and end, and each once."""
    order = pc.sort_indices(subjects)  # stable: the files of a subject keep their order
    runs = pc.run_end_encode(subjects.take(order), run_end_type=pa.int32())
    return order, pa.concat_arrays([pa.array([0], pa.int32()), runs.run_ends]), runs.values


def _batch(subjects: pa.Array, ends: pa.Array, places: pa.Array, rows: pa.Array) -> pa.RecordBatch:
    entries = pa.StructArray.from_arrays([_narrow(places), _narrow(rows)], ["file", "rows"])
    return pa.record_batch({"subject": subjects, "held": pa.ListArray.from_arrays(ends, entries)})


def _zeros(count: int) -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.uint8()), count)


def _narrow(numbers: pa.Array) -> pa.Array:
    """Whole numbers in the fewest bytes that hold them."""
    most = pc.max(numbers).as_py() or 0
    return numbers.cast(next(kind for kind in _WIDTHS if most < 1 << kind.bit_width))
