"""BenchMARL: independent PPO on the Parallel turns form, by a task object of our own.

BenchMARL has no hook for tasks of others, so the task is handed to ``Experiment`` itself. TorchRL turns every
entry of an info into a tensor and fails on words, so the infos are left out; observations say whose
turn it is. Both players stay in every step, so the leader's pay on the follower's step counts.

Printed with benchmarl 1.5.2, torchrl 0.11.1, tensordict 0.11.0, torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.4.0::

    benchmarl: leader_0 84.6 -> 300.0 of 300
    benchmarl: follower_0 84.6 -> 300.0 of 300
"""

# ruff: noqa: D102 (the methods are those of BenchMARL)
from __future__ import annotations

import tempfile

import numpy as np
import torch
from benchmarl.algorithms import IppoConfig
from benchmarl.environments.common import Task, TaskClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from common import FOLLOWER, LEADER, game, show
from pettingzoo.utils.wrappers import BaseParallelWrapper
from tensordict import TensorDict
from torchrl.envs import EnvBase, ExplorationType, PettingZooWrapper, set_exploration_type


class WithoutInfos(BaseParallelWrapper):
    """The environment with empty infos."""

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        return observations, {agent: {} for agent in infos}

    def step(self, actions):
        *outcome, infos = super().step(actions)
        return *outcome, {agent: {} for agent in infos}


class StackelbergTask(TaskClass):
    """One of our games, as BenchMARL asks for it."""

    def get_env_fun(self, num_envs, continuous_actions, seed, device):
        return lambda: PettingZooWrapper(
            WithoutInfos(game().parallel_env()), return_state=False, categorical_actions=True, seed=seed, device=device
        )

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def has_render(self, env: EnvBase) -> bool:
        return False

    def max_steps(self, env: EnvBase) -> int:
        return 20

    def group_map(self, env: EnvBase):
        return env.group_map

    def state_spec(self, env: EnvBase):
        return None

    def action_mask_spec(self, env: EnvBase):
        return None

    def observation_spec(self, env: EnvBase):
        spec = env.observation_spec.clone()
        for group in env.group_map:
            for key in list(spec[group].keys()):
                if key != "observation":
                    del spec[group, key]
        return spec

    def info_spec(self, env: EnvBase):
        return None

    def action_spec(self, env: EnvBase):
        return env.full_action_spec

    @staticmethod
    def env_name() -> str:
        return "stackelberg"


class StackelbergTasks(Task):
    """The list of tasks that BenchMARL wants."""

    ESCAPE = None

    @staticmethod
    def associated_class():
        return StackelbergTask


def main() -> None:
    """Train and print the figure."""
    config = ExperimentConfig.get_from_yaml()
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.max_n_iters, config.on_policy_collected_frames_per_batch = 10, 1_000
    config.on_policy_n_envs_per_worker, config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = 1, 256, 8
    config.lr, config.gamma, config.loggers, config.render, config.evaluation = 1e-3, 0.95, [], False, True
    config.evaluation_interval, config.evaluation_episodes = 50_000, 10
    config.save_folder, config.create_json = tempfile.mkdtemp(), False
    task = StackelbergTask(name="ESCAPE", config={})
    experiment = Experiment(
        task=task,
        algorithm_config=IppoConfig.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        seed=0,
        config=config,
    )
    experiment.run()
    policy = experiment.policy

    def player(agent: str):
        group = agent.partition("_")[0]

        def act(observation):
            turn = torch.as_tensor(np.append(observation, np.float32(1)))  # it is the player's turn
            other = {name: torch.zeros(1, width) for name, width in widths.items()} | {group: turn[None]}
            data = TensorDict({name: TensorDict({"observation": seen}, [1]) for name, seen in other.items()}, [])
            with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
                return int(policy(data)[group, "action"].item())

        return act

    turns = game().parallel_env()
    widths = {agent.partition("_")[0]: turns.observation_space(agent).shape[0] for agent in (LEADER, FOLLOWER)}
    show("benchmarl", {agent: player(agent) for agent in (LEADER, FOLLOWER)})


if __name__ == "__main__":
    main()
