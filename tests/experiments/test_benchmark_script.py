"""experiments/lab/benchmark.py as a user calls it, at a tiny width and without PyTorch."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_benchmark_writes_figures_and_tables(call_script, tmp_path):
    result = call_script(
        "benchmark.py",
        "--width=2",
        "--batch_size=4",
        "--rounds=2",
        "--round_seconds=0.02",
        "--sections=gan,transfer,matmul,schedule",
        "--transfer_faces=20",
        "--peers=stock",
        f"--output={tmp_path / 'out'}",
    )
    assert result.returncode == 0, result.stderr
    assert "stock Flax computes the same" in result.stdout
    assert "schedule: left out" in result.stdout
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert found["matmul"]["gflops_per_second"] > 0
    steps = found["gan"]["2"]
    assert list(steps["implementations"]) == ["emogan", "stock Flax"]
    for one in steps["implementations"].values():
        assert one["seconds"]["n"] == 2
        assert min(one["seconds"]["median"], one["memory"]["peak_mib"], one["share_of_matrix_rate"]) > 0
    assert steps["ratios"]["emogan"]["of_medians"] == 1
    assert steps["ratios"]["stock Flax"]["of_medians"] > 0
    transfer = found["transfer"]["2"]
    assert transfer["one"]["implementations"]["emogan"]["seconds"]["median"] > 0
    assert transfer["many"]["faces"] == 20
    assert (found["options"]["widths"], found["about"]["jax"]["backend"]) == ([2], "cpu")
    text = (tmp_path / "out" / "benchmark.md").read_text()
    for title in ("Matrix products", "GAN step, width 2, batch 4", "Transfer, width 2"):
        assert f"## {title}\n" in text
    assert not list(tmp_path.rglob("*.tmp"))


WRONG = {
    "width": (["--width=many"], "--width: expected whole numbers, found 'many'"),
    "size": (["--width=0"], "model.width: expected 1 to 1024, found 0"),
    "section": (["--sections=gan,speed"], "--sections: expected some of"),
    "peer": (["--peers=keras"], "--peers: expected some of stock, torch, found 'keras'"),
    "U-Net": (["--width=8", "--sections=flow"], "--width: expected multiples of 16 for section flow, found 8; choose"),
    "size of no step": (["--width=0", "--sections=compile"], "model.width: expected 1 to 1024, found 0"),
    "rounds": (["--rounds=0"], "--rounds: expected at least 1, found 0"),
    "precision": (["--precision=half"], "half"),
    "no data": (["--data_dir=nowhere"], "--data_dir: expected a folder or file, found none at nowhere"),
    "stray": (["gan"], "expected flags only, found 'gan'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_ends_in_one_line_and_status_two(call_script, case, tmp_path):
    arguments, expected = WRONG[case]
    result = call_script("benchmark.py", *arguments, f"--output={tmp_path}")
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
