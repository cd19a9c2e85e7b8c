"""Put stored measurements into hand-written pages.

A line ``<!-- stored: NAME -->`` is replaced: ``performance/rollout`` by what that benchmark printed, ``campaigns/hosts`` by what that campaign did, ``died/fault_matrix`` by the matrix of faults,
``results/discrete_toy`` by the table of that study, ``suite/standard_suite`` by the results of the standard suite, ``literature/literature`` by the shares reached on games of the literature, ``coverage/tournament_statistics`` by what
simulated tournaments say of the intervals, ``headlines/tournament_statistics`` of the headlines,
``invariance/invariance`` and ``never_below/never_below`` by what campaigns found of the exact functions,
``charges/tiled_rooms`` by what charges on every cell are learned to be worth,
``environments/foreign_environments`` by the table of adapted environments, ``learning/foreign_learning`` by what was learned,
``preferences/preferences`` by the study of rewards that are learned from labels,
``reasons/literature_reasons`` by why leaders miss those optima, ``remembered/memory`` by what older replies are worth,
``judged/preference_study`` by that in environments of others,
``windows/shaping_windows`` by where leaders that shape the follower end,
``momentum/stochastic_sobirl`` by what recursive momentum does there,
``bodies/cheetah_design`` by the bodies that leaders designed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from literature_tables import literature, reasons, remembered, windows
from tables import stored

_MARK = re.compile(r"^<!-- stored: (\w+)/(\w+) -->$", re.MULTILINE)


def performance(name: str, file: str = "performance") -> str:
    """A benchmark's output with its command."""
    entry = stored(file)[name]
    where = f"Python {entry['python']}, {entry['processor']}, {entry['date']}"
    return f"```text\n$ {entry['command']}\n\n{entry['output']}\n```\n\n<small>{where}.</small>"


def died(name: str) -> str:
    """What came of every trial of the fault matrix: rows are faults, columns backends."""
    rows = stored(name)
    faults = dict.fromkeys(trial.partition(": ")[2] for trial in rows)
    backends = ("serial", "processes", "ray")
    lines = [f"| | {' | '.join(backends)} |", "|---" * 4 + "|"]
    for fault in faults:
        found = [rows.get(f"{backend}: {fault}") for backend in backends]
        cells = [f"{r['verdict']}, {r['calls']} call{'s' * (r['calls'] > 1)}" if r else "" for r in found]
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    dates = sorted({row["date"] for row in rows.values()})
    command = f"python -m tests.faults.matrix --out docs/data/{name}.json serial processes ray"
    return "\n".join([*lines, "", f"<small>Stored by `{command}`, {' and '.join(dates)}.</small>"])


