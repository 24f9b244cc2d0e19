"""What every picture has: a sentence, a label, a size that fits a page, and texts that cannot break out."""

from __future__ import annotations

import re

import pytest
import view_objects as made
import view_pictures as pictures

from epkit.errors import ApiError
from epkit.views import canvas, palette, topology
from epkit.views.canvas import Canvas
from epkit.views.diagram import WIDEST, Diagram
from epkit.views.text import clean, count, cut, fit, listing, size_in_bytes, width_of


def drawn(wide: float = 200, high: float = 100) -> Diagram:
    return Diagram("a sentence", svg=Canvas(wide, high).svg())


def test_the_sentence_is_text_and_label_and_the_svg_stands_alone() -> None:
    diagram = drawn()
    assert repr(diagram) == diagram.sentence == "a sentence"
    shown = diagram._repr_mimebundle_()
    assert shown["text/plain"] == "a sentence" and shown["image/svg+xml"].startswith("<svg ")
    assert pictures.parsed(diagram).get("aria-label") == "a sentence"


def test_a_sentence_with_markup_and_control_characters_is_a_label_still() -> None:
    diagram = Diagram('a "b" <c> & \x00\x1b \ud800', svg=Canvas(10, 10).svg())
    assert pictures.parsed(diagram).get("aria-label") == 'a "b" <c> & \ufffd\ufffd \ufffd'


@pytest.mark.parametrize(
    ("wide", "high", "shown"), [(200, 100, (200, 100)), (1800, 100, (900, 50)), (900, 9, (900, 9))]
)
def test_no_picture_is_wider_than_a_page(wide: float, high: float, shown: tuple[int, int]) -> None:
    root = pictures.parsed(drawn(wide, high))
    assert (int(root.get("width", 0)), int(root.get("height", 0))) == shown
    assert root.get("viewBox") == f"0 0 {wide} {high}"


def test_a_wide_graph_is_made_to_fit_as_well() -> None:
    dot = "digraph { rankdir=LR; " + " -> ".join(f"a{number}" for number in range(30)) + " }"
    root = pictures.parsed(Diagram("wide", dot))
    assert root.get("width") == str(WIDEST)


def test_graphviz_leaves_no_tooltips_and_no_comments() -> None:
    diagram = topology.of_service(made.crowd(3), "web")
    assert diagram.svg.count("<title>") == 1 and "<!--" not in diagram.svg and "<!DOCTYPE" not in diagram.svg


def test_numbers_are_short_and_the_same_everywhere() -> None:
    board = Canvas(100, 100)
    board.rect(1 / 3, 2.0, 10.04, 1e-9, fill=palette.CARD)
    assert 'x="0.3" y="2" width="10" height="0"' in board.svg()


def test_a_pattern_is_defined_once_for_each_colour() -> None:
    board = Canvas(100, 100)
    for _ in range(3):
        board.rect(0, 0, 10, 10, fill=palette.CARD, line=palette.ORANGE, pattern="stripes")
    board.rect(0, 0, 10, 10, fill=palette.CARD, line=palette.BLUE, pattern="stripes")
    ids = re.findall(r'<pattern id="([^"]+)"', board.svg())
    assert ids == ["epkit-stripes-b34700", "epkit-stripes-0072b2"]


def test_an_arrow_points_where_its_line_ends() -> None:
    board = Canvas(100, 100)
    board.line([(10, 10), (10, 50)], arrow=True)
    points = pictures.all_of(Diagram("a", svg=board.svg()), "polygon")[0].get("points")
    assert points == "10,50 6,42 14,42"


@pytest.mark.parametrize("line", sorted(canvas.DASHES))
def test_line_styles(line: str) -> None:
    board = Canvas(10, 10)
    board.line([(0, 0), (1, 1)], style=line)
    assert ("stroke-dasharray" in board.svg()) is (line != "solid")


def test_texts_are_cleaned_cut_and_measured() -> None:
    assert clean("a\nb\t\u202e\u2028\x7f") == "a\ufffdb" + "\ufffd" * 4
    assert clean("größe 名前 ✔ e\u0301") == "größe 名前 ✔ e\u0301"
    assert cut("a" * 63) == "a" * 63 and len(cut("a" * 64)) == 63
    assert fit("web", 12, 100) == "web"
    shortened = fit("my-deployment-57fd887bb6-25bg6", 12, 100)
    assert "…" in shortened and width_of(shortened, 12) <= 100 < width_of(shortened + "xx", 12)
    assert width_of("iii", 12) < width_of("mmm", 12) < width_of("mmm", 12, bold=True)
    assert width_of("iii", 12, mono=True) == width_of("mmm", 12, mono=True)
    assert listing(["a", "b"], 2) == "a, b" and listing(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listing([]) == ""
    assert count(1, "node") == "1 node" and count(0, "node") == "0 nodes"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (84, "84 B"), (999, "999 B"), (999.9, "1 kB"), (1000, "1 kB"), (10_600, "10.6 kB"), (53e6, "53 MB"),
     (8.4e9, "8.4 GB"), (2e14, "200 TB"), (1e22, "1e+04 EB")],
)  # fmt: skip
def test_bytes(number: float, text: str) -> None:
    assert size_in_bytes(number) == text


def test_what_one_may_not_list_is_missing_and_said() -> None:
    cluster = made.crowd(3)
    inner = cluster.client.list

    def listed(resource: str, *args: object, **kwargs: object) -> object:
        if resource in ("nodes", "pods"):
            raise ApiError({"code": 403, "reason": "Forbidden", "message": f"{resource} is forbidden"})
        return inner(resource, *args, **kwargs)  # type: ignore[arg-type]

    cluster.client.list = listed  # type: ignore[method-assign,assignment]
    diagram = topology.of_service(cluster, "web")
    assert diagram.sentence.endswith(
        "10.0.0.2 ready on node-2 in zone-c. You may not list pods and nodes: what depends on them is missing here."
    )
    assert "(gone)" not in diagram.sentence
    pictures.check(diagram)


def test_a_server_that_fails_in_another_way_is_not_taken_for_an_empty_one() -> None:
    cluster = made.crowd(3)

    def listed(*args: object, **kwargs: object) -> object:
        raise ApiError({"code": 500, "message": "etcd is away"})

    cluster.client.list = listed  # type: ignore[method-assign,assignment]
    with pytest.raises(ApiError, match="etcd is away"):
        topology.of_service(cluster, "web")
