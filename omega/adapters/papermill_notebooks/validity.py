"""Whether a notebook is one that papermill can be given."""

from typing import Any

from omega.ports.notebooks import InvalidNotebook


def check(notebook: Any) -> None:
    """Do nothing, for a notebook that is as `omega.ports.notebooks` says.

    Raises: InvalidNotebook.
    """
    import nbformat
    from nbformat.validator import NotebookValidationError

    try:
        if (notebook["nbformat"], notebook["nbformat_minor"]) != (4, 5):
            raise InvalidNotebook("the notebook is not of nbformat 4.5")
        ids = [cell["id"] for cell in notebook["cells"]]
        if len(set(ids)) != len(ids):
            raise InvalidNotebook("two cells of the notebook have the same id")
        nbformat.validate(nbformat.from_dict(notebook))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidNotebook("the notebook is no notebook of nbformat 4.5") from error
    except NotebookValidationError as error:
        raise InvalidNotebook(f"the notebook is not valid: {error.message.splitlines()[0]}") from error
