"""Collector and archive of MISO's reserve binding constraints: shadow prices in $/MW, every five minutes."""

from importlib.metadata import version

__version__ = version("miso-reserve")
