"""Contracts as Open Data Contract Standard documents (ODCS v3), in and out.

Keeps true: a contract that was written so is read back as the same contract; of a document that
others wrote, what is not taken is named, field by field, and no role or tag is guessed.

    name                                  slice             schema[0].description  description
    description.purpose                   purpose           version                version
    slaProperties: retention, in days     retention_days    customProperties       signals, and what
    schema[0].properties: physicalType or logicalType, required, description       is ours alone
        classification                    personal, where it is one of our tags
        customProperties: backstoryRole   role
        quality: nullValues, duplicateValues, invalidValues; ours as custom        expectations

>>> contract = Contract.from_yaml("{slice: s, purpose: p, columns: {n: {type: int64}}}")
>>> from_odcs(to_odcs(contract)).contract == contract
True
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from backstory.lake.columns import Column, PersonalData
from backstory.lake.contract import MAX_CONTRACT_BYTES, Contract
from backstory.lake.documents import load_yaml
from backstory.lake.errors import InvalidError
from backstory.lake.location import check_name, folder_of
from backstory.lake.odcs_quality import expectation_of, quality_of
from backstory.lake.odcs_types import logical_type, type_of
from backstory.lake.types import type_text

API_VERSION = "v3.1.0"
KIND = "DataContract"

_OURS = "backstory"
_DAYS = {"d", "day", "days"}
_YEARS = {"y", "yr", "year", "years"}
_DAYS_OF_A_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class OdcsReading:
    """A contract that was read from a document of the standard.

    Attributes:
        contract: what we take of it.
        not_taken: the fields that we have no place for.
    """

    contract: Contract
    not_taken: tuple[str, ...]


def is_odcs(document: Mapping[str, Any]) -> bool:
    """Whether a document says that it is one of the standard, rather than of ours."""
    return "apiVersion" in document or document.get("kind") == KIND


def to_odcs(contract: Contract) -> str:
    """The document, as YAML."""
    return yaml.safe_dump(
        _document(contract), sort_keys=False, allow_unicode=True, width=MAX_CONTRACT_BYTES
    )


def _document(contract: Contract) -> dict[str, Any]:
    table: dict[str, Any] = {
        "name": contract.slice,
        "physicalName": folder_of(contract.slice),
        "physicalType": "table",
        "logicalType": "object",
    }
    if contract.description:
        table["description"] = contract.description
    table["properties"] = [_property(column, contract) for column in contract.columns]
    if rules := quality_of(contract, None):
        table["quality"] = rules
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "id": f"{_OURS}:{contract.slice}",
        "name": contract.slice,
        "version": str(contract.version),
        "status": "active",
        "description": {"purpose": contract.purpose},
        "schema": [table],
    }
    if contract.retention_days is not None:
        retention = {"property": "retention", "value": contract.retention_days, "unit": "d"}
        document["slaProperties"] = [retention]
    if own := _own(contract):
        document["customProperties"] = _customs(own)
    return document


def _own(contract: Contract) -> dict[str, Any]:
    """What the standard has no field for, by the names that contracts have for it."""
    head = contract.head()
    told = {"slice", "purpose", "version", "retention_days", "description", "expectations"}
    return {name: value for name, value in head.items() if name not in told}


def _property(column: Column, contract: Contract) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "logicalType": logical_type(column.type),
        "physicalType": type_text(column.type),
        "required": not column.nullable,
    }
    if column.description:
        found["description"] = column.description
    if column.personal is not PersonalData.NONE:
        found["classification"] = column.personal.value
    if column.role is not None:
        found["customProperties"] = _customs({"role": column.role.value})
    if rules := quality_of(contract, column.name):
        found["quality"] = rules
    return found


def _customs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": _custom_name(name), "value": value} for name, value in values.items()]


def _custom_name(name: str) -> str:
    return _OURS + "".join(word.capitalize() for word in name.split("_"))


def from_odcs(text: str) -> OdcsReading:
    """Read a document of the standard.

    Raises:
        InvalidError: it is none, or says no contract that we could keep.
        LimitExceededError: it is beyond a bound.
    """
    return read_odcs(load_yaml(text, "data contract"))


def read_odcs(document: Mapping[str, Any]) -> OdcsReading:
    """Read a document of the standard that is parsed already; see `from_odcs`."""
    reader = _Reader()
    contract = reader.contract(document)
    return OdcsReading(contract=contract, not_taken=tuple(reader.not_taken))


_SILENT = {"apiVersion", "kind", "id", "status", "contractCreatedTs"}
_TABLE = {
    "logicalType",
    "name",
    "properties",
    "description",
    "quality",
    "physicalName",
    "physicalType",
    "id",
}
_TYPE = {"logicalType", "physicalType", "items", "properties", "map", "id"}
_COLUMN = {"name", "required", "description", "classification", "customProperties", "quality"}


@dataclass(slots=True)
class _Reader:
    """Reads one document, and notes what it does not take."""

    not_taken: list[str] = field(default_factory=list)

    def contract(self, document: Mapping[str, Any]) -> Contract:
        standard = str(document.get("apiVersion", ""))
        if document.get("kind") != KIND or not standard.startswith("v3."):
            raise InvalidError(
                f"data contract: kind {document.get('kind')!r} of apiVersion {standard!r} is not "
                "taken",
                hint=f"write kind: {KIND} and apiVersion: {API_VERSION}",
            )
        table = self._table(document)
        name = document.get("name", table.get("name"))
        description = _mapping(document.get("description", {}), "description")
        if not isinstance(purpose := description.get("purpose"), str):
            raise InvalidError(
                "data contract: description.purpose is missing",
                hint="say in one line why this feedback is kept",
            )
        own = self._customs(document, "", set(_OWN_FIELDS))
        self._rest(description, "description.", {"purpose"})
        self._rest(document, "", _SILENT | _TOP)
        version = str(document.get("version", ""))
        said = {
            "slice": check_name(str(name)),
            "purpose": purpose,
            "version": int(version) if version.isdecimal() else None,
            "retention_days": self._retention(document),
            "description": table.get("description"),
            "columns": list(self._columns(table)),
            "expectations": list(self._expectations(table)),
        }
        return Contract.from_document(own | {k: v for k, v in said.items() if v is not None})

    def _table(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        tables = _list(document.get("schema"), "schema")
        if len(tables) != 1:
            raise InvalidError(
                f"data contract: its schema has {len(tables)} objects, a slice is one table",
                hint="keep one object, and make a contract for each of the others",
            )
        table = _mapping(tables[0], "schema[0]")
        if table.get("logicalType", "object") != "object":
            raise InvalidError("data contract: schema[0] is no object", hint="describe one table")
        self._rest(table, "schema[0].", _TABLE)
        return table

    def _columns(self, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for place, given in enumerate(_list(table.get("properties"), "schema[0].properties")):
            where = f"schema[0].properties[{place}]"
            said = _mapping(given, where)
            if not isinstance(name := said.get("name"), str):
                raise InvalidError(f"data contract: {where} has no name", hint="name each property")
            own = self._customs(said, f"{name}.", {"role"})
            self._rest(said, f"{name}.", _COLUMN | _TYPE)
            column = {
                "type": type_text(type_of(said, name)),
                "personal": self._personal(said, name),
                "nullable": said.get("required") is not True,
                "description": said.get("description"),
            }
            yield {"name": name, **own, **{k: v for k, v in column.items() if v is not None}}

    def _personal(self, said: Mapping[str, Any], name: str) -> str | None:
        """Only our own tags are taken; what others mean by a class is for people to say."""
        word = said.get("classification")
        if word is None or (isinstance(word, str) and word in set(PersonalData)):
            return word
        self.not_taken.append(f"{name}.classification: {str(word)[:40]}")
        return None

    def _expectations(self, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        columns = [(given.get("name"), given) for given in table["properties"]]
        for column, element in [*columns, (None, table)]:
            for place, rule in enumerate(_list(element.get("quality", []), "quality")):
                found = expectation_of(rule, column)
                if found is None:
                    self.not_taken.append(f"{column or 'schema[0]'}.quality[{place}]")
                else:
                    yield found.to_document()

    def _retention(self, document: Mapping[str, Any]) -> int | None:
        days = None
        for place, given in enumerate(_list(document.get("slaProperties", []), "slaProperties")):
            said = _mapping(given, f"slaProperties[{place}]")
            value, unit = said.get("value"), str(said.get("unit", "d")).lower()
            is_retention = said.get("property") in {"retention", "re"} and unit in _DAYS | _YEARS
            if is_retention and isinstance(value, int) and not isinstance(value, bool):
                days = value * (_DAYS_OF_A_YEAR if unit in _YEARS else 1)
            else:
                self.not_taken.append(f"slaProperties[{place}]: {str(said.get('property'))[:40]}")
        return days

    def _customs(self, element: Mapping[str, Any], where: str, known: set[str]) -> dict[str, Any]:
        """Our own among the custom properties, by the names that contracts have for them."""
        names = {_custom_name(name): name for name in known}
        found = {}
        for given in _list(element.get("customProperties", []), f"{where}customProperties"):
            said = _mapping(given, f"{where}customProperties")
            if (name := said.get("property")) in names:
                found[names[name]] = said.get("value")
            else:
                self.not_taken.append(f"{where}customProperties: {str(name)[:40]}")
        return found

    def _rest(self, element: Mapping[str, Any], where: str, known: set[str]) -> None:
        self.not_taken += [f"{where}{name}" for name in element if name not in known]


_OWN_FIELDS = ("signals", "max_rejected_share", "duplicate_window")
_TOP = {"name", "version", "description", "schema", "slaProperties", "customProperties"}


def _mapping(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise InvalidError(f"data contract: {where} is no mapping", hint="see the standard, v3")
    return found


def _list(found: object, where: str) -> list[Any]:
    if not isinstance(found, list):
        raise InvalidError(f"data contract: {where} is no list", hint="see the standard, v3")
    return found
