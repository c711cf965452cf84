"""The resource `job`: notebooks, their runs and their reports."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from attrs import frozen

from omega.domain.access import LIST
from omega.domain.errors import BadInput
from omega.domain.job_runs import RUNNING, JobRun
from omega.domain.metadata import Listing, Metadata
from omega.domain.names import JOB, NOTEBOOK_SUFFIX, job_name
from omega.entrypoints.actions.jobs import described_run, described_schedule, stamp
from omega.entrypoints.api import Omega
from omega.entrypoints.http import calls, fields
from omega.entrypoints.http.bodies import parse_json_object
from omega.entrypoints.http.documented import jobs as documented
from omega.entrypoints.http.routing import Request, Response, Route
from omega.entrypoints.jobs import Jobs
from omega.entrypoints.limits import Limits
from omega.entrypoints.runtime import RuntimeTask
from omega.entrypoints.uris import resource_uri

_CREATED: Final = 201
_RUN_FIELDS: Final = frozenset({"parameters", "timeout"})
_SCHEDULE_FIELDS: Final = frozenset({"cron", "tz"}) | _RUN_FIELDS
#: What a page made from a notebook may do in a browser: nothing but show itself, with the pictures in it
#: (https://www.w3.org/TR/CSP3/).
CONTENT_POLICY: Final = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "ipynb": "application/x-ipynb+json",
    "md": "text/markdown; charset=utf-8",
    "py": "text/x-python; charset=utf-8",
}


@frozen
class JobResource:
    """Jobs over HTTP."""

    omega: Omega
    limits: Limits

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        one, results = "/api/v1/job/<name:name>", "/api/v1/job/results/<name:name>"
        version, page = frozenset({"version"}), frozenset({"limit", "offset"})
        return [
            Route(
                "GET", "/api/v1/job", self.list, query=fields.PAGE, summary="List jobs", doc=documented.LIST
            ),
            Route(
                "GET",
                one,
                self.read,
                query=version,
                summary="A job, its notebook and its runs",
                doc=documented.READ,
            ),
            Route("PUT", one, self.write, summary="Store a notebook", doc=documented.WRITE),
            Route("DELETE", one, self.drop, summary="Delete a job", doc=documented.DROP),
            Route("POST", f"{one}/run", self.run, query=calls.QUERY, summary="Run a job", doc=documented.RUN),
            Route(
                "GET",
                f"{one}/results",
                self.runs,
                query=page,
                summary="The runs of a job, latest first",
                doc=documented.RUNS,
            ),
            Route(
                "GET",
                f"{one}/schedule",
                self.scheduled,
                summary="When a job runs by itself",
                doc=documented.SCHEDULED,
            ),
            Route(
                "PUT",
                f"{one}/schedule",
                self.schedule,
                summary="Let a job run by the clock",
                doc=documented.SCHEDULE,
            ),
            Route(
                "DELETE",
                f"{one}/schedule",
                self.unschedule,
                summary="Let a job run by itself no more",
                doc=documented.UNSCHEDULE,
            ),
            Route(
                "GET", results, self.result, summary="The notebook that came of a run", doc=documented.RESULT
            ),
            Route(
                "DELETE",
                results,
                self.drop_result,
                summary="Delete a run and its notebook",
                doc=documented.DROP_RESULT,
            ),
            Route(
                "GET",
                "/api/v1/job/export/<name:name>",
                self.export,
                query=frozenset({"format"}),
                summary="A result, or a job's notebook, as a document",
                doc=documented.EXPORT,
            ),
        ]

    def list(self, request: Request) -> Response:
        """One page of jobs."""
        page, jobs = fields.page_of(request), self._jobs(request)
        listing = jobs.page(page.pattern, offset=page.offset, limit=page.limit)
        objects = [{**_with_runs(jobs, item.name, LIST), **_described(item)} for item in listing.items]
        return Response(200, page.body(listing, objects, resource=JOB))

    def read(self, request: Request) -> Response:
        """A job, its notebook and its runs."""
        jobs = self._jobs(request)
        metadata, notebook = jobs.open(
            request.path["name"], version=fields.whole_number(request, "version", least=1)
        )
        # Only If-Match is looked at: whoever has this version already does not have its latest runs.
        fields.unmodified(request, metadata)
        body = {"content": _json(notebook), **_with_runs(jobs, metadata.name, "get"), **_described(metadata)}
        return Response(200, body, (fields.etag(metadata),))

    def write(self, request: Request) -> Response:
        """Store a notebook: as it is, as `{"content": notebook}`, or as `{"code": "source text"}`."""
        body = parse_json_object(request.body(), max_depth=self.limits.json_depth)
        jobs, name = self._jobs(request), request.path["name"]
        precondition = fields.precondition(request)
        if "cells" in body or "nbformat" in body:
            metadata = jobs.put(body, name, precondition=precondition)
        elif "code" in body:
            fields.known_fields(body, {"code"})
            if not isinstance(body["code"], str):
                raise BadInput("field 'code' must be Python source text")
            metadata = jobs.create(body["code"], name, precondition=precondition)
        else:
            fields.known_fields(body, {"content"})
            if "content" not in body:
                raise BadInput("the body holds no notebook: give it as it is, or in 'content', or its 'code'")
            if not isinstance(body["content"], dict):
                raise BadInput("field 'content' must be a notebook, which is a JSON object")
            metadata = jobs.put(body["content"], name, precondition=precondition)
        return Response(202, _described(metadata), (fields.etag(metadata),))

    def drop(self, request: Request) -> Response:
        """Remove a job."""
        name = request.path["name"]
        self._jobs(request).drop(name, precondition=fields.precondition(request))
        return Response(202, {"name": job_name(name), "deleted": True})

    def run(self, request: Request) -> Response:
        """Run a job: `{"parameters": {...}, "timeout": seconds}`."""

        def submit(request: Request) -> RuntimeTask:
            body = parse_json_object(request.body(), max_depth=self.limits.json_depth, allow_empty=True)
            fields.known_fields(body, _RUN_FIELDS)
            timeout_s = calls.timeout_s(request, body)
            return self._jobs(request).submit(request.path["name"], _parameters(body), timeout_s=timeout_s)

        return calls.carried_out(request, submit, status=_CREATED, failed=_CREATED)

    def runs(self, request: Request) -> Response:
        """One page of the runs of a job."""
        page, name = fields.page_of(request), request.path["name"]
        found, total = self._jobs(request).page_of_runs(name, offset=page.offset, limit=page.limit)
        objects = [described_run(run) for run in found]
        return Response(200, page.body(Listing([], total), objects, resource=f"job/{quote(name)}/results"))

    def scheduled(self, request: Request) -> Response:
        """When a job runs by itself, and what was missed."""
        return Response(200, described_schedule(self._jobs(request).scheduled(request.path["name"])))

    def schedule(self, request: Request) -> Response:
        """Let a job run by the clock: `{"cron": "30 6 * * *", "tz": "Europe/Berlin", "parameters": {...},
        "timeout": seconds}`.
        """
        body = parse_json_object(request.body(), max_depth=self.limits.json_depth)
        fields.known_fields(body, _SCHEDULE_FIELDS)
        cron, tz = body.get("cron"), body.get("tz", "UTC")
        if not isinstance(cron, str) or not isinstance(tz, str):
            raise BadInput("field 'cron' must be a line of five fields, and 'tz' the name of a time zone")
        found = self._jobs(request).schedule(
            request.path["name"],
            cron,
            tz=tz,
            parameters=_parameters(body),
            timeout_s=calls.timeout_s(request, body),
        )
        return Response(202, described_schedule(found))

    def unschedule(self, request: Request) -> Response:
        """Let a job run by itself no more."""
        name = request.path["name"]
        self._jobs(request).unschedule(name)
        return Response(202, {"name": job_name(name), "deleted": True})

    def result(self, request: Request) -> Response:
        """The notebook that came of a run."""
        run, notebook = self._jobs(request).open_result(request.path["name"])
        body = {
            "source_job": run.job.removesuffix(NOTEBOOK_SUFFIX),
            "job_results": {},
            "created": stamp(run.started),
            "content": _json(notebook),
            "job_runs": [],
            "name": run.result_name,
            "run": described_run(run),
        }
        return Response(200, body)

    def drop_result(self, request: Request) -> Response:
        """Remove a run and its notebook."""
        run = self._jobs(request).drop_result(request.path["name"])
        return Response(202, {"name": run.result_name, "deleted": True})

    def export(self, request: Request) -> Response:
        """A document in JSON; the document itself for those who ask for its media type (browsers do)."""
        accepted = request.headers.get("accept", "")
        format = request.query.get("format", "html")
        name, content = self._jobs(request).report(request.path["name"], format=format)
        if accepted.partition(",")[0].partition(";")[0].strip() == _MEDIA_TYPES[format].partition(";")[0]:
            headers = (
                ("Content-Type", _MEDIA_TYPES[format]),
                ("Content-Security-Policy", CONTENT_POLICY),
                ("Vary", "Accept"),
            )
            return Response(200, content.encode(), headers)
        return Response(200, {"content": content, "name": name}, (("Vary", "Accept"),))

    def _jobs(self, request: Request) -> Jobs:
        return fields.asked(request, self.omega).jobs


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    parameters = body.get("parameters")
    if not isinstance(parameters, dict | None):
        raise BadInput("field 'parameters' must be an object")
    return parameters or {}


def _json(notebook: Mapping[str, Any]) -> Any:
    """A notebook as part of a body: orjson refuses integers over 64 bits, which notebooks may hold."""
    return orjson.Fragment(json.dumps(notebook, ensure_ascii=False, separators=(",", ":")))


def _described(metadata: Metadata) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "created": stamp(metadata.created),
        "modified": stamp(metadata.modified),
        "kind": metadata.kind,
        "version": metadata.version,
        "resource_uri": resource_uri(JOB, metadata.name),
        **metadata.attributes,
    }


def _with_runs(jobs: Jobs, name: str, action: str) -> Mapping[str, Any]:
    """The runs that have ended: by their seconds, and the names of what came of them. `[]` and `{}` where
    there is none, as the API's description prints it.
    """
    ended: list[JobRun] = [run for run in reversed(jobs.runs(name, action=action)) if run.status != RUNNING]
    if not ended:
        return {"job_runs": [], "job_results": {}}
    return {
        "job_runs": {str(run.key): run.status for run in ended},
        "job_results": [run.result_name for run in ended if run.result is not None],
    }
