"""A headless Chromium, spoken to by the DevTools protocol over a pipe.

It resolves no name and reaches no host; what a page asks for is recorded all the same::

    with Browser() as browser:
        page = browser.open(path)
        page.evaluate("document.title")
        assert not page.complaints and not page.requests
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

PROGRAM = shutil.which("chromium")

_WAIT_SECONDS = 60.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests also run as root, for whom Chromium has no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


class Browser:
    """A browser process; one for many pages."""

    def __enter__(self) -> Self:
        self._cleanup = contextlib.ExitStack()
        profile = self._cleanup.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        assert PROGRAM is not None, "chromium is not installed; `make system` does it"
        read_end, self._to = os.pipe()
        self._from, write_end = os.pipe()
        # The protocol is spoken on descriptors 3 and 4, each message ended by a zero byte. The
        # shell puts them there: Python's own way, preexec_fn, is not safe with threads.
        theirs_in, theirs_out = (
            fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read_end, write_end)
        )
        os.close(read_end)
        os.close(write_end)
        moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
        self._process = subprocess.Popen(
            ["bash", "-c", moved, "bash", PROGRAM, *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._buffer, self.events = 0, b"", []
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.call("Browser.close")
        self._process.wait(_WAIT_SECONDS)
        os.close(self._to)
        os.close(self._from)
        self._cleanup.close()

    def open(
        self, path: Path, *, width: int = 1280, height: int = 900, scheme: str = "light"
    ) -> "Page":
        """Opens a file and waits until its charts are drawn."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, session["sessionId"])
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height, scheme=scheme)
        page.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + _WAIT_SECONDS
        while page.evaluate("document.documentElement?.dataset.ready") != "yes":
            assert time.monotonic() < deadline, page.complaints
            time.sleep(0.05)
        return page

    def call(self, method: str, *, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], _WAIT_SECONDS)
            part = os.read(self._from, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError("the browser does not answer")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


class Page:
    """An open page.

    Args:
        browser: Where it is open.
        session: Its session of the protocol.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, session=self._session, **params)

    def resize(self, width: int, height: int, *, scheme: str = "light") -> None:
        """Sets the size of the window in pixels, and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        # The page hears of either with its next frame.
        self.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression of the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """A PNG of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    @property
    def complaints(self) -> list[Any]:
        """Warnings and errors of the console, and exceptions nobody caught."""
        found = []
        for name, params in self._events():
            is_bad = params.get("type") in ("error", "warning", "assert")
            if name == "Runtime.exceptionThrown" or (
                name == "Runtime.consoleAPICalled" and is_bad
            ):
                found.append(params)
            elif name == "Log.entryAdded":
                found.append(params["entry"])
        return found

    @property
    def requests(self) -> list[str]:
        """Every address that was asked for, but for the file itself and data within it."""
        asked = [
            params["request"]["url"]
            for name, params in self._events()
            if name == "Network.requestWillBeSent"
        ]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (event["method"], event.get("params", {}))
            for event in self._browser.events
            if event.get("sessionId") == self._session
        ]
