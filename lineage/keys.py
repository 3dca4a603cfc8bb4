"""The subject keys of a home: what turns a person into `keyid:HMAC`.

The key file is `keys/subject.json`, mode 0600. Whoever loses it can no longer match a person to
their feedback; whoever steals it can. The key id travels with every pseudonym, so that a key can be
replaced without touching what was written with the old one.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path

from backstory.lake.errors import IntegrityError, NotFoundError
from backstory.lake.files import make_folder, write_durably
from backstory.lake.location import translate_os_error
from backstory.lake.subjects import SubjectKey

KEY_FILE = "subject.json"
KEY_BYTES = 32


def create_key(folder: Path, token: Callable[[int], bytes] = secrets.token_bytes) -> SubjectKey:
    """Make the home's first subject key."""
    key = SubjectKey(key_id="k1", secret=token(KEY_BYTES))
    path = folder / KEY_FILE
    try:
        make_folder(folder, mode=0o700)
    except OSError as exc:
        raise translate_os_error(exc, f"cannot write {path}") from exc
    write_durably(path, key_text(key).encode())
    return key


def load_key(folder: Path) -> SubjectKey:
    """Read the key that new pseudonyms are made with.

    Raises:
        NotFoundError: the key file is gone.
        IntegrityError: the key file does not parse.
    """
    return load_keys(folder)[0]


def load_keys(folder: Path) -> list[SubjectKey]:
    """Read all keys of a home, that of new pseudonyms first; older ones match what they hid.

    Raises:
        NotFoundError: the key file is gone.
        IntegrityError: the key file does not parse.
    """
    path = folder / KEY_FILE
    try:
        body = json.loads(path.read_text())
        current, secret_of = body["current"], body["keys"]
        ids = [current, *sorted(secret_of.keys() - {current})]
        return [SubjectKey(key_id=key, secret=bytes.fromhex(secret_of[key])) for key in ids]
    except FileNotFoundError as exc:
        raise NotFoundError(
            f"{path}: the subject key is missing",
            hint="restore it from a backup; without it no person can be matched to feedback",
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"cannot read {path}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IntegrityError(
            f"{path}: the subject key does not parse", hint="restore it from a backup"
        ) from exc


def key_text(key: SubjectKey) -> str:
    """The text of the key file, to the byte."""
    body = {"v": 1, "current": key.key_id, "keys": {key.key_id: key.secret.hex()}}
    return json.dumps(body) + "\n"


def key_check(key: SubjectKey) -> str:
    """What proves that a key is the one that a home began with, without telling the key."""
    return hmac.digest(key.secret, b"backstory key check v1", "sha256").hex()
