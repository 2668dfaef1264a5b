"""experiments/hints.py: a flag that is not there is answered by the one that was meant, in one line."""

import pytest

NO_FLAG = "expected a flag, found none of this name"
NO_FIELD = "expected a field of the configuration, found none of this name"
GAN, ENCODER = "write --config.gan", "--config.encoder"
CASES = {
    "--epochs=5": f"{NO_FLAG}; {GAN}.epochs=5 or {ENCODER}.epochs=5",
    "--epochs 5": f"{NO_FLAG}; {GAN}.epochs=5 or {ENCODER}.epochs=5",
    "--batch_size=128": f"{NO_FLAG}; {GAN}.batch_size=128 or {ENCODER}.batch_size=128",
    "--batch-size=128": f"{NO_FLAG}; {GAN}.batch_size=128 or {ENCODER}.batch_size=128",
    "--config=judge --lr=0.1": f"{NO_FLAG}; write --config.classifier.learning_rate=0.1",
    "--gan.epochs=3": f"{NO_FLAG}; {GAN}.epochs=3",
    "--work_dir=runs/a": f"{NO_FLAG}; write --workdir=runs/a",
    "--dryrun": f"{NO_FLAG}; write --dry_run",
    "--colour=red": f"{NO_FLAG}; --help lists the flags",
    "--config.gan.epoch=3": f"{NO_FIELD}; {GAN}.epochs=3",
    "--config.gna.epochs=3": f"{NO_FIELD}; {GAN}.epochs=3",
    "--config.epochs=3": f"{NO_FIELD}; {GAN}.epochs=3 or {ENCODER}.epochs=3",
    "--config.colour=red": f"{NO_FIELD}; --dry_run prints all fields",
}


@pytest.mark.parametrize("typed", CASES)
def test_a_flag_that_is_not_there_is_answered_by_the_nearest(call_script, tmp_path, typed):
    result = call_script("train.py", *typed.split(), cwd=tmp_path)
    asked = typed.split(maxsplit=typed.startswith("--config="))[-1].replace(" ", "=")
    assert result.stderr == f"error: {asked}: {CASES[typed]}\n"
    assert (result.returncode, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--emotions=happy", "--emotion=happy"),
        ("--model=fer2013", "--workdir=fer2013"),
        ("--out=a.png", "--output=a.png"),
    ],
)
def test_the_other_scripts_name_their_own_flags(call_script, typed, meant):
    result = call_script("transfer.py", typed)
    assert result.stderr == f"error: {typed}: {NO_FLAG}; write {meant}\n"
    assert result.returncode == 2


@pytest.mark.parametrize("preset", [["--config=judge"], ["--config", "judge"]])
def test_fields_may_stand_before_the_preset(call_script, tmp_path, preset):
    first = ["--config.classifier.epochs=3", "--config.data.count=64", "--dataset=toyfaces"]
    before, after = (
        call_script("train.py", *arguments, "--dry_run", cwd=tmp_path)
        for arguments in ([*first, *preset], [*preset, *first])
    )
    assert before.returncode == 0, before.stderr
    assert '"preset": "judge"' in before.stdout
    assert '"epochs": 3.0' in before.stdout
    assert before.stdout == after.stdout


@pytest.mark.parametrize("script", ["train.py", "transfer.py"])
def test_h_is_help(call_script, script):
    short, long = (call_script(script, flag) for flag in ("-h", "--help"))
    assert (short.returncode, short.stderr) == (0, "")
    assert "  --workdir: " in short.stdout
    assert short.stdout == long.stdout
