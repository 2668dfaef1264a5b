"""Results as tables: numbers, matrices and comparisons worked out by hand."""

import copy
import itertools
import json
import math

import numpy as np
import pytest

from emogan import emotions
from emogan.evaluation import scores, tables


def score(value, error=None):
    return {"value": value, "error": error}


def method(name, kind="model", **its_scores):
    return {"name": name, "kind": kind, "about": f"what {name} is", "scores": its_scores}


def make_result(title="quick", methods=(), **fields):
    return {
        "format": 2,
        "title": title,
        "split": "valid",
        "faces": 3589,
        "leaked": 12,
        "data": {"name": "fer2013", "fingerprint": "abc"},
        "judge": {"name": "judge_fer2013", "checksum": "123", "balanced_accuracy": 0.62},
        "identity": {"descriptor": "HOG", "rank1_of_changed_copies": 0.98},
        "methods": list(methods),
        "classes": list(emotions.EMOTIONS),
        "verdicts": {},
        "config": None,
        "environment": {"python": "3.11"},
        **fields,
    }


def run(title, name=None, accuracy=0.5, **fields):
    """A run with one model, and two references that all runs share, but for one of the model's name."""
    model = method(name or title, edit_accuracy=score(accuracy), edit_accuracy_clean=score(accuracy / 2))
    references = [method("input", "reference", edit_accuracy=score(0.1)), method("mean face", "reference")]
    others = [one for one in references if one["name"] != model["name"]]
    return make_result(title, [model, *others], **fields)


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("edit_accuracy", 0.4412, 0.0061, "44.1 ± 0.6"),
        ("edit_accuracy_clean", 0.4412, 0.0061, "44.1 ± 0.6"),
        ("kernel", 0.0123, 0.0004, "12.30 ± 0.40"),
        ("kernel", -0.000001, 0.0004, "0.00 ± 0.40"),
        ("kernel", -0.0002, None, "-0.20"),
        ("identity_own", 0.51249, None, "0.512"),
        ("reconstruction_psnr", math.inf, math.nan, "∞"),
        ("reconstruction_psnr", -math.inf, None, "-∞"),
        ("reconstruction_psnr", 20.0, math.nan, "20.00"),
        ("frechet", math.nan, 1.0, "n/a"),
        ("frechet", None, None, "n/a"),
    ],
)
def test_score_is_scaled_and_rounded_as_its_metric_says(name, value, error, text):
    assert tables.format_score(name, score(value, error)) == text


def test_missing_score_is_not_available():
    assert tables.format_score("frechet", None) == "n/a"


def test_rows_follow_the_metrics_with_references_last():
    result = make_result(
        methods=[
            method("input", "reference", reconstruction_psnr=score(math.inf)),
            method("quick", frechet=score(3.14159, 0.1), edit_accuracy_clean=score(0.3), edit_accuracy=score(0.25)),
        ]
    )
    rows = tables.rows(result)
    assert [(row.group, row.title, row.cells) for row in rows] == [
        ("transfer", "edit accuracy (%)", ("25.0", "n/a")),
        ("reconstruction", "PSNR, own label (dB)", ("n/a", "∞")),
        ("samples", "Frechet distance", ("3.14 ± 0.10", "n/a")),
        ("without the leaked faces", "edit accuracy (%)", ("30.0", "n/a")),
    ]
    assert [row.metric for row in rows[::3]] == [scores.METRICS["edit_accuracy"]] * 2


def test_groups_of_the_metrics_stay_together():
    everything = method("quick", **{name: score(1.0) for name in scores.METRICS})
    groups = [row.group for row in tables.rows(make_result(methods=[everything]))]
    assert len(groups) == len(scores.METRICS)
    assert sum(a != b for a, b in itertools.pairwise(groups)) == len(set(groups)) - 1


def test_best_is_sought_among_models_only():
    models = [
        method("a", edit_accuracy=score(0.2), frechet=score(2.0), identity_others=score(0.1), precision=score(0.9)),
        method("b", edit_accuracy=score(0.3), frechet=score(3.0), identity_others=score(0.2)),
        method("c", "pictures", edit_accuracy=score(0.3), frechet=score(math.nan)),
        method("real", "reference", edit_accuracy=score(0.9), frechet=score(0.0), precision=score(0.1)),
    ]
    best = {row.title: row.best for row in tables.rows(make_result(methods=models))}
    assert best == {
        "edit accuracy (%)": (1, 2),
        "cosine to other faces": (),  # neither way is better
        "Frechet distance": (0,),
        "precision (%)": (),  # one model is no race
    }


