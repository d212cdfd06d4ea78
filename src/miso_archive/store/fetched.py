"""When an archive's bodies were fetched, each asked for once."""

from collections.abc import Mapping, Sequence

from miso_archive.store.store import Store


class Fetched:
    """Answers as ``Store.fetched_at`` does; what is known is not asked again."""

    def __init__(self, store: Store, known: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._known = dict(known or {})

    def at(self, keys: Sequence[str]) -> list[str]:
        """Return when each body was fetched, in UTC, as its provenance says; empty where none is kept."""
        unknown = [key for key in keys if key not in self._known]
        if unknown:
            self._known |= zip(unknown, self._store.fetched_at(unknown), strict=True)
        return [self._known[key] for key in keys]
