"""Opens the page of a model in Chromium, without a window: how long seven edits take there, and two screenshots.

python experiments/page.py --output=docs/results

Prints one line with the figures, and writes OUTPUT/page_desktop.png and page_phone.png. It needs the extra export, npm
(or --runtime) and Chromium with chromedriver: apt-get install chromium chromium-driver.
"""

import contextlib
import pathlib
import statistics
import tempfile
import time

import PIL.Image
import script
import skimage.data
from absl import flags
from benchmarking import machine

from emogan.edit import detection, loading, model_file
from emogan.export import browser, runtime, web
from emogan.train import writers
from emogan.util import files

WORKDIR = script.define_path(
    "workdir", model_file.FEED_FORWARD, "the folder of a finished run; fer2013 is a model that ships with emogan"
)
OUTPUT = script.define_path("output", "runs/page", "the folder for the screenshots")
ROUNDS = flags.DEFINE_integer("rounds", 20, "how often seven edits are timed on each screen", 1)
RUNTIME = script.define_path("runtime", None, "a folder with onnxruntime-web's files, where npm is not")

SCREENS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}  # width, height, whether it is touched
# Of `detection.find` for the portrait of Eileen Collins (NASA, public domain); finding it needs the extra photos.
_FACE = detection.Square(169, 58, 109)


def main(_) -> None:
    about, output = machine.about(), pathlib.Path(OUTPUT.value)
    files.check_folder(output)
    output.mkdir(parents=True, exist_ok=True)
    try:
        # What the browser still writes as it ends must not stop the clearing up.
        with browser.driver() as driver, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            folder = pathlib.Path(temporary)
            beside, of_runtime = _export(folder / "page")
            PIL.Image.fromarray(detection.cut(skimage.data.astronaut(), _FACE)).save(folder / "face.png")
            found = []
            with browser.serve(folder / "page") as address:
                for name, screen in SCREENS.items():
                    with contextlib.closing(browser.Browser(driver, folder / name, *screen)) as window:
                        found.append(f"{screen[0]}x{screen[1]}: {_measure(window, address, folder / 'face.png')}")
                        path = files.write_bytes(output / f"page_{name}.png", window.screenshot())
                    writers.say(f"wrote {path}")
    except browser.BrowserError as error:
        script.fail(error)
    print(
        f"{'; '.join(found)}; {beside / 1e6:.2f} MB beside {of_runtime / 1e6:.2f} MB of onnxruntime-web; "
        f"{WORKDIR.value}, emogan {script.commit()}, Chromium {window.version}, {about['cores']} cores of "
        f"{about['processor']}, load {about['load_before'][0]}, {about['date'][:10]}"
    )


def _export(page: pathlib.Path) -> tuple[int, int]:
    """Writes the page, and returns the bytes beside the runtime, and those of the runtime."""
    found = runtime.find(pathlib.Path(RUNTIME.value) if RUNTIME.value else None, files.cache_dir())
    model, about = loading.load(WORKDIR.value), {"commit": script.commit()}
    return web.parts(web.write(web.to_bytes(model), model, about, found, page))


def _measure(window: browser.Browser, address: str, face: pathlib.Path) -> str:
    """Shows a face and edits it again and again; returns what the times were."""
    start = time.monotonic()
    window.open(address)
    window.wait("document.body.dataset.state === 'ready'")
    ready = time.monotonic() - start
    window.edit("#file", face)
    # A larger square than the picture there cannot be: the key asks for the same edits again.
    times = [window.edit("#frame", "+") for _ in range(ROUNDS.value)]
    # A phone has no room for all: the pictures. What is told of the last of them comes a little later.
    window.run("document.getElementById('faces').scrollIntoView({ block: 'nearest' })")
    window.wait(
        "document.getElementById('status').textContent.includes("
        "` in ${Math.round(document.body.dataset.milliseconds)} ms`)"
    )
    return (
        f"7 edits in {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f}, {len(times)} times), "
        f"ready in {ready:.1f} s"
    )


if __name__ == "__main__":
    script.run(main)
