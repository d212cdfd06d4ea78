"""What libraries read from the environment as they are imported: a line names it, where they have a traceback.

Pure but for the files that it names.
"""

import logging
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
        if (path := environ.get(variable)) and (problem := _problem_with(variable, path)):
            told.append(f"{variable} names {shown(path, 200)}, which cannot be used and is left out: {problem}")
            del environ[variable]
    return told


def quiet_prefect() -> None:
    """Have Prefect say in one line what keeps it from its plugins, of which there are none here."""
    logging.getLogger("prefect.plugins").addFilter(_without_traceback)


def _problem_with(variable: str, path: str) -> str | None:
    # A fifteenth of the start of a command that needs no network, and few set these variables.
    import ssl  # noqa: PLC0415 - as said

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if variable == "SSL_CERT_FILE":
            context.load_verify_locations(cafile=path)
        else:
            context.keylog_filename = path
    except ssl.SSLError:
        return "it is no file of certificates in PEM"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
