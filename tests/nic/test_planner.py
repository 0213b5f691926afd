"""Plans are made of a snapshot, a wish and a recipe, and of nothing else."""

from __future__ import annotations

import msgspec
import pytest

from bypass.errors import ConfigError, UnavailableError
from bypass.nic.commands import command_for
from bypass.nic.emit import link_file, script
from bypass.nic.ntuple import FlowRule
from bypass.nic.planner import Plan, Wish, make_plan
from bypass.nic.recipes import Recipe, known_drivers, recipe_for
from bypass.nic.settings import Channels, Coalesce, PortRule, Rings, Table
from bypass.nic.snapshot import Irq, Link, Machine, Offload, Snapshot, XdpProgram
from tests.nic.fakenic import SLOTS, hardware

replace = msgspec.structs.replace


def plan(seen: Snapshot, **wish: object) -> Plan:
    return make_plan(seen, Wish(**wish), recipe_for(seen.link.driver))  # type: ignore[arg-type]


def keys(made: Plan) -> list[str]:
    return [step.after.key for step in made.steps]


def after(made: Plan, key: str) -> object:
    return [step.after for step in made.steps if step.after.key == key][-1]


def machine(seen: Snapshot, **facts: object) -> Snapshot:
    changed: Machine = replace(seen.machine, **facts)
    return replace(seen, machine=changed)


def link(seen: Snapshot, **facts: object) -> Snapshot:
    changed: Link = replace(seen.link, **facts)
    return replace(seen, link=changed)


def test_the_table_shrinks_before_the_channels_and_is_written_again_behind_them() -> None:
    made = plan(hardware(), workers=2)
    assert keys(made)[:4] == ["feature/rx-lro", "indirection", "channels", "indirection"]
    first, _, again = (step for step in made.steps if step.after.key in ("indirection", "channels"))
    assert isinstance(first.after, Table) and set(first.after.queues) == {0, 1}
    assert "shrinks first" in first.reason and "written again" in again.reason
    assert again.before == again.after


def test_channels_grow_before_the_table_names_them() -> None:
    made = plan(hardware(), workers=12)
    order = [key for key in keys(made) if key in ("indirection", "channels")]
    assert order == ["channels", "indirection"]
    table = after(made, "indirection")
    assert isinstance(table, Table) and set(table.queues) == set(range(12))


def test_every_step_has_a_reason_and_a_command() -> None:
    for wish in ({"workers": 2, "busy_poll": True, "vlan": True}, {"workers": 1, "port": 80}):
        seen = hardware()
        for step in plan(seen, **wish).steps:
            assert step.reason, step.after.key
            assert command_for(step.after, seen).startswith(("ethtool -", "echo ", "ynl "))
            assert step.before is None or command_for(step.before, seen)


def test_one_worker_with_a_port_gets_a_queue_of_its_own_where_the_nic_has_rules() -> None:
    made = plan(hardware(), workers=1, port=80)
    assert made.queues == (7,)
    assert "channels" not in keys(made)
    assert keys(made).index("feature/rx-ntuple-filter") < keys(made).index("rule/tcp4-80")
    assert after(made, "rule/tcp6-80") == PortRule(flow="tcp6", port=80, queue=7)
    table = after(made, "indirection")
    assert isinstance(table, Table) and 7 not in table.queues and set(table.queues) == set(range(7))


@pytest.mark.parametrize(
    ("seen", "wish", "words"),
    [
        (hardware(rules=None), {"workers": 1, "port": 80}, "mlx5_core has none"),
        (hardware(driver="igb"), {"workers": 1, "port": 80}, "igb has none"),
        (hardware(), {"workers": 2, "port": 80}, "leads to one queue"),
    ],
)
def test_where_no_rule_can_be_the_hash_spreads_and_it_is_said(
    seen: Snapshot, wish: dict[str, object], words: str
) -> None:
    made = plan(seen, **wish)
    assert not any(key.startswith("rule/") for key in keys(made))
    assert any(words in caution for caution in made.cautions)
    assert made.queues == tuple(range(int(str(wish["workers"]))))


def test_a_rule_that_leads_elsewhere_is_moved() -> None:
    rules = (FlowRule(location=9, flow="tcp4", queue=1, destination_port=80),)
    seen = hardware(rules=rules)
    made = plan(seen, queues=(3,), port=80)
    (step,) = (step for step in made.steps if step.after.key == "rule/tcp4-80")
    assert step.before == PortRule(flow="tcp4", port=80, queue=1)
    assert command_for(PortRule(flow="tcp4", port=80, queue=None), seen) == "ethtool -N eth9 delete 9"


def test_named_queues_get_all_flows_and_no_other_queue() -> None:
    made = plan(hardware(), queues=(2, 5))
    table = after(made, "indirection")
    assert isinstance(table, Table) and set(table.queues) == {2, 5}
    assert made.queues == (2, 5)


