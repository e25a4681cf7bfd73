"""A simulated Vast.ai marketplace (holmes-driver.md 6.3).

with OllamaSim() as ollama, VastSim(ollama=ollama) as vast:
    ...  # rent through vast.url; the instance's mapped port leads to the model server
    vast.assert_no_leaks()
"""

from rune.sandbox.vast.ledger import LedgerEntry
from rune.sandbox.vast.market import Dialect
from rune.sandbox.vast.offers import Offer, VolumeOffer
from rune.sandbox.vast.sim import VastSim
from rune.sandbox.vast.templates import Template

__all__ = ["Dialect", "LedgerEntry", "Offer", "Template", "VastSim", "VolumeOffer"]
