"""The grace: how long what nobody needs any more stays all the same.

Who writes a file, or reads an old version on another host, is known to nobody until he is done:
what he needs must not go meanwhile.
"""

from datetime import timedelta

from backstory.lake.errors import RefusedError

MIN_GRACE = timedelta(days=1)


def check_grace(grace: timedelta) -> None:
    """Refuse a grace that is too short.

    Raises:
        RefusedError: it is.
    """
    if grace < MIN_GRACE:
        raise RefusedError(
            f"a grace of {grace} is too short: who writes or reads may take longer",
            hint=f"give at least {MIN_GRACE.days} day",
        )
