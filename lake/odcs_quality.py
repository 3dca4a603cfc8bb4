"""The quality rules of the Open Data Contract Standard, and our expectations.

Keeps true: an expectation of ours is written so that it is read back as itself. The standard's own
metrics are used where they say the same; what only we can say is a rule of the engine `backstory`.

>>> rule = {"type": "library", "metric": "nullValues", "mustBe": 0}
>>> expectation_of(rule, "label").to_document()
{'column': 'label', 'not_null': True}
"""

from collections.abc import Mapping
from typing import Any

from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError
from backstory.lake.expectations import Check, Expectation, Severity

ENGINE = "backstory"


def quality_of(contract: Contract, column: str | None) -> list[dict[str, Any]]:
    """The rules of one column, or of whole rows, in the standard's words."""
    return [_rule(one) for one in contract.expectations if one.column == column]


def expectation_of(rule: object, column: str | None) -> Expectation | None:
    """What a rule expects; None where we cannot say it.

    Args:
        rule: one entry of `quality`.
        column: whose rule it is; None for one of the table.
    """
    told = _told(rule) if isinstance(rule, dict) else None
    if told is None or not isinstance(rule, dict):
        return None
    severity = rule.get("severity")
    known = {"severity": severity} if severity in list(Severity) else {}
    named = {"column": column} if column is not None else {}
    try:
        return Expectation.from_document(1, {**told, **named, **known})
    except InvalidError:
        return None


def _rule(one: Expectation) -> dict[str, Any]:
    document = one.to_document()
    value = document[one.check.value]
    severity = {"severity": one.severity.value} if one.severity is not Severity.REJECT else {}
    match one.check:
        case Check.NOT_NULL if value is True:
            said = _library("nullValues")
        case Check.UNIQUE if value is True:
            said = _library("duplicateValues")
        case Check.SET:
            said = _library("invalidValues", validValues=value)
        case Check.REGEX:
            said = _library("invalidValues", pattern=value)
        case _:
            implementation = {one.check.value: value}
            said = {"type": "custom", "engine": ENGINE, "implementation": implementation}
    return said | severity


def _library(metric: str, **arguments: Any) -> dict[str, Any]:
    said = {"type": "library", "metric": metric}
    return said | ({"arguments": arguments} if arguments else {}) | {"mustBe": 0}


def _told(rule: Mapping[str, Any]) -> dict[str, Any] | None:
    match rule:
        case {"type": "custom", "engine": "backstory", "implementation": dict(said)}:
            return dict(said)
        case {"type": "sql" | "text" | "custom"}:
            return None
        case {"metric": "nullValues", "mustBe": 0}:
            return {Check.NOT_NULL.value: True}
        case {"metric": "duplicateValues", "mustBe": 0} if not rule.get("arguments"):
            return {Check.UNIQUE.value: True}
        case {"metric": "invalidValues", "mustBe": 0, "arguments": dict(said)} if len(said) == 1:
            [(name, value)] = said.items()
            check = {"validValues": Check.SET, "pattern": Check.REGEX}.get(name)
            return {check.value: value} if check else None
    return None
