"""``python -m miso_reserve``: the same as ``miso-reserve``."""

from miso_reserve.cli import main

raise SystemExit(main())
