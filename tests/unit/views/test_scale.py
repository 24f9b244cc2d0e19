"""Bytes and writes: the numbers of the tables, and the curves that show them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.errors import EpkitError
from epkit.views import chart, palette, scale
from epkit.views.chart import Axis, Curve


def cells(diagram: scale.Diagram) -> list[list[str]]:
    """The table below the headline, cell by cell."""
    return [re.split(r"\s{2,}", line) for line in diagram.sentence.splitlines()[1:]]


def test_one_change_with_the_sizes_that_were_measured() -> None:
    diagram = scale.one_change(endpoints=(50, 100, 1000), nodes=(100,))
    assert diagram.sentence.splitlines()[0] == (
        "Bytes sent to all nodes when one endpoint changes (protobuf, 84 B an address of Endpoints and 106 B an "
        "endpoint of a slice, as measured on Kubernetes v1.36.2). Endpoints keep 1,000 addresses at most."
    )
    assert cells(diagram) == [
        ["ENDPOINTS", "NODES", "WITH ENDPOINTS", "WITH SLICES OF 100", "RATIO"],
        ["50", "100", "420 kB", "530 kB", "0.79"],
        ["100", "100", "840 kB", "1.06 MB", "0.79"],
        ["1,000", "100", "8.4 MB", "1.06 MB", "7.9"],
    ]


def test_endpoints_stop_growing_at_a_thousand_addresses_unless_nothing_is_cut() -> None:
    cut, whole = (scale.one_change(endpoints=(20_000,), nodes=(5000,), most_addresses=most) for most in (1000, None))
    assert cells(cut)[1][2:] == ["420 MB", "53 MB", "7.9"]
    assert cells(whole)[1][2:] == ["8.4 GB", "53 MB", "158"]


def test_a_rolling_update_of_a_thousand_pods_on_five_hundred_nodes() -> None:
    assert cells(scale.rolling_update(endpoints=(100, 1000), nodes=(500,)))[1:] == [
        ["100", "500", "840 MB", "1.59 GB", "0.53"],
        ["1,000", "500", "84 GB", "15.9 GB", "5.3"],
    ]


def test_writes() -> None:
    assert cells(scale.writes(endpoints=(20, 250)))[1:] == [
        ["20", "1", "1", "40", "60"],
        ["250", "1", "3", "500", "750"],
    ]


def test_slices_of_several_sizes() -> None:
    assert cells(scale.slice_size(endpoints=1000, nodes=1, places=(1000, 10, 100)))[1:] == [
        ["10", "100", "1.06 kB"],
        ["100", "10", "10.6 kB"],
        ["1,000", "1", "106 kB"],
    ]


def encoded(obj: Any) -> int:
    return len(json.dumps(obj, separators=(",", ":")))


def test_sizes_are_those_of_objects_that_are_encoded() -> None:
    addresses = [{"ip": "10.0.0.1", "nodeName": "node-1"}]
    endpoints = {"kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [{"addresses": addresses}]}
    one_slice = made.endpoint_slice("web-a", [made.endpoint("10.0.0.1", pod="web-1")])
    sizes = scale.of_objects(endpoints, one_slice)
    assert sizes.of_endpoints(7) == encoded({**endpoints, "subsets": [{"addresses": addresses * 7}]})
    assert sizes.of_slice(3) - sizes.of_slice(2) == encoded(one_slice["endpoints"][0]) + len(",")
    assert len(one_slice["endpoints"]) == 1, "what was given is not changed"
    assert scale.of_objects(endpoints, one_slice, lambda obj: b"four").of_slice(9) == 4


def test_sizes_of_a_service_on_a_cluster() -> None:
    with epkit.Cluster({"start": made.MOMENT}) as cluster:
        cluster.kubectl("create deployment web --image=nginx --replicas=2")
        cluster.kubectl("expose deployment web --port=80")
        sizes = scale.of_service(cluster, "svc/web")
        raw = cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web").items[0]
        assert sizes.of_slice(2) == encoded(raw)
        assert "JSON, measured on the objects of svc/web" in scale.one_change(sizes, nodes=(1,)).sentence
        cluster.kubectl("scale deployment web --replicas=0")
        cluster.settle()
        with pytest.raises(EpkitError, match="There is no endpoint to measure"):
            scale.of_service(cluster, "svc/web")


@pytest.mark.parametrize("draw", [scale.one_change, scale.rolling_update, scale.writes, scale.slice_size])
def test_the_pictures_read_on_a_dark_page_and_are_the_same_every_time(draw: Any) -> None:
    first, second = draw(), draw()
    pictures.check(first)
    assert first.svg == second.svg


def test_curves_differ_in_colour_line_and_marker_and_are_named() -> None:
    diagram = scale.one_change(nodes=(100, 5000))
    assert {"Endpoints, 100 nodes", "slices, 100 nodes", "Endpoints, 5,000 nodes", "slices, 5,000 nodes"} <= set(
        pictures.words(diagram)
    )
    lines = pictures.all_of(diagram, "polyline", stroke_width="2")
    assert [(line.get("stroke"), line.get("stroke-dasharray")) for line in lines] == [
        (palette.ORANGE, "6 3"), (palette.BLUE, None), (palette.ORANGE, "6 3"), (palette.BLUE, None),
    ]  # fmt: skip
    assert len(pictures.all_of(diagram, "circle")) == 7  # one for each number of endpoints, on one of the curves


def test_both_axes_are_logarithmic() -> None:
    points = [(1, 1), (10, 100), (100, 10_000)]
    svg = chart.draw([Curve("a", points, palette.BLUE, "solid", "circle")], Axis("x", str), Axis("y", str))
    diagram = scale.Diagram("a", svg=svg)
    xs, ys = ([float(circle.get(name, 0)) for circle in pictures.all_of(diagram, "circle")] for name in ("cx", "cy"))
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2)


def test_names_at_the_same_height_are_moved_apart() -> None:
    diagram = scale.one_change(endpoints=(1,), nodes=(100, 101, 102))
    names = [text for text in pictures.all_of(diagram, "text") if "nodes" in (text.text or "")]
    heights = sorted(float(name.get("y", 0)) for name in names)
    assert len(heights) == 6
    assert all(later - sooner >= 16.9 for sooner, later in zip(heights, heights[1:], strict=False))
    pictures.check(diagram)


@pytest.mark.parametrize("wrong", [{"endpoints": ()}, {"nodes": ()}, {"endpoints": (0, 5)}, {"places": 0}])
def test_numbers_that_make_no_curve_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(EpkitError, match="needs numbers of endpoints, nodes and places of 1 or more"):
        scale.one_change(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("draw", [scale.one_change, scale.rolling_update, scale.writes, scale.slice_size])
def test_the_picture_holds_the_table_of_the_sentence(draw: Any) -> None:
    diagram = draw()
    table = [cell for line in cells(diagram) for cell in line]
    assert sorted(pictures.words(diagram)[-len(table) :]) == sorted(table)
