"""A page that runs the model in the browser: a folder for any static server, which needs nothing from another."""

import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jax
import numpy as np

from emogan.data import toyfaces
from emogan.edit import detection, editor, exposure, flow_editor, motion, photo_reader, photos, tints
from emogan.export import card, onnx_file, runtime
from emogan.models import flow_edit, ode
from emogan.util import files, images

# In emogan/assets/web.
PAGE = (
    *("index.html", "style.css", "app.js", "camera.js", "networks.js", "worker.js", "detector.js", "frame.js"),
    *("pixels.js", "exposure.js", "put_back.js", "maps.js", "motion.js", "tints.js", "upright.js", "smoothing.js"),
    *("flow.js", "noise.js"),
)
MODEL, DETECTOR, ABOUT, RUNTIME = "model.onnx", "detector.onnx", "model.json", "runtime"

_VELOCITY_TOLERANCE = 1e-4  # of the largest velocity, about 4

# What the page computes as emogan does in Python, in the names that its scripts use.
_DETECTOR = {
    "sides": detection.LONGEST,
    "least": detection.MIN_CONFIDENCE,
    "overlap": detection.OVERLAP,
    "smallestBox": detection.SMALLEST_BOX,
    "boxSize": detection.BOX_SIZE,
    "landmarksBelow": detection.LANDMARKS_BELOW,
    "largestTurn": detection.LARGEST_TURN,
    "landmarks": detection.LANDMARKS,
    "tilts": detection.TILTS,
    "looks": detection.LOOKS,
    "around": detection.AROUND,
    "again": detection.AGAIN,
}
_EXPOSURE = {"range": exposure.RANGE, "middle": exposure.MIDDLE, "least": exposure.LEAST}
_BLENDING = {
    "plateau": photos.PLATEAU,
    "roundness": photos.ROUNDNESS,
    "near": photos.NEAR,
    "faint": photos.FAINT,
    "grain": photos.GRAIN,
    "around": tints.AROUND,
    "reach": tints.REACH,
    "likeness": tints.LIKENESS,
    "nearness": tints.NEARNESS,
    "darkest": tints.DARKEST,
    "strongest": tints.STRONGEST,
    "unchanged": tints.UNCHANGED,
    "changed": tints.CHANGED,
    "spread": tints.SPREAD,
    "motion": {
        "scales": motion.SCALES,
        "flat": motion.FLAT,
        "window": motion.WINDOW,
        "smooth": motion.SMOOTH,
        "steps": motion.STEPS,
        "stiffness": motion.STIFFNESS,
        "different": motion.DIFFERENT,
    },
}


def check(output: pathlib.Path) -> None:
    """Checks the place of the page before any work is done.

    Raises:
      ValueError: if there is something already, be it an empty folder, or a file where a folder above must be.
    """
    if output.exists() or output.is_symlink():
        raise ValueError(f"--output: expected a folder that is not there yet, found {output}")
    files.check_folder(output)


def check_model(model: editor.Editor) -> None:
    """Raises ValueError unless the page can make the model's edits."""
    how = model.networks.flow_edit
    if isinstance(model, flow_editor.FlowEditor) and (how.method, how.solver) != ("difference", "euler"):
        raise ValueError(
            "expected flow_edit.method=difference and flow_edit.solver=euler for the page, found "
            f"{how.method} and {how.solver}"
        )


def to_bytes(model: editor.Editor) -> bytes:
    """Returns the model's network as the page asks it; errors as of `onnx_file.to_bytes`."""
    if isinstance(model, flow_editor.FlowEditor):
        return onnx_file.velocity_to_bytes(model)
    return onnx_file.drawing_to_bytes(model)


def largest_difference(content: bytes, model: editor.Editor) -> float:
    """Returns how far the edits, or a flow's velocities, of `to_bytes` are from the live model's, on drawn faces.

    Raises:
      ValueError: if it is more than is due to rounding.
    """
    if not isinstance(model, flow_editor.FlowEditor):
        draw = onnx_file.drawing_from_bytes(content)
        whole = lambda faces, labels: draw(faces, labels, np.ones(len(faces), np.float32))[..., :-2]  # noqa: E731
        return card.largest_difference(whole, model)
    count, classes = card.FACES, len(model.class_names)
    faces = images.to_float(toyfaces.load("valid", count=count, spec=model.spec).images)
    times = np.linspace(0.0, 1.0, count, dtype=np.float32)
    labels = np.eye(classes + 1, classes, dtype=np.float32)[np.arange(count) % (classes + 1)]  # the last is none
    noisy = np.asarray(faces) * (1 - times[:, None, None, None])
    live = np.asarray(jax.jit(model.velocity)(model.variables, noisy, times, labels, np.asarray(faces)))
    apart = np.abs(onnx_file.velocity_from_bytes(content)(noisy, times, labels, np.asarray(faces)) - live)
    return card.within(float(apart.max() / max(1.0, np.abs(live).max())), _VELOCITY_TOLERANCE)


