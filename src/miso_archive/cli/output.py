"""Where a command's rows go, and in which format: standard output or a file, told by the file's name."""

import os
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import polars as pl
from cyclopts import Parameter

from miso_archive.analysis.export import csv_text, with_times_as_text
from miso_archive.cli.streams import OutputError, put
from miso_archive.settings.options import UsageError
from miso_archive.text import counted

Format = Literal["table", "csv", "parquet", "json"]
# "-" is standard output, and to cyclopts the beginning of an option.
File = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]

_FORMAT_OF: Final[dict[str, Format]] = {
    "": "table",
    ".txt": "table",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
}
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})
_MOST_ROWS_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's rows go; made before its work, so that a mistake is told at once."""

    form: Format
    file: Path | None

    @classmethod
    def of(cls, form: Format | None, output: Path | None) -> Self:
        """Read ``--format`` and ``--output``: a file's format is that of its name, unless another is given.

        Raises:
            UsageError: The two contradict each other, the name tells no format, or no file can stand there.
        """
        file = None if output is None or str(output) == "-" else output
        if file is None:
            form = form or "table"
            if form == "parquet" and sys.stdout.isatty():
                raise UsageError("Parquet is not for a terminal: give --output FILE, or pipe it")
            return cls(form, None)
        refuse_no_place_for_a_file(file)
        if file.suffix.lower() in _COMPRESSED:
            raise UsageError(
                f"--output: {_shown(file)} is named like a compressed file, and none is: leave out the {file.suffix}"
            )
        named = _FORMAT_OF.get(file.suffix.lower())
        if form is None and named is None:
            raise UsageError(
                f"--output: {_shown(file)} tells no format: name it .csv, .parquet, .json or .txt, or give --format"
            )
        if form is not None and file.suffix and named not in {None, form}:
            raise UsageError(f"--output: {_shown(file)} is named like {named}, and --format says {form}")
        return cls(form or named or "table", file)

    def write(self, frame: pl.DataFrame, *, has_times: bool = True) -> None:
        """Write a frame; a file whole or not at all. A table says of times that they are in EST.

        Raises:
            OutputError: It cannot be written.
        """
        data = _formatted(frame, self.form, has_times=has_times)
        if self.file is None:
            put(data)
            return
        try:
            self.file.write_bytes(data)
        except OSError as error:
            if self.file.is_file():  # half a file is taken for a whole one
                self.file.unlink(missing_ok=True)
            raise OutputError(f"--output: {_shown(self.file)} cannot be written: {error.strerror}") from error


def put_file(file: Path, data: bytes) -> None:
    """Write a file whole, or leave what stands there.

    Raises:
        OutputError: It cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"--output: {_shown(file)} cannot be written: {error.strerror}") from error


def refuse_no_place_for_a_file(file: Path) -> None:
    """Say so where no file can stand.

    Raises:
        UsageError: There is a folder of that name, none above it, or no right to write.
    """
    if str(file).startswith("-"):
        raise UsageError(f"--output needs a file, not {_shown(file)}; one of that name is ./{_shown(file)}")
    try:
        if file.is_dir():
            raise UsageError(f"--output: {_shown(file)} is a folder: name a file in it")
        if not file.parent.is_dir():
            raise UsageError(f"--output: {_shown(file)} cannot be written: there is no folder {_shown(file.parent)}")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise UsageError(f"--output: {_shown(file)} cannot be written: Permission denied")
    except OSError as error:  # a folder above has no rights, or the name is too long
        raise UsageError(f"--output: {_shown(file)} cannot be written: {error.strerror}") from error


def _shown(path: Path) -> str:
    return str(path) if str(path).isprintable() else ascii(str(path))


def _formatted(frame: pl.DataFrame, form: Format, *, has_times: bool) -> bytes:
    if form == "parquet":
        data = BytesIO()
        frame.write_parquet(data)
        return data.getvalue()
    if form == "json":
        return with_times_as_text(frame).write_json().encode() + b"\n"
    if form == "csv":
        return csv_text(frame).encode()
    return _table(frame, ", times in EST" if has_times else "")


def _table(frame: pl.DataFrame, times: str) -> bytes:
    readable = frame.with_columns(
        pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M"),
        pl.selectors.string().str.replace_all(r"\p{Cc}", "\N{REPLACEMENT CHARACTER}"),  # a terminal would obey them
    )
    with pl.Config(
        tbl_formatting="NOTHING",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_cell_numeric_alignment="RIGHT",
        tbl_rows=_MOST_ROWS_SHOWN,
        tbl_cols=-1,
        tbl_width_chars=200,
        fmt_str_lengths=100,
        float_precision=2,
    ):
        return f"{readable}\n{counted(len(frame), 'row')}{times}\n".encode()
