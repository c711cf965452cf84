"""The data that a call brings with it, kept until the task has ended."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from omega.domain.tasks.task import Inputs, JSONObject

if TYPE_CHECKING:
    from omega.domain.features import Features
    from omega.domain.segments import Segments
    from omega.ports.frames import Segment


@frozen
class InputStore:
    """Inputs as JSON: references as they are, values as where they were put.

    `segments` is called when there are values: whoever only looks after tasks need not wait for pandas and
    Arrow.
    """

    segments: "Callable[[], Segments]"

    def put(self, inputs: Inputs) -> JSONObject:
        """Store the values among the inputs.

        Raises: StoreFull, StoreUnavailable; what was stored until then is removed again.
        """
        kept: dict[str, Any] = {}
        try:
            for name, value in inputs.items():
                kept[name] = value if value is None or isinstance(value, str) else self._put(value)
        except BaseException:
            self.remove(kept)
            raise
        return kept

    def get(self, kept: JSONObject) -> Inputs:
        """The inputs that were put.

        Raises: Corrupt.
        """
        return {
            name: self._get(name, value) if isinstance(value, Mapping) else value
            for name, value in kept.items()
        }

    def remove(self, kept: JSONObject) -> None:
        """Remove the values; references are left alone."""
        for value in kept.values():
            if isinstance(value, Mapping):
                segments = self.segments()
                segments.remove(segment["id"] for segment in value["segments"])
                if isinstance(value["schema"], Mapping):
                    segments.payloads.remove([value["schema"]["id"]])

    def _put(self, value: "Features") -> dict[str, Any]:
        store = self.segments()
        segments: list[Segment] = []
        try:
            segments.extend(store.write(value.table))
            schema = store.store_schema(value.table.schema)
        except BaseException:
            store.remove(segment.id for segment in segments)
            raise
        return {
            "schema": schema,
            "segments": [asdict(segment) for segment in segments],
            "source": value.source,
            "named": value.named,
        }

    def _get(self, name: str, kept: Mapping[str, Any]) -> "Features":
        import pyarrow as pa

        from omega.domain.features import Features

        table = pa.concat_tables(self.segments().read(kept, of=f"the data given as {name}"))
        return Features(table, kept["source"], named=kept["named"])
