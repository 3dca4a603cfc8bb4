import ast
import os
import signal
import subprocess
import sys

import pytest

from backstory.lake.crash import CRASHPOINTS, crashpoint
from tests.architecture.source_tree import product


def named_in_the_code() -> list[str]:
    return [
        node.args[0].value
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "crashpoint"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def test_every_crash_point_is_listed_and_is_somewhere() -> None:
    assert sorted(named_in_the_code()) == sorted(CRASHPOINTS)


def test_nothing_happens_unless_asked() -> None:
    for name in CRASHPOINTS:
        crashpoint(name)


@pytest.mark.parametrize(("asked", "code"), [("file.written", -signal.SIGKILL), ("other", 0)])
def test_a_process_dies_where_it_was_asked_to(asked: str, code: int) -> None:
    program = "from backstory.lake.crash import crashpoint; crashpoint('file.written')"
    died = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "BACKSTORY_CRASH_AT": asked},
        check=False,
    )
    assert died.returncode == code
