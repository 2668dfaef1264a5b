"""Models of every kind to export, and a browser for the page: Chromium by the WebDriver protocol (W3C)."""

import base64
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

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import emogan
from emogan import config as config_lib
from emogan import files, transfer
from emogan.data import toyfaces
from emogan.export import runtime
from emogan.train import encoder, gan, joint

_SECONDS = 60
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name of references to elements
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
)


KINDS = {
    "paper": config_lib.Config(model=config_lib.ModelConfig(width=4, latent_size=8)),
    "pooled": config_lib.Config(model=config_lib.ModelConfig(width=4, latent_size=8, resampling="pooled")),
    "joint": config_lib.Config(phases="joint", translator=config_lib.TranslatorConfig(width=4, blocks=1)),
    "StarGAN": config_lib.Config(
        phases="joint", translator=config_lib.TranslatorConfig(width=4, blocks=1, labels="encoder", skip=False)
    ),
}


def make_model(config: config_lib.Config) -> emogan.EmotionTransfer:
    """Untrained networks with weights so large that faces and labels make a difference."""
    sizes = config.translator if config.phases == "joint" else config.model
    makers = (
        (joint.make_encoder, joint.make_generator)
        if config.phases == "joint"
        else (encoder.make_encoder, gan.make_generator)
    )
    code = joint.code_shape(sizes) if config.phases == "joint" else (config.model.latent_size,)
    random = np.random.default_rng(1)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("mean", "var", "scale"):
            return np.full(leaf.shape, 0.0 if name == "mean" else 1.0, np.float32)
        spread = 0.3 if name == "bias" else (2 / np.prod(leaf.shape[:-1])) ** 0.5
        if path[-2].key == "flow":
            spread /= 4  # a face is bent by a pixel or two: each more multiplies what was rounded
        return random.normal(0.0, spread, leaf.shape).astype(np.float32)

    variables = []
    for make, shape in zip(makers, ((48, 48, 1), code), strict=True):
        init = functools.partial(make(sizes, 7).init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *shape)), jnp.zeros((1,), jnp.int32))
        variables.append(jax.tree_util.tree_map_with_path(draw, shapes))
    return transfer.make(config, emogan.EMOTIONS, *variables)


@pytest.fixture(scope="session", params=KINDS)
def model(request):
    """A model of each kind."""
    return make_model(KINDS[request.param])


@pytest.fixture(scope="session", params=["paper", "joint"])
def main_model(request):
    """A model of the paper's kind, and one of the joint phase."""
    return make_model(KINDS[request.param])


@pytest.fixture(scope="session")
def asked():
    """(faces uint8 [100, 48, 48], labels int32 [100]), other ones than the exports are checked on."""
    return toyfaces.load("train", size=100).images, np.arange(100, dtype=np.int32) * 3 % 7


@pytest.fixture(scope="session")
def live():
    """(model, faces, labels) -> the live model's edits, float32 [N, 48, 48, 1]."""

    def edit(model, faces, labels):
        return model.decode(model.encode(faces, labels if model.encoder_labels else None), labels)

    return edit


class Browser:
    """One window of Chromium."""

    def __init__(self, driver: str, profile: pathlib.Path, width: int = 1280, height: int = 844, touch: bool = False):
        options = {"args": [*_FLAGS.split(), f"--user-data-dir={profile}", f"--window-size={width},{height}"]}
        options["prefs"] = {"download.default_directory": str(profile), "download.prompt_for_download": False}
        if touch:
            metrics = {"width": width, "height": height, "pixelRatio": 2, "touch": True}
            options["mobileEmulation"] = {"deviceMetrics": metrics}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.downloads = profile
        self._session = driver
        made = self._call("/session", {"capabilities": {"alwaysMatch": always}})
        self._session = f"{driver}/session/{made['sessionId']}"

    def _call(self, path, body=None, method="POST"):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self._session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None

    def open(self, url):
        self._call("/url", {"url": url})

    def run(self, script, *arguments):
        """What a script returns; it may `await`."""
        body = (
            f"const done = arguments[arguments.length - 1]; (async (...a) => {{ {script} }})(...arguments).then(done)"
        )
        return self._call("/execute/async", {"script": body, "args": list(arguments)})

    def find(self, selector):
        return self._call("/element", {"using": "css selector", "value": selector})[_ELEMENT]

    def click(self, selector):
        self._call(f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        """Types into an element; into one for files, their paths."""
        self._call(f"/element/{self.find(selector)}/value", {"text": str(text)})

    def wait(self, condition):
        """Waits until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"{condition}: not within {_SECONDS} s; {self.errors()}"
            time.sleep(0.05)

    def errors(self):
        """What the page and the browser complained of."""
        lines = self._call("/se/log", {"type": "browser"})
        shown = self.run("return document.getElementById('error')?.textContent")
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")] + (
            [shown] if shown else []
        )

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._call("/screenshot", method="GET")))

    def close(self):
        self._call("", method="DELETE")


@pytest.fixture(scope="session")
def browser_of():
    """(driver, profile, width, height, touch) -> `Browser`."""
    return Browser


@pytest.fixture(scope="session")
def driver():
    """The address of a chromedriver."""
    program = shutil.which("chromedriver")
    if program is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no Chromium with chromedriver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/status", timeout=_SECONDS):
                break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def web_runtime():
    """The folder with onnxruntime-web's files."""
    try:
        return runtime.find(None, files.cache_dir())
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def serve():
    """(folder) -> the address of a static server of it."""
    servers = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    def start(folder):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
