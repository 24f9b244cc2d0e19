"""Go's hashes, and the memory for what was worked out from cached objects."""
from __future__ import annotations

import pytest

from epkit.fake.controllers.endpointslice import hashes
from epkit.fake.controllers.endpointslice.hashes import dump_subset, fnv128a, sort_slice_ports
from epkit.fake.controllers.endpointslice.memo import once_per_object


@pytest.mark.parametrize(
    ("text", "hash"),
    [
        ("", "6c62272e07bb014262b821756295c58d"),
        ("a", "d228cb696f1a8caf78912b704e4a8964"),
        ("foobar", "343e1662793c64bf6f0d3597ba446f18"),
    ],
)
def test_fnv_1a_of_128_bits(text: str, hash: str) -> None:
    """The vectors of the FNV specification."""
    assert f"{fnv128a(text):032x}" == hash


def test_a_subset_is_dumped_as_spew_does() -> None:
    target = {"kind": "Pod", "namespace": "ns", "name": "a", "uid": "1"}
    subset = {
        "addresses": [{"ip": "10.0.0.1", "nodeName": "n1", "targetRef": target}, {"ip": "10.0.0.2", "hostname": "h"}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }
    assert dump_subset(subset) == (
        "(v1.EndpointSubset){Addresses:([]v1.EndpointAddress)["
        "{IP:(string)10.0.0.1 Hostname:(string) NodeName:(*string)n1 TargetRef:(*v1.ObjectReference)"
        "{Kind:(string)Pod Namespace:(string)ns Name:(string)a UID:(types.UID)1 APIVersion:(string) "
        "ResourceVersion:(string) FieldPath:(string)}} "
        "{IP:(string)10.0.0.2 Hostname:(string)h NodeName:(*string)<nil> TargetRef:(*v1.ObjectReference)<nil>}] "
        "NotReadyAddresses:([]v1.EndpointAddress)<nil> "
        "Ports:([]v1.EndpointPort)[{Name:(string)http Port:(int32)80 Protocol:(v1.Protocol)TCP "
        "AppProtocol:(*string)<nil>}]}"
    )


def test_the_order_of_ports_does_not_depend_on_the_order_given() -> None:
    ports = [{"name": f"p{number}", "protocol": "UDP", "port": number} for number in range(8)]
    assert sort_slice_ports(ports) == sort_slice_ports(reversed(ports))
    assert sort_slice_ports(ports) != ports
    assert hashes.sort_subset_ports(ports) != sort_slice_ports(ports), "subsets have an order of their own"


def test_a_function_is_called_once_for_the_very_same_objects() -> None:
    calls = []

    @once_per_object
    def name_of(obj: dict[str, str]) -> str:
        calls.append(obj)
        return obj["name"]

    one, equal = {"name": "a"}, {"name": "a"}
    assert [name_of(one), name_of(one), name_of(equal)] == ["a", "a", "a"]
    assert [call is one for call in calls] == [True, False], "an equal object is another one"


def test_the_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epkit.fake.controllers.endpointslice.memo._SIZE", 2)
    calls = []

    @once_per_object
    def remember(obj: list[int]) -> int:
        calls.append(obj)
        return len(calls)

    objects = [[1], [2], [3]]
    for obj in [*objects, objects[2], objects[0]]:
        remember(obj)
    assert calls == [[1], [2], [3], [1]]
