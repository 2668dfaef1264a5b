"""The rate of matrix products, and the steps of all implementations in each phase."""

import dataclasses
from typing import Any

from benchmarking import equality, flops, matrix, race, workers
from benchmarking import options as options_lib
from benchmarking import settings as settings_lib

OURS = "benchmarking.ours:Steps"
STOCK = "benchmarking.stock:Steps"
TORCH = {phase: "benchmarking.torch_peer:Steps" for phase in ("gan", "encoder")} | {
    "joint": "benchmarking.torch_joint:Steps",
    "flow": "benchmarking.torch_flow:Steps",
}
IN_STOCK_FLAX = ("gan", "encoder")
COUNTED = {"gan": flops.gan_step, "encoder": flops.encoder_step, "flow": flops.flow_step}
COMPARED_VARIANTS = ("eager", "channels_last")


def matmul(context: options_lib.Context) -> dict[str, Any]:
    """Returns the seconds of each product, and `gflops_per_second`, the best median rate of all."""
    shapes = matrix.SHAPES.get(context.backend, matrix.SHAPES["cpu"])
    implementations = []
    for name, shape in shapes.items():
        task = context.options.settings(variant=",".join(map(str, shape)))
        implementations.append(race.Implementation(f"jax {name}", "benchmarking.matrix:Product", task))
        if context.torch_variants:
            implementations.append(
                race.Implementation(f"torch {name}", "benchmarking.torch_matrix:Product", task, optional=True)
            )
    pace = dataclasses.replace(context.options.pace, seconds=context.options.round_seconds / 2)
    found = race.race("matmul", implementations, pace, context.say)
    for name, one in found["implementations"].items():
        one["gflops_per_second"] = matrix.flops(shapes[name.split()[1]]) / one["seconds"]["median"] / 1e9
        context.say(f"matmul: {name}: {one['gflops_per_second']:.4g} GFLOP/s")
    found["gflops_per_second"] = max(one["gflops_per_second"] for one in found["implementations"].values())
    return found


def of_phase(phase: str, context: options_lib.Context) -> dict[str, Any]:
    """Returns a race of a phase's steps for each width, by the width's name."""
    return {str(width): _race_of_steps(context, phase, width) for width in context.options.widths}


def _race_of_steps(context: options_lib.Context, phase: str, width: int) -> dict[str, Any]:
    options = context.options
    task = options.settings(phase=phase, width=width)
    title = f"{phase} width {width}"
    equal = _compare(context, title, task)
    precisions = _precisions(context, task)
    implementations = [race.Implementation(f"emogan{suffix}", OURS, one) for suffix, one in precisions]
    if "stock" in options.peers and phase in IN_STOCK_FLAX:
        implementations.append(race.Implementation("stock Flax", STOCK, task))
    for variant in context.torch_variants:
        for suffix, one in precisions:
            own = dataclasses.replace(one, variant=variant)
            implementations.append(race.Implementation(f"PyTorch {variant}{suffix}", TORCH[phase], own, optional=True))
    found = race.race(title, implementations, options.pace, context.say)
    race.tell(title, found, context.say)
    if phase in COUNTED:
        found["flops"] = {
            "nominal": COUNTED[phase](width, options.batch_size),
            "without_padding": COUNTED[phase](width, options.batch_size, padding=False),
        }
    for one in found["implementations"].values():
        one["images_per_second"] = options.batch_size / one["seconds"]["median"]
        if phase in COUNTED:
            one["gflops_per_second"] = found["flops"]["nominal"] / one["seconds"]["median"] / 1e9
    return {"equality": equal, **found}


def _precisions(context: options_lib.Context, task: settings_lib.Settings) -> list[tuple[str, settings_lib.Settings]]:
    """Returns the task in each precision that is asked for, with what the names of its implementations end in."""
    half = [(" bfloat16", dataclasses.replace(task, bfloat16=True))] if context.options.bfloat16 else []
    return [("", task), *half]


def _compare(context: options_lib.Context, title: str, task: settings_lib.Settings) -> dict[str, dict[str, float]]:
    """Returns how far each implementation's results lie from emogan's.

    Raises:
      equality.Unequal: if they lie too far.
    """
    # In float32 everywhere: TF32 has too few digits to tell a mistake from a rounding. What is computed in bfloat16 is
    # compared with the same float32.
    task = dataclasses.replace(task, precision="float32", exact_padding=True)
    others = [("stock Flax", STOCK, task)] if "stock" in context.options.peers and task.phase in IN_STOCK_FLAX else []
    for suffix, one in _precisions(context, task):
        others += [(f"emogan{suffix}", OURS, one)] if one.bfloat16 else []
        for variant in context.torch_variants:
            if variant in COMPARED_VARIANTS:
                others.append(
                    (f"PyTorch {variant}{suffix}", TORCH[task.phase], dataclasses.replace(one, variant=variant))
                )
    if not others:
        return {}
    with workers.Worker(OURS, task) as worker:
        problem, reference = worker.call("reference")
    found = {}
    for name, target, own in others:
        with workers.Worker(target, own) as worker:
            found[name] = equality.differences(reference, worker.call("follow", problem), by_network=own.bfloat16)
        equality.check(name, found[name], equality.tolerances(own.phase, own.bfloat16))
        shown = ", ".join(f"{what} {value:.1e}" for what, value in found[name].items())
        same = "nearly the same" if own.bfloat16 else "the same"
        context.say(f"{title}: {name} computes {same}: largest differences: {shown}")
    return found
