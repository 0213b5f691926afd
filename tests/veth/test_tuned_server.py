"""`bypass serve --tune`: the NIC is tuned while it serves, and as before afterwards, also after SIGKILL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair

ROOT = Path(__file__).resolve().parents[2]
BYPASS = [sys.executable, "-m", "bypass"]


class TunedServer:
    """A pair whose server end merges packets (rx-gro), which tuning turns off, and servers on it."""

    def __init__(self, pair: VethPair, folder: Path) -> None:
        self.pair = pair
        self.ifname = pair.server.ifname
        self.state = folder / "state"
        self.site = folder / "site"
        self.site.mkdir()
        (self.site / "index.html").write_text("hello")
        self.started: list[subprocess.Popen[str]] = []
        self.run(["ethtool", "-K", self.ifname, "gro", "on"])

    def command(self, words: list[str]) -> list[str]:
        return ["ip", "netns", "exec", str(self.pair.server.namespace), *words]

    def run(self, words: list[str], code: int = 0) -> str:
        done = subprocess.run(self.command(words), cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{words}: {done.returncode}, {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def serve(self, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        """A server that answers, and what it has said."""
        words = [
            *BYPASS,
            "serve",
            str(self.site),
            "-i",
            self.ifname,
            "--state-dir",
            str(self.state),
            *arguments,
        ]
        process = subprocess.Popen(self.command(words), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "of packets" in line:
                if "--queue" not in arguments:  # else the request may meet a queue that nobody serves
                    url = f"http://{self.pair.server.v4}/"
                    assert self.pair.run(["curl", "-sS", "-m", "10", url]).stdout == "hello"
                return process, said
        raise AssertionError(f"did not come to serve: {said}")

    def merges(self) -> bool:
        return "generic-receive-offload: on" in self.run(["ethtool", "-k", self.ifname])

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait(10)
            if process.stderr:
                process.stderr.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TunedServer]:
    with VethPair(isolate_server=True, queues=2) as pair:
        made = TunedServer(pair, tmp_path)
        try:
            yield made
        finally:
            made.close()


def test_the_nic_is_tuned_while_serving_and_put_back_at_the_end(server: TunedServer) -> None:
    process, said = server.serve("--tune")
    assert "tuned until the end: feature/rx-gro off" in said
    assert not server.merges()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert server.merges()
    assert list(server.state.glob("*.json")) == []


@pytest.mark.parametrize("again", [(), ("--tune",)], ids=["plain", "tuned"])
def test_after_sigkill_the_next_start_puts_it_back(server: TunedServer, again: tuple[str, ...]) -> None:
    process, _ = server.serve("--tune")
    process.kill()
    process.wait(10)
    assert not server.merges()
    process, said = server.serve(*again)
    assert "was killed" in said
    assert server.merges() is (not again)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert server.merges()


def test_after_sigkill_restore_puts_it_back(server: TunedServer) -> None:
    nic = [*BYPASS, "nic", "restore", server.ifname, "--state-dir", str(server.state)]
    process, _ = server.serve("--tune")
    assert "serve --tune" in server.run(nic, 69)
    process.kill()
    process.wait(10)
    server.run(nic)
    assert server.merges()


def test_without_tune_nothing_is_changed(server: TunedServer) -> None:
    server.serve()
    assert server.merges()
    assert not server.state.exists()


def test_what_nic_apply_did_is_left_as_it_is(server: TunedServer) -> None:
    apply = [*BYPASS, "nic", "apply", server.ifname, "--state-dir", str(server.state)]
    server.run(apply)
    process, said = server.serve("--tune")
    assert "by 'bypass nic apply' already" in said
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not server.merges()


def test_the_interface_of_the_default_route_is_not_tuned(server: TunedServer) -> None:
    server.run(["ip", "route", "add", "default", "dev", server.ifname])
    words = [
        *BYPASS,
        "serve",
        str(server.site),
        "-i",
        server.ifname,
        "--tune",
        "--state-dir",
        str(server.state),
    ]
    assert "the default route" in server.run(words, 1)
    assert server.merges()


def test_the_picture_names_who_listens_on_which_queue(server: TunedServer) -> None:
    process, _ = server.serve("--queue", "0")
    show = [*BYPASS, "nic", "show", server.ifname]
    facts = json.loads(server.run([*show, "--json"]))
    assert [queue["xsk"] for queue in facts["queues"]] == [True, False]
    assert str(process.pid) in facts["queues"][0]["listener"]
    assert facts["queues"][1]["listener"] is None
    (program,) = facts["xdp"]["programs"]
    assert program["name"] == "bypass_redirect"
    assert str(process.pid) in program["owners"][0]
    assert str(process.pid) in server.run(show)


def test_top_counts_the_packets_of_a_server(server: TunedServer) -> None:
    server.serve()
    words = server.command([*BYPASS, "nic", "top", server.ifname, "--once", "--json", "--interval", "3s"])
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://{server.pair.server.v4}/"
        server.pair.run(["curl", "-sS", "--rate", "20/s", "-m", "10", *[url] * 40])
        assert process.stdout is not None
        facts = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert facts["total"]["rx_packets"] > 5
    assert sum(queue.get("rx_packets", 0) for queue in facts["queues"].values()) > 5
