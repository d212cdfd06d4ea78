"""Pages: notebooks run on an archive, each made one file that opens without a network."""

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

NOTEBOOKS: Final = ("market_day", "shadow_prices", "reserve_and_prices", "archive_health")
"""The notebooks that can be made pages of."""

if TYPE_CHECKING:
    NotebookName: TypeAlias = str
else:
    NotebookName = Literal[NOTEBOOKS]
    """One of them: a choice in a form."""
