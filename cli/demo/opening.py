"""Before the story begins: its home, its clock, the same chance for the same seed, its teller."""

import importlib.util
import random
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from backstory.cli.demo.screen import Screen
from backstory.cli.output import Look, Output
from backstory.lake.errors import RefusedError, UnavailableError
from backstory.lake.location import translate_os_error
from backstory.lineage import home
from backstory.lineage.settings import HOME_FOLDER

PROGRAM = "backstory"
MARK = "README.txt"
MARK_TEXT = (
    "Made by `backstory demo`, with a subject key that everybody can know.\n"
    "The next `backstory demo` replaces this folder. Delete it when you like.\n"
)


def run_demo(folder: Path, *, seed: int, output: Output) -> None:
    """Tell the story, or give it as JSON; its home stays in the folder.

    Raises:
        RefusedError: the folder holds something that no demo made.
        UnavailableError: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UnavailableError(
            "the demo needs scikit-learn", hint="pip install 'backstory[demo]', or `make demo`"
        )
    from backstory.cli.demo.chapters import begin
    from backstory.cli.demo.story import SimulatedClock, Story
    from backstory.cli.demo.world import MONDAY, make_world

    _make_room(folder)
    clock = SimulatedClock(MONDAY)
    entropy = random.Random(seed).randbytes  # noqa: S311 - the same story for the same seed
    asking = shlex.join([typed(Path(sys.argv[0])), "--home", str(folder)])
    screen = Screen(color=output.color, asking=asking)
    with home.init(folder / HOME_FOLDER, clock=clock, entropy=entropy) as made:
        chapters = Story(
            home=made,
            world=make_world(seed),
            clock=clock,
            progress=screen.progress,
            root=str(folder),
        ).chapters()
        if output.look is Look.JSON:
            data: dict[str, Any] = {}
            for chapter in chapters:
                data |= chapter.document()
            output.result(data)
        else:
            begin(screen)
            for chapter in chapters:
                chapter.tell(screen)


def typed(program: Path) -> str:
    """What to type for the program that runs: its name where that finds it, else its path."""
    found = shutil.which(PROGRAM)
    if program.name != PROGRAM or (found and program.samefile(found)):
        return PROGRAM
    path, here = program.absolute(), Path.cwd()
    # A path without a folder would be looked for as a name.
    return str(path.relative_to(here) if here in path.parents[1:] else path)


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