def test_text_is_aligned():
    result = run("quick")
    assert tables.to_text(result).splitlines() == [
        "quick: 3589 faces (valid) of fer2013, judged by judge_fer2013",
        "value ± standard error; ↑ higher is better, ↓ lower is better",
        "",
        "                            quick  |      input   mean face",
        "",
        "transfer",
        "  edit accuracy (%) ↑        50.0  |       10.0         n/a",
        "",
        "without the leaked faces",
        "  edit accuracy (%) ↑        25.0  |        n/a         n/a",
    ]


def test_text_of_five_methods_fits_120_columns():
    everything = {
        name + clean: score(1234.567 / metric.scale, 12.345 / metric.scale)
        for name, metric in scores.METRICS.items()
        for clean in ("", "_clean")
    }
    names = ["a_very_long_name_without_a_space", "the mean training face of the target emotion", "c", "d", "e"]
    kinds = ["model", "model", "pictures", "reference", "reference"]
    result = make_result("t" * 200, [method(name, kind, **everything) for name, kind in zip(names, kinds, strict=True)])
    text = tables.to_text(result)
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("1234.57 ± 12.35") == 5 * sum(m.digits == 2 for m in scores.METRICS.values()) * 2
    assert "emotion" in text


def test_matrices_equal_the_shares_by_hand():
    verdicts = np.zeros((3, 3, 3), int)
    verdicts[0, 1] = [1, 3, 0]  # of 4 faces of class 0 edited to 1, three are named 1
    verdicts[1, 1] = [0, 8, 0]  # the own label, no edit to another emotion
    verdicts[2, 1] = [6, 0, 0]
    verdicts[1, 0] = [0, 0, 5]
    nan = math.nan
    np.testing.assert_array_equal(tables.edit_matrix(verdicts), [[nan, 0.75, nan], [0, 1, nan], [nan, 0, nan]])
    np.testing.assert_array_equal(tables.confusion(verdicts.tolist()), [[0, 0, 1], [0.7, 0.3, 0], [nan, nan, nan]])


def test_comparison_holds_models_side_by_side_and_references_once():
    second = run("full", accuracy=0.6)
    second["methods"][1]["scores"] = {"frechet": score(7.0)}  # a reference has what either run knows of it
    verdicts = np.ones((7, 7, 7), int).tolist()
    compared = tables.compare([run("quick", verdicts={"quick": verdicts}), {**second, "verdicts": {"full": verdicts}}])
    assert [one["name"] for one in tables.columns(compared)] == ["quick", "full", "input", "mean face"]
    assert compared["title"] == "quick, full"
    assert set(compared["verdicts"]) == {"quick", "full"}
    cells = {(row.group, row.title): row.cells for row in tables.rows(compared)}
    assert cells["transfer", "edit accuracy (%)"] == ("50.0", "60.0", "10.0", "n/a")
    assert cells["samples", "Frechet distance"] == ("n/a", "n/a", "7.00", "n/a")
    tables.check(compared)


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([("quick", "quick"), ("quick", "quick")], ["quick", "quick (2)"]),
        ([("a", "model"), ("b", "model")], ["model (a)", "model (b)"]),
        ([("a", "input"), ("b", "b")], ["input (a)", "b"]),
        ([("quick", "quick"), ("quick", "quick"), ("c", "quick (2)")], ["quick", "quick (2)", "quick (2) (2)"]),
    ],
)
def test_names_that_clash_become_unique(runs, names):
    verdicts = [np.full((7, 7, 7), i).tolist() for i in range(len(runs))]
    results = [run(title, name, verdicts={name: counts}) for (title, name), counts in zip(runs, verdicts, strict=True)]
    before = copy.deepcopy(results)
    compared = tables.compare(results)
    found = [one["name"] for one in tables.columns(compared)]
    assert found[:-2] == names
    assert set(found[-2:]) == {"input", "mean face"}
    assert compared["verdicts"] == dict(zip(names, verdicts, strict=True))
    assert results == before


