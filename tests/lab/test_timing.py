"""Turns, medians and ratios, with implementations that need no clock."""

import pytest
from benchmarking import timing


def test_implementations_take_turns_and_every_second_round_goes_backwards():
    turns = []

    def implementation(name, seconds):
        def run(steps):
            turns.append(name)
            return steps * next(seconds)

        return run

    runs = {"a": implementation("a", iter([9.0, 1.0, 2.0, 6.0])), "b": implementation("b", iter([9.0, 4.0, 4.0, 4.0]))}
    series = timing.alternate(runs, {"a": 10, "b": 2}, rounds=3)
    assert "".join(turns) == "ba" + "ab" + "ba" + "ab"
    assert series["a"].to_dict() == {"median": 2.0, "min": 1.0, "max": 6.0, "n": 3}  # 9.0 was the warm-up
    assert series["b"].median == 4.0


def test_ratio_is_of_medians_with_the_spread_of_the_rounds():
    found = timing.ratio([4.0, 4.0, 12.0], [1.0, 2.0, 3.0])
    assert found == {"of_medians": 2.0, "median": 4.0, "min": 2.0, "max": 4.0}


@pytest.mark.parametrize(("step", "count"), [(12.0, 1), (1.0, 2), (0.01, 200), (1e-5, 100_000)])
def test_a_turn_has_as_many_steps_as_fit(step, count):
    assert timing.count_for(lambda steps: steps * step, 2.0) == count


def test_a_stall_does_not_make_turns_short():
    times = iter([5.0, 0.01, *[0.01] * 20])
    assert timing.count_for(lambda steps: steps * next(times), 2.0) == 200
