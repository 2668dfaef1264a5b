"""Both phases with tiny networks, for every file here."""

from support.tiny_phases import (  # noqa: F401
    batch,
    config,
    coordinator,
    encoder_phase,
    encoder_state,
    encoder_step,
    every_file_compiles_in_a_hurry,
    gan_phase,
    gan_state,
    gan_step,
    generator_variables,
)
