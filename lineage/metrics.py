"""The metrics and parameters of a training, as they are recorded: finite numbers, no secrets.

>>> check_metrics({"ndcg": 1})
{'ndcg': 1.0}
>>> check_params({"depth": 4, "password": "hunter2"})
{'depth': 4, 'password': '***'}
"""

import math
from collections.abc import Mapping
from typing import Any

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.redaction import redact_mapping

MAX_PARAMS = 1000
MAX_METRICS = 1000

_HINT = "log a file with them as a part of the artifact"


def check_params(
    params: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters without their secrets, beside those that are there already.

    Raises:
        LimitExceededError: together they are too many.
    """
    logged = {**(before or {}), **redact_mapping(params)}
    if len(logged) > MAX_PARAMS:
        raise LimitExceededError(f"a run has at most {MAX_PARAMS} parameters", hint=_HINT)
    return logged


def check_metrics(
    metrics: Mapping[str, float], before: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Metrics as finite numbers, beside those that are there already.

    Raises:
        InvalidError: a value is no finite number.
        LimitExceededError: together they are too many.
    """
    given = {name: _finite(name, value) for name, value in metrics.items()}
    logged = {**(before or {}), **given}
    if len(logged) > MAX_METRICS:
        raise LimitExceededError(f"a run has at most {MAX_METRICS} metrics", hint=_HINT)
    return logged


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as exc:
        raise InvalidError(
            f"metric {name!r} is a {type(value).__name__}, not a number",
            hint="give an int or a float",
        ) from exc
    if not math.isfinite(number):
        raise InvalidError(
            f"metric {name!r} is {number}, not a finite number",
            hint="leave it out, or record why it could not be measured as a parameter",
        )
    return number
