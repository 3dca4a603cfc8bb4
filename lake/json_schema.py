"""The columns that a JSON Schema (draft 2020-12) of an object describes.

Keeps true: a value that the schema allows is one that the column takes, as far as types go; what no
column can be is refused, with its place in the schema. Rules on values (minimum, pattern …) are not
taken; the formats `date-time` and `date` are.

>>> schema = {"type": "object", "properties": {"stars": {"type": "integer"}}}
>>> [(column.name, str(column.type)) for column, _ in fields_of_json_schema(schema)]
[('stars', 'int64')]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from backstory.lake.columns import Column
from backstory.lake.errors import InvalidError
from backstory.lake.seen_types import common, type_of_value
from backstory.lake.types import MAX_NESTING, TIMESTAMP, canonical

_PLAIN = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_FORMATS = {"date-time": TIMESTAMP, "date": pa.date32()}
_CHOICES = ("anyOf", "oneOf", "allOf")


def fields_of_json_schema(document: Mapping[str, Any]) -> Iterator[tuple[Column, list[str]]]:
    """Each column, with what was guessed of it.

    Raises:
        InvalidError: the schema describes no object, or something that no column can be.
    """
    root = _Place(document, document, "$", MAX_NESTING).resolved()
    if _words(root.schema) - {"null"} != {"object"} or not root.parts():
        raise InvalidError(
            "JSON Schema: it describes no object with properties",
            hint="give the schema of one row, with type: object",
        )
    required = root.schema.get("required", [])
    for name, part in root.parts().items():
        type_, nullable = part.type()
        description = part.resolved().schema.get("description", "")
        column = Column(
            name=name,
            type=canonical(type_),
            nullable=nullable or not isinstance(required, list) or name not in required,
            description=description if isinstance(description, str) else "",
        )
        yield column, []


@dataclass(frozen=True, slots=True)
class _Place:
    """A schema inside of the whole, and where it stands."""

    whole: Mapping[str, Any]
    schema: Any
    where: str
    levels: int

    def resolved(self) -> "_Place":
        """The same, behind its references within the document."""
        if self.levels <= 0:
            raise self.error("is nested too deep, or refers to itself")
        if not isinstance(self.schema, dict):
            raise self.error("is no schema that says a type")
        if "$ref" not in self.schema:
            return self
        found: Any = self.whole
        ref = self.schema["$ref"]
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise self.error(f"refers to {ref!r}, which is not in this document")
        for step in ref[2:].split("/"):
            found = found.get(_unescaped(step)) if isinstance(found, dict) else None
        return _Place(self.whole, found, self.where, self.levels - 1).resolved()

    def below(self, schema: Any, step: str) -> "_Place":
        """A schema inside of this one."""
        return _Place(self.whole, schema, f"{self.where}.{step}", self.levels - 1)

    def parts(self) -> dict[str, "_Place"]:
        """The properties of an object."""
        properties = self.schema.get("properties", {})
        if not isinstance(properties, dict):
            raise self.error("has properties that are no mapping")
        return {name: self.below(part, name) for name, part in properties.items()}

    def type(self) -> tuple[pa.DataType, bool]:
        """The type of the values, and whether null is one of them."""
        found, null = self.any_type()
        if found == pa.null():
            raise self.error("says no type")
        return found, null

    def any_type(self) -> tuple[pa.DataType, bool]:
        """The same, where null alone is a type too."""
        here = self.resolved()
        schema = here.schema
        for word in _CHOICES:
            choices = schema.get(word)
            if isinstance(choices, list) and (word != "allOf" or len(choices) == 1):
                return here.together([here.below(one, word).any_type() for one in choices])
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if "type" not in schema and isinstance(values, list):
            return here.together([(_type_of_choice(value), value is None) for value in values])
        words = _words(schema)
        found = [(here.of_word(word), False) for word in sorted(words - {"null"})]
        return here.together(found, null="null" in words)

    def of_word(self, word: str) -> pa.DataType:
        """The type that one of JSON Schema's words stands for."""
        match word:
            case "string":
                if self.schema.get("contentEncoding") == "base64":
                    return pa.binary()
                return _FORMATS.get(str(self.schema.get("format")), pa.string())
            case "array" if isinstance(self.schema.get("items"), dict):
                return pa.list_(self.below(self.schema["items"], "[]").type()[0])
            case "object" if parts := self.parts():
                return pa.struct([(name, part.type()[0]) for name, part in parts.items()])
            case "object" if isinstance(more := self.schema.get("additionalProperties"), dict):
                return pa.map_(pa.string(), self.below(more, "*").type()[0])
        if word in _PLAIN:
            return _PLAIN[word]
        raise self.error(f"says type {word!r}, and not of what")

    def together(
        self, found: list[tuple[pa.DataType, bool]], *, null: bool = False
    ) -> tuple[pa.DataType, bool]:
        """The one type of several."""
        type_: pa.DataType | None = pa.null()
        for one, _ in found:
            type_ = common(type_, one) if type_ is not None else None
        if type_ is None:
            raise self.error("says several types that have none in common")
        return type_, null or any(is_null for _, is_null in found)

    def error(self, what: str) -> InvalidError:
        """What is wrong at this place."""
        return InvalidError(
            f"JSON Schema: {self.where} {what}",
            hint="say one type for each property, and what lists and objects are made of",
        )


def _words(schema: Mapping[str, Any]) -> set[str]:
    found = schema.get("type", "object" if "properties" in schema else [])
    return {str(word) for word in (found if isinstance(found, list) else [found])}


def _type_of_choice(value: Any) -> pa.DataType:
    return pa.string() if isinstance(value, str) else type_of_value(value)


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
