"""The method: who takes turns, and which rounds count. The machine is an invented witness."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from bench import rounds
from bench.rounds import NeverQuiet, Part, Sample, Witness


@dataclass
class Stage:
    """Parts that give 1, 2, 3 … a second in the order in which they ran, and the noise around."""

    noise: Iterable[float] = ()
    ran: list[str] = field(default_factory=list)
    waits: int = 0

    def part(self, name: str) -> Part:
        def measure() -> Sample:
            self.ran.append(name)
            return Sample(float(len(self.ran)), 1.0, 2.0, 0.1)

        return Part(name, measure)

    def witness(self, rest_s: float = 0.0) -> Witness:
        noise = iter(self.noise)

        def watch(measure: Callable[[], Sample]) -> tuple[Sample, float]:
            return measure(), next(noise, 0.0)

        def wait() -> None:
            self.waits += 1

        return Witness(watch, lambda: rest_s, wait)


def run(stage: Stage, names: str, wanted: int, *, keep_noisy: bool = False) -> rounds.Rounds:
    parts = [stage.part(name) for name in names]
    return rounds.alternate(parts, wanted, keep_noisy=keep_noisy, witness=stage.witness())


def test_parts_take_turns_and_each_begins_in_its_turn() -> None:
    stage = Stage()
    run(stage, "abc", 4)
    assert "".join(stage.ran) == "abcbcacababc"


def test_the_median_of_each_part_counts() -> None:
    found = run(Stage(), "ab", 3)
    assert [sample.per_s for sample in found.samples["a"]] == [1, 4, 5]
    assert (found.median("a").per_s, found.median("b").per_s) == (4, 3)


def test_ratios_are_made_within_a_round() -> None:
    found = run(Stage(), "ab", 3)
    assert found.ratios(lambda a, b: a.per_s / b.per_s, "a", "b") == [1 / 2, 4 / 3, 5 / 6]


def test_a_noisy_round_is_thrown_away_counted_and_made_up_for() -> None:
    stage = Stage(noise=[0.0, 0.26])
    found = run(stage, "ab", 2)
    assert (found.kept, found.thrown_away) == (2, 1)
    assert [len(samples) for samples in found.samples.values()] == [2, 2]
    assert stage.waits == 3


def test_a_round_ends_with_its_first_noisy_part() -> None:
    stage = Stage(noise=[0.5])
    run(stage, "abc", 1)
    assert "".join(stage.ran) == "abca"


def test_a_quarter_of_a_core_is_still_quiet() -> None:
    assert run(Stage(noise=[0.25] * 4), "ab", 2).thrown_away == 0


def test_a_machine_that_is_never_quiet_does_not_keep_us_for_ever() -> None:
    stage = Stage(noise=[0.0, 0.0] + [0.9] * 99)
    found = run(stage, "ab", 5)
    assert (found.kept, found.thrown_away) == (1, 14)


def test_no_quiet_round_at_all_is_an_error() -> None:
    with pytest.raises(NeverQuiet, match="each of 6 rounds"):
        run(Stage(noise=[0.9] * 99), "ab", 2)


def test_a_quick_run_keeps_noisy_rounds_and_waits_for_nobody() -> None:
    stage = Stage(noise=[0.9] * 99)
    found = run(stage, "ab", 2, keep_noisy=True)
    assert (found.kept, found.thrown_away, stage.waits) == (2, 0, 0)


def test_work_after_a_part_is_remembered_for_that_part() -> None:
    stage = Stage()
    witness = stage.witness(rest_s=1.5)
    found = rounds.alternate([stage.part("a")], 1, keep_noisy=False, witness=witness)
    assert found.after_s == {"a": 1.5}
