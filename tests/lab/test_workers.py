"""Implementations in processes of their own."""

import pytest
from benchmarking import machine, race, settings, workers


def test_a_implementation_answers_from_its_own_process():
    with workers.Worker("benchmarking.machine:About", settings.Settings()) as worker:
        assert worker.call("about")["backend"] == "cpu"
        assert worker.memory()["peak_mib"] > 10
        with pytest.raises(workers.WorkerError, match=r"AttributeError: .*no_such"):
            worker.call("no_such")


def test_who_cannot_be_made_says_why():
    with pytest.raises(workers.WorkerError, match=r"ModuleNotFoundError: .*nowhere"):
        workers.Worker("benchmarking.nowhere:Steps", settings.Settings())


def test_an_optional_implementation_that_fails_is_left_out():
    task = settings.Settings(variant="8,8,8")
    implementations = [
        race.Implementation("jax", "benchmarking.matrix:Product", task),
        race.Implementation("absent", "benchmarking.nowhere:Steps", task, optional=True),
    ]
    lines = []
    found = race.race("products", implementations, race.Pace(2, 0.01), lines.append)
    assert list(found["implementations"]) == ["jax"]
    assert found["implementations"]["jax"]["seconds"]["n"] == 2
    assert "nowhere" in found["left_out"]["absent"]
    assert any("absent left out" in line for line in lines)
    with pytest.raises(workers.WorkerError, match="products: needed: "):
        race.race("products", [race.Implementation("needed", "benchmarking.nowhere:Steps", task)], race.Pace(1, 1), str)


def test_the_machine_is_told_of():
    about = machine.about()
    assert about["cores"] >= 1
    assert about["versions"]["jax"]
    assert about["date"]
