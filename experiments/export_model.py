"""Writes the E and G of a run as one file with a model card, as the one that ships with emogan.

python experiments/export_model.py --workdir=runs/emogan --output=emogan/assets/emogan_fer2013.npz \
    --scores=valid.json,public.json --command="..." --notes=notes.json
"""

import pathlib
from collections.abc import Sequence

import flag_config
import script
from absl import flags

from emogan.evaluation import model_files, tables
from emogan.util import files, untrusted

WORKDIR = script.define_path("workdir", "runs/emogan", "the folder of a finished run")
OUTPUT = script.define_path("output", "model.npz", "the file; its card is written next to it as .json")
SCORES = script.define_paths("scores", [], "results of experiments/evaluate.py on this run, for the card")
COMMAND = flags.DEFINE_string("command", "", "how it was trained, for the card")
NOTES = script.define_path("notes", "", "JSON: further entries of the card, such as limits and known failures")


def main(_) -> None:
    workdir, path = pathlib.Path(WORKDIR.value), script.output(OUTPUT.value, beside=".json")
    notes = _notes(pathlib.Path(NOTES.value)) if NOTES.value else {}
    scores = _scores([tables.load(pathlib.Path(one)) for one in SCORES.value], workdir)
    about = {"command": COMMAND.value, "commit": script.commit(), "scores": scores, **notes}
    card = model_files.write(workdir, path, about)
    files.write_json(path.with_suffix(".json"), card)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json')}")


def _notes(path: pathlib.Path) -> dict:
    try:
        notes = untrusted.from_json(untrusted.read_text(path))
    except ValueError as error:
        raise ValueError(f"--notes: {path}: {error}") from error
    if not isinstance(notes, dict):
        raise ValueError(f"--notes: {path}: expected an object in JSON, found {untrusted.shown(repr(notes))}")
    return notes


def _scores(results: Sequence[dict], workdir: pathlib.Path) -> dict[str, dict]:
    """Returns the run's scores on the split of each result."""
    found = {}
    for result in results:
        references = [one["name"] for one in result["methods"] if one["kind"] == "reference"]
        name = tables.free(workdir.resolve().name, references)  # as evaluate.py named it
        named = [one for one in result["methods"] if one["name"] == name]
        if not named:
            raise ValueError(f"--scores: expected results of {workdir.name}, found those of {result['title']}")
        split = result["split"]
        if split in found:  # as by another judge, which the card would not tell apart
            raise ValueError(f"--scores: expected one result of each split, found two of {split}")
        found[split] = {"faces": result["faces"], "judge": result["judge"], "scores": named[0]["scores"]}
    return found


if __name__ == "__main__":
    flag_config.run(main)
