"""A Kubernetes API simulator (holmes-driver.md 6.2).

`with KubeSim("crash_loop") as kube: kube.write_kubeconfig(path)` and real kubectl has a cluster to look at.
"""

from rune.sandbox.kube.cluster_file import scenario_names
from rune.sandbox.kube.fields import BadClusterFile
from rune.sandbox.kube.sim import KubeSim

__all__ = ["BadClusterFile", "KubeSim", "scenario_names"]
