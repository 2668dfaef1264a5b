"""The arithmetic of the scaling study, and of its model, beside values worked out by hand."""

import dataclasses

import pytest
from benchmarking import equality, flops, scaling_model, scaling_runs

OPTIONS = scaling_runs.Options(devices=(2, 4), batch_sizes=(8,), modes=("pmap",))
ONE = scaling_runs.Point("jit", 1, 8)


def test_points_are_those_of_both_kinds_once_and_one_device_at_each_batch():
    assert [point.name for point in OPTIONS.points()] == [
        *("jit 1 x 8", "jit 1 x 16", "jit 1 x 32"),
        *("pmap 2 x 4", "pmap 4 x 2"),  # strong
        *("pmap 2 x 8", "pmap 4 x 8"),  # weak
    ]


def throughputs(seconds):
    """Faces/s of all points, where `seconds` is (point) -> seconds of a step."""
    return {point: point.batch_size / seconds(point) for point in OPTIONS.points()}


def efficiencies(seconds, virtual):
    curves = scaling_runs.curves(OPTIONS, throughputs(seconds), virtual)
    return {curve["scaling"]: [point["efficiency"] for point in curve["points"]] for curve in curves}


def test_ideal_devices_have_an_efficiency_of_one_in_both_kinds():
    # A second for each eight faces of a device: strong 1, 1/2, 1/4 s; weak 1 s each.
    assert efficiencies(lambda point: point.batch_size / point.devices / 8, virtual=False) == {
        "strong": [1, 1, 1],
        "weak": [1, 1, 1],
    }


def test_efficiency_is_the_textbooks():
    # With half a second of communication: strong T(1) / (N T(N)), weak T(1) / T(N).
    def seconds(point):
        return point.batch_size / point.devices / 8 + (0.5 if point.devices > 1 else 0.0)

    found = efficiencies(seconds, virtual=False)
    assert found["strong"] == pytest.approx([1, 1 / (2 * 1.0), 1 / (4 * 0.75)])
    assert found["weak"] == pytest.approx([1, 1 / 1.5, 1 / 1.5])


def test_virtual_devices_are_ideal_where_they_are_as_fast_as_one():
    # A second for each eight faces, whoever has them.
    found = efficiencies(lambda point: point.batch_size / 8, virtual=True)
    assert found == {"strong": [1, 1, 1], "weak": [1, 1, 1]}


def implementation(rounds, losses):
    middle = sorted(rounds)[len(rounds) // 2]
    return {
        "seconds": {"median": middle, "min": min(rounds), "max": max(rounds), "n": len(rounds)},
        "rounds": list(rounds),
        "losses": [{"discriminator_loss": loss, "generator_loss": 1.0} for loss in losses],
        "traffic": {"bytes": 1, "rounds": 1, "batch_norm_rounds": 0},
        "memory": {"peak_mib": 1.0},
    }


def test_communication_is_the_difference_round_by_round():
    implementations = {
        "jit 1 x 8, whole": implementation([9.0, 9.0, 9.0], [2.0, 2.0, 2.0]),
        "pmap 2 x 4, whole": implementation([4.0, 8.0, 6.0], [2.0, 2.1, 1.8]),
        "pmap 2 x 4, alone": implementation([3.0, 3.0, 5.0], [7.0, 7.0, 7.0]),
    }
    found = scaling_runs.measurement(scaling_runs.Point("pmap", 2, 8), implementations)
    assert found["communication"] == {"median": 1.0, "min": 1.0, "max": 5.0, "n": 3}
    assert (found["compute"]["median"], found["faces_per_second"]) == (3.0, 8 / 6)
    assert found["against_one_device"] == {"first": 0.0, "later": pytest.approx(0.1)}
    assert "communication" not in scaling_runs.measurement(ONE, implementations)


def test_other_losses_than_those_of_one_device_are_an_error():
    scaling_runs.check(ONE, {"first": 1e-6, "later": 1e-3}, virtual=True)
    with pytest.raises(equality.Unequal, match="jit 1 x 8: expected the losses of one device"):
        scaling_runs.check(ONE, {"first": 1e-3, "later": 1e-3}, virtual=True)
    with pytest.raises(equality.Unequal, match="later steps"):
        scaling_runs.check(ONE, {"first": 1e-3, "later": float("nan")}, virtual=False)


def test_an_all_reduce_by_hand():
    assumed = scaling_model.Assumptions(
        gpus_a_node=4, node_bandwidth=10.0, node_latency=0.5, network_bandwidth=2.0, network_latency=1.0
    )
    assert scaling_model.all_reduce_seconds(40, 1, assumed) == 0
    # Six hops of 0.5 s and of a quarter of 40 bytes.
    within = 6 * (0.5 + 10 / 10)
    assert scaling_model.all_reduce_seconds(40, 4, assumed) == within
    # Two nodes: ten bytes of each place; ring 2 (1 + 5 / 2), tree 2 + 2 * 10 / 2.
    assert scaling_model.all_reduce_seconds(40, 8, assumed) == within + 7
    # Sixteen nodes and no bytes: ring 30 hops, tree 8.
    assert scaling_model.all_reduce_seconds(0, 64, assumed) == 6 * 0.5 + 8


def test_a_step_of_the_model_is_the_sum_of_its_parts():
    assumed = scaling_model.Assumptions(width=64, step_seconds=1.0)
    one = scaling_model.step(1, 64, "global", assumed)
    assert one.seconds == pytest.approx(1.0 + flops.gan_step(64, 64) / assumed.flops_per_second)
    eight = scaling_model.step(8, 64, "global", assumed)
    assert eight.computing == one.computing
    assert eight.latency == pytest.approx(22 * 14 * assumed.node_latency)
    assert eight.sending == pytest.approx(2 * 7 / 8 * 37_639_412 / assumed.node_bandwidth)


def test_assumptions_are_read_and_checked():
    found = scaling_model.assumptions(["step_seconds=0.004", "gpus_a_node=4"])
    assert found == dataclasses.replace(scaling_model.Assumptions(), step_seconds=0.004, gpus_a_node=4)
    for text in ("speed=1", "step_seconds", "step_seconds=fast", "gpus_a_node=0", "step_seconds=inf"):
        with pytest.raises(ValueError, match=r"--assume: .*expected"):
            scaling_model.assumptions([text])
