from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake.errors import InvalidError
from backstory.lineage.settings import SETTINGS_FILE, load_settings
from backstory.lineage.trigger import Decay, Schedule, Threshold
from backstory.lineage.trigger_settings import NamedTrigger

ENOUGH = '[triggers.enough]\nmodel = "ranker"\nwhen = "threshold:thumbs/en:rows=8"\n'
NIGHTLY = '[triggers.nightly]\nmodel = "bot"\nwhen = "schedule:nightly:every=1d"\n'


def read(folder: Path, text: str) -> tuple[NamedTrigger, ...]:
    (folder / SETTINGS_FILE).write_text(text)
    return load_settings(folder).triggers


def test_triggers_stand_in_the_settings_in_their_order(tmp_path: Path) -> None:
    nightly = Schedule("nightly", every=timedelta(days=1))
    assert read(tmp_path, NIGHTLY + ENOUGH) == (
        NamedTrigger(name="nightly", model="bot", trigger=nightly),
        NamedTrigger(name="enough", model="ranker", trigger=Threshold("thumbs/en", rows=8)),
    )
    assert read(tmp_path, "") == ()


def test_a_decay_can_stand_in_the_settings(tmp_path: Path) -> None:
    text = ENOUGH.replace("threshold:thumbs/en:rows=8", "decay:thumbs:column=thumb,value=0,limit=1")
    [named] = read(tmp_path, text)
    assert named.trigger == Decay("thumbs", column="thumb", value="0", limit=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("triggers = 1", "triggers is not a table"),
        ("[triggers]\nenough = 1", "triggers.enough: a trigger has a model and a when"),
        ('[triggers.enough]\nmodel = "ranker"', "a trigger has a model and a when"),
        (ENOUGH + 'job = "x"', "a trigger has a model and a when"),
        (ENOUGH.replace('"ranker"', "1"), "model and when are texts"),
        (ENOUGH.replace("enough", "Enough"), "is no name of a trigger"),
        (ENOUGH.replace("enough", "manual"), "is no name of a trigger"),
        (ENOUGH.replace("ranker", "Ran ker"), "triggers.enough: 'Ran ker'"),
        (ENOUGH.replace("rows=8", "rows=0"), "triggers.enough: threshold on thumbs/en"),
        (ENOUGH.replace("threshold", "often"), "triggers.enough: 'often:thumbs/en:rows=8'"),
        (ENOUGH.replace("threshold:thumbs/en:rows=8", "manual:why"), "no schedule, threshold"),
        (
            ENOUGH.replace("threshold:thumbs/en:rows=8", "drift:a:metric=wer,limit=1"),
            "no schedule, threshold, decay or measurable drift",
        ),
    ],
)
def test_what_is_no_trigger_is_refused_by_its_name(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidError, match=told) as caught:
        read(tmp_path, text)
    assert caught.value.hint
    assert SETTINGS_FILE in str(caught.value)
