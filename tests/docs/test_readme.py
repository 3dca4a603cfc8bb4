"""What the README shows is what happens, step by step, in an empty folder."""

import re
from pathlib import Path

from tests.architecture.source_tree import REPOSITORY
from tests.docs.walkthrough import check, settled, walk

README = REPOSITORY / "README.md"
CUT = "…"


def test_the_tour_prints_what_the_readme_says(folder: Path) -> None:
    check(README, folder)


def test_the_demo_prints_what_the_readme_shows_of_it(folder: Path) -> None:
    """Each passage between two cuts is there as it stands, and in that order."""
    shown = re.search(r"This is the demo.*?```text\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert shown
    (printed,) = walk("```console\n$ backstory demo\n```\n", folder)
    rest = settled(printed)
    for passage in filter(str.strip, shown[1].split(f"\n{CUT}\n")):
        _, found, rest = rest.partition(settled(passage))
        assert found, f"the demo does not say, or not there:\n{passage}"


def test_every_target_that_the_readme_names_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b", README.read_text("utf-8"))) - {"Python"} <= targets


def test_every_page_that_the_readme_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8"))
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
