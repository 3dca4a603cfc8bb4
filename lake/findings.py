"""What a verification found: one sentence in parts, so that every edge can show it its own way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not what was recorded.

    Attributes:
        where: the thing that was checked: a snapshot, a pin, an artifact.
        path: the file, relative to the lake's or the artifacts' root.
        problem: what is wrong, in a word or two.
        expected: what was recorded.
        found: what is there.
    """

    where: str
    path: str
    problem: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: {self.path}: {self.problem}: {self.expected} != {self.found}"
