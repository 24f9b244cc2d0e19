"""Colours: every pair that is drawn can be told apart, by everybody, on a white card on any page."""

from __future__ import annotations

from itertools import combinations

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.views import packing, palette, rules_svg, sequence
from epkit.views.palette import contrast

GROUNDS = {"card": palette.CARD, "zone": palette.ZONE, "head": palette.HEAD}
WORDS = {name: getattr(palette, name) for name in ("INK", "FAINT", "BLUE", "ORANGE", "GREEN", "BROWN", "PURPLE")}
LOOKS = {
    look.word: look
    for look in (
        *palette.LOOKS.values(), palette.ABSENT, *sequence.LOOKS.values(), packing.KEPT, packing.NEW, packing.LEFT,
        *rules_svg.LOOKS.values(), rules_svg.OTHER, *rules_svg.ENDS.values(),
    )
}  # fmt: skip


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#0072b2", "#ffffff") == contrast("#ffffff", "#0072b2") == pytest.approx(5.19, abs=0.01)


@pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS)
@pytest.mark.parametrize("colour", WORDS.values(), ids=WORDS)
def test_every_colour_of_words_on_every_ground(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= pictures.TEXT_CONTRAST


@pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS)
def test_rules_and_frames_on_every_ground(ground: str) -> None:
    assert contrast(palette.RULE, ground) >= pictures.SHAPE_CONTRAST


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_look_on_its_own_ground_and_on_the_card(look: palette.Look) -> None:
    assert contrast(look.colour, palette.CARD) >= pictures.TEXT_CONTRAST
    assert contrast(look.colour, look.fill) >= pictures.SHAPE_CONTRAST
    assert contrast(palette.INK, look.fill) >= pictures.TEXT_CONTRAST


@pytest.mark.parametrize("looks", [palette.LOOKS.values(), sequence.LOOKS.values()], ids=["states", "writes"])
def test_looks_side_by_side_differ_by_more_than_colour(looks: object) -> None:
    for first, second in combinations(looks, 2):  # type: ignore[call-overload]
        assert first.sign != second.sign and first.word != second.word
        assert (first.line, first.pattern) != (second.line, second.pattern)


def test_who_answered_reads_on_a_dark_page_too() -> None:
    with epkit.Cluster({"start": made.MOMENT}) as cluster:
        cluster.kubectl("create deployment web --image=nginx --replicas=2")
        cluster.kubectl("expose deployment web --port=80")
        cluster.settle()
        responses = cluster.request("http://web", n=10)
        from epkit.views import requests

        pictures.check(requests.of_responses(responses))
