"""How large Arrow arrays are once they are spelled out, whatever tricks keep them small."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omega.domain.errors import BadInput

_MAX_DEPTH: Final = 64


def check_type(kind: pa.DataType, *, of: str, depth: int = 0) -> None:
    """Nothing, if values of this type are bounded by the bytes they are stored in.

    Raises: BadInput for views of lists, run ends and types that are nested too deep; `of` is what errors call
    the column.
    """
    if depth > _MAX_DEPTH:
        raise BadInput(f"{of} is nested over {_MAX_DEPTH} deep")
    if isinstance(kind, pa.BaseExtensionType):
        return check_type(kind.storage_type, of=of, depth=depth + 1)
    if (
        pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
        or pa.types.is_run_end_encoded(kind)
        or pa.types.is_union(kind)
    ):
        raise BadInput(
            f"{of} is of Arrow type {str(kind)[:60]}, which is not read here: cast it to a plain type"
        )
    if pa.types.is_dictionary(kind):
        return check_type(kind.value_type, of=of, depth=depth + 1)
    for place in range(kind.num_fields):
        check_type(kind.field(place).type, of=of, depth=depth + 1)
    return None


def decoded_bytes(array: pa.Array) -> int:
    """The bytes that the values of a valid array take with views, dictionaries and children without
    buffers written out."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return decoded_bytes(array.storage)
    if pa.types.is_null(kind):
        return 8 * len(array)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return 16 * len(array) + int(_view_lengths(array).sum(dtype="i8"))
    if pa.types.is_dictionary(kind):
        return _dictionary_bytes(array)
    if pa.types.is_struct(kind):
        return len(array) + sum(decoded_bytes(array.field(place)) for place in range(kind.num_fields))
    if pa.types.is_nested(kind):
        return 8 * len(array) + sum(decoded_bytes(child) for child in _children(array))
    return int(array.nbytes)


def _view_lengths(array: pa.Array) -> np.ndarray[Any, Any]:
    """The lengths that the views claim, which stand first in their 16 bytes; those of nulls may be
    anything, so 0."""
    views = np.frombuffer(array.buffers()[1], dtype="i4").reshape(-1, 4)
    lengths = views[array.offset : array.offset + len(array), 0]
    return np.where(np.asarray(array.is_valid()), lengths, 0)


def _dictionary_bytes(array: pa.DictionaryArray) -> int:
    labels, indices = array.dictionary, array.indices
    kind = labels.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        lengths = pa.array(_view_lengths(labels).astype("i8"))
    elif _is_text(kind):
        lengths = pc.cast(pc.binary_length(labels), pa.int64())
    else:
        # Labels that have no length of their own: each as long as all together, unless they are of one width.
        each = decoded_bytes(labels) if pa.types.is_nested(kind) or pa.types.is_dictionary(kind) else 16
        return decoded_bytes(labels) + len(array) * each
    return decoded_bytes(labels) + 8 * len(array) + (pc.sum(lengths.take(indices)).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _children(array: pa.Array) -> list[pa.Array]:
    if pa.types.is_map(array.type):
        return [array.keys, array.items]
    return [array.values]
