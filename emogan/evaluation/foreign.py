"""Networks of others, from files that the user brings: an ONNX face embedder, and the Inception network of FID."""

import hashlib
import pathlib
import warnings
from collections.abc import Callable

import numpy as np

from emogan.data import dataset
from emogan.evaluation import identity

_BATCH = 64
_INCEPTION_FEATURES = 2048


def onnx_descriptor(path: str | pathlib.Path) -> identity.Descriptor:
    """Returns the face embedder in an ONNX file as a descriptor named after the file and its bytes; it runs on CPU.

    The network has one input of floats, [N, C, H, W] or [N, H, W, C] with C of 1 or 3, H and W fixed, N fixed or not;
    its first output is the embedding. Faces are resized bilinearly to H x W, gray is repeated for the 3 channels, and
    values are (pixel - 127.5) / 127.5, in [-1, 1]: the convention of ArcFace (Deng et al. 2019) and of the networks
    of InsightFace that came from PyTorch. A network that scales inside itself, as those from MXNet do, would see
    faces of hardly any contrast: its file is not for this function.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if onnxruntime is not installed, the file is no ONNX network, or its input is another.
    """
    path = _existing(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError("expected onnxruntime for an ONNX file, found none: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimisations
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no base that is public
        raise ValueError(f"expected an ONNX network in {path}, found {_first_line(error)}: check the file") from error
    if len(session.get_inputs()) != 1:
        names = ", ".join(entry.name for entry in session.get_inputs())
        raise ValueError(f"expected one input in {path}, found {names}: export the face embedder alone")
    entry = session.get_inputs()[0]
    if entry.type != "tensor(float)":
        raise ValueError(f"expected an input of tensor(float) in {path}, found {entry.type}: export it in float32")
    batch, axis, size = _layout(path, entry.shape)
    channels = entry.shape[axis]

    def features(faces: np.ndarray) -> np.ndarray:
        pixels = np.expand_dims((_resize(faces, size) - np.float32(127.5)) / np.float32(127.5), axis)
        pixels = np.repeat(pixels, channels, axis)
        step = batch or _BATCH
        rows = []
        for start in range(0, len(pixels), step):
            piece = pixels[start : start + step]
            # A fixed batch has to be full.
            missing = batch - len(piece) if batch else 0
            fed = np.concatenate([piece, np.repeat(piece[-1:], missing, 0)]) if missing else piece
            output = np.asarray(session.run(None, {entry.name: fed})[0])
            if output.shape[:1] != fed.shape[:1]:
                raise ValueError(
                    f"expected an output [{len(fed)}, D] of {path}, found {list(output.shape)}: export the embedding "
                    "as the first output"
                )
            rows.append(output[: len(piece)].reshape(len(piece), -1))
        return np.concatenate(rows)

    # The first digits of its SHA-256, because results of one descriptor's name are put side by side.
    return identity.Descriptor(f"{path.stem} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}", features)


def inception_features(path: str | pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from faces uint8 [N, 48, 48] to Inception features float32 [N, 2048]; it runs on CPU.

    Only a Frechet distance between these features may be called FID (Heusel et al. 2017): published values are made
    with this network. The file is `inception-2015-12-05.pt`, TorchScript of the TensorFlow network, as
    StyleGAN2-ADA, StyleGAN3 (there also as .pkl, which is not for this function) and clean-fid use it. As they do,
    gray is repeated to three channels of bytes, and the file itself resizes to 299x299, bilinearly and without
    antialiasing as TensorFlow did, scales by (pixel - 128) / 128, and answers the features before the last layer.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if PyTorch is not installed or the file is no TorchScript; the function that is returned: if the
        faces are no such array, or the network is not the one above.
    """
    path = _existing(path)
    try:
        import torch
    except ImportError as error:
        raise ValueError("expected PyTorch for the network of FID, found none: pip install torch") from error
    try:
        with warnings.catch_warnings():
            # Newer versions of PyTorch advise another format; this network was published in TorchScript only.
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ValueError(
            f"expected TorchScript in {path}, found {_first_line(error)}: take inception-2015-12-05.pt"
        ) from error

    def features(faces: np.ndarray) -> np.ndarray:
        identity.check_faces(faces, dataset.FER2013)
        rows = []
        for start in range(0, len(faces), _BATCH):
            pixels = np.repeat(faces[start : start + _BATCH, None], 3, axis=1)
            try:
                with torch.no_grad():
                    output = network(torch.from_numpy(pixels), return_features=True).numpy()
            except RuntimeError as error:
                raise ValueError(
                    f"expected the network inception-2015-12-05.pt in {path}, found one that fails with "
                    f"{_first_line(error)}: take that file"
                ) from error
            if output.shape != (len(pixels), _INCEPTION_FEATURES):
                raise ValueError(
                    f"expected features [{len(pixels)}, {_INCEPTION_FEATURES}] of {path}, found {list(output.shape)}: "
                    "take inception-2015-12-05.pt"
                )
            rows.append(output.astype(np.float32))
        return np.concatenate(rows)

    return features


def _existing(path: str | pathlib.Path) -> pathlib.Path:
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a network's file at {path}, found none: check the path")
    return path


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _layout(path: pathlib.Path, shape: list) -> tuple[int | None, int, tuple[int, int]]:
    """The fixed batch or None, the axis of the channels, and (H, W); onnxruntime names what is not fixed."""
    axis = None
    if len(shape) == 4:
        axis = next((axis for axis in (1, 3) if shape[axis] in (1, 3)), None)
    if axis is None:
        raise ValueError(
            f"expected an input [N, 1 or 3, H, W] or [N, H, W, 1 or 3] in {path}, found {shape}: export a network of "
            "pictures"
        )
    size = tuple(shape[2:] if axis == 1 else shape[1:3])
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"expected a fixed height and width in {path}, found {shape}: export it for one size")
    batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
    return batch, axis, size


def _resize(faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Faces float32 [N, H, W] of whole gray levels, as an embedder gets from files."""
    import PIL.Image

    height, width = size
    resized = [PIL.Image.fromarray(face).resize((width, height), PIL.Image.Resampling.BILINEAR) for face in faces]
    return np.stack([np.asarray(face, np.float32) for face in resized])
