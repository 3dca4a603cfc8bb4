"""Somebody else's audit of GraphQL over HTTP: every rule, from MUST to MAY."""

import json
import subprocess
from pathlib import Path

import pytest

from backstory.lineage.home import init
from tests.api.server import served

HERE = Path(__file__).parent
AUDITS = 61


@pytest.mark.node
def test_every_audit_passes(tmp_path: Path) -> None:
    with init(tmp_path / "home") as home, served(home) as url:
        done = subprocess.run(
            ["node", "audit.mjs", f"{url}/graphql"],
            cwd=HERE,
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        )
    results = json.loads(done.stdout)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS
