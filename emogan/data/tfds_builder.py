"""FER2013 as a TFDS builder with manual download; it needs no TensorFlow."""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from emogan import emotions
from emogan.data import dataset, fer2013
from emogan.data.fer2013 import sources

FILE_FORMAT = "array_record"


class Fer2013(tfds.core.GeneratorBasedBuilder):
    """FER2013 with features `image` uint8 [48, 48, 1] and `label`, under the splits of `fer2013.SPLITS`."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put FER2013 into manual_dir, in any form: fer2013.csv, icml_face_data.csv, the competition's .zip or "
        "fer2013.tar.gz, or folders train|test/<class>/ "
        "(https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge)."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        # Written out, since TFDS looks for its own metadata files only inside packages of data sets.
        return tfds.core.DatasetInfo(
            builder=self,
            description="35,887 faces in 48x48 gray with one of seven emotions, from the ICML 2013 competition.",
            features=tfds.features.FeaturesDict(
                {
                    # A Tensor, for the Image feature cannot encode arrays without TensorFlow.
                    "image": tfds.features.Tensor(shape=dataset.FER2013.shape, dtype=np.uint8, encoding="zlib"),
                    "label": tfds.features.ClassLabel(names=list(emotions.EMOTIONS)),
                }
            ),
            supervised_keys=("image", "label"),
            # As in the source, so that what is read back is the same arrays.
            disable_shuffling=True,
            homepage="https://arxiv.org/abs/1307.0414",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        splits = fer2013.load_all(pathlib.Path(dl_manager.manual_dir))
        return {split: self._generate_examples(faces) for split, faces in splits.items()}

    def _generate_examples(self, faces: dataset.Dataset):
        for index, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
            yield index, {"image": image[..., None], "label": int(label)}


def prepare(data_dir: str | pathlib.Path, manual_dir: str | pathlib.Path) -> Fer2013:
    """Returns the builder after writing FER2013, found in `manual_dir`, as array_record under `data_dir`.

    Raises:
      FileNotFoundError: if there is no FER2013 at `manual_dir`.
      ValueError: if what is there is not valid (naming file and row).
    """
    sources.find(pathlib.Path(manual_dir))
    builder = Fer2013(data_dir=str(data_dir), file_format=FILE_FORMAT)
    # Anew where it is there already: what is found in `manual_dir` may be more than it was.
    again = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    config = tfds.download.DownloadConfig(manual_dir=str(manual_dir), download_mode=again)
    builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)
    return builder
