"""A small home with everything in it that commands can ask about, made through the SDK."""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import backstory
from backstory.lineage.home import Home

CONTRACT = """\
slice: thumbs/en
purpose: improve the ranker
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time, nullable: false}
  user: {type: string, role: subject, personal: direct}
  interaction: {type: string, role: interaction_id}
  rating: {type: int64}
"""
OPENED = datetime(2026, 11, 14, 9, tzinfo=UTC)


class Clock:
    """A second passes each time somebody asks."""

    def __init__(self) -> None:
        self.now = OPENED

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Where the home is, and what has no predictable name."""

    folder: Path
    interaction: str

    @property
    def home(self) -> Path:
        return self.folder / ".backstory"

    def copy(self, folder: Path) -> "Shop":
        """The same again, to be changed; what this process reads of it is not read of the copy."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("_leases"))
        return Shop(folder=folder, interaction=self.interaction)


def thumbs(day: int, rows: int, interaction: str | None = None) -> list[dict[str, object]]:
    return [
        {
            "event_id": f"{day}-{row}",
            "at": datetime(2026, 11, day, tzinfo=UTC),
            "user": f"user-{row % 7}",
            "interaction": interaction,
            "rating": row % 5 if row % 11 else None,
        }
        for row in range(rows)
    ]


def write_jsonl(path: Path, day: int, rows: int = 20) -> Path:
    lines = [json.dumps(row, default=datetime.isoformat) for row in thumbs(day, rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def make_shop(folder: Path) -> Shop:
    """Two versions side by side, one answer, feedback on it, a third version, a failed run."""
    folder.mkdir(parents=True)
    (folder / "thumbs.yaml").write_text(CONTRACT)
    clock = Clock()
    backstory.init(folder / ".backstory", clock=clock).close()
    _keep_failed_runs(folder / ".backstory" / "backstory.toml")
    with backstory.open(folder / ".backstory", clock=clock) as home:
        home.create_slice(CONTRACT)
        thumb = home.slice("thumbs/en")
        thumb.append(thumbs(1, 1200), source="app", offset=1200)
        _retrain(home, folder, 1, "thumbs/en@1", backstory.Threshold("thumbs/en", rows=1000))
        thumb.append(thumbs(2, 300), source="web", offset=300)
        _retrain(home, folder, 2, "thumbs/en@2", backstory.Manual("weekly"))
        home.alias("ranker@2", "champion", reason="won the holdout")
        home.deploy("ranker@1", to="prod-eu")
        home.deploy("ranker@2", to="prod-eu", share=0.1, mode="canary")
        interaction = home.interactions("ranker").record(
            request={"q": "cheap flights"},
            response=["a", "b"],
            version="ranker@1",
            environment="prod-eu",
            subject="user-1",
            external_id="zendesk:8812",
            parts=[backstory.Part(kind="chunk", ref="doc-3", detail='{"score":0.91}')],
        )
        thumb.append(thumbs(3, 40, interaction), source="app", offset=1240)
        _retrain(home, folder, 3, "thumbs/en@3", backstory.Manual("after complaints"))
        _fail(home)
    return Shop(folder=folder, interaction=f"int:{interaction}")


def _keep_failed_runs(settings: Path) -> None:
    """Commands ask the real clock, which is ever later than the story's."""
    text = settings.read_text()
    assert 'failed_runs = "14 days"' in text
    settings.write_text(text.replace('failed_runs = "14 days"', 'failed_runs = "36525 days"'))


def _retrain(home: Home, folder: Path, number: int, ref: str, trigger: backstory.Trigger) -> None:
    weights = folder / "weights.bin"
    weights.write_bytes(bytes([number]) * 5000)
    with home.retraining("ranker", trigger=trigger, code=folder) as run:
        run.read(ref, where="rating >= 1" if number == 1 else None)
        run.log_params(depth=4)
        run.log_metrics(ndcg=0.41)
        run.log_seed(7)
        run.use_component("prompt", "greeting", str(number), path=folder / "thumbs.yaml")
        run.register(weights)


def _fail(home: Home) -> None:
    with (
        suppress(ZeroDivisionError),
        home.retraining("ranker", trigger=backstory.Manual("again")) as run,
    ):
        run.read("thumbs/en@3")
        run.log_metrics(loss=1 / 0)
