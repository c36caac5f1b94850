"""The ``teleglyph`` command: options, exit codes, logs and signals.

Begin at :mod:`teleglyph.cli.main`.  Each command has its own module, which is imported only when the command runs, so
that ``--help`` stays quick.  A command's options are dataclasses (:mod:`teleglyph.cli.option_groups`).
"""
