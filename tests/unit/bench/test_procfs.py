import os

import pytest

from bench import procfs
from bench.procfs import MachineTime, Ticks

# A process may call itself anything: the name holds blanks and parentheses here.
STAT = "42 (odd) name) S 7 42 42 0 -1 4194304 116 0 0 0 310 90 0 0 20 0 1 0 88272 3133440 383 18446744073709551615 0"


def test_stat_is_read_behind_the_name():
    assert procfs.parse_stat_ticks(STAT) == Ticks(user=310, system=90)
    assert procfs.parse_stat_parent(STAT) == 7


def test_schedstat_starts_with_the_time_on_the_cpu():
    assert procfs.parse_schedstat("19856452 8803003 79\n") == 19856452


def test_busy_is_all_but_idle_and_waiting_for_disks():
    text = "cpu  10 1 20 500 40 3 5 7 2 0\ncpu0 5 0 10 250 20 1 2 3 1 0\n"
    assert procfs.parse_machine_time(text) == MachineTime(busy=10 + 1 + 20 + 3 + 5 + 7, total=586)


def test_kib_of_a_named_line_alone():
    text = "Name:\tnginx\nVmRSS:\t    5120 kB\nRssAnon:\t     900 kB\n"
    assert procfs.parse_kib(text, "RssAnon") == 900
    with pytest.raises(ValueError, match="'Rss'"):
        procfs.parse_kib(text, "Rss")


def test_descendants_reach_through_generations():
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 13: 1}
    assert procfs.descendants(10, parents) == [10, 11, 12]


def test_this_process_has_a_tree_time_memory_and_a_start():
    pid = os.getpid()
    assert pid in procfs.tree(pid)
    assert procfs.cpu_ns([pid]) > 0
    assert procfs.memory_kib([pid], "VmRSS") >= procfs.proportional_kib([pid]) > 0
    assert procfs.start_time(pid) == procfs.start_time(pid) is not None


def test_a_process_that_is_gone_has_no_start():
    assert procfs.start_time(2**22 + 1) is None
