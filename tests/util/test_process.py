"""Memory that is kept and compiled programs that are kept, each in a process of its own, which they change."""

import subprocess
import sys

COMPILE = """
import pathlib, sys, warnings
import jax, jax.numpy as jnp
from emogan.util import process
process.keep_compiled(pathlib.Path(sys.argv[1]))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
found = []
jax.monitoring.register_event_listener(lambda event, **_: found.append(event))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print(float(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x).T)(jnp.ones((3, 4)))[0, 0]))
print("hit" if "/jax/compilation_cache/cache_hits" in found else "miss")
"""

FAULTS = """
import ctypes, resource, sys
from emogan.util import process
if sys.argv[1] == "keep":
    process.keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    place = libc.malloc(2**28)
    ctypes.memset(place, 1, 2**28)
    libc.free(place)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def python(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_second_process_finds_what_the_first_compiled_and_a_cut_entry_is_compiled_again(tmp_path):
    first = python(COMPILE, tmp_path)
    assert first[1] == "miss"
    assert python(COMPILE, tmp_path) == [first[0], "hit"]
    entries = [path for path in tmp_path.iterdir() if path.name.endswith("-cache")]
    for path in entries:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert entries
    assert python(COMPILE, tmp_path)[0] == first[0]


def test_kept_memory_is_not_asked_for_again():
    # In pages of 4 kB that the system had to clear for 256 MB; huge pages are fewer.
    given_back, kept = (int(python(FAULTS, how)[0]) for how in ("give", "keep"))
    assert kept < 20 < given_back
