"""The named configurations that a run begins from."""

from emogan.config import Config, DataConfig, EncoderConfig, GanConfig, ModelConfig, RunConfig


def quick() -> Config:
    """Returns the default: drawn faces, a quarter of the paper's width, both phases in minutes on two CPU cores.

    Measured (docs/results/README.md): 8 min 32 s with the install; 19.6 dB to the true drawing of another emotion,
    where the input itself has 18.6 dB and the mean face of the emotion 14.7 dB.
    """
    return Config(
        preset="quick",
        model=ModelConfig(width=16),
        # After minutes, small batches and larger steps show emotions that the paper's 64 and 2e-4 do not yet.
        gan=GanConfig(epochs=5, batch_size=32, learning_rate=5e-4, ema_decay=0.998),
        encoder=EncoderConfig(epochs=3, learning_rate=1e-3, ema_decay=0.99),
    )


def paper() -> Config:
    """Returns the paper's own setting: full width, 50 epochs, batch 64, Adam(2e-4, b1 0.5), no averages."""
    return Config(
        preset="paper",
        data=DataConfig(name="fer2013"),
        gan=GanConfig(ema_decay=0.0),
        encoder=EncoderConfig(ema_decay=0.0),
    )


def judge() -> Config:
    """Returns the setting of the judge that ships with emogan: FER2013's `train`, an hour on two CPU cores."""
    return Config(
        preset="judge",
        phases="classifier",
        data=DataConfig(name="fer2013"),
        run=RunConfig(sample_every=808, checkpoint_every=404),
    )


PRESETS = {"quick": quick, "paper": paper, "judge": judge}


def preset(name: str) -> Config:
    """Returns a fresh configuration by its preset's name.

    Raises:
      ValueError: if there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"--config: expected a preset out of {', '.join(PRESETS)}, found {name!r}")
    return PRESETS[name]()
