"""The errors of `epkit.proxy`: each says which object and field is wrong, and what was expected."""

from __future__ import annotations

from epkit.errors import EpkitError


class ProxyError(EpkitError):
    """Anything that `epkit.proxy` refuses. `str(error)` is one line for a person."""


class ObjectError(ProxyError):
    """An object that Kubernetes would refuse, or that cannot be read at all.

    `source` is the file or server that it came from, `object` names it ("Service demo/web"), `field` is the path of the
    field in the API's own spelling ("spec.ports[0].port"); any of them may be empty. The message is the API's where it
    has one.

    >>> print(ObjectError("Invalid value: 0: must be between 1 and 65535, inclusive",
    ...                   source="web.yaml", object="Service demo/web", field="spec.ports[0].port"))
    web.yaml: Service demo/web: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
    """

    def __init__(self, message: str, *, source: str = "", object: str = "", field: str = "") -> None:
        self.message, self.source, self.object, self.field = message, source, object, field
        super().__init__(": ".join(part for part in (source, object, field, message) if part))

    def at(self, source: str) -> ObjectError:
        """The same error with the name of the file or server in front."""
        return ObjectError(self.message, source=source, object=self.object, field=self.field)


class SyncError(ProxyError):
    """The kernel refused a transaction, so nothing of it was applied. kube-proxy retries with a full sync."""
