"""The same evaluation on a cluster of machines, by Ray."""

from vidbench.cluster.engine import RayCluster as RayCluster
from vidbench.cluster.nodes import connect as connect
