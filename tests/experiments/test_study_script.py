"""experiments/study.py as a user calls it, and its page in a browser."""

import contextlib
import json
import shutil

import browser as browser_lib
import numpy as np
import pytest

from emogan.data import toyfaces

pytestmark = pytest.mark.slow

COUNT = 300


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Flags for another program's edits: each drawn face, darker, as every other emotion."""
    folder, faces = tmp_path_factory.mktemp("arrays"), toyfaces.load("valid", 0, COUNT)
    target, source = np.divmod(np.arange(7 * COUNT), COUNT)
    other = target != faces.labels[source]
    target, source = target[other].astype(np.int32), source[other]
    for name, array in (("darker", faces.images[source] // 2), ("wanted", target), ("places", source)):
        np.save(folder / f"{name}.npy", array)
    paths = {"images": "darker", "labels": "wanted", "sources": "places"}
    return [f"--{flag}={folder / name}.npy" for flag, name in paths.items()] + [f"--data_count={COUNT}"]


@pytest.fixture(scope="module")
def made(call_script, arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "study"
    result = call_script("study.py", "--make", "--each=2", f"--output={folder}", *arrays)
    assert result.returncode == 0, result.stderr
    return folder


def write_answers(made, path, grade_of_edits):
    """Answers of a viewer who sees every emotion, and gives real faces a 5."""
    key = json.loads((made / "key.json").read_text())
    rows = [
        {"number": row["number"], "emotion": row["emotion"]}
        | {"naturalness": 5 if row["by"] == "real faces" else grade_of_edits}
        for row in key["pictures"]
    ]
    path.write_text(json.dumps({"format": 1, "study": key["study"], "viewer": path.stem, "answers": rows}))
    return path


def test_study_is_made_answered_and_scored(call_script, made, tmp_path):
    key = json.loads((made / "key.json").read_text())
    assert len(key["pictures"]) == 28
    assert key["names"] == ["real faces", "darker"]
    files = [write_answers(made, tmp_path / f"{name}.json", grade) for name, grade in (("ann", 2), ("bob", 3))]
    report = tmp_path / "run" / "evaluation" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<body><footer></footer></body>")
    scored = call_script(
        "study.py", f"--score={','.join(map(str, files))}", f"--output={made}", f"--report={tmp_path / 'run'}"
    )
    assert scored.returncode == 0, scored.stderr
    result = json.loads((made / "study.json").read_text())
    assert [one["naturalness"]["value"] for one in result["groups"]] == [5, 2.5]
    assert result["agreement"]["emotion"] == 1
    assert "| darker | 14 | 28 | 100 ± 0 | 2.50 ± " in (made / "study.md").read_text()
    assert "What viewers say" in report.read_text()


def test_pairs_are_made_answered_and_scored(call_script, arrays, tmp_path):
    brighter = tmp_path / "brighter.npy"
    darker = np.load(arrays[0].partition("=")[2])
    np.save(brighter, 255 - darker)
    both = [f"{one},{brighter if i == 0 else one.partition('=')[2]}" for i, one in enumerate(arrays[:3])]
    folder = tmp_path / "pairs"
    made = call_script("study.py", "--make", "--pairs", "--each=2", f"--output={folder}", *both, arrays[3])
    assert made.returncode == 0, made.stderr
    key = json.loads((folder / "key.json").read_text())
    assert (key["names"], len(key["pictures"])) == (["darker", "brighter"], 14)
    lines = [f"{row['number']},{'left' if row['left'] == 'brighter' else 'R'},left" for row in key["pictures"]]
    for viewer in ("ann", "bob"):
        (tmp_path / f"{viewer}.csv").write_text("\n".join(["number,natural,emotion", *lines]))
    scored = call_script("study.py", f"--score={tmp_path / 'ann.csv'},{tmp_path / 'bob.csv'}", f"--output={folder}")
    assert scored.returncode == 0, scored.stderr
    assert "| more natural | 28 of 28 | 100 ± 0 | 0.00012 | 14 | " in (folder / "study.md").read_text()
    assert json.loads((folder / "study.json").read_text())["questions"]["natural"]["second"] == 28
    refused = call_script("study.py", f"--score={tmp_path / 'ann.csv'}", f"--output={folder}", f"--report={tmp_path}")
    assert (refused.returncode, "expected a study of single pictures" in refused.stderr) == (2, True)


WRONG = {
    "pairs of one model": (
        ["--make", "--pairs", "--each=1", "--output=new", "{arrays}"],
        "--pairs: expected two models with names of their own, found darker",
    ),
    "the same faces to score": (
        ["--same_faces", "--score=a.json"],
        "--same_faces: expected with --make, found with --score",
    ),
    "the same faces in pairs": (
        ["--make", "--pairs", "--same_faces", "{arrays}"],
        "--same_faces: expected without --pairs",
    ),
    "pairs to score": (["--pairs", "--score=a.json"], "--pairs: expected with --make, found with --score"),
    "nothing": ([], "expected --make or --score=FILES, found neither"),
    "both": (["--make", "--score=a.json"], "expected --make or --score=FILES, found both"),
    "nobody's edits": (["--make"], "--make: expected --model, --workdir or --images, found none"),
    "no labels": (["--make", "--images=a.npy"], "expected as many --labels and --sources, found 1 of --images, 0 of "),
    "no key": (["--score=a.json", "--output=nowhere"], "expected a study's key, found no file nowhere/key.json"),
    "no answers": (["--score=a.json", "--output={made}"], "expected a viewer's answers, found no file a.json"),
    "a study in the way": (
        ["--make", "--each=1", "--output={made}", "{arrays}"],
        "--output: expected a folder without a",
    ),
    "too few": (["--make", "--each=90", "--output=new", "{arrays}"], "--each: expected 90 faces that are "),
    "no run": (
        ["--make", "--workdir=nowhere", "--output=new"],
        "nowhere: expected fer2013 or fer2013-flow, the folder of a finished run",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_ends_in_one_line_and_status_two(call_script, case, made, arrays, tmp_path):
    given, expected = WRONG[case]
    words = [word for one in given for word in (arrays if one == "{arrays}" else [one.format(made=made)])]
    result = call_script("study.py", *words, cwd=tmp_path)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
@pytest.mark.parametrize("screen", [(1280, 800, False), (390, 700, True)], ids=["desktop", "phone"])
def test_page_takes_answers_by_key_and_by_touch_and_saves_them(call_script, made, tmp_path, screen):
    url = (made / "for_viewers" / "study.html").as_uri()
    press = "for (const key of a[0]) document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    with (
        browser_lib.driver() as driver,
        contextlib.closing(browser_lib.Browser(driver, tmp_path, *screen)) as window,
    ):
        window.open(url)
        window.click("#begin")
        assert window.run("return document.body.dataset.section") == "start"  # a name is asked for
        window.type("#viewer", "Ann B.")
        window.click("#begin")
        window.wait("document.body.dataset.section === 'rate'")
        window.run(press, ["h", "4", "2", "s", "a", "Backspace"])  # the last answer was begun, and taken back
        assert window.run("return document.getElementById('count').textContent") == "2 of 28"
        window.run(press, ["Backspace", "u", "u", "1"])
        fits = "return document.documentElement.scrollWidth <= innerWidth"
        assert window.run(fits)
        window.open(url)  # what was answered is there after the page was closed
        window.click("#begin")
        window.wait("document.body.dataset.section === 'rate'")
        window.click("#emotions [data-value=neutral]")
        window.click("#grades [data-value='3']")
        window.run(press, ["f", "5"] * 25)
        window.wait("document.body.dataset.section === 'end'")
        window.click("#save")
        saved = tmp_path / "answers_Ann_B.json"
        window.wait("document.getElementById('saved').textContent.includes('answers_Ann_B.json')")
        for _ in range(100):
            if saved.exists():
                break
            window.run("await new Promise((done) => setTimeout(done, 50))")
        assert window.errors() == []
    found = json.loads(saved.read_text())["answers"]
    assert [(one["emotion"], one["naturalness"]) for one in found[:4]] == [
        ("happy", 4),
        ("surprised", 1),
        ("neutral", 3),
        ("fearful", 5),
    ]
    assert len(found) == 28
    scored = call_script("study.py", f"--score={saved}", f"--output={made}")
    assert scored.returncode == 0, scored.stderr
    assert "1 viewers: Ann B." in scored.stdout
