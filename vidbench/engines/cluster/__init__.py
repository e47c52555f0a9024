"""The same evaluation on a cluster of machines, by Ray."""

from vidbench.engines.cluster.nodes import connect as connect
from vidbench.engines.cluster.ray_cluster import RayCluster as RayCluster
