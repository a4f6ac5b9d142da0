"""The table of spans in the guide to operations is what an exporter gets today."""

from __future__ import annotations

from importlib.metadata import version

import pytest

pytest.importorskip("opentelemetry.sdk")

from scripts.span_table import OUTCOMES, PAGE, WAYS, WINGS, take_span, write_into

CASES = [
    (wing, way, outcome)
    for wing in WINGS
    for way in WAYS
    for outcome in OUTCOMES
    if outcome != "cut stream" or way.endswith("stream")
]


@pytest.mark.parametrize(("wing", "way", "outcome"), CASES)
@pytest.mark.filterwarnings("ignore")
def test_a_span_tells_how_the_turn_ended(wing, way, outcome):
    span = take_span(wing, way, outcome)
    assert span.status.status_code.name == ("OK" if outcome == "success" else "ERROR")
    assert ("error.type" in span.attributes) == (outcome != "success")
    assert ("gen_ai.conversation.id" in span.attributes) == (not outcome.isdigit())


@pytest.mark.skipif(not version("mistralai").startswith("3."), reason="the table is printed with mistralai 3")
def test_the_table_in_the_guide_is_current():
    page = PAGE.read_text(encoding="utf-8")
    assert write_into(page) == page
