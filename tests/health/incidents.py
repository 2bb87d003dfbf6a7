"""One recorded trouble for every rule of the triage table: what the fleet looks like when it holds."""

from console.fleet.state import LinkState, ReadingState


def _bits(mask, seconds, step=1.0):
    def play(ward):
        ward.set("clocks_event_reasons", mask)
        ward.look(seconds, step)

    return play


def _value(metric, value, seconds=0.0, step=1.0):
    def play(ward):
        ward.set(metric, value)
        ward.look(seconds, step)

    return play


def _rise(metric, by, seconds=30.0):
    def play(ward):
        ward.set(metric, 0.0, *range(ward.count))
        ward.look(seconds)
        ward.set(metric, float(by))
        ward.look(5)

    return play


def _host(metric, value):
    def play(ward):
        ward.host_column(metric)[0][0] = value
        ward.look(1)

    return play


def _lost_card(ward):
    ward.state("memory_used", ReadingState.LOST)
    ward.look(1)


def _event(kind, code=None, text=""):
    def play(ward):
        ward.happens(kind, code, text=text)
        ward.look(1)

    return play


def _lost_node(ward):
    ward.lose(0)
    ward.look(1)


def _many_lost(ward):
    ward.lose(0, 1, 2)
    ward.look(1)


def _node(**facts):
    def play(ward):
        ward.node(0, **facts)
        ward.look(1)

    return play


def _infiniband(ward):
    ward.host_column("ib_errors")[0][:] = 7.0
    ward.look(10)
    ward.host_column("ib_errors")[0][0] = 30.0
    ward.look(5)


def _ports_down(ward):
    ward.host_column("ib_ports_active")[0][:] = 4.0
    ward.look(40, 10)
    ward.host_column("ib_ports_active")[0][0] = 3.0
    ward.look(70, 10)


def _flaps(ward):
    ward.host_column("ib_link_downed")[0][:] = 2.0
    ward.look(10)
    ward.host_column("ib_link_downed")[0][0] = 7.0
    ward.look(5)


def _trained_down(ward):
    ward.set("pcie_generation", 5.0, *range(ward.count))
    ward.set("pcie_generation", 3.0)
    ward.look(200, 10)


def _unowned(ward):
    ward.set("process_count", 8.0, *range(1, ward.count))
    ward.set("process_count", 0.0)
    ward.look(330, 10)


def _host_memory(ward):
    ward.host_column("host_memory_total")[0][:] = 1e12
    ward.host_column("host_memory_used")[0][:] = 4e11
    ward.host_column("host_memory_used")[0][0] = 9.8e11
    ward.look(90, 3)


INCIDENTS = {
    "recovery-action": _value("recovery_action", 2.0),
    "card-lost": _lost_card,
    "card-hung": _event("card_hung", text="nvmlDeviceGetTemperature hangs for 20 s"),
    "remap-failure": _value("remap_failure", 1.0),
    "sram-threshold": _value("ecc_sram_threshold", 1.0),
    "sram-many": _value("ecc_sram_uncorrected", 5.0),
    "sram-some": _value("ecc_sram_uncorrected", 2.0),
    "remap-pending": _value("remap_pending", 1.0),
    "pages-pending": _value("retired_pages_pending", 1.0),
    "ecc-uncorrected": _value("ecc_uncorrected_volatile", 3.0),
    "hw-slowdown": _bits(0x08, 420.0, 5.0),
    "hw-thermal": _bits(0x48, 6.0),
    "power-brake": _bits(0x80, 6.0),
    "sw-thermal": _bits(0x20, 330.0, 5.0),
    "thermal-time": _rise("throttle_thermal_s", 80.0),
    "pcie-width": _value("pcie_width", 8.0),
    "pcie-fatal": _rise("pcie_fatal_errors", 1.0),
    "pcie-replay": _rise("pcie_replay", 500.0),
    "nvlink-inactive": _value("nvlink_active", 16.0),
    "nvlink-recoveries": _rise("nvlink_recovery_errors", 6.0),
    "xid": _event("xid", 79, "NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus."),
    "straggler": _value("clock_sm", 1200.0, 180.0, 5.0),
    "idle-held": _value("utilization_gpu", 0.0, 1900.0, 10.0),
    "node-lost": _lost_node,
    "many-lost": _many_lost,
    "agent-lost": _node(problem="agent", text="the agent ended with status 1"),
    "driver-mismatch": _node(problem="nvml", text="Driver/library version mismatch"),
    "key-changed": _node(problem="key_changed", text="the host key is another one", link=LinkState.FAILED),
    "driver-differs": _node(driver="535.104.05"),
    "clock-skew-large": _node(clock_offset_s=-45.0),
    "clock-skew": _node(clock_offset_s=3.0),
    "disk-full": _host("disk_used", 91.0),
    "disk-filling": _host("disk_used", 82.0),
    "file-handles": _host("file_handles", 95.0),
    "infiniband": _infiniband,
    "ib-port-down": _ports_down,
    "ib-flaps": _flaps,
    "nvlink-crc": _rise("nvlink_crc_errors", 2500.0),
    "pcie-generation": _trained_down,
    "thermal-margin": _value("temperature_margin", 1.0, 200.0, 10.0),
    "memory-unowned": _unowned,
    "host-memory": _host_memory,
}
