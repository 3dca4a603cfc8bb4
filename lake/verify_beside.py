"""Proving what lies beside a table's data: subject sets, quarantines, and what maintenance notes.

Each proves itself, by the digest in its name or by its seal. A missing one is no finding: sets are
made anew from the data, quarantines go when their rows are settled, notes when nobody needs them.
"""

from collections.abc import Iterable
from pathlib import Path

from backstory.lake.files import hash_file
from backstory.lake.gone import maintenance_files
from backstory.lake.quarantine import quarantine_files
from backstory.lake.sealed import unseal
from backstory.lake.subject_index import digest_of, set_files
from backstory.lake.table import SliceTable
from backstory.lake.tally import Tally


def check_beside(tally: Tally, table: SliceTable) -> None:
    """Read every file that lies beside the data of a table and proves itself."""
    sets = ((path, digest_of(path)) for path in set_files(table.folder))
    _check_digests(tally, f"subject index of {table.name}", sets)
    rejected = ((path, path.stem[-64:]) for path in quarantine_files(table.folder))
    _check_digests(tally, f"quarantine of {table.name}", rejected)
    for path in maintenance_files(table.folder):
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            continue  # written anew, or no longer needed
        tally.files += 1
        tally.bytes += len(body)
        with tally.reading(f"maintenance of {table.name}", path):
            unseal(body, path.name)


def _check_digests(tally: Tally, where: str, files: Iterable[tuple[Path, str]]) -> None:
    for path, expected in files:
        try:
            sha256, size = hash_file(path)
        except FileNotFoundError:
            continue  # joined with others meanwhile, or settled
        tally.files += 1
        tally.bytes += size
        if sha256 != expected:
            tally.note(where, path, "changed", expected, sha256)
