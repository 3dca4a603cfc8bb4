import pytest

from backstory.lake.errors import InvalidError
from backstory.lineage.model import ComponentUse


def test_a_component_is_named_by_its_ref() -> None:
    assert ComponentUse(kind="base_model", name="org/m", version="v1").key == (
        "component:base_model:org/m@v1"
    )


@pytest.mark.parametrize(("kind", "version"), [("prompt", "4@2"), ("Prompt", "4"), ("prompt", "")])
def test_a_component_whose_ref_would_name_another_is_refused(kind: str, version: str) -> None:
    with pytest.raises(InvalidError):
        ComponentUse(kind=kind, name="greeting", version=version)
