"""Run an evaluation on a cluster of machines with Ray."""

from vidbench.engines.cluster.nodes import connect as connect
from vidbench.engines.cluster.ray_cluster import RayCluster as RayCluster
