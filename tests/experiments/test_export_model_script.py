"""experiments/export_model.py: which results a model's card takes."""

import json


def result(split, judge):
    model = {"name": "quick", "kind": "model", "about": "", "scores": {"edit_accuracy": {"value": 0.5, "error": None}}}
    return {
        "format": 2,
        "title": "quick",
        "split": split,
        "faces": 9,
        "leaked": 0,
        "data": {"name": "fer2013", "fingerprint": "abc"},
        "judge": {"name": judge, "checksum": judge, "balanced_accuracy": 0.6},
        "identity": {"descriptor": "HOG", "rank1_of_changed_copies": 0.9},
        "contestants": [model],
        "classes": ["happy", "sad"],
        "verdicts": {},
        "config": None,
        "environment": {},
    }


def test_a_second_result_of_a_split_is_refused(call_script, tmp_path):
    for name, judge in (("one", "network"), ("other", "HOG")):
        (tmp_path / f"{name}.json").write_text(json.dumps(result("valid", judge)))
    done = call_script("export_model.py", "--workdir=quick", "--scores=one.json,other.json", cwd=tmp_path)
    line = "error: --scores: expected one result of each split, found two of valid\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "other.json"]
