from datetime import UTC, datetime

import pytest

from backstory.lake.errors import InvalidError
from backstory.lineage.ids import RunId
from backstory.lineage.model import ComponentUse, ModelVersion

AT = datetime(2026, 11, 14, tzinfo=UTC)


def make_version(at: datetime = AT) -> ModelVersion:
    return ModelVersion(
        id=1,
        model="ranker",
        number=7,
        run_id=RunId("r"),
        artifact_digest="0" * 64,
        artifact_kind="file",
        artifact_size=3,
        at=at,
    )


def test_a_version_is_called_by_model_and_number() -> None:
    assert make_version().ref == "ranker@7"


def test_a_versions_time_has_a_zone() -> None:
    with pytest.raises(InvalidError):
        make_version(AT.replace(tzinfo=None))


def test_a_component_is_named_by_its_ref() -> None:
    assert ComponentUse(kind="base_model", name="org/m", version="v1").key == (
        "component:base_model:org/m@v1"
    )


@pytest.mark.parametrize(("kind", "version"), [("prompt", "4@2"), ("Prompt", "4"), ("prompt", "")])
def test_a_component_whose_ref_would_name_another_is_refused(kind: str, version: str) -> None:
    with pytest.raises(InvalidError):
        ComponentUse(kind=kind, name="greeting", version=version)
