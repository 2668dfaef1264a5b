"""Editors made of variables, as a run's file would give them."""

from emogan import config as config_lib
from emogan.edit import loading, model_file


def make(config, class_names, encoder, generator):
    """The editor of a configuration with these variables of E and G, without a file."""
    card = {"config": config_lib.to_json(config)}
    return loading.of(model_file.Model(config_lib.networks(config), tuple(class_names), encoder, generator, card))
