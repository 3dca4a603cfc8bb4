import hashlib
import subprocess
from pathlib import Path

import pytest

from backstory.lineage import capturing
from backstory.lineage.capturing import capture_code, capture_environment


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True)


def repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "remote", "add", "origin", "https://bot:hunter2222@git.example/r.git")
    (folder / "train.py").write_text("print(1)\n")
    git(folder, "add", "train.py")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "m")
    return folder


def test_a_clean_repository(tmp_path: Path) -> None:
    code = capture_code(repository(tmp_path / "r"), ["train.py"])
    assert code.commit is not None
    assert len(code.commit) == 40
    assert (code.dirty, code.patch_digest, code.command) == (False, None, ("train.py",))
    assert code.repository is not None
    assert "hunter2222" not in code.repository


def test_a_changed_repository_has_its_patch(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    (folder / "train.py").write_text("print(2)\n")
    code = capture_code(folder, [])
    assert code.dirty
    assert code.patch is not None
    assert b"+print(2)" in code.patch
    assert code.patch_digest == hashlib.sha256(code.patch).hexdigest()


def test_a_large_patch_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "MAX_PATCH_BYTES", 10)
    folder = repository(tmp_path / "r")
    (folder / "train.py").write_text("print(2)\n")
    code = capture_code(folder, [])
    assert (code.dirty, code.patch, code.patch_digest) == (True, None, None)


def test_outside_git_and_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert capture_code(tmp_path, ["a", "--token", "hunter2222"]).commit is None
    monkeypatch.setenv("PATH", "")
    code = capture_code(tmp_path, ["a", "--token", "hunter2222"])
    assert code.commit is None
    assert "hunter2222" not in code.command


def test_a_lock_file_beside_or_above(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("locked")
    (tmp_path / "a").mkdir()
    found = capture_environment(tmp_path / "a")
    assert (found.lock_file, found.lock_digest) == (
        "uv.lock",
        hashlib.sha256(b"locked").hexdigest(),
    )
    (tmp_path / "a" / "requirements.txt").write_text("nearer")
    assert capture_environment(tmp_path / "a").lock_file == "requirements.txt"
