"""Serves the metrics and the probes of one process over HTTP, and nothing else.

Written for a port that anybody in the cluster may reach: four read-only routes, a bounded
number of connections, a deadline for each, no details of failures in answers. It needs no
TensorFlow, so that it is up while that is imported::

    server = MetricsServer(registry, host="127.0.0.1", port=0, health=Health())
    port = server.start()
"""

import errno
import gzip
import io
import logging
import socket
import socketserver
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from job.errors import ConfigError
from job.telemetry.health import Answer, Health

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
MAX_REQUEST_BYTES = 16 * 1024
DEADLINE_SECONDS = 5.0
# How long `stop` may wait for the accepting thread to notice.
POLL_SECONDS = 0.1
TEXT = "text/plain; charset=utf-8"


class MetricsServer:
    """The HTTP endpoint of one process.

    Args:
        registry: What `/metrics` shows.
        host: Address to listen on, the value of `metrics.host`.
        port: TCP port, the value of `metrics.port`; 0 takes any free one.
        health: What the probes are told.
        deadline_seconds: For a client to send its request, and for each write to it.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        health: Health,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._registry = registry
        self._host = host
        self._port = port
        self._health = health
        self._deadline_seconds = deadline_seconds
        self._server: _Server | None = None

    def start(self) -> int:
        """Binds the port, then serves from daemon threads that never hold the process up.

        Returns:
            The port bound; other than asked for when that was 0.

        Raises:
            ConfigError: The address or the port cannot be had.
        """
        try:
            self._server = self._bound()
        except (OSError, ValueError) as error:  # ValueError: a host that IDNA cannot encode
            raise explain_bind_error(error, host=self._host, port=self._port) from error
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": POLL_SECONDS},
            name="metrics-server",
            daemon=True,
        ).start()
        port: int = self._server.server_address[1]
        return port

    def stop(self) -> None:
        """Frees the port. Stopping a server that does not run does nothing."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _bound(self) -> "_Server":
        infos = socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = infos[0]
        server = _Server(family, self._registry, self._health, self._deadline_seconds)
        try:
            server.bind(address)
        except BaseException:
            server.server_close()
            raise
        return server


def explain_bind_error(error: Exception, *, host: str, port: int) -> ConfigError:
    """Says which setting made listening impossible, and what to do.

    Args:
        error: What resolving the address or binding it raised.
        host: The value of `metrics.host`.
        port: The value of `metrics.port`.
    """
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return ConfigError(
            f"metrics.port: {port} on metrics.host {host!r} is in use by another process. "
            "Allowed is any free port, or 0, which takes one. Set metrics.port to 0 or to "
            "another number."
        )
    if code in (errno.EACCES, errno.EPERM):
        return ConfigError(
            f"metrics.port: {port} on metrics.host {host!r} may not be used by this user: "
            "ports below 1024 are for privileged processes. Allowed is any free port from 1024 "
            "to 65535, or 0, which takes one. Set metrics.port to 0 or to such a number."
        )
    return ConfigError(
        f"metrics.host: {host!r} is no address of this machine ({error}; metrics.port is "
        f"{port}). Allowed is an address that this machine has. Set metrics.host to 127.0.0.1 "
        "for this machine only, or to 0.0.0.0 for every interface."
    )


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, at most `MAX_CONNECTIONS` at a time; one thread for each.

    `http.server.HTTPServer` is not the base: it looks the host's name up in the DNS when it
    binds, which can take seconds.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        family: socket.AddressFamily,
        registry: CollectorRegistry,
        health: Health,
        deadline_seconds: float,
    ) -> None:
        self.address_family = family
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.registry = registry
        self.health = health
        self.deadline_seconds = deadline_seconds
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def bind(self, address: Any) -> None:
        self.server_address = address
        self.server_bind()
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started for it
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # The base class prints a traceback; a client that hung up is not worth one.
        log.debug("metrics client failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request and closes the connection."""

    server: _Server
    # Else a request line that is not understood is answered without a status.
    default_request_version = "HTTP/1.0"

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BytesIO(self._received_head())
        self.connection.settimeout(self.server.deadline_seconds)

    def handle(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(MAX_REQUEST_BYTES)
        if not self.raw_requestline:
            return
        if self.parse_request():
            self._route()

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        # The base class answers with a page that quotes the request and names the software.
        self._reply(HTTPStatus(code), HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: object) -> None:
        """Stays silent: a scrape every few seconds is no news."""

    def _received_head(self) -> bytes:
        # One deadline for the whole head: with a timeout for each read, a client that sends a
        # byte now and then would hold its connection for ever.
        deadline = time.monotonic() + self.server.deadline_seconds
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self.connection.recv(4096)
            head += received
            if not received or len(head) > MAX_REQUEST_BYTES:
                return b""  # never completed: not worth an answer
        return head

    def _route(self) -> None:
        path = self.path.partition("?")[0]
        probes = {
            "/livez": self.server.health.alive,
            "/readyz": self.server.health.ready,
            "/startupz": self.server.health.startup,
        }
        if path != "/metrics" and path not in probes:
            self._reply(HTTPStatus.NOT_FOUND, "not found")
        elif self.command not in ("GET", "HEAD"):
            self._reply(
                HTTPStatus.METHOD_NOT_ALLOWED, "method not allowed", {"Allow": "GET, HEAD"}
            )
        elif path == "/metrics":
            self._metrics()
        else:
            self._probe(probes[path]())

    def _probe(self, answer: Answer) -> None:
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._reply(status, answer.reason)

    def _metrics(self) -> None:
        try:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            body = encode(self.server.registry)
        except Exception:  # a collector may fail in any way; training goes on
            log.warning("metrics page failed", exc_info=True)
            self._reply(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
            return
        headers = {"Content-Type": content_type}
        if gzip_accepted(self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        self._send(HTTPStatus.OK, body, headers)

    def _reply(
        self, status: HTTPStatus, line: str, headers: dict[str, str] | None = None
    ) -> None:
        self._send(status, f"{line}\n".encode(), {"Content-Type": TEXT, **(headers or {})})

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        # Not send_response: that one adds a header with the versions of the software.
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
