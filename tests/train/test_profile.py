"""A trace is made of some steps, whenever the training ends."""

import gzip
import json

import jax
import jax.numpy as jnp
import pytest

from emogan.train import profile


def events(folder):
    (path,) = folder.rglob("perfetto_trace.json.gz")
    return json.loads(gzip.open(path).read())


@pytest.mark.parametrize("chunks", [(1, 1, 4, 7), (1, 1)], ids=["whole", "cut short"])
def test_trace_is_of_the_steps_after_the_first_chunk(tmp_path, chunks, capsys):
    step = jax.jit(lambda x: x + 1)
    with profile.Profile(tmp_path) as trace:
        for i, count in enumerate(chunks):
            # Before the trace, and after it, nothing is held back beyond its length.
            assert trace.limit(100) == (profile.STEPS - sum(chunks[1:i]) if sum(chunks[1:i]) < profile.STEPS else 100)
            step(jnp.ones(3)).block_until_ready()
            trace.after(count)
    assert events(tmp_path)
    assert capsys.readouterr().out.startswith(f"wrote {tmp_path}")


def test_no_folder_no_trace(tmp_path):
    with profile.Profile(None) as trace:
        assert trace.limit(100) == 100
        trace.after(1)
        trace.after(1)
    assert not list(tmp_path.iterdir())
