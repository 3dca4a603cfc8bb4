"""Which types hold all values of which others.

Keeps true: `widens(found, wanted)` says yes only where a cast changes no value, or where Arrow's
safe cast refuses the values that it would change (times in nanoseconds).

    int8 < int16 < int32 < int64            float32 < float64
    decimal(p,s) < decimal(P,S)             where S >= s and P-S >= p-s
    string: large, view, dictionary         binary: large, view, fixed size
    list: large, fixed size                 timestamp: s, ms and ns in UTC
    null < every type

Parts of lists, maps and structs widen likewise; a struct's fields have the same names, in any
order.

>>> widens(pa.int8(), pa.int64()), widens(pa.int64(), pa.float64())
(True, False)
"""

import pyarrow as pa
from pyarrow import types as kind

from backstory.lake.types import is_any_list, is_utc

_WIDER = {
    pa.int16(): {pa.int8()},
    pa.int32(): {pa.int8(), pa.int16()},
    pa.int64(): {pa.int8(), pa.int16(), pa.int32()},
    pa.float64(): {pa.float32()},
    pa.string(): {pa.large_string(), pa.string_view()},
    pa.binary(): {pa.large_binary(), pa.binary_view()},
}


def widens(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether the wanted type holds every value of the found one."""
    if found == wanted or kind.is_null(found) or found in _WIDER.get(wanted, ()):
        return True
    if kind.is_dictionary(found):
        return widens(found.value_type, wanted)
    if wanted.num_fields:
        return _parts_widen(found, wanted)
    return _scalar_widens(found, wanted)


def _scalar_widens(found: pa.DataType, wanted: pa.DataType) -> bool:
    if kind.is_timestamp(wanted):
        return kind.is_timestamp(found) and is_utc(found.tz)
    if kind.is_binary(wanted):
        return bool(kind.is_fixed_size_binary(found))
    if kind.is_decimal(wanted) and kind.is_decimal(found):
        digits = wanted.precision - wanted.scale >= found.precision - found.scale
        return bool(wanted.scale >= found.scale and digits)
    return False


def _parts_widen(found: pa.DataType, wanted: pa.DataType) -> bool:
    if kind.is_list(wanted):
        return is_any_list(found) and widens(found.value_type, wanted.value_type)
    if kind.is_map(wanted):
        return (
            kind.is_map(found)
            and widens(found.key_type, wanted.key_type)
            and widens(found.item_type, wanted.item_type)
        )
    return kind.is_struct(found) and _fields_widen(found, wanted)


def _fields_widen(found: pa.StructType, wanted: pa.StructType) -> bool:
    types = {field.name: field.type for field in found}
    return (
        found.num_fields == wanted.num_fields
        and types.keys() == {field.name for field in wanted}
        and all(widens(types[field.name], field.type) for field in wanted)
    )
