"""The kinds that the fake serves, in the API server's own words: a file a kind.

>>> by_kind("v1", "Pod").plural
'pods'
"""

from __future__ import annotations

from epkit.fake.kinds.base import Kind
from epkit.fake.kinds.configmap import CONFIG_MAP, SECRET
from epkit.fake.kinds.controllerrevision import CONTROLLER_REVISION
from epkit.fake.kinds.daemonset import DAEMON_SET
from epkit.fake.kinds.deployment import DEPLOYMENT
from epkit.fake.kinds.endpoints import ENDPOINTS
from epkit.fake.kinds.endpointslice import ENDPOINT_SLICE
from epkit.fake.kinds.event import EVENT
from epkit.fake.kinds.job import JOB
from epkit.fake.kinds.lease import LEASE
from epkit.fake.kinds.namespace import NAMESPACE
from epkit.fake.kinds.networkpolicy import NETWORK_POLICY
from epkit.fake.kinds.node import NODE
from epkit.fake.kinds.pod import POD
from epkit.fake.kinds.poddisruptionbudget import POD_DISRUPTION_BUDGET
from epkit.fake.kinds.replicaset import REPLICA_SET
from epkit.fake.kinds.service import SERVICE
from epkit.fake.kinds.serviceaccount import SERVICE_ACCOUNT
from epkit.fake.kinds.statefulset import STATEFUL_SET

KINDS: tuple[Kind, ...] = (
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    JOB,
    LEASE,
    ENDPOINT_SLICE,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
)

_BY_PLURAL = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}


def by_plural(group: str, version: str, plural: str) -> Kind | None:
    """The kind behind a path such as ``/apis/apps/v1/deployments``, or None."""
    return _BY_PLURAL.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind | None:
    """The kind of an object by its ``apiVersion`` and ``kind``, or None."""
    return _BY_KIND.get((api_version, kind))
