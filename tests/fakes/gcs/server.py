"""The fake bucket behind HTTP on the loopback interface, with everything that goes wrong."""

import http.client
import socket
import struct
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.gcs.api import Api, Route
from tests.fakes.gcs.faults import Fault, Faults
from tests.fakes.gcs.objects import QUANTUM, ApiError
from tests.fakes.gcs.wire import Answer, Request, error_answer, part_of_upload


class DisconnectedError(Exception):
    """The connection ends here without an answer."""


class HttpServer(ThreadingHTTPServer):
    """Threads, connections and the end of both.

    `ThreadingHTTPServer.server_close` waits for the threads, and a thread waits for the next
    request on its connection; so connections are ended first.
    """

    daemon_threads = False
    api: Api
    faults: Faults

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.stopping = threading.Event()
        self.seconds_before_content = 0.0
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def track(self, connection: socket.socket, *, is_open: bool) -> None:
        with self._lock:
            (self._connections.add if is_open else self._connections.discard)(connection)

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what many tests are about; say nothing."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def setup(self) -> None:
        super().setup()
        self.server.track(self.connection, is_open=True)

    def finish(self) -> None:
        self.server.track(self.connection, is_open=False)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        num_bytes = int(self.headers.get("Content-Length") or 0)
        if num_bytes:
            self.server.stopping.wait(self.server.seconds_before_content)
        body = self.rfile.read(num_bytes)
        request = Request.parsed(self.command, self.path, self.headers, body)
        try:
            self._answer(self._carried_out(request))
        except DisconnectedError:
            self.close_connection = True
            # A reset instead of a proper end, and no wait for unsent bytes.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _carried_out(self, request: Request) -> Answer:
        try:
            operation, name, carry_out = self.server.api.route(request)
        except ApiError as error:
            return error_answer(error)
        fault = self.server.faults.next(operation, name)
        try:
            if fault is None:
                return carry_out()
            return self._harmed(fault, request, (operation, name, carry_out))
        except ApiError as error:
            return error_answer(error)

    def _harmed(self, fault: Fault, request: Request, route: Route) -> Answer:
        _, _, carry_out = route
        if fault.kind == "status":
            raise ApiError(fault.status, "Scripted.", reason="scripted")
        if fault.kind == "stall":
            self.server.stopping.wait(600.0)
            raise DisconnectedError
        if fault.kind == "reset_before":
            raise DisconnectedError
        if fault.kind == "reset_partway":
            self._keep_half(request)
            raise DisconnectedError
        if fault.kind == "corrupt":
            request = replace(request, body=_flipped(request.body))
            return self.server.api.route(request)[2]()
        try:
            answer = carry_out()
        except ApiError as error:
            answer = error_answer(error)
        if fault.kind == "reset_after":
            raise DisconnectedError
        if fault.kind == "flip":
            return replace(answer, body=_flipped(answer.body))
        self._answer(answer, keep=len(answer.body) // 2)
        raise DisconnectedError

    def _keep_half(self, request: Request) -> None:
        start, _ = part_of_upload(request)
        half = request.body[: len(request.body) // 2 // QUANTUM * QUANTUM]
        upload_id = request.query["upload_id"]
        self.server.api.bucket.append(upload_id, half, start=start, total=None)

    def _answer(self, answer: Answer, *, keep: int | None = None) -> None:
        words = http.client.responses.get(answer.status, "Unknown")
        if answer.status == 308:
            words = "Resume Incomplete"
        head = [f"HTTP/1.1 {answer.status} {words}", f"Date: {self.date_time_string()}"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status != 204:
            head.append(f"Content-Length: {len(answer.body)}")
        raw = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(raw + answer.body[:keep])


def _flipped(body: bytes) -> bytes:
    """The same with one bit turned, about the middle of what is not the frame around it."""
    at = len(body) * 2 // 3
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
