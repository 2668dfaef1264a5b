import hashlib
import sys

import numpy as np
import pytest

from emogan.evaluation import foreign


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)


def _embedder(path, shape, inputs=1, kind=None):
    """An ONNX file whose network answers its pixels as a row [N, C * H * W]; the input's shape is as given."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT if kind is None else kind
    names = ["pixels", "other"][:inputs]
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["pixels"], ["row"], axis=1)],
        "embedder",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [helper.make_tensor_value_info("row", kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", ["N", None, 1, 2, 8])
def test_embedder_sees_pixels_in_minus_one_to_one(tmp_path, faces, batch):
    descriptor = foreign.onnx_descriptor(_embedder(tmp_path / "tiny.onnx", [batch, 1, 48, 48]))
    rows = descriptor(faces)
    assert (descriptor.name[:5], rows.dtype) == ("tiny ", np.float32)
    np.testing.assert_allclose(rows, _unit((faces.reshape(5, -1) - 127.5) / 127.5), atol=1e-6)


def test_files_of_one_name_are_told_apart_by_their_bytes(tmp_path):
    names = []
    for folder, channels in (("a", 1), ("b", 1), ("c", 3)):
        (tmp_path / folder).mkdir()
        path = _embedder(tmp_path / folder / "tiny.onnx", ["N", channels, 48, 48])
        names.append(foreign.onnx_descriptor(path).name)
    assert names[0] == names[1]
    assert names[0] != names[2] == f"tiny {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


@pytest.mark.parametrize(("shape", "axis"), [(["N", 3, 48, 48], 1), (["N", 48, 48, 3], 3)])
def test_gray_is_repeated_for_three_channels(tmp_path, faces, shape, axis):
    rows = foreign.onnx_descriptor(str(_embedder(tmp_path / "rgb.onnx", shape)))(faces)
    pixels = np.stack([faces / 127.5 - 1.0] * 3, axis)
    np.testing.assert_allclose(rows, _unit(pixels.reshape(5, -1)), atol=1e-6)


@pytest.mark.parametrize("shape", [[1, 1, 24, 96], [1, 24, 96, 1]])
def test_faces_are_resized_to_height_and_width(tmp_path, shape):
    ramp = np.tile(5 * np.arange(48, dtype=np.uint8)[:, None], (1, 48))[None]  # darker above
    rows = foreign.onnx_descriptor(_embedder(tmp_path / "wide.onnx", shape))(ramp).reshape(24, 96)
    assert np.all(np.diff(rows, axis=0) > 0)
    np.testing.assert_allclose(np.diff(rows, axis=1), 0, atol=1e-7)


def test_embedder_can_be_centred(tmp_path, faces):
    descriptor = foreign.onnx_descriptor(_embedder(tmp_path / "tiny.onnx", ["N", 1, 48, 48]))
    rows = descriptor.centred(faces)(faces)
    plain = descriptor(faces)
    np.testing.assert_allclose(rows, _unit(plain - plain.mean(0)), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (["N", 2304], "H, W"),
        (["N", 2, 48, 48], "H, W"),
        (["N", 1, "H", "W"], "fixed height and width"),
    ],
)
def test_other_inputs_are_refused(tmp_path, shape, found):
    path = _embedder(tmp_path / "other.onnx", shape)
    with pytest.raises(ValueError, match=found) as error:
        foreign.onnx_descriptor(path)
    assert "other.onnx" in str(error.value)
    assert "\n" not in str(error.value)


def test_two_inputs_are_refused(tmp_path):
    path = _embedder(tmp_path / "two.onnx", ["N", 1, 48, 48], inputs=2)
    with pytest.raises(ValueError, match=r"expected one input .* found pixels, other"):
        foreign.onnx_descriptor(path)


def test_input_of_other_numbers_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = _embedder(tmp_path / "double.onnx", ["N", 1, 48, 48], kind=onnx.TensorProto.DOUBLE)
    with pytest.raises(ValueError, match=r"tensor\(float\) .* found tensor\(double\)"):
        foreign.onnx_descriptor(path)


def test_what_is_no_network_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "text.onnx"
    path.write_text("a face embedder")
    with pytest.raises(ValueError, match=r"expected an ONNX network in .*text\.onnx") as error:
        foreign.onnx_descriptor(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("loader", [foreign.onnx_descriptor, foreign.inception_features])
def test_missing_file_is_named(tmp_path, loader):
    with pytest.raises(FileNotFoundError, match=r"none\.file, found none: check the path"):
        loader(tmp_path / "none.file")


@pytest.mark.parametrize(
    ("loader", "package"), [(foreign.onnx_descriptor, "onnxruntime"), (foreign.inception_features, "torch")]
)
def test_missing_package_is_named(tmp_path, monkeypatch, loader, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"pip install {package}$"):
        loader(tmp_path / "file")


def _inception(path, features=2048):
    """TorchScript that answers the first pixels as features, and says by a doubled answer that none were asked for."""
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features = features

        def forward(self, images, return_features: bool = False):
            assert images.dtype == torch.uint8
            assert images.shape[1] == 3
            assert bool((images[:, 0] == images[:, 2]).all())
            rows = images.to(torch.float32).flatten(1)[:, : self.features]
            return rows if return_features else 2 * rows

    torch.jit.script(Network()).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inception_gets_three_channels_of_bytes(tmp_path):
    path = _inception(tmp_path / "inception.pt")
    faces = np.random.default_rng(0).integers(0, 256, (70, 48, 48), dtype=np.uint8)  # more than a batch
    features = foreign.inception_features(path)(faces)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, faces.reshape(70, -1)[:, :2048])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_network_with_other_features_is_refused(tmp_path, faces):
    path = _inception(tmp_path / "other.pt", features=1000)
    with pytest.raises(ValueError, match=r"expected features \[5, 2048\] of .* found \[5, 1000\]"):
        foreign.inception_features(path)(faces)


def test_what_is_no_torchscript_is_refused(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "text.pt").write_text("a network")
    with pytest.raises(ValueError, match=r"expected TorchScript in .*text\.pt"):
        foreign.inception_features(tmp_path / "text.pt")
