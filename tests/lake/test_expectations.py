from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from backstory.lake.columns import Column
from backstory.lake.contract import MAX_DUPLICATE_WINDOW_ROWS, Contract
from backstory.lake.errors import InvalidError
from backstory.lake.expectations import MAX_EXPECTATIONS, MAX_PATTERN_CHARS, Check, Expectation
from tests.lake.contracts import column, contract_of

NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
COLUMNS = (
    column("label", "int64"),
    column("score", "float64"),
    column("word"),
    column("at", "timestamp"),
    column("day", "date"),
    column("price", "decimal(9,2)"),
    column("tags", "list<string>"),
)
ROWS = pa.table(
    {
        "label": [7, -1, None, 7],
        "score": [0.5, float("nan"), None, float("inf")],
        "word": ["spam", "Spam", None, "spam\nspam"],
        "at": [NOW, NOW - timedelta(hours=25), None, NOW + timedelta(days=9)],
        "day": [None, None, None, NOW.date()],
        "price": pa.array([None, None, None, None], pa.decimal128(9, 2)),
        "tags": [["a"], None, [], None],
    },
    schema=pa.schema([(found.name, found.type) for found in COLUMNS]),
)

MISSED: dict[str, tuple[dict[str, Any], list[bool]]] = {
    "not null": ({"column": "tags", "not_null": True}, [False, True, False, True]),
    "range": ({"column": "label", "range": [0, 7]}, [False, True, False, False]),
    "no end": ({"column": "label", "range": [None, 6]}, [True, False, False, True]),
    "no number is in no range": ({"column": "score", "range": [0, 1]}, [False, True, False, True]),
    "days": ({"column": "day", "range": ["2026-11-25", None]}, [False, False, False, True]),
    "set": ({"column": "word", "set": ["spam"]}, [False, True, False, True]),
    "regex is of all the text": ({"column": "word", "regex": "spam|x"}, [False, True, False, True]),
    "unique": ({"column": "label", "unique": True}, [False, False, False, True]),
    "freshness": ({"column": "at", "freshness": 24}, [False, True, False, False]),
    "row": ({"row": "label > 0 and score < 1"}, [False, True, False, True]),
    "a row that cannot be computed": ({"row": "cast(word as int) = 1"}, [True, True, False, True]),
    "a row rule of nulls is met": ({"row": "price > 0"}, [False] * 4),
}  # fmt: skip


@pytest.mark.parametrize(("said", "missed"), MISSED.values(), ids=MISSED)
def test_which_rows_miss(said: dict[str, Any], missed: list[bool]) -> None:
    expectation = Expectation.from_document(1, said)
    expectation.check_columns(COLUMNS)
    assert expectation.misses(ROWS, at=NOW).to_pylist() == missed
    assert expectation.to_document() == said
    assert expectation.misses(ROWS.slice(0, 0), at=NOW).to_pylist() == []


def test_every_check_is_tested() -> None:
    assert {check for check in Check for said, _ in MISSED.values() if check in said} == set(Check)


