"""The flags of each command, in the names, types and defaults of kubectl 1.32.

``short/name:type=default``; types are b (true or false), i (integer), d (duration), s (text), l (texts separated by
commas, may be given again), a (texts, may be given again). What the real kubectl knows and the built-in one does not
has an exclamation mark before it: such a flag is refused by name instead of being mistaken for a typing error.
"""
from __future__ import annotations

_PRINT = "!allow-missing-template-keys:b=true o/output:s show-managed-fields:b !template:s"
_DRY = "dry-run:s=none"
_FILES = "f/filename:l !k/kustomize:s R/recursive:b"
_CREATE = f"{_PRINT} {_DRY} field-manager:s=kubectl-create save-config:b validate:s=strict"

GLOBAL = (
    "n/namespace:s request-timeout:s=0 v/v:i=0 !as:s !as-group:a !as-uid:s !cache-dir:s !certificate-authority:s "
    "!client-certificate:s !client-key:s !cluster:s !context:s !disable-compression:b !insecure-skip-tls-verify:b "
    "!kubeconfig:s !log-flush-frequency:d=5s !match-server-version:b !password:s !profile:s !profile-output:s "
    "s/!server:s !tls-server-name:s !token:s !user:s !username:s !vmodule:s !warnings-as-errors:b h/!help:b"
)

COMMANDS: dict[str, str] = {
    "get": f"{_PRINT} {_FILES} A/all-namespaces:b chunk-size:i=500 field-selector:s ignore-not-found:b "
    "L/label-columns:l no-headers:b !output-watch-events:b !raw:s l/selector:s !server-print:b=true show-kind:b "
    "show-labels:b sort-by:s subresource:s w/watch:b watch-only:b",
    "describe": f"{_FILES} A/all-namespaces:b chunk-size:i=500 l/selector:s show-events:b=true",
    "create": f"{_PRINT} {_DRY} {_FILES} !edit:b field-manager:s=kubectl-create !raw:s save-config:b l/selector:s "
    "validate:s=strict !windows-line-endings:b",
    "create deployment": f"{_CREATE} image:l port:i=-1 r/replicas:i=1",
    "create service": "",
    "create service clusterip": f"{_CREATE} clusterip:s tcp:l",
    "create service nodeport": f"{_CREATE} node-port:i=0 tcp:l",
    "create service loadbalancer": f"{_CREATE} tcp:l",
    "create service externalname": f"{_CREATE} external-name:s tcp:l",
    "create namespace": _CREATE,
    "create serviceaccount": _CREATE,
    "create configmap": f"{_CREATE} !append-hash:b from-env-file:l from-file:l from-literal:a",
    "expose": f"{_PRINT} {_DRY} {_FILES} cluster-ip:s external-ip:s field-manager:s=kubectl-expose l/labels:s "
    "load-balancer-ip:s name:s override-type:s=merge overrides:s port:s protocol:s save-config:b selector:s "
    "session-affinity:s target-port:s type:s",
    "apply": f"{_PRINT} {_DRY} {_FILES} all:b !cascade:s=background field-manager:s=kubectl-client-side-apply !force:b "
    "force-conflicts:b !grace-period:i=-1 openapi-patch:b=true overwrite:b=true !prune:b !prune-allowlist:a "
    "l/selector:s server-side:b subresource:s !timeout:d=0s validate:s=strict !wait:b",
    "apply view-last-applied": f"{_FILES} all:b o/output:s=yaml l/selector:s",
    "scale": f"{_PRINT} {_DRY} {_FILES} all:b current-replicas:i=-1 replicas:i=0 resource-version:s l/selector:s "
    "timeout:d=0s",
    "label": f"{_PRINT} {_DRY} {_FILES} all:b A/all-namespaces:b field-manager:s=kubectl-label field-selector:s list:b "
    "!local:b overwrite:b resource-version:s l/selector:s",
    "annotate": f"{_PRINT} {_DRY} {_FILES} all:b A/all-namespaces:b field-manager:s=kubectl-annotate field-selector:s "
    "list:b !local:b overwrite:b resource-version:s l/selector:s",
    "patch": f"{_PRINT} {_DRY} {_FILES} field-manager:s=kubectl-patch !local:b p/patch:s patch-file:s subresource:s "
    "type:s=strategic",
    "edit": f"{_PRINT} {_FILES} field-manager:s=kubectl-edit output-patch:b save-config:b subresource:s "
    "validate:s=strict !windows-line-endings:b",
    "delete": f"o/output:s {_DRY} {_FILES} all:b A/all-namespaces:b cascade:s=background field-selector:s force:b "
    "grace-period:i=-1 ignore-not-found:b !i/interactive:b now:b !raw:s l/selector:s timeout:d=0s wait:b=true",
    "rollout status": f"{_FILES} revision:i=0 l/selector:s timeout:d=0s w/watch:b=true",
    "rollout restart": f"{_PRINT} {_FILES} field-manager:s=kubectl-rollout l/selector:s",
    "rollout history": f"{_PRINT} {_FILES} revision:i=0 l/selector:s",
    "rollout undo": f"{_PRINT} {_DRY} {_FILES} l/selector:s to-revision:i=0",
    "rollout pause": f"{_PRINT} {_FILES} field-manager:s=kubectl-rollout l/selector:s",
    "rollout resume": f"{_PRINT} {_FILES} field-manager:s=kubectl-rollout l/selector:s",
    "run": f"{_PRINT} {_DRY} {_FILES} annotations:a !attach:b !cascade:s=background command:b env:a expose:b "
    "field-manager:s=kubectl-run !force:b !grace-period:i=-1 image:s image-pull-policy:s l/labels:s "
    "!leave-stdin-open:b override-type:s=merge overrides:s !pod-running-timeout:d=1m0s port:s privileged:b q/!quiet:b "
    "restart:s=Always !rm:b save-config:b i/!stdin:b !timeout:d=0s t/!tty:b !wait:b",
    "replace": f"{_PRINT} {_DRY} {_FILES} cascade:s=background field-manager:s=kubectl-replace force:b "
    "grace-period:i=-1 !raw:s save-config:b subresource:s timeout:d=0s validate:s=strict wait:b",
    "set image": f"{_PRINT} {_DRY} {_FILES} all:b field-manager:s=kubectl-set !local:b l/selector:s",
    "set selector": f"{_PRINT} {_DRY} f/filename:l R/recursive:b=true all:b field-manager:s=kubectl-set !local:b "
    "resource-version:s",
    "wait": f"{_PRINT} f/filename:l R/recursive:b=true all:b A/all-namespaces:b field-selector:s for:s !local:b "
    "l/selector:s timeout:d=30s",
    "logs": "all-containers:b !all-pods:b c/container:s f/!follow:b ignore-errors:b "
    "!insecure-skip-tls-verify-backend:b limit-bytes:i=0 max-log-requests:i=5 !pod-running-timeout:d=20s prefix:b "
    "p/previous:b l/selector:s since:d=0s since-time:s tail:i=-1 timestamps:b",
    "exec": "c/container:s !f/filename:l !pod-running-timeout:d=1m0s q/quiet:b i/stdin:b t/tty:b",
    "cordon": f"{_DRY} l/selector:s",
    "uncordon": f"{_DRY} l/selector:s",
    "drain": f"{_DRY} chunk-size:i=500 delete-emptydir-data:b disable-eviction:b force:b grace-period:i=-1 "
    "ignore-daemonsets:b pod-selector:s l/selector:s skip-wait-for-delete-timeout:i=0 timeout:d=0s",
    "explain": "api-version:s o/output:s=plaintext recursive:b",
    "api-resources": "api-group:s cached:b categories:l namespaced:b=true no-headers:b o/output:s sort-by:s verbs:l",
    "api-versions": "",
    "auth can-i": "A/all-namespaces:b !list:b !no-headers:b q/quiet:b subresource:s",
    "events": f"{_PRINT} A/all-namespaces:b chunk-size:i=500 for:s no-headers:b types:l w/!watch:b",
    "version": "client:b o/output:s",
    "diff": f"{_FILES} concurrency:i=1 field-manager:s=kubectl-client-side-apply force-conflicts:b !prune:b "
    "!prune-allowlist:a l/selector:s server-side:b show-managed-fields:b",
    "cluster-info": "",
}

