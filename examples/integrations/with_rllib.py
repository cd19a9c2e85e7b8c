"""RLlib: PPO on the native AEC environment, one policy for each player.

The best fit of all: RLlib's ``PettingZooEnv`` reads rewards from ``last()``, so the leader is credited
with what the follower's answer brought it, and the two spaces may differ. Ray pins an older
Gymnasium, hence an environment of its own.

Printed with ray 2.60.0, torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.2.2::

    rllib: leader_0 84.6 -> 300.0 of 300
    rllib: follower_0 84.6 -> 300.0 of 300
"""

from __future__ import annotations

import ray
import torch
from common import FOLLOWER, LEADER, game, greedy, show
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.wrappers.pettingzoo_env import PettingZooEnv
from ray.tune.registry import register_env

ITERATIONS = 25


def main() -> None:
    """Train and print the figure."""
    register_env("stackelberg", lambda config: PettingZooEnv(game().env()))
    config = (
        PPOConfig()
        .environment("stackelberg")
        .multi_agent(policies={LEADER, FOLLOWER}, policy_mapping_fn=lambda agent, *_, **__: agent)
        .env_runners(num_env_runners=0)
        .training(train_batch_size=1_000, minibatch_size=128, num_epochs=8, lr=1e-3, gamma=0.9, entropy_coeff=0.02)
        .debugging(seed=0, log_level="ERROR")
    )
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    algorithm = config.build_algo()
    for _ in range(ITERATIONS):
        algorithm.train()

    def player(agent: str):
        module = algorithm.get_module(agent)

        def act(observation):
            with torch.no_grad():
                return greedy(
                    module.forward_inference({"obs": torch.as_tensor(observation)[None]})["action_dist_inputs"]
                )

        return act

    show("rllib", {agent: player(agent) for agent in (LEADER, FOLLOWER)})
    ray.shutdown()


if __name__ == "__main__":
    main()