WRONG: dict[str, Any] = {
    "two checks": {"column": "label", "unique": True, "not_null": True},
    "no check": {"column": "label"},
    "no column": {"unique": True},
    "a rule of a column": {"column": "label", "row": "label > 0"},
    "no mapping": "label > 0",
    "another field": {"column": "label", "rnage": [0, 1]},
    "another severity": {"column": "label", "unique": True, "severity": "maybe"},
    "an unknown column": {"column": "lable", "unique": True},
    "a range of text": {"column": "label", "range": ["a", "b"]},
    "a range of half numbers": {"column": "label", "range": [0.5, 1]},
    "a range of one": {"column": "label", "range": [1]},
    "no range": {"column": "label", "range": [None, None]},
    "an empty range": {"column": "label", "range": [2, 1]},
    "a range beyond 64 bits": {"column": "label", "range": [0, 2**64]},
    "a range to infinity": {"column": "score", "range": [0, float("inf")]},
    "a range of lists": {"column": "tags", "range": [0, 1]},
    "a naive time": {"column": "at", "range": ["2026-11-24T00:00:00", None]},
    "an empty set": {"column": "word", "set": []},
    "a set with null": {"column": "word", "set": ["a", None]},
    "a set of lists": {"column": "word", "set": [["a"]]},
    "no pattern": {"column": "word", "regex": "("},
    "a long pattern": {"column": "word", "regex": "a" * (MAX_PATTERN_CHARS + 1)},
    "a pattern of numbers": {"column": "label", "regex": "7"},
    "unique lists": {"column": "tags", "unique": True},
    "not unique": {"column": "label", "unique": False},
    "fresh numbers": {"column": "label", "freshness": 1},
    "fresh for ever": {"column": "at", "freshness": 10**9},
    "no condition": {"row": "label + 1"},
    "types that do not compare": {"row": "word > 5"},
    "a file": {"row": "read_text('/etc/passwd') = 'x'"},
    "another file": {"row": "word in (select content from read_text('/etc/passwd'))"},
    "the network": {"row": "word in (from 'https://example.com/a.csv')"},
    "a setting": {"row": "current_setting('home_directory') = '/'"},
    "the environment": {"row": "getenv('HOME') = '/'"},
    "settings": {"row": "set enable_external_access = true"},
    "two statements": {"row": "label > 0; drop table rows"},
    "an aggregate": {"row": "sum(label) > 0"},
    "the time": {"row": "at < now()"},
    "an unknown name": {"row": "lable > 0"},
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
def test_what_cannot_be_expected_is_refused_in_one_line(said: Any) -> None:
    with pytest.raises(InvalidError) as error:
        Expectation.from_document(3, said).check_columns(COLUMNS)
    assert "\n" not in error.value.message
    assert error.value.hint


def quality(**fields: Any) -> Contract:
    plain = contract_of(*COLUMNS)
    return Contract(slice=plain.slice, purpose=plain.purpose, columns=plain.columns, **fields)


YAML = """
slice: thumbs/en
purpose: improve the ranker
max_rejected_share: 1
duplicate_window: 0
expectations:
- {column: label, range: [0, 9]}
- {column: at, range: [2026-01-01T00:00:00Z, null], severity: refuse}
- {row: label < 9 or score > 0, severity: warn}
columns:
  label: {type: int64}
  score: {type: float64}
  at: {type: timestamp}
"""


def test_a_contract_says_what_it_expects() -> None:
    contract = Contract.from_yaml(YAML)
    assert [str(expectation) for expectation in contract.expectations] == [
        "between 0 and 9",
        "at least 2026-01-01T00:00:00+00:00",
        "label < 9 or score > 0",
    ]
    assert contract.max_rejected_share == 1.0
    assert Contract.from_yaml(contract.to_yaml()) == contract
    assert Contract.from_json(contract.to_json()) == contract


def test_a_contract_without_expectations_has_the_digest_that_it_had() -> None:
    contract = Contract(
        slice="thumbs", purpose="show it", columns=(Column(name="label", type=pa.int64()),)
    )
    assert contract.to_json() == (
        '{"columns":[{"name":"label","type":"int64"}],"format":"backstory-contract v1",'
        '"purpose":"show it","slice":"thumbs"}'
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"max_rejected_share": 1.5},
        {"max_rejected_share": float("nan")},
        {"duplicate_window": -1},
        {"duplicate_window": MAX_DUPLICATE_WINDOW_ROWS + 1},
        {
            "expectations": [Expectation(check=Check.UNIQUE, value=True, column="label")]
            * (MAX_EXPECTATIONS + 1)
        },
    ],
)
def test_what_a_contract_says_of_quality_is_bounded(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as error:
        quality(**fields)
    assert error.value.hint
