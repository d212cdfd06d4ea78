"""A notebook run on an archive in a kernel of its own, and the page that is made of it."""

import asyncio
import atexit
import os
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from miso_archive.contract.findings import FailureCode
from miso_archive.extras import needs
from miso_archive.failures import CollectionError
from miso_archive.pages.notebook_run import NotebookRun
from miso_archive.settings.options import ArchiveSettings
from miso_archive.store.address import address_of
from miso_archive.store.store import ArchiveError
from miso_archive.text import shown

with needs("pages", "A page"):
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert import HTMLExporter
    from traitlets.config import Config

_NBFORMAT: Final[Any] = nbformat  # it has no types

MOST_SECONDS: Final = 600
"""For one cell."""

_START_SECONDS: Final = 180
"""For the process that runs the cells: its minute is over before a busy machine has started it."""

# In a wheel they lie beside this file; in a checkout they are the notebooks that people open.
PLACES: Final = (Path(__file__).with_name("notebooks"), Path(__file__).parents[3] / "notebooks")
"""Where notebooks are looked for."""

PICTURE: Final = "picture"
"""Tags the cell whose chart stands for the whole page."""

OF_THE_REPOSITORY: Final = "repository"
"""Tags the cell that speaks of the outputs in the repository, and is no part of a page."""

# How charts/rendering.py brings Vega along: a megabyte in each chart.
_VEGA: Final = re.compile(r"(?<=&lt;script id=&quot;vega&quot;&gt;).+?(?=&lt;/script&gt;)", re.DOTALL)

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
table {{ border-collapse: collapse; font-size: 12px; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #ddd; padding: 0.2em 0.5em; text-align: left; }}
iframe, img {{ max-width: 100%; }}
.anchor-link {{ display: none; }}
</style>
</head>
<body>
<script type="text/plain" id="vega">{vega}</script>
{body}
</body>
</html>
"""


class FailedCellError(CollectionError):
    """A cell failed: the message has its number and its error. Where it could not read the archive it is transient."""

    def __init__(self, message: str, transient: bool = False) -> None:  # noqa: FBT001, FBT002 - as it is pickled
        super().__init__(FailureCode.NOTEBOOK_FAILED, message, transient=transient)

    def __reduce__(self) -> tuple[type["FailedCellError"], tuple[str, bool]]:
        """Pickle by what it was made of: Dask carries errors between processes."""
        return type(self), (self.message, self.transient)


@dataclass(frozen=True, slots=True)
class Page:
    """A notebook that was run.

    The ``notebook`` with its outputs, as JSON, the ``html`` page of them, and the ``picture`` (PNG) of the one chart
    that stands for it; None where no cell is tagged so.
    """

    notebook: bytes
    html: bytes
    picture: bytes | None


def make_page(run: NotebookRun, settings: ArchiveSettings) -> Page:
    """Run a notebook on an archive, and make a page of it, which shows outputs and words, and no code.

    Args:
        run: The notebook, and what it is about.
        settings: Where the archive is; the process that runs the notebook has a bucket's keys from the environment.

    Raises:
        FailedCellError: A cell failed, or did not end in time; or the process that runs them did not start.
        MissingExtraError: The extra ``pages`` is not installed.
    """
    notebook = _NBFORMAT.read(_path_of(run.name), as_version=4)
    profile = {} if settings.aws_profile is None else {"AWS_PROFILE": settings.aws_profile}
    _execute(notebook, run, {**os.environ, **profile, **run.variables, "MISO_ARCHIVE": address_of(settings)})
    executed = _NBFORMAT.writes(notebook).encode()
    picture = _picture(notebook)
    notebook.cells = [cell for cell in notebook.cells if OF_THE_REPOSITORY not in _tags(cell)]
    vega = _taken_out(notebook)
    exporter: Any = HTMLExporter
    body, _ = exporter(template_name="basic", exclude_input=True, exclude_output_prompt=True).from_notebook_node(
        notebook
    )
    return Page(executed, _PAGE.format(title=escape(run.title), vega=vega, body=body).encode(), picture)


def _execute(notebook: Any, run: NotebookRun, environment: Mapping[str, str]) -> None:  # noqa: ANN401 - no types
    begun = [0]

    def note(*, cell_index: int, **_of_the_hook: object) -> None:
        begun[0] = cell_index

    def which() -> str:
        """Name the cell that was run last, by its number among those of code."""
        code = sum(cell.cell_type == "code" for cell in notebook.cells[: begun[0] + 1])
        return f"{run.name}: cell {code}"

    with TemporaryDirectory() as folder:
        # Not over TCP: whoever shares the machine could reach the kernel's ports.
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        client = NotebookClient(
            notebook,
            timeout=MOST_SECONDS,
            startup_timeout=_START_SECONDS,
            kernel_name="python3",
            record_timing=False,
            on_cell_execute=note,
            config=config,
        )
        running = client.async_execute(cwd=folder, env={**environment, "MISO_CHARTS": "html"})
        try:
            asyncio.run(running)  # not its own execute: that leaves the loop of a thread open
        except CellExecutionError as error:
            # Of errors that name another kind, as no credentials, none passes by itself.
            passes = error.ename == ArchiveError.__name__
            raise FailedCellError(f"{which()} failed: {error.ename}: {shown(error.evalue, 300)}", passes) from error
        except CellTimeoutError as error:
            raise FailedCellError(f"{which()} did not end within {MOST_SECONDS} s") from error
        except DeadKernelError as error:
            raise FailedCellError(f"{which()} ended the process that ran it") from error
        except RuntimeError as error:  # so nbclient says it, and leaves behind what fails at the end of this process
            atexit.unregister(client._cleanup_kernel)  # noqa: SLF001 - as said
            told = f"{run.name}: the process that runs its cells did not start: {shown(str(error), 300)}"
            raise FailedCellError(told, transient=True) from error


def _taken_out(notebook: Any) -> str:  # noqa: ANN401 - likewise
    """Take Vega out of the charts and return it, for all of them: empty where there are none."""
    vega = ""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        html = output.get("data", {}).get("text/html", "")
        if (found := _VEGA.search(html)) is not None:
            vega = unescape(found[0])
            output.data["text/html"] = html.replace(found[0], "")
    return vega


def _picture(notebook: Any) -> bytes | None:  # noqa: ANN401 - likewise
    for cell in notebook.cells:
        for output in cell.get("outputs", []) if PICTURE in _tags(cell) else []:
            if (image := output.get("data", {}).get("image/png")) is not None:
                return b64decode(image)
    return None


def _tags(cell: Any) -> list[str]:  # noqa: ANN401 - likewise
    return list(cell.metadata.get("tags", []))


def _path_of(name: str) -> Path:
    for place in PLACES:
        if (path := place / f"{name}.ipynb").is_file():
            return path
    raise FileNotFoundError(f"{name}.ipynb is neither in {PLACES[0]} nor in {PLACES[1]}")
