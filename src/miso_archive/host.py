"""The host of the feeds. Apart from them: who needs its address alone does not wait for their contracts. Pure."""

from typing import Final

API_BASE: Final = "https://public-api.misoenergy.org/api"
"""Where MISO serves its real-time feeds (seen 2026-07-27; addresses move)."""

KEYED_API_BASE: Final = "https://apim.misoenergy.org/pricing/v1"
"""Where MISO serves prices of past days, and of the day ahead, to who has a key."""