def test_a_table_over_the_same_queues_in_another_order_is_left_alone() -> None:
    seen = hardware()
    assert seen.rss is not None
    blocks = tuple(slot * 8 // SLOTS for slot in range(SLOTS))
    assert "indirection" not in keys(plan(replace(seen, rss=replace(seen.rss, table=blocks))))


def test_ports_are_added_to_the_hash_only_where_there_is_a_choice_of_queues() -> None:
    assert "hash/tcp6" in keys(plan(hardware(), workers=2))
    assert "hash/tcp4" not in keys(plan(hardware(), workers=2)), "it has ports already"
    assert "hash/tcp6" not in keys(plan(hardware(), queues=(0,)))


def test_rings_are_raised_to_the_recipe_and_never_beyond_the_device() -> None:
    assert after(plan(hardware()), "rings") == Rings(rx=1024, tx=1024)
    small = replace(hardware(), most_rings=Rings(rx=512, tx=256))
    assert "rings" not in keys(plan(small))
    assert after(plan(hardware(), rings=100_000), "rings") == Rings(rx=8192, tx=8192)
    large = replace(hardware(), rings=Rings(rx=4096, tx=4096))
    assert "rings" not in keys(plan(large)), "what is larger stays"


def test_coalescing_is_only_ever_lowered() -> None:
    made = after(plan(hardware()), "coalesce")
    assert made == Coalesce(rx_usecs=8, tx_usecs=16)
    eager = replace(hardware(), coalesce=Coalesce(rx_usecs=0, rx_frames=1, tx_usecs=3))
    assert "coalesce" not in keys(plan(eager))


def test_offloads_that_cannot_be_changed_are_no_steps() -> None:
    seen = hardware()
    fixed = {**seen.offloads, "rx-lro": Offload(on=True, changeable=False)}
    assert "feature/rx-lro" not in keys(plan(replace(seen, offloads=fixed)))


@pytest.mark.parametrize("how", ["asked", "interfaces"])
def test_vlan_tags_stay_in_packets_where_it_matters(how: str) -> None:
    assert "feature/rx-vlan-hw-parse" not in keys(plan(hardware()))
    seen = link(hardware(), vlans=("eth9.7",)) if how == "interfaces" else hardware()
    assert "feature/rx-vlan-hw-parse" in keys(plan(seen, vlan=how == "asked"))


@pytest.mark.parametrize(
    ("wish", "cpus"),
    [
        ("local", [2, 3, 2, 3]),
        ("remote", [0, 1, 0, 1]),
        ("one", [2, 2, 2, 2]),
        ("1,3", [1, 3, 1, 3]),
        ("0-2", [0, 1, 2, 0]),
    ],
)
def test_interrupts_go_where_they_are_wished(wish: str, cpus: list[int]) -> None:
    made = plan(hardware(queues=4), irq_affinity=wish)
    placed = {step.after.key: step.after.value for step in made.steps if step.after.key.startswith("irq/")}
    assert placed == {f"irq/rx-{queue}": f"CPU {cpu}" for queue, cpu in enumerate(cpus)}


def test_isolated_cpus_are_taken_only_by_name() -> None:
    seen = machine(hardware(queues=2), isolated_cpus=(3,))
    assert [after(plan(seen), f"irq/rx-{n}").value for n in (0, 1)] == ["CPU 2", "CPU 2"]  # type: ignore[attr-defined]
    assert after(plan(seen, irq_affinity="3"), "irq/rx-0").value == "CPU 3"  # type: ignore[attr-defined]


def test_affinity_can_be_left_alone() -> None:
    assert not any(key.startswith("irq/") for key in keys(plan(hardware(), irq_affinity="keep")))


def test_vectors_of_either_direction_are_both_placed() -> None:
    seen = hardware(queues=1)
    queue = seen.queues[0]
    tx = Irq(number=99, name="eth9-tx-0", cpus=(0,), effective_cpus=(0,))
    made = plan(replace(seen, queues=(replace(queue, irqs={**queue.irqs, "tx": tx}),)))
    assert {"irq/rx-0", "irq/tx-0"} <= set(keys(made))


def test_napi_is_set_by_queue_and_only_for_ours() -> None:
    made = plan(hardware(), queues=(2, 5), busy_poll=True)
    assert [key for key in keys(made) if "napi" in key] == ["napi/2", "napi/5"]
    assert not any("napi" in key for key in keys(plan(hardware())))


def test_without_napi_by_queue_the_devices_setting_is_used() -> None:
    seen = hardware(queues=2)
    queues = tuple(replace(queue, napi=None) for queue in seen.queues)
    made = plan(replace(seen, queues=queues), busy_poll=True)
    assert [key for key in keys(made) if "napi" in key] == ["napi"]
    assert any("busy polling has no effect" in caution for caution in made.cautions)


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        ({"workers": 17}, UnavailableError, "at most 16"),
        ({"queues": (8,)}, ConfigError, "queue 8: no such queue"),
        ({"irq_affinity": "near"}, ConfigError, "local, remote, one"),
        ({"irq_affinity": "4"}, ConfigError, "no CPU 4"),
        ({"irq_affinity": "3-x"}, ConfigError, "a list of CPUs"),
    ],
)
def test_wishes_that_do_not_fit_are_refused(
    wish: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(hardware(), **wish)


def test_no_remote_cpu_is_an_error_on_one_node() -> None:
    with pytest.raises(UnavailableError, match="no CPU is remote"):
        plan(link(hardware(), numa_node=-1), irq_affinity="remote")


def test_a_driver_that_cannot_change_its_channels_serves_what_it_has() -> None:
    seen = replace(hardware(), channels=None, most_channels=None)
    assert plan(seen, workers=8).queues == tuple(range(8))
    with pytest.raises(UnavailableError, match="cannot change their number"):
        plan(seen, workers=9)


@pytest.mark.parametrize("driver", ["ena", "gve"])
def test_cloud_nics_keep_half_of_their_queues_for_xdp(driver: str) -> None:
    with pytest.raises(UnavailableError, match=r"half of its channels, 8.*--workers 8"):
        plan(hardware(driver=driver), workers=9)
    made = plan(hardware(driver=driver), workers=8)
    assert any("type" in caution for caution in made.cautions), "limits of the instance are said"


def test_drivers_with_separate_channels_get_both_kinds() -> None:
    seen = replace(
        hardware(driver="gve"), channels=Channels(rx=8, tx=8), most_channels=Channels(rx=16, tx=16)
    )
    assert after(plan(seen, workers=4), "channels") == Channels(rx=4, tx=4)


def test_a_reset_of_the_link_is_said_with_the_step() -> None:
    made = plan(hardware(driver="igb"), workers=2)
    warned = {step.after.key for step in made.steps if step.warning}
    assert warned == {"channels", "rings"}


def test_the_machines_own_troubles_are_said() -> None:
    seen = machine(hardware(), irqbalance=True, governors={0: "powersave"}, memlock_bytes=8 << 20)
    program = XdpProgram(mode="native", program_id=7, name="other", owners=("xdpd (31)",))
    seen = replace(seen, xdp=replace(seen.xdp, programs=(program,)))
    said = " ".join(plan(link(seen, up=False)).cautions)
    for word in ("irqbalance", "powersave", "LimitMEMLOCK", "program 7 of xdpd (31)", "is down"):
        assert word in said
    assert "LimitMEMLOCK" not in " ".join(plan(machine(seen, may_lock=True)).cautions)


def test_a_plan_is_the_same_from_a_recorded_snapshot() -> None:
    seen = hardware()
    recorded = msgspec.json.decode(msgspec.json.encode(seen), type=Snapshot)
    assert plan(recorded, workers=2, busy_poll=True) == plan(seen, workers=2, busy_poll=True)


def test_the_script_and_the_link_file_have_every_step() -> None:
    seen = hardware()
    made = plan(seen, workers=2, busy_poll=True)
    text = script(made, seen)
    assert all(command_for(step.after, seen) in text for step in made.steps)
    unit = link_file(made, seen)
    for line in ("PermanentMACAddress=02:00:00:00:00:09", "CombinedChannels=2", "RxBufferSize=1024"):
        assert f"\n{line}\n" in unit
    assert "LargeReceiveOffload=no" in unit and "RxCoalesceSec=8us" in unit
    assert "# not in systemd.link: echo 2 > /proc/irq/40/smp_affinity_list" in unit


@pytest.mark.parametrize(
    ("table", "command"),
    [
        ((0, 1, 0, 1), "equal 2"),
        ((2, 3, 2, 3), "equal 2 start 2"),
        ((0, 0, 0, 1), "weight 3 1"),
        ((1, 1, 3, 3), "weight 0 2 0 2"),
    ],
)
def test_tables_are_spelled_as_ethtool_takes_them(table: tuple[int, ...], command: str) -> None:
    assert command_for(Table(queues=table), hardware()) == f"ethtool -X eth9 {command}"


# -- recipes


@pytest.mark.parametrize("driver", known_drivers())
def test_every_recipe_is_sound_and_has_sources(driver: str) -> None:
    recipe = recipe_for(driver)
    assert recipe.driver == driver
    assert recipe.sources and all(len(source) > 15 for source in recipe.sources)
    assert set(recipe.rings_at_least) <= {"rx", "tx"}
    assert set(recipe.coalesce_at_most) <= set(Coalesce.__struct_fields__)
    assert set(recipe.resets_link) <= {"channels", "rings", "coalesce", "feature"}
    assert all(recipe.offloads_off.values())


def test_the_drivers_of_the_issue_have_recipes_and_others_get_the_generic_one() -> None:
    named = {"mlx5_core", "ice", "i40e", "ixgbe", "igc", "igb", "ena", "gve", "virtio_net", "veth", "generic"}
    assert named <= set(known_drivers())
    assert recipe_for("brand_new").driver == "generic"
    assert recipe_for("../igb").driver == "generic"
    assert isinstance(recipe_for("igb"), Recipe)
