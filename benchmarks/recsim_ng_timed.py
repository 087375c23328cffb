"""RecSim NG's interest evolution, timed; run by `world_speed` with an interpreter path of its own.

Imports nothing of this project, since RecSim NG 0.1.2 lives only beside TensorFlow 2.15 and numpy 1.26:
`pip install --no-deps --target DIR recsim-ng==0.1.2 tensorflow-cpu==2.15.1 tensorflow-probability==0.23.0 edward2
numpy==1.26.4 scipy==1.10.1 keras==2.15.0 ...` on Python 3.11, then `EVOLVE_RECSIM_NG=DIR`.
"""

import json
import sys
import time


def main() -> None:
    users, steps = int(sys.argv[1]), int(sys.argv[2])
    import tensorflow as tf
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
