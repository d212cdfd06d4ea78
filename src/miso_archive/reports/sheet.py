"""The first sheet of a legacy Excel workbook as text: what runs in a process of its own.

It takes neither polars nor the rest of the library, which would double the time in which the process begins.
"""

import resource
import sys
from typing import Any, Final

MOST_MEMORY: Final = 1024**3
"""Bytes of address space, not all of it used: a sheet of 60,000 rows passes, and takes 200 MB of memory."""

FOUND, UNREADABLE = b"found", b"unreadable"
"""What an answer begins with: the sheet follows, or why there is none."""


class NoSheetError(ValueError):
    """The bytes are no workbook with a sheet that can be read: the message says why."""


def sheet_of(data: bytes) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the first sheet, each cell as text, as an Arrow batch.

    Raises:
        NoSheetError: There is none that can be read.
    """
    import fastexcel  # noqa: PLC0415 - who reads no report need not wait for it

    try:
        return fastexcel.read_excel(data).load_sheet(0, header_row=None, skip_rows=0, dtypes="string").to_arrow()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise NoSheetError(str(error).partition("\n")[0]) from error


def main() -> None:
    """Read the workbooks that come on standard input, each after its size; answer each on standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    while size := sys.stdin.buffer.readline():
        try:
            word, answer = FOUND, _streamed(sheet_of(sys.stdin.buffer.read(int(size))))
        except NoSheetError as error:
            word, answer = UNREADABLE, str(error).encode()
        sys.stdout.buffer.write(b"%s %d\n%s" % (word, len(answer), answer))
        sys.stdout.buffer.flush()


def _streamed(batch: Any) -> bytes:  # noqa: ANN401 - likewise
    import pyarrow as pa  # noqa: PLC0415 - likewise

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


if __name__ == "__main__":
    main()