def write(
    content: bytes,
    model: editor.Editor,
    about: Mapping[str, Any],
    from_runtime: pathlib.Path,
    output: pathlib.Path,
) -> dict[str, int]:
    """Writes the page of a model, all of it or nothing, and returns the bytes of its files by name.

    Args:
      content: the model as `to_bytes` gave it.
      model: the same, live.
      about: see `card.describe`.
      from_runtime: a folder with `runtime.FILES`.
      output: the folder; `check` says which.

    Raises:
      ValueError: as `check` and `check_model` do.
    """
    check_model(model)
    check(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        folder = pathlib.Path(temporary) / "page"
        (folder / RUNTIME).mkdir(parents=True)
        for name in PAGE:
            files.write_bytes(folder / name, (resources.files("emogan") / "assets" / "web" / name).read_bytes())
        for name in runtime.FILES:
            shutil.copyfile(from_runtime / name, folder / RUNTIME / served(name))
        files.write_bytes(folder / MODEL, content)
        files.write_bytes(folder / DETECTOR, _detector())
        spec = {
            **{"size": model.spec.size, "channels": model.spec.channels},
            "largestFace": photo_reader.largest_face(model.spec),
        }
        settings = {
            **{"spec": spec, "detector": _DETECTOR, "exposure": _EXPOSURE, "blending": _BLENDING},
            **{"warps": model.warps, "flow": _flow(model)},
        }
        files.write_json(folder / ABOUT, {**card.describe(model, about), **settings})
        sizes = {
            str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
        }
        folder.rename(output)
    return sizes


def _flow(model: editor.Editor) -> dict[str, Any] | None:
    """Returns how a flow edits, in the names that the page's scripts use; None for another model."""
    if not isinstance(model, flow_editor.FlowEditor):
        return None
    how = model.networks.flow_edit
    return {
        "times": ode.times(how.t_max, 0.0, how.steps).tolist(),
        "guidances": how.guidances(len(model.class_names)).tolist(),
        "guidanceFrom": how.guidance_t_min,
        "guidanceSource": how.guidance_source,
        "redraw": _redraw(how, model.spec.size) if how.redraw_t else None,
        "noises": how.noises,
        "seed": how.seed,
        "estimateTimes": np.float32(flow_edit.ESTIMATE_TIMES).tolist(),
        "estimateNoises": flow_edit.ESTIMATE_NOISES,
    }


def _redraw(how: flow_edit.FlowEditConfig, size: int) -> dict[str, Any]:
    """Returns how a flow draws again what an edit changed, in the names that the page's scripts use."""
    least, most = flow_edit.CHANGES
    return {
        "times": ode.times(how.redraw_t, 0.0, how.redraw_steps).tolist(),
        "guidance": how.redraw_guidance,
        "blur": flow_edit.CHANGE_BLUR * size,
        "least": least,
        "most": most,
    }


def _detector() -> bytes:
    """Returns the network of `detection` for pictures of every size; in its file they have 640x640 pixels."""
    import onnx

    network = onnx.load(detection.NETWORK)
    height, width = network.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "H", "W"
    for output in network.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"places_{output.name}"
    del network.graph.value_info[:]  # the sizes between, which no longer hold
    return network.SerializeToString()


def served(name: str) -> str:
    """Returns a file's name on the page: not every server says that .mjs is JavaScript, and browsers insist."""
    return name.replace(".mjs", ".js")


def parts(sizes: Mapping[str, int]) -> tuple[int, int]:
    """Returns the bytes of a page without the runtime, and those of the runtime, of what `write` gave."""
    of_runtime = sum(size for name, size in sizes.items() if name.startswith(RUNTIME))
    return sum(sizes.values()) - of_runtime, of_runtime
