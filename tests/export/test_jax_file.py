"""A model as one file for JAX: the same pictures, in a fresh process too, and no other file is taken for one."""

import hashlib
import json
import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan.data import dataset
from emogan.export import card, jax_file, onnx_file
from emogan.models import translator

ALONE = """
import json, sys
import jax, jax.export, numpy as np
raw = open(sys.argv[1], "rb").read()
start = 12 + int.from_bytes(raw[8:12], "little")
about = json.loads(raw[12:start])
end = start + 4 * about["weights"]
weights = np.frombuffer(raw[start:end], "<f4")
program = jax.export.deserialize(bytearray(raw[end:]))
np.save(sys.argv[4], program.call(weights, np.load(sys.argv[2]), np.load(sys.argv[3])))
assert "emogan" not in sys.modules
"""

LOADED = """
import sys
import numpy as np
import emogan.export
model = emogan.export.load(sys.argv[1])
assert model.labels[3] == "happy"
np.save(sys.argv[4], model(np.load(sys.argv[2]), np.load(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def content(main_model):
    return jax_file.to_bytes(main_model, {"commit": "abc"})


def test_every_kind_gives_the_live_models_pictures(model, asked, live):
    # The scales are ones, with which XLA errs in a batch of 100 where they are constants (see the module).
    portable, expected = jax_file.from_bytes(jax_file.to_bytes(model, {})), live(model, *asked)
    for count in (1, 3, 100):
        edits = portable(*(array[:count] for array in asked))
        assert (edits.shape, edits.dtype) == ((count, 48, 48, 1), np.float32)
        np.testing.assert_allclose(edits, expected[:count], atol=1e-5)
    assert np.abs(edits[:-1] - edits[1:]).mean() > 0.01


@pytest.mark.parametrize("script", [ALONE, LOADED], ids=["without_emogan", "by_load"])
def test_a_fresh_process_gives_the_live_models_pictures(script, content, main_model, asked, live, tmp_path):
    (tmp_path / "emogan.jax").write_bytes(content)
    for name, array in zip(("faces", "labels"), asked, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    names = ("emogan.jax", "faces.npy", "labels.npy", "edits.npy")
    command = [sys.executable, "-c", script, *(str(tmp_path / name) for name in names)]
    subprocess.run(command, cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "edits.npy"), live(main_model, *asked), atol=1e-5)


def test_a_file_tells_of_itself(content, main_model):
    about = jax_file.from_bytes(content).about
    assert about["labels"] == list(emogan.EMOTIONS)
    assert about["value_range"] == [-1.0, 1.0]
    assert about["card"]["commit"] == "abc"
    assert about["card"]["Source"].startswith("synthetic")
    config = config_lib.flatten(config_lib.of(main_model.card))
    del config["data.dir"]
    assert about["card"]["config"] == json.loads(json.dumps(config))


def test_where_the_data_lay_is_told_to_nobody(main_model, monkeypatch):
    config = config_lib.of(main_model.card)
    config.data.dir = "/home/someone/faces"
    monkeypatch.setitem(main_model.card, "config", config_lib.to_json(config))
    assert "someone" not in json.dumps(card.describe(main_model, {}))


def test_the_program_is_for_cpu_and_cuda_and_every_batch(content):
    length = int.from_bytes(content[8:12], "little")
    weights = json.loads(content[12 : 12 + length])["weights"]
    program = jax.export.deserialize(bytearray(content[12 + length + 4 * weights :]))
    assert program.platforms == ("cpu", "cuda")
    assert not isinstance(program.in_avals[1].shape[0], int)


@pytest.mark.parametrize(
    ("faces", "labels", "message"),
    [
        (np.zeros((1, 48, 48), np.float32), [0], r"faces uint8 \[B, 48, 48\] .*, found float32 \[1, 48, 48\]"),
        (np.zeros((48, 48), np.uint8), [0], r"found uint8 \[48, 48\]"),
        (np.zeros((0, 48, 48), np.uint8), [], r"B of 1 or more, found uint8 \[0, 48, 48\]"),
        (np.zeros((2, 48, 48), np.uint8), [0], r"integer labels \[2\], found int64 \[1\]"),
        (np.zeros((1, 48, 48), np.uint8), [0.5], "integer labels .*, found float64"),
        (np.zeros((1, 48, 48), np.uint8), [7], r"labels in 0\.\.6, found 7"),
    ],
)
def test_wrong_arrays_are_refused(content, faces, labels, message):
    with pytest.raises(ValueError, match=message):
        jax_file.from_bytes(content)(faces, labels)


def test_an_encoder_of_worn_labels_is_refused(main_model):
    if main_model.networks.kind == "translator":
        pytest.skip("it has no such encoder")
    config = config_lib.Config(model=config_lib.ModelConfig(width=4, latent_size=8, encoder_labels=True))
    model = tiny_models.make(config, emogan.EMOTIONS, *main_model.variables)
    with pytest.raises(ValueError, match=r"expected a model that edits a face without .*, found an encoder E\(x, y\)"):
        jax_file.to_bytes(model, {})


def header(content, **changes):
    """The file with other fields in its header."""
    length = int.from_bytes(content[8:12], "little")
    about = json.loads(content[12 : 12 + length]) | changes
    text = json.dumps(about).encode()
    return content[:8] + len(text).to_bytes(4, "little") + text + content[12 + length :]


DAMAGE = {
    "empty": lambda content: b"",
    "another kind": lambda content: b"\x89PNG\r\n\x1a\n" + content,
    "cut in the header": lambda content: content[:100],
    "cut in the weights": lambda content: content[:-50_000],
    "cut at its end": lambda content: content[:-1],
    "a changed weight": lambda content: content[:-30_000] + bytes([content[-30_000] ^ 1]) + content[-29_999:],
    "a changed program": lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
    "a header of 4 GB": lambda content: content[:8] + b"\xff" * 4 + content[12:],
    "a header that is no JSON": lambda content: content[:12] + b"[" + content[13:],
    "another format": lambda content: header(content, format=2),
    "no labels": lambda content: header(content, labels=[]),
    "labels of another type": lambda content: header(content, labels=[1, 2]),
    "more weights": lambda content: header(content, weights=1 << 40),
    "fewer weights": lambda content: header(content, weights=1000),
    "weights of another type": lambda content: header(content, weights="many"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused_in_one_line(content, tmp_path, damage):
    path = tmp_path / "emogan.jax"
    path.write_bytes(DAMAGE[damage](content))
    with pytest.raises(ValueError, match=r"emogan\.jax: expected .*, found .*; export it again") as caught:
        jax_file.load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_file_and_no_regular_file_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a model of --format=jax, found none; make one by"):
        jax_file.load(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"expected a file of at most .*, found a folder"):
        jax_file.load(tmp_path)


def test_another_program_is_refused(content):
    program = bytes(jax.export.export(jax.jit(lambda x: x + 1))(np.float32(0)).serialize())
    weights = np.zeros(1, np.float32).tobytes()
    sha256 = hashlib.sha256(weights + program).hexdigest()
    changed = header(content, weights=1, sha256=sha256)
    length = int.from_bytes(changed[8:12], "little")
    with pytest.raises(ValueError, match="expected a program from weights, faces and labels to faces, found"):
        jax_file.from_bytes(changed[: 12 + length] + weights + program)


def test_an_export_that_differs_is_refused(main_model):
    edit = jax_file.from_bytes(jax_file.to_bytes(main_model, {}))
    assert card.largest_difference(edit, main_model) <= 1e-5
    for wrong in (1e-4, np.nan):
        with pytest.raises(ValueError, match="expected an export within 1e-05 of the live model, found"):
            card.largest_difference(lambda *given, wrong=wrong: edit(*given) + np.float32(wrong), main_model)


def test_edits_stay_in_their_range_where_cubic_convolution_does_not(joint_model, asked):
    model, (_, labels) = joint_model, asked
    stripes = np.zeros((100, 48, 48), np.uint8)
    stripes[:, :, ::3] = 255
    G, codes = translator.make_generator(model.networks.translator, 7, dataset.FER2013), model.encode(stripes)
    assert np.abs(G.apply(model.variables[1], codes, labels)).max() > 1.01
    live = model.decode(codes, labels)
    assert np.abs(live).max() == 1
    for made in (jax_file, onnx_file):
        edits = made.from_bytes(made.to_bytes(model, {}))(stripes, labels)
        assert np.abs(edits).max() == 1
        # Stripes of 0 and 255 make the largest values: 1.1e-5 apart on a CPU with AVX-512.
        np.testing.assert_allclose(edits, live, atol=3e-5)
    again = model.faces(live, "sad")
    assert np.isfinite(again).all()