#: what a flag stands for when it is given without a value
WITHOUT_VALUE = {"dry-run": "unchanged", "validate": "strict", "cascade": "background"}

#: commands with commands of their own; the real kubectl's are all named, so that none is taken for an argument
FAMILIES: dict[str, tuple[str, ...]] = {
    "create": (
        "clusterrole", "clusterrolebinding", "configmap", "cronjob", "deployment", "ingress", "job", "namespace",
        "poddisruptionbudget", "priorityclass", "quota", "role", "rolebinding", "secret", "service", "serviceaccount",
        "token",
    ),
    "create service": ("clusterip", "externalname", "loadbalancer", "nodeport"),
    "create secret": ("docker-registry", "generic", "tls"),
    "apply": ("edit-last-applied", "set-last-applied", "view-last-applied"),
    "rollout": ("history", "pause", "restart", "resume", "status", "undo"),
    "set": ("env", "image", "resources", "selector", "serviceaccount", "subject"),
    "auth": ("can-i", "reconcile", "whoami"),
    "cluster-info": ("dump",),
    "certificate": ("approve", "deny"),
    "top": ("node", "pod"),
    "config": (
        "current-context", "delete-cluster", "delete-context", "delete-user", "get-clusters", "get-contexts",
        "get-users", "rename-context", "set", "set-cluster", "set-context", "set-credentials", "unset", "use-context",
        "view",
    ),
}  # fmt: skip

ALIASES = {
    "create deploy": "create deployment", "create cm": "create configmap", "create ns": "create namespace",
    "create svc": "create service", "create sa": "create serviceaccount", "create cj": "create cronjob",
    "create pdb": "create poddisruptionbudget", "create ing": "create ingress", "create pc": "create priorityclass",
}  # fmt: skip

#: the first words that the real kubectl knows, in the order of its help
WORDS = (
    "create", "expose", "run", "set", "explain", "get", "edit", "delete", "rollout", "scale", "autoscale",
    "certificate", "cluster-info", "top", "cordon", "uncordon", "drain", "taint", "describe", "logs", "attach", "exec",
    "port-forward", "proxy", "cp", "auth", "debug", "events", "diff", "apply", "patch", "replace", "wait", "kustomize",
    "label", "annotate", "completion", "api-resources", "api-versions", "config", "plugin", "version", "options",
    "help",
)  # fmt: skip
