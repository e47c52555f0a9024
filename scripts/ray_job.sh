#!/bin/sh
# Evaluates as a job of a Ray cluster and shows its log until it ends:
#   RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265 scripts/ray_job.sh @scripts/kinetics400_ray.txt
# Takes the options of `vidbench evaluate`. docs/cluster.md lists what the nodes need.
set -eu
cd "$(dirname "$0")/.."
export RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1  # otherwise Ray does not upload data/sample
exec ray job submit --runtime-env scripts/ray_runtime.yaml -- \
    python scripts/evaluate.py --ray_address auto "$@"
