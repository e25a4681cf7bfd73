"""What is for rent: machines with GPUs, and disk space for volumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MB_PER_GB = 1024
HOURS_PER_MONTH = 730
RAM_FIELDS = ("gpu_ram", "gpu_total_ram")


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine's ask. `gpu_ram` is MB of one GPU, `dph_total` $/h, `disk_space` GB, `inet_down` Mbit/s.

    `taken`: someone else has rented it. `left_out` names fields its document lacks, as happens with hosts
    that report badly. `in_gb`: its document gives memory in GB, as some of the provider's texts do.
    """

    id: int
    machine_id: int
    gpu_name: str
    num_gpus: int
    gpu_ram: int
    dph_total: float
    reliability: float = 0.995
    dlperf: float = 100.0
    disk_space: float = 200.0
    verified: bool = True
    direct_port_count: int = 100
    inet_down: float = 900.0
    taken: bool = False
    left_out: frozenset[str] = frozenset()
    in_gb: bool = False

    @property
    def gpu_total_ram(self) -> int:
        return self.gpu_ram * self.num_gpus

    def facts(self, *, rented: bool) -> Json:
        """What filters and orders look at: all fields, memory in MB; None for a field that is left out."""
        rented = rented or self.taken
        known: Json = {
            "id": self.id,
            "machine_id": self.machine_id,
            "host_id": self.machine_id // 10,
            "gpu_name": self.gpu_name,
            "num_gpus": self.num_gpus,
            "gpu_ram": self.gpu_ram,
            "gpu_total_ram": self.gpu_total_ram,
            "dph_total": self.dph_total,
            "reliability": self.reliability,
            "reliability2": self.reliability,
            "verification": "verified" if self.verified else "unverified",
            "verified": self.verified,
            "rentable": not rented,
            "rented": rented,
            "dlperf": self.dlperf,
            "disk_space": self.disk_space,
            "direct_port_count": self.direct_port_count,
            "inet_down": self.inet_down,
        }
        return {name: None if name in self.left_out else value for name, value in known.items()}

    def document(self, *, rented: bool, gb_units: bool) -> Json:
        """The offer as a search answers it. `verified` is only a filter's name: here it is `verification`."""
        shown = self.facts(rented=rented)
        del shown["verified"]
        if gb_units or self.in_gb:
            shown |= {
                name: round(shown[name] / MB_PER_GB, 1) for name in RAM_FIELDS if shown[name] is not None
            }
        return {name: value for name, value in shown.items() if name not in self.left_out}


@dataclass(frozen=True, slots=True)
class VolumeOffer:
    """Disk space on a machine: `disk_space` GB, `storage_cost` $/GB/month."""

    id: int
    machine_id: int
    disk_space: int
    storage_cost: float = 0.1

    def document(self) -> Json:
        return {
            "id": self.id,
            "machine_id": self.machine_id,
            "disk_space": self.disk_space,
            "storage_cost": self.storage_cost,
            "verification": "verified",
        }


def read_offers(given: Iterable[Offer | Mapping[str, Any]]) -> dict[int, Offer]:
    """Offers by id, from `Offer`s or mappings of its fields; ValueError for one that makes none."""
    found: dict[int, Offer] = {}
    for each in given:
        try:
            offer = each if isinstance(each, Offer) else Offer(**each)
        except TypeError as exc:
            raise ValueError(f"not an offer: {exc}") from exc
        if offer.id in found:
            raise ValueError(f"two offers have the id {offer.id}")
        found[offer.id] = offer
    return found
