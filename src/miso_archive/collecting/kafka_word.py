"""The last word of a Kafka broker, out of librdkafka's log: why it waits stands nowhere else."""

import logging
from typing import Final

from miso_archive.text import shown

_MOST_CHARACTERS: Final = 300

_HINTS: Final = {
    "certificate verify failed": "name the CA's file by ssl_ca_location",
    "state SSL_HANDSHAKE": "the listener may be one without TLS: see security_protocol",
    "state UP": "a listener that wants a user, or TLS, hangs up like this: see security_protocol",
    "state APIVERSION": "a listener that wants a user, or TLS, hangs up like this: see security_protocol",
}


class LastWord(logging.Handler):
    """Listens to librdkafka's log by way of its own ``logger``, which prints nothing: it repeats itself without end.

    ``last`` is what went wrong last, in librdkafka's words and without the password; empty when nothing did.
    """

    def __init__(self, secret: str | None) -> None:
        super().__init__()
        self._secret = secret
        self.last = ""
        self.logger = logging.Logger("librdkafka")  # noqa: LOG001 - nobody is to configure it by its name
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line that tells of trouble."""
        facility, _, rest = record.getMessage().partition(" ")
        text = rest.partition("]: ")[2] or rest
        if facility == "FAIL" or record.levelno >= logging.WARNING or "encountered error" in text:
            hint = next((hint for sign, hint in _HINTS.items() if sign in text), "")
            self.last = f"{self.shown(text)}; {hint}" if hint else self.shown(text)

    def shown(self, text: object) -> str:
        """Return a text of librdkafka or a broker as it may be shown."""
        plain = str(text)
        if self._secret:
            plain = plain.replace(self._secret, "***")
        return shown(plain, _MOST_CHARACTERS)[1:-1]
