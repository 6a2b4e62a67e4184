"""What is growth, and what is not."""

from soak.watch import SHORT_SLACK, Taken

MIB = 1 << 20
BEFORE = Taken(rss=100 * MIB, descriptors=50, threads=7)


def test_a_tenth_is_allowed():
    assert Taken(110 * MIB, 55, 7).growth(BEFORE) == []
    assert Taken(111 * MIB, 59, 10).growth(BEFORE) == [
        f"rss {100 * MIB} -> {111 * MIB}",
        "descriptors 50 -> 59",
        "threads 7 -> 10",
    ]


def test_small_figures_may_vary():
    assert Taken(5 * MIB, 10, 3).growth(Taken(4 * MIB, 5, 2)) == []
    assert Taken(45 * MIB, 10, 3).growth(Taken(40 * MIB, 5, 2), SHORT_SLACK) == []
