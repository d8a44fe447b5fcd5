"""The transactional ids that one producer goes by, one after the other."""

from __future__ import annotations

__all__ = ["Lives"]


class Lives:
    """``current`` is the id in use; ``former`` those that another producer has fenced.

    Who fenced an id sweeps it and is not to be fenced in turn, so the next life has an id of its own.
    """

    def __init__(self, name: str) -> None:
        """The first life goes by the ``name`` itself."""
        self._name, self._number = name, 1
        self.former: frozenset[str] = frozenset()

    @property
    def current(self) -> str:
        """The id in use."""
        return self._name if self._number == 1 else f"{self._name}-{self._number}"

    def end(self) -> None:
        """Go on under another id: the current one is fenced."""
        self.former |= {self.current}
        self._number += 1

    def forget(self, transactional_id: str) -> None:
        """Leave a former id be: we have fenced it ourselves, too."""
        self.former -= {transactional_id}
