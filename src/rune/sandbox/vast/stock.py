"""The default market: offers to choose from, traps among them, disk space, and templates."""

from __future__ import annotations

from rune.sandbox.vast.offers import Offer, VolumeOffer
from rune.sandbox.vast.templates import Template

OLLAMA_TEMPLATE = "c166c11f035d3a97871a23bd32ca6aba"

GOOD_OFFERS = (
    Offer(7100103, 21830, "RTX 3090", 1, 24576, 0.22, 0.9931, 61.2, 160.0, inet_down=612.0),
    Offer(7100101, 30412, "RTX 4090", 1, 24564, 0.38, 0.9962, 98.4, 210.0, inet_down=884.0),
    Offer(7100104, 18077, "RTX A6000", 1, 49140, 0.47, 0.9974, 70.9, 420.0, inet_down=1410.0),
    Offer(7100102, 30977, "RTX 4090", 2, 24564, 0.79, 0.9951, 194.7, 480.0, inet_down=930.0),
    Offer(7100105, 11294, "A100 SXM4", 1, 81920, 1.12, 0.9987, 118.5, 900.0, inet_down=3120.0),
    Offer(7100106, 40156, "H100 SXM", 1, 81559, 2.39, 0.9991, 262.3, 1400.0, inet_down=6240.0),
    Offer(7100107, 40733, "H100 NVL", 1, 95830, 2.61, 0.9983, 241.8, 1100.0, inet_down=4800.0),
    Offer(7100108, 42901, "H200", 1, 143771, 2.94, 0.9995, 281.4, 1600.0, inet_down=7150.0),
)

TRAPS = (
    # Cheapest of all, and nobody knows how much memory it has.
    Offer(
        7100201, 52310, "RTX 4090", 1, 24564, 0.12,
        left_out=frozenset({"gpu_total_ram", "reliability", "reliability2"}),
    ),
    Offer(7100202, 52477, "RTX 4090", 1, 24564, 0.21, 0.9944, 97.1, disk_space=10.0),
    Offer(7100203, 53120, "RTX 4090", 1, 24564, 0.19, 0.9957, 99.0, verified=False),
    Offer(7100204, 53388, "RTX 4090", 1, 24564, 0.18, reliability=0.912),
    Offer(7100205, 54012, "RTX 4090", 1, 24564, 0.2, 0.9949, direct_port_count=0),
    Offer(7100206, 54633, "RTX 4090", 1, 24564, 0.24, 0.9968, taken=True),
    Offer(7100207, 40888, "H100 SXM", 8, 81559, 18.96, 0.9993, 2086.0, 6000.0),
    # A good offer, if its 80 is read as GB.
    Offer(7100208, 11731, "A100 PCIE", 1, 81920, 1.04, 0.9979, 112.6, 700.0, in_gb=True),
)  # fmt: skip

VOLUME_OFFERS = (VolumeOffer(8200301, 30412, 500), VolumeOffer(8200302, 40156, 2000, 0.15))

TEMPLATES = (
    Template(
        id=250081,
        hash_id=OLLAMA_TEMPLATE,
        name="Ollama",
        image="ollama/ollama",
        tag="latest",
        runtype="args",
        env="-p 11434:11434 -e OLLAMA_HOST=0.0.0.0:11434",
        recommended_disk_space=32,
    ),
    Template(
        id=250114,
        hash_id="5f0c1e4b9a7d4c2e8b36d1a07f92c4e5",
        name="Terminal without ports",
        image="ubuntu",
        tag="24.04",
        runtype="ssh",
        env="",
        recommended_disk_space=16,
    ),
)
