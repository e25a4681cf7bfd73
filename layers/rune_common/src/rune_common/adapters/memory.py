"""Every adapter that keeps its state in this process: for tests, and for what is kept per process anyway."""

from __future__ import annotations

from rune_common.adapters.memory_access import MemoryFailureWindow, MemoryRateLimiter, MemoryTokenStore
from rune_common.adapters.memory_blobs import MemoryBlobStore, MemorySealer
from rune_common.adapters.memory_metrics import MemoryMetricsStore
from rune_common.adapters.memory_runs import MemoryRunStore
from rune_common.adapters.memory_settings import MemorySettingsStore

__all__ = [
    "MemoryBlobStore",
    "MemoryFailureWindow",
    "MemoryMetricsStore",
    "MemoryRateLimiter",
    "MemoryRunStore",
    "MemorySealer",
    "MemorySettingsStore",
    "MemoryTokenStore",
]
