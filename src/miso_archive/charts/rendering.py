"""How a notebook shows charts: as pictures, or interactive, each with all that it needs, so that no network is."""

import re
from html import escape
from typing import Any, Final, Literal

import altair as alt

from miso_archive.extras import needs

with needs("notebooks", "A chart"):
    import vl_convert

_MENU: Final = 40
"""Pixels beside and below a chart for the menu and the margins of its page."""

_AWAY: Final = "document.currentScript.previousElementSibling.remove()"

_NAME: Final = "miso-archive-offline"


def render(form: Literal["png", "html"]) -> None:
    """Show charts from now on as pictures, or as pages of their own with tooltips.

    Such a page brings Vega along: no address is asked for, and it works without a network; without scripts it shows a
    picture.
    """
    alt.renderers.register(_NAME, _framed)
    if form == "html":
        alt.renderers.enable(_NAME)
    else:
        alt.renderers.enable("png", ppi=110)


def _framed(spec: dict[str, Any], **_metadata: object) -> dict[str, str]:
    """Return a chart as a frame with a page of its own: pages that share a notebook's would share their names."""
    picture = vl_convert.vegalite_to_svg(spec)
    size = re.search(r'width="(\d+)" height="(\d+)"', picture)
    width, height = (int(pixels) + _MENU for pixels in size.groups()) if size else (900, 500)
    page = alt.Chart.from_dict(spec).to_html(inline=True)
    # Where scripts are off, whatever keeps them from running, the picture stays. Vega itself has the words <body>.
    head, body, rest = page.rpartition("<body>")
    page = f"{head}{body}<style>svg {{ overflow: visible; }}</style>{picture}<script>{_AWAY}</script>{rest}"
    return {
        "text/html": f'<iframe srcdoc="{escape(page)}" width="{width}" height="{height}" style="border: 0"></iframe>'
    }
