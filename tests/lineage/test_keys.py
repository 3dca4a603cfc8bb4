import stat
from pathlib import Path

import pytest

from backstory.lake.errors import IntegrityError, NotFoundError, UnavailableError
from backstory.lineage.keys import KEY_FILE, create_key, key_check, key_text, load_key
from tests.lake.disk import watch_syncs


def fixed(count: int) -> bytes:
    return bytes(range(count))


def test_a_key_is_private_and_read_again(tmp_path: Path) -> None:
    key = create_key(tmp_path / "keys", fixed)
    path = tmp_path / "keys" / KEY_FILE
    assert load_key(tmp_path / "keys") == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == key_text(key)


def test_a_check_value_tells_keys_apart_and_not_the_key(tmp_path: Path) -> None:
    key, other = create_key(tmp_path / "a", fixed), create_key(tmp_path / "b")
    assert key_check(key) != key_check(other)
    assert key.secret.hex() not in key_check(key) + repr(key)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": "k1", "keys": {}}', '{"v": 1}'])
def test_a_damaged_key_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / KEY_FILE).write_text(text)
    with pytest.raises(IntegrityError, match=KEY_FILE):
        load_key(tmp_path)


@pytest.mark.parametrize("content", [b"\xff", b'{"current": "k1", "keys": {"k1": "zz"}}'])
def test_a_key_of_other_bytes_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(IntegrityError, match=KEY_FILE):
        load_key(tmp_path)


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="missing"):
        load_key(tmp_path)


def test_a_key_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(UnavailableError):
        create_key(tmp_path / "keys")


def test_a_key_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = watch_syncs(monkeypatch, tmp_path)
    create_key(tmp_path / "keys")
    assert lost() == []
