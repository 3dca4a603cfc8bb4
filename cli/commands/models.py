"""`backstory models`: the model versions, those trained elsewhere too, and their aliases."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.amendments import when_and_why
from backstory.cli.command import Family, verb
from backstory.cli.figures import (
    DIGEST,
    DIGITS,
    LATE,
    REF,
    SIZE,
    TEXT,
    TIME,
    late,
    moment,
    recorded,
)
from backstory.cli.parameters import AS_OF, INSTANT, REF_TEXT, pairs
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table

if TYPE_CHECKING:
    from backstory.lineage.store.loads import LoadRecord
    from backstory.lineage.store.models import VersionRecord

_COLUMNS = (
    ("version", REF),
    ("aliases", TEXT),
    ("made", TIME),
    ("artifact", TEXT),
    ("size", SIZE),
    ("digest", DIGEST),
    ("evidence", TEXT),
    ("late", LATE),
)
_MOVES = (
    ("alias", REF),
    ("version", REF),
    ("before", REF),
    ("since", TIME),
    ("late", LATE),
    ("amended", TEXT),
)


@verb("list", examples=("backstory models", "backstory models ranker --json"))
@click.argument("model", type=REF_TEXT, required=False)
@AS_OF
def _list(session: Session, model: str | None, *, as_of: datetime | None) -> None:
    """List the model versions.

    Of one model or of all, the newest first.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.models(model, as_of=as_of)
    rows = [
        (
            version.ref,
            ", ".join(version.aliases) or None,
            version.at,
            _artifact(version),
            version.artifact_size,
            version.digest,
            _told(version),
            version.late,
        )
        for version in found
    ]
    session.output.result(
        documents(found),
        Table(columns=_COLUMNS, rows=rows),
        empty="there are no model versions yet; a retraining makes one",
    )


@verb(
    "alias",
    examples=(
        "backstory models alias ranker@7 champion --reason 'won the holdout'",
        "backstory models alias ranker@6 champion --at 2026-11-14T09:41Z",
    ),
)
@click.argument("ref", type=REF_TEXT)
@click.argument("name")
@click.option("--at", metavar="TIME", type=INSTANT, help="Since when; now by default.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the audit log.")
def _alias(session: Session, ref: str, name: str, at: datetime | None, reason: str) -> None:
    """Let an alias name a version.

    From now on, or from a time on; what it named before stays in the record.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        move = home.alias(ref, name, at=at, reason=reason)
    before = f", before that {move.before.ref}" if move.before else ""
    told = f" (recorded {late(move.late)})" if move.late else ""
    text = f"{move.model}@{move.alias} is {move.version.ref}{before}{told}"
    session.output.result(document(move), Sentence(text=text, state="ok"))


@verb(
    "aliases",
    examples=("backstory models aliases ranker", "backstory models aliases ranker@7 --json"),
)
@click.argument("model", type=REF_TEXT, required=False)
@AS_OF
def _aliases(session: Session, model: str | None, *, as_of: datetime | None) -> None:
    """List the moves of aliases.

    Of a model's, of those to one version, or of all; each alias's newest move first.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        moves = home.aliases(model, as_of=as_of)
    rows = [
        (
            f"{m.model}@{m.alias}",
            m.version.ref,
            m.before.ref if m.before else None,
            m.at,
            m.late,
            when_and_why(m.amended),
        )
        for m in moves
    ]
    session.output.result(
        documents(moves),
        Table(columns=_MOVES, rows=rows),
        empty="no alias names a version, or did; `backstory models alias` gives one",
    )


