"""Why somebody keeps, releases or amends: a text that others can read, within a bound.

>>> check_reason("audit 2026-Q4", of="a pin", hint="say why")
"""

from backstory.lake.errors import InvalidError

MAX_REASON = 2000


def check_reason(text: str, *, of: str, hint: str) -> None:
    """Refuse to change anything without a reason that others can read.

    Args:
        text: the reason.
        of: what it is a reason of, in words.
        hint: what to say instead.

    Raises:
        InvalidError: there is none, or it is too long.
    """
    if not text.strip() or len(text) > MAX_REASON:
        raise InvalidError(f"{of}'s reason has 1 to {MAX_REASON} characters", hint=hint)
