"""Read what kube-proxy reads from a cluster, with the official Python client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from epkit.objects import Obj
from epkit.proxy.errors import ObjectError
from epkit.proxy.validate import check_objects


def load_cluster(kubeconfig: str = "", context: str = "") -> list[Obj]:
    """Services, EndpointSlices and Nodes of the cluster that a kubeconfig names; nothing is written there.

    `kubeconfig` is a file, "" for kubectl's own choice (KUBECONFIG, else ~/.kube/config); `context` is one of its
    contexts, "" for the current one. Raises `ObjectError` where the file or the cluster cannot be read.

    >>> [obj["kind"] for obj in load_cluster("kind.kubeconfig")]
    ['Node', 'Service', 'EndpointSlice']
    """
    # The client takes a third of a second to import, and only this needs it.
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    source = kubeconfig or "the kubeconfig"
    try:
        api = config.new_client_from_config(config_file=kubeconfig or None, context=context or None)
    except (config.ConfigException, OSError, TypeError, ValueError) as error:
        raise ObjectError(f"no kubeconfig that can be used: {error}", source=source) from None
    core, discovery = client.CoreV1Api(api), client.DiscoveryV1Api(api)
    lists: list[tuple[str, str, Callable[..., Any]]] = [
        ("v1", "Node", core.list_node),
        ("v1", "Service", core.list_service_for_all_namespaces),
        ("discovery.k8s.io/v1", "EndpointSlice", discovery.list_endpoint_slice_for_all_namespaces),
    ]
    objects: list[Obj] = []
    for version, kind, call in lists:
        try:
            # As plain JSON: the client's classes would lose what they do not know.
            answer = json.loads(call(_preload_content=False, _request_timeout=30).data)
        except ApiException as error:
            reason = f"the server refused to list {kind}s: {error.status} {error.reason}"
            raise ObjectError(reason, source=source) from None
        except (HTTPError, OSError, ValueError) as error:
            raise ObjectError(f"{kind}s cannot be read from {api.configuration.host}: {error}", source=source) from None
        objects += ({"apiVersion": version, "kind": kind, **item} for item in answer.get("items") or ())
    try:
        check_objects(objects)
    except ObjectError as error:
        raise error.at(source) from None
    return objects
