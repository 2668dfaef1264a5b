"""Memory that is kept and compiled programs that are kept, each in a process of its own, which they change."""

import subprocess
import sys

COMPILE = """
import pathlib, sys, warnings
import jax, jax.numpy as jnp
from emogan import process
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
import resource, sys
import jax, jax.numpy as jnp
from emogan import process
if sys.argv[1] == "keep":
    process.keep_memory()
step = jax.jit(lambda x: jnp.sort(x, axis=0)[::-1] @ x)
x = jnp.ones((2048, 2048))
for _ in range(2):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step(x).block_until_ready()
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
    given_back, kept = (int(python(FAULTS, how)[0]) for how in ("give", "keep"))
    assert kept < given_back / 2
