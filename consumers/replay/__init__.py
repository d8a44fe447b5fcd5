"""``stream-seg replay``: history run again beside the live model.

Where to look: ``run`` is the command, and a replay of a file; ``history`` one of a topic. What is asked is in
``options``, which event times that means in ``bounds``, which offsets in ``extent``. ``course`` takes a
topic's records through a ``driver``. Results go to an ``output``: files (``export``, ``merged_export``); a
topic's, in transactions (``commits``), with a checkpoint to go on from (``place``); a file's (``served``, on
``store`` and ``topics``). ``progress`` and ``summary`` speak to the person who asked.
"""
