"""A fuzzing campaign: every kind of input file and every public call, mutated with their structure in mind.

A case is plain data that a Hypothesis strategy draws and a target runs. It holds where the target does its work,
with the result that the unmutated input has where that is known, or refuses by a typed error; a foreign
exception, a signal, a hang and a silent difference are findings. Findings that were mended stand in ``corpus/``.

    python -m tests.fuzzing --examples 100000 --seed 0 --workers 2
"""
