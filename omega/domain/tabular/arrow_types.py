"""Arrow types as JSON and back, for those that keep their meaning through IPC and Parquet.

Left out: extension types, unions, views, run-end encoding and intervals of months.
"""

from typing import Any, Final

import pyarrow as pa

from omega.domain.tabular.zones import NotKeptError

_MAX_DEPTH: Final = 60
_FLAT: Final[dict[str, pa.DataType]] = {
    str(t): t
    for t in (
        *(pa.null(), pa.bool_(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64()),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    )
}
_DECIMALS: Final = {32: pa.decimal32, 64: pa.decimal64, 128: pa.decimal128, 256: pa.decimal256}
_LISTS: Final = {"list": pa.list_, "large_list": pa.large_list}


def type_to_json(kind: pa.DataType) -> Any:
    """`kind` as JSON: a name for a flat type, else a list that starts with the name of its family.

    Raises: NotKeptError for a type that is left out.
    """
    if (name := str(kind)) in _FLAT and _FLAT[name] == kind:
        return name
    if pa.types.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz]
    if pa.types.is_decimal(kind):
        return ["decimal", kind.bit_width, kind.precision, kind.scale]
    if pa.types.is_fixed_size_binary(kind) and not isinstance(kind, pa.BaseExtensionType):
        return ["fixed_size_binary", kind.byte_width]
    return _nested_to_json(kind)


def _nested_to_json(kind: pa.DataType) -> list[Any]:
    if isinstance(kind, pa.BaseExtensionType):
        raise NotKeptError(f"the Arrow extension type {str(kind)[:60]}")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        name = "list" if pa.types.is_list(kind) else "large_list"
        return [name, _field_to_json(kind.value_field)]
    if pa.types.is_fixed_size_list(kind):
        return ["fixed_size_list", kind.list_size, _field_to_json(kind.value_field)]
    if pa.types.is_struct(kind):
        return ["struct", *(_field_to_json(kind.field(i)) for i in range(kind.num_fields))]
    if pa.types.is_map(kind):
        return ["map", _field_to_json(kind.key_field), _field_to_json(kind.item_field), kind.keys_sorted]
    if pa.types.is_dictionary(kind):
        return ["dictionary", str(kind.index_type), type_to_json(kind.value_type), kind.ordered]
    raise NotKeptError(f"the Arrow type {str(kind)[:60]}")


def _field_to_json(field: pa.Field) -> list[Any]:
    return [field.name, type_to_json(field.type), field.nullable]


def type_from_json(document: Any, depth: int = 0) -> pa.DataType:
    """The type that `type_to_json` wrote.

    Raises: NotKeptError, or an ordinary error (`ValueError`, `TypeError`, `KeyError`,
    `pyarrow.ArrowException`).
    """
    if isinstance(document, str):
        return _FLAT[document]
    if not isinstance(document, list) or depth > _MAX_DEPTH:
        raise NotKeptError("an Arrow type is malformed")
    family, *rest = document
    if family == "timestamp":
        unit, zone = rest
        return pa.timestamp(unit, tz=zone)
    if family == "decimal":
        width, precision, scale = rest
        return _DECIMALS[width](precision, scale)
    if family == "fixed_size_binary":
        (width,) = rest
        return pa.binary(_size(width))
    return _nested_from_json(family, rest, depth)


def _nested_from_json(family: Any, rest: list[Any], depth: int) -> pa.DataType:
    if family in ("list", "large_list"):
        (item,) = rest
        return _LISTS[family](_field_from_json(item, depth))
    if family == "fixed_size_list":
        size, item = rest
        return pa.list_(_field_from_json(item, depth), _size(size))
    if family == "struct":
        return pa.struct([_field_from_json(item, depth) for item in rest])
    if family == "map":
        key, item, keys_sorted = rest
        return pa.map_(
            _field_from_json(key, depth), _field_from_json(item, depth), keys_sorted=bool(keys_sorted)
        )
    if family == "dictionary":
        index, value, ordered = rest
        return pa.dictionary(_FLAT[index], type_from_json(value, depth + 1), ordered=bool(ordered))
    raise NotKeptError("an Arrow type is unknown")


def _field_from_json(document: Any, depth: int) -> pa.Field:
    name, kind, nullable = document
    return pa.field(name, type_from_json(kind, depth + 1), nullable=bool(nullable))


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 2**31 - 1:
        raise NotKeptError("an Arrow type is malformed")
    return value
