"""What selectors have found lately, so that the same question need not look at every object again.

Controllers ask the same few questions over and over: the pods of a node, the replica sets of a deployment. The answer of
one is kept as the keys that matched at a revision; the next looks only at what has changed since, and reads those objects.
An answer that is too large, too old, or behind by too many changes is not kept: looking at all objects is quicker then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import trio

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Entry, Read
from ledger.log.codec import HEAD, decode_rest, number, split_change, table_key

ANSWERS_MAX = 256
KEYS_MAX = 1000  # of one answer
CHANGES_MAX = 1000  # looked at to bring an answer up to date: some milliseconds
KEPT_S = 300.0  # far less than the log keeps the changes that are looked at

Matches = Callable[[str, str, dict[str, str], dict[str, str]], bool]  # name, namespace, labels, fields


class Question(NamedTuple):
    resource: GroupResource
    namespace: str  # "": all
    selector: Hashable


class Answer(NamedTuple):
    revision: int
    keys: frozenset[Key]
    until: float


class Selections:
    """The answers, least recently used first. `revision`: the last one there is when this begins."""

    def __init__(self, revision: int) -> None:
        self._answers: OrderedDict[Question, Answer] = OrderedDict()
        self._last = revision

    def publish(self, entries: Sequence[Entry]) -> None:
        for _, changes in entries:
            for change in changes:
                if change.revision <= self._last:
                    self._answers.clear()  # an import fills in the past
                self._last = max(self._last, change.revision)

    def keep(self, question: Question, revision: int, keys: frozenset[Key]) -> None:
        if len(keys) <= KEYS_MAX:
            self._answers[question] = Answer(revision, keys, trio.current_time() + KEPT_S)
            self._answers.move_to_end(question)
            if len(self._answers) > ANSWERS_MAX:
                self._answers.popitem(last=False)

    def keys(self, read: Read, question: Question, matches: Matches) -> list[Key] | None:
        """The keys of the objects selected now, as a list sorts them; None: not known."""
        answer = self._answers.pop(question, None)
        head = read.head()
        if answer is None or answer.until < trio.current_time() or not 0 <= head - answer.revision <= CHANGES_MAX:
            return None
        keys = _brought_up_to_date(read, question, answer, head, matches)
        self.keep(question, head, keys)
        return sorted(keys, key=lambda key: table_key(key.encode()))


def _brought_up_to_date(read: Read, question: Question, answer: Answer, head: int, matches: Matches) -> frozenset[Key]:
    prefix = f"{question.resource.group}/{question.resource.resource}\0".encode()
    if question.namespace:
        prefix += f"{question.namespace}\0".encode()
    keys = set(answer.keys)
    for _, row in read.scan("changes", number(answer.revision + 1), number(head + 1)):
        if row.startswith(prefix, HEAD.size):
            encoded, body, rest = split_change(row)
            key = Key.decode(encoded)
            labels, fields = decode_rest(rest)[3:5]
            if body is not None and matches(key.name, key.namespace, labels, fields):
                keys.add(key)
            else:
                keys.discard(key)
    return frozenset(keys) if keys != answer.keys else answer.keys
