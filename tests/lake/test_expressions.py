import pyarrow as pa
import pytest

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.expressions import (
    MAX_EXPRESSION_CHARS,
    MAX_EXPRESSION_DEPTH,
    check_expression,
)

SCHEMA = pa.schema(
    [
        ("label", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("word", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("place", pa.struct([("town", pa.string())])),
        ("_source", pa.string()),
    ]
)

ALLOWED = {
    "label = 3": '"label" = 3',
    "label between 3 and 8 and _source <> 'app'": (
        """"label" BETWEEN 3 AND 8 AND "_source" <> 'app'"""
    ),
    "label in (1, 2) -- digits": '"label" IN (1, 2)',
    "not (word like 'a!%' escape '!')": """NOT ("word" LIKE 'a!%' ESCAPE '!')""",
    "word = 'it''s'": """"word" = 'it''s'""",
    "LABEL is not null": 'NOT "LABEL" IS NULL',
    "at >= timestamptz '2026-11-14T00:00Z'": """"at" >= CAST('2026-11-14T00:00Z' AS TIMESTAMPTZ)""",
    "at < at + interval 3 day": """"at" < "at" + INTERVAL '3' DAY""",
    "year(at) = 2026": 'YEAR("at") = 2026',
    "place.town = 'x'": """"place"."town" = 'x'""",
    "list_contains(tags, 'a')": """ARRAY_CONTAINS("tags", 'a')""",
    "tags[1] = 'a'": """"tags"[1] = 'a'""",
    "label % 10 = 0 or -label > 2.5": '"label" % 10 = 0 OR -"label" > 2.5',
    "case when label > 3 then true else false end": (
        'CASE WHEN "label" > 3 THEN TRUE ELSE FALSE END'
    ),
    "md5(word) < '8'": """MD5("word") < '8'""",
}

REFUSED = [
    "read_csv('/etc/passwd')",
    "label in (select 1)",
    "(select max(label) from t)",
    "exists (select 1)",
    "label = any (select 1)",
    "label > 1; drop table t",
    "label > 1 union select 1",
    "copy t to '/tmp/x'",
    "set enable_external_access = true",
    "attach '/tmp/x.db'",
    "install httpfs",
    "pragma database_list",
    "call pragma_version()",
    "getenv('HOME')",
    "current_setting('secret_directory')",
    "glob('/etc/*')",
    "read_text('/etc/passwd') is null",
    "unnest(tags) = 'a'",
    "sum(label) > 1",
    "row_number() over () > 1",
    "list_filter(tags, x -> x = 'a')",
    "columns('label') > 1",
    "label > ?",
    "label > $1",
    "now() > at",
    "at > current_timestamp",
    "random() > 0.5",
    "word = e'\\n'",
    "nextval('s') > 1",
    "label as other",
    "*",
    "",
    "   ",
    "-- nothing",
    "label >",
    "label > 1 order by label",
    "label::struct(a int) is null",
    "nowhere = 1",
    "t.label = 1",
    "rowid = 1",
    "filename = 'x'",
]


@pytest.mark.parametrize(("text", "canonical"), ALLOWED.items())
def test_a_plain_condition_is_rebuilt_from_what_was_understood(text: str, canonical: str) -> None:
    assert check_expression(text, SCHEMA) == canonical


@pytest.mark.parametrize("text", REFUSED)
def test_everything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidError) as error:
        check_expression(text, SCHEMA)
    assert "\n" not in error.value.message
    assert error.value.message.startswith(("where: ", "there is no column "))


def test_a_misspelled_column_is_told_the_near_one() -> None:
    with pytest.raises(InvalidError) as error:
        check_expression("lable = 3", SCHEMA)
    assert error.value.hint == "did you mean 'label'?"


@pytest.mark.parametrize(
    "text",
    [
        f"label = {'1' * MAX_EXPRESSION_CHARS}",
        f"{'(' * 2000}label{')' * 2000}",
        f"{'not ' * 2000}label",
        f"label{'[1]' * 2000}",
        f"{'label + ' * MAX_EXPRESSION_DEPTH}label > 1",
    ],
    ids=["long", "parentheses", "nots", "brackets", "sums"],
)
def test_length_and_depth_are_bounded(text: str) -> None:
    with pytest.raises(LimitExceededError):
        check_expression(text, SCHEMA)


def test_long_lists_of_values_are_no_depth() -> None:
    values = ", ".join(map(str, range(1000)))
    assert check_expression(f"label in ({values})", SCHEMA) == f'"label" IN ({values})'
