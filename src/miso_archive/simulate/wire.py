"""The HTTP server under the simulated feed: sends whatever `Reply` it is given, and stops at once when told to."""

import gzip
import json
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Thread, current_thread
from typing import Any

from miso_archive.simulate.faults import DRIP_SECONDS, Reply

logger = logging.getLogger("miso_archive.simulate")

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_POLL_SECONDS = 0.05  # how soon the accepting thread notices that it is to stop

Respond = Callable[[str, Mapping[str, str]], Reply]
"""Gives the reply, its body filled in, to a GET of a path with the given request headers; the query comes with the path
where it is asked for."""


class ReplyServer(ThreadingHTTPServer):
    """Answers each GET with the reply that `respond` gives; every answer says that it is simulated.

    The socket listens from construction on and requests are answered from `start` to `stop`.

    Args:
        host: an IPv4 address or host name to listen on.
        port: the port to listen on; 0 takes a free one, named by `server_port`.
        respond: called in the thread of each connection.
        with_query: whether the path is told with its query.

    Raises:
        OSError: the address cannot be listened on.
    """

    request_queue_size = 128

    def __init__(self, host: str, port: int, respond: Respond, *, with_query: bool = False) -> None:
        self.respond = respond
        self.with_query = with_query
        self.stopping = Event()
        self._connections: dict[Thread, socket.socket] = {}
        self._accepting = Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="simulated-feed", daemon=True)
        super().__init__((host, port), _Handler)

    def start(self) -> None:
        """Answer requests, in the background."""
        self._accepting.start()

    def stop(self) -> None:
        """Break off whatever is being answered, wait for the threads to end, and free the port."""
        self.stopping.set()
        if self._accepting.ident is not None:
            self.shutdown()
            self._accepting.join()
        for thread, connection in list(self._connections.items()):
            with suppress(OSError):  # it may have ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the standard library, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Answer a connection in a thread of its own, remembered so that `stop` can end it."""
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._connections[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        """Answer a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.pop(current_thread(), None)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as the base class
        """Log that a connection broke, where the standard library would print a traceback."""
        logger.debug("a connection broke", exc_info=True)  # noqa: LOG014 - called while the exception is handled


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 on one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ReplyServer

    def do_GET(self) -> None:
        path = self.path if self.server.with_query else self.path.partition("?")[0]
        self._send(self.server.respond(path, dict(self.headers.items())))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - as the base class
        self.close_connection = True  # what follows a request that was not understood cannot be trusted
        self._send(Reply(code, json.dumps({"error": self._phrase(code)}).encode()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        logger.debug("%r", format % args)  # quoted, because a request line is whatever the client sent

    def _send(self, reply: Reply) -> None:
        if self.server.stopping.wait(reply.delay):
            self.close_connection = True
        elif reply.reset:
            self._reset()
        else:
            self.close_connection = self.close_connection or reply.truncate_to is not None
            body = reply.body or b""
            head = self._head(reply, len(body))
            body = body[: reply.truncate_to]
            self.log_request(reply.status, len(body))
            self._write(head, body, reply)

    def _write(self, head: bytes, body: bytes, reply: Reply) -> None:
        if reply.drip_headers:
            self._drip(head, DRIP_SECONDS if reply.drip is None else reply.drip)
            head = b""
        if reply.drip is None:
            self.wfile.write(head + body)
        else:
            self.wfile.write(head)
            self._drip(body, reply.drip)

    def _drip(self, data: bytes, pause: float) -> None:
        for position in range(len(data)):
            if self.server.stopping.wait(pause):
                raise ConnectionAbortedError("the simulated feed stops")
            self.wfile.write(data[position : position + 1])

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # Closing through the socket object would wait for the handler's files, and say goodbye first.
        socket.close(self.connection.detach())

    def _head(self, reply: Reply, length: int) -> bytes:
        usual = {
            "Date": formatdate(usegmt=True),
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(length),
            **({"Connection": "close"} if self.close_connection else {}),
        }
        replaced = {name.lower() for name in reply.headers}
        headers = {
            "Server": "miso-archive-simulated-feed",
            "X-Simulated": "true",
            **{name: value for name, value in usual.items() if name.lower() not in replaced},
            **reply.headers,
        }
        lines = [f"HTTP/1.1 {reply.status} {self._phrase(reply.status)}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _phrase(self, status: int) -> str:
        return self.responses.get(status, ("Simulated", ""))[0]


def compressed(reply: Reply) -> Reply:
    """Give the same reply with its body gzip-encoded, unless it already is encoded or is to be cut short."""
    if "content-encoding" in {name.lower() for name in reply.headers} or reply.truncate_to is not None:
        return reply
    return replace(
        reply,
        body=gzip.compress(reply.body or b"", mtime=0),
        headers={**reply.headers, "Content-Encoding": "gzip"},
    )
