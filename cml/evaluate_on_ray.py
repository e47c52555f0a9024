"""Evaluate like ``evaluate_job.py``, on this session and RAY_WORKERS Cloudera workers, with Ray.

Each worker has RAY_WORKER_CPU cores, RAY_WORKER_MEMORY GiB and RAY_WORKER_GPUS GPUs. All have
RAY_START_SECONDS to join; they and Ray end with the evaluation.
"""

if __name__ == "__main__":
    import os
    import runpy
    import sys
    import time

    number = int(os.environ.get("RAY_WORKERS") or 0)
    if not number:
        sys.exit("RAY_WORKERS is 0: set it for the project, and install the dependencies again")

    import cml.workers_v1 as workers  # type: ignore[import-not-found, unused-ignore]
    import ray

    from vidbench.system.machine import available_cores

    cpu = int(os.environ.get("RAY_WORKER_CPU") or 4)
    memory = float(os.environ.get("RAY_WORKER_MEMORY") or 16)
    gpus = int(os.environ.get("RAY_WORKER_GPUS") or 0)
    deadline = time.monotonic() + float(os.environ.get("RAY_START_SECONDS") or 900)

    port = int(os.environ.get("CDSW_APP_PORT") or 8265)  # shown in the session's menu
    with ray.init(
        "local", num_cpus=available_cores(), dashboard_port=port, log_to_driver=False
    ) as head:
        address = head.address_info["address"]
        command = ["-m", "ray.scripts.scripts", "start", "--block", f"--address={address}"]
        command += [f"--num-cpus={cpu}", f"--num-gpus={gpus}"]
        code = f"import subprocess, sys; subprocess.run([sys.executable, *{command}], check=True)"
        # The head requires the token in ~/.ray/auth_token; workers can read it, but only use it
        # with these variables.
        env = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH_")}
        launched = workers.launch_workers(
            n=number, cpu=cpu, memory=memory, nvidia_gpu=gpus, code=code, env=env
        )
        try:
            while sum(node["Alive"] for node in ray.nodes()) <= number:  # type: ignore[no-untyped-call, unused-ignore]
                if time.monotonic() > deadline:
                    sys.exit(f"not all of {number} workers have joined: see the log of each worker")
                time.sleep(1)
            print(f"{number} workers have joined; the menu of this session has Ray's dashboard")
            os.environ["VIDBENCH_RAY_ADDRESS"] = address
            runpy.run_path("cml/evaluate_job.py", run_name="__main__")
        finally:
            os.environ.pop("VIDBENCH_RAY_ADDRESS", None)
            workers.stop_workers(*(worker["id"] for worker in launched if "id" in worker))
