"""The how-to pages work: what a reader would type is typed, in a new folder, in order.

A page's files are the blocks that follow their name, alone on a line; its commands are the lines
that begin with `$` in blocks of the console.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import REPOSITORY

PAGES = sorted((REPOSITORY / "docs/how-to").glob("*.md"))
FILES = re.compile(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> None:
    """Run a line in a shell that finds our programs first."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("BACKSTORY_")}
    environ = {**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(
        shell, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_works(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    for name, body in FILES.findall(text):
        (tmp_path / name).write_text(body, "utf-8")
    commands = re.findall(r"^\$ (.+)$", "".join(CONSOLE.findall(text)), flags=re.MULTILINE)
    assert commands
    for command in commands:
        run(command, tmp_path)
