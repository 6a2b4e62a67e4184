import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylos.errors import BindError
from pylos.supervisor.sockets import Sockets


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    yield made
    made.close()


def table(**listeners: list[str]) -> dict:
    return {"listen": {name: {"bind": binds} for name, binds in listeners.items()}}


def connects(address: str) -> bool:
    if address.startswith("unix:"):
        family, target = socket.AF_UNIX, address.removeprefix("unix:")
    else:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        target = (host.strip("[]"), int(port))
    with socket.socket(family) as probe:
        return probe.connect_ex(target) == 0


def take(sockets: Sockets, **listeners: list[str]) -> dict[str, list[str]]:
    prepared = sockets.prepare(table(**listeners))
    sockets.commit(prepared)
    return prepared.listen


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_port_0_becomes_a_real_address(sockets: Sockets, bind: str) -> None:
    given = table(http=[bind])
    prepared = sockets.prepare(given)
    sockets.commit(prepared)
    [address] = prepared.listen["http"]
    assert not address.endswith(":0")
    assert connects(address)
    assert prepared.table == table(http=[address])
    assert given == table(http=[bind]), "the caller's table is its own"
    assert list(prepared.sockets) == [address]


def test_listening_sockets_are_as_the_gateway_wants_them(sockets: Sockets) -> None:
    prepared = sockets.prepare(table(http=["[::1]:0"]))
    sockets.commit(prepared)
    [sock] = prepared.sockets.values()
    assert not os.get_blocking(sock.fileno())
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_port_0_twice_is_two_ports(sockets: Sockets) -> None:
    listen = take(sockets, http=["127.0.0.1:0", "127.0.0.1:0"], ops=["127.0.0.1:0"])
    assert len({*listen["http"], *listen["ops"]}) == 3


def test_what_stays_in_the_table_keeps_its_socket(sockets: Sockets) -> None:
    before = take(sockets, http=["127.0.0.1:0"], ops=["127.0.0.1:0"])
    after = take(sockets, http=["127.0.0.1:0"], more=["127.0.0.1:0"])
    assert after["http"] == before["http"]
    assert connects(after["http"][0])
    assert connects(after["more"][0])
    assert not connects(before["ops"][0])


def test_an_address_that_moves_to_another_listener_stays_open(sockets: Sockets) -> None:
    bind = f"localhost:{free_port()}"
    [first] = take(sockets, http=[bind])["http"]
    [second] = take(sockets, renamed=[first])["renamed"]
    assert first == second
    assert connects(second)


def test_discard_closes_what_was_new_and_nothing_else(sockets: Sockets) -> None:
    before = take(sockets, http=["127.0.0.1:0"])
    prepared = sockets.prepare(table(http=["127.0.0.1:0"], ops=["127.0.0.1:0"]))
    prepared.discard()
    assert connects(before["http"][0])
    assert not connects(prepared.listen["ops"][0])


def test_all_failures_are_told_and_nothing_stays_open(sockets: Sockets, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = taken.getsockname()[1], free_port()
        binds = [f"127.0.0.1:{free}", f"127.0.0.1:{port}", "192.0.2.1:0", f"unix:{tmp_path}", "no.such.host.invalid:1"]
        with pytest.raises(BindError) as caught:
            sockets.prepare(table(http=binds))
    report = str(caught.value)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use ([listen.http] bind[1])" in report
    assert "another program listens there" in report
    assert "192.0.2.1:0: Cannot assign requested address" in report
    assert f"unix:{tmp_path}: the path exists and is no socket" in report
    assert "no.such.host.invalid:1" in report
    assert str(free) not in report
    assert not connects(f"127.0.0.1:{free}")


def test_one_address_for_two_listeners(sockets: Sockets) -> None:
    bind = f"127.0.0.1:{free_port()}"
    with pytest.raises(BindError, match=r"stands twice in this configuration \(\[listen.b\] bind\[0\]\)"):
        sockets.prepare(table(a=[bind], b=[bind]))


def test_more_sockets_than_one_message_carries(sockets: Sockets) -> None:
    with pytest.raises(BindError, match="251 addresses to listen on, at most 250"):
        sockets.prepare(table(http=["127.0.0.1:0"] * 251))


def test_a_unix_socket_is_made_and_removed(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    [address] = take(sockets, http=[f"unix:{path}"])["http"]
    assert address == f"unix:{path}"
    assert connects(address)
    sockets.close()
    assert not path.exists()


def test_a_dead_servers_unix_socket_is_replaced(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    [address] = take(sockets, http=[f"unix:{path}"])["http"]
    assert connects(address)


def test_a_live_servers_unix_socket_is_left_alone(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        with pytest.raises(BindError, match="a live server listens there"):
            sockets.prepare(table(http=[f"unix:{path}"]))
        assert connects(f"unix:{path}")


def test_a_regular_file_is_left_alone(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    path.write_text("precious")
    with pytest.raises(BindError, match="is no socket"):
        sockets.prepare(table(http=[f"unix:{path}"]))
    assert path.read_text() == "precious"


def test_someone_elses_unix_socket_is_not_removed_at_the_end(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    take(sockets, http=[f"unix:{path}"])
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        sockets.close()
        assert connects(f"unix:{path}")


def test_a_reload_that_keeps_the_path_keeps_the_socket(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    take(sockets, http=[f"unix:{path}"])
    inode = path.stat().st_ino
    take(sockets, http=[f"unix:{path}"], ops=["127.0.0.1:0"])
    assert path.stat().st_ino == inode
    assert connects(f"unix:{path}")


def with_mode(path: Path, mode: str | None) -> dict:
    return {"listen": {"http": {"bind": [f"unix:{path}"], "mode": mode}}}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_who_may_connect_is_said_by_the_mode(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    for mode in ("0660", "606", None):  # the last leaves it as it is
        before = path.stat().st_ino if path.exists() else None
        prepared = sockets.prepare(with_mode(path, mode))
        if before is not None:
            assert mode_of(path) == 0o660 or mode is None, "nothing that is in use is touched before it is taken"
        sockets.commit(prepared)
        assert mode_of(path) == (0o660 if mode == "0660" else 0o606)
        assert before in (None, path.stat().st_ino)
        assert connects(f"unix:{path}")


def test_someone_elses_unix_socket_keeps_its_mode(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    sockets.commit(sockets.prepare(with_mode(path, "0660")))
    path.unlink()
    path.write_text("precious")
    path.chmod(0o600)
    sockets.commit(sockets.prepare(with_mode(path, "0666")))
    assert mode_of(path) == 0o600


def test_a_live_server_without_time_is_left_alone(sockets: Sockets, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as client:
        live.bind(str(path))
        live.listen(0)
        client.connect(str(path))  # its queue is full
        with pytest.raises(BindError, match="a live server listens there"):
            sockets.prepare(table(http=[f"unix:{path}"]))


def test_a_folder_that_is_not_there(sockets: Sockets, tmp_path: Path) -> None:
    with pytest.raises(BindError, match=r"No such file or directory \(.*\n      = its folder must be there"):
        sockets.prepare(table(http=[f"unix:{tmp_path}/none/gate.sock"]))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
