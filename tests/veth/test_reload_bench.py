"""`bypass bench reload` on few files: it measures what it says, and every request is answered."""

from __future__ import annotations

from bypass.bench.reload import facts, measure


def test_reloads_are_timed_alone_and_beside_a_client() -> None:
    said: list[str] = []
    result = measure(200, 1, 1, said.append)
    found = facts(result)
    assert found["files"] == 200
    assert len(result.alone_s) == 1 and len(result.loaded_s) >= 1
    assert all(0.05 < each < 30 for each in (*result.alone_s, *result.loaded_s))
    for load in (result.quiet, result.reloading):
        assert load.requests > 0 and load.errors == 0
        assert 0 < load.p50_us <= load.p99_us
    assert said[-1] == "requests, one reload after another"
