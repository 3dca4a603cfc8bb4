"""Before the story begins: its home, its clock, and the same chance for the same seed."""

import importlib.util
import random
import shutil
from pathlib import Path

from backstory.cli.demo.screen import Screen
from backstory.lake.errors import RefusedError, UnavailableError
from backstory.lake.location import translate_os_error
from backstory.lineage import home
from backstory.lineage.settings import HOME_FOLDER

MARK = "README.txt"
MARK_TEXT = (
    "Made by `backstory demo`, with a subject key that everybody can know.\n"
    "The next `backstory demo` replaces this folder. Delete it when you like.\n"
)


def run_demo(folder: Path, *, seed: int, color: bool = False) -> None:
    """Tell the story; its home stays in the folder.

    Raises:
        RefusedError: the folder holds something that no demo made.
        UnavailableError: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UnavailableError(
            "the demo needs scikit-learn", hint="pip install 'backstory[demo]', or `make demo`"
        )
    from backstory.cli.demo.story import SimulatedClock, Story
    from backstory.cli.demo.world import MONDAY, make_world

    _make_room(folder)
    clock = SimulatedClock(MONDAY)
    entropy = random.Random(seed).randbytes  # noqa: S311 - the same story for the same seed
    with home.init(folder / HOME_FOLDER, clock=clock, entropy=entropy) as made:
        Story(
            home=made,
            world=make_world(seed),
            clock=clock,
            screen=Screen(color=color),
            root=str(folder),
        ).tell()


def _make_room(folder: Path) -> None:
    """Replace what an earlier demo left; touch nothing else."""
    mark = folder / MARK
    try:
        if folder.exists():
            if not (mark.is_file() and mark.read_text() == MARK_TEXT):
                raise RefusedError(
                    f"{folder} is there already and was not made by a demo",
                    hint="name another folder: backstory demo FOLDER",
                )
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        mark.write_text(MARK_TEXT)
    except OSError as exc:
        raise translate_os_error(exc, f"making {folder}") from exc
