"""The data that a call brings with it, kept until the task has ended."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from attrs import asdict, frozen

from omega.domain.features import Features
from omega.domain.segments import Segments
from omega.domain.tasks.task import Inputs, JSONObject
from omega.ports.frames import Segment


@frozen
class InputStore:
    """Inputs as JSON: references as they are, values as where they were put."""

    segments: Segments

    def put(self, inputs: Inputs) -> JSONObject:
        """Store the values among the inputs.

        Raises: StoreFull, StoreUnavailable; what was stored until then is removed again.
        """
        kept: dict[str, Any] = {}
        try:
            for name, value in inputs.items():
                kept[name] = self._put(value) if isinstance(value, Features) else value
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
                self.segments.remove(segment["id"] for segment in value["segments"])
                if isinstance(value["schema"], Mapping):
                    self.segments.payloads.remove([value["schema"]["id"]])

    def _put(self, value: Features) -> dict[str, Any]:
        segments: list[Segment] = []
        try:
            segments.extend(self.segments.write(value.table))
            schema = self.segments.store_schema(value.table.schema)
        except BaseException:
            self.segments.remove(segment.id for segment in segments)
            raise
        return {
            "schema": schema,
            "segments": [asdict(segment) for segment in segments],
            "source": value.source,
            "named": value.named,
        }

    def _get(self, name: str, kept: Mapping[str, Any]) -> Features:
        table = pa.concat_tables(self.segments.read(kept, of=f"the data given as {name}"))
        return Features(table, kept["source"], named=kept["named"])
