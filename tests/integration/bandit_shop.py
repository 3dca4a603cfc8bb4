"""The fashion shop of the Open Bandit data (Saito et al., arXiv:2008.07146), played day by day.

Two recommendation policies ran side by side in November 2019. Here the random policy is
`women@1` and Bernoulli Thompson sampling is `women@2`; every evening the clicks of the day arrive
and a new version is trained, which takes over the place of Thompson sampling the next morning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pandas as pd

import backstory
from backstory.lineage.home import Home
from backstory.lineage.ids import interaction_id
from backstory.lineage.interaction import Interaction, Part, json_text

MODEL = "women"
SLICE = "clicks/women"
ENVIRONMENT = "shop"
POLICIES = {"random": 1, "bts": 2}
CONTRACT = """
slice: clicks/women
purpose: learn which item to show
columns:
  event_id:    {type: string, role: event_id, nullable: false}
  at:          {type: timestamp, role: event_time, nullable: false}
  interaction: {type: string, role: interaction_id, nullable: false}
  shopper:     {type: string, role: subject, personal: indirect}
  item:        {type: int64, nullable: false}
  position:    {type: int64, nullable: false}
  click:       {type: int64, nullable: false}
signals: [click]
"""


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = datetime(2019, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def move_to(self, at: datetime) -> None:
        self.now = at


def impressions(data: Path, rows: int | None = None) -> pd.DataFrame:
    """Both policies' impressions in the order of time, each with its interaction's id."""
    frames = []
    for policy in POLICIES:
        frame = pd.read_csv(
            data / "data" / "open-bandit" / f"{policy}-women.csv.gz", index_col=0, nrows=rows
        )
        features = frame[[f"user_feature_{i}" for i in range(4)]]
        frames.append(
            pd.DataFrame(
                {
                    "policy": policy,
                    "external_id": [f"{policy}:{row}" for row in frame.index],
                    "at": pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601"),
                    "shopper": features.agg("-".join, axis=1),
                    "item": frame["item_id"],
                    "position": frame["position"],
                    "click": frame["click"],
                    "propensity": frame["propensity_score"],
                }
            )
        )
    shown = pd.concat(frames).sort_values(["at", "external_id"]).reset_index(drop=True)
    shown["day"] = shown["at"].dt.date
    shown["interaction"] = [
        interaction_id(at.to_pydatetime(), external)
        for at, external in zip(shown["at"], shown["external_id"], strict=True)
    ]
    return shown


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day of the shop, and the version that its evening made."""

    date: datetime
    shown: pd.DataFrame
    served_by_bts: int
    trained: int


def play(home: Home, clock: Clock, shown: pd.DataFrame, scratch: Path) -> Iterator[Day]:
    """Live through the days; gives each one when its evening's training has ended."""
    home.create_slice(CONTRACT)
    first_morning = _morning(shown["day"].iloc[0])
    for policy, number in POLICIES.items():
        assert _train(home, scratch, policy, read=False) == number
        home.deploy(f"{MODEL}@{number}", to=ENVIRONMENT, share=0.5, at=first_morning)
    serving = POLICIES["bts"]
    for day, rows in shown.groupby("day"):
        clock.move_to(_morning(day) + timedelta(hours=23, minutes=59, seconds=59))
        versions = rows["policy"].map({"random": POLICIES["random"], "bts": serving})
        home.interactions(MODEL).record_many(_interactions(rows, versions))
        home.slice(SLICE).append(_clicks(rows), source="shop")
        trained = _train(home, scratch, f"after {day}", read=True)
        yield Day(date=_morning(day), shown=rows, served_by_bts=serving, trained=trained)
        next_morning = _morning(day) + timedelta(days=1)
        home.undeploy(f"{MODEL}@{serving}", at=next_morning)
        home.deploy(f"{MODEL}@{trained}", to=ENVIRONMENT, share=0.5, at=next_morning)
        serving = trained


def _morning(day: object) -> datetime:
    return datetime.combine(pd.Timestamp(str(day)).date(), time(), tzinfo=UTC)


def _train(home: Home, scratch: Path, what: str, *, read: bool) -> int:
    weights = scratch / "weights.txt"
    with home.retraining(MODEL, trigger=backstory.Manual(what), code=scratch) as run:
        rate = 0.0
        if read:
            clicks = run.read(SLICE, columns=["item", "click"]).pandas()
            rate = float(clicks["click"].mean())
            run.log_dataset(clicks)
        run.log_metrics(click_rate=rate)
        weights.write_text(f"{what}: {rate}")
        made = run.register(weights)
    return made.record.number


def _interactions(rows: pd.DataFrame, versions: "pd.Series[int]") -> Iterator[Interaction]:
    for row, version in zip(rows.itertuples(), versions, strict=True):
        yield Interaction(
            id=str(row.interaction),
            at=pd.Timestamp(str(row.at)).to_pydatetime(),
            model=MODEL,
            version=int(version),
            environment=ENVIRONMENT,
            variant=str(row.policy),
            subject=str(row.shopper),
            external_id=str(row.external_id),
            request=json_text({"page": "women"}),
            response=json_text({"items": [row.item]}),
            parts=(
                Part(
                    kind="item",
                    ref=f"item:{row.item}",
                    detail=json_text({"position": row.position, "propensity": row.propensity}),
                ),
            ),
        )


def _clicks(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["interaction", "shopper", "item", "position", "click"]
    events = pd.DataFrame({"event_id": "click/" + rows["external_id"], "at": rows["at"]})
    return events.join(rows[columns]).reset_index(drop=True)
