from itertools import count

import jax
import pytest

from gridmem.baselines.costs.hardware import available_memory, device_memory, matmul_speed

GIB = 2**30
MEMINFO = {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nHugePages_Total: 0\n"}
VERSION_2 = {"proc/self/cgroup": "0::/jobs/mine\n"}
VERSION_1 = {"proc/self/cgroup": "5:cpu:/jobs\n4:memory,hugetlb:/jobs\n"}


def group(folder, limit, used, files=0):
    return {
        f"sys/fs/cgroup/{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{folder}/memory.current": f"{used}\n",
        f"sys/fs/cgroup/{folder}/memory.stat": f"anon 1\ninactive_file {files}\n",
    }


def old_group(folder, limit, used, files=0):
    return {
        f"sys/fs/cgroup/memory/{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory/{folder}/memory.usage_in_bytes": f"{used}\n",
        f"sys/fs/cgroup/memory/{folder}/memory.stat": f"total_inactive_file {files}\n",
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 4 * GIB),
        (MEMINFO | VERSION_2 | group("jobs/mine", "max", GIB), 4 * GIB),
        (MEMINFO | VERSION_2 | group("jobs/mine", 3 * GIB, GIB), 2 * GIB),
        (MEMINFO | VERSION_2 | group("jobs/mine", 3 * GIB, GIB, GIB // 2), 5 * GIB // 2),
        (MEMINFO | VERSION_2 | group("jobs", 2 * GIB, GIB) | group("jobs/mine", "max", 0), GIB),
        # In a container its own group may be the top one.
        (MEMINFO | VERSION_2 | group(".", 2 * GIB, GIB), GIB),
        (MEMINFO | VERSION_2 | group("jobs/mine", 9 * GIB, GIB), 4 * GIB),
        (VERSION_2 | group("jobs/mine", 3 * GIB, 4 * GIB), 0),
        (MEMINFO | VERSION_1 | old_group("jobs", 3 * GIB, GIB, GIB), 3 * GIB),
        (MEMINFO | VERSION_1 | old_group("jobs", 2**63 - 4096, GIB), 4 * GIB),
        (MEMINFO | VERSION_1 | old_group(".", 2 * GIB, GIB), GIB),
        ({"proc/meminfo": "nonsense\n", "proc/self/cgroup": "nonsense\n"}, None),
    ],
)
def test_available_memory_is_the_least_of_all_limits(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == expected


class Gpu:
    platform = "gpu"

    def __init__(self, statistics):
        self.statistics = statistics

    def memory_stats(self):
        return self.statistics


@pytest.mark.parametrize(
    ("statistics", "expected"),
    [({"bytes_limit": 7 * GIB, "bytes_in_use": GIB}, 7 * GIB), ({}, None), (None, None)],
)
def test_memory_of_a_gpu_is_what_jax_reserves(monkeypatch, statistics, expected):
    monkeypatch.setattr(jax, "devices", lambda: [Gpu(statistics)])
    assert device_memory() == expected


def test_memory_of_this_machine():
    memory = device_memory()
    assert memory is None or memory > 2**20


def test_matmul_speed_is_that_of_the_fastest_size(monkeypatch):
    seconds = count()  # each measurement takes one second
    monkeypatch.setattr("time.perf_counter", lambda: float(next(seconds)))
    assert matmul_speed("float32", (2, 8, 4)) == 2 * 8**3