def test_comparison_shows_once_what_is_the_same_and_of_each_run_what_differs():
    compared = tables.compare(
        [
            run("quick", config={"seed": 0, "gan": {"epochs": 8}}, environment={"jax": "1", "cores": 2}),
            run("full", config={"seed": 0, "gan": {"epochs": 100}}, environment={"jax": "1"}),
        ]
    )
    assert compared["config"] == {"seed": 0, "gan.epochs (quick)": 8, "gan.epochs (full)": 100}
    assert compared["environment"] == {"jax": "1", "cores (quick)": 2}


def test_scores_without_leaked_faces_are_left_out_where_these_differ():
    alike = tables.compare([run("quick"), run("full")])
    assert alike["leaked"] == 12
    assert [row.group for row in tables.rows(alike)] == ["transfer", tables.CLEAN_GROUP]
    unlike = tables.compare([run("quick"), run("full", leaked=0)])
    assert unlike["leaked"] is None
    assert [row.group for row in tables.rows(unlike)] == ["transfer"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": "test"}, r"one split, found 'valid' in 'quick', 'test' in 'other'"),
        ({"faces": 7}, r"one faces, found 3589 in 'quick', 7 in 'other'"),
        ({"classes": list("abcdefg")}, r"one classes, found .* in 'quick', .* in 'other'"),
        ({"data": {"fingerprint": "xyz"}}, r"one data.fingerprint, found 'abc' in 'quick', 'xyz' in 'other'"),
        ({"judge": {"checksum": "9"}}, r"one judge.checksum, found '123' in 'quick', '9' in 'other'"),
        ({"identity": {"descriptor": "LBP"}}, r"one identity.descriptor, found 'HOG' in 'quick', 'LBP' in 'other'"),
        ({"format": 1}, r"expected format 2, found format 1 in 'other'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_comparison_of_what_cannot_be_compared_is_refused(change, expected):
    with pytest.raises(ValueError, match=expected):
        tables.compare([run("quick"), run("third"), run("other", **change)])


def test_comparison_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected results to compare, found none"):
        tables.compare([])


def test_result_comes_back_from_its_file(tmp_path):
    result = make_result(methods=[method("quick", reconstruction_psnr=score(math.inf), frechet=score(2))])
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(result))
    assert tables.load(path) == result


def test_missing_file_is_told_with_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics.json; run emogan evaluate --workdir=") as caught:
        tables.load(tmp_path / "metrics.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b'{"format": 1,', b"\xff\xfe", b""])
def test_broken_file_is_refused(tmp_path, content):
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected JSON, found .*metrics.json broken \(.*\); run"):
        tables.load(path)


@pytest.mark.parametrize("field", sorted(set(make_result()) - {"format"}))
def test_missing_field_is_refused(tmp_path, field):
    result = make_result()
    del result[field]
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(result))
    with pytest.raises(ValueError, match=f"expected a field '{field}', found none in .*metrics.json; run"):
        tables.load(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 1}, "expected format 2, found format 1"),
        ({"format": None}, "expected format 2, found format None"),
        ({"faces": "many"}, "expected 'faces' as int, found 'many'"),
        ({"judge": {}}, "expected a field 'judge.checksum', found none"),
        ({"methods": [{"name": "quick"}]}, "expected a method, found"),
        ({"methods": [method("quick", "guess")]}, "kind among model, pictures, reference, found 'guess'"),
        ({"methods": [method("quick")] * 2}, "a name for each method, found 'quick' twice"),
        ({"methods": [method("quick", beauty=score(1.0))]}, "expected a known metric, found 'beauty'"),
        ({"methods": [method("quick", frechet=1.0)]}, "expected value and error of 'frechet', found 1.0"),
        ({"methods": [method("quick", frechet={"value": 1})]}, "expected value and error of 'frechet'"),
        ({"verdicts": {"nobody": []}}, "expected verdicts of methods only, found those of 'nobody'"),
        (
            {"methods": [method("quick")], "verdicts": {"quick": [[[1, 2], [3]], [[4]]]}},
            r"expected verdicts \[7, 7, 7\] of 'quick'",
        ),
    ],
)
def test_wrong_field_is_refused(change, expected):
    with pytest.raises(ValueError, match=expected):
        tables.check(make_result(**change))


def test_list_is_no_result():
    with pytest.raises(ValueError, match="expected a JSON object, found list"):
        tables.check([])
