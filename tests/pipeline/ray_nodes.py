"""Two Ray nodes on loopback, as a process: it prints their address; `kill` on its input kills one.

Ray kills no process that a worker started, so this shows whether these end by themselves.
"""

import os
import sys

LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray takes another address than 127.0.0.1
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # other tests run at the same time
}
NODE = {
    "num_cpus": 1,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 100_000_000,  # far less than a small /dev/shm has
    "include_dashboard": False,
}

if __name__ == "__main__":
    os.environ |= LOOPBACK | {"RAY_TMPDIR": sys.argv[1], "HOME": os.devnull}
    from ray.cluster_utils import Cluster  # reads these variables

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    other = cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(other, allow_graceful=False)
    cluster.shutdown()
