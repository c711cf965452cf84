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
from typing import Any, BinaryIO, Protocol

import numpy as np
from attrs import field, frozen

from omega.domain import contents
from omega.domain.contents import FRAMES, Bytes
from omega.domain.datasets import DatasetService, Query, Reading
from omega.domain.errors import BadInput
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.models import Answer, ModelService
from omega.domain.names import DATASET, MODEL, Reference, version_number
from omega.entrypoints import settings as settings_module
from omega.entrypoints.bootstrap import Services, connect
from omega.entrypoints.settings import DEFAULT_BUCKET, Settings

_CHUNK_BYTES = 1 << 20


class Omega:
    """Datasets, models and the runtime of one bucket of a store.

    `store` is a URL: `file:///directory`, or `memory://` for tests; the default comes from the settings (see
    `omega.entrypoints.settings`).
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        bucket: str = DEFAULT_BUCKET,
        home: str | Path | None = None,
        settings: Settings | None = None,
        services: Services | None = None,
    ) -> None:
        self._services = services or connect(
            settings or settings_module.load(store=store, home=home), bucket=bucket
        )
        self.bucket = self._services.bucket
        self.datasets = Datasets(self._services.datasets, DATASET, self._services.datasets)

    @cached_property
    def models(self) -> "Models":
        """The models of the bucket."""
        return Models(self._services.models, MODEL, self._services.models)

    @cached_property
    def runtime(self) -> "Runtime":
        """Models at work."""
        return Runtime(self._services.models)

    def __getitem__(self, bucket: str) -> "Omega":
        return Omega(services=self._services.within(bucket))

    def __enter__(self) -> "Omega":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Omega(bucket={self.bucket!r})"

    def close(self) -> None:
        """Let go of the store. What was stored stays."""
        self._services.close()


class _Service(Protocol):
    """What the services of all resources have."""

    def metadata(self, reference: Reference) -> Metadata: ...
    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing: ...
    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None: ...


@frozen
class Objects:
    """What can be done with the objects of every resource."""

    _listed: _Service = field(alias="listed", repr=False)
    resource: str

    def metadata(self, name: str, *, version: int | None = None) -> Metadata:
        """Kind, version, times and what else is known about an object.

        Raises: NotFound.
        """
        return self._listed.metadata(_reference(name, self.resource, version))

    def list(self, pattern: str | None = None) -> list[str]:
        """All names that match a shell pattern, in order.

        Names that start with `.` or `_` are listed only by a pattern that does too.
        """
        names: list[str] = []
        while items := self._listed.list(pattern, offset=len(names), limit=1000).items:
            names += [item.name for item in items]
        return names

    def page(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """One page of the list, with metadata and the total."""
        return self._listed.list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove exactly this object, with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        self._listed.drop(name, precondition=precondition)


@frozen
class Datasets(Objects):
    """Put, get, list and drop datasets. A name may carry a version and columns: `sample@3`, `sample^`,
    `sample[x,y]`.
    """

    _service: DatasetService = field(alias="service", repr=False)

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
        content = (
            Bytes(_chunks(value))
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
        if not isinstance(where, Mapping | None):
            raise BadInput('where is a mapping of column or column__op to a value, such as {"x__gt": 1}')
        if columns is not None and not isinstance(columns, str):
            columns = [str(column) for column in columns]
        query = Query(columns=columns, where=where or {}, sort=sort, offset=offset, limit=limit)
        reading = self.open(name, query, version=version)
        if reading.metadata.kind in FRAMES:
            return contents.decode_frame(reading.metadata.kind, reading.tables)
        return contents.decode_bytes(reading.metadata.kind, reading.chunks)

    def open(self, name: str, query: Query | None = None, *, version: int | None = None) -> Reading:
        """Begin to read a dataset as Arrow tables or chunks of bytes, with bounded memory.

        Raises: NotFound, BadInput; Corrupt while reading.
        """
        return self._service.open(_reference(name, DATASET, version), query or Query())


@frozen
class Models(Objects):
    """Create, put, get, list and drop models. A name may carry a version: `mymodel@3`, `mymodel^`."""

    _service: ModelService = field(alias="service", repr=False)

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
        return self._service.get(_reference(name, MODEL, version))


@frozen
class Runtime:
    """Where models run."""

    _models: ModelService = field(alias="models", repr=False)

    def model(self, name: str) -> "RuntimeModel":
        """The model called `name`, to be fitted and asked."""
        return RuntimeModel(name, self._models)


@frozen
class RuntimeModel:
    """A model at work. `x` and `y` are dataset references (`"sample[x]"`) or DataFrame, Series, array or
    list, of shape (n_samples, n_features) and (n_samples,) or (n_samples, n_outputs).

    Raises, all methods: NotFound, NotFitted, BadInput, Corrupt.
    """

    name: str
    _service: ModelService = field(alias="service", repr=False)

    def fit(self, x: Any, y: Any = None, *, precondition: Precondition = ALWAYS) -> Metadata:
        """Fit anew and store the outcome as the next version."""
        return self.change("fit", x, y, precondition=precondition)

    def partial_fit(
        self,
        x: Any,
        y: Any = None,
        *,
        classes: Sequence[Any] | None = None,
        precondition: Precondition = ALWAYS,
    ) -> Metadata:
        """Fit further and store the outcome as the next version; `classes` are all labels, for a classifier's
        first time.
        """
        return self.change("partial_fit", x, y, classes=classes, precondition=precondition)

    def predict(self, x: Any) -> np.ndarray:
        """Predictions of shape (n_samples,) or (n_samples, n_outputs)."""
        return self.ask("predict", x).result  # type: ignore[return-value]

    def predict_proba(self, x: Any) -> np.ndarray:
        """Probabilities of shape (n_samples, n_classes), in the order of the metadata's `classes`."""
        return self.ask("predict_proba", x).result  # type: ignore[return-value]

    def predict_log_proba(self, x: Any) -> np.ndarray:
        """Logarithms of probabilities, of shape (n_samples, n_classes)."""
        return self.ask("predict_log_proba", x).result  # type: ignore[return-value]

    def decision_function(self, x: Any) -> np.ndarray:
        """Scores of shape (n_samples,) or (n_samples, n_classes)."""
        return self.ask("decision_function", x).result  # type: ignore[return-value]

    def transform(self, x: Any) -> np.ndarray:
        """Transformed samples of shape (n_samples, n_components)."""
        return self.ask("transform", x).result  # type: ignore[return-value]

    def score(self, x: Any, y: Any = None) -> float:
        """The estimator's own score: accuracy of classifiers, R2 of regressors."""
        return self.ask("score", x, y).result  # type: ignore[return-value]

    def change(self, action: str, x: Any, y: Any = None, **options: Any) -> Metadata:
        """`fit` or `partial_fit` by name."""
        if Reference.parse(self.name, resource=MODEL) != Reference(self.name):
            raise BadInput(
                f"cannot {action} {self.name!r}: only the current version of a model can be fitted"
            )
        return self._service.fit(self.name, x, y, action=action, **options)

    def ask(self, action: str, x: Any, y: Any = None) -> Answer:
        """Any other action by name, with the classes and the version that answered."""
        return self._service.ask(Reference.parse(self.name, resource=MODEL), x, y, action=action)


def _reference(text: str, resource: str, version: int | None) -> Reference:
    if not isinstance(text, str):
        raise BadInput(f"a {resource} is named by text, not by {type(text).__name__}")
    reference = Reference.parse(text, resource=resource)
    if version is None:
        return reference
    if reference.at is not None or reference.back:
        raise BadInput(f"{text!r} names a version already, and version={version} names another")
    return Reference(reference.name, at=version_number(str(version)), columns=reference.columns)


def _chunks(source: Path | BinaryIO) -> Iterator[bytes]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield from _chunks(file)
        return
    while chunk := source.read(_CHUNK_BYTES):
        if not isinstance(chunk, bytes):
            raise BadInput("the file is open as text: open it in binary mode, or give its Path")
        yield chunk
