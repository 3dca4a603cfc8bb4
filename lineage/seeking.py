"""The interaction nearest to a time, for who knows where and when, and no id.

The time around is looked at in steps, each wider than the one before, so that what lies near is
found in few files. Interactions of our own and those that others keep count alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from backstory.lake import lookup
from backstory.lake.errors import InvalidError, NotFoundError
from backstory.lake.location import check_name, interactions_of
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lineage import linked_interactions
from backstory.lineage.ids import id_bounds
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import ModelNamed, resolve
from backstory.lineage.state import ModelState
from backstory.lineage.stating import state_of
from backstory.lineage.store import slices
from backstory.lineage.times import in_utc, time_text
from backstory.lineage.tracing import known_versions

_STEPS = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=30),
    None,  # anywhere
)

_Near = tuple[timedelta, datetime, str] | None
_Seek = Callable[[timedelta | None], _Near]


def nearest_interaction(
    parts: Parts, model: str, environment: str, at: datetime, *, as_of: datetime | None = None
) -> str:
    """The interaction of a model in an environment that lies nearest to a time, before or after.

    Args:
        model: whose answer it is.
        environment: where it was answered.
        at: the time; of two interactions as near, the earlier is given.
        as_of: as it was known then; as it is known now where nothing is said.

    Returns:
        Its ref, `int:` and its id.

    Raises:
        NotFoundError: no such model, or no interaction of it was recorded there.
    """
    if not isinstance(resolve(parts, model, as_of), ModelNamed):
        raise InvalidError(f"{model!r} is not a model", hint="see `backstory models`")
    when = in_utc(at)
    places = list(_places(parts, model, check_name(environment), when, as_of))
    for within in _STEPS:
        found = [near for seek in places if (near := seek(within))]
        if found:
            return f"int:{min(found)[2]}"
    raise NotFoundError(
        f"no interaction of {model} in {environment} is known, near {time_text(when)} or elsewhere",
        hint="see where its interactions lie with `backstory interactions`",
    )


def state_asked(
    parts: Parts,
    ref: str | None = None,
    near: tuple[str, str, datetime] | None = None,
    *,
    verify: bool = False,
    as_of: datetime | None = None,
) -> ModelState:
    """What stood behind the interaction that a ref names, or that lies nearest to a time.

    Args:
        ref: the interaction, where it is known.
        near: else its model, environment and time.
        verify: hash every part within reach again.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: both are named, or neither is.
    """
    if (ref is None) == (near is None):
        raise InvalidError(
            "name an interaction, or where and when it was answered",
            hint="for example int:019a8f3c, or near ranker prod-eu 2026-11-14T09:41Z",
        )
    named = nearest_interaction(parts, *near, as_of=as_of) if near else ref
    return state_of(parts, str(named), verify=verify, as_of=as_of)


def _places(
    parts: Parts, model: str, environment: str, at: datetime, as_of: datetime | None
) -> Iterator[_Seek]:
    """What looks for the nearest one in each table of the model."""
    name = interactions_of(model)
    known = known_versions(parts, as_of) if as_of else {}
    if name in (known if as_of else parts.lake.names()):
        snapshot = open_snapshot(parts.lake.table(name), known.get(name))
        yield partial(_ours, parts, snapshot, environment, at, as_of=as_of)
    for opened in linked_interactions.openings(parts, as_of, model):
        yield partial(linked_interactions.nearest_id, opened(), environment, at)


def _ours(
    parts: Parts,
    whole: Snapshot,
    environment: str,
    at: datetime,
    within: timedelta | None,
    *,
    as_of: datetime | None,
) -> _Near:
    snapshot = whole
    if within is not None:
        low, high = id_bounds(at - within, at + within)
        with parts.store.reader(as_of) as conn:
            places = slices.interaction_files(conn, low, high)
        paths = {path for name, path, _ in places if name == whole.slice}
        files = tuple(file for file in whole.manifest.files if file.path in paths)
        snapshot = replace(whole, manifest=replace(whole.manifest, files=files))
    row = lookup.nearest(
        snapshot, "at", at, within, columns=["id", "at"], equal={"environment": environment}
    )
    return None if row is None else (abs(row["at"] - at), row["at"], row["id"])
