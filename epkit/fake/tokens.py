"""``kubectl create token``: a TokenRequest for a ServiceAccount.

The token has the form and the claims of a real one. Its signature is made up, and it opens nothing: this cluster asks
nobody who he is.

Source: ``pkg/registry/core/serviceaccount/storage/token.go`` and ``pkg/serviceaccount/claims.go`` of Kubernetes v1.36.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from epkit.fake.clock import format_time
from epkit.fake.kinds.base import FieldError, invalid
from epkit.fake.wire import errors
from epkit.objects import Obj, uid_of

if TYPE_CHECKING:
    from epkit.fake.api import Api
    from epkit.fake.requests import Route

ISSUER = "https://kubernetes.default.svc.cluster.local"
#: seconds: what a token lasts when nothing is said, and the least and the most that can be asked for
DEFAULT, SHORTEST, LONGEST = 3600, 600, 2**32


def create(api: Api, route: Route, sent: Obj) -> Obj:
    """Answer a TokenRequest. Raises the API server's 404 and 422."""
    account = api.store.get(route.kind.resource, route.namespace, route.name)
    if account is None:
        raise errors.not_found("serviceaccounts", route.name)
    spec = sent.get("spec") or {}
    seconds = spec.get("expirationSeconds") or DEFAULT
    faults: list[FieldError] = []
    if seconds < SHORTEST:
        faults.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > LONGEST:
        faults.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if faults:
        raise errors.invalid("TokenRequest", "", faults, "authentication.k8s.io")
    audiences = spec.get("audiences") or [ISSUER]
    now = int(api.clock.now)
    claims = {
        "aud": audiences,
        "exp": now + seconds,
        "iat": now,
        "iss": ISSUER,
        "jti": api.names.uid("token", route.namespace, route.name),
        "kubernetes.io": {
            "namespace": route.namespace,
            "serviceaccount": {"name": route.name, "uid": uid_of(account)},
        },
        "nbf": now,
        "sub": f"system:serviceaccount:{route.namespace}:{route.name}",
    }
    meta = {"name": route.name, "namespace": route.namespace, "creationTimestamp": api.clock.timestamp()}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": meta,
        "spec": {
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {"token": _token(claims), "expirationTimestamp": format_time(now + seconds)},
    }


def _token(claims: dict[str, Any]) -> str:
    """A JSON Web Token of these claims."""
    signed = ".".join(_base64(orjson.dumps(part)) for part in ({"alg": "RS256", "kid": "epkit"}, claims))
    return f"{signed}.{_base64(hashlib.sha256(signed.encode()).digest() * 8)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
