"""The life of a home up to a power cut: `python -m tests.integration.power_loss_child HOME TABLE`.

A line is said as soon as what it tells is acknowledged; `REMEMBERED` in `test_power_loss.py` says
what each of them promises.
"""

import importlib
import sys
from pathlib import Path

import backstory
from backstory.lineage.home import Home
from backstory.lineage.settings import SETTINGS_FILE
from tests.integration.crash_child import CONTRACT, MODEL, SLICE, deploy, ingest, pin, say, train

LINKED = "clicks"


def link(home: Home, table: str) -> None:
    """Link a table of somebody else, watch it, copy it."""
    home.link_slice(LINKED, table)
    say(f"linked {LINKED}")
    for strength in ("watched", "copied"):
        # Another holder each time: one holder holds a snapshot once.
        kept = home.pin(LINKED, reason=strength, holder=strength, strength=strength)
        say(f"{strength} {kept.pin_id}")


def release(home: Home) -> None:
    """Let the first pins go, and pin the same versions again."""
    for kept in home.pins(SLICE)[:2]:
        home.release(kept.pin_id, reason="done")
        say(f"released {kept.pin_id}")
    say(f"again {home.pin(f'{SLICE}@1', reason='again', holder='auditor').pin_id}")


def hand_out(home: Home, to: Path) -> None:
    """Write a version's artifact out, and lay it out in the home."""
    path = home.load(f"{MODEL}@1", to=to / "loaded")
    say(f"loaded {path.relative_to(to)}")
    home.backup(to / "backup")
    say("backed backup")


def main() -> None:
    folder, table = sys.argv[1:]
    home_folder = Path(folder, "deep", ".backstory")
    importlib.import_module("backstory.lineage.openlineage.building")  # half a second of nothing
    with backstory.init(home_folder) as home:
        say(f"founded .gitignore {SETTINGS_FILE}")
        home.create_slice(CONTRACT)
        say(f"created {SLICE}")
        link(home, table)
        ingest(home)
        pin(home)
        train(home)
        release(home)
        deploy(home)
        hand_out(home, Path(folder))
    say("done")


if __name__ == "__main__":
    main()
