"""The ``teleglyph`` command: options, exit codes, logs and signals.

Every command lives in a module of its own that is imported only when it runs, so that ``--help`` stays quick.
"""
