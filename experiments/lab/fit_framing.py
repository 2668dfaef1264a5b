"""Measures face detectors on FER2013, and where a face lies in its frames: the constants of emogan/edit/detection.py.

pip install -e ".[train,photos]" dlib-bin && python experiments/lab/fit_framing.py --data_dir=PATH
"""

# isort: off
import beside  # noqa: F401

# isort: on
import pathlib
import time

import flag_config
import found_faces
import numpy as np
import script
from absl import flags

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import detection, framing
from emogan.train import pipeline
from emogan.util import files, untrusted

DATASET = flags.DEFINE_string("dataset", "fer2013", "toyfaces, fer2013 or tfds:NAME")
DATA_DIR = script.define_path("data_dir", "", "folder of the data")
COUNT = flags.DEFINE_integer("count", 2000, "how many faces of `train`", 1)
OUTPUT = script.define_path("output", "", "a JSON file for the numbers, if wanted")

_PORTRAITS = ("astronaut.png", "grace_hopper.jpg")
_FACELESS = """brick.png chelsea.png chessboard_RGB.png coffee.png gravel.png hubble_deep_field.jpg ihc.png moon.png
motorcycle_left.png page.png phantom.png retina.jpg rocket.jpg text.png"""


def main(_) -> None:
    output = OUTPUT.value and script.output(OUTPUT.value)
    data = config_lib.DataConfig(name=DATASET.value, dir=DATA_DIR.value)
    data.check()
    config = config_lib.Config(data=data)
    images = pipeline.load_data(config, "train").images
    chosen = np.random.default_rng(0).permutation(len(images))[: COUNT.value]
    pictures = [found_faces.embedded(images[i]) for i in chosen]
    portraits, faceless = (list(map(read, names)) for names in (_PORTRAITS, _FACELESS.split()))
    table, detections = {}, []
    print(f"{'detector':16} of {len(pictures)} faces   portraits   on {len(faceless)} without faces   ms a face")
    for name, detect in detectors().items():
        detect(pictures[0])  # the first call is slower
        start = time.perf_counter()
        answers = [detect(picture) for picture in pictures]
        milliseconds = 1000 * (time.perf_counter() - start) / len(pictures)
        found = sum(len(answer) > 0 for answer in answers)
        detections = detections or answers  # of the first, which is ours
        false = sum(len(detect(picture)) for picture in faceless)
        hit = sum(len(detect(picture)) > 0 for picture in portraits)
        table[name] = {"found": found, "portraits": hit, "false": false, "milliseconds": milliseconds}
        print(f"{name:16} {found:13} {hit:11} {false:18} {milliseconds:21.1f}", flush=True)

    placed = [place for found in detections for place in in_frame(found)]
    if not placed:
        raise ValueError(f"{DATASET.value}: expected faces that the detector finds, found none; give more by --count")
    quartiles = {name: np.percentile([one[name] for one in placed], [25, 50, 75]).tolist() for name in placed[0]}
    print(f"\n{len(placed)} of {DATASET.value}, in parts of the frame's side: lower quartile, median, upper quartile")
    for name, values in quartiles.items():
        print(f"{name:16}", *(f"{value:8.3f}" for value in values))
    print(f"detection.BOX_SIZE = {quartiles['box_size'][1]:.3f}")
    print(f"detection.LANDMARKS_BELOW = {quartiles['landmarks_y'][1]:.3f}")
    ours = [found_faces.largest(found) for found in detections if found]
    landmarks = np.median([levelled(one) for one in ours], axis=0)
    print(f"detection.LANDMARKS = {np.round(landmarks, 3).tolist()}")
    shares = (50, 75, 90, 98)
    tilts = np.percentile([abs(one.tilt) for one in ours], shares).round(1).tolist()
    print(f"tilts in degrees, {shares} of 100 faces have less: {tilts}")

    print("\nthe same of portraits as `detection` frames them now, and whether it lies within the quartiles")
    crops = {}
    for name, portrait in zip(_PORTRAITS, portraits, strict=True):
        square = detection.find(portrait)[0].square
        crops[name] = in_frame(found_faces.of(framing.cut(portrait, square, dataset.FER2013)))[0]
        for what, value in crops[name].items():
            low, _, high = quartiles[what]
            print(f"{name:16} {what:16} {value:8.3f} {'within' if low <= value <= high else 'OUTSIDE'}")
    if output:
        found = {"detectors": table, "faces": len(placed), "quartiles": quartiles, "portraits": crops}
        found |= {"landmarks": landmarks.tolist(), "tilts": dict(zip(map(str, shares), tilts, strict=True))}
        print(f"wrote {files.write_json(output, found)}")


def read(name: str) -> np.ndarray:
    """Returns a picture uint8 [H, W, 3] that scikit-image or Matplotlib ship."""
    import matplotlib
    import skimage

    folders = (pathlib.Path(skimage.__file__).parent / "data", pathlib.Path(matplotlib.get_data_path(), "sample_data"))
    path = next(folder / name for folder in folders if (folder / name).exists())
    return np.asarray(untrusted.read_colour(path).convert("RGB"))


def in_frame(found: list[detection.Detection]) -> list[dict[str, float]]:
    """Returns where the largest face lies, in parts of the side of its frame; [] if none was found.

    Places are those from the frame's centre, to the right and down.
    """
    if not found:
        return []
    one = found_faces.largest(found)
    points = one.landmarks / found_faces.FRAME - 1.0
    left, top, width, height = np.array(one.box) / found_faces.FRAME
    eyes, mouth = points[:2], points[3:]
    return [
        {
            "box_size": float(np.sqrt(width * height)),
            "box_x": float(left + width / 2 - 1.0),
            "box_y": float(top + height / 2 - 1.0),
            "landmarks_x": float(points[:, 0].mean()),
            "landmarks_y": float(points[:, 1].mean()),
            "eyes_y": float(eyes[:, 1].mean()),
            "mouth_y": float(mouth[:, 1].mean()),
            "eyes_apart": float(np.linalg.norm(eyes[0] - eyes[1])),
            "eyes_to_mouth": float(np.linalg.norm(eyes.mean(axis=0) - mouth.mean(axis=0))),
            "turn": one.turn,
        }
    ]


def levelled(one: detection.Detection) -> np.ndarray:
    """Returns the landmarks float [5, 2] of a face from their middle, with its tilt undone."""
    turn = np.deg2rad(one.tilt)
    points = (one.landmarks - one.landmarks.mean(axis=0)) / found_faces.FRAME
    return points @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]


def detectors() -> dict:
    """Returns the detectors that are installed: from pixels uint8 [H, W(, 3)] to a list with an entry a face."""
    known = {"YuNet": found_faces.certain}
    try:
        import dlib

        known["dlib-bin"] = dlib.get_frontal_face_detector()
    except ImportError:
        print("dlib-bin is not installed, and left out")
    import cv2

    for name in ("default", "alt2"):
        cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml")
        known[f"Haar {name}"] = lambda pixels, cascade=cascade: list(
            cascade.detectMultiScale(pixels, 1.1, 4, minSize=(40, 40))
        )
    return known


if __name__ == "__main__":
    flag_config.run(main)
