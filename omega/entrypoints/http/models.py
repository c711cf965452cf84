"""The resource `model`."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import frozen

from omega.domain.errors import BadInput, Forbidden, NotFound
from omega.domain.metadata import Metadata
from omega.domain.models import ASK, FIT
from omega.domain.names import MODEL
from omega.domain.questions import Answer, Question
from omega.entrypoints import formats
from omega.entrypoints.actions.models import model_answer
from omega.entrypoints.api import Models, Omega
from omega.entrypoints.http import calls, fields
from omega.entrypoints.http.bodies import parse_json_object
from omega.entrypoints.http.documented import models as documented
from omega.entrypoints.http.errors import MethodNotAllowed
from omega.entrypoints.http.routing import Handler, Request, Response, Route
from omega.entrypoints.http.wsgi_call import CAN_JOIN, JOIN
from omega.entrypoints.limits import Limits
from omega.entrypoints.runtime import RuntimeModel, RuntimeTask
from omega.entrypoints.uris import resource_uri, stamp

_DATA: Final = frozenset({"datax", "datay"}) | calls.QUERY
_CREATE_FIELDS: Final = frozenset({"name", "pipeline", "replace"})
_INLINE_FIELDS: Final = formats.JSON_FRAME_FIELDS | _DATA
_STATUS: Final = {"GET": 200, "HEAD": 200, "PUT": 202, "POST": 201}


@frozen(eq=False)
class _Joining:
    """A question that can be put together with those of other requests; see `wsgi_call.Joining`."""

    question: Question
    inputs: Mapping[str, Any]

    @property
    def key(self) -> Hashable | None:
        return self.question.key

    def body(self, answer: Answer) -> bytes:
        return orjson.dumps(model_answer(answer, self.question.action, self.inputs))

    def bodies(self, joinings: Sequence["_Joining"]) -> list[bytes]:
        answers = self.question.put_all([joining.question for joining in joinings])
        return [joining.body(answer) for joining, answer in zip(joinings, answers, strict=True)]


@frozen
class ModelResource:
    """Models over HTTP."""

    omega: Omega
    limits: Limits

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        one = "/api/v1/model/<name:name>"
        return [
            Route(
                "GET",
                "/api/v1/model",
                self.list,
                query=fields.PAGE,
                summary="List models",
                doc=documented.LIST,
            ),
            Route("POST", "/api/v1/model", self.create, summary="Create a model", doc=documented.CREATE),
            Route(
                "GET",
                one,
                self.metadata,
                query=_DATA,
                summary="Metadata of a model; with datax, predict",
                doc=documented.READ,
            ),
            Route("DELETE", one, self.drop, summary="Delete a model", doc=documented.DROP),
            *(Route(method, one, self.no_action, filters=True, internal=True) for method in ("PUT", "POST")),
            *(
                Route(
                    "PUT",
                    f"{one}/{action}",
                    self._fit(action),
                    query=_DATA,
                    summary=f"{action} a model",
                    doc=documented.fit(action),
                )
                for action in FIT
            ),
            *(
                Route(
                    method,
                    f"{one}/{action}",
                    self._ask(action),
                    query=_DATA,
                    summary=f"Ask to {action}",
                    doc=documented.ask(action, method),
                )
                for action in ASK
                for method in ("GET", "PUT", "POST")
            ),
        ]

    def list(self, request: Request) -> Response:
        """One page of models."""
        page = fields.page_of(request)
        listing = self._models(request).page(page.pattern, offset=page.offset, limit=page.limit)
        objects = [
            {"model": _described(item), "resource_uri": resource_uri(MODEL, item.name)}
            for item in listing.items
        ]
        return Response(200, page.body(listing, objects, resource=MODEL))

    def create(self, request: Request) -> Response:
        """Make a model from a pipeline spec."""
        body = parse_json_object(request.body(), max_depth=self.limits.json_depth)
        fields.known_fields(body, _CREATE_FIELDS)
        name, pipeline = body.get("name"), body.get("pipeline")
        if not isinstance(name, str):
            raise BadInput("field 'name' must be the model's name")
        if not isinstance(pipeline, list):
            raise BadInput("field 'pipeline' must be a list of steps [class name, parameters]")
        replace = fields.flag(body, "replace", default=False)
        metadata = self._models(request).create(name, pipeline, replace=replace)
        described = _described(metadata)
        model = {key: described[key] for key in ("bucket", "created", "kind", "name")}
        location = ("Location", resource_uri(MODEL, name))
        return Response(201, {"model": model}, (location, fields.etag(metadata)))

    def metadata(self, request: Request) -> Response:
        """What a model is and what it learned; with `datax`, its predictions."""
        if request.query.get("datax") is not None:
            return self._predict(request)
        if without := sorted(request.query.keys() & (_DATA - {"datax"})):
            raise BadInput(f"query parameter {without[0]} is given without datax")
        name = request.path["name"]
        try:
            metadata = self._models(request).metadata(name)
        except (BadInput, NotFound):
            self._refuse_unknown_action(request, name)
            raise
        headers = (fields.etag(metadata),)
        if fields.unmodified(request, metadata):
            return Response(304, headers=headers)
        body = {"model": _described(metadata), "resource_uri": resource_uri(MODEL, metadata.name)}
        return Response(200, body, headers)

    def _predict(self, request: Request) -> Response:
        """The URL without an action: predictions. It may name a `datay` too, which is only looked up."""
        return self._asked(request, "predict", use_datay=False)

    def drop(self, request: Request) -> Response:
        """Remove a model."""
        name = request.path["name"]
        self._models(request).drop(name, precondition=fields.precondition(request))
        return Response(202, {"name": name, "deleted": True})

    def no_action(self, request: Request) -> Response:
        """A PUT or POST to a model itself, or to an action that there is not."""
        self._refuse_unknown_action(request, request.path["name"])
        raise MethodNotAllowed(
            f"{request.method} is for a model's actions: /api/v1/model/NAME/ACTION",
            allow="DELETE, GET, HEAD, OPTIONS",
        )

    def _fit(self, action: str) -> Handler:
        known = _INLINE_FIELDS | ({"classes"} if action == "partial_fit" else set())

        def submit(request: Request) -> RuntimeTask:
            body = self._body(request, known)
            x, y = self._data(request, body)
            classes = body.get("classes")
            if not isinstance(classes, list | None):
                raise BadInput("field 'classes' must be a list of labels")
            precondition, timeout_s = fields.precondition(request), calls.timeout_s(request)
            return self._model(request).submit(
                action, x, y, classes=classes, precondition=precondition, timeout_s=timeout_s
            )

        return lambda request: calls.carried_out(request, submit)

    def _ask(self, action: str) -> Handler:
        return lambda request: self._asked(request, action)

    def _asked(self, request: Request, action: str, *, use_datay: bool = True) -> Response:
        """What the model answers. Without `use_datay`, a `datay` is looked up and shown, no more."""

        def submit(request: Request) -> RuntimeTask:
            x, y = self._data(request, self._body(request, _INLINE_FIELDS))
            timeout_s = calls.timeout_s(request)
            return self._model(request).submit(action, x, y, use_datay=use_datay, timeout_s=timeout_s)

        if calls.is_async(request):
            return calls.carried_out(request, submit)
        calls.refuse_timeout(request)
        x, y = self._data(request, self._body(request, _INLINE_FIELDS), kept=False)
        if not use_datay and isinstance(y, str):
            fields.asked(request, self.omega).datasets.metadata(y)
        question = self._model(request).question(action, x, y if use_datay else None)
        joining = _Joining(question, {"datax": x, "datay": y})
        if self._can_join(request, joining):
            request.environ[JOIN] = joining
            return Response(_STATUS[request.method], headers=(calls.JSON,))
        return Response(_STATUS[request.method], joining.body(question.put()), (calls.JSON,))

    def _can_join(self, request: Request, joining: "_Joining") -> bool:
        can = self.omega.settings.batching == "on" and request.environ.get(CAN_JOIN)
        return bool(can) and request.method != "HEAD" and joining.key is not None

    def _data(self, request: Request, body: Mapping[str, Any], *, kept: bool = True) -> tuple[Any, Any]:
        """`datax` and `datay`: names of datasets from the query, or data from the body, in a form that can be
        `kept` or only in one that a model can be asked about.
        """
        frame = {name: value for name, value in body.items() if name in formats.JSON_FRAME_FIELDS}
        if frame and "datax" in body:
            raise BadInput("the body has both 'data' and 'datax': give one of them")
        if frame and "data" not in frame:
            raise BadInput(f"the body has {' and '.join(map(repr, sorted(frame)))}, but no 'data'")
        x = self._one(request, "datax", frame or body.get("datax"), kept)
        if x is None:
            raise BadInput(
                'datax is missing: give a dataset (?datax=NAME) or data in the body ({"data": ...})'
            )
        return x, self._one(request, "datay", body.get("datay"), kept)

    def _one(self, request: Request, which: str, inline: Any, kept: bool) -> Any:
        named = request.query.get(which)
        if inline is None:
            return named
        if named is not None:
            raise BadInput(f"{which} is given twice: in the query and in the body")
        if isinstance(inline, str):
            return inline
        body = inline if isinstance(inline, dict) and "data" in inline else {"data": inline}
        fields.known_fields(body, formats.JSON_FRAME_FIELDS)
        return formats.decode_json_features(body, source=which, limits=self.limits, kept=kept)

    def _body(self, request: Request, known: frozenset[str]) -> dict[str, Any]:
        body = parse_json_object(request.body(), max_depth=self.limits.json_depth, allow_empty=True)
        fields.known_fields(body, known)
        return body

    def _models(self, request: Request) -> Models:
        return fields.asked(request, self.omega).models

    def _model(self, request: Request) -> RuntimeModel:
        return fields.asked(request, self.omega).runtime.model(request.path["name"])

    def _refuse_unknown_action(self, request: Request, path: str) -> None:
        """Raise BadInput if `path` is an existing model and one more word, meant as an action."""
        name, _, word = path.rpartition("/")
        try:
            self._models(request).metadata(name)
        except (BadInput, NotFound, Forbidden):
            return
        raise BadInput(f"unknown action {word!r} of model {name!r}: there are {', '.join((*FIT, *ASK))}")


def _described(metadata: Metadata) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "kind": metadata.kind,
        "bucket": metadata.bucket,
        "created": stamp(metadata.created),
        "modified": stamp(metadata.modified),
        "version": metadata.version,
        **metadata.attributes,
    }
