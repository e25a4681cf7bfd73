"""What an account has rented: instances and volumes, each with its life by the clock."""

from __future__ import annotations

from dataclasses import dataclass

from rune.sandbox.vast.launch import Launch
from rune.sandbox.vast.offers import HOURS_PER_MONTH, Json, Offer, VolumeOffer

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Boot:
    """Seconds from power on until `loading` begins, and until `running`."""

    loading_after: float
    running_after: float

    def status(self, elapsed: float) -> str | None:
        if elapsed >= self.running_after:
            return "running"
        return "loading" if elapsed >= self.loading_after else None


@dataclass(frozen=True, slots=True)
class Fate:
    """From `after` seconds after power on the instance shows `status`, whatever its boot would make of it."""

    after: float
    status: str | None


@dataclass(slots=True)
class Rental:
    """Something that is paid for. Times in clock seconds; `released_at` None while it runs up cost.

    `foreign`: put into the account beforehand, not rented through the API.
    """

    id: int
    kind: str
    label: str | None
    dph: float
    rented_at: float
    foreign: bool = False
    released_at: float | None = None

    def open_at(self, at: float) -> bool:
        return self.rented_at <= at and (self.released_at is None or at < self.released_at)

    def seconds(self, now: float) -> float:
        return (now if self.released_at is None else self.released_at) - self.rented_at

    def cost_usd(self, now: float) -> float:
        return self.dph * self.seconds(now) / SECONDS_PER_HOUR


@dataclass(slots=True, kw_only=True)
class Instance(Rental):
    """A contract for a machine. `powered_at` is when its present boot began."""

    offer: Offer
    launch: Launch
    boot: Boot
    powered_at: float
    stopped: bool = False
    fate: Fate | None = None
    ports_missing: bool = False
    label_refused: bool = False
    deaf_until: float | None = None

    def status(self, at: float) -> str | None:
        """`actual_status` at that time."""
        elapsed = at - self.powered_at
        if self.fate is not None and elapsed >= self.fate.after:
            return self.fate.status
        return "stopped" if self.stopped else self.boot.status(elapsed)

    def document(self, at: float, ports: Json | None) -> Json:
        """The instance as the API shows it; `ports` only while it runs."""
        status = self.status(at)
        intended = "stopped" if self.stopped else "running"
        allocated = status is not None
        return {
            "id": self.id,
            "label": self.label,
            "actual_status": status,
            "intended_status": intended,
            "cur_state": intended,
            "next_state": intended,
            "status_msg": self._message(status),
            "machine_id": self.offer.machine_id,
            "host_id": self.offer.machine_id // 10,
            "public_ipaddr": "127.0.0.1" if allocated else None,
            **({} if ports is None else {"ports": ports}),
            "ssh_host": "ssh.sandbox.invalid" if allocated else None,
            "ssh_port": 10000 + self.id % 50000 if allocated else None,
            "gpu_name": self.offer.gpu_name,
            "num_gpus": self.offer.num_gpus,
            "gpu_ram": self.offer.gpu_ram,
            "gpu_totalram": self.offer.gpu_total_ram,
            "disk_space": self.launch.disk,
            "dph_total": self.dph,
            "reliability2": self.offer.reliability,
            "verification": "verified" if self.offer.verified else "unverified",
            "start_date": self.rented_at,
            "duration": at - self.rented_at,
            "template_hash_id": self.launch.template_hash_id,
            "image_uuid": self.launch.image,
            "image_runtype": self.launch.runtype,
            "extra_env": [list(pair) for pair in (self.launch.env or {}).items()],
            "onstart": self.launch.onstart,
        }

    def _message(self, status: str | None) -> str:
        match status:
            case "loading":
                return f"{self.launch.image}: pulling fs layer"
            case "running":
                return f"success, running {self.launch.image}/{self.launch.runtype}"
            case "exited":
                return "Error: container exited with code 1"
        return ""


@dataclass(slots=True, kw_only=True)
class Volume(Rental):
    """Disk space; `size` GB."""

    offer: VolumeOffer
    size: float

    def document(self, at: float, attached_to: list[int]) -> Json:
        return {
            "id": self.id,
            "label": self.label,
            "machine_id": self.offer.machine_id,
            "disk_space": self.size,
            "storage_total_cost": self.dph,
            "status": "attached" if attached_to else "created",
            "start_date": self.rented_at,
            "duration": at - self.rented_at,
            "verification": "verified",
            "instances": [{"id": instance_id} for instance_id in attached_to],
        }


def volume_dph(offer: VolumeOffer, size: float) -> float:
    """$/h of so many GB."""
    return size * offer.storage_cost / HOURS_PER_MONTH
