"""Two halves take turns only where that pays: where operations take longer than their commit."""

from aaow_storage_sqlite._commit_pipeline import FEWEST, SHORTEST_COMMIT_S, UNDIVIDED, Halves

RAN_S = 0.00001
"""How long one operation runs."""


def noted(count: int, committed_s: float, halves: Halves | None = None) -> Halves:
    halves = halves or Halves()
    halves.note(count, count * RAN_S, committed_s)
    return halves


def test_all_go_together_until_a_commit_has_shown_how_long_it_takes():
    assert Halves().share_of(64) == 64


def test_one_half_goes_where_all_operations_take_longer_than_a_commit():
    halves = noted(64, 63 * RAN_S)
    assert halves.share_of(64) == 32
    assert halves.is_half
    assert halves.share_of(65) == 33


def test_all_go_together_where_a_commit_takes_longer_than_they_do():
    halves = noted(64, 64 * RAN_S)
    assert halves.share_of(64) == 64
    assert not halves.is_half


def test_what_pays_for_many_does_not_for_fewer():
    halves = noted(64, 50 * RAN_S)
    assert [halves.share_of(count) for count in (64, 50, 51)] == [32, 50, 26]


def test_few_operations_are_never_halved():
    halves = Halves()
    halves.note(1, 1.0, SHORTEST_COMMIT_S)
    assert [halves.share_of(count) for count in (FEWEST - 1, FEWEST)] == [FEWEST - 1, FEWEST // 2]


def test_beside_a_commit_that_takes_no_time_there_is_nothing_to_win():
    assert noted(64, SHORTEST_COMMIT_S / 2).share_of(64) == 64


def test_a_commit_of_a_half_that_waited_for_the_loop_is_not_taken_for_a_slow_disk():
    halves = noted(64, 20 * RAN_S)
    halves.share_of(64)
    noted(32, 1000 * RAN_S, halves)
    assert halves.share_of(64) == 32


def test_a_disk_that_stays_slow_is_seen_after_some_halves():
    halves = noted(64, 20 * RAN_S)
    halves_tried = 0
    while halves.share_of(64) == 32:
        noted(32, 1000 * RAN_S, halves)
        halves_tried += 1
    assert 20 <= halves_tried <= 30


def test_a_quick_commit_of_a_half_counts_at_once():
    halves = noted(64, 60 * RAN_S)
    halves.share_of(64)
    noted(32, 20 * RAN_S, halves)
    assert halves.share_of(24) == 12


def test_while_other_processes_write_all_go_together():
    halves = noted(64, 20 * RAN_S)
    halves.note_other_process()
    for _ in range(UNDIVIDED):
        assert halves.share_of(64) == 64
        noted(64, 20 * RAN_S, halves)
    assert halves.share_of(64) == 32
