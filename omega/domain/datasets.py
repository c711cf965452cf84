"""Datasets: what users put and get under a name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import pyarrow as pa
from attrs import evolve, field, frozen

from omega.domain import tabular
from omega.domain.catalogue import Version
from omega.domain.contents import FRAMES, Bytes, Frame
from omega.domain.dataset_shelf import DatasetShelf
from omega.domain.errors import BadInput, Corrupt, NotFound
from omega.domain.metadata import ALWAYS, Metadata, Precondition
from omega.domain.names import Reference, check_name
from omega.domain.payloads import Payload, Payloads
from omega.domain.pointers import payload_ids
from omega.domain.puts import Put, hashed_key
from omega.domain.segments import Segments

T = TypeVar("T")


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(pairs)


@frozen
class Query:
    """Which part of a frame is wanted: `columns` (selection text or names), rows for which the filters hold,
    sorted, a page of them.

    `filters` are (`column__op`, text) pairs as in a URL; `where` is the same for Python values.
    """

    columns: str | Sequence[str] | None = None
    filters: Sequence[tuple[str, str]] = field(default=(), converter=_pairs)
    where: Mapping[str, Any] = field(factory=dict)
    sort: str | None = None
    offset: int = 0
    limit: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out or moved."""
        return self == EVERYTHING


EVERYTHING = Query()


@frozen(eq=False)
class Reading:
    """A dataset that is being read: its metadata, and its content as Arrow tables (`tables`, with `schema`)
    or as bytes (`chunks`).

    Both are consumed once and are read from the store as they are consumed.
    """

    metadata: Metadata
    schema: pa.Schema | None = None
    tables: Iterator[pa.Table] = field(factory=lambda: iter(()))
    chunks: Iterator[bytes] = field(factory=lambda: iter(()))


@frozen
class DatasetService(DatasetShelf):
    """Put, read, list and drop the datasets of one bucket."""

    segments: Segments
    payloads: Payloads

    def put(
        self,
        name: str,
        content: Frame | Bytes,
        *,
        append: bool = True,
        precondition: Precondition = ALWAYS,
        idempotency_key: str | None = None,
    ) -> Metadata:
        """Store `content` as the next version of `name`: with `append`, after the rows of a frame that is
        there, otherwise in its place.

        Content that is not a frame has no rows to append to: it always takes the place of what was there.
        With an `idempotency_key` that this dataset remembers, nothing is written and the metadata of the
        version that it made is the answer.

        Raises: BadInput (illegal name; an append whose columns or types do not fit), Conflict (an append of
        another kind; an idempotency key used before for other content), PreconditionFailed. Nothing visible
        has changed then.
        """
        check_name(name, resource=self.catalogue.resource)
        key, allowed = hashed_key(idempotency_key), self.catalogue.allow("put", name)
        return Put(allowed, self.segments, self.payloads, name, content, append, precondition, key).run()

    def open(self, reference: Reference, query: Query = EVERYTHING) -> Reading:
        """Begin to read a version of a dataset.

        Raises: NotFound, BadInput (unknown column or operator, a query on what is not a frame); Corrupt, also
        while the content is consumed.
        """
        _check_page(query)
        allowed = self.catalogue.allow("get", reference.name)
        return evolve(self, catalogue=allowed)._open(reference, query)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a dataset with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        allowed = self.catalogue.allow("delete", name)
        ids = payload_ids(allowed.drop(name, precondition=precondition))
        self.payloads.remove(ids.contents)
        self.segments.remove(ids.segments)

    def _open(self, reference: Reference, query: Query) -> Reading:
        version = self.catalogue.version(reference)
        kind, of = version.metadata.kind, self._title(version)
        if kind not in FRAMES:
            if reference.columns is not None or not query.is_everything:
                raise BadInput(f"{of} is {kind}: only frames have columns and rows to select")
            payload = Payload(**version.payload["content"])
            chunks = self._guarded(version, lambda: self.payloads.read(payload, of=of))
            return Reading(version.metadata, chunks=chunks)
        return self._open_frame(version, reference, query)

    def _open_frame(self, version: Version, reference: Reference, query: Query) -> Reading:
        schema = self.segments.schema(version.payload, of=self._title(version))
        where = [
            *tabular.conditions(schema, query.filters),
            *tabular.conditions_python(schema, query.where),
        ]
        columns = _columns(schema, reference.columns, query.columns)
        index = tabular.index_fields(schema)
        if query.sort is None:
            tables = self._tables(
                version,
                columns=columns and [*columns, *index],
                where=where,
                offset=query.offset,
                limit=query.limit,
            )
        else:
            # Sorting needs every row that matches; only then is the page cut and the columns chosen.
            whole = tabular.sort(pa.concat_tables(self._tables(version, where=where)), query.sort)
            page = whole.slice(query.offset, query.limit)
            tables = iter([page.select([*columns, *index]) if columns else page])
        first = next(tables)
        return Reading(version.metadata, schema=first.schema, tables=chain([first], tables))

    def _tables(self, version: Version, **selection: Any) -> Iterator[pa.Table]:
        of = self._title(version)
        return self._guarded(version, lambda: self.segments.read(version.payload, of=of, **selection))

    def _guarded(self, version: Version, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """What `read` gives; what is missing because the dataset was dropped meanwhile is not found rather
        than damaged.
        """
        try:
            yield from read()
        except Corrupt as error:
            if self.catalogue.is_gone(version):
                raise NotFound(f"dataset {version.metadata.name!r} was removed while it was read") from error
            raise

    def _title(self, version: Version) -> str:
        return f"version {version.metadata.version} of dataset {version.metadata.name!r}"


def _columns(schema: pa.Schema, selector: str | None, wanted: str | Sequence[str] | None) -> list[str] | None:
    """The columns that both the reference and the query select, in the order of the query; `None` for all."""
    selected = None if selector is None else tabular.select(schema, selector)
    if wanted is None:
        return selected
    columns = tabular.select(schema, wanted) if isinstance(wanted, str) else _known(schema, wanted)
    if selected is not None and (outside := [c for c in columns if c not in selected]):
        raise BadInput(
            f"columns {', '.join(map(repr, outside))} are not among those selected by the name: [{selector}]"
        )
    return columns


def _known(schema: pa.Schema, wanted: Sequence[str]) -> list[str]:
    known = tabular.columns(schema)
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise BadInput("no column is left: the list of columns is empty")
    if unknown := [c for c in wanted if c not in known]:
        raise BadInput(
            f"unknown columns {', '.join(map(repr, unknown))}: the columns are {', '.join(known[:20])}"
        )
    return wanted


def _check_page(query: Query) -> None:
    for name, number in (("offset", query.offset), ("limit", query.limit)):
        if number is not None and number < 0:
            raise BadInput(f"{name} is {number}: it may not be negative")
