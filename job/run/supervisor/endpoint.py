"""What the pod answers over HTTP, whatever the training process does.

`/metrics` is the page of the training process, or its last one while it does not answer; the
probes are answered from its last beat::

    endpoint = Endpoint()
    MetricsServer(endpoint.app, host="0.0.0.0", port=9090).start()
    endpoint.heard(beat)
"""

import http.client
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from job.run.supervisor.beat import Beat
from job.telemetry.health import Answer
from job.telemetry.server import plain_answer

# A probe's default time-out is 1 s, and connecting takes as long as reading at most.
FETCH_SECONDS = 0.4
REFRESH_SECONDS = 1.0
_ASKED = {"HTTP_ACCEPT": "Accept", "HTTP_ACCEPT_ENCODING": "Accept-Encoding"}
_TOLD = ("Content-Type", "Content-Encoding")


@dataclass(frozen=True)
class Page:
    """An answer of the training process to `/metrics`."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


class Endpoint:
    """Answers in the place of the training process; safe to use from every thread."""

    def __init__(self) -> None:
        self._beat = Beat(0)
        self._is_running = False
        self._was_started = False
        self._given_up = ""
        self._last = Page(
            (("Content-Type", CONTENT_TYPE_PLAIN_0_0_4),),
            b"# The training process has not answered yet.\n",
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="refresh", daemon=True)

    def start_refreshing(self) -> None:
        """Keeps the last page at most a second old from now on."""
        self._thread.start()

    def heard(self, beat: Beat) -> None:
        """The training process said this."""
        self._beat, self._is_running = beat, True
        self._was_started = self._was_started or beat.startup.ok

    @property
    def was_started(self) -> bool:
        """Whether training began once, as the startup probe knows."""
        return self._was_started

    def process_ended(self) -> None:
        """Nobody answers until another process is heard."""
        self._is_running = False

    def give_up(self, reason: str) -> None:
        """No training process will be started again."""
        self._is_running, self._given_up = False, reason
        self._ended.set()

    def app(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The WSGI application."""
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page = self._page(environ)
            start_response("200 OK", list(page.headers))
            return [page.body]
        probes = {"/livez": self._alive, "/readyz": self._ready, "/startupz": self._startup}
        if path not in probes:
            return plain_answer(
                HTTPStatus.NOT_FOUND, "not found", environ=environ, start=start_response
            )
        answer = probes[path]()
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        return plain_answer(status, answer.reason, environ=environ, start=start_response)

    def _alive(self) -> Answer:
        return Answer(ok=not self._given_up, reason=self._given_up or "alive")

    def _ready(self) -> Answer:
        if not self._is_running:
            return Answer(ok=False, reason=self._given_up or "the training process starts")
        return self._beat.ready

    def _startup(self) -> Answer:
        # A process that is started again does not start the pod again.
        return Answer(ok=True, reason="started") if self._was_started else self._beat.startup

    def _page(self, environ: dict[str, Any]) -> Page:
        headers = {name: environ[key] for key, name in _ASKED.items() if key in environ}
        page = self._fetch(environ.get("QUERY_STRING", ""), headers)
        return self._last if page is None else page

    def _fetch(self, query: str = "", headers: dict[str, str] | None = None) -> Page | None:
        if not self._is_running or not self._beat.port:
            return None
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._beat.port, timeout=FETCH_SECONDS
        )
        try:
            path = f"/metrics?{query}" if query else "/metrics"
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            return None
        told = ((name, answer.headers[name]) for name in _TOLD if name in answer.headers)
        return Page(tuple(told), body)

    def _refresh(self) -> None:
        while not self._ended.wait(REFRESH_SECONDS):
            self._last = self._fetch() or self._last
