"""How long a pin holds, worked out from what is known of its holder; nothing here reads or writes.

Keeps true: a pin that belongs to a version does not end while the version is deployed or will be,
while an alias names it, or while a run that has not ended reads the snapshot. Else, the first that
fits:

1. A class that somebody gave to this pin decides, then one that was given to the run or version
   that holds it, then the settings' class of versions. It counts from the version's last use: the
   end of its last deployment or alias, its registration where it never had any. Where there is no
   version it counts from the run's end, and where there is no run from the pin's beginning. An end
   that was named for the pin itself is kept where it is later.
2. A class that the settings do not know holds for ever: nobody knows how long it was to be.
3. Pins of a run that failed end some time after the failure.
4. A pin ends when it was said to; for ever where nothing was said.

>>> from datetime import UTC, datetime, timedelta
>>> noon = datetime(2026, 11, 14, 12, tzinfo=UTC)
>>> given = Retention(classes={"standard": None, "short": timedelta(days=30)})
>>> held = Circumstances(at=noon, holders_class="short", ended_at=noon)
>>> life_of(held, given, noon).until.isoformat()
'2026-12-14T12:00:00+00:00'
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from backstory.lineage.retention_settings import Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A time in which a version was of use: its registration, a deployment, an alias.

    Attributes:
        what: the ref of that use.
        until_at: the first instant after it; None while it goes on.
    """

    what: str
    from_at: datetime
    until_at: datetime | None

    def lasts(self, at: datetime) -> bool:
        """Whether it goes on at an instant or is still to come."""
        return self.until_at is None or at < self.until_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What decides how long a pin holds.

    Attributes:
        at: when it was made.
        until: the end that was named when it was made.
        own_class: the retention class that was given to this pin.
        holders_class: the one that was given to the run or version that holds it.
        ended_at: when the run that holds it ended.
        failed: whether that run failed.
        going: whether that run has not ended.
        uses: of the version that holds it, or that the run made; none where there is no version.
        read_by: runs that read the snapshot and have not ended.
    """

    at: datetime
    until: datetime | None = None
    own_class: str | None = None
    holders_class: str | None = None
    ended_at: datetime | None = None
    failed: bool = False
    going: bool = False
    uses: Sequence[Use] = ()
    read_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long a pin holds.

    Attributes:
        until: its end; None where there is none yet.
        retention: the class that decides; None where none does.
        class_given: whether somebody gave it; else it is the settings' class of versions.
        in_use: the refs of what it must not end before.
    """

    until: datetime | None
    retention: str | None = None
    class_given: bool = False
    in_use: tuple[str, ...] = ()


def life_of(pin: Circumstances, settings: Retention, now: datetime) -> Life:
    """How long a pin holds, as it looks at an instant."""
    given = pin.own_class or (None if pin.failed else pin.holders_class)
    name = given or (settings.versions if pin.uses else None)
    if name is None:
        return Life(until=_without_class(pin, settings))
    lasting = [use.what for use in pin.uses if use.lasts(now)]
    in_use = tuple(sorted({*lasting, *pin.read_by}))
    length = settings.classes.get(name)
    life = Life(until=None, retention=name, class_given=given is not None, in_use=in_use)
    if in_use or pin.going or length is None:
        return life
    ends = [use.until_at for use in pin.uses if use.until_at is not None]
    end = max(ends, default=pin.ended_at or pin.at) + length
    return replace(life, until=max(end, pin.until or end))


def _without_class(pin: Circumstances, settings: Retention) -> datetime | None:
    if not pin.failed or pin.ended_at is None:
        return pin.until
    end = pin.ended_at + settings.failed_runs
    return min(end, pin.until or end)
