"""Simulators of a model server, a Kubernetes API and a GPU market, for offline trial and tests.

holmes-driver.md 6.

with OllamaSim() as ollama, KubeSim("crash_loop") as cluster, VastSim(ollama=ollama) as market:
    ollama.url, cluster.url, ollama.requests, ollama.fault(kind="status", status=429, times=2)
"""
