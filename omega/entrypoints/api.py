"""The Python face, and the verbs that HTTP and the command line call.

    import omega as om

    om.datasets.put(frame, "sample")
    om.models.create("mymodel", [["LinearRegression", {}]])
    om.runtime.model("mymodel").fit("sample[x]", "sample[y]")
    om.runtime.model("mymodel").predict("sample[x]")

`om.datasets`, `om.models` and `om.runtime` are those of `om.Omega()`, made from the settings at first use;
`om["bucket"]` is the same in another bucket. All errors are `omega.OmegaError`s: `NotFound`, `BadInput`,
`Conflict` and so on.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import field, frozen

from omega.domain.access import Access
from omega.domain.errors import BadInput
from omega.domain.metadata import ALWAYS, Metadata, Precondition
from omega.domain.names import DATASET, JOB, MODEL, SCRIPT
from omega.entrypoints import settings as settings_module
from omega.entrypoints.bootstrap import connect
from omega.entrypoints.objects import Objects, reference
from omega.entrypoints.services import Services
from omega.entrypoints.settings import Settings
from omega.ports.meter import Figures

if TYPE_CHECKING:
    from omega.domain.datasets import DatasetService, Query, Reading
    from omega.domain.keys import Callers, KeyService
    from omega.domain.models import ModelService
    from omega.entrypoints.jobs import Jobs
    from omega.entrypoints.runtime import Runtime
    from omega.entrypoints.scripts import Scripts

_CHUNK_BYTES = 1 << 20


class Omega:
    """Datasets, models, jobs, scripts and the runtime of one bucket of a store.

    `store` is a URL: `file:///directory`, or `memory://` for tests; `queue` is one too: a fit goes through it
    to a worker if it is given, and is done here if it is `memory://`, or not given. The defaults come from
    the settings (see `omega.entrypoints.settings`).
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        queue: str | None = None,
        bucket: str | None = None,
        home: str | Path | None = None,
        settings: Settings | None = None,
        services: Services | None = None,
    ) -> None:
        if services is None:
            settings = settings or settings_module.load(store=store, queue=queue, home=home)
            services = connect(settings, bucket=bucket or settings.bucket)
        self._services = services
        self.bucket = self._services.bucket

    @cached_property
    def datasets(self) -> "Datasets":
        """The datasets of the bucket."""
        return Datasets(self._services.shelf, DATASET, self._services)

    @cached_property
    def models(self) -> "Models":
        """The models of the bucket."""
        return Models(self._services.models, MODEL, self._services.models)

    @cached_property
    def jobs(self) -> "Jobs":
        """The jobs of the bucket."""
        from omega.entrypoints.jobs import Jobs

        return Jobs(self._services.jobs, JOB, self._services.jobs, self._services)

    @cached_property
    def scripts(self) -> "Scripts":
        """The scripts of the bucket."""
        from omega.entrypoints.scripts import Scripts

        return Scripts(self._services.scripts, SCRIPT, self._services.scripts, self._services)

    @cached_property
    def runtime(self) -> "Runtime":
        """Models at work, and tasks."""
        from omega.entrypoints.runtime import Runtime

        return Runtime(self._services)

    @property
    def keys(self) -> "KeyService":
        """The keys by which callers of the REST API are known."""
        return self._services.keys

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._services.settings

    @property
    def figures(self) -> Figures | None:
        """What is counted, if somebody counts."""
        return self._services.figures

    def callers(self, rules: Sequence[str] | None = None) -> "Callers":
        """Those who call a server with these access rules.

        Raises: BadInput for rules that cannot be used.
        """
        return self._services.callers(rules)

    def __getitem__(self, bucket: str) -> "Omega":
        return Omega(services=self._services.within(bucket))

    def as_(self, access: Access, *, bucket: str | None = None) -> "Omega":
        """The same with these rights, in another bucket if one is given. Python itself has the rights of the
        store's owner: all.
        """
        return Omega(services=self._services.as_(access, self.bucket if bucket is None else bucket))

    def __enter__(self) -> "Omega":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Omega(bucket={self.bucket!r})"

    def close(self) -> None:
        """Let go of the store. What was stored stays."""
        self._services.close()


