"""What the phases of a run do; `config` joins these."""

import dataclasses

from emogan import losses
from emogan.util import ranges

_WEIGHTS = (
    *("adversarial", "gradient_penalty", "slope_penalty", "classification", "guide"),
    *("reconstruction", "keep", "cycle", "paint", "roughness"),
)

# Not frozen, for the reason that `config` gives.


@dataclasses.dataclass
class GanConfig:
    """Phase `gan`: G against D. Section 2.2.1 of the paper."""

    epochs: float = 50.0
    batch_size: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    b2: float = 0.999
    optimizer: str = "adam"  # or rmsprop, which has no b1 and b2
    loss: str = "cross_entropy"  # or another of `losses.ADVERSARIAL`, or began
    diversity: float = 0.5  # gamma of BEGAN: the error of generated faces in that of real ones
    penalty: str = "none"  # clip: D's weights; gradient: WGAN-GP's
    penalty_weight: float = 0.0  # of the gradient penalty, or where weights are clipped
    critic_steps: int = 1  # updates of D, each on its own part of the batch, before G's
    generator_steps: int = 1  # updates of G, all on the last of those parts
    ema_decay: float = 0.999  # of the averaged G that samples and edits are drawn with; 0 switches it off
    collapse_steps: int = 500  # so many steps in which D tells nothing apart count as a collapse; 0 never checks
    on_collapse: str = "stop"  # stop, or warn

    def check(self) -> None:
        _optimisation("gan", self)
        ranges.between("gan.b2", self.b2, 0.0, 0.999999)
        ranges.one_of("gan.optimizer", self.optimizer, ("adam", "rmsprop"))
        ranges.one_of("gan.loss", self.loss, (*losses.ADVERSARIAL, "began"))
        ranges.between("gan.diversity", self.diversity, 0.0, 1.0)
        ranges.one_of("gan.penalty", self.penalty, ("none", "clip", "gradient"))
        ranges.between("gan.penalty_weight", self.penalty_weight, 0.0, 1000.0)
        if (self.penalty != "none") != (self.penalty_weight > 0):
            raise ValueError(
                "gan.penalty_weight: expected above 0 with a penalty and 0 without, found "
                f"{self.penalty_weight} with {self.penalty}"
            )
        _parts("gan", self)
        ranges.between("gan.generator_steps", self.generator_steps, 1, 100)
        if self.loss == "began":
            for name, value in (("critic_steps", 1), ("generator_steps", 1), ("penalty", "none")):
                if getattr(self, name) != value:
                    raise ValueError(
                        f"gan.{name}: expected {value} with gan.loss=began, found {getattr(self, name)}; leave it out"
                    )
        ranges.between("gan.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("gan.collapse_steps", self.collapse_steps, 0, 10**6)
        ranges.one_of("gan.on_collapse", self.on_collapse, ("stop", "warn"))


@dataclasses.dataclass
class EncoderConfig:
    """Phase `encoder`: E learns to invert the finished G. Section 2.2.2 of the paper."""

    epochs: float = 50.0
    batch_size: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    ema_decay: float = 0.999  # of the averaged E that edits are made with; 0 switches it off
    image_loss: float = 1.0  # weight of eq. (14), |x - G(E(x) given y)|^2
    latent_loss: float = 0.0  # weight of eq. (13), |z - E(G(z given y))|^2

    def check(self) -> None:
        _optimisation("encoder", self)
        ranges.between("encoder.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("encoder.image_loss", self.image_loss, 0.0, 1e6)
        ranges.between("encoder.latent_loss", self.latent_loss, 0.0, 1e6)
        if self.image_loss == self.latent_loss == 0:
            raise ValueError("encoder.image_loss and encoder.latent_loss: expected one above 0, found both 0")


@dataclasses.dataclass
class TranslatorConfig:
    """The networks of phase `joint`."""

    width: int = 32  # channels of E and G at 24 pixels; at 12, where the code is, three times as many
    blocks: int = 2  # residual blocks at 12 pixels, of E and of G each
    labels: str = "generator"  # where the wanted emotion enters: generator, as G(E(x) | y), or encoder, as StarGAN
    skip: bool = True  # whether the code holds the face itself, of which G changes a part under a mask
    reach: int = 4  # under `skip`: how many pixels the face in the code can be bent by; 0 leaves it as it is
    strength: str = "1"  # of finished networks' bending, in that of training; or one for each emotion, as 1.1,1,...
    mirrored: bool = False  # whether finished networks see the mirror image of a face, too, and draw the mean of both
    critic_width: int = 48  # channels of D's first convolution; the others are 2, 4 and 8 times as wide
    projection: bool = True  # whether D is told the label, or only names it
    informed: bool = False  # whether D sees the features that the first guide has of a face, beside the face

    def check(self) -> None:
        ranges.between("translator.width", self.width, 1, 1024)
        ranges.between("translator.blocks", self.blocks, 1, 64)
        ranges.one_of("translator.labels", self.labels, ("generator", "encoder"))
        ranges.between("translator.reach", self.reach, 0, 24)
        for strength in self.strengths():
            ranges.between("translator.strength", strength, 0.0, 10.0)
        ranges.between("translator.critic_width", self.critic_width, 1, 1024)

    def strengths(self) -> tuple[float, ...]:
        """Returns `strength` as numbers: one, or one for each emotion.

        Raises:
          ValueError: if it is something else.
        """
        try:
            return tuple(float(number) for number in self.strength.split(","))
        except ValueError as error:
            raise ValueError(
                "translator.strength: expected a number, or one for each emotion with commas between them, found "
                f"{self.strength!r:.100}"
            ) from error


@dataclasses.dataclass
class JointConfig:
    """Phase `joint`: E, G and D together. Weights of 0 leave a term out of the step."""

    epochs: float = 20.0
    batch_size: int = 64
    learning_rate: float = 1e-3  # falls to a twentieth, as half a cosine
    critic_rate: float = 1.0  # D's learning rate in that of E and G
    b1: float = 0.5
    b2: float = 0.99
    ema_decay: float = 0.998  # of the averaged E and G that edits are made with; 0 switches it off
    loss: str = "relativistic"  # or another of `losses.ADVERSARIAL`
    critic_steps: int = 1  # updates of D, each on its own part of the batch, before that of E and G
    adversarial: float = 1.0  # weight of E's and G's adversarial loss
    gradient_penalty: float = 0.0  # weight of WGAN-GP's, between real and edited faces
    slope_penalty: float = 1.0  # of R1 and R2: at real and at edited faces, on a quarter of them
    classification: float = 1.0  # weight of the emotion that D names: on real faces for D, on edits for E and G
    guide: float = 2.0  # weight of the emotion that the classifiers of this run, taken together, name on the edits
    confidence: float = 1.0  # of D and of the classifiers in the wanted emotion, beyond which an edit gains nothing
    reconstruction: float = 10.0  # weight of |x - x'| per pixel where the wanted emotion is the face's own
    keep: float = 1.0  # weight of the same where it is not
    paint: float = 40.0  # weight of what G paints on the bent face, squared, so that shades cost less than spots
    bend_first: float = 0.0  # share of the steps before the first paint: spots please the guide sooner than motion
    roughness: float = 0.3  # weight of how far neighbouring points of the flow part, in square pixels
    cycle: float = 0.0  # weight of |x - G(E(x') | y)| per pixel
    own_share: float = 0.25  # of the batch whose wanted emotion is the face's own
    balanced: bool = True  # whether the other wanted emotions are uniform, or as frequent as in the data
    augment: bool = True  # whether D and the classifiers see faces changed at random

    def check(self) -> None:
        _optimisation("joint", self)
        ranges.between("joint.critic_rate", self.critic_rate, 0.01, 100.0)
        ranges.between("joint.b2", self.b2, 0.0, 0.999999)
        ranges.between("joint.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.one_of("joint.loss", self.loss, tuple(losses.ADVERSARIAL))
        _parts("joint", self)
        ranges.between("joint.own_share", self.own_share, 0.0, 1.0)
        ranges.between("joint.bend_first", self.bend_first, 0.0, 1.0)
        ranges.between("joint.confidence", self.confidence, 0.01, 1.0)
        for name in _WEIGHTS:
            ranges.between(f"joint.{name}", getattr(self, name), 0.0, 1000.0)


@dataclasses.dataclass
class UNetConfig:
    """The network of phase `flow`."""

    widths: str = "64,128,224"  # channels at 24, 12, 6 and, where there is a fourth number, 3 pixels
    blocks: int = 2  # residual blocks at each size on the way down; one more on the way up
    attention: bool = True  # self-attention at the smallest size

    def check(self) -> None:
        for width in self.channels():
            ranges.between("unet.widths", width, 8, 1024)
        ranges.between("unet.blocks", self.blocks, 1, 64)

    def channels(self) -> tuple[int, ...]:
        """Returns `widths` as numbers.

        Raises:
          ValueError: if they are not one to four multiples of 8.
        """
        numbers = tuple(int(text) if text.isdecimal() else 0 for text in self.widths.split(","))
        if len(numbers) > 4 or any(number % 8 or not number for number in numbers):
            raise ValueError(
                f"unet.widths: expected one to four multiples of 8 with commas between them, found {self.widths!r:.100}"
            )
        return numbers


@dataclasses.dataclass
class FlowConfig:
    """Phase `flow`: a class-conditional rectified flow (Liu et al. 2023; Lipman et al. 2023)."""

    epochs: float = 100.0
    batch_size: int = 64
    learning_rate: float = 5e-4  # constant after the warm-up, so that a run can be prolonged
    b1: float = 0.9
    b2: float = 0.99
    warm_up: int = 500  # steps in which the learning rate rises from 0
    clip: float = 1.0  # the largest norm of all gradients together
    ema_decay: float = 0.9995  # of the averaged network that samples and edits are made with; 0 switches it off
    label_dropout: float = 0.15  # share of the faces that are shown without their label, as guidance needs
    time_mean: float = 0.0  # of the normal distribution of log(t / (1 - t)) (Esser et al. 2024)
    time_spread: float = 1.0  # its standard deviation

    def check(self) -> None:
        _optimisation("flow", self)
        ranges.between("flow.b2", self.b2, 0.0, 0.999999)
        ranges.between("flow.warm_up", self.warm_up, 0, 10**6)
        ranges.between("flow.clip", self.clip, 1e-6, 1e6)
        ranges.between("flow.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("flow.label_dropout", self.label_dropout, 0.0, 1.0)
        ranges.between("flow.time_mean", self.time_mean, -5.0, 5.0)
        ranges.between("flow.time_spread", self.time_spread, 0.01, 5.0)


@dataclasses.dataclass
class FlowEditConfig:
    """How a trained flow edits faces. A guidance of 1 is none: v is that of the label."""

    method: str = "difference"  # of two flows (Kulikov et al. 2024), or inversion: to noise and back
    t_max: float = 0.85  # the share of noise at which an edit begins; less keeps more of the face
    steps: int = 14
    solver: str = "euler"  # or heun, which asks the network twice a step
    guidance: float = 5.0  # of the wanted label
    guidance_source: float = 1.0  # of the face's own label
    noises: int = 1  # averaged in each step of a difference
    seed: int = 0  # of the noise; the same face and seed have the same noise
    inversion_steps: int = 12  # of E and of G, from a face to noise or back
    inversion_solver: str = "heun"
    inversion_guidance: float = 2.5  # of the wanted label, in G
    inversion_t_max: float = 0.8  # as t_max, of an edit by inversion

    def check(self) -> None:
        ranges.one_of("flow_edit.method", self.method, ("difference", "inversion"))
        for name in ("t_max", "inversion_t_max"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 0.01, 1.0)
        for name in ("steps", "inversion_steps"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 1, 1000)
        for name in ("solver", "inversion_solver"):
            ranges.one_of(f"flow_edit.{name}", getattr(self, name), ("euler", "heun"))
        for name in ("guidance", "guidance_source", "inversion_guidance"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 0.0, 100.0)
        ranges.between("flow_edit.noises", self.noises, 1, 64)
        ranges.between("flow_edit.seed", self.seed, 0, 2**31 - 1)


@dataclasses.dataclass
class ClassifierConfig:
    """Phase `classifier`: the judge, which names the emotion on a face. Phase `robust`: another, under attack."""

    width: int = 32  # channels at 24 pixels; 1.7 million parameters
    epochs: float = 40.0  # the learning rate falls to 0 over them
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ema_decay: float = 0.999  # of the averaged network, which is the judge
    attack: float = 0.0  # length of the change against it that every face is given, over all pixels; see `attack`

    def check(self, name: str = "classifier") -> None:
        ranges.between(f"{name}.attack", self.attack, 0.0, 100.0)
        ranges.between(f"{name}.width", self.width, 1, 1024)
        ranges.between(f"{name}.epochs", self.epochs, 1e-6, 1e5)
        ranges.between(f"{name}.batch_size", self.batch_size, 2, 2**16)
        ranges.between(f"{name}.learning_rate", self.learning_rate, 1e-8, 10.0)
        ranges.between(f"{name}.momentum", self.momentum, 0.0, 0.9999)
        ranges.between(f"{name}.weight_decay", self.weight_decay, 0.0, 1.0)
        ranges.between(f"{name}.label_smoothing", self.label_smoothing, 0.0, 0.99)
        ranges.between(f"{name}.ema_decay", self.ema_decay, 0.0, 0.999999)


def _optimisation(name: str, phase: GanConfig | EncoderConfig | JointConfig | FlowConfig) -> None:
    ranges.between(f"{name}.epochs", phase.epochs, 1e-6, 1e5)
    # Batch norm over a single example would send every feature to its offset.
    ranges.between(f"{name}.batch_size", phase.batch_size, 2, 2**16)
    ranges.between(f"{name}.learning_rate", phase.learning_rate, 1e-8, 1.0)
    ranges.between(f"{name}.b1", phase.b1, 0.0, 0.9999)


def _parts(name: str, phase: GanConfig | JointConfig) -> None:
    ranges.between(f"{name}.critic_steps", phase.critic_steps, 1, 100)
    if phase.batch_size < 2 * phase.critic_steps or phase.batch_size % phase.critic_steps:
        raise ValueError(
            f"{name}.batch_size: expected a multiple of {name}.critic_steps, {phase.critic_steps}, with at least 2 "
            f"faces a part, found {phase.batch_size}"
        )
