"""Charts: frames in, Altair charts out."""

from miso_archive.extras import needs

with needs("pages", "A chart"):
    import altair as alt  # noqa: F401 - every chart is one of Altair's