@frozen
class Datasets(Objects):
    """Put, get, list and drop datasets. A name may carry a version and columns: `sample@3`, `sample^`,
    `sample[x,y]`.
    """

    _services: Services = field(alias="services", repr=False)

    def put(
        self,
        value: Any,
        name: str,
        *,
        append: bool = True,
        precondition: Precondition = ALWAYS,
        idempotency_key: str | None = None,
    ) -> Metadata:
        """Store a DataFrame, Series, Arrow table, dict, list, numpy array, bytes, or the content of a `Path`
        or binary file.

        A frame is appended to the frame that is there unless `append` is false. Every other kind takes the
        place of what was there; that of a frame only if `append` is false. Every put makes a new version.

        Raises: BadInput, Conflict, PreconditionFailed; nothing has changed then.
        """
        from omega.domain import contents

        content = (
            contents.Bytes(_chunks(value))
            if isinstance(value, Path) or hasattr(value, "read")
            else contents.encode(value)
        )
        return self._service.put(
            name, content, append=append, precondition=precondition, idempotency_key=idempotency_key
        )

    def get(
        self,
        name: str,
        *,
        columns: str | Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int | None = None,
        version: int | None = None,
    ) -> Any:
        """What was put, equal in value, type, dtypes, index and column order; of frames the part that is
        asked for.

        `where` maps `column` or `column__op` (`eq ne lt lte gt gte in between contains startswith endswith
        isnull`) to a value.

        Raises: NotFound, BadInput, Corrupt.
        """
        from omega.domain import contents
        from omega.domain.datasets import Query

        if not isinstance(where, Mapping | None):
            raise BadInput('where is a mapping of column or column__op to a value, such as {"x__gt": 1}')
        if columns is not None and not isinstance(columns, str):
            columns = [str(column) for column in columns]
        query = Query(columns=columns, where=where or {}, sort=sort, offset=offset, limit=limit)
        reading = self.open(name, query, version=version)
        if reading.metadata.kind in contents.FRAMES:
            return contents.decode_frame(reading.metadata.kind, reading.tables)
        return contents.decode_bytes(reading.metadata.kind, reading.chunks)

    def open(self, name: str, query: "Query | None" = None, *, version: int | None = None) -> "Reading":
        """Begin to read a dataset as Arrow tables or chunks of bytes, with bounded memory.

        Raises: NotFound, BadInput; Corrupt while reading.
        """
        from omega.domain.datasets import EVERYTHING

        return self._service.open(reference(name, DATASET, version), query or EVERYTHING)

    @property
    def _service(self) -> "DatasetService":
        return self._services.datasets


@frozen
class Models(Objects):
    """Create, put, get, list and drop models. A name may carry a version: `mymodel@3`, `mymodel^`."""

    _service: "ModelService" = field(alias="service", repr=False)

    def create(self, name: str, pipeline: Sequence[Any], *, replace: bool = False) -> Metadata:
        """Store an unfitted model made from a pipeline spec: a list of `[class name, params]` or `[step name,
        class name, params]`.

        Raises: BadInput, AlreadyExists.
        """
        return self._service.create(name, pipeline, replace=replace)

    def put(self, model: Any, name: str, *, replace: bool = True) -> Metadata:
        """Store a scikit-learn estimator, fitted or not, as the next version of `name`.

        Raises: BadInput, AlreadyExists.
        """
        return self._service.put(name, model, replace=replace)

    def get(self, name: str, *, version: int | None = None) -> Any:
        """The scikit-learn estimator.

        Raises: NotFound, Corrupt.
        """
        return self._service.get(reference(name, MODEL, version))


def _chunks(source: Path | BinaryIO) -> Iterator[bytes]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield from _chunks(file)
        return
    while chunk := source.read(_CHUNK_BYTES):
        if not isinstance(chunk, bytes):
            raise BadInput("the file is open as text: open it in binary mode, or give its Path")
        yield chunk
