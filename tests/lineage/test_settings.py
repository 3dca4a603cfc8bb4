from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake.errors import (
    InvalidError,
    LimitExceededError,
    NotFoundError,
    RefusedError,
)
from backstory.lineage.retention_settings import Retention
from backstory.lineage.settings import (
    MAX_SETTINGS_BYTES,
    SETTINGS_FILE,
    TEMPLATE,
    find_home,
    load_settings,
)

MANY_CLASSES = "[retention.classes]\n" + "".join(f'c{n} = "1 day"\n' for n in range(101))


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / SETTINGS_FILE).write_text(text)
    return folder


def test_the_template_lies_in_the_home(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, TEMPLATE))
    assert settings.database_url == f"sqlite:///{tmp_path / 'lineage.db'}"
    assert (settings.lake, settings.artifacts) == (tmp_path / "lake", tmp_path / "artifacts")
    assert settings.receivers == ()
    assert "lineage.db" not in repr(settings)


def test_paths_may_lie_elsewhere(tmp_path: Path) -> None:
    text = '[store]\nurl = "sqlite:////far/x.db"\n[lake]\npath = "/far/lake"\n'
    settings = load_settings(write(tmp_path, text))
    assert settings.database_url == "sqlite:////far/x.db"
    assert settings.lake == Path("/far/lake")


def test_a_file_transport_is_anchored(tmp_path: Path) -> None:
    text = '[openlineage.transport]\ntype = "file"\nlog_file_path = "e.ndjson"\n'
    settings = load_settings(write(tmp_path, text))
    [receiver] = settings.receivers
    assert receiver.config["log_file_path"] == str(tmp_path / "e.ndjson")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("format = 2", RefusedError),
        ("format = ", InvalidError),
        ("colour = 1", InvalidError),
        ("lake = 1", InvalidError),
        ('[lake]\ncolour = "x"', InvalidError),
        ("[lake]\npath = 1", InvalidError),
        ("[store]\nurl = 1", InvalidError),
        ("[openlineage]\nnamespace = 1", InvalidError),
        ("[openlineage]\ntransport = 1", InvalidError),
        ('[openlineage.transport]\ntype = "http"', InvalidError),
        ('[retention]\nfailed_runs = "-1 days"', InvalidError),
        ('[retention]\nversions = "audit"', InvalidError),
        ('[retention]\nclasses = "audit"', InvalidError),
        ('[retention.classes]\naudit = "-1 days"', InvalidError),
        ('[retention.classes]\naudit = "36526 days"', InvalidError),
        ('[retention.classes]\naudit = "10 years"', InvalidError),
        ("[retention.classes]\naudit = 10", InvalidError),
        ('[retention.classes]\nAudit = "1 day"', InvalidError),
        (f'[retention.classes]\n{"a" * 64} = "1 day"', InvalidError),
        (MANY_CLASSES, LimitExceededError),
        ("#" * (MAX_SETTINGS_BYTES + 1), LimitExceededError),
    ],
)
def test_settings_that_are_none(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load_settings(write(tmp_path, text))


def test_retention_classes(tmp_path: Path) -> None:
    text = '[retention]\nversions = "a"\n[retention.classes]\na = "0 days"\nb = "forever"\n'
    found = load_settings(write(tmp_path, text)).retention
    assert found.classes == {"standard": None, "a": timedelta(), "b": None}
    assert found.versions == "a"
    assert load_settings(write(tmp_path, TEMPLATE)).retention == Retention()


def test_where_the_home_is(tmp_path: Path) -> None:
    home = write(tmp_path / ".backstory", TEMPLATE)
    below = tmp_path / "a"
    below.mkdir()
    assert find_home(below, {}) == home
    assert find_home(below, {"BACKSTORY_HOME": str(tmp_path)}) == home
    write(below, 'home = "../elsewhere"')
    assert find_home(below, {}) == below / "../elsewhere"
    with pytest.raises(NotFoundError, match="is not a Backstory home"):
        load_settings(below / "nowhere")
