"""What makes the process itself fast: memory that is kept, and code that is compiled once for all runs."""

import contextlib
import ctypes
import hashlib
import pathlib
import platform
import resource

import jax

from emogan.util import files, untrusted

# glibc's names for what mallopt sets (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_memory() -> None:
    """Lets the process keep the memory that it frees, where its C library is glibc; elsewhere nothing changes.

    On a CPU, XLA asks for hundreds of MB again in each step. glibc returns such pieces to the system at once, and then
    each page of the next piece is cleared again: some 5 to 10 % of most steps (docs/performance.md). Threads keep their
    own arenas: with one arena for all they wait for each other, which costs more than the pages do.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)  # the most that mallopt takes


def keep_compiled(folder: pathlib.Path | None = None) -> None:
    """Lets JAX keep compiled programs in a folder, so that a second start need not compile.

    Without one they go to a folder of this kind of machine in the cache; one that JAX has been given already (by
    JAX_COMPILATION_CACHE_DIR) stays. An entry that is broken, or cannot be written, is a warning of JAX's.
    """
    if folder is None and jax.config.jax_compilation_cache_dir:
        return
    folder = folder or files.cache_dir() / f"compiled-{_machine()}"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def check_devices() -> None:
    """Checks that JAX has a device of the platform that JAX_PLATFORMS names, if it names one.

    Raises:
      ValueError: if it finds none.
    """
    asked = jax.config.jax_platforms
    if not asked:
        return
    try:
        jax.devices()
    except Exception as error:  # of JAX's plugins each has its own, some without a text
        told = untrusted.escaped(" ".join(str(error).split())).partition(" (set JAX_PLATFORMS")[0]
        raise ValueError(
            f"JAX_PLATFORMS={asked}: expected a device of this platform, found none{told and f' ({told})'}; leave "
            'JAX_PLATFORMS out to use what is there, or for a GPU of NVIDIA pip install "emogan[gpu]"'
        ) from error


def memory() -> dict[str, float]:
    """Returns `peak_mib` of the process's resident memory, and on Linux `resident_mib`, the present."""
    unit = 2**20 if platform.system() == "Darwin" else 1024  # bytes there, else KiB
    found = {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        # getrusage counts what the parent had when it began this process; VmHWM does not.
        for name, field in (("peak_mib", "VmHWM"), ("resident_mib", "VmRSS")):
            if field in lines:
                found[name] = int(lines[field].split()[0]) / 1024
    return found


def _machine() -> str:
    """A digest of what code for this CPU may use: homes are shared by machines that differ in it."""
    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):  # there is no /proc outside Linux
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        text += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
