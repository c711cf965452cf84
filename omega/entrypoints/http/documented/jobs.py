"""What the routes of jobs, their runs and their schedules take and give."""

from collections.abc import Mapping
from typing import Any, Final

from omega.entrypoints.http.documented import common
from omega.entrypoints.http.documented.common import TEXT, VERSION, array, closed, nullable
from omega.entrypoints.http.operations import Answer, Content, Link, Operation, Parameter, Schema, ref

_TAG: Final = "job"
_STARTED: Final = nullable(common.STAMP)
_ITEM: Final[Mapping[str, Schema]] = {
    "name": TEXT,
    "created": common.STAMP,
    "modified": common.STAMP,
    "kind": TEXT,
    "version": VERSION,
    "resource_uri": {"type": "string", "pattern": "^/api/v1/job/"},
}
_DECLARED: Final[Mapping[str, Schema]] = {
    "cells": common.COUNT,
    "parameters": {**array(TEXT), "description": "The parameters that it declares."},
}
_ENDED: Final[Mapping[str, Schema]] = {
    "job_runs": {
        "description": (
            "How each run ended, by the second since 1970 at which it began; `[]` where there is none."
        ),
        "anyOf": [
            {"type": "object", "additionalProperties": {"enum": ["OK", "ERROR"]}},
            {"type": "array", "maxItems": 0},
        ],
    },
    "job_results": {
        "description": "The names of the notebooks that came of them; `{}` where there is none.",
        "anyOf": [array(TEXT), {"type": "object", "maxProperties": 0}],
    },
}
_RUN_FIELDS: Final[Mapping[str, Schema]] = {
    "parameters": nullable(
        {"type": "object", "description": "Values for parameters that the notebook declares."}
    ),
    "timeout": nullable({**common.SECONDS, "description": "How many seconds it may take."}),
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Notebook": {
        "description": (
            "A notebook of nbformat 4 (https://nbformat.readthedocs.io); 3 is upgraded when it is stored."
        ),
        "type": "object",
        "required": ["nbformat"],
        "properties": {
            "nbformat": {"type": "integer"},
            "nbformat_minor": {"type": "integer"},
            "metadata": {"type": "object"},
            "cells": array({"type": "object"}),
        },
    },
    "JobItem": closed({**_ENDED, **_ITEM, **_DECLARED}, optional=tuple(_DECLARED)),
    "Job": closed({"content": ref("Notebook"), **_ENDED, **_ITEM, **_DECLARED}),
    "JobStored": closed({**_ITEM, **_DECLARED}),
    "JobWrite": {
        "anyOf": [
            ref("Notebook"),
            {"title": "in a field", **closed({"content": ref("Notebook")})},
            {
                "title": "Python source text",
                **closed(
                    {
                        "code": {
                            "type": "string",
                            "format": "python",
                            "description": "A cell for each line `# %%`.",
                        }
                    }
                ),
            },
        ]
    },
    "JobCall": {**closed(_RUN_FIELDS), "required": []},
    "JobRun": closed(
        {
            "run": {"type": "string", "pattern": "^[0-9]+$"},
            "status": {"enum": ["RUNNING", "OK", "ERROR"]},
            "started": common.STAMP,
            "ended": _STARTED,
            "duration": nullable({"type": "number", "description": "In seconds."}),
            "parameters": {"type": "object"},
            "version": VERSION,
            "result": nullable(TEXT),
            "error": nullable(
                closed(
                    {
                        "reason": TEXT,
                        "message": TEXT,
                        "cell": nullable({"type": "integer", "minimum": 1}),
                        "name": nullable(TEXT),
                        "value": nullable(TEXT),
                    }
                )
            ),
            "task_id": nullable(TEXT),
        }
    ),
    "JobRan": closed(
        {**_ENDED, "name": TEXT, "created": _STARTED, "run": ref("JobRun"), "message": TEXT},
        optional=("message",),
    ),
    "JobResult": closed(
        {
            "source_job": TEXT,
            **_ENDED,
            "created": common.STAMP,
            "content": ref("Notebook"),
            "name": TEXT,
            "run": ref("JobRun"),
        }
    ),
    "JobExport": closed({"content": TEXT, "name": TEXT}),
    "JobScheduleWrite": closed(
        {
            "cron": {
                "type": "string",
                "format": "cron",
                "description": "Minute, hour, day of the month, month, day of the week.",
            },
            "tz": {
                "type": "string",
                "format": "time-zone",
                "default": "UTC",
                "description": "A time zone, `Area/City`.",
            },
            **_RUN_FIELDS,
        },
        optional=("tz", *_RUN_FIELDS),
    ),
    "JobSchedule": closed(
        {
            "name": TEXT,
            "cron": TEXT,
            "tz": TEXT,
            "parameters": {"type": "object"},
            "timeout": nullable({"type": "number"}),
            "next": {**array(common.STAMP), "description": "The next five times."},
            "last": _STARTED,
            "task_id": nullable(TEXT),
            "missed": array(closed({"due": common.STAMP, "reason": TEXT})),
            "missed_count": common.COUNT,
        }
    ),
}

