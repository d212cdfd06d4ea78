"""The version of this collector, as it is installed."""

from importlib.metadata import version
from typing import Final

__version__: Final = version("miso-archive")
