"""A cluster of several hosts on one machine, made of network namespaces, and what is shown on it.

Rules: everything a network makes carries its name, and a guard takes it away when the network is closed or
when the process that made it ends in whatever way: nothing is left on the machine.
"""

from .engines import Cluster, DaskCluster, RayCluster
from .hosts import Host, Network, NotPossible

__all__ = ["Cluster", "DaskCluster", "Host", "Network", "NotPossible", "RayCluster"]
