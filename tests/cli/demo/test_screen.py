"""The story on a terminal."""

import pytest

from backstory.cli.demo.screen import Screen


def test_without_colour_nothing_is_bold_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = []
    for color in (True, False):
        screen = Screen(color=color, asking="backstory")
        screen.heading("Who answered?")
        screen.table(["version", "right"], [["ranker@1", "93 %"]])
        told.append(capsys.readouterr().out)
    assert ["\x1b[" in text for text in told] == [True, False]
