import pytest

from bench import idle, strace
from bench.process import BenchError

REPORT = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 52.10    0.101010           2     40400       200 recvfrom
 47.80    0.092929           2     40200           sendto
  0.10    0.000200           1       400           epoll_wait
------ ----------- ----------- --------- --------- ------------------
100.00    0.194139           2     81000       200 total
"""


def test_calls_are_counted_by_name_with_and_without_errors():
    assert strace.parse(REPORT) == {"recvfrom": 40400, "sendto": 40200, "epoll_wait": 400}


def test_an_answer_is_whole_when_its_stated_length_is_there():
    head = b"HTTP/1.1 200 OK\r\nContent-LENGTH: 5\r\nServer: x\r\n\r\n"
    assert idle.missing_bytes(b"HTTP/1.1 200 OK\r\nContent-") is None
    assert idle.missing_bytes(head) == 5
    assert idle.missing_bytes(head + b"hello") == 0


def test_an_answer_without_a_length_is_refused():
    with pytest.raises(BenchError, match="Content-Length"):
        idle.missing_bytes(b"HTTP/1.1 200 OK\r\n\r\n")
