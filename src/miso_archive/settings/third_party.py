"""What libraries read from the environment as they are imported: a line names it, where they have a traceback."""

import logging
import ssl
from collections.abc import MutableMapping
from typing import Final

from miso_archive.text import shown, strip_variable

# httpx opens both as Prefect is imported, urllib3 the second with each request by TLS.
_VARIABLES: Final = ("SSL_CERT_FILE", "SSLKEYLOGFILE")


def leave_out_unusable(environ: MutableMapping[str, str]) -> list[str]:
    """Take out the variables whose files cannot be used, and return a sentence on each.

    A snapshot that can be collected without them is not to be lost for them.
    """
    told = []
    for variable in _VARIABLES:
        strip_variable(environ, variable)
        if path := environ.get(variable):
            try:
                _use(variable, path)
            except OSError as error:
                problem = "it is no file of certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
                told.append(f"{variable} names {shown(path, 200)}, which cannot be used and is left out: {problem}")
                del environ[variable]
    return told


def quiet_prefect() -> None:
    """Have Prefect say in one line what keeps it from its plugins, of which there are none here."""
    logging.getLogger("prefect.plugins").addFilter(_without_traceback)


def _use(variable: str, path: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if variable == "SSL_CERT_FILE":
        context.load_verify_locations(cafile=path)
    else:
        context.keylog_filename = path


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
