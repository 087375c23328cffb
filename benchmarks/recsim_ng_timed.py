"""RecSim NG's interest evolution, timed; run by `world_speed` with an interpreter path of its own.

Imports nothing of this project, since RecSim NG 0.1.2 lives only beside TensorFlow 2.15 and numpy 1.26, on Python 3.11:
`pip install --no-deps --target DIR recsim-ng==0.1.2 tensorflow-cpu==2.15.1 tensorflow-probability==0.23.0 edward2
keras==2.15.0 numpy==1.26.4 scipy==1.10.1 gym==0.26.2 gin-config`, with what these need in turn; then
`EVOLVE_RECSIM_NG=DIR`. It was written for gym 0.19, which no longer builds: newer ones want a shape of plain integers.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    users, steps = int(sys.argv[1]), int(sys.argv[2])
    import tensorflow as tf
    from gym import spaces

    box = spaces.Box

    def plain(low: Any, high: Any, shape: Any = None, **rest: Any) -> Any:
        return box(low, high, None if shape is None else tuple(int(size) for size in shape), **rest)

    spaces.Box = plain
    from recsim_ng.applications.recsys_partially_observable_rl import simulation_config
    from recsim_ng.core import network
    from recsim_ng.lib.tensorflow import runtime

    variables, _ = simulation_config.create_interest_evolution_simulation_network(num_users=users)
    simulation = runtime.TFRuntime(network=network.Network(variables=list(variables)))
    run = tf.function(lambda: simulation.execute(num_steps=steps)["metrics state"].get("reward"))
    run()  # traces
    begun = time.process_time()
    run()
    spent = time.process_time() - begun
    print(json.dumps({"users": users, "steps": steps, "user_steps_per_cpu_s": users * steps / spent}))


if __name__ == "__main__":
    main()
