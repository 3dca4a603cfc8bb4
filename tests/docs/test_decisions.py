"""Decisions stay short, numbered and listed."""

import re
from pathlib import Path

import pytest

from tests.architecture.source_tree import REPOSITORY

PAGE_LINES = 60
DECISIONS = sorted((REPOSITORY / "docs/adr").glob("*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_a_page_at_most(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= PAGE_LINES
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
    ]


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
