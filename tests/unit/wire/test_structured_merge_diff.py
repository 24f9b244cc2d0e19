"""Random sequences of updates and applies, beside what the Go implementation made of them.

The recording holds, for each operation, the object and each manager's fields, or the conflicts, as upstream's library
answered. Empty values aside, which the API drops before anybody sees them, both must be the same.
"""
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from epkit.fake.wire import fieldmanager, fieldset, typed

RECORDED = json.loads(gzip.decompress(Path(__file__).with_name("structured_merge_diff.json.gz").read_bytes()))
SERVICE = typed.type_of("io.k8s.api.core.v1.Service")


def plain(value: Any) -> Any:
    """Without nulls, and lists in one order: the library is older than the order that v1.36 gives merged lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items()) if item is not None}
    if isinstance(value, list):
        return sorted(map(plain, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def state(live: Any, managed: fieldmanager.Managed) -> Any:
    return {"live": plain(live), "managers": {
        manager.name: sorted(fieldset.paths(entry.fields)) for manager, entry in managed.items()}}


def recorded(result: Any) -> Any:
    return {"live": plain(result["live"]), "managers": {
        manager: sorted(fieldset.paths(tree)) for manager, tree in result["managers"].items()}}


@pytest.mark.parametrize("scenario", RECORDED["scenarios"], ids=lambda _: "")
def test_the_same_as_upstream(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fieldmanager, "_UNMANAGED", {})  # that the name has no manager is a rule of the layer above
    live: Any = RECORDED["zero"]
    managed: fieldmanager.Managed = {}
    for operation, result in zip(scenario["operations"], scenario["results"], strict=True):
        obj = operation["obj"]
        if operation["op"] == "apply":
            applier = fieldmanager.Manager(operation["manager"], "Apply", "", "")
            request = fieldmanager._Apply(live, obj, SERVICE, applier, "v1", {})
            merged, after, conflicts = request.run(managed, operation["force"])
            if conflicts or "conflicts" in result:
                found = [f"{manager.name} {fieldset.path_text(path)}"
                         for manager, tree in conflicts.items() for path in fieldset.paths(tree)]
                assert sorted(found) == result.get("conflicts")
                continue
            live, managed = merged, after
        else:
            managed = dict(managed)
            manager = fieldmanager.Manager(operation["manager"], "Update", "v1", "")
            fieldmanager._record_update(managed, typed.compare(live, obj, SERVICE), manager, "2026-01-01T00:00:00Z")
            live = obj
        assert state(live, managed) == recorded(result)
