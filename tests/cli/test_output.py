"""A table is drawn as wide as the terminal, and never at the cost of half an id."""

import pytest

from backstory.cli.figures import ID, NUMBER, REF, TEXT, TIME
from backstory.cli.output import drawn_lines
from backstory.cli.views import Table

PIN = "01a20c74-2752-7628-b3a2-fea5219abd7c"
COLUMNS = (("id", ID), ("snapshot", REF), ("until", TIME), ("rows", NUMBER), ("reason", TEXT))


def drawn(monkeypatch: pytest.MonkeyPatch, columns: int, *, rows: int | None = 3) -> list[str]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    reason = "because the auditors asked for it in writing"
    return drawn_lines(Table(columns=COLUMNS, rows=[(PIN, "clicks@1", None, rows, reason)]))


def test_a_wide_terminal_shows_each_row_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    header, row = drawn(monkeypatch, 120)
    assert header.split() == ["id", "snapshot", "rows", "reason"]
    assert PIN in row


def test_text_is_wrapped_before_an_id_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, 72)
    assert len(lines) > 2
    assert all(len(line) <= 72 for line in lines)
    assert f"{PIN}  clicks@1" in lines[1]


def test_a_narrow_terminal_shows_one_value_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, 60)
    assert lines[0] == "row 1"
    assert any(PIN in line for line in lines)


def test_a_column_without_values_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, 72, rows=None)[0].split() == ["id", "snapshot", "reason"]
