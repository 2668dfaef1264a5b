"""experiments/lab/page.py: the page in a browser, and one line where there is none."""

import re
import shutil

import PIL.Image
import pytest

from emogan.export import runtime
from emogan.util import files

pytestmark = pytest.mark.slow

needs_browser = pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")


@needs_browser
def test_times_and_screenshots_of_a_model_that_ships(call_script, tmp_path):
    try:
        found = runtime.find(None, files.cache_dir())
    except ValueError as error:
        pytest.skip(str(error))
    done = call_script("page.py", "--workdir=fer2013", f"--output={tmp_path}", "--rounds=2", f"--runtime={found}")
    assert (done.returncode, done.stderr) == (0, "")
    *_, line = done.stdout.splitlines()
    for size in ("1280x900", "390x844"):
        times = r"7 edits in \d+ ms \(\d+ to \d+, 2 times\), the chosen one after \d+ ms"
        assert re.search(rf"{size}: {times}, ready in [\d.]+ s, camera \d+ frames a second", line), line
    assert re.search(r"1\.\d\d MB and 14\.\d\d MB of onnxruntime-web", line), line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page_desktop.png", "page_phone.png"]
    for name, size in {"desktop": (1280, 900), "phone": (390, 844)}.items():
        with PIL.Image.open(tmp_path / f"page_{name}.png") as picture:
            assert picture.size == size
            assert len(picture.convert("L").getcolors()) > 200  # a portrait, and not an empty page


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (["--rounds=0"], {}, "flag --rounds=0: "),
        ([], {"PATH": ""}, "expected chromium and chromedriver to open the page, found none; "),
        pytest.param(["--runtime=absent"], {}, "absent: expected ort.wasm.min.mjs, ", marks=needs_browser),
    ],
)
def test_what_is_wrong_ends_in_one_line_and_status_2(call_script, tmp_path, flags, environment, message):
    done = call_script("page.py", f"--output={tmp_path}", *flags, cwd=tmp_path, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
