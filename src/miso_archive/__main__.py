"""``python -m miso_archive``: the same as ``miso-archive``."""

from miso_archive.cli.app import main

raise SystemExit(main())
