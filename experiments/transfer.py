"""Changes the emotion on the faces in photographs, or on faces that are already cropped.

emogan edit photo.jpg happy happy.jpg, in short, or:

python experiments/transfer.py --input=photo.jpg --emotion=happy --output=happy.jpg
python experiments/transfer.py --input=photo.jpg --emotion=all --output=strip.png
python experiments/transfer.py --input=photo.jpg --emotion=neutral:happy --output=smile.gif
python experiments/transfer.py --input=clip.mp4 --emotion=happy --output=happy.mp4
python experiments/transfer.py --input=photos/ --emotion=happy --output=sheet.png
python experiments/transfer.py --workdir=runs/mine --input=faces.npy --emotion=all --output=edited.npy

Without --workdir it is fer2013-flow, the flow that ships with emogan. --workdir=fer2013 is the feed-forward model that
ships, some 70 times as fast; its edits look less natural.

An image of at most 112 pixels a side is one cropped face; a larger one is searched for faces. --crop=none treats every
image as a face; --crop=detect searches every image for faces. Photographs need the extra photos: pip install -e
".[photos]", videos the extra video: pip install -e ".[video]".
"""

import pathlib

import script
from absl import flags

from emogan.edit import detection, face_files, loading, model_file, photo_files, photo_reader, transfer_files, videos
from emogan.train import writers

WORKDIR = script.define_path(
    "workdir", model_file.DEFAULT, f"the folder of a finished run, or {' or '.join(model_file.SHIPPED)}, which ship"
)
INPUT = script.define_path(
    "input", None, "an image, a folder of images, a video, or a .npy file uint8 [N,S,S]", required=True
)
EMOTION = flags.DEFINE_string("emotion", None, "an emotion's name, all, or FROM:TO for an animation", required=True)
OUTPUT = script.define_path(
    "output",
    None,
    "NAME.jpg, .png, .webp, .avif, .gif, .mp4, .webm, .npy, or a folder for a picture an image",
    required=True,
)
CROP = flags.DEFINE_enum(
    "crop",
    photo_reader.AUTO,
    photo_reader.CROPS,
    "detect: find the faces in each image; none: each image is a face already, its middle square is taken; "
    f"auto: find them in images with a side of more than {photo_reader.LARGEST_FACE} pixels",
)
FACES = flags.DEFINE_string(
    "faces", photo_reader.ALL, "in a photograph: all, largest, or numbers from the left, such as 1,3"
)
MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence",
    detection.MIN_CONFIDENCE,
    "of the face detector, 0 to 1; lower values find more faces and more false detections",
)
ANY_POSE = flags.DEFINE_boolean("any_pose", False, "edit heads that are turned far to a side, too")
STRENGTH = flags.DEFINE_float("strength", 1.0, "of the edit: 0 no change, 1 full edit, above 1 exaggerated", 0.0, 10.0)
FRAMES = flags.DEFINE_integer("frames", 24, "how many pictures an animation has")


def main(_) -> None:
    source, output = pathlib.Path(INPUT.value), pathlib.Path(OUTPUT.value)
    chosen = photo_reader.selection(FACES.value, MIN_CONFIDENCE.value, ANY_POSE.value)
    if videos.is_video(source):
        videos.check(EMOTION.value, output, chosen)
    model = loading.load(WORKDIR.value)
    if videos.is_video(source):
        done = videos.write(model, source, EMOTION.value, output, chosen, writers.Progress, STRENGTH.value)
        for line in done.found:
            print(line)
        print(
            f"{done.frames} frames, {done.faces} face{'' if done.faces == 1 else 's'}, {EMOTION.value}: wrote {output}"
        )
        return
    transfer_files.check(model, EMOTION.value, output, FRAMES.value)
    if photo_reader.holds_photos(source, CROP.value, model.spec):
        progress = writers.Progress("editing")
        done = photo_files.write(
            model, source, EMOTION.value, output, CROP.value, FRAMES.value, progress, chosen, STRENGTH.value
        )
        written, count, remarks, failed = done.paths, done.faces, done.remarks, done.failed
        edited, skipped = done.edited, done.skipped
        for line in done.found:
            print(line)
    else:
        faces = face_files.read(source, model.spec, writers.Progress("reading"))
        progress = writers.Progress("writing")
        written = transfer_files.write(model, faces, EMOTION.value, output, progress, FRAMES.value, STRENGTH.value)
        count, remarks, failed = len(faces.images), faces.remarks, faces.failed
        edited, skipped = len(faces.paths), 0
    for remark in remarks:
        print(remark)
    if source.is_dir():
        print(f"{edited + skipped + len(failed)} images: {edited} edited, {skipped} skipped, {len(failed)} failed")
    print(
        f"{count} face{'' if count == 1 else 's'}, {EMOTION.value}: wrote {written[0] if len(written) == 1 else output}"
    )
    if failed:
        script.fail(*failed)


if __name__ == "__main__":
    script.run(main)
