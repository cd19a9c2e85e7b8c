"""Stable-Baselines3: a follower against a fixed commitment, and both players with one shared policy.

The first is the better fit: ``best_response_env`` is a plain Gymnasium environment, seeded and checked.
The second goes through SuperSuit's vectorisation. Its class has no ``seed``, so PPO is seeded through
torch instead; and PPO knows no masks, so both players need equally many actions.

Printed with stable-baselines3 2.9.2, supersuit 3.11.0, torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.4.0::

    stable-baselines3, fixed commitment: follower_0 12.8 -> 15.0; best response 15.0
    stable-baselines3, shared policy: leader_0 84.6 -> 300.0 of 300
    stable-baselines3, shared policy: follower_0 84.6 -> 300.0 of 300
"""

from __future__ import annotations

import numpy as np
import torch
from common import FOLLOWER, LEADER, game, show
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import stackelberg_games as sg

SETTINGS = {"n_steps": 256, "batch_size": 64, "gamma": 0.9, "learning_rate": 1e-3, "ent_coef": 0.02, "device": "cpu"}


def follower_alone() -> None:
    """PPO as the follower of a fixed commitment, beside the exact best response."""
    toy = sg.make("discrete_toy-v0", horizon=30)
    commitment = sg.TabularPolicy(toy, np.random.default_rng(0).normal(size=(3, 2)))
    env = sg.best_response_env(toy, commitment)
    check_env(env)
    model = PPO("MlpPolicy", env, seed=0, **{**SETTINGS, "gamma": 0.97})
    env.reset(seed=0)
    before, _ = evaluate_policy(model, Monitor(env), n_eval_episodes=100)
    model.learn(25_000)
    learned, _ = evaluate_policy(model, Monitor(env), n_eval_episodes=100)
    exact = sg.make_follower("best_response").respond(toy, commitment).policy
    best = sg.rollout(toy, commitment, exact, episodes=10_000, seed=1).follower_returns(1.0).mean()
    print(f"stable-baselines3, fixed commitment: follower_0 {before:.1f} -> {learned:.1f}; best response {best:.1f}")


def shared_policy() -> None:
    """One PPO policy for both players; it tells its roles apart by the code at the end of the observation."""
    torch.manual_seed(0)
    env = sg.vector_env(game(), 4, roles=True, backend="supersuit", base_class="stable_baselines3")
    model = PPO("MlpPolicy", env, **SETTINGS)
    model.learn(60_000)
    single = sg.homogenize(game().parallel_env(), roles=True)
    single.reset(seed=0)
    padding = single.padding

    def player(agent: str):
        def act(observation):
            turn = np.append(observation, np.float32(1))  # the turns form says whose turn it is
            return model.predict(padding.observation(agent, turn, {}), deterministic=True)[0]

        return act

    show("stable-baselines3, shared policy", {agent: player(agent) for agent in (LEADER, FOLLOWER)})


if __name__ == "__main__":
    follower_alone()
    shared_policy()
