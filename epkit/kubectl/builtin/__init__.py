"""The built-in kubectl: a subset of the commands, with the real one's output to the letter."""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from epkit.errors import ApiError
from epkit.kubectl.builtin.failures import ExitError, KubectlError, NotInSubset, printed
from epkit.kubectl.builtin.session import Session

_HOMES = {
    "get": "get:get",
    "describe": "describe:describe",
    "create": "create:from_files",
    "create deployment": "create:deployment",
    "create namespace": "create:namespace",
    "create serviceaccount": "create:service_account",
    "create configmap": "create:config_map",
    "create service clusterip": "create_service:cluster_ip",
    "create service nodeport": "create_service:node_port",
    "create service loadbalancer": "create_service:load_balancer",
    "create service externalname": "create_service:external_name",
    "expose": "expose:expose",
    "apply": "apply:apply",
    "apply view-last-applied": "apply:view_last_applied",
    "scale": "scale:scale",
    "label": "label:label",
    "annotate": "label:annotate",
    "patch": "patch:patch",
    "edit": "edit:edit",
    "delete": "delete:delete",
    "rollout status": "rollout.status:status",
    "rollout restart": "rollout.changes:restart",
    "rollout pause": "rollout.changes:pause",
    "rollout resume": "rollout.changes:resume",
    "rollout history": "rollout.history:history",
    "rollout undo": "rollout.history:undo",
    "run": "run_pod:run",
    "replace": "replace:replace",
    "set image": "set_fields:image",
    "set selector": "set_fields:selector",
    "wait": "wait:wait",
    "logs": "logs:logs",
    "exec": "logs:execute",
    "cordon": "nodes:cordon",
    "uncordon": "nodes:uncordon",
    "drain": "nodes:drain",
    "explain": "explain:explain",
    "api-resources": "cluster:api_resources",
    "api-versions": "cluster:api_versions",
    "version": "cluster:version",
    "cluster-info": "cluster:cluster_info",
    "auth can-i": "cluster:can_i",
    "events": "cluster:events",
    "diff": "diff:diff",
}


def run(session: Session) -> int:
    """Carry out the session's command and return its exit status; what it prints is in ``session.output``."""
    try:
        _command(session.args.command)(session)
    except (KubectlError, ApiError) as failure:
        text, code = printed(failure)
        session.err(text)
        failed_diff = session.args.command == "diff" and not isinstance(failure, ExitError)
        return code + 1 if failed_diff else code  # 1 means that there is a difference
    return 0


def _command(name: str) -> Callable[[Session], None]:
    home = _HOMES.get(name)
    if home is None:
        raise NotInSubset(name)
    module, _, function = home.partition(":")
    found: Callable[[Session], None] = getattr(import_module(f"epkit.kubectl.builtin.{module}"), function)
    return found
