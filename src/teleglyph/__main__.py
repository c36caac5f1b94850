"""``python -m teleglyph`` is the ``teleglyph`` command."""

from teleglyph.cli.main import main

main()
