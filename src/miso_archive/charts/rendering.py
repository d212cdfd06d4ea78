"""How a notebook shows charts: as pictures, or interactive, each with all that it needs, so that no network is."""

import json
import struct
from base64 import b64encode
from functools import cache
from html import escape
from typing import Any, Final, Literal

import altair as alt

from miso_archive.extras import needs

with needs("pages", "A chart"):
    import vl_convert

_MENU: Final = 64
"""Pixels beside and below a chart for the menu and the margins of its page."""

_DOTS_PER_INCH: Final = 110
_PIXELS_PER_INCH: Final = 72
_NAME: Final = "miso-archive-offline"
# Vega-Lite's version as vl-convert spells it: v6_1 of v6.1.0.
_VERSION: Final = "_".join(alt.SCHEMA_VERSION.split(".")[:2])
# Vega takes the picture's place when it has drawn: where scripts are off, or fail, the picture stays. A page of many
# charts takes Vega out of each, and has it once (pages/page.py).
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<style>body {{ margin: 0; }} svg {{ overflow: visible; }}</style>
</head>
<body>
<img id="picture" src="data:image/png;base64,{picture}" width="{width}" height="{height}" alt="{title}">
<div id="chart"></div>
<script id="vega">{vega}</script>
<script>
if (!window.vegaEmbed) {{
  const shared = document.createElement("script");
  shared.textContent = parent.document.getElementById("vega").textContent;
  document.head.append(shared);
}}
vegaEmbed("#chart", {spec}, {{mode: "vega-lite"}}).then(() => document.getElementById("picture").remove());
</script>
</body>
</html>
"""


def render(form: Literal["png", "html"]) -> None:
    """Show charts from now on as pictures, or as pages of their own with tooltips.

    Such a page brings Vega along: no address is asked for, and it works without a network; without scripts it shows a
    picture, and so does whatever takes pictures alone.
    """
    alt.renderers.register(_NAME, _framed)
    if form == "html":
        alt.renderers.enable(_NAME)
    else:
        alt.renderers.enable("png", ppi=_DOTS_PER_INCH)


def _framed(spec: dict[str, Any], **_metadata: object) -> dict[str, str | bytes]:
    """Return a chart as a frame with a page of its own: pages that share a notebook's would share their names."""
    picture = vl_convert.vegalite_to_png(spec, vl_version=_VERSION, ppi=_DOTS_PER_INCH)
    width, height = (dots * _PIXELS_PER_INCH // _DOTS_PER_INCH for dots in struct.unpack_from(">II", picture, 16))
    title = escape(_title(spec))
    page = _PAGE.format(
        picture=b64encode(picture).decode(),
        width=width,
        height=height,
        title=title,
        vega=_vega(),
        spec=json.dumps(spec).replace("<", "\\u003c"),  # a name in it must not end the script
    )
    size = f'width="{width + _MENU}" height="{height + _MENU}"'
    return {
        "text/html": f'<iframe srcdoc="{escape(page)}" title="{title}" {size} style="border: 0"></iframe>',
        "image/png": picture,
    }


def _title(spec: dict[str, Any]) -> str:
    """Return what a chart is called, for who hears it; anybody's chart may come by."""
    title = spec.get("title")
    text = title.get("text") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else str(text or "A chart")


@cache
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    bundle: Any = vl_convert.javascript_bundle  # typed as if it took no default
    return str(bundle(vl_version=_VERSION))
