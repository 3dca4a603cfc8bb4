"""What can go wrong in Backstory, one base for all packages.

    BackstoryError
    ├── InvalidError            input that cannot be taken: names what, where, what to do
    │   ├── BatchRejectedError  rows that do not fit their contract (all of the batch is refused)
    │   └── LimitExceededError  an input beyond a named bound
    ├── NotFoundError           nothing has that name or version
    │   └── GoneError           it existed, and its files or log are no longer there
    ├── ConflictError           somebody else was first: expected and found
    │   └── OffsetConflict      an offset of a source that holds other rows, or lies behind
    ├── RefusedError            understood, and not allowed
    │   └── IncompatibleContractError  a contract that its table cannot bear: its breaking points
    ├── IntegrityError          bytes are not what was recorded
    └── UnavailableError        disk full, a lock held too long: try again later
        └── NotPermittedError   the operating system or the database does not permit it

Errors know nothing of exit codes or HTTP; the edges (cli, api) map these classes once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_BREAKING_TOLD = 20


class BackstoryError(Exception):
    """Base of every error that Backstory raises on purpose.

    Args:
        message: one line: what is wrong and where.
        hint: one line: what to do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def name(self, where: str) -> None:
        """Say in front which of several inputs is at fault, unless the message says it already."""
        if where not in self.message:
            self.message = f"{where}: {self.message}"
            self.args = (self.message,)

    def came_after(self, rows: int) -> None:
        """Say how many rows of the input were stored before, in parts of their own."""
        stored = f"its first {rows:,} rows are stored"
        self.message = self.message.replace("nothing was written", stored)
        self.args = (self.message,)


class InvalidError(BackstoryError):
    """Input that cannot be taken."""


class LimitExceededError(InvalidError):
    """An input beyond a named bound."""


class NotFoundError(BackstoryError):
    """Nothing has that name or version."""


class GoneError(NotFoundError):
    """A version that existed and can no longer be read."""


class ConflictError(BackstoryError):
    """Somebody else was first."""


class RefusedError(BackstoryError):
    """Understood, and not allowed."""


class IncompatibleContractError(RefusedError):
    """A contract that its table cannot bear.

    Attributes:
        breaking: its breaking points, each as one line.
    """

    def __init__(self, slice_name: str, breaking: Sequence[str]) -> None:
        more = len(breaking) - MAX_BREAKING_TOLD
        rest = f"; and {more} more" if more > 0 else ""
        super().__init__(
            f"{slice_name}: {'; '.join(breaking[:MAX_BREAKING_TOLD])}{rest}",
            hint="take these changes back, or make a slice of another name with the new contract",
        )
        self.breaking = tuple(breaking)


class IntegrityError(BackstoryError):
    """Bytes are not what was recorded."""


class UnavailableError(BackstoryError):
    """Disk, permission or lock stands in the way; nothing was changed."""


class NotPermittedError(UnavailableError):
    """A permission is missing; trying again later does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why one value cannot be taken.

    Attributes:
        row: 1-based row of the input (line for text without header); None for a whole-batch fault.
        column: the contract's column, or None.
        expected: what the contract asks for.
        found: what stands there, shortened, never a personal value.
    """

    row: int | None
    column: str | None
    expected: str
    found: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row is not None else []
        where += [f"column {self.column}"] if self.column is not None else []
        return f"{', '.join(where) or 'batch'}: expected {self.expected}, found {self.found}"


class BatchRejectedError(InvalidError):
    """Rows that do not fit their contract; nothing of the batch was written.

    Attributes:
        rejections: the first faults found, at most `MAX_REJECTIONS` of them.
    """

    def __init__(self, slice_name: str, rejections: Sequence[Rejection], *, why: str = "") -> None:
        first = rejections[0]
        more = f" (and {len(rejections) - 1} more)" if len(rejections) > 1 else ""
        super().__init__(
            f"{slice_name}: {first}{more}; {why}nothing was written",
            hint=f"mend the input, or see the contract with `backstory show {slice_name} --schema`",
        )
        self.rejections = tuple(rejections)


class OffsetConflict(ConflictError):
    """An offset of a source that already holds other rows, or lies behind the source's last one."""

    def __init__(self, *, source: str, offset: int, last: int) -> None:
        super().__init__(
            f"source {source!r}: offset {offset} is not after its last offset {last}, "
            "and it is not a repetition of the batch that was stored there",
            hint="send offsets that strictly increase per source; the same batch may be repeated",
        )
        self.source = source
        self.offset = offset
        self.last = last
