"""The one redactor: secrets leave arguments, parameters, URLs and messages before anyone records.

A secret is known by its name (`--password X`, `api_key=…`, `{"client_secret": …}`), by its place
(the password of a URL, `Authorization: Bearer …`) or by its looks (AWS, GitHub, Slack … tokens,
JSON web tokens, private keys). When in doubt it goes, but what is harmless by name stays: numbers
of tokens, a tokenizer's special tokens, files and names of secrets, digests. It cannot know a
secret that has no name and no special looks.

>>> redact_args(["train.py", "--password", "hunter2", "--lr=0.1"])
['train.py', '--password', '***', '--lr=0.1']
>>> redact_url("postgresql://app:hunter2@db/lineage")
'postgresql://app:***@db/lineage'
>>> redact_mapping({"api_key": "s3cr3t", "max_tokens": 512})
{'api_key': '***', 'max_tokens': 512}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

REDACTED = "***"
MAX_DEPTH = 32  # of nested parameters; what lies deeper is replaced whole

# Names are compared in lower case without separators, so that API_KEY, apiKey and api-key are one.
_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|passcode|pwd|secrets?|credentials?|authorization|cookie|jwt"
    r"|connectionstring|(?:api|access|secret|private|account|auth|signing|encryption|master|ssh"
    r"|subscription|storage)key|sslkeypem|token|sas|bearer)(?:value|plain|text|base64|b64|\d*)$"
)
_HARMLESS_TOKEN = re.compile(
    r"(?:pad|eos|bos|unk|sep|cls|mask|special|start|end|stop|image|per|next|max|min|num)token$"
)
_SECRET_QUERY = re.compile(r"(?:^|xamz|xgoog)(?:sig|signature|key|code)$")

_SCHEME = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,31}://"
_URL = re.compile(rf"{_SCHEME}[^\s\"'<>]{{1,8192}}")
# A password may hold an unescaped "/" or "@"; a port followed by a path is none.
_URL_PASSWORD = re.compile(r"(://[^/?#:@\s]*):(?!\d{1,5}(?:[/?#]|$))\S*@")
_PASSWORD_IN_URL = re.compile(r"://[^/?#:@\s]*:([^@\s]+)@")
_URL_TOKEN = re.compile(r"(https?://)[^/?#:@\s]{16,}@", re.IGNORECASE)
_URL_QUERY = re.compile(r"([?&;#])([^=?&;#\s]+)=([^&;#\s]*)")

_AUTHORIZATION = re.compile(
    r"(\bbearer\s+|\bauthorization[\"']?\s*[:=]\s*[\"']?(?!bearer)[a-z0-9-]+\s+)[A-Za-z0-9._~+/=-]{6,}",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![\w.-])(-{0,2}[A-Za-z_][\w.-]*)([\"']?\s*[:=]\s*|\s+)")
_VALUE = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?!(?:bearer|basic)\s)[^\s,;&\"'}\])]+", re.IGNORECASE
)
_FLAG = re.compile(r"--\w|-\w$")
_LOOKS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(?:A[KSB]IA|ACCA)[0-9A-Z]{16}\b"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|dapi)[A-Za-z0-9_-]{20,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|\b[rs]k_(?:live|test)_\w{16,}"
    r"|\bsk-(?=[\w-]*\d)[\w-]{20,}"
    r"|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
    re.DOTALL,
)


def redact_text(text: str) -> str:
    """A message, command or value without the secrets that are known in it."""
    text = _URL.sub(lambda match: redact_url(match[0]), text)
    text = _LOOKS.sub(REDACTED, text)
    text = _AUTHORIZATION.sub(rf"\g<1>{REDACTED}", text)
    return _redact_named(text)


def redact_url(url: str) -> str:
    """A URL without its password, without a token in a user's place, and without signed parts."""
    url = _URL_PASSWORD.sub(rf"\g<1>:{REDACTED}@", url)
    url = _URL_TOKEN.sub(rf"\g<1>{REDACTED}@", url)
    return _LOOKS.sub(REDACTED, _URL_QUERY.sub(_redact_query, url))


def redact_args(args: Sequence[str]) -> list[str]:
    """A command line without its secrets, argument by argument."""
    redacted = []
    secret_follows = user_follows = False
    for arg in args:
        if secret_follows and not _FLAG.match(arg):
            redacted.append(REDACTED)
        elif user_follows and ":" in arg:
            redacted.append(f"{arg.partition(':')[0]}:{REDACTED}")
        else:
            redacted.append(redact_text(arg))
        secret_follows = arg.startswith("-") and "=" not in arg and _is_secret(arg)
        user_follows = arg in ("-u", "--user")
    return redacted


def redact_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without their secrets, nested ones too; names stay as they are."""
    return {name: _redact_value(name, value, MAX_DEPTH) for name, value in values.items()}


def secrets_in(values: Mapping[str, Any]) -> frozenset[str]:
    """The texts below secret names, and the passwords of URLs: what no message may repeat."""
    return frozenset(_secrets("", values, MAX_DEPTH))


def _secrets(name: str, value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _secrets(str(key), inner, depth - 1)
        case list() | tuple():
            for inner in value:
                yield from _secrets(name, inner, depth - 1)
        case str() if _is_secret(name) and not _is_harmless(name, value):
            yield from (value, *value.split()[-1:])  # the token of "Bearer …" by itself too
        case str() if password := _PASSWORD_IN_URL.search(value):
            yield password[1]


def _redact_value(name: str, value: Any, depth: int) -> Any:
    if _is_secret(name) and not _is_harmless(name, value):
        return REDACTED
    if depth == 0:
        return REDACTED
    match value:
        case str():
            return redact_text(value)
        case Mapping():
            return {key: _redact_value(str(key), v, depth - 1) for key, v in value.items()}
        case list() | tuple():
            return [_redact_value("", v, depth - 1) for v in value]
        case _:
            return value


def _redact_named(text: str) -> str:
    """Replace the values behind secret names; the value behind another name is looked at again."""
    done: list[str] = []
    at = 0
    while found := _NAME.search(text, at):
        done.append(text[at : found.end()])
        at = found.end()
        name, between = found.groups()
        if _is_secret(name) and not (between.isspace() and name[0] != "-"):
            value = _VALUE.match(text, at)
            if value and not _FLAG.match(value[0]) and not _is_harmless(name, _unquoted(value[0])):
                done.append(value[0].replace(_unquoted(value[0]), REDACTED))
                at = value.end()
    return "".join([*done, text[at:]])


def _unquoted(value: str) -> str:
    return value[1:-1] if value[0] in "\"'" and len(value) > 1 else value


def _redact_query(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    secret = _is_secret(name) or _SECRET_QUERY.search(_squashed(name))
    return f"{mark}{name}={REDACTED if secret and value else value}"


def _is_secret(name: str) -> bool:
    squashed = _squashed(name)
    return bool(_SECRET_NAME.search(squashed)) and not _HARMLESS_TOKEN.search(squashed)


def _is_harmless(name: str, value: Any) -> bool:
    """Nothing, a yes or no, or a count of tokens."""
    if value is None or isinstance(value, bool) or value == "":
        return True
    is_token = _squashed(name).endswith("token")
    return is_token and re.fullmatch(r"[\d.]{1,7}", str(value)) is not None


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
