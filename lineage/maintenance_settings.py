"""`[maintenance]` of the settings: how long what is no longer needed stays all the same.

[maintenance]
grace = "7 days"
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from backstory.lake.errors import InvalidError
from backstory.lake.grace import MIN_GRACE

GRACE = timedelta(days=7)
MAX_GRACE_DAYS = 36_525


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """How tables are maintained.

    Attributes:
        grace: how long a data file that nobody needs stays, and an old version can be opened.
    """

    grace: timedelta = GRACE


def read_maintenance(section: Mapping[str, Any], path: Path) -> Maintenance:
    """Read the `[maintenance]` of a settings file.

    Raises:
        InvalidError: the grace is no number of days, or too short.
    """
    text = section.get("grace")
    if text is None:
        return Maintenance()
    days = re.fullmatch(r"([0-9]{1,6}) days?", text)
    if days is None or not MIN_GRACE.days <= int(days[1]) <= MAX_GRACE_DAYS:
        raise InvalidError(
            f"{path}: maintenance.grace is {text!r}, not {MIN_GRACE.days} to {MAX_GRACE_DAYS:,} "
            "days",
            hint='write it like "7 days"',
        )
    return Maintenance(grace=timedelta(days=int(days[1])))
