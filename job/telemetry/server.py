"""Serves the metrics and the probes of one process over HTTP, and nothing else.

It needs no TensorFlow, so that it is up while that is imported::

    app = routes(registry, Health())
    server = MetricsServer(app, host="127.0.0.1", port=0)
    port = server.start()
"""

import errno
import io
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from job.errors import ConfigError
from job.telemetry.health import Health

log = logging.getLogger(__name__)

# How long `stop` may wait for the accepting thread to notice.
POLL_SECONDS = 0.1

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class MetricsServer:
    """The HTTP endpoint of one process.

    Args:
        app: Answers the requests, as `routes` does.
        host: Address to listen on, the value of `metrics.host`.
        port: TCP port, the value of `metrics.port`; 0 takes any free one.
    """

    def __init__(self, app: WsgiApp, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._app = app
        self._server: _Server | None = None

    def start(self) -> int:
        """Binds the port, then serves from daemon threads, which do not delay the exit.

        Returns:
            The bound port; differs from the requested one when that was 0.

        Raises:
            ConfigError: The address or the port is not available.
        """
        try:
            self._server = _bound_server(self._host, self._port)
        except (OSError, ValueError) as error:  # ValueError: a host that IDNA cannot encode
            raise explain_bind_error(error, host=self._host, port=self._port) from error
        self._server.set_app(self._app)
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": POLL_SECONDS},
            name="metrics-server",
            daemon=True,
        ).start()
        return self._server.server_port

    def stop(self) -> None:
        """Frees the port. Stopping a server that is not running does nothing."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def routes(registry: CollectorRegistry, health: Health) -> WsgiApp:
    """The WSGI application: `/metrics`, the three probes, and 404 for every other path."""
    metrics = make_wsgi_app(registry)
    probes = {"/livez": health.alive, "/readyz": health.ready, "/startupz": health.startup}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        status, text = HTTPStatus.NOT_FOUND, "not found"
        if path == "/metrics":
            try:
                page: Iterable[bytes] = metrics(environ, start_response)
                return page
            except Exception:  # a collector may fail in any way; training goes on
                log.warning("metrics page failed", exc_info=True)
                status, text = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"
        elif path in probes:
            answer = probes[path]()
            status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
            text = answer.reason
        return plain_answer(status, text, environ=environ, start=start_response)

    return app


def plain_answer(
    status: HTTPStatus, text: str, *, environ: dict[str, Any], start: Callable[..., Any]
) -> list[bytes]:
    """Answers a WSGI request with one line of text."""
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    start(f"{status.value} {status.phrase}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else f"{text}\n".encode()]


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


def _bound_server(host: str, port: int) -> "_Server":
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    server = _Server(family)
    try:
        server.bind(address)
    except BaseException:
        server.server_close()
        raise
    return server


class _Server(ThreadingMixIn, WSGIServer):
    """One daemon thread a request."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily) -> None:
        self.address_family = family
        super().__init__(("", 0), _Handler, bind_and_activate=False)

    def bind(self, address: Any) -> None:
        self.server_address = address
        self.server_bind()
        self.server_activate()

    def server_bind(self) -> None:
        # The method of HTTPServer looks the host name up in DNS, which may take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # The base class prints a traceback; a client that hung up is not worth one.
        log.debug("metrics client failed", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = 5.0  # seconds of silence after which a client is dropped

    def log_message(self, format: str, *args: object) -> None:
        """Stays silent: a scrape every few seconds is no news."""

    def get_stderr(self) -> io.StringIO:
        return io.StringIO()  # receives the traceback of a client that stopped reading