def results(name: str) -> str:
    """Final values of a study by leader, one table for each case."""
    data = stored(name)
    parts = []
    for case in data["cases"]:
        lines = [
            f"**{case['title']}**, exact optimum {case['optimum']:.4f}",
            "",
            "| leader | class | median | its 95 % interval | worst seed | seeds within 1 % |",
            "|---|---|---|---|---|---|",
        ]
        for row in case["rows"]:
            low, high = row["interval"]
            lines.append(
                f"| [`{row['leader']}`](leaders/{row['leader']}.md) | `{row['information']}` | {row['median']:.3f} "
                f"| {low:.3f} to {high:.3f} | {row['worst']:.3f} | {row['near']} of {row['seeds']} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def suite(name: str) -> str:
    """Scores of every leader of the standard suite, what random search wins, and what it took."""
    data = stored(name)
    lines = ["| leader | class | rank in it | score | its 95 % interval | CPU s a match |", "|---|---|---|---|---|---|"]
    for row in data["leaders"]:
        page = row["leader"].partition(",")[0]
        mark = " **" if "beside" in row else " *" if row["apart"] else ""
        lines.append(
            f"| [{row['leader']}](leaders/{page}.md){mark.replace('*', chr(92) + '*')} | `{row['information']}` | {row['rank'] or ''} "
            f"| {row['score']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['cpu_seconds']:.2f} |"
        )
    beaten = [
        f"| {other} | {', '.join(found['better']) or 'none'} | {', '.join(found['worse']) or 'none'} |"
        for other, found in data["random_search"].items()
    ]
    some = [
        f"\\*\\* `{row['leader']}` cannot play {', '.join(f'**{game}**' for game in data['games'] if game not in row['games'])}, and has no rank; "
        f"in the other games `{name}` has {score:.3f}."
        for row in data["leaders"]
        for name, score in row.get("beside", {}).items()
    ]
    minutes, apart = data["cpu_seconds"] / 60, data["cpu_seconds_apart"] / 60
    took = f"{data['matches']:,} matches with {data['seeds']} seeds, {data['failed']} of them failed: {minutes:.0f} minutes of processor time"
    took += f", and {apart:.0f} more for the leaders with a star, which are run apart" if apart else ""
    return "\n".join(
        [
            *lines,
            "",
            *some,
            "",
            "**What random search wins.** Games in which it is better, or worse, against at least one follower with its whole 95 % interval:",
            "",
            "| random search against | better in | worse in |",
            "|---|---|---|",
            *beaten,
            "",
            f"**What it takes.** {took}.",
            "",
            f"<small>`{data['suite']}`, stored by `{data['command']}` and `python benchmarks/standard_suite.py runs/standard`, {data['date']}.</small>",
        ]
    )


def coverage(name: str) -> str:
    """Lowest coverage and mean width of every interval, by distribution, games and seeds."""
    data = stored(name)
    cells, names = (
        data["cells"],
        {"score": "score", "pairs": "share of pairs", "profile": "profile", "median": "median"},
    )
    lines = [f"| regrets | games | seeds | {' | '.join(names.values())} |", "|---|---|---|" + "---|" * len(names)]
    for kind in dict.fromkeys((c["regrets"], c["games"], c["seeds"]) for c in cells):
        rows = [c for c in cells if (c["regrets"], c["games"], c["seeds"]) == kind]
        shown = [_held([c[statistic] for c in rows if c[statistic]]) for statistic in names]
        lines.append("| " + " | ".join([*map(str, kind), *shown]) + " |")
    means = []
    for statistic, title in names.items():
        printed = [c[statistic]["coverage"] for c in cells if c[statistic]]
        means.append(f"{title} {100 * min(printed):.1f} and {100 * sum(printed) / len(printed):.1f} %")
    lines += ["", f"Lowest and mean coverage over all {len(cells)} cells: {', '.join(means)}."]
    return "\n".join([*lines, "", f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def _held(found: list[dict[str, float]]) -> str:
    """``97.2 (0.31)``: lowest coverage in per cent, and mean width, with a space that does not break."""
    if not found:
        return ""
    return f"{100 * min(f['coverage'] for f in found):.1f}\N{NO-BREAK SPACE}({sum(f['width'] for f in found) / len(found):.2f})"


def headlines(name: str) -> str:
    """What the headlines of simulated tournaments said."""
    f = stored(name)["headlines"]
    return (
        f"Of {f['truncated']:,} truncated tournaments {f['named too early']} named a winner. Of {f['whole']:,} whole ones "
        f"{f['winner']:,} did, in {f['tied']:,} no leader was shown to beat all others, and in {f['divided']:,} pairs and mean "
        f"scores disagreed. Counted pair by pair, {f['contradicted']} of the winners lost to another leader or had a lower "
        f"mean score. By the true chances {f['wrong']} were not the best; in {f['decidable']:,} whole tournaments there is a "
        "best leader, often by little."
    )


def invariance(name: str) -> str:
    """What thousands of generated games, each compared with itself in other words, came to."""
    data = stored(name)
    refused = sum(count for _, count in data["refusals"])
    worst = max(data["worst"].items(), key=lambda entry: entry[1])
    return (
        f"{data['games']:,} generated games were compared with themselves in other words {data['comparisons']:,} times, "
        f"{data['results']:,} results in all: {data['deviations']} differ by more than {data['tolerance']:g} of what decides "
        f"them, the largest difference is {worst[1]:.1g} ({worst[0]}), and {refused} comparisons ended in a refusal.\n\n"
        f"<small>Stored by `{data['command']}`{', stopped before its end' if data.get('stopped') else ''}.</small>"
    )


def never_below(name: str) -> str:
    """Whether any leader is worth more than what ``exact.solve`` finds."""
    data = stored(name)
    rows = data["rows"]
    above = [row for row in rows if row["above"] > 1e-6 * max(1.0, abs(row["value"]))]
    found = ", ".join(f"{row['game']} ({row['leader']}, by {row['above']:.2g})" for row in above)
    return (
        f"In {len(rows)} games, {sum(row['game'].startswith('random ') for row in rows)} of them random ones that the leader "
        f"configures, leaders were trained and their best recommendation compared with the optimum: {len(above)} of the "
        f"optima were passed{': ' + found if found else ''}.\n\n<small>Stored by `{data['command']}`.</small>"
    )


def charges(name: str) -> str:
    """What charges on every cell of a floor are worth after ascents and after learning."""
    data = stored(name)
    lines = ["| charges | by | value, mean over seeds | least, largest | CPU seconds |", "|---|---|---|---|---|"]
    for row in data["rows"]:
        values, how = row["values"], row["how"]
        if "near" in row:
            note = f"from {row['start']:.2f}; 95 % of it at step {row['near'][0]}, {row['near'][1]:.1f} s"
            lines.append(f"| {row['charges']:,} | {how} | {values[0]:.2f} | {note} | {row['seconds'][0]:.1f} |")
        else:
            mean, spent = sum(values) / len(values), sum(row["seconds"]) / len(values)
            ends = f"{min(values):.2f}, {max(values):.2f}; {len(values)} seeds" if len(values) > 1 else "one seed"
            lines.append(f"| {row['charges']:,} | `{how}` | {mean:.2f} | {ends} | {spent:.1f} |")
    return "\n".join([*lines, "", f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def environments(name: str) -> str:
    """How every foreign environment was adapted, and the seconds of an update."""
    data = stored(name)
    lines = ["| environment | tried with | adapted | CPU seconds of an update | notes |", "|---|---|---|---|---|"]
    for row in data["rows"]:
        seconds = ", ".join(f"`{leader}` {spent:.2f}" for leader, spent in row["seconds"].items())
        lines.append(
            f"| {row['name']} | {row['package']} | {row['how']}; follower `{row['follower']}` | {seconds} | {row['notes']} |"
        )
    known = ", ".join(f"{name} {value}" for name, value in data["settings"].items())
    return "\n".join([*lines, "", f"<small>CPU time of one process with one thread; {known}.</small>"])


def learning(name: str) -> str:
    """Start, end and gain of every leader in every environment, means with 95 % intervals."""
    parts = []
    for task in stored(name).values():
        loop = ", ".join(f"{value} {name}" for name, value in task["loop"].items())
        lines = [
            f"**{task['title']}**, {task['seeds']} seeds, {loop}, follower `{task['follower'][0]}`",
            "",
            "| leader | at the start | at the end | gain, 95 % interval | least, largest at the end | transitions |",
            "|---|---|---|---|---|---|",
        ]
        for row in task["rows"]:
            gain = "{:.3f} ({:.3f} to {:.3f})".format(*row["gain"])
            ends = f"{min(row['runs']):.3f}, {max(row['runs']):.3f}"
            lines.append(
                f"| `{row['leader']}` | {row['start'][0]:.3f} | {row['end'][0]:.3f} | {gain} | {ends} | {row['transitions']:,.0f} |"
            )
        parts.append("\n".join([*lines, "", f"<small>Stored by `{task['command']}`, {task['date']}.</small>"]))
    return "\n\n".join(parts)


def preferences(name: str) -> str:
    """Loss and true return of every leader, one table for each setting."""
    data = stored(name)
    parts = []
    for setting in dict.fromkeys(line[0] for line in data["lines"]):
        header = data["headers"][1:]
        table = [f"**{setting}**", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        table += [f"| {' | '.join(line[1:])} |" for line in data["lines"] if line[0] == setting]
        parts.append("\n".join(table))
    return "\n\n".join([*parts, f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def judged(name: str) -> str:
    """What rewards learned from labels came to in environments of others, a table for each; every run where there are few."""
    parts = []
    for task in stored(name).values():
        lines = [
            f"**{task['title']}**; a random walker earns {task['walker']:.1f}",
            "",
            "| variant | seeds | true return | least, largest | share of the oracle's | F | rank corr | accuracy | labels | transitions |",
            "|" + "---|" * 10,
        ]
        for row in task["rows"]:
            true = row["true_return"]
            mean = f"{true['mean']:.1f}" + (
                f" ({true['interval'][0]:.1f} to {true['interval'][1]:.1f})" if true["interval"] else ""
            )
            told = [f"{row[key]:.3f}" if row.get(key) is not None else "" for key in ("loss", "rank_correlation")]
            right = "" if row.get("accuracy") is None else f"{row['accuracy']:.3f} of {row['ceiling']:.3f}"
            cells = [f"`{row['variant']}`", str(row["seeds"]), mean, f"{true['least']:.1f}, {true['largest']:.1f}"]
            share = "" if row["share"] is None else f"{row['share']:.2f}"
            cells += [share, *told, right, f"{row['labels']:,}", f"{row['transitions']:,}"]
            lines.append(f"| {' | '.join(cells)} |")
        spent = f"{task['cpu_seconds'] / 60:.1f} CPU minutes for all runs"
        if task["seconds_per_thousand"]:
            spent += f", {task['seconds_per_thousand']:.1f} CPU seconds of training for 1,000 stages"
        parts.append("\n".join([*lines, "", f"<small>Stored by `{task['command']}`, {task['date']}; {spent}.</small>"]))
    return "\n\n".join(parts)


def momentum(name: str) -> str:
    """What recursive momentum does to the error of estimates, and to the fall of the gradient."""
    data = stored(name)
    lines = ["| game | estimate | squared error, last third | slope of the least squared norm |", "|---|---|---|---|"]
    for row in data["rows"]:
        error = "{:.4f} ({:.4f} to {:.4f})".format(*row["error"])
        slope = "{:.2f} ({:.2f} to {:.2f})".format(*row["slope"])
        lines.append(f"| `{row['variant']}` | {row['way']} | {error} | {slope} |")
    what = (
        f"{data['seeds']} seeds, {data['updates']} updates of {data['pairs']} labels, temperature {data['temperature']}"
    )
    return "\n".join(
        [*lines, "", f"<small>{what}; 95 % intervals. Stored by `{data['command']}`, {data['date']}.</small>"]
    )


def bodies(name: str) -> str:
    """What the bodies that leaders designed are worth, and what they are like, a row for every run."""
    data = stored(name)
    lines = [
        "| seed | leader | return | metres run | follower's return | back thigh, shin, foot; front thigh, shin, foot |"
    ]
    lines.append("|---" * 6 + "|")
    for row in data["rows"]:
        legs = [f"{share:+.0%}" for share in row["longer"]]
        shape = f"{', '.join(legs[:3])}; {', '.join(legs[3:])}"
        worth = f"{row['return']:.2f} ± {row['error']:.2f} | {row['metres']:.2f} | {row['follower']:.1f}"
        lines.append(f"| {row['seed']} | `{row['leader']}` | {worth} | {shape} |")
    seeds = {row["seed"]: row for row in data["rows"]}
    seconds = sum(row["seconds"] for row in data["rows"]) + sum(row["practice_seconds"] for row in seeds.values())
    first = ", ".join(f"{row['before']['return']:.2f}" for row in seeds.values())
    took = f"{len(seeds)} seeds, {data['rows'][0]['transitions']:,} transitions a run, {seconds / 60:.0f} CPU minutes in all"
    begun = f"before the leaders began the usual body was worth {first}"
    return "\n".join([*lines, "", f"<small>{took}; {begun}. Stored by `{data['command']}`, {data['date']}.</small>"])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page."""
    makers = {
        "performance": performance,
        "campaigns": lambda name: performance(name, "campaigns"),
        "died": died,
        "results": results,
        "suite": suite,
        "literature": literature,
        "coverage": coverage,
        "headlines": headlines,
        "invariance": invariance,
        "never_below": never_below,
        "reasons": reasons,
        "remembered": remembered,
        "windows": windows,
        "charges": charges,
        "environments": environments,
        "learning": learning,
        "preferences": preferences,
        "judged": judged,
        "momentum": momentum,
        "bodies": bodies,
    }
    return _MARK.sub(lambda match: makers[match[1]](match[2]), markdown)
