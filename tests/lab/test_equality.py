"""All implementations compute what emogan computes, and who does not is caught."""

import copy
import dataclasses

import jax
import numpy as np
import pytest
from benchmarking import equality, ours, settings, stock

from emogan.data import augment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["gan", "encoder"])
def reference(request):
    """A task of two steps at width 2, and emogan's results."""
    task = settings.Settings(phase=request.param, width=2, batch_size=4, faces=8, exact_padding=True)
    return task, *ours.Steps(task).reference()


@pytest.fixture(scope="module")
def flow_reference():
    """A task of two steps of the U-Net with 8, 24 and 40 channels, and emogan's results."""
    task = settings.Settings(phase="flow", width=16, batch_size=4, faces=8)
    return task, *ours.Steps(task).reference()


def test_stock_flax_makes_the_same_step(reference):
    task, problem, expected = reference
    equality.check("stock", equality.differences(expected, stock.Steps(task).follow(problem)))


@pytest.mark.parametrize("variant", ["eager", "channels_last"])
def test_pytorch_makes_the_same_step(reference, variant):
    _one_thread()
    from benchmarking import torch_peer

    task, problem, expected = reference
    peer = torch_peer.Steps(dataclasses.replace(task, variant=variant))
    found = peer.follow(problem)
    equality.check("torch", equality.differences(expected, found))
    assert peer.run(3) > 0


@pytest.mark.parametrize("variant", ["eager", "channels_last"])
def test_pytorch_makes_the_same_step_of_the_u_net(flow_reference, variant):
    _one_thread()
    from benchmarking import torch_flow

    task, problem, expected = flow_reference
    assert all(np.any(gradient) for gradient in expected["gradients"].values())  # nothing is hidden by zeros
    peer = torch_flow.Steps(dataclasses.replace(task, variant=variant))
    found = equality.differences(expected, peer.follow(problem))
    equality.check("torch", found)
    assert found["gradients"] < 1e-4
    assert peer.run(3) > 0
    half = torch_flow.Steps(dataclasses.replace(task, variant=variant, bfloat16=True)).follow(problem)
    equality.check("torch", equality.differences(expected, half, by_network=True), equality.BFLOAT16_TOLERANCES)


def test_pytorch_makes_the_same_step_of_phase_joint():
    _one_thread()
    from benchmarking import torch_joint

    task = settings.Settings(phase="joint", width=8, batch_size=8, faces=16, exact_padding=True, variant="eager")
    problem, expected = ours.Steps(task).reference()
    hidden = [name for name, gradient in expected["gradients"].items() if not np.any(gradient)]
    assert hidden == ["discriminator/logit/bias"]  # of a relativistic loss
    peer = torch_joint.Steps(task)
    found = equality.differences(expected, peer.follow(problem))
    equality.check("torch", found)
    assert max(found["first_losses"], found["second_losses"]) < 1e-4
    assert peer.run(3) > 0
    half = dataclasses.replace(task, bfloat16=True)
    for name, steps in (("emogan", ours.Steps(half)), ("torch", torch_joint.Steps(half))):
        found = equality.differences(expected, steps.follow(problem), by_network=True)
        equality.check(name, found, equality.BFLOAT16_TOLERANCES)


@pytest.mark.parametrize("which", range(6), ids=["mirrored", "moved", "lit", "erased", "sides", "middles"])
def test_each_change_of_a_face_counts_in_phase_joint(which):
    _one_thread()
    from benchmarking import torch_joint

    rng = np.random.default_rng(0)
    keys = jax.random.split(jax.random.key(0), 8)
    faces = rng.uniform(-1, 1, (8, 48, 48, 1)).astype(np.float32)
    changes = [np.array(part) for part in jax.vmap(ours.changes_of)(keys)]
    expected = np.asarray(augment.all_of(faces, keys))
    to_torch = lambda parts: [torch_joint.torch.from_numpy(part) for part in parts]  # noqa: E731
    of_torch = torch_joint.torch.from_numpy(faces).permute(0, 3, 1, 2)
    found = torch_joint._changed(of_torch, to_torch(changes)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)
    changes[which] = ~changes[which] if changes[which].dtype == bool else changes[which] + 0.2
    other = torch_joint._changed(of_torch, to_torch(changes)).permute(0, 2, 3, 1).numpy()
    assert np.abs(other - expected).max() > 0.1


def test_a_u_net_with_another_order_of_pixels_is_caught(flow_reference, monkeypatch):
    _one_thread()
    from benchmarking import torch_flow, torch_unet

    task, problem, expected = flow_reference
    turned = torch_unet._unshuffle
    monkeypatch.setattr(torch_unet, "_unshuffle", lambda faces: turned(faces).flip(1))
    found = torch_flow.Steps(dataclasses.replace(task, variant="eager")).follow(problem)
    with pytest.raises(equality.Unequal, match="torch: expected the results of emogan"):
        equality.check("torch", equality.differences(expected, found))


def test_bfloat16_makes_nearly_the_same_step():
    _one_thread()
    from benchmarking import torch_peer

    task = settings.Settings(width=16, batch_size=16, faces=32, exact_padding=True)
    problem, expected = ours.Steps(task).reference()
    half = dataclasses.replace(task, bfloat16=True, variant="eager")
    for name, steps in (("emogan", ours.Steps(half)), ("torch", torch_peer.Steps(half))):
        found = steps.follow(problem)
        equality.check(name, equality.differences(expected, found, by_network=True), equality.BFLOAT16_TOLERANCES)
        with pytest.raises(equality.Unequal, match="at most"):  # it is not float32
            equality.check(name, equality.differences(expected, found))


def test_pytorch_with_its_own_padding_does_not(reference):
    _one_thread()
    from benchmarking import torch_peer

    task, problem, expected = reference
    peer = torch_peer.Steps(dataclasses.replace(task, variant="eager", exact_padding=False))
    with pytest.raises(equality.Unequal, match="torch: expected the results of emogan"):
        equality.check("torch", equality.differences(expected, peer.follow(problem)))


def test_a_wrong_gradient_and_a_wrong_loss_are_caught(reference):
    _, _, expected = reference
    name = next(name for name in expected["gradients"] if name.endswith("conv1/kernel"))
    wrong = copy.deepcopy(expected)
    wrong["gradients"][name] = expected["gradients"][name][::-1]
    with pytest.raises(equality.Unequal, match="gradients"):
        equality.check("wrong", equality.differences(expected, wrong))
    wrong = copy.deepcopy(expected)
    wrong["losses"][0] = {key: value + 0.01 * abs(value) for key, value in wrong["losses"][0].items()}
    with pytest.raises(equality.Unequal, match="first_losses"):
        equality.check("wrong", equality.differences(expected, wrong))
    del wrong["gradients"][name]
    with pytest.raises(equality.Unequal, match="same parameters"):
        equality.differences(expected, wrong)


def test_a_result_that_is_no_number_is_caught():
    found = dict.fromkeys(equality.TOLERANCES, np.nan)
    with pytest.raises(equality.Unequal):
        equality.check("nan", found)


def _one_thread():
    # Threads that wait for each other at every tiny layer take longer than one alone.
    pytest.importorskip("torch").set_num_threads(1)
