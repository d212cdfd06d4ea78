"""Pages in the archive: put there, and told of."""

from datetime import date
from typing import NamedTuple

from miso_archive.collecting.told import as_block, copy_command, object_link
from miso_archive.pages.notebook_run import NotebookRun
from miso_archive.pages.page import Page
from miso_archive.store.layout import page_key
from miso_archive.store.store import Store


class KeptPage(NamedTuple):
    """The addresses of a page and of the notebook that it was made of."""

    page: str
    notebook: str


def keep_page(store: Store, run: NotebookRun, page: Page, *, day: date) -> KeptPage:
    """Put a page and its notebook into the folder of a market day (EST), each in place of the one before, whole.

    Raises:
        ArchiveError: The archive does not take them.
    """
    keys = KeptPage(page_key(day, run.name, "html"), page_key(day, run.name, "ipynb"))
    store.replace(keys.notebook, page.notebook)
    store.replace(keys.page, page.html)
    return KeptPage(*(object_link(store.location, key) for key in keys))


def page_markdown(run: NotebookRun, kept: KeptPage, *, endpoint: str | None = None, profile: str | None = None) -> str:
    """Tell where a page lies, to be copied: a browser opens no ``s3://``, and from Prefect's UI no ``file://`` either.

    ``endpoint`` and ``profile`` are those of ``show_command``.
    """
    said, fetched = "The page, for a browser's address bar:", []
    if kept.page.startswith("s3://"):
        said = "The page, and a command that fetches it:"
        fetched = ["", *as_block(copy_command(kept.page, f"{run.name}.html", endpoint=endpoint, profile=profile))]
    page = [f"## {run.title.capitalize()}", "", said, "", *as_block(kept.page), *fetched]
    return "\n".join([*page, "", "The notebook that it was made of:", "", *as_block(kept.notebook)])
