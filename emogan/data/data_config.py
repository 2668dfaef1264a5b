"""Which faces a run learns from: the part `data` of a configuration."""

import dataclasses
from typing import ClassVar

from emogan.data import dataset
from emogan.util import ranges


@dataclasses.dataclass
class DataConfig:
    """Which faces a run learns from."""

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("dir", "on_bad_row", "ferplus")
    name: str = "toyfaces"  # toyfaces, fer2013, folder, or tfds:NAME
    dir: str = ""  # of FER2013, of the folder, or of the prepared TFDS data
    size: int = 48  # pixels of a face's sides: 32, 48, 64, 96 or 128; other pictures are resized
    channels: int = 1  # 1 for gray, 3 for colour
    count: int = 0  # toyfaces: how many faces to draw for each split; 0 means as many as FER2013 has
    on_bad_row: str = "error"  # FER2013, folder: error, or skip (counts and reports)
    labels: str = "fer2013"  # the data's own; of FER2013 also ferplus, or auto: ferplus where fer2013new.csv is there
    ferplus: str = ""  # fer2013new.csv, if it is not next to FER2013
    class_names: str = ""  # folder: what the classes are called, with commas between, in the order of their numbers

    def check(self) -> None:
        ranges.one_of("data.on_bad_row", self.on_bad_row, ("error", "skip"))
        ranges.one_of("data.labels", self.labels, ("fer2013", "ferplus", "auto"))
        ranges.between("data.count", self.count, 0, 10**7)
        if self.size not in dataset.SIZES:
            raise ValueError(
                f"data.size: expected {dataset.one_of(dataset.SIZES)} pixels, found {self.size}; "
                "how many faces to draw is data.count"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"data.channels: expected 1 for gray or 3 for colour, found {self.channels}")
        if self.name == "fer2013":
            check_fer2013(self)
        if self.name not in ("toyfaces", "fer2013", "folder") and not self.name.startswith("tfds:"):
            raise ValueError(f"data.name: expected toyfaces, fer2013, folder or tfds:NAME, found {self.name!r:.100}")
        if self.labels == "ferplus" and self.name != "fer2013":
            raise ValueError(f"data.labels: expected ferplus only with data.name=fer2013, found {self.name!r:.50}")

    @property
    def spec(self) -> dataset.ImageSpec:
        """What the faces are; raises ValueError if there are none such."""
        return dataset.ImageSpec(self.size, self.channels)


def check_fer2013(config: DataConfig) -> None:
    """Raises ValueError unless the faces have the size and channels of FER2013."""
    if config.spec != dataset.FER2013:
        raise ValueError(
            f"data.size, data.channels: expected those of FER2013, whose faces are {dataset.FER2013}, found "
            f"{config.spec}; take --dataset=folder or toyfaces for others"
        )
