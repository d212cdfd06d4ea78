"""A notebook run on an archive in a kernel of its own, and the page that is made of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from miso_archive.extras import needs
from miso_archive.text import shown

with needs("notebooks", "A page"):
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert import HTMLExporter

_NBFORMAT: Final[Any] = nbformat  # it has no types

MOST_SECONDS: Final = 600
"""For one cell."""

# In a wheel they lie beside this file; in a checkout they are the notebooks that people open.
_PLACES: Final = (Path(__file__).with_name("notebooks"), Path(__file__).parents[3] / "notebooks")
# Of its own: nbconvert's pages bring scripts along, or ask the network for them.
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 sans-serif; color: #222; max-width: 1000px; margin: 2em auto; padding: 0 1em; }}
h1, h2 {{ line-height: 1.2; }}
blockquote {{ border-left: 4px solid #ddd; margin-left: 0; padding-left: 1em; color: #555; }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ border: 1px solid #ddd; padding: 0.2em 0.6em; text-align: left; }}
iframe, img {{ max-width: 100%; }}
.anchor-link {{ display: none; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


class FailedCellError(RuntimeError):
    """A cell failed: the message has its number and its error."""


@dataclass(frozen=True, slots=True)
class Page:
    """A notebook that was run: the ``notebook`` with its outputs, as JSON, and the ``html`` page of them."""

    notebook: bytes
    html: bytes


def make_page(
    name: str, archive: str, *, day: date | None = None, environment: Mapping[str, str] | None = None
) -> Page:
    """Run a notebook on an archive, and make a page of it, which shows outputs and words, and no code.

    Args:
        name: One of ``NOTEBOOKS``.
        archive: A folder, or ``s3://bucket`` with or without a folder; its keys come from the environment.
        day: The market day (EST) that it is about, for a notebook of one; the last one when None.
        environment: Further variables for the process that runs it.

    Raises:
        FailedCellError: A cell failed, or did not end in time.
        MissingExtraError: The extra ``notebooks`` is not installed.
    """
    notebook = _executed(name, archive, day, environment or {})
    exporter: Any = HTMLExporter
    body, _ = exporter(template_name="basic", exclude_input=True, exclude_output_prompt=True).from_notebook_node(
        notebook
    )
    title = name.replace("_", " ") + (f" {day}" if day else "")
    return Page(_NBFORMAT.writes(notebook).encode(), _PAGE.format(title=title, body=body).encode())


def _executed(name: str, archive: str, day: date | None, more: Mapping[str, str]) -> Any:  # noqa: ANN401 - nbformat has no types
    notebook = _NBFORMAT.read(_path_of(name), as_version=4)
    client = NotebookClient(notebook, timeout=MOST_SECONDS, kernel_name="python3", record_timing=False)
    environment = {
        **os.environ,
        **more,
        "MISO_ARCHIVE": archive,
        "MISO_MARKET_DAY": "" if day is None else day.isoformat(),
        "MISO_CHARTS": "html",
    }
    with TemporaryDirectory() as folder:
        try:
            client.execute(cwd=folder, env=environment)
        except CellExecutionError as error:
            raise FailedCellError(
                f"{name}: {_which(notebook)} failed: {error.ename}: {shown(error.evalue, 300)}"
            ) from error
        except CellTimeoutError as error:
            raise FailedCellError(f"{name}: {_which(notebook)} did not end within {MOST_SECONDS} s") from error
        except DeadKernelError as error:
            raise FailedCellError(f"{name}: {_which(notebook)} ended the process that ran it") from error
    return notebook


def _which(notebook: Any) -> str:  # noqa: ANN401 - likewise
    """Name the cell that was run last, by its number among those of code."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [number for number, cell in enumerate(code, 1) if cell.get("execution_count") or cell.get("outputs")]
    return f"cell {max(begun, default=1)}"


def _path_of(name: str) -> Path:
    for place in _PLACES:
        if (path := place / f"{name}.ipynb").is_file():
            return path
    raise FileNotFoundError(f"{name}.ipynb is neither in {_PLACES[0]} nor in {_PLACES[1]}")
