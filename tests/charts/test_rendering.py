"""How a chart is shown: a frame that needs no network, with a picture in it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl
import pytest

from miso_archive.charts.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.notebooks

NAME = "</script><b>A constraint & more"


@pytest.fixture(autouse=True)
def _renderer_of_before() -> Iterator[None]:
    """Altair's renderer is the process's."""
    with alt.renderers.enable(alt.renderers.active):
        yield


def shown(form: Any, title: Any) -> dict[str, Any]:  # noqa: ANN401 - what Altair takes, and what may be no form
    """What Jupyter gets of a chart of one bar."""
    render(form)
    chart = alt.Chart(pl.DataFrame({"name": [NAME], "price": [-1.5]})).mark_bar().encode(y="name:N", x="price:Q")
    made: Any = chart if title is None else chart.properties(title=title)
    bundle = made._repr_mimebundle_()
    return dict(bundle[0] if isinstance(bundle, tuple) else bundle)


@pytest.mark.parametrize(
    ("title", "called"),
    [
        (alt.TitleParams("Prices", subtitle=["SIMULATED"]), "Prices"),
        ("Prices", "Prices"),
        (alt.TitleParams(["Prices", '"so"']), 'Prices "so"'),
        (None, "A chart"),
    ],
    ids=["with a subtitle", "text", "lines", "none"],
)
def test_a_frame_is_called_as_its_chart(title: Any, called: str) -> None:  # noqa: ANN401 - as above
    """For who hears it, and for who looks while scripts are off; anybody's chart may be drawn."""
    frame = shown("html", title)["text/html"]
    page = unescape(frame.split('srcdoc="')[1].split('"')[0])
    assert [unescape(name) for name in re.findall(r'" title="([^"]*)" width=', frame)] == [called]
    assert [unescape(name) for name in re.findall(r'<img id="picture" .* alt="([^"]*)">', page)] == [called]


def test_a_name_ends_no_script() -> None:
    """What MISO publishes stands in the chart's data; as text of a script it is escaped, and still the same."""
    frame = shown("html", None)
    page = unescape(frame["text/html"].split('srcdoc="')[1].split('"')[0])
    assert page.count("</script>") == 2
    spec = page.rpartition('vegaEmbed("#chart", ')[2].partition(", {mode")[0]
    (rows,) = json.loads(spec)["datasets"].values()
    assert rows == [{"name": NAME, "price": -1.5}]
    assert frame["image/png"].startswith(b"\x89PNG")


def test_pictures_alone() -> None:
    """For a notebook that stays small."""
    assert set(shown("png", None)) == {"image/png"}
