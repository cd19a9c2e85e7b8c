"""TorchRL: the AEC environment through ``PettingZooWrapper``, trained by REINFORCE with a baseline.

The wrapper steps both agents at once and marks who was to move by a mask. The leader is paid on the step
in which its mask is False, so returns are summed over *all* steps and only then are the masked ones
left out; dropping them first would drop the leader's pay. ``use_mask=True`` is required, and so is
the object: ``PettingZooEnv("name")`` does not look into PettingZoo's registry.

Printed with torchrl 0.14.1, tensordict 0.14.3, torch 2.13.0, pettingzoo 1.27.0, gymnasium 1.4.0::

    torchrl: leader_0 84.6 -> 300.0 of 300
    torchrl: follower_0 84.6 -> 300.0 of 300
"""

from __future__ import annotations

import torch
from common import FOLLOWER, LEADER, game, greedy, show
from tensordict.nn import InteractionType, TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.envs import PettingZooWrapper, check_env_specs
from torchrl.modules import OneHotCategorical, ProbabilisticActor

ITERATIONS, EPISODES, DISCOUNT, ENTROPY = 60, 8, 0.5**0.5, 0.02  # a round takes two steps


def actor(env: PettingZooWrapper, group: str) -> ProbabilisticActor:
    """A policy for one group."""
    inputs, actions = env.observation_spec[group, "observation"].shape[-1], env.full_action_spec[group, "action"]
    net = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, actions.space.n))
    return ProbabilisticActor(
        TensorDictModule(net, in_keys=[(group, "observation")], out_keys=[(group, "logits")]),
        spec=actions,
        in_keys=[(group, "logits")],
        out_keys=[(group, "action")],
        distribution_class=OneHotCategorical,
        default_interaction_type=InteractionType.RANDOM,  # else it plays its mode and explores nothing
    )


def returns(rewards: torch.Tensor) -> torch.Tensor:
    """Discounted sums of the rewards to come, ``[T]``."""
    total, out = torch.zeros(()), torch.empty_like(rewards)
    for step in range(len(rewards) - 1, -1, -1):
        total = rewards[step] + DISCOUNT * total
        out[step] = total
    return out


def main() -> None:
    """Train and print the figure."""
    torch.manual_seed(0)
    env = PettingZooWrapper(game().env(), use_mask=True, categorical_actions=False, seed=0)
    check_env_specs(env)
    actors = {group: actor(env, group) for group in (LEADER, FOLLOWER)}
    policy = TensorDictSequential(*actors.values())
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(ITERATIONS):
        with torch.no_grad():
            episodes = [env.rollout(1_000, policy) for _ in range(EPISODES)]
        loss = torch.zeros(())
        for group, one in actors.items():
            paid = torch.cat([returns(e["next", group, "reward"].flatten()) for e in episodes])
            rows = torch.cat([e.select((group, "observation"), (group, "action"), (group, "mask")) for e in episodes])
            mine = rows[group, "mask"].flatten()
            chosen = one.get_dist(rows)
            advantage = (paid[mine] - paid[mine].mean()) / (paid[mine].std() + 1e-6)
            gain = chosen.log_prob(rows[group, "action"]).flatten()[mine] * advantage
            loss = loss - gain.mean() - ENTROPY * chosen.entropy().flatten()[mine].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    nets = {group: one.module[0].module for group, one in actors.items()}
    with torch.no_grad():
        show("torchrl", {a: lambda o, net=net: greedy(net(torch.as_tensor(o))) for a, net in nets.items()})


if __name__ == "__main__":
    main()
