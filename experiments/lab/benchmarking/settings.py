"""The settings of an implementation: sizes, precision, and the faces that all of them see."""

import dataclasses

from benchmarking import flops

from emogan import config as config_lib
from emogan import presets
from emogan.data import dataset, toyfaces

PHASES = ("gan", "encoder", "joint", "flow")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The task of one implementation.

    Attributes:
      phase: `gan`, `encoder`, `joint` (of preset `emogan`) or `flow`.
      width: of the networks; of `joint` and `flow` in 64ths of the preset's.
      batch_size: faces a step.
      precision: of float32's matrix products on an accelerator, `tf32` or `float32`; no effect on CPUs.
      bfloat16: whether features, convolutions and products are bfloat16, and all that is kept float32.
      variant: which way of several an implementation has to do its task.
      exact_padding: whether PyTorch pads as Flax does, which takes it longer; for comparing results.
      faces: how many there are.
      data_dir: FER2013, where a task needs it.
      folder: for what a task writes.
      mode: how the devices share a step, `jit` or `pmap`.
      devices: how many share it.
    """

    phase: str = "gan"
    width: int = 64
    batch_size: int = 64
    precision: str = "tf32"
    bfloat16: bool = False
    variant: str = ""
    exact_padding: bool = False
    faces: int = 1024
    data_dir: str = ""
    folder: str = ""
    mode: str = "jit"
    devices: int = 1

    def config(self) -> config_lib.Config:
        """Returns the configuration of `paper`, `emogan` or `flow`, at this width and batch size.

        Raises:
          ValueError: if they are out of their ranges.
        """
        config = {"flow": presets.flow, "joint": presets.emogan}.get(self.phase, presets.paper)()
        config.data = config_lib.DataConfig(name="toyfaces", count=self.faces)
        config.model.width = self.width
        config.model.precision = "bfloat16" if self.bfloat16 else "float32"
        for name in PHASES:
            getattr(config, name).batch_size = self.batch_size
        if self.phase == "flow":
            config.unet.widths = ",".join(map(str, flops.unet_widths(self.width)))
            config.unet.deeper, config.unet.surroundings = 0, False  # PyTorch's copy has neither
            config.flow.warm_up = 0  # the first step would not move
        if self.phase == "joint":
            sizes = config.translator
            sizes.width, sizes.critic_width = 24 * self.width // 64, 32 * self.width // 64
            config.classifier.width = config.robust.width = 16 * self.width // 64
            config.joint.warp_first = 0.0  # else the first steps have no residual
        config.parallel = config_lib.ParallelConfig(mode=self.mode, devices=self.devices)
        config.check()
        return config

    def dataset(self) -> dataset.Dataset:
        """Returns the drawn faces, at least two batches."""
        return toyfaces.load("train", 0, max(self.faces, 2 * self.batch_size))
