"""A trained flow from which a phase begins, or which teaches it."""

from emogan.data import dataset
from emogan.edit import flow_editor, loading
from emogan.models import unet


def load(source: str, network: unet.UNetConfig, data: dataset.Dataset, field: str) -> flow_editor.FlowEditor:
    """Returns a flow that fits a phase: with its network, its faces and its classes.

    Args:
      source: see `loading.load`.
      network: the settings of the phase's network.
      data: the faces that the phase is trained on.
      field: the name of the setting that says `source`, for the errors.

    Raises:
      FileNotFoundError, ValueError: if there is none, or it does not fit.
    """
    found = loading.load(source)
    if found.networks.kind != "flow":
        raise ValueError(f"{field}: expected a flow, found {source}, of kind {found.networks.kind}")
    if found.networks.unet != network:
        raise ValueError(
            f"{field}: expected a flow whose network is that of this run ({network}), found {source} with "
            f"{found.networks.unet}; set the fields of --config.unet to those"
        )
    if found.spec != data.spec or found.class_names != data.class_names:
        raise ValueError(
            f"{field}: expected a model of {data.spec} faces with the classes {', '.join(data.class_names)}, found "
            f"{source}, of {found.spec} faces with {', '.join(found.class_names)}"
        )
    return found
