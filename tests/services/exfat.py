"""A file system without hard links: exFAT, on an image of its own."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.services.process import ServiceError, program

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTES: Final = 32 * 1024 * 1024


@contextmanager
def exfat() -> Iterator[Path]:
    """A folder that is a small exFAT disk, as a USB stick is; takes the right to mount."""
    with TemporaryDirectory(prefix="exfat-") as directory:
        image, folder = Path(directory, "image"), Path(directory, "disk")
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(_BYTES)
        _run(program("mkfs.exfat"), str(image))
        _run("mount", "-t", "exfat-fuse", "-o", "loop", str(image), str(folder))
        try:
            yield folder
        finally:
            _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise ServiceError(f"{' '.join(command)} ended with status {ran.returncode}: {ran.stderr.strip()}")
