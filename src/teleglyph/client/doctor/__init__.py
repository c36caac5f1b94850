"""Checks of this machine and its network, for ``teleglyph doctor``.

One module for each subject.  A check looks, and returns a :class:`~teleglyph.client.doctor.report.Finding`; it never
prints.  Begin at :func:`teleglyph.client.doctor.examination.examine`, which runs checks side by side.
"""
