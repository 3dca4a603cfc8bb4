"""A small home with a whole story in it: feedback, retrainings, deployments, answers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import backstory
from backstory.lineage.home import Home

CONTRACT = """
slice: thumbs/en
purpose: improve the ranker
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject, personal: direct}
  remark: {type: string, personal: indirect}
"""
REQUEST, RESPONSE, SUBJECT = "where-is-my-parcel", "it-is-in-hull", "ann@example.org"
REMARK, DETAIL, CONVERSATION = "the-postman-is-rude", "retrieved-words", "talk-with-ann"
SAID = (REQUEST, RESPONSE, SUBJECT, REMARK, DETAIL, CONVERSATION)


@dataclass
class Clock:
    """A second passes each time that somebody looks."""

    now: datetime = field(default=datetime(2026, 11, 14, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def make_home(folder: Path, *, retrainings: int = 1, commits: int = 3) -> Home:
    """A home in which `ranker` was retrained so often, each time on one more commit."""
    home = backstory.init(folder / "home", clock=Clock())
    home.create_slice(backstory.Contract.from_yaml(CONTRACT))
    for offset in range(1, commits + 1):
        give_feedback(home, offset)
    for _ in range(retrainings):
        retrain(home, folder)
    home.alias("ranker@1", "champion")
    return home


def give_feedback(home: Home, offset: int) -> None:
    """Ten thumbs."""
    rows: list[dict[str, Any]] = [
        {
            "event_id": f"e{offset}-{number}",
            "at": datetime(2026, 11, 14, 8, tzinfo=UTC),
            "user": SUBJECT,
            "remark": REMARK,
        }
        for number in range(10)
    ]
    home.slice("thumbs/en").append(rows, source="app", offset=offset)


def retrain(home: Home, folder: Path) -> str:
    """One more version of the ranker, composed with a prompt and deployed."""
    artifact = folder / "model.bin"
    artifact.write_bytes(b"weights")
    with home.retraining("ranker", trigger=backstory.Manual("asked for")) as run:
        run.read("thumbs/en", where="event_id <> 'e1-0'")
        run.log_params(rate=0.1)
        run.use_component("prompt", "greeting", "4")
        version = run.register(artifact)
    home.deploy(version.ref, to="prod-eu")
    return version.ref


def answer(home: Home, version: str | None = "ranker@1", external_id: str = "zendesk:8812") -> str:
    """One interaction, with a word of everything that must not leave."""
    return home.interactions("ranker").record(
        request={"text": REQUEST},
        response={"text": RESPONSE},
        version=version,
        external_id=external_id,
        environment="prod-eu",
        subject=SUBJECT,
        conversation=CONVERSATION,
        turn=2,
        parts=[backstory.Part(kind="chunk", ref="faq#3", detail=f'{{"text": "{DETAIL}"}}')],
        latency_ms=12.5,
        attributes={"note": REMARK},
    )
