from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError
from backstory.lake.sealed import read_sealed, seal, unseal


@given(text=st.text(), byte=st.integers(0), mask=st.integers(1, 255))
def test_a_seal_opens_to_its_text_and_to_nothing_else(text: str, byte: int, mask: int) -> None:
    sealed = bytearray(seal(f"{text}\n").encode())
    assert unseal(bytes(sealed), "it") == f"{text}\n"
    sealed[byte % len(sealed)] ^= mask
    with pytest.raises(IntegrityError):
        unseal(bytes(sealed), "it")


@pytest.mark.parametrize("data", [b"", b"text\n", b"\xff\n", b"sha256 \n"])
def test_what_has_no_seal_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="file"):
        read_sealed(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="nothing is missing"):
        read_sealed(tmp_path / "nothing")
