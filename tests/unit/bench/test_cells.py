import pytest

from bench import cells
from bench.cells import CELLS, CORE_PEERS, GROUPS
from bench.job import BENCH
from bench.peers import PEERS


def test_every_cell_is_measured_by_peers_and_scripts_that_exist():
    for cell in CELLS.values():
        assert {contestant.peer for contestant in cell.contestants} <= PEERS.keys()
        assert cell.load.script is None or (BENCH / "lua" / cell.load.script).exists()


def test_a_base_is_a_row_of_its_cell_and_keys_differ():
    for cell in CELLS.values():
        keys = [contestant.key for contestant in cell.contestants]
        assert len(keys) == len(set(keys))
        assert {contestant.base for contestant in cell.contestants} - {None} <= set(keys)


def test_the_core_is_three_peers_at_64_connections():
    core = cells.choose(["core"])
    assert [cell.name for cell in core] == ["small-1h-c64", "small-13h-c64", "100k-c64"]
    for cell in core:
        assert [contestant.peer for contestant in cell.contestants] == list(CORE_PEERS)
        assert cell.load.connections == 64


def test_groups_and_names_mix_and_each_cell_comes_once():
    assert [cell.name for cell in cells.choose(["idle", "core", "100k-c64"])] == [*GROUPS["core"], "idle"]


def test_an_unknown_name_is_told():
    with pytest.raises(KeyError, match="small-2h"):
        cells.choose(["core", "small-2h"])


def test_every_group_has_members_that_exist():
    for members in GROUPS.values():
        assert members
        assert set(members) <= CELLS.keys()