_NOTEBOOK: Final[Mapping[str, Any]] = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "print(1)",
            "execution_count": None,
            "outputs": [],
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
_STORED: Final[Mapping[str, Any]] = {
    "name": "testjob.ipynb",
    "created": "2026-11-24T21:34:31.725485",
    "modified": "2026-11-24T21:34:31.725485",
    "kind": "notebook.ipynb",
    "version": 1,
    "resource_uri": "/api/v1/job/testjob.ipynb/",
    "cells": 1,
    "parameters": [],
}
_RESULT: Final = "results/testjob_1517953074.ipynb"
_RUNS: Final[Mapping[str, Any]] = {"job_runs": {"1517953074": "OK"}, "job_results": [_RESULT]}
_RUN: Final[Mapping[str, Any]] = {
    "run": "1517953074",
    "status": "OK",
    "started": "2018-02-06T21:37:54.014000",
    "ended": "2018-02-06T21:37:55.114000",
    "duration": 1.1,
    "parameters": {},
    "version": 1,
    "result": _RESULT,
    "error": None,
    "task_id": None,
}
_SCHEDULE: Final[Mapping[str, Any]] = {
    "name": "testjob.ipynb",
    "cron": "30 6 * * mon-fri",
    "tz": "Europe/Berlin",
    "parameters": {},
    "timeout": None,
    "next": ["2026-11-25T05:30:00.000000"],
    "last": None,
    "task_id": None,
    "missed": [],
    "missed_count": 0,
}
# A name is at most 255 bytes long, with the `.ipynb` that it is given where it has none.
_WITHOUT_SUFFIX: Final = 249
_WHAT: Final = "job, with or without `.ipynb`"
_NAME: Final = common.name_parameter("job", "testjob", longest=_WITHOUT_SUFFIX, what=_WHAT)
_REFERENCE: Final = common.name_parameter(
    "job", "testjob", versions=True, longest=_WITHOUT_SUFFIX, what=_WHAT
)
_RESULT_NAME: Final = common.name_parameter(
    "job-result", "testjob_1517953074.ipynb", what="result: that of the job, `_` and the second"
)
_EXPORTED: Final = common.name_parameter(
    "job-result", "testjob_1517953074.ipynb", versions=True, what="result, or of a job"
)
_FORMAT: Final = Parameter(
    "format",
    "query",
    {"enum": ["html", "md", "py", "ipynb"], "default": "html"},
    "What kind of document.",
    "html",
)
_LINKS: Final = tuple(
    Link(operation, "name", "$response.body#/name")
    for operation in ("readJob", "runJob", "listRuns", "deleteJob")
)

