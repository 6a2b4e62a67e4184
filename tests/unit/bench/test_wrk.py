import pytest

from bench import wrk
from bench.process import BenchError
from bench.wrk import Count

GOOD = """\
Running 4s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.91ms    0.11ms   5.42ms   94.11%
    Req/Sec    70.55k     1.20k   72.31k    88.00%
  Latency Distribution
     50%    0.90ms
     99%    1.31ms
  282200 requests in 4.02s, 69.97MB read
Requests/sec:  70199.00
Transfer/sec:     17.40MB
"""


def test_requests_and_seconds_are_read():
    assert wrk.parse(GOOD) == Count(282200, 4.02, pytest.approx(1.31))


def test_the_slowest_may_come_in_microseconds():
    assert wrk.parse(GOOD.replace("1.31ms", "950.00us")).p99_ms == pytest.approx(0.95)


@pytest.mark.parametrize("duration,seconds", [("900.00ms", 0.9), ("1.50m", 90.0), ("20.00s", 20.0)])
def test_durations_come_in_any_unit(duration: str, seconds: float):
    assert wrk.parse(GOOD.replace("4.02s", duration)).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "line",
    [
        "  Socket errors: connect 0, read 3, write 0, timeout 0",
        "  Socket errors: connect 0, read 0, write 0, timeout 1",
        "  Non-2xx or 3xx responses: 12",
    ],
)
def test_a_failed_request_spoils_the_run(line: str):
    with pytest.raises(BenchError, match="failed under load"):
        wrk.parse(GOOD.replace("Requests/sec", f"{line}\nRequests/sec"))


def test_no_requests_and_no_summary_are_errors():
    with pytest.raises(BenchError, match="no request"):
        wrk.parse(GOOD.replace("282200", "0"))
    with pytest.raises(BenchError, match="can be understood"):
        wrk.parse("unable to connect\n")
