"""Containers, limits and GPUs, read from file systems made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from hfl_metadata import GpuInfo
from hfl_metadata._amd import read_amd_gpus
from hfl_metadata._cgroup import cpu_limit, memory_limit
from hfl_metadata._container import read_container, read_distribution


def plant(root: Path, files: Dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1_NONE = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("files", "memory", "cpu"),
    [
        ({}, None, None),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "1073741824\n",
                "sys/fs/cgroup/cpu.max": "250000 100000\n",
            },
            2**30,
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "max\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n",
            },
            None,
            None,
        ),
        (  # Slurm and systemd limit a group around the process's own
            {
                "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
                "sys/fs/cgroup/slurm/job_7/step_0/memory.max": "max\n",
                "sys/fs/cgroup/slurm/job_7/memory.max": "4096\n",
                "sys/fs/cgroup/slurm/memory.max": "8192\n",
                "sys/fs/cgroup/slurm/job_7/cpu.max": "400000 100000\n",
            },
            4096,
            4.0,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "2048\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2048,
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/\n4:cpu,cpuacct:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
        (  # both versions: the controllers are with the first, the second one holds nothing
            {
                "proc/self/cgroup": "5:memory:/a\n0::/a\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1024\n",
                "sys/fs/cgroup/unified/a/cgroup.procs": "1\n",
            },
            1024,
            None,
        ),
        (  # in a container that sees the host's path, and not beyond its own root
            {
                "proc/self/cgroup": "0::/../../outside\n",
                "sys/fs/cgroup/memory.max": "512\n",
                "outside/memory.max": "1\n",
            },
            512,
            None,
        ),
        ({"proc/self/cgroup": "nonsense\n0::\n", "sys/fs/cgroup/cpu.max": "x y\n"}, None, None),
    ],
)
def test_the_limits_of_the_control_group_are_found(tmp_path, files, memory, cpu):
    root = plant(tmp_path, files)
    assert memory_limit(root) == memory
    assert cpu_limit(root) == cpu


@pytest.mark.parametrize(
    ("files", "variables", "expected"),
    [
        ({}, {}, None),
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({".dockerenv": ""}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({}, {"APPTAINER_CONTAINER": "/x.sif"}, "apptainer"),
        ({}, {"SINGULARITY_CONTAINER": "/x.sif"}, "apptainer"),
        ({}, {"container": "lxc"}, "lxc"),
        ({"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}, {}, "kubernetes"),
        ({"proc/1/cgroup": "0::/system.slice/docker-abc.scope\n"}, {}, "docker"),
        ({"proc/1/cgroup": "0::/libpod-abc\n"}, {}, "podman"),
        ({"proc/1/cgroup": "0::/\n"}, {}, None),
        ({"proc/sys/kernel/osrelease": "5.15.0-microsoft-standard-WSL2\n"}, {}, "wsl"),
        ({"proc/sys/kernel/osrelease": "6.1.0\n"}, {}, None),
    ],
)
def test_the_kind_of_container_is_named(tmp_path, files, variables, expected):
    assert read_container(plant(tmp_path, files), variables) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"etc/os-release": 'NAME="x"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n'}, "Ubuntu 22.04.4 LTS"),
        ({"usr/lib/os-release": "PRETTY_NAME=Alpine\n"}, "Alpine"),
        ({"etc/os-release": "ID=x\n"}, None),
    ],
)
def test_the_distribution_is_named(tmp_path, files, expected):
    assert read_distribution(plant(tmp_path, files)) == expected


def test_amd_s_gpus_are_those_with_memory_of_their_own(tmp_path):
    plant(
        tmp_path,
        {
            "sys/module/amdgpu/version": "6.3.6\n",
            "sys/class/drm/card10/device/vendor": "0x1002\n",
            "sys/class/drm/card10/device/mem_info_vram_total": "68702699520\n",
            "sys/class/drm/card10/device/product_name": "AMD Instinct MI210\n",
            "sys/class/drm/card2/device/vendor": "0x1002\n",
            "sys/class/drm/card2/device/device": "0x740f\n",
            "sys/class/drm/card2/device/mem_info_vram_total": "1024\n",
            "sys/class/drm/card2-DP-1/status": "connected\n",
            "sys/class/drm/card1/device/vendor": "0x10de\n",
            "sys/class/drm/card0/device/vendor": "0x1002\n",
        },
    )
    assert read_amd_gpus(tmp_path) == [
        GpuInfo(0, "AMD 0x740f", 1024, None, "6.3.6"),
        GpuInfo(1, "AMD Instinct MI210", 68702699520, None, "6.3.6"),
    ]
    assert read_amd_gpus(tmp_path / "nothing") == []
