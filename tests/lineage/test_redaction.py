"""A table of what goes and what stays; secrets are planted, harmless values are from real runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.redaction import (
    MAX_DEPTH,
    REDACTED,
    redact_args,
    redact_mapping,
    redact_text,
    redact_url,
)

SECRET = "Tr0ub4dor"
AWS_KEY = "AKIAIOSFODNN7EXAMPLE"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123_-"
GITHUB = "ghp_" + "a1B2" * 9

URLS = {
    "password": (f"postgresql://app:{SECRET}@db:5432/x", "postgresql://app:***@db:5432/x"),
    "password without user": (f"redis://:{SECRET}@cache/0", "redis://:***@cache/0"),
    "password with at and slash": (f"mysql://a:{SECRET}/@{SECRET}@db/x", "mysql://a:***@db/x"),
    "token as user": (f"https://{GITHUB}@github.com/o/r", "https://***@github.com/o/r"),
    "token in query": (f"https://h/p?a=1&token={SECRET}", "https://h/p?a=1&token=***"),
    "shared access signature": (f"https://h/b?sv=1&sig={SECRET}", "https://h/b?sv=1&sig=***"),
    "presigned": (
        f"https://h/b?X-Amz-Signature={SECRET}&x=1",
        "https://h/b?X-Amz-Signature=***&x=1",
    ),
    "key in query": (f"https://h/v1?key={SECRET}", "https://h/v1?key=***"),
    "fragment": (f"https://h/#access_token={SECRET}", "https://h/#access_token=***"),
}

HARMLESS_URLS = [
    "https://github.com/org/repo.git",
    "git@github.com:org/repo.git",
    "ssh://git@github.com/org/repo",
    "s3://bucket/lake/thumbs__en",
    "abfss://container@account.dfs.core.windows.net/path",
    "postgresql://app@db:5432/lineage",
    "http://localhost:5000/api/v1/lineage?depth=20",
    "https://unpkg.test:8080/@scope/pkg",
    "file:///home/me/.backstory",
    "models:/ranker@champion",
]

TEXTS = {
    "bearer": (f"Authorization: Bearer {SECRET}xyz", "Authorization: Bearer ***"),
    "basic": ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
    "aws key": (f"denied for {AWS_KEY} today", "denied for *** today"),
    "github": (f"push with {GITHUB}", "push with ***"),
    "jwt": (f"cookie was {JWT}", "cookie was ***"),
    "equals": (f"connect host=db password={SECRET} port=1", "connect host=db password=*** port=1"),
    "json": (f'{{"client_secret": "{SECRET} x", "a": 1}}', '{"client_secret": "***", "a": 1}'),
    "python": (f"{{'apiKey': '{SECRET}'}}", "{'apiKey': '***'}"),
    "environment": (f"PGPASSWORD={SECRET} psql", "PGPASSWORD=*** psql"),
    "command": (f"train.py --api-key {SECRET} --lr 1", "train.py --api-key *** --lr 1"),
    "url": (f"cannot open (postgresql://a:{SECRET}@db/x)", "cannot open (postgresql://a:***@db/x)"),
    "yaml": (f"secret_access_key: {SECRET}", "secret_access_key: ***"),
    "in a sentence": (f"use password={SECRET}", "use password=***"),
    "behind another name": (f"--env=DB_PASSWORD={SECRET}", "--env=DB_PASSWORD=***"),
    "nested": (f"{{db: {{password: {SECRET}}}}}", "{db: {password: ***}}"),
    "flag without value": (f"--ask-password --token {SECRET}", "--ask-password --token ***"),
    "private key": (
        "x -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- y",
        "x *** y",
    ),
}

HARMLESS_TEXTS = [
    "the tokenizer has 32000 tokens; max_tokens=512 pad_token=<pad> eos_token=</s>",
    "KeyError: 'password'",
    "sha256 " + "0f" * 32,
    "ranker@7 read thumbs/en@41..58, +10,214 rows",
    "primary_key=id sort_key: at",
    "token_file=/run/secrets/token secret_name=db",
    "a basic classification of sk-learn-logistic-regression-models",
    "n_tokens: 12, token=12",
    'password=""',
    "2026-11-14T09:41:07Z",
]


@pytest.mark.parametrize(("url", "expected"), URLS.values(), ids=URLS)
def test_secrets_leave_urls(url: str, expected: str) -> None:
    assert redact_url(url) == expected
    assert redact_text(f"see {url} there") == f"see {expected} there"


@pytest.mark.parametrize("url", HARMLESS_URLS)
def test_harmless_urls_stay(url: str) -> None:
    assert redact_url(url) == url
    assert redact_text(url) == url


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_secrets_leave_texts(text: str, expected: str) -> None:
    assert redact_text(text) == expected


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_harmless_texts_stay(text: str) -> None:
    assert redact_text(text) == text


ARGS = {
    "separate": (["--password", SECRET, "--lr", "1"], ["--password", "***", "--lr", "1"]),
    "joined": ([f"--token={SECRET}"], ["--token=***"]),
    "hydra": ([f"db.password={SECRET}", "lr=1"], ["db.password=***", "lr=1"]),
    "curl user": (["-u", f"me:{SECRET}"], ["-u", "me:***"]),
    "header": (["-H", f"Authorization: Bearer {SECRET}"], ["-H", "Authorization: Bearer ***"]),
    "two words": (["--secret", f"{SECRET} {SECRET}"], ["--secret", "***"]),
    "dash value": (["--password", f"-{SECRET}"], ["--password", "***"]),
    "no value": (["--ask-password", "--verbose"], ["--ask-password", "--verbose"]),
    "file": (["--token-file", "t.txt"], ["--token-file", "t.txt"]),
    "url": ([f"--db=postgresql://a:{SECRET}@h/d"], ["--db=postgresql://a:***@h/d"]),
    "aws": (["--id", AWS_KEY], ["--id", "***"]),
}


@pytest.mark.parametrize(("args", "expected"), ARGS.values(), ids=ARGS)
def test_secrets_leave_arguments(args: list[str], expected: list[str]) -> None:
    assert redact_args(args) == expected


def test_parameters_are_redacted_at_any_depth() -> None:
    values = {
        "lr": 0.1,
        "max_tokens": 512,
        "token": None,
        "use_auth_token": True,
        "db": {"password": 1234, "url": f"postgresql://a:{SECRET}@h/d", "port": 5432},
        "headers": [{"Authorization": f"Bearer {SECRET}"}, f"X-Api-Key: {SECRET}"],
        "layers": (64, 32),
    }
    assert redact_mapping(values) == {
        "lr": 0.1,
        "max_tokens": 512,
        "token": None,
        "use_auth_token": True,
        "db": {"password": "***", "url": "postgresql://a:***@h/d", "port": 5432},
        "headers": [{"Authorization": "***"}, "X-Api-Key: ***"],
        "layers": [64, 32],
    }


def test_what_is_nested_too_deep_is_replaced_whole() -> None:
    deep: dict[str, object] = {"x": SECRET}
    for _ in range(MAX_DEPTH + 5):
        deep = {"x": deep}
    redacted = str(redact_mapping(deep))
    assert SECRET not in redacted
    assert REDACTED in redacted


NAMES = ["password", "DB_PASSWORD", "clientSecret", "api-key", "aws_secret_access_key", "hf_token"]


@given(
    name=st.sampled_from(NAMES), value=st.from_regex(r"[A-Za-z0-9!$%^*_+/]{8,40}", fullmatch=True)
)
def test_a_named_secret_never_survives(name: str, value: str) -> None:
    assert value not in redact_text(f"{name}={value}")
    assert value not in redact_text(f"run with {name}={value}")
    assert value not in redact_text(f"run.py --env={name}={value} --{name} {value} --lr 1")
    assert value not in redact_text(f'"{name}": "{value}"')
    assert redact_args([f"--{name}", value]) == [f"--{name}", REDACTED]
    assert redact_mapping({name: value}) == {name: REDACTED}


@given(st.text())
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
