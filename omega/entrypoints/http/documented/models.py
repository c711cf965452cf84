"""What the routes of models take and give."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented import common, frames
from omega.entrypoints.http.documented.common import ANYTHING, TEXT, VERSION, array, closed, nullable
from omega.entrypoints.http.operations import Answer, Content, Link, Operation, Parameter, Schema, ref

_TAG: Final = "model"
_URI: Final = {"type": "string", "pattern": "^/api/v1/model/"}
_CLASS: Final = {
    "type": "string",
    "minLength": 1,
    "format": "omega-estimator",
    "description": "A scikit-learn estimator, by name or path.",
}
_PARAMS: Final = {
    "type": ["object", "null"],
    "description": 'Its parameters. One that is an estimator is `{"class": ..., "params": {...}}`.',
}
_FEATURES: Final = nullable(
    array(closed({"name": TEXT, "dtype": nullable(TEXT), "type": nullable(TEXT)})),
)
_ITEM: Final = {
    "name": TEXT,
    "kind": TEXT,
    "bucket": TEXT,
    "created": common.STAMP,
    "modified": common.STAMP,
    "version": VERSION,
}
_STEP: Final = {
    "anyOf": [
        {
            "title": "[class name, parameters]",
            "type": "array",
            "prefixItems": [_CLASS, _PARAMS],
            "items": False,
            "minItems": 1,
            "maxItems": 2,
        },
        {
            "title": "[step name, class name, parameters]",
            "type": "array",
            "prefixItems": [TEXT, _CLASS, _PARAMS],
            "items": False,
            "minItems": 2,
            "maxItems": 3,
        },
    ]
}
#: The data of a call as a part of its body: a frame with its fields, its bare values, or a dataset's name.
_DATA: Final = {
    "anyOf": [
        {"title": "a frame", **closed(frames.FRAME), "required": ["data"]},
        ref("FrameData"),
        {"title": "a dataset", "type": "string", "minLength": 1, "format": "omega-dataset-selection"},
        {"type": "null"},
    ]
}
_ANSWER: Final = {
    "model": TEXT,
    "datax": nullable(TEXT),
    "datay": nullable(TEXT),
    "resource_uri": _URI,
    "version": VERSION,
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ModelItem": closed({"model": closed(_ITEM), "resource_uri": _URI}),
    "Model": closed(
        {
            "model": closed(
                {
                    **_ITEM,
                    "fitted": {"type": "boolean"},
                    "features": {**_FEATURES, "description": "The columns that it learned, in order."},
                    "targets": _FEATURES,
                    "classes": nullable(array(ANYTHING)),
                    "estimator": {
                        "type": "object",
                        "required": ["class", "type", "params", "actions"],
                        "properties": {
                            "class": TEXT,
                            "type": nullable(TEXT),
                            "params": ANYTHING,
                            "actions": array(TEXT),
                        },
                    },
                    "n_features_in": nullable(common.COUNT),
                    "n_outputs": nullable(common.COUNT),
                    "warnings": array(TEXT),
                },
                optional=("targets", "n_features_in", "n_outputs", "warnings"),
            ),
            "resource_uri": _URI,
        }
    ),
    "ModelCreate": closed(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 255, "format": "omega-model"},
            "pipeline": {**array(_STEP), "minItems": 1},
            "replace": {
                "type": "boolean",
                "default": False,
                "description": "Also where there is one already.",
            },
        },
        optional=("replace",),
    ),
    "ModelCreated": closed({"model": closed({n: _ITEM[n] for n in ("bucket", "created", "kind", "name")})}),
    "ModelAnswer": closed(
        {
            **_ANSWER,
            "result": {
                "description": (
                    "`ok` after a fit; a list for one output, nested lists for several; a number for score."
                )
            },
            "classes": {
                **nullable(array(ANYTHING)),
                "description": "The classes of the columns of `result`.",
            },
        },
        optional=("classes",),
    ),
    "ModelCall": {
        "description": "The data: `data` and its fields for datax alone, or `datax` and `datay`.",
        **closed({**frames.FRAME, "datax": _DATA, "datay": _DATA}),
        "required": [],
    },
    "ModelPartialFit": {
        "description": "The data, and all `classes` that are to come.",
        **closed({**frames.FRAME, "datax": _DATA, "datay": _DATA, "classes": nullable(array(ANYTHING))}),
        "required": [],
    },
}

_MODEL: Final[Mapping[str, Any]] = {
    "name": "mymodel",
    "kind": "sklearn.joblib",
    "bucket": "store",
    "created": "2026-11-24 21:34:29.957522",
    "modified": "2026-11-24 21:34:31.056750",
    "version": 2,
}
_FITTED: Final[Mapping[str, Any]] = {
    **_MODEL,
    "fitted": True,
    "features": [{"name": "x", "dtype": "int64", "type": "numeric"}],
    "targets": [{"name": "y", "dtype": "int64", "type": "numeric"}],
    "classes": None,
    "estimator": {
        "class": "LinearRegression",
        "type": "regressor",
        "params": {"fit_intercept": True},
        "actions": ["fit", "predict", "score"],
    },
    "n_features_in": 1,
    "n_outputs": 1,
    "warnings": [],
}
_LINEAR: Final[Mapping[str, Any]] = {"name": "mymodel", "pipeline": [["LinearRegression", {}]]}
_PIPELINE: Final[Mapping[str, Any]] = {
    "name": "votes",
    "pipeline": [
        ["StandardScaler", {}],
        [
            "vote",
            "VotingClassifier",
            {
                "estimators": [
                    ["lr", {"class": "LogisticRegression", "params": {"C": 0.5}}],
                    ["nb", {"class": "GaussianNB", "params": {}}],
                ]
            },
        ],
    ],
    "replace": True,
}


def _answered(action: str, result: Any, **more: Any) -> Mapping[str, Any]:
    datay = "sample[y]" if action in ("fit", "partial_fit", "score") else None
    about = {"model": "mymodel", "datax": "sample[x]", "datay": datay, "result": result}
    return {**about, "resource_uri": "/api/v1/model/mymodel/", "version": 2, **more}


_RESULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fit": _answered("fit", "ok"),
    "partial_fit": _answered("partial_fit", "ok"),
    "score": _answered("score", 1.0),
    "predict_proba": _answered("predict_proba", [[0.9, 0.1]], classes=["no", "yes"]),
    "predict_log_proba": _answered("predict_log_proba", [[-0.1, -2.3]], classes=["no", "yes"]),
    "decision_function": _answered("decision_function", [0.7, -1.2], classes=["no", "yes"]),
    "transform": _answered("transform", [[-1.0], [1.0]]),
    "predict": _answered("predict", [1.0, 3.0]),
}
_NAME: Final = common.name_parameter("model", "mymodel")
_REFERENCE: Final = common.name_parameter("model", "mymodel", versions=True)
_DATAX: Final = Parameter(
    "datax",
    "query",
    {"type": "string", "minLength": 1, "format": "omega-dataset-selection"},
    "A dataset, with columns and version if you like: `sample[x]@3`. Or the data is in the body.",
    "sample[x]",
)
_DATAY: Final = Parameter(
    "datay",
    "query",
    {"type": "string", "minLength": 1, "format": "omega-dataset-selection"},
    "As `datax`.",
    "sample[y]",
)
_CALL: Final = (_DATAX, _DATAY, common.ASYNC, common.TIMEOUT)
_ASKED: Final = common.NAMED_ERRORS | common.BODY_ERRORS | {409}


def _body(action: str) -> tuple[Content, ...]:
    schema = ref("ModelPartialFit" if action == "partial_fit" else "ModelCall")
    if action in ("fit", "partial_fit", "score"):
        return (Content(schema, examples={"inline": {"datax": {"x": [0, 1, 2]}, "datay": {"y": [1, 3, 5]}}}),)
    return (Content(schema, examples={"inline": {"data": {"x": [10, 20]}}}),)


def _id(action: str, prefix: str) -> str:
    return prefix + "".join(word.capitalize() for word in action.split("_"))


LIST: Final = Operation(
    "listModels",
    _TAG,
    {
        200: common.page_answer(
            "ModelItem",
            {"model": _MODEL, "resource_uri": "/api/v1/model/mymodel/"},
            links=("readModel",),
            where="model/name",
        )
    },
    common.READ_ERRORS,
    parameters=common.PAGE,
)
CREATE: Final = Operation(
    "createModel",
    _TAG,
    {
        201: Answer(
            "The model, not fitted yet.",
            (
                Content(
                    ref("ModelCreated"),
                    examples={
                        "created": {"model": {n: _MODEL[n] for n in ("bucket", "created", "kind", "name")}}
                    },
                ),
            ),
            ("Location", "ETag"),
            links=tuple(
                Link(operation, "name", "$response.body#/model/name")
                for operation in ("readModel", "deleteModel", "fitModel", "postPredict")
            ),
        )
    },
    common.READ_ERRORS | common.BODY_ERRORS | {409},
    body=(Content(ref("ModelCreate"), examples={"a regression": _LINEAR, "a pipeline": _PIPELINE}),),
)
READ: Final = Operation(
    "readModel",
    _TAG,
    {
        200: Answer(
            "The metadata; with `datax`, the predictions.",
            (
                Content(
                    {"anyOf": [ref("Model"), ref("ModelAnswer")]},
                    examples={
                        "metadata": {"model": _FITTED, "resource_uri": "/api/v1/model/mymodel/"},
                        "predictions": _RESULTS["predict"],
                    },
                ),
            ),
            sometimes=("ETag",),
        ),
        202: common.ACCEPTED,
        304: common.NOT_MODIFIED,
    },
    _ASKED | {412},
    parameters=(_REFERENCE, *_CALL, *common.PRECONDITIONS),
)
DROP: Final = Operation(
    "deleteModel",
    _TAG,
    {202: common.deleted("mymodel")},
    common.WRITE_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
)


def fit(action: str) -> Operation:
    """`PUT /model/NAME/fit` or `partial_fit`."""
    fitted = Content(
        {"anyOf": [ref("ModelAnswer"), ref("Accepted")]},
        examples={"fitted": _RESULTS[action], **common.ACCEPTED.content[0].examples},
    )
    return Operation(
        "partialFitModel" if action == "partial_fit" else "fitModel",
        _TAG,
        {
            202: Answer(
                "It is fitted, as the next version of the model; with `async=1`, a worker will do it.",
                (fitted,),
                sometimes=("ETag", "Location"),
                links=(Link("readModel", "name", "$response.body#/model"),),
            )
        },
        _ASKED | {412},
        parameters=(_NAME, *_CALL, *common.PRECONDITIONS),
        body=_body(action),
        needs_body=False,
    )


def ask(action: str, method: str) -> Operation:
    """`/model/NAME/predict` and its like, by GET, PUT or POST."""
    answer = Content(ref("ModelAnswer"), examples={action: _RESULTS[action]})
    both = Content(
        {"anyOf": [ref("ModelAnswer"), ref("Accepted")]},
        examples={action: _RESULTS[action], **common.ACCEPTED.content[0].examples},
    )
    answers: dict[int, Answer] = {
        "GET": {200: Answer("What the model says.", (answer,)), 202: common.ACCEPTED},
        "POST": {201: Answer("What the model says.", (answer,)), 202: common.ACCEPTED},
        "PUT": {
            202: Answer("What the model says; with `async=1`, the task.", (both,), sometimes=("Location",))
        },
    }[method]
    return Operation(
        _id(action, method.lower()),
        _TAG,
        answers,
        _ASKED,
        parameters=(_REFERENCE, *_CALL),
        body=() if method == "GET" else _body(action),
        needs_body=False,
    )
