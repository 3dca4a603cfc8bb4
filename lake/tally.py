"""What a verification looked at and found: files hashed, bytes read, findings named."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backstory.lake.errors import BackstoryError
from backstory.lake.files import hash_file
from backstory.lake.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was recorded of one file.

    Attributes:
        where: the thing that it belongs to.
        path: where it lies.
        sha256: its digest; empty where nobody hashed it.
        size: its bytes; None where only the digest was recorded.
    """

    where: str
    path: Path
    sha256: str
    size: int | None = None


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts and findings of one verification.

    Attributes:
        root: the lake's root; paths in findings are relative to it.
    """

    root: Path
    files: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    def compare(self, recorded: Iterable[Expected]) -> set[Path]:
        """Hash files again.

        Returns:
            Those that are what was recorded.
        """
        wanted = list(recorded)
        intact = set()
        with ThreadPoolExecutor(max_workers=2) as pool:  # hashing drops the GIL
            for one, (sha256, size, fault) in zip(wanted, pool.map(_hash, wanted), strict=True):
                self.files += 1
                self.bytes += size
                if fault:
                    problem, found = fault
                    self.note(one.where, one.path, problem, one.sha256 or "a file", found)
                elif one.size not in {None, size}:
                    self.note(one.where, one.path, "size", f"{one.size} bytes", f"{size} bytes")
                elif one.sha256 not in {"", sha256}:
                    self.note(one.where, one.path, "changed", one.sha256, sha256)
                else:
                    intact.add(one.path)
        return intact

    def note(self, where: str, path: Path, problem: str, expected: str, found: str) -> None:
        """Add a finding."""
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self.findings.append(
            Finding(where=where, path=str(shown), problem=problem, expected=expected, found=found)
        )

    @contextmanager
    def reading(self, where: str, path: Path) -> Iterator[None]:
        """Whatever cannot be read is a finding too."""
        try:
            yield
        except BackstoryError as exc:
            self.note(where, path, "unreadable", "what was written", exc.message)


def _hash(expected: Expected) -> tuple[str, int, tuple[str, str] | None]:
    """Digest and size of a file, or the problem that it cannot be hashed and what was found."""
    try:
        return *hash_file(expected.path), None
    except FileNotFoundError:
        return "", 0, ("missing", "nothing")
    except OSError as exc:
        return "", 0, ("unreadable", exc.strerror or type(exc).__name__)
