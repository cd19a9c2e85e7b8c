"""Programs that are no players, each in a way of its own: silent, loud, dead, stopped, torn, nested, out of step."""

from __future__ import annotations

import sys

ANSWER = '{"action": 0}'
"""A sound answer in a game of one stage."""


def shell(script: str) -> list[str]:
    """A program in the language of the shell."""
    return ["/bin/sh", "-c", script]


def answering(line: str, then: str = "sleep 30") -> list[str]:
    """Answers the first question with a line, whatever it is, and goes on in another way."""
    return shell(f"read -r question; printf '%s\\n' '{line}'; {then}")


def python(body: str) -> list[str]:
    """A program in Python, with its streams as bytes: ``ask`` reads, ``say`` writes."""
    head = "import os, signal, sys, time\nask = sys.stdin.buffer.readline\ndef say(b):\n sys.stdout.buffer.write(b)\n sys.stdout.flush()\n"
    return [sys.executable, "-I", "-S", "-c", head + body]


HOSTILE: dict[str, list[str]] = {
    # silent
    "a shell around a silent program": shell("sleep 30\n true"),
    "a silent program": shell("exec sleep 30"),
    "silent and deaf to signals": shell("trap '' TERM INT HUP QUIT; sleep 30; sleep 30"),
    "reads and says nothing": shell("cat > /dev/null"),
    "stops itself": shell("kill -STOP $$"),
    "stops its group": shell("kill -STOP 0"),
    "answers, then stops": answering(ANSWER, "kill -STOP $$"),
    "answers, then sleeps": answering(ANSWER),
    "leaves a child that holds its output": shell("sleep 30 &"),
    "leaves fifty children": shell(
        "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do sleep 30 & done; done; wait"
    ),
    "hides behind two forks": python("if os.fork() or os.fork(): os._exit(0)\ntime.sleep(30)"),
    "a busy loop": shell("while :; do :; done"),
    # ends
    "ends at once": shell("exit 0"),
    "ends with a status": shell("exit 3"),
    "ends after the question": shell("read -r question; exit 5"),
    "ends after the answer": answering(ANSWER, "exit 0"),
    "kills itself": shell("kill -KILL $$"),
    "asks its group to end": shell("kill -TERM 0; sleep 30"),
    "kills its group": shell("kill -KILL 0"),
    "dies of a fault": python("ask()\nos.kill(os.getpid(), signal.SIGSEGV)"),
    "aborts": python("ask()\nsignal.raise_signal(signal.SIGABRT)"),
    "raises": python("ask()\nraise ValueError"),
    "is no sound program": [sys.executable, "-I", "-S", "-c", "def"],
    # closes
    "closes its output": shell("exec >&-; sleep 30"),
    "closes its input": shell("exec <&-; sleep 30"),
    "closes both": shell("exec <&- >&-; sleep 30"),
    "closes its input and answers": shell(f"exec <&-; sleep 0.1; echo '{ANSWER}'; sleep 30"),
    "answers and closes its input": answering(ANSWER, "exec <&-; sleep 30"),
    # loud
    "says yes for ever": shell(f"yes '{ANSWER}'"),
    "writes zeros for ever": shell("cat /dev/zero"),
    "writes noise for ever": shell("cat /dev/urandom"),
    "one line of three million bytes": shell("read -r question; head -c 3000000 /dev/zero; sleep 30"),
    "a line of spaces for ever": python("ask()\nwhile True: say(b' ' * 65536)"),
    # out of step
    "answers before it is asked": shell(f"echo '{ANSWER}'; cat > /dev/null"),
    "answers twice": answering(f"{ANSWER}\n{ANSWER}"),
    "answers and begins another line": answering(f"{ANSWER}\n{{"),
    "echoes the question": shell("cat"),
    "acts after the end": shell(f"while read -r question; do echo '{ANSWER}'; done"),
    "a byte every tenth of a second": python(
        "ask()\nfor byte in b'{\"action\": 0' + b' ' * 300: say(bytes([byte])); time.sleep(0.1)"
    ),
    "half an answer": shell("read -r question; printf '{\"action\"'; sleep 30"),
    "an answer without an end": shell(f"read -r question; printf '%s' '{ANSWER}'; sleep 30"),
    "half an answer, then dies": shell("read -r question; printf '{\"action\"'"),
    # nonsense
    "bytes that are no text": python("ask()\nsay(b'\\xff\\xfe\\xfa\\n')\ntime.sleep(30)"),
    "text in sixteen bits": python(f"ask()\nsay('{ANSWER}'.encode('utf-16') + b'\\n')\ntime.sleep(30)"),
    "nested without end": python("ask()\nsay(b'[' * 100000 + b'\\n')\ntime.sleep(30)"),
    "an action nested without end": python(
        "ask()\nsay(b'{\"action\": ' + b'[' * 900 + b']' * 900 + b'}\\n')\ntime.sleep(30)"
    ),
    "a number of five thousand digits": python("ask()\nsay(b'{\"action\": ' + b'9' * 5000 + b'}\\n')\ntime.sleep(30)"),
    "an empty line": answering(""),
    "no object": answering("0"),
    "another key": answering('{"reply": 0}'),
    "two answers in a line": answering(ANSWER + ANSWER),
    "true": answering('{"action": true}'),
    "a list of true": answering('{"action": [true]}'),
    "a text": answering('{"action": "0"}'),
    "half an action": answering('{"action": 0.5}'),
    "no number": answering('{"action": NaN}'),
    "infinitely much": answering('{"action": 1e400}'),
    "an action out of range": answering('{"action": 99}'),
    "less than nothing": answering('{"action": -1}'),
    "nothing in the middle": answering('{"action": null}'),
    "a table": answering('{"action": {}}'),
    "a ragged list": answering('{"action": [[0], 0]}'),
    # no program
    "a program that is not there": ["/nowhere/follower"],
    "a folder": ["/tmp"],
    "a file that cannot be run": ["/etc/hostname"],
    "a program without a name": [""],
    "an argument that no program can get": ["echo", "a\0b"],
}
