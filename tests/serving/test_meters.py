"""Counters in the form that Prometheus reads."""

import re

from emollm.serving.meters import Meters

LINE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z]+="[^"\\]*",?)+\})? [-+0-9.e]+')


def test_every_line_is_one_that_prometheus_reads():
    meters = Meters()
    meters.count("requests_total", route="/a", status="200")
    meters.count("requests_total", 2, route="/a", status="429")
    for seconds in (0.001, 0.2, 1000.0):
        meters.time("seconds", seconds, route="/a")
    meters.watch({"ready": lambda: 1.0})
    lines = meters.text().splitlines()
    assert all(line.startswith("# TYPE ") or LINE.fullmatch(line) for line in lines)
    assert 'requests_total{route="/a",status="429"} 2' in lines and "ready 1" in lines
    assert 'seconds_bucket{route="/a",le="0.005"} 1' in lines and 'seconds_bucket{route="/a",le="0.25"} 2' in lines
    assert 'seconds_bucket{route="/a",le="+Inf"} 3' in lines and 'seconds_count{route="/a"} 3' in lines
    assert len([line for line in lines if line == "# TYPE seconds histogram"]) == 1