LIST: Final = Operation(
    "listJobs",
    _TAG,
    {200: common.page_answer("JobItem", {**_RUNS, **_STORED}, links=("readJob", "listRuns", "exportJob"))},
    common.READ_ERRORS,
    parameters=common.PAGE,
)
READ: Final = Operation(
    "readJob",
    _TAG,
    {
        200: Answer(
            "The job.",
            (Content(ref("Job"), examples={"a job": {"content": _NOTEBOOK, **_RUNS, **_STORED}}),),
            ("ETag",),
        )
    },
    common.NAMED_ERRORS | {412},
    parameters=(_REFERENCE, common.AT_VERSION, common.IF_MATCH),
)
WRITE: Final = Operation(
    "writeJob",
    _TAG,
    {
        202: Answer(
            "It is stored, as the next version.",
            (Content(ref("JobStored"), examples={"stored": _STORED}),),
            ("ETag",),
            links=_LINKS,
        )
    },
    common.WRITE_ERRORS | common.BODY_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
    body=(
        Content(
            ref("JobWrite"),
            examples={
                "code": {"code": "print(2 + 3)"},
                "notebook": _NOTEBOOK,
                "in content": {"content": _NOTEBOOK},
            },
        ),
    ),
)
DROP: Final = Operation(
    "deleteJob",
    _TAG,
    {202: common.deleted("testjob.ipynb")},
    common.WRITE_ERRORS,
    parameters=(_NAME, *common.PRECONDITIONS),
)
RUN: Final = Operation(
    "runJob",
    _TAG,
    {
        201: Answer(
            "What came of the run, also where it failed: then `job_runs` says `ERROR`, and `message` why.",
            (
                Content(
                    ref("JobRan"),
                    examples={
                        "ran": {
                            **_RUNS,
                            "name": "testjob.ipynb",
                            "created": "2018-02-06T21:37:54.014000",
                            "run": _RUN,
                        }
                    },
                ),
            ),
            links=(
                Link("readResult", "name", "$response.body#/run/result"),
                Link("exportJob", "name", "$response.body#/run/result"),
            ),
        ),
        202: common.ACCEPTED,
    },
    common.NAMED_ERRORS | common.BODY_ERRORS | {409},
    parameters=(_NAME, common.ASYNC, common.TIMEOUT),
    body=(Content(ref("JobCall"), examples={"with a limit": {"parameters": {}, "timeout": 60}}),),
    needs_body=False,
)
RUNS: Final = Operation(
    "listRuns",
    _TAG,
    {
        200: common.page_answer(
            "JobRun", _RUN, links=("readResult", "exportJob", "deleteResult"), where="result"
        )
    },
    common.NAMED_ERRORS,
    parameters=(_NAME, common.LIMIT, common.OFFSET),
)
RESULT: Final = Operation(
    "readResult",
    _TAG,
    {
        200: Answer(
            "The notebook with its outputs.",
            (
                Content(
                    ref("JobResult"),
                    examples={
                        "a result": {
                            "source_job": "testjob",
                            "job_results": {},
                            "created": "2018-02-06T21:37:54.014000",
                            "content": _NOTEBOOK,
                            "job_runs": [],
                            "name": _RESULT,
                            "run": _RUN,
                        }
                    },
                ),
            ),
        )
    },
    common.NAMED_ERRORS,
    parameters=(_RESULT_NAME,),
)
DROP_RESULT: Final = Operation(
    "deleteResult", _TAG, {202: common.deleted(_RESULT)}, common.WRITE_ERRORS, parameters=(_RESULT_NAME,)
)
EXPORT: Final = Operation(
    "exportJob",
    _TAG,
    {
        200: Answer(
            "The document in JSON; the document itself where its media type is the "
            "first that `Accept` names.",
            (
                Content(
                    ref("JobExport"),
                    examples={
                        "a page": {"content": "<!DOCTYPE html>...", "name": "testjob_1517953074.ipynb"}
                    },
                ),
                *(
                    Content(TEXT, media_type)
                    for media_type in (
                        "text/html",
                        "text/markdown",
                        "text/x-python",
                        "application/x-ipynb+json",
                    )
                ),
            ),
            ("Vary",),
            ("Content-Security-Policy",),
        )
    },
    common.NAMED_ERRORS,
    parameters=(_EXPORTED, _FORMAT),
)
_SCHEDULED: Final = Content(ref("JobSchedule"), examples={"a schedule": _SCHEDULE})
SCHEDULED: Final = Operation(
    "readSchedule",
    _TAG,
    {200: Answer("The schedule.", (_SCHEDULED,))},
    common.NAMED_ERRORS,
    parameters=(_NAME,),
)
SCHEDULE: Final = Operation(
    "scheduleJob",
    _TAG,
    {
        202: Answer(
            "The schedule, which holds from now on.",
            (_SCHEDULED,),
            links=(
                Link("readSchedule", "name", "$response.body#/name"),
                Link("unscheduleJob", "name", "$response.body#/name"),
            ),
        )
    },
    common.NAMED_ERRORS | common.BODY_ERRORS | {409},
    parameters=(_NAME,),
    body=(
        Content(
            ref("JobScheduleWrite"),
            examples={"on workdays": {"cron": "30 6 * * mon-fri", "tz": "Europe/Berlin"}},
        ),
    ),
)
UNSCHEDULE: Final = Operation(
    "unscheduleJob",
    _TAG,
    {202: common.deleted("testjob.ipynb")},
    common.NAMED_ERRORS | {409, 507},
    parameters=(_NAME,),
)
