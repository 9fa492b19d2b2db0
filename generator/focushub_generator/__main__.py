"""``python -m focushub_generator`` is the command ``focushub``."""

from focushub_generator.cli import main

main(prog_name="focushub")
