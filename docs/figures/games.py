"""A frame of every registered game. Run with ``SDL_VIDEODRIVER=dummy python docs/figures/games.py [GAME ...]``."""

from __future__ import annotations

import sys

import numpy as np
from style import IMAGES

import stackelberg_games as sg

STAGES = 5


def main() -> None:
    """Play a few stages with sampled actions, let the leader move once more, and draw."""
    from matplotlib.image import imsave

    (IMAGES / "games").mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or sg.games():
        env = sg.make(name).env(render_mode="rgb_array")
        env.reset(seed=3)
        for seed, agent in enumerate(env.possible_agents):
            env.action_space(agent).seed(seed)
        for _ in range(2 * STAGES + 1):
            _, _, terminated, truncated, _ = env.last()
            if terminated or truncated:
                break
            env.step(env.action_space(env.agent_selection).sample())
        imsave(IMAGES / "games" / f"{name}.png", np.asarray(env.render()))
        print(name)


if __name__ == "__main__":
    main()
