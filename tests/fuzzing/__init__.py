"""Coverage-guided fuzzing of everything that reads files of strangers: ``python -m tests.fuzzing``.

Each target is a module with `WORDS` (what the fuzzer puts into inputs), `seeds` (inputs to begin from) and
`one` (reads an input, in a folder of its own; may raise BlurgenError, and nothing else). An input is a
find if anything else is raised, if it takes more than 2 s, or more than 512 MiB of memory.
"""

TARGETS = ("recipe", "idx", "mat", "npz", "image", "pair_file", "checkpoint")
