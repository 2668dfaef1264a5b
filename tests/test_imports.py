"""The rules of imports and printing: who may import whom, and who may print."""

import ast
import collections
import pathlib
import subprocess
import sys

import pytest

import emogan
from emogan import __main__ as command

REPOSITORY = pathlib.Path(__file__).parents[1]
PACKAGE = pathlib.Path(emogan.__file__).parent

# A package imports what stands above it, and nothing below. Files of one package may import each other, but not in a
# circle, which Python itself refuses.
ORDER = [
    "util",
    "emotions",
    "losses",
    "data",
    "models",
    "edit",
    "recipes",
    "config",
    "presets",
    "train",
    "figures",
    "evaluation",
    "export",
    "__main__",
]
MOST_PACKAGES, MOST_FLAT_MODULES = 10, 6
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*FILES, *sorted((PACKAGE.parent / "experiments").rglob("*.py"))]
HEAVY = ("cv2", "tensorflow_datasets", "ml_collections", "matplotlib", "tensorboardX", "optax", "orbax")
EDIT = "emogan.load().faces(numpy.zeros((1, 48, 48), numpy.uint8), 'happy')"


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in FILES}
each_module = pytest.mark.parametrize("module", sorted(MODULES), ids=lambda name: name or "emogan")


def imported(tree):
    """The dotted names of all that a module imports, at its top or inside functions, but for annotations alone."""
    typing = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    unread = {inner for node in typing for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in unread:
            continue
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


def package(module):
    return module.partition(".")[0]


def test_packages_are_few_and_have_their_place():
    assert {package(name) for name in MODULES} - {""} == set(ORDER)
    packages = [name for name in ORDER if (PACKAGE / name).is_dir()]
    assert len(packages) <= MOST_PACKAGES
    assert len(ORDER) - len(packages) <= MOST_FLAT_MODULES


def test_every_package_is_one_that_setuptools_finds():
    folders = {path.parent for path in FILES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_module_has_the_name_of_another():
    elsewhere = [*REPOSITORY.glob("experiments/**/*.py"), *REPOSITORY.glob("tests/support/*.py")]
    # A script that users run has the name of its command, also where a package has it.
    scripts = {f"{name}.py" for name, _ in command.COMMANDS.values()}
    names = [path.stem for path in elsewhere if path.name not in scripts]
    count = collections.Counter([*names, *(name.rpartition(".")[2] for name in MODULES)])
    assert [name for name, times in count.items() if times > 1] == []


@each_module
def test_imports_go_one_way(module):
    for dotted in imported(MODULES[module]):
        name = own(dotted)
        if module and name is not None and package(name) != package(module):
            assert ORDER.index(package(name)) < ORDER.index(package(module)), f"{module} imports {dotted}"


@each_module
def test_library_reads_no_flag_and_no_environment_variable(module):
    assert not [name for name in imported(MODULES[module]) if name.split(".")[0] in ("absl", "ml_collections")]
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Attribute):
            allowed = module == "__main__" and node.attr == "argv"
            assert node.attr not in ("environ", "getenv", "argv") or allowed, f"line {node.lineno}"


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


@pytest.mark.parametrize("use", ["", EDIT], ids=["import", "edit"])
def test_what_edits_faces_imports_nothing_that_trains(use):
    script = f"import sys, numpy, emogan; {use or None}; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
