"""What the descriptions of several resources share."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.operations import Answer, Content, Link, Parameter, Schema, ref

_MAX_NUMBER: Final = 10**15 - 1
_CLOSED: Final = {"type": "object", "additionalProperties": False}
ANYTHING: Final[Schema] = {}
TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
VERSION: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": _MAX_NUMBER}
#: Times are in UTC. Jobs have a `T` between day and time, everything else a blank.
STAMP: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}$"}
SECONDS: Final[Schema] = {"type": "number", "exclusiveMinimum": 0}
_FLAG: Final[Schema] = {"type": "string", "enum": ["1", "true", "yes", "0", "false", "no"], "default": "0"}

# A part of a name: no control character, none of \ * ? [ ] ^ @ # : % and no slash; not empty, "." or "..".
_OTHER: Final = r"\x00-\x1f\x7f-\x9f\\*?\[\]^@#:%/"
_PART: Final = rf"(?:[^{_OTHER}.][^{_OTHER}]*|\.[^{_OTHER}.][^{_OTHER}]*|\.\.[^{_OTHER}]+)"
_NAME: Final = f"{_PART}(?:/{_PART})*"
_VERSIONED: Final = rf"{_NAME}(?:@[1-9][0-9]{{0,14}}|\^{{1,9}})?"


def closed(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these properties and no others; all are required but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {**_CLOSED, "required": required, "properties": dict(properties)}


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def nullable(kind: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [kind, {"type": "null"}]}


def listing(of: Schema) -> Schema:
    """A page of a list."""
    return closed({"meta": ref("PageMeta"), "objects": array(of)})


def name_parameter(
    resource: str, example: str, *, versions: bool = False, longest: int = 255, what: str | None = None
) -> Parameter:
    """`name` in a path, of an object of this resource (or of `what`)."""
    at = " A version may follow: `@3`, or `^` for each step back." if versions else ""
    schema = {
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "pattern": f"^{_VERSIONED if versions else _NAME}$",
        "format": f"omega-{resource}-reference" if versions else f"omega-{resource}",
    }
    said = f"The name of a {what or resource}. It may hold slashes, as they are or as %2F.{at}"
    return Parameter("name", "path", schema, said, example)


LIMIT: Final = Parameter(
    "limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}, "Objects on a page."
)
OFFSET: Final = Parameter(
    "offset",
    "query",
    {"type": "integer", "minimum": 0, "maximum": _MAX_NUMBER, "default": 0},
    "Objects before this page.",
)
PATTERN: Final = Parameter(
    "name", "query", TEXT, "Only names that fit this shell pattern (`*`, `?`, `[...]`).", "s*"
)
PAGE: Final = (LIMIT, OFFSET, PATTERN)
AT_VERSION: Final = Parameter("version", "query", VERSION, "An older version; the current one by default.")
ASYNC: Final = Parameter(
    "async", "query", _FLAG, "Leave the call to a worker: answered with 202 and where its result will be."
)
TIMEOUT: Final = Parameter(
    "timeout",
    "query",
    {"type": "integer", "minimum": 1, "maximum": _MAX_NUMBER},
    "How many seconds a worker may take; more than the server allows is refused.",
)
_TAG: Final = r'(?:W/)?"[!#-~]*"'
_TAGS: Final = {"type": "string", "format": "etags", "pattern": rf"^(?:[*]|{_TAG}(?:, ?{_TAG})*)$"}
IF_MATCH: Final = Parameter(
    "If-Match", "header", _TAGS, "Only if the object is at one of these versions (RFC 9110, 13.1.1).", '"1"'
)
IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "header", _TAGS, "Only if it is at none of these; `*`: only if there is none.", '"9"'
)
PRECONDITIONS: Final = (IF_MATCH, IF_NONE_MATCH)
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1},
    "Chosen by the client: a write that comes again with the same key writes nothing "
    "and answers as the first did.",
    "8e03978e-40d5-43dd-bc93-6894a57f9324",
)
BUCKET: Final = Parameter(
    "bucket",
    "header",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^(?:[!\"$&'()+,\-0-9;<=>A-Z_`a-z{|}~.]*[!\"$&'()+,\-0-9;<=>A-Z_`a-z{|}~])$",
        "format": "omega-bucket",
        "default": "store",
    },
    "The bucket that the request is for; a name without slashes (beyond ASCII, in UTF-8).",
)

_READ: Final = frozenset({400, 500, 503})
#: The statuses of what can go wrong with any request; with one for an object that is named; with a body.
READ_ERRORS: Final = _READ
#: What every route answers to those who are not known, or may not; all but the public ones.
CALLER_ERRORS: Final = frozenset({401, 403, 429})
NAMED_ERRORS: Final = _READ | {404, 405}
BODY_ERRORS: Final = frozenset({408, 413, 415, 507})
WRITE_ERRORS: Final = NAMED_ERRORS | {409, 412, 507}

#: What each error status means.
ERRORS: Final[Mapping[int, str]] = {
    400: "What was sent is malformed, unknown, or does not fit what is stored; the problem names it.",
    401: "Who calls is not known: a key is needed, and there is none, or none that is valid.",
    403: "The access rules, or the key, do not allow it, whether or not there is such an object.",
    404: "There is no such object, or no such version of it.",
    405: "The path, with the slashes of the name, is one that has other methods.",
    406: "It cannot be had in any of the media types that `Accept` lists.",
    408: "The body came too slowly.",
    409: "The object is in a state that does not allow this, or another request changed it at the same time.",
    412: "The object is not at the version that `If-Match` or `If-None-Match` asks for.",
    413: "Something is over a published limit; the problem names the limit.",
    415: ("The body is of a media type, charset or encoding that cannot be read here."),
    429: "Too many keys that were not valid came from this address, or for this user.",
    500: (
        "The server failed, or what is stored is damaged; the log of the server has more "
        "under the request id."
    ),
    503: "The store, the queue or the workers cannot be reached at the moment.",
    507: "The store has no room left.",
}

_PROBLEM: Final = {
    "type": {"type": "string", "pattern": "^urn:omega:problem:[a-z-]+$"},
    "title": TEXT,
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string", "description": "What is at fault, in one sentence."},
    "request_id": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    "message": {"type": "string", "description": "The same as `detail`."},
}
#: A problem with each status: the last part of its type, and its words.
PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-input", "unknown query parameter 'colour'; allowed here: limit, name, offset"),
    401: ("unauthorized", "a key is needed: Authorization: ApiKey USER:KEY, or Bearer KEY"),
    403: (
        "forbidden",
        "action 'get' on dataset 'sample' in bucket 'store' is not allowed by the access rules or the key",
    ),
    404: ("not-found", "there is no dataset 'sample' in bucket 'store'"),
    405: ("method-not-allowed", "POST is not allowed here, only GET, HEAD, OPTIONS"),
    406: ("not-acceptable", "nothing here can be sent as 'image/png': it can be had as application/json"),
    408: ("request-timeout", "the request body came too slowly"),
    409: ("already-exists", "model 'mymodel' exists already: use replace, or another name"),
    412: ("precondition-failed", "dataset 'sample' is at version 4"),
    413: ("too-large", "the request body is over the limit of 536,870,912 bytes (body_bytes)"),
    415: ("unsupported-media-type", "cannot read content of type 'image/png': send application/json"),
    429: (
        "too-many-attempts",
        "too many keys that are not valid: wait 42 seconds before the next",
    ),
    500: ("internal-error", "The server failed to answer this request."),
    503: ("store-unavailable", "The store cannot be reached or is too busy at the moment; try again later."),
    507: ("store-full", "The store has no room left; nothing was changed."),
}


def problem_example(status: int) -> Mapping[str, Any]:
    """A problem with this status."""
    kind, words = PROBLEMS[status]
    said = {"detail": words, "request_id": "3f2a7c0a1c8b4c0f9d0e5b6a7c8d9e0f", "message": words}
    title = kind.replace("-", " ").capitalize()
    return {"type": f"urn:omega:problem:{kind}", "title": title, "status": status, **said}


SCHEMAS: Final[Mapping[str, Schema]] = {
    "Problem": {
        "description": "An error (RFC 9457). The answer of a call that failed half-way has further members.",
        "type": "object",
        "required": list(_PROBLEM),
        "properties": _PROBLEM,
    },
    "PageMeta": closed(
        {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "next": nullable({"type": "string", "description": "The URI of the next page."}),
            "offset": COUNT,
            "previous": nullable({"type": "string", "description": "The URI of the page before."}),
            "total_count": COUNT,
        }
    ),
    "Deleted": closed({"name": TEXT, "deleted": {"const": True}}),
    "Accepted": {
        "description": "A call that was left to a worker.",
        **closed({"task_id": TEXT, "status": ref("TaskStatus")}),
    },
    "TaskStatus": {"enum": ["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]},
}

#: How a key is sent.
KEYS: Final[Mapping[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key, as `om auth add` prints it."},
    "userAndKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ApiKey USER:KEY`, with these words.",
    },
}
#: The headers that answers have.
HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-ID": {
        "description": "The client's own, or a fresh one; errors are in the server's log under it.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "ETag": {
        "description": "The version, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string", "pattern": '^"[!#-~]*"$'},
    },
    "Location": {
        "description": "Where the new object, or the result of the task, is.",
        "schema": {"type": "string", "pattern": "^/api/v1/"},
    },
    "Vary": {"description": "The answer depends on `Accept`.", "schema": TEXT},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"description": "How a key is sent (RFC 9110, 11.6.1).", "schema": TEXT},
    "Allow": {"description": "The methods that there are.", "schema": TEXT},
    "Content-Disposition": {"description": "`attachment`, where a file is sent.", "schema": TEXT},
    "Content-Encoding": {"description": "`gzip`, for clients that take it.", "schema": TEXT},
    "Content-Security-Policy": {"description": "What a browser may do with the page.", "schema": TEXT},
}

META_EXAMPLE: Final = {"limit": 20, "next": None, "offset": 0, "previous": None, "total_count": 1}
NOT_MODIFIED: Final = Answer("The client has this version already (`If-None-Match`).", headers=("ETag",))
TASK_OPERATIONS: Final = ("describeTask", "taskStatus", "taskResult", "followTask", "cancelTask")
ACCEPTED: Final = Answer(
    "With `async=1`: the task that a worker will carry out.",
    (
        Content(
            ref("Accepted"), examples={"accepted": {"task_id": "01a20f7b-56ab-777a", "status": "PENDING"}}
        ),
    ),
    ("Location",),
    links=tuple(Link(operation, "id", "$response.body#/task_id") for operation in TASK_OPERATIONS),
)


def page_answer(
    name: str, example: Mapping[str, Any], *, links: tuple[str, ...] = (), where: str = "name"
) -> Answer:
    """A page of a list of the objects that the schema `name` describes; `links` are operations on one of
    them, `where` is what these need of it.
    """
    one = {"one": {"meta": META_EXAMPLE, "objects": [example]}}
    parameter = "id" if where == "task_id" else "name"
    return Answer(
        "A page of the list.",
        (Content(listing(ref(name)), examples=one),),
        links=tuple(Link(link, parameter, f"$response.body#/objects/0/{where}") for link in links),
    )


def deleted(name: str) -> Answer:
    """What a DELETE answers."""
    content = Content(ref("Deleted"), examples={"deleted": {"name": name, "deleted": True}})
    return Answer("It is gone.", (content,))
