"""Models: made from a spec, fitted on datasets, asked for predictions.

Every fit makes a new version; the one before keeps serving until the new one is whole. What is loaded, and
what was learned about its input, must carry our signature for just this version (docs/adr/0020).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from attrs import asdict, evolve, field, frozen

from omega.domain import features
from omega.domain.access import LIST
from omega.domain.catalogue import Catalogue, Draft, Head, Raced, Version
from omega.domain.datasets import DatasetService
from omega.domain.errors import AlreadyExists, BadInput, Conflict, NotFound, OmegaError
from omega.domain.features import Features, Numbers, as_features, features_of
from omega.domain.loaded_models import LoadedModels
from omega.domain.metadata import ALWAYS, Listing, Metadata, Precondition
from omega.domain.names import DATASET, Reference, check_name
from omega.domain.payloads import Payloads
from omega.domain.questions import Answer, Question
from omega.domain.seals import sealed
from omega.domain.tasks.runs import NO_RUN, Run
from omega.ports.cache import Cache
from omega.ports.ids import Ids
from omega.ports.models import (
    InvalidModelInput,
    InvalidSpec,
    ModelCodec,
    ModelExecutor,
    UnsupportedAction,
)
from omega.ports.records import StoreFull
from omega.ports.signer import Signer

FIT: Final = ("fit", "partial_fit")
ASK: Final = ("predict", "predict_proba", "predict_log_proba", "transform", "score", "decision_function")
_ATTEMPTS: Final = 100
_STEPS: Final = 3
T = TypeVar("T")


@frozen
class ModelService:
    """Create, fit, ask, list and drop the models of one bucket. `x` and `y` are dataset references (text) or
    tabular values.
    """

    catalogue: Catalogue
    datasets: DatasetService
    payloads: Payloads
    ids: Ids
    codec: ModelCodec
    executor: ModelExecutor
    signer: Signer
    cache: Cache = field(repr=False)

    def create(self, name: str, spec: Sequence[Any], *, replace: bool = False) -> Metadata:
        """Store a new unfitted model made from a pipeline spec; with `replace`, as the next version of one
        that is there.

        Raises: BadInput naming the step and parameter at fault; AlreadyExists.
        """
        check_name(name, resource=self.catalogue.resource)
        allowed = self._allowed("create", name)
        return allowed._put(name, _translated(lambda: self.executor.create(spec)), replace)

    def put(self, name: str, model: Any, *, replace: bool = True) -> Metadata:
        """Store a model object, fitted or not, as the next version of `name`.

        Raises: BadInput for an object that is not a model; AlreadyExists.
        """
        check_name(name, resource=self.catalogue.resource)
        return self._allowed("create", name)._put(name, model, replace)

    def fit(
        self,
        name: str,
        x: Any,
        y: Any = None,
        *,
        action: str = "fit",
        classes: Sequence[Any] | None = None,
        precondition: Precondition = ALWAYS,
        run: Run = NO_RUN,
    ) -> Metadata:
        """Fit the model (`"fit"` anew, `"partial_fit"` further) and store the outcome as its next version.

        A `run` that has been here before, and came as far as its outcome, finds that and makes no other.

        Raises: NotFound; BadInput (data that does not fit, an action the model lacks); Conflict when the
        model was replaced meanwhile; PreconditionFailed; what `run.check` raises.
        """
        return self._allowed(action, name)._fit(name, x, y, action, classes, precondition, run)

    def ask(self, reference: Reference, x: Any, y: Any = None, *, action: str = "predict") -> Answer:
        """The answer of a fitted model: one of `ASK`; `score` alone takes `y`.

        Raises: NotFound, NotFitted, BadInput naming missing, extra and unfit columns, Corrupt.
        """
        return self.question(reference, x, y, action=action).put()

    def question(self, reference: Reference, x: Any, y: Any = None, *, action: str = "predict") -> Question:
        """What `ask` asks the model, without asking it.

        Raises: as `ask`.
        """
        if action not in ASK:
            raise BadInput(f"unknown action {action!r}: a model can be asked for {', '.join(ASK)}")
        if y is not None and action != "score":
            raise BadInput(f"datay is given, but {action} takes none")
        return self._allowed(action, reference.name)._question(reference, x, y, action)

    def get(self, reference: Reference) -> Any:
        """The model object itself, the caller's own to change.

        Raises: NotFound, Corrupt.
        """
        allowed = self._allowed("get", reference.name)
        version = allowed.catalogue.version(reference)
        return allowed._loaded.fresh(version)

    def metadata(self, reference: Reference, *, action: str = "metadata") -> Metadata:
        """What is said about a version of a model; attributes `fitted`, `features`, `classes`, `estimator`.
        `action` is what it is looked up for.

        Raises: NotFound.
        """
        return self.catalogue.allow(action, reference.name).version(reference).metadata

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Models by name, as `Catalogue.list`."""
        return self.catalogue.allow(LIST).list(pattern, offset=offset, limit=limit)

    def drop(self, name: str, *, precondition: Precondition = ALWAYS) -> None:
        """Remove a model with all its versions.

        Raises: NotFound, PreconditionFailed.
        """
        allowed = self.catalogue.allow("delete", name)
        self.payloads.remove({p["content"]["id"] for p in allowed.drop(name, precondition=precondition)})

    def _allowed(self, action: str, name: str) -> "ModelService":
        """The same, for one action on one model."""
        catalogue = self.catalogue.allow(action, name)
        return self if catalogue is self.catalogue else evolve(self, catalogue=catalogue)

    def _put(self, name: str, model: Any, replace: bool) -> Metadata:
        described = _translated(lambda: self.executor.describe(model))
        names = described["features"]
        attributes = {
            "fitted": described["fitted"],
            "features": names and [{"name": name, "dtype": None, "type": None} for name in names],
            "classes": described["classes"],
            "estimator": self._estimator(model),
        }
        payload: dict[str, Any] | None = None
        for _ in range(_ATTEMPTS):
            head = self.catalogue.peek(name)
            if head and not replace:
                self._discard(payload)
                raise AlreadyExists(f"model {name!r} exists already: use replace, or another name")
            payload = payload or self._store(model, definition=self.ids.new())
            with suppress(Raced):
                return self._commit(name, Draft(self.codec.kind, payload, attributes), base=head)
        raise self._contended(name, payload)

    def _fit(
        self,
        name: str,
        x: Any,
        y: Any,
        action: str,
        classes: Sequence[Any] | None,
        precondition: Precondition,
        run: Run,
    ) -> Metadata:
        head = self.catalogue.head(name)
        if (made := _made(self.catalogue, head, run)) is not None:
            return made
        # Before any work: a model that is not there or has moved on need not be fitted to be refused.
        self.catalogue.check(name, head, precondition)
        run.progress(0, _STEPS, "reading the data")
        x, y = self._features(x, "datax"), None if y is None else self._features(y, "datay")
        features.same_length(x, y)
        for _ in range(_ATTEMPTS):
            # Of the very head that the fit goes on from: what an earlier attempt commits later shows as
            # another.
            head = self.catalogue.head(name)
            if (made := _made(self.catalogue, head, run)) is not None:
                return made
            version = self.catalogue.version_of(head, Reference(name))
            run.progress(1, _STEPS, "fitting")
            draft = self._fitted(version, action, x, y, classes, run)
            run.progress(2, _STEPS, "storing the model")
            metadata = self._commit_fit(version, draft, action, precondition, run)
            if metadata is not None:
                return metadata
        raise self._contended(name, None)

    def _question(self, reference: Reference, x: Any, y: Any, action: str) -> Question:
        version, model = self._loaded.opened(reference)
        contract = version.metadata.attributes
        if isinstance(x, Numbers) and y is None and contract["fitted"] and x.are_in_order(contract):
            return Question(self.executor, version.metadata, version.tip, model, action, x)
        features_x, features_y = self._features(x, "datax"), None if y is None else self._features(y, "datay")
        features.same_length(features_x, features_y)
        table = features.fitted_order(features_x, contract) if contract["fitted"] else features_x.table
        target = None if features_y is None else features_y.table
        return Question(self.executor, version.metadata, version.tip, model, action, table, target)

    def _estimator(self, model: Any) -> dict[str, Any]:
        """Class, type, parameters and actions; some models have more or fewer actions once fitted."""
        learned = ("fitted", "features", "classes")
        return {name: value for name, value in self.executor.describe(model).items() if name not in learned}

    def _fitted(
        self,
        version: Version,
        action: str,
        x: Features,
        y: Features | None,
        classes: Sequence[Any] | None,
        run: Run,
    ) -> Draft:
        """The model of `version`, fitted (further), as the version to be."""
        if action not in FIT:
            raise BadInput(f"unknown action {action!r}: a model can be changed by {', '.join(FIT)}")
        model = self._loaded.shared(version)
        before = version.metadata.attributes
        further = action == "partial_fit" and before["fitted"] and before["features"] is not None
        table = features.fitted_order(x, before) if further else x.table
        contract = (
            {k: before[k] for k in ("features", "targets") if k in before}
            if further
            else features.learned(x, y)
        )
        target = None if y is None else y.table
        fitted = _translated(
            lambda: self.executor.fit(model, action=action, x=table, y=target, classes=classes)
        )
        known = {"fitted": True, **contract, "classes": _recordable(fitted.classes)}
        attributes = {**known, "estimator": self._estimator(fitted.model), **fitted.attributes}
        payload = self._store(fitted.model, definition=version.payload["definition"])
        if run.id is not None:
            payload["call"] = run.id
        return Draft(self.codec.kind, payload, attributes)

    def _commit_fit(
        self, version: Version, draft: Draft, action: str, precondition: Precondition, run: Run
    ) -> Metadata | None:
        """The outcome's metadata; `None` if it must be fitted again, because it went on from a version that
        is not the last any more.
        """
        name, tip = version.metadata.name, version.tip
        for _ in range(_ATTEMPTS):
            head = self.catalogue.peek(name)
            if head is None or head.uid != version.uid:
                self._discard(draft.payload)
                raise NotFound(f"model {name!r} was removed while it was being fitted")
            if head.tip != tip and (made := _made(self.catalogue, head, run)) is not None:
                self._discard(draft.payload)
                return made
            if head.tip != tip:
                if action == "partial_fit":
                    self._discard(draft.payload)
                    return None
                # A fit starts anew from the definition, so another fit in between does not matter; another
                # definition does.
                current = self.catalogue.version_of(head, Reference(name))
                if current.payload["definition"] != draft.payload["definition"]:
                    self._discard(draft.payload)
                    raise Conflict(f"model {name!r} was replaced while it was being fitted")
                tip = head.tip
            try:
                # After the head was read: whoever ends the run ends it first, and then touches the head.
                run.check()
            except BaseException:
                self._discard(draft.payload)
                raise
            with suppress(Raced):
                return self._commit(name, draft, base=head, precondition=precondition)
        raise self._contended(name, draft.payload)

    def _commit(
        self, name: str, draft: Draft, *, base: Head | None, precondition: Precondition = ALWAYS
    ) -> Metadata:
        number, at = base.version + 1 if base else 1, self.catalogue
        draft = sealed(self.signer, draft, resource=at.resource, bucket=at.bucket, name=name, number=number)
        try:
            return self.catalogue.commit(name, draft, base=base, precondition=precondition).metadata
        except (OmegaError, StoreFull, ValueError):
            # After any other error the commit may have happened: what is stored stays, at worst as an orphan.
            self._discard(draft.payload)
            raise

    def _features(self, value: Any, source: str) -> Features:
        if not isinstance(value, str):
            return as_features(value, source=source)
        return features_of(self.datasets.open(Reference.parse(value, resource=DATASET)), source=source)

    def _store(self, model: Any, *, definition: str) -> dict[str, Any]:
        content = _translated(lambda: self.codec.dump(model))
        payload = self.payloads.write([content])
        return {"content": asdict(payload), "definition": definition}

    @property
    def _loaded(self) -> LoadedModels:
        return LoadedModels(self.catalogue, self.payloads, self.codec, self.signer, self.cache)

    def _discard(self, payload: Any) -> None:
        if payload is not None:
            self.payloads.remove([payload["content"]["id"]])

    def _contended(self, name: str, payload: Any) -> Conflict:
        self._discard(payload)
        return Conflict(f"model {name!r} is being changed by too many others at once")


def fitted_by(catalogue: Catalogue, name: str, run: Run) -> Metadata | None:
    """The version of a model that a run has made which was cut off; `None` if it has made none, and then it
    never will: it would have to look at the model once more, and `run.check` would tell it that it is over.

    `run` is over already: its `check` fails for all who ask from now on.
    """
    catalogue.fence(name)
    head = catalogue.peek(name)
    return None if head is None else _made(catalogue, head, run)


def _made(catalogue: Catalogue, head: Head, run: Run) -> Metadata | None:
    """What this run has made at an earlier attempt."""
    if run.id is None or run.since is None:
        return None
    version = catalogue.made_by(head, run.id, since=run.since)
    return None if version is None else version.metadata


def _recordable(classes: Sequence[Any] | None) -> Sequence[Any] | None:
    """Class labels, if a record can hold them.

    Raises: BadInput for integers of more than 64 bits.
    """
    for label in classes or ():
        for one in label if isinstance(label, list) else [label]:
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                raise BadInput(f"class label {one} does not fit a signed integer of 64 bits")
    return classes


def _translated(call: Callable[[], T]) -> T:
    try:
        return call()
    except (InvalidSpec, InvalidModelInput, UnsupportedAction) as error:
        raise BadInput(str(error)) from error
