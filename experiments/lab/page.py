"""Opens the page of a model in Chromium, without a window: how long its edits take there, and two screenshots.

python experiments/lab/page.py --output=docs/results
python experiments/lab/page.py --workdir=fer2013       # a feed-forward model, which edits the camera's picture, too

Prints one line with the figures, and writes OUTPUT/page_desktop.png and page_phone.png. It needs the extra export, npm
(or --runtime) and Chromium with chromedriver: apt-get install chromium chromium-driver.
"""

# isort: off
import beside  # noqa: F401

# isort: on
import contextlib
import io
import math
import pathlib
import statistics
import tempfile
import time

import browser
import PIL.Image
import script
import skimage.data
from absl import flags
from benchmarking import machine

from emogan.edit import loading, model_file
from emogan.export import runtime, web
from emogan.train import writers
from emogan.util import files

WORKDIR = script.define_path(
    "workdir", model_file.DEFAULT, "the folder of a finished run; fer2013 and fer2013-flow ship with emogan"
)
OUTPUT = script.define_path("output", "runs/page", "the folder for the screenshots")
ROUNDS = flags.DEFINE_integer("rounds", 5, "how often seven edits are timed on each screen", 1)
RUNTIME = script.define_path("runtime", None, "a folder with onnxruntime-web's files, where npm is not")

SCREENS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}  # width, height, whether it is touched
_SECONDS = 5  # of the camera
_FRAMES, _SIZE = 90, (640, 480)  # of its video, 3 s: the portrait of Eileen Collins (NASA, public domain) moves about


def main(_) -> None:
    about, output = machine.about(), pathlib.Path(OUTPUT.value)
    files.check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    try:
        # What the browser still writes as it ends must not stop the clearing up.
        with browser.driver() as driver, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            folder = pathlib.Path(temporary)
            beside, of_runtime = _export(folder / "page")
            portrait = PIL.Image.fromarray(skimage.data.astronaut())
            portrait.save(folder / "portrait.png")
            files.write_bytes(folder / "camera.mjpeg", _video(portrait))
            found = []
            with browser.serve(folder / "page") as address:
                for name, screen in SCREENS.items():
                    camera = folder / "camera.mjpeg"
                    with contextlib.closing(browser.Browser(driver, folder / name, *screen, camera)) as window:
                        figures = _measure(window, address, folder / "portrait.png")
                        path = files.write_bytes(output / f"page_{name}.png", window.screenshot())
                        found.append(f"{screen[0]}x{screen[1]}: {figures}{_live(window)}")
                    writers.say(f"wrote {path}")
    except browser.BrowserError as error:
        script.fail(error)
    print(
        f"{'; '.join(found)}; {beside / 1e6:.2f} MB and {of_runtime / 1e6:.2f} MB of onnxruntime-web; "
        f"{WORKDIR.value}, emogan {script.commit()}, Chromium {window.version}, {about['cores']} cores of "
        f"{about['processor']}, load {about['load_before'][0]}, {about['date'][:10]}"
    )


def _export(page: pathlib.Path) -> tuple[int, int]:
    """Writes the page, and returns the bytes without the runtime, and those of the runtime."""
    found = runtime.find(pathlib.Path(RUNTIME.value) if RUNTIME.value else None, files.cache_dir())
    model, about = loading.load(WORKDIR.value), {"commit": script.commit()}
    return web.parts(web.write(web.to_bytes(model), model, about, found, page))


def _video(portrait: PIL.Image.Image) -> bytes:
    """Returns pictures of a camera that moves over a portrait, JPEG by JPEG."""
    large, pictures = portrait.resize((900, 900), PIL.Image.Resampling.LANCZOS), io.BytesIO()
    for i in range(_FRAMES):
        turn = 2 * math.pi * i / _FRAMES
        left, top = 130 + 60 * math.sin(turn), 30 + 25 * math.sin(2 * turn)
        large.crop((left, top, left + _SIZE[0], top + _SIZE[1])).save(pictures, "JPEG", quality=90)
    return pictures.getvalue()


def _live(window: browser.Browser) -> str:
    """Turns the camera on; returns how many frames there are in a second, where the model is fast enough for it."""
    window.click("#camera")
    window.wait("document.body.dataset.rate > 0")
    if not window.run("return document.getElementById('live-options').offsetParent"):
        return ""
    time.sleep(_SECONDS)
    return f", camera {float(window.run('return document.body.dataset.rate')):.0f} frames a second"


def _measure(window: browser.Browser, address: str, photo: pathlib.Path) -> str:
    """Shows a photo and edits it again and again; returns what the times were."""
    start = time.monotonic()
    window.open(address)
    window.wait("document.body.dataset.state === 'ready'")
    ready = time.monotonic() - start
    window.edit("#file", photo)
    times, first = [], []
    for _ in range(ROUNDS.value):
        times.append(window.edit("#frame", "+"))
        first.append(float(window.run("return document.body.dataset.first")))
    window.edit("#file", photo)  # so that the square is the one that was found
    window.run("window.scrollTo(0, 0)")
    window.wait("/pictures in [0-9.]+ m?s,/.test(document.getElementById('status').textContent)")
    return (
        f"7 edits in {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f}, {len(times)} times), "
        f"the chosen one after {statistics.median(first):.0f} ms, ready in {ready:.1f} s"
    )


if __name__ == "__main__":
    script.run(main)
