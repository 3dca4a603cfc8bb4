"""Finding the value that a whole-column conversion choked on.

Keeps true: columns are converted whole, which is fast; only when that fails is the first value
looked for that does not fit, and it is named by its place. It converts nothing itself.

>>> def small(values):
...     return pa.array(values, pa.int8())
>>> try:
...     convert([1, 2, 300, 4], small, "int8")
... except Misfit as misfit:
...     print(misfit.index, misfit.expected, misfit.found)
2 int8 300
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

_FAILURES = (ValueError, OverflowError, pa.ArrowException)


class Misfit(Exception):
    """A value that its type cannot hold.

    Attributes:
        index: its place among the values that were converted.
        expected: what would have been taken.
        found: the value.
    """

    def __init__(self, index: int, expected: str, found: object) -> None:
        super().__init__(f"expected {expected} at {index}")
        self.index = index
        self.expected = expected
        self.found = found


def convert(values: Any, kernel: Callable[[Any], pa.Array], expected: str) -> pa.Array:
    """Convert a list or array of values at once.

    Args:
        values: anything that can be sliced.
        kernel: converts a slice, or raises when a value in it does not fit; whether a value fits
            does not depend on its neighbours.
        expected: what fits, for messages.

    Raises:
        Misfit: the first value that does not fit.
    """
    try:
        return kernel(values)
    except _FAILURES as exc:
        index = _first_misfit(values, kernel)
        raise Misfit(index, expected, _plain(values[index])) from exc


def _plain(value: Any) -> object:
    if not isinstance(value, pa.Scalar):
        return value
    if pa.types.is_temporal(value.type):  # Python cannot hold every one
        return value.cast(pa.string()).as_py()
    return value if value.type.num_fields else value.as_py()


def _first_misfit(values: Any, kernel: Callable[[Any], pa.Array]) -> int:
    low, high = 0, len(values)  # the first misfit is within
    while high - low > 1:
        middle = (low + high) // 2
        try:
            kernel(values[low:middle])
        except _FAILURES:
            high = middle
        else:
            low = middle
    return low
