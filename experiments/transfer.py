"""Changes the emotion on faces that are already cropped.

python experiments/transfer.py --workdir=runs/quick --input=face.jpg --emotion=happy --output=happy.png
python experiments/transfer.py --workdir=runs/quick --input=faces/ --emotion=all --output=edited/
python experiments/transfer.py --workdir=runs/quick --input=faces.npy --emotion=all --output=edited.npy
"""

import pathlib

import flag_config
from absl import flags

from emogan import face_files, transfer, transfer_files
from emogan.train import writers

WORKDIR = flags.DEFINE_string("workdir", None, "the folder of a finished run", required=True)
INPUT = flags.DEFINE_string(
    "input", None, "an image, a folder of images, or a .npy file uint8 [N,48,48]", required=True
)
EMOTION = flags.DEFINE_string("emotion", None, "an emotion's name, or all", required=True)
OUTPUT = flags.DEFINE_string("output", None, "NAME.png, NAME.npy, or a folder for a picture a face", required=True)


def main(_) -> None:
    output = pathlib.Path(OUTPUT.value)
    model = transfer.load(WORKDIR.value)
    transfer_files.check(model, EMOTION.value, output)
    faces = face_files.read(pathlib.Path(INPUT.value), writers.Progress("reading"))
    for remark in faces.remarks:
        print(remark)
    written = transfer_files.write(model, faces, EMOTION.value, output, writers.Progress("writing"))
    count = "1 face" if len(faces.images) == 1 else f"{len(faces.images)} faces"
    print(f"{count}, {EMOTION.value}: wrote {written[0] if len(written) == 1 else output}")


if __name__ == "__main__":
    flag_config.run(main)
