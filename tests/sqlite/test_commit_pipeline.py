"""Batches are split in two only if that pays: if the operations run longer than their commit takes."""

import attrs

from aaow_storage_sqlite._commit_pipeline import CommitPipeline
from aaow_storage_sqlite._tuning import Tuning

TUNING = Tuning()
RUN_S = 0.00001
"""How long one operation runs."""


def record(count: int, commit_s: float, pipeline: CommitPipeline | None = None) -> CommitPipeline:
    pipeline = pipeline or CommitPipeline(TUNING)
    pipeline.record_commit(count, count * RUN_S, commit_s)
    return pipeline


def test_nothing_is_split_before_a_commit_was_measured():
    assert CommitPipeline(TUNING).next_batch_size(64) == 64


def test_one_half_is_next_if_all_operations_run_longer_than_a_commit():
    pipeline = record(64, 63 * RUN_S)
    assert pipeline.next_batch_size(64) == 32
    assert pipeline.is_split
    assert pipeline.next_batch_size(65) == 33


def test_nothing_is_split_if_a_commit_takes_longer_than_the_operations():
    pipeline = record(64, 64 * RUN_S)
    assert pipeline.next_batch_size(64) == 64
    assert not pipeline.is_split


def test_what_pays_for_many_operations_does_not_for_fewer():
    pipeline = record(64, 50 * RUN_S)
    assert [pipeline.next_batch_size(count) for count in (64, 50, 51)] == [32, 50, 26]


def test_few_operations_are_never_split():
    pipeline = CommitPipeline(TUNING)
    pipeline.record_commit(1, 1.0, TUNING.min_split_commit_s)
    fewest = TUNING.min_split_operations
    assert [pipeline.next_batch_size(count) for count in (fewest - 1, fewest)] == [fewest - 1, fewest // 2]


def test_nothing_is_split_if_a_commit_takes_no_time():
    assert record(64, TUNING.min_split_commit_s / 2).next_batch_size(64) == 64


def test_a_ratio_of_zero_turns_splitting_off():
    pipeline = CommitPipeline(attrs.evolve(TUNING, max_split_commit_ratio=0.0))
    assert record(64, 20 * RUN_S, pipeline).next_batch_size(64) == 64


def test_the_commit_of_a_half_that_waited_for_the_gil_does_not_count_as_a_slow_disk():
    pipeline = record(64, 20 * RUN_S)
    pipeline.next_batch_size(64)
    record(32, 1000 * RUN_S, pipeline)
    assert pipeline.next_batch_size(64) == 32


def test_a_disk_that_stays_slow_is_noticed_after_some_halves():
    pipeline = record(64, 20 * RUN_S)
    halves = 0
    while pipeline.next_batch_size(64) == 32:
        record(32, 1000 * RUN_S, pipeline)
        halves += 1
    assert 20 <= halves <= 30


def test_a_quick_commit_of_a_half_counts_at_once():
    pipeline = record(64, 60 * RUN_S)
    pipeline.next_batch_size(64)
    record(32, 20 * RUN_S, pipeline)
    assert pipeline.next_batch_size(24) == 12


def test_nothing_is_split_while_another_process_writes():
    pipeline = record(64, 20 * RUN_S)
    pipeline.record_contention()
    for _ in range(TUNING.single_batch_commits):
        assert pipeline.next_batch_size(64) == 64
        record(64, 20 * RUN_S, pipeline)
    assert pipeline.next_batch_size(64) == 32
