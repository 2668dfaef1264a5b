"""The command `emogan`: the scripts of experiments/ by short names, and edits in one line."""

import argparse
import pathlib
import runpy
import sys
from collections.abc import Sequence

# What each command runs: a script of experiments/ (next to the package in a clone, inside it where it is installed).
COMMANDS = {
    "edit": ("transfer", "change the emotion on photographs and faces: emogan edit photo.jpg happy [out.jpg]"),
    "train": ("train", "train a preset"),
    "evaluate": ("evaluate", "score a run, a model's file, or another program's pictures"),
    "compare": ("compare", "train presets under one budget, and compare runs"),
    "study": ("study", "make and score a study of human viewers"),
    "figures": ("figures", "draw the figures of a run again"),
    "export": ("export", "write a model for JAX, ONNX or a web page"),
    "model": ("export_model", "write E and G of a finished run as one small file with a card"),
    "audit": ("audit", "report duplicates and leakage in a data set"),
}

# The extra that a command needs, if it is not `train`.
_EXTRAS = {"edit": "photos", "export": "export"}

# What is read and not written, and what it becomes; the modules that read it would import JAX.
_BECOMES = {
    **dict.fromkeys((".mov", ".mkv", ".m4v", ".avi"), ".mp4"),
    **dict.fromkeys((".heic", ".heif", ".jfif"), ".jpg"),
    **dict.fromkeys((".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff"), ".png"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command with its arguments; wrong ones end in one line and status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="emogan",
        usage="emogan COMMAND [ARGUMENTS]; emogan COMMAND --help lists a command's flags",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:9} {about}" for name, (_, about) in COMMANDS.items()),
    )
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=", ".join(COMMANDS))
    command = parser.parse_args(given[:1]).command
    rest = given[1:]
    if command == "edit":
        rest = _edit_flags(rest)
    folder = _scripts()
    sys.argv = [f"emogan {command}", *rest]
    sys.path.insert(0, str(folder))  # the scripts import the flags that lie next to them
    try:
        script, named = folder / f"{COMMANDS[command][0]}.py", {"EMOGAN_COMMAND": f"emogan {command}"}
        runpy.run_path(str(script), init_globals=named, run_name="__main__")
    except ModuleNotFoundError as error:
        lacking = (error.name or "emogan").partition(".")[0]
        if lacking == "emogan":  # a fault of the package itself
            raise
        parser.exit(
            2,
            f"error: emogan {command}: expected the package {lacking}, found none; "
            f'pip install "emogan[{_EXTRAS.get(command, "train")}]"\n',
        )


def _edit_flags(arguments: Sequence[str]) -> list[str]:
    """Returns the flags of transfer.py for `PHOTO EMOTION [OUTPUT]`, which may stand before other flags."""
    count = next((i for i, one in enumerate(arguments) if one.startswith("-")), len(arguments))
    places, flags = arguments[:count], list(arguments[count:])
    named = [f"--{name}={value}" for name, value in zip(("input", "emotion", "output"), places, strict=False)]
    if count == 2 and not any(flag.startswith("--output") for flag in flags):
        photo, emotion = pathlib.Path(places[0]), places[1]
        suffix = ".gif" if ":" in emotion else _BECOMES.get(photo.suffix.lower(), photo.suffix)
        named.append(f"--output={photo.with_name(photo.stem + '_' + emotion.replace(':', '_') + suffix)}")
    return [*named, *flags, *places[3:]]


def _scripts() -> pathlib.Path:
    package = pathlib.Path(__file__).parent
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


if __name__ == "__main__":
    main()
