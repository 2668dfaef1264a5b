"""What a measurement was made on: processor, versions, date."""

import datetime
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
from typing import Any

import jax
from benchmarking import settings as settings_lib

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")


class About:
    """What JAX says of itself, asked in a process of its own, since asking takes hold of the devices."""

    def __init__(self, settings: settings_lib.Settings):
        del settings

    def about(self) -> dict[str, Any]:
        """Returns backend and device, and how many there are."""
        device = jax.local_devices()[0]
        backend = "gpu" if jax.default_backend() in ("gpu", "cuda", "rocm") else jax.default_backend()
        return {
            "version": jax.__version__,
            "backend": backend,
            "device": device.device_kind,
            "count": jax.local_device_count(),
        }


def about() -> dict[str, Any]:
    """Returns processor, cores, versions and date; no device is touched."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": cores,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def has_torch() -> bool:
    """Returns whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def _processor() -> str:
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
