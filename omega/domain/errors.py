"""What can go wrong for a user, each error naming the thing at fault in its message.

The faces map these to status codes and exit codes; nothing below them knows either.
"""


class OmegaError(Exception):
    """Any error that a user can mend or must know of."""


class BadInput(OmegaError, ValueError):
    """What was given is malformed, or does not fit what is stored."""


class TooLarge(OmegaError, ValueError):
    """What was given is over a published limit; the message names the limit."""


class NotFound(OmegaError, LookupError):
    """No object, or no version of it, has this name."""


class Unauthorized(OmegaError):
    """Who calls is not known: no key, or none that is valid."""


class Forbidden(OmegaError):
    """The caller may not do this, whether or not there is such an object."""


class Conflict(OmegaError):
    """The object is in a state that does not allow this."""


class AlreadyExists(Conflict):
    """There is an object of this name already."""


class NotFitted(Conflict):
    """The model has not been fitted."""


class PreconditionFailed(OmegaError):
    """The object is not at the version that the caller named."""


class Corrupt(OmegaError):
    """What is stored for this object is damaged; other objects are not affected."""


class TaskFailed(OmegaError):
    """A task ended without an answer, through no fault in what was asked."""


class JobFailed(OmegaError):
    """A job has not come to its end; what came of it is kept."""


class ScriptFailed(BadInput):
    """A script has not come to its end, or returned what JSON cannot hold."""


class TimedOut(TooLarge):
    """A task took longer than it was allowed."""


class Cancelled(Conflict):
    """A task was cancelled before it had an answer."""


class NoWorker(OmegaError):
    """No worker is there to carry a task out; trying again later may help."""
