"""Two Ray nodes on loopback, as a process: it prints their address; `kill` on its input kills one.

Ray kills no process that a worker started, so this shows whether these end by themselves.
"""

import os
import sys

# Ray would connect to another address of this machine than to 127.0.0.1.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
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