@verb("show", examples=("backstory models show ranker@7", "backstory models show ranker@3 --json"))
@click.argument("ref", type=REF_TEXT)
@AS_OF
def _show(session: Session, ref: str, *, as_of: datetime | None) -> None:
    """Show one version whole.

    Its bytes, how it is known, what it was trained on as far as that was recorded, and who loaded
    it last.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.model(ref, as_of=as_of)
    version, unknown = found.version, found.training_unknown_before
    told = dict(version.training or {})
    facts = Facts(
        heading=version.ref,
        lines=[
            ("aliases", ", ".join(version.aliases) or None, TEXT),
            ("made", version.at, TIME),
            ("recorded", recorded(version.recorded_at, version.late), TEXT),
            ("evidence", version.evidence.value, TEXT),
            ("artifact", _artifact(version), TEXT),
            ("size", version.artifact_size, SIZE),
            ("digest", version.digest, DIGITS),
            ("made by", f"run:{found.run}" if found.run else told.pop("run", None), TEXT),
            *(("trained on", f"{s.ref} ({version.evidence})", TEXT) for s in found.trained_on),
            ("training", f"not recorded before {moment(unknown)}" if unknown else None, TEXT),
            *((name, json.dumps(values, sort_keys=True), TEXT) for name, values in told.items()),
            *(("composed with", f"{c.kind} {c.name}@{c.version}", TEXT) for c in found.components),
            *(("loaded", _load(load), TEXT) for load in found.loads),
            ("amended", when_and_why(found.amended), TEXT),
        ],
    )
    session.output.result(document(found), facts)


@verb(
    "add",
    examples=(
        "backstory models add ranker@3 --trained-on thumbs/en@12 --artifact ranker-3.bin",
        "backstory models add ranker@4 --evidence imported --artifact s3://models/4",
    ),
)
@click.argument("ref", metavar="NAME@N", type=REF_TEXT)
@click.option(
    "--trained-on",
    metavar="SNAPSHOT",
    type=REF_TEXT,
    multiple=True,
    help="A slice at a version or time that it was trained on; may be given again.",
)
@click.option(
    "--evidence",
    type=click.Choice(["declared", "imported"]),
    default="declared",
    show_default=True,
    help="Somebody says so, or another system recorded it.",
)
@click.option("--artifact", metavar="URI|PATH", help="A path is kept here, a URI is noted.")
@click.option("--digest", metavar="SHA256", help="The digest that the artifact has.")
@click.option("--at", metavar="TIME", type=INSTANT, help="When it was made; now by default.")
@click.option("--metric", metavar="NAME=VALUE", multiple=True, help="A metric of its training.")
@click.option("--param", metavar="NAME=VALUE", multiple=True, help="A parameter of its training.")
@click.option("--run", metavar="ID", help="The run that made it, as its own system calls it.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the audit log.")
def _add(
    session: Session,
    *,
    ref: str,
    trained_on: tuple[str, ...],
    evidence: str,
    artifact: str | None,
    digest: str | None,
    at: datetime | None,
    metric: tuple[str, ...],
    param: tuple[str, ...],
    run: str | None,
    reason: str,
) -> None:
    """Add a version that was trained elsewhere.

    Before Backstory was there, or where it did not look. Any free number will do. The same again
    changes nothing; a number that is taken by something else is refused. The snapshots are pinned.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        added = home.add_version(
            ref,
            trained_on=trained_on,
            evidence=evidence,
            artifact=artifact,
            digest=digest,
            at=at,
            metrics=pairs(metric),  # type: ignore[arg-type]  # texts of numbers are read as such
            params=pairs(param),
            run=run,
            reason=reason,
        )
    told = f", {late(added.late)}" if added.late else ""
    text = f"{added.ref} is recorded ({added.evidence.value}){told}"
    session.output.result(document(added), Sentence(text=text, state="ok"))


def _artifact(version: "VersionRecord") -> str | None:
    """`model.bin (file)`, or where it is said to lie."""
    if version.artifact is None:
        return version.artifact_uri
    return f"{version.artifact_name} ({version.artifact_kind})"


def _told(version: "VersionRecord") -> str | None:
    """How it is known, where it was not observed."""
    return None if version.run is not None else version.evidence.value


def _load(load: "LoadRecord") -> str:
    where = f" in {load.environment}" if load.environment else ""
    return f"{moment(load.at)} by {load.host}, process {load.process}{where}"


command = Family(
    "models",
    default="list",
    commands=[_list, _show, _add, _alias, _aliases],
    examples=("backstory models ranker", "backstory models alias ranker@7 champion"),
)
