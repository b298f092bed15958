"""What identifies the machine that trained a cell.

The same seed gives the same bits only on one kind of machine: between two kinds, accuracies of the
same cell differ by up to 3.9 percentage points on the probe corpus.
"""

import platform
from pathlib import Path
from typing import Any

import torch

CPUINFO = Path("/proc/cpuinfo")
FIELDS = {
    "cpu_vendor": "vendor_id",
    "cpu_family": "cpu family",
    "cpu_model": "model",
    "cpu_stepping": "stepping",
}
"""Key of the result -> field of /proc/cpuinfo; empty where the system does not say."""


def machine(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Return what decides the last bits of a result: CPU, threads, PyTorch and device.

    Call it after the number of threads is set.

    Args:
        device: That computes it.
        world_size: Number of processes that share the work; recorded if there are several.
    """
    listed = _first_processor()
    cpu = {key: listed.get(field, "") for key, field in FIELDS.items()}
    if not any(cpu.values()):  # no /proc/cpuinfo, or one of another architecture
        cpu["cpu_vendor"] = f"{platform.machine()} {platform.processor()}".strip()
    return {
        **cpu,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": _device_name(device),
        **({"world_size": world_size} if world_size > 1 else {}),
    }


def _first_processor() -> dict[str, str]:
    """Return the fields of the first processor of /proc/cpuinfo."""
    if not CPUINFO.is_file():
        return {}
    first = CPUINFO.read_text(encoding="utf-8").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _device_name(device: torch.device) -> str:
    """Return `cpu`, `mps` or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
