"""``--overrides``: JSON that changes an object made from flags.

Source: ``k8s.io/kubectl/pkg/cmd/util/override_options.go``.
"""
from __future__ import annotations

import json
from typing import Any

from epkit.kubectl.builtin.failures import KubectlError, NotInSubset
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def overridden(session: Session, obj: Obj) -> Obj:
    """The object after ``--overrides``, merged as a JSON merge patch.

    Raises:
        NotInSubset: another ``--override-type``.
    """
    text = session.args["overrides"]
    if not text:
        return obj
    if session.args["override-type"] != "merge":
        raise NotInSubset(f"{session.args.command} --override-type={session.args['override-type']}")
    try:
        patch = json.loads(text)
    except ValueError:
        raise KubectlError("Invalid JSON Patch") from None
    merged: Obj = merge_patched(obj, patch)
    return merged


def merge_patched(value: Any, patch: Any) -> Any:
    """What a JSON merge patch (RFC 7386) makes of a value."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patched(merged.get(key), change)
    return merged
