"""A page in a browser: Chromium by the WebDriver protocol (W3C), and a server for the page."""

import base64
import contextlib
import functools
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

_SECONDS = 60
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name of references to elements
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
)


class BrowserError(Exception):
    """The browser refused a command, or a page did not come to what was waited for."""


class Browser:
    """One window of Chromium.

    Attributes:
      downloads: the folder for what the page saves.
      version: of the browser.
    """

    def __init__(
        self,
        driver: str,
        profile: pathlib.Path,
        width: int = 1280,
        height: int = 800,
        touch: bool = False,
        camera: pathlib.Path | None = None,
    ):
        """Opens a window whose page has `width` x `height` pixels.

        Args:
          driver: the address of a chromedriver.
          profile: a folder for what the browser keeps, and for downloads.
          width, height: of the page.
          touch: whether it is a phone.
          camera: what its camera shows, again and again: a file of JPEG pictures one behind the other (.mjpeg).

        Raises:
          BrowserError: if the driver cannot start the browser.
        """
        options = {"args": [*_FLAGS.split(), f"--user-data-dir={profile}"]}
        if camera is not None:
            options["args"].append(f"--use-file-for-fake-video-capture={camera}")
        options["prefs"] = {"download.default_directory": str(profile), "download.prompt_for_download": False}
        # A window of a size has a page of some other.
        metrics = {"width": width, "height": height, "pixelRatio": 1, "touch": touch, "mobile": touch}
        options["mobileEmulation"] = {"deviceMetrics": metrics}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.downloads = profile
        self._session = driver
        made = self._call("/session", {"capabilities": {"alwaysMatch": always}})
        self._session = f"{driver}/session/{made['sessionId']}"
        self.version = made["capabilities"]["browserVersion"]

    def _call(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self._session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise BrowserError(error.read().decode()) from None

    def open(self, url: str) -> None:
        """Goes to a page."""
        self._call("/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Returns what a script returns; it may `await`."""
        body = (
            f"const done = arguments[arguments.length - 1]; (async (...a) => {{ {script} }})(...arguments).then(done)"
        )
        return self._call("/execute/async", {"script": body, "args": list(arguments)})

    def find(self, selector: str) -> str:
        """Returns the first element of a CSS selector."""
        return self._call("/element", {"using": "css selector", "value": selector})[_ELEMENT]

    def click(self, selector: str) -> None:
        """Clicks on an element."""
        self._call(f"/element/{self.find(selector)}/click")

    def drag(self, selector: str, right: int, down: int) -> None:
        """Drags an element, from its middle, by a number of pixels."""
        steps = [
            {"type": "pointerMove", "origin": {_ELEMENT: self.find(selector)}, "x": 0, "y": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "origin": "pointer", "x": right, "y": down, "duration": 100},
            {"type": "pointerUp", "button": 0},
        ]
        self._call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def type(self, selector: str, text: object) -> None:
        """Types into an element; into one for files, their paths."""
        self._call(f"/element/{self.find(selector)}/value", {"text": str(text)})

    def wait(self, condition: str) -> None:
        """Waits until an expression is true.

        Raises:
          BrowserError: if it is not within a minute.
        """
        end = time.monotonic() + _SECONDS
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > end:
                raise BrowserError(f"expected {condition} within {_SECONDS} s, found {self.errors()}")
            time.sleep(0.05)

    def edit(self, selector: str, text: object) -> float:
        """Types into an element of emogan's page what changes its pictures, and returns the ms that they took."""
        self.run("document.body.dataset.state = 'waiting'")
        self.type(selector, text)
        self.wait("document.body.dataset.state === 'done'")
        return float(self.run("return document.body.dataset.milliseconds"))

    def saved(self, name: str) -> pathlib.Path:
        """Returns a file that the page saves under a name, once it is there.

        Raises:
          BrowserError: if it is not within a minute.
        """
        path, end = self.downloads / name, time.monotonic() + _SECONDS
        while not path.exists():
            if time.monotonic() > end:
                raise BrowserError(f"expected {name} within {_SECONDS} s, found {sorted(self.downloads.iterdir())}")
            time.sleep(0.05)
        return path

    def errors(self) -> list[str]:
        """Returns what the page and the browser complained of."""
        lines = self._call("/se/log", {"type": "browser"})
        shown = self.run("return document.getElementById('error')?.textContent")
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")] + (
            [shown] if shown else []
        )

    def screenshot(self) -> bytes:
        """Returns what the window shows, as a PNG."""
        return base64.b64decode(self._call("/screenshot", method="GET"))

    def close(self) -> None:
        """Ends the browser."""
        self._call("", method="DELETE")


@contextlib.contextmanager
def driver() -> Iterator[str]:
    """Gives the address of a chromedriver that runs meanwhile.

    Raises:
      FileNotFoundError: if there is no Chromium, or no chromedriver.
      BrowserError: if it does not start.
    """
    program = shutil.which("chromedriver")
    if program is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        raise FileNotFoundError(
            "expected chromium and chromedriver to open the page, found none; apt-get install chromium chromium-driver"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(address: str) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/status", timeout=_SECONDS):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise BrowserError(f"expected chromedriver to answer within {_SECONDS} s, found {error}") from error
            time.sleep(0.1)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[str]:
    """Gives the address of a static server of a folder that runs meanwhile."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
