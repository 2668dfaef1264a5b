"""Every command of the README is run, shortened; a command that nothing here knows is an error."""

import ast
import fnmatch
import pathlib
import re
import shlex
import textwrap

import matplotlib.cbook
import numpy as np
import pytest

from emogan.data import tfds_builder, toyfaces
from emogan.export import runtime
from emogan.util import images

REPOSITORY = pathlib.Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCK = re.compile(r"^```\w*\n(.*?)^```$|((?:^ {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)

TINY = (
    "--config.data.count=32 --config.model.width=2 --config.model.precision=float32 --config.gan.epochs=1 "
    "--config.encoder.epochs=1 "
    "--config.gan.batch_size=16 --config.encoder.batch_size=16 --config.run.tensorboard=False"
)
FACES = 2  # of the arrays in those commands
# What is added to the commands of a pattern (the last of two equal flags holds), and what they then must say.
SHORTENED = {
    "train.py": (TINY, "wrote runs/quick/figures/fig7_emotions.png"),
    # With the quick preset's rates the step is one that is compiled already.
    "train.py --config=paper --data_dir=*": (
        f"{TINY} --phase=gan --config.gan.learning_rate=5e-4 --config.gan.ema_decay=0.998",
        "wrote runs/paper/figures/fig5_samples.png",
    ),
    # tests/train steps these phases. Here all is read and planned, up to the first step.
    "train.py --config=judge --data_dir=*": (
        "--dry_run --config.classifier.batch_size=16",
        "steps of phase classifier: 80\n",
    ),
    "train.py --config.gan.epochs=10 *": ("--dry_run --config.data.count=64", "steps of phase gan: 20\n"),
    "train.py --dataset=tfds:NAME *": (
        f"{TINY} --dry_run --dataset=tfds:fer2013 --data_dir=tfds",
        "steps of phase encoder: 2\n",
    ),
    "transfer.py --input=*.jpg --emotion=all *": ("", "1 face, all: wrote "),
    "emogan edit *.jpg happy": ("", "1 face, happy: wrote photo_happy.jpg"),
    "transfer.py --input=*.jpg --emotion=neutral:happy *": ("--frames=2", "1 face, neutral:happy: wrote "),
    "transfer.py --input=face.png --emotion=happy *": ("", "1 face, happy: wrote "),
    "transfer.py --input=faces.npy --emotion=all *": ("", f"{FACES} faces, all: wrote "),
    "export.py --workdir=* --format=onnx *": ("", "wrote emogan.onnx"),
    "export.py --workdir=* --format=web *": ("--runtime=dist", "wrote page ("),
    "figures.py --workdir=*": ("", "wrote runs/quick/figures/fig7_emotions.png"),
    "evaluate.py --workdir=*": ("", "wrote runs/quick/evaluation/report.html"),
    # Here are others than FER2013's.
    "evaluate.py --model=fer2013 *": ("--split=public", "error: fer2013: expected a model of these "),
    "evaluate.py --images=*": (
        "--split=public --judge={package}/assets/judge_toyfaces.npz",
        "wrote runs/peer/evaluation/report.html",
    ),
    "compare.py runs/* runs/*": ("", "wrote runs/compared.html"),
    # test_evaluate_script.py trains two of them. Here each preset is configured, and then there are no data.
    "compare.py --train=*": ("--data_dir=absent", "error: absent: expected FER2013"),
    # test_benchmark_script.py measures. On a CPU this section measures nothing, but the report is written.
    "lab/benchmark.py": ("--sections=schedule --peers=stock --width=2", "wrote runs/benchmark/benchmark.md"),
}
TESTS = {"test command": "python -m pytest", "slow tests": "python -m pytest -m slow"}  # the first runs this file


def is_python(text):
    try:
        return bool(ast.parse(text))
    except SyntaxError:
        return False


def read(text):
    """The commands of a Markdown text, each once, and its blocks of Python."""
    blocks = [textwrap.dedent(fenced or indented) for fenced, indented in BLOCK.findall(text)]
    snippets = [block for block in blocks if is_python(block)]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", BLOCK.sub("", text))]
    shell = [block for block in blocks if block not in snippets] + [
        span for span in spans if re.match("(python|pip) ", span)
    ]
    lines = [line for block in shell for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    # One run stands for both that the README speaks of.
    named = (shlex.join(words).replace("runs/mine", "runs/quick") for words in commands if words)
    return list(dict.fromkeys(named)), snippets


COMMANDS, SNIPPETS = read(README)
PIP = [command for command in COMMANDS if command.startswith("pip ")]
SCRIPTS = [command for command in COMMANDS if command not in PIP and command not in TESTS.values()]


def patterns_of(command):
    name = command.removeprefix("python experiments/")
    return [pattern for pattern in SHORTENED if fnmatch.fnmatchcase(name, pattern)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands run: every file that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    faces = toyfaces.load("train", count=64)
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as photo:
        (folder / "photo.jpg").write_bytes(photo.read())
    images.save_png(folder / "face.png", faces.images[0])
    for name in ("faces", "theirs"):
        np.save(folder / f"{name}.npy", faces.images[:FACES])
    np.save(folder / "targets.npy", (faces.labels[:FACES] + 1) % 7)
    np.save(folder / "source_indices.npy", np.arange(FACES))
    usage = ["Training", "PublicTest"] * 32
    rows = [f"{faces.labels[i]},{' '.join(map(str, face.flat))},{usage[i]}" for i, face in enumerate(faces.images)]
    (folder / "PATH").mkdir()
    (folder / "PATH" / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    tfds_builder.prepare(folder / "tfds", folder / "PATH")
    (folder / "dist").mkdir()
    for name in runtime.FILES:
        (folder / "dist" / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def answers(call_script, folder):
    """Status and output of each command that is known, run in the README's order."""
    said = {}
    for command in filter(patterns_of, SCRIPTS):
        program, *words = shlex.split(f"{command} {SHORTENED[patterns_of(command)[0]][0]}")
        script = "../emogan/__main__.py" if program == "emogan" else words.pop(0)
        words = [word.format(package=REPOSITORY / "emogan") for word in words]
        done = call_script(script.removeprefix("experiments/"), *words, cwd=folder)
        said[command] = done.returncode, done.stdout + done.stderr
    return said


@pytest.mark.parametrize("command", SCRIPTS)
def test_command_runs(command, request):
    found = patterns_of(command)
    assert len(found) == 1, f"README.md: {command}: expected one pattern of SHORTENED that says how to run it: {found}"
    status, output = request.getfixturevalue("answers")[command]
    expected = SHORTENED[found[0]][1]
    assert status == (2 if expected.startswith("error: ") else 0), output
    assert expected in output


def test_no_pattern_is_left_of_a_command_that_went():
    assert set(SHORTENED) == {pattern for command in SCRIPTS for pattern in patterns_of(command)}


def test_pip_installs_extras_that_there_are():
    nodes = ast.walk(ast.parse((REPOSITORY / "setup.py").read_text()))
    (extras,) = (node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "extras_require")
    there = {key.value for key in extras.keys}
    for command in PIP:
        found = re.fullmatch(r"pip install -e '\.\[([\w,]+)\]'", command)
        assert found, command
        assert set(found[1].split(",")) <= there, command


def test_the_tests_are_started_by_the_commands_that_ci_looks_for():
    ci = (REPOSITORY / ".ci" / "run").read_text()
    assert "/<!-- $part -->/,/<!-- end -->/" in ci
    for part, command in TESTS.items():
        assert f'"{part}"' in ci
        assert read(README.split(f"<!-- {part} -->")[1].split("<!-- end -->")[0])[0][-1] == command


def test_python_gives_what_it_says(folder, monkeypatch):
    (snippet,) = SNIPPETS
    monkeypatch.chdir(folder)
    names = {}
    exec(snippet, names)
    assert (names["smiling"].dtype, names["smiling"].shape) == (np.uint8, (FACES, 48, 48))
    assert (folder / "happy.jpg").read_bytes().startswith(b"\xff\xd8")


def test_flags_named_in_passing_are_flags_of_a_script():
    scripts = "".join(path.read_text() for path in (REPOSITORY / "experiments").glob("*.py"))
    known = {*re.findall(r'(?:DEFINE_\w+|define_paths?)\(\s*"(\w+)"', scripts), "config"}
    assert set(re.findall(r"`--(\w+)", README)) <= known
