import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError
from backstory.lake.subjects import SubjectKey

KEY = SubjectKey(key_id="k1", secret=b"0123456789abcdef")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_pseudonym_is_the_hmac_with_its_key_id(raw: str) -> None:
    assert (
        KEY.pseudonym(raw) == f"k1:{hmac.new(KEY.secret, raw.encode(), hashlib.sha256).hexdigest()}"
    )


@given(st.lists(TEXTS | st.none()), st.integers(0, 3))
def test_a_column_is_hashed_value_by_value(raws: list[str | None], cut: int) -> None:
    expected = [None if raw is None else KEY.pseudonym(raw) for raw in raws]
    whole = pa.array(raws, pa.string())
    chunked = pa.chunked_array([whole[:cut], whole[cut:]], pa.string())
    for values in (whole, chunked, whole.dictionary_encode(), whole.cast(pa.large_string())):
        found = KEY.pseudonyms(values)
        assert found.type == pa.string()
        assert found.to_pylist() == expected


def test_an_empty_column_stays_empty() -> None:
    assert KEY.pseudonyms(pa.chunked_array([], pa.string())).to_pylist() == []


def test_other_keys_give_other_pseudonyms() -> None:
    other = SubjectKey(key_id="k1", secret=b"fedcba9876543210")
    assert other.pseudonym("user-1") != KEY.pseudonym("user-1")


def test_the_secret_is_never_shown() -> None:
    assert "0123456789" not in repr(KEY) + str(KEY)


@pytest.mark.parametrize("key_id", ["", "K1", "a:b", "x" * 33, "k 1"])
def test_key_ids_are_plain(key_id: str) -> None:
    with pytest.raises(InvalidError, match="no key id"):
        SubjectKey(key_id=key_id, secret=KEY.secret)


def test_short_secrets_are_refused() -> None:
    with pytest.raises(InvalidError, match="has 4 bytes"):
        SubjectKey(key_id="k1", secret=b"abcd")


def test_a_subject_must_be_text() -> None:
    with pytest.raises(InvalidError, match="no valid Unicode"):
        KEY.pseudonym("\ud800")
