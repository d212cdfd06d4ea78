"""The notebooks, run on an archive: ``python -m tests.tools.notebooks`` remakes their outputs and README's plot."""

from __future__ import annotations

import base64
import os
import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import nbformat
from nbclient import NotebookClient

from miso_archive.feeds import FEEDS
from miso_archive.pages import NOTEBOOKS as NAMES
from miso_archive.pages.page import PICTURE
from miso_archive.simulate.archive import write_archive

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS: Final = Path(__file__).parents[2] / "notebooks"
PICTURED: Final = "market_day"
"""The notebook whose picture README shows."""

PLOT: Final = NOTEBOOKS / f"{PICTURED}.png"

_DAYS: Final = 90
_SEED: Final = 11


def committed(name: str) -> NotebookNode:
    """Read a notebook as it stands in the repository."""
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    notebook: NotebookNode = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def executed(name: str, archive: Path) -> NotebookNode:
    """Run a committed notebook's cells on an archive, in a kernel of its own, and return it with its outputs.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = committed(name)
    environment = {**os.environ, "MISO_ARCHIVE": str(archive), "MISO_CHARTS": "png"}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(NOTEBOOKS), env=environment)
    # The kernel's version of Python is no part of a notebook, and would differ from machine to machine.
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def images(notebook: NotebookNode, tag: str | None = None) -> list[bytes]:
    """Return the PNG images among the outputs, of all cells or of those with a tag."""
    return [base64.b64decode(data["image/png"]) for data in _outputs(notebook, tag) if "image/png" in data]


def deflated(image: bytes) -> bytes:
    """Return a PNG image with the same pixels in a quarter of the bytes: its renderer compresses for speed."""
    signature, chunks, pixels = image[:8], [], b""
    position = len(signature)
    while position < len(image):
        (length,) = struct.unpack_from(">I", image, position)
        kind, data = image[position + 4 : position + 8], image[position + 8 : position + 8 + length]
        position += length + 12
        if kind == b"IDAT":
            pixels += data
        else:
            chunks.append((kind, data))
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
    return signature + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _deflate_images(notebook: NotebookNode) -> None:
    for data in _outputs(notebook):
        if "image/png" in data:
            data["image/png"] = base64.b64encode(deflated(base64.b64decode(data["image/png"]))).decode()


def _outputs(notebook: NotebookNode, tag: str | None = None) -> list[dict[str, str]]:
    cells = [cell for cell in notebook.cells if tag is None or tag in cell.metadata.get("tags", [])]
    return [output.data for cell in cells for output in cell.get("outputs", []) if "data" in output]


def main() -> None:
    """Run every notebook on a simulated archive, and write it and README's plot."""
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        write_archive(archive, days=_DAYS, seed=_SEED, feeds=tuple(FEEDS.values()))
        made = {name: executed(name, archive) for name in NAMES}
    for name, notebook in made.items():
        _deflate_images(notebook)
        nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")  # type: ignore[no-untyped-call]
    (plot,) = images(made[PICTURED], PICTURE)
    PLOT.write_bytes(plot)


if __name__ == "__main__":
    main()
