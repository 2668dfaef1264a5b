"""Which phase file a configuration's phase `gan` is."""

from emogan import config as config_lib
from emogan.recipes import began, gan
from emogan.recipes import state as state_lib


def make_gan(config: config_lib.Config, num_classes: int) -> state_lib.Phase:
    """Returns phase `gan` of a configuration, for labels in 0..num_classes - 1."""
    return (began if config.gan.loss == "began" else gan).make(config, num_classes)
