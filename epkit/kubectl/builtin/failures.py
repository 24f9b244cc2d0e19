"""What goes wrong in a command, and how kubectl says it.

Source of the texts: ``k8s.io/kubectl/pkg/cmd/util/helpers.go``.
"""
from __future__ import annotations

from collections.abc import Sequence

from epkit.errors import ApiError
from epkit.kubectl.builtin.gotext import quote
from epkit.objects import Obj


class KubectlError(Exception):
    """A command that fails with a text of kubectl's own; ``error: `` is put before it."""


class UsageError(KubectlError):
    """A command that was called wrongly: the text and where to read how to call it."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__(f"{text}\nSee 'kubectl {command} -h' for help and examples")


class FlagError(KubectlError):
    """A flag that cannot be parsed."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__(f"{text}\nSee 'kubectl{' ' + command if command else ''} --help' for usage.")


#: how every NotInSubset can be told
NOT_IN_SUBSET = "not in the built-in subset"


class NotInSubset(KubectlError):
    """Something that the real kubectl does and the built-in one does not.

    >>> str(NotInSubset("top"))
    'kubectl top: not in the built-in subset: install kubectl'
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"kubectl {what}: {NOT_IN_SUBSET}: install kubectl")


class ExitError(KubectlError):
    """Nothing more to say: everything was printed, and the command failed."""

    def __init__(self, code: int = 1) -> None:
        super().__init__("")
        self.code = code


class Several(KubectlError):
    """Failures that were gathered, each on a line of its own without ``error: `` before it."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        super().__init__("; ".join(str(failure) for failure in failures))
        self.failures: list[Exception] = []
        for failure in failures:
            self.failures += failure.failures if isinstance(failure, Several) else [failure]


def raise_all(failures: Sequence[Exception]) -> None:
    """Raise what went wrong on the way, if anything did: one failure as itself, several together."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise Several(failures)


def at_source(action: str, source: str, failure: ApiError | KubectlError) -> ApiError | KubectlError:
    """The failure with the file it concerns: ``error when creating "STDIN": …`` (``cmdutil.AddSourceToErr``)."""
    if not source:
        return failure
    if isinstance(failure, KubectlError):
        return KubectlError(f"error when {action} {quote(source)}: {failure}")
    status = dict(failure.status)
    status["message"] = f"error when {action} {quote(source)}: {failure.message}"
    return ApiError(status)


def printed(failure: Exception) -> tuple[str, int]:
    """What kubectl prints to stderr for a failure, and its exit status (``cmdutil.CheckErr``).

    >>> printed(KubectlError("couldn't find port via --port flag or introspection"))
    ("error: couldn't find port via --port flag or introspection\\n", 1)
    """
    if isinstance(failure, Several):
        return "".join(_message(inner) + "\n" for inner in failure.failures), 1
    if isinstance(failure, ExitError):
        return "", failure.code
    if isinstance(failure, ApiError):
        if failure.reason == "Invalid":
            return _invalid(failure.status), 1
        return _line(_server(failure)), 1
    text = str(failure)
    return _line(text if text.startswith("error: ") else f"error: {text}"), 1


def _line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _message(failure: Exception) -> str:
    return _server(failure) if isinstance(failure, ApiError) else str(failure)


def _server(failure: ApiError) -> str:
    if failure.reason == "Unauthorized":
        return f"error: You must be logged in to the server ({failure.message})"
    if failure.reason:
        return f"Error from server ({failure.reason}): {failure.message}"
    return f"Error from server: {failure.message}"


def _invalid(status: Obj) -> str:
    details, message = status.get("details"), status.get("message", "")
    said = "The request is invalid" + (f": {message}" if message else "")
    if details is None:
        return said + "\n"
    causes = list(dict.fromkeys(f"{c.get('field', '')}: {c.get('message', '')}" for c in details.get("causes") or ()))
    if details.get("kind") or details.get("name"):
        said = f"The {details.get('kind', '')} {quote(details.get('name', ''))} is invalid"
    elif causes:
        said = "The request is invalid"
    if len(causes) > 1:
        return f"{said}: \n" + "".join(f"* {cause}\n" for cause in causes)
    return f"{said}: {causes[0]}\n" if causes else said + "\n"
