"""The `focushub` command: scaffolds, runs and looks after a stack."""
