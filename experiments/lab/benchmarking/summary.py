"""The result as tables in Markdown."""

from typing import Any

from benchmarking import markdown, report_runs


def add_shares(result: dict[str, Any]) -> None:
    """Adds to each implementation of the steps its share of the rate of matrix products, if that was measured."""
    rate = result.get("matmul", {}).get("gflops_per_second")
    if not rate:
        return
    for phase in ("gan", "encoder", "flow"):
        for found in result.get(phase, {}).values():
            for name, one in found["implementations"].items():
                if not name.endswith(" bfloat16"):  # the rate is that of float32
                    one["share_of_matrix_rate"] = one["gflops_per_second"] / rate


def to_markdown(result: dict[str, Any]) -> str:
    """Returns the whole report."""
    parts = ["# Benchmark", _about(result)]
    if "matmul" in result:
        parts += ["## Matrix products", _matmul(result["matmul"])]
    for phase, title in (
        ("gan", "GAN step"),
        ("encoder", "Encoder step"),
        ("joint", "Step of phase joint"),
        ("flow", "U-Net step of phase flow"),
    ):
        for width, found in result.get(phase, {}).items():
            parts += [f"## {title}, width {width}, batch {result['options']['batch_size']}", _steps(found)]
    parts += report_runs.parts(result)
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(result: dict[str, Any]) -> str:
    about = result["about"]
    lines = [
        f"{about['date']}, commit {about['commit']}; {about['processor']}, {about['cores']} cores, "
        f"load before {about['load_before'][0]}; JAX on {about['jax']['device']}.",
        "Python " + about["python"] + ", " + ", ".join(f"{k} {v}" for k, v in about["versions"].items() if v) + ".",
    ]
    if isinstance(about.get("torch"), dict):
        left_out = about["torch"].get("left_out")
        lines.append(f"PyTorch on {about['torch']['device']}, {about['torch']['threads']} threads.")
        lines += [f"PyTorch left out: {left_out}."] if left_out else []
    elif "torch" in about:
        lines.append(f"PyTorch {about['torch']}.")
    if about["jax"]["backend"] != "cpu":
        lines.append(f"Precision of float32's matrix products: {result['options']['precision']}, the same for all.")
    return "\n".join(lines)


def _matmul(found: dict[str, Any]) -> str:
    rows = [
        (name, markdown.seconds(one["seconds"]), f"{one['gflops_per_second']:.4g}")
        for name, one in found["implementations"].items()
    ]
    return markdown.table(("product", "median (range)", "GFLOP/s"), rows) + markdown.left_out(found)


def _steps(found: dict[str, Any]) -> str:
    rows = []
    for name, one in found["implementations"].items():
        ratio, memory = found["ratios"][name], one["memory"]
        share = one.get("share_of_matrix_rate")
        peak = f"{memory['peak_mib']:.0f}" + (f" ({memory['resident_mib']:.0f})" if "resident_mib" in memory else "")
        if "device_peak_mib" in memory:
            peak += f" / {memory['device_peak_mib']:.0f} on the device"
        rows.append(
            (
                name,
                markdown.seconds(one["seconds"]),
                one["seconds"]["n"],
                one["steps_a_turn"],
                f"{ratio['of_medians']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})",
                f"{one['images_per_second']:.0f}",
                (f"{one['gflops_per_second']:.4g}" if "flops" in found else "")
                + (f" ({100 * share:.0f} %)" if share else ""),
                f"{one['first_step_seconds']:.1f} s",
                peak,
            )
        )
    head = (
        "implementation", "a step: median (range)", "rounds", "steps a turn", "time, in emogan's (range of the rounds)",
        "images/s", "nominal GFLOP/s (of the matrix rate)", "first step", "peak memory (at the end), MiB",
    )  # fmt: skip
    text = markdown.table(head, rows) + markdown.left_out(found)
    text += "\n\nThe first step compiles, and for some the peak of memory is that of the compiler."
    if "flops" in found:
        text += (
            " Counted from the shapes for a textbook step (experiments/lab/benchmarking/flops.py): "
            f"{found['flops']['nominal'] / 1e9:.4g} GFLOP, without taps on padding "
            f"{found['flops']['without_padding'] / 1e9:.4g}."
        )
    if found["equality"]:
        rows = [(name, *(f"{value:.1e}" for value in one.values())) for name, one in found["equality"].items()]
        head = ("against emogan", "losses, relative", "losses of the second step", "gradients", "movement")
        text += (
            "\n\nThe same computation: the same weights, faces and latents, padded alike; the largest differences to "
            "emogan's float32 after a step:\n\n" + markdown.table(head, rows)
        )
        text += "\n\nTimed, PyTorch pads alike on both sides (2), since its convolutions know no other way."
    return text
