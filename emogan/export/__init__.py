"""A trained model as one file that needs neither the run's folder nor its configuration: for JAX, ONNX and browsers."""

from emogan.export.jax_file import PortableModel, load

__all__ = ["PortableModel", "load"]
