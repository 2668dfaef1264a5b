"""The named configurations that a run begins from."""

from emogan.config import (
    ClassifierConfig,
    Config,
    DataConfig,
    EncoderConfig,
    FlowConfig,
    GanConfig,
    JointConfig,
    ModelConfig,
    RunConfig,
    StudentConfig,
    TranslatorConfig,
)


def quick() -> Config:
    """Returns the default: drawn faces, a quarter of the paper's width, both phases in minutes on two CPU cores.

    Measured (docs/results/README.md): 6 min 10 s and 6 min 29 s with the install; the judge predicts the target emotion
    for 77 % of the edits; 19.7 dB to the true drawing of another emotion, where the input has 18.6 dB and the mean face
    14.7 dB.
    """
    return Config(
        preset="quick",
        model=ModelConfig(width=16),
        # After minutes, small batches and larger steps show emotions that the paper's 64 and 2e-4 do not yet.
        gan=GanConfig(epochs=9, batch_size=32, learning_rate=5e-4, ema_decay=0.998, loss="hinge"),
        encoder=EncoderConfig(epochs=3, learning_rate=1e-3, ema_decay=0.99),
    )


def paper() -> Config:
    """Returns the paper's own setting: full width, 50 epochs, batch 64, Adam(2e-4, b1 0.5), no averages, float32."""
    return Config(
        preset="paper",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(precision="float32"),
        gan=GanConfig(ema_decay=0.0),
        encoder=EncoderConfig(ema_decay=0.0),
    )


def wgan() -> Config:
    """Returns the Wasserstein GAN as published, with clipped weights (Arjovsky et al. 2017, algorithm 1)."""
    return Config(
        preset="wgan",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(precision="float32"),
        gan=GanConfig(
            batch_size=320,  # 64 in each of D's five updates
            loss="wasserstein",
            penalty="clip",
            penalty_weight=0.01,
            critic_steps=5,
            optimizer="rmsprop",
            learning_rate=5e-5,
        ),
    )


def wgan_gp() -> Config:
    """Returns the Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, algorithm 1)."""
    return Config(
        preset="wgan_gp",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(critic_norm=False, precision="float32"),
        gan=GanConfig(
            batch_size=320,
            loss="wasserstein",
            penalty="gradient",
            penalty_weight=10.0,
            critic_steps=5,
            learning_rate=1e-4,
            b1=0.0,
            b2=0.9,
        ),
    )


def began() -> Config:
    """Returns BEGAN, whose D is an auto-encoder (Berthelot et al. 2017, section 4.1), without batch norm."""
    return Config(
        preset="began",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(batch_norm=False, precision="float32"),
        gan=GanConfig(loss="began", batch_size=16, learning_rate=1e-4),
    )


def cyclegan() -> Config:
    """Returns cycle consistency over seven emotions, labels in G and D (after Zhu et al. 2017, section 5 and 7)."""
    return Config(
        preset="cyclegan",
        phases="joint",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(precision="float32"),
        translator=TranslatorConfig(skip=False, blocks=3),
        joint=JointConfig(
            loss="least_squares",
            cycle=10.0,
            reconstruction=13.0,  # the identity loss, of weight 5, on the 38 % whose target is their own label
            **_PLAIN | {"own_share": 0.25},
            learning_rate=2e-4,
            b2=0.999,
        ),
    )


def stargan() -> Config:
    """Returns StarGAN's losses and weights at 48x48 (Choi et al. 2018, section 3 and 7.1), with emogan's networks.

    StarGAN joins the target label to the face that enters its generator, and so does this E.
    """
    return Config(
        preset="stargan",
        phases="joint",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(precision="float32"),
        translator=TranslatorConfig(labels="encoder", skip=False, blocks=3, projection=False),
        joint=JointConfig(
            batch_size=80,  # 16 in each of D's five updates
            loss="wasserstein",
            critic_steps=5,
            gradient_penalty=10.0,
            cycle=10.0,
            **_PLAIN | {"classification": 1.0},
            reconstruction=0.0,
            learning_rate=1e-4,
            b2=0.999,
        ),
    )


def emogan() -> Config:
    """Returns emogan's own recipe for real faces: E, G and D together, guided by a classifier.

    Two CPU cores train it in an hour and a half (docs/results); docs/results/history.md lists what was tried.
    """
    return Config(
        preset="emogan",
        phases="classifier,robust,joint",
        data=DataConfig(name="fer2013"),
        model=ModelConfig(precision="float32"),  # what bfloat16 does to the edits is not measured
        translator=TranslatorConfig(
            width=24, critic_width=32, guidance_features=True, strength="1.2,1.2,1.4,1.1,1.1,1.3,1.5", mirrored=True
        ),
        classifier=ClassifierConfig(width=16, epochs=10),
        robust=ClassifierConfig(width=16, epochs=10, attack=0.5),
        joint=JointConfig(
            epochs=16,
            batch_size=32,
            critic_rate=1.5,
            adversarial=4.0,
            r1_r2=0.2,
            classification=0.5,
            guidance=3.5,
            confidence=0.65,
            reconstruction=12.0,
            keep=0.1,
            warp_first=0.2,
            roughness=0.05,
        ),
        run=RunConfig(sample_every=200, checkpoint_every=400),
    )


def flow() -> Config:
    """Returns a class-conditional rectified flow, which edits by the difference of two flows (docs/recipes.md).

    100 passes over FER2013's `train` are 2.6 million faces. The flow that ships had 37 of them, on two CPU cores, in
    some six hours.
    """
    return Config(
        preset="flow",
        phases="flow",
        data=DataConfig(name="fer2013"),
        flow=FlowConfig(),
        run=RunConfig(sample_every=1000, checkpoint_every=500),
    )


def student() -> Config:
    """Returns a U-Net that learns the edits of the flow that ships with emogan, to make them in one evaluation.

    Before its first step the flow edits each training face once. It has only been tried (docs/results/history.md).
    """
    return Config(
        preset="student",
        phases="student",
        data=DataConfig(name="fer2013"),
        student=StudentConfig(),
        run=RunConfig(sample_every=500, checkpoint_every=500),
    )


# What the published recipes have not, where `JointConfig` has it by default.
_PLAIN = {
    **dict.fromkeys(("r1_r2", "classification", "guidance", "keep", "own_share", "ema_decay"), 0.0),
    **dict.fromkeys(("balanced", "augment"), False),
}


def judge() -> Config:
    """Returns the setting of the judge that ships with emogan: FER2013's `train`, an hour on two CPU cores."""
    return Config(
        preset="judge",
        phases="classifier",
        data=DataConfig(name="fer2013"),
        run=RunConfig(sample_every=808, checkpoint_every=404),
    )


PRESETS = {
    make.__name__: make
    for make in (quick, emogan, paper, wgan, wgan_gp, began, cyclegan, stargan, flow, student, judge)
}


def preset(name: str) -> Config:
    """Returns a fresh configuration by its preset's name.

    Raises:
      ValueError: if there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"--config: expected a preset out of {', '.join(PRESETS)}, found {name!r}")
    return PRESETS[name]()
