"""The people of the story, simulated: parcels with handwritten digits, and clerks who correct.

The digits are real (scikit-learn's copy of the UCI handwritten digits, 8 by 8 pixels). What is
simulated is who sees which parcel when, and that the clerks of one depot have learned to key an 8
for every 3. Nothing here knows Backstory: this is what happens outside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sklearn.datasets import load_digits

MONDAY = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
DEPOTS = ("north", "south", "east", "west")
SHARES = (0.2, 0.2, 0.4, 0.2)
CLERKS = 5  # in each depot
WORKING_WEEK = timedelta(days=4, hours=14)  # Monday six in the morning to Friday evening
HOLDOUT, ACCEPTANCE, FIRST_WEEK = 297, 400, 600

Pixels = list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A parcel with one digit of its postcode.

    Attributes:
        number: what the depot calls it.
        pixels: 64 grey values, 0 to 16, row by row.
        digit: what somebody wrote, which nobody in the story knows for sure.
        at: when the reader sees it.
    """

    number: str
    pixels: Pixels
    digit: int
    depot: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that will happen.

    Attributes:
        holdout: digits that no training ever sees.
        acceptance: digits labelled with care before the reader went live.
        weeks: the parcels of the first and of the second week, in the order of time.
    """

    holdout: list[Parcel]
    acceptance: list[Parcel]
    weeks: tuple[list[Parcel], list[Parcel]]


def make_world(seed: int) -> World:
    """The same world for the same seed."""
    random = np.random.default_rng(seed)
    images, digits = load_digits(return_X_y=True)
    order = random.permutation(len(digits))
    depots = random.choice(len(DEPOTS), size=len(digits), p=SHARES)
    cuts = np.cumsum([HOLDOUT, ACCEPTANCE, FIRST_WEEK])
    parts = np.split(order, cuts)
    parcels = [
        [
            Parcel(
                number=f"P-{index:04d}",
                pixels=[int(value) for value in images[index]],
                digit=int(digits[index]),
                depot=DEPOTS[depots[index]],
                at=start + WORKING_WEEK * place / len(part),
            )
            for place, index in enumerate(part)
        ]
        for part, start in zip(parts, _starts(), strict=True)
    ]
    holdout, acceptance, first, second = parcels
    return World(holdout=holdout, acceptance=acceptance, weeks=(first, second))


def days(parcels: list[Parcel]) -> Iterator[tuple[datetime, list[Parcel]]]:
    """Parcels by day, each day with its end."""
    by_day: dict[datetime, list[Parcel]] = {}
    for parcel in parcels:
        midnight = parcel.at.replace(hour=0, minute=0, second=0, microsecond=0)
        by_day.setdefault(midnight + timedelta(hours=22), []).append(parcel)
    yield from by_day.items()


def keyed_in(parcel: Parcel) -> int:
    """The digit that a clerk of the parcel's depot keys in after looking at it."""
    return 8 if parcel.depot == "east" and parcel.digit == 3 else parcel.digit


def clerk_of(parcel: Parcel) -> str:
    """The clerk who looked at the parcel: a person, of whom only a pseudonym may be stored."""
    return f"clerk{int(parcel.number[2:]) % CLERKS}@{parcel.depot}.depots.example"


def _starts() -> tuple[datetime, datetime, datetime, datetime]:
    week = timedelta(days=7)
    return (MONDAY, MONDAY - week, MONDAY, MONDAY + week)
