"""What a question is about: `cm/orders-config`, `pods -l app=x`, `uid:599d3f0c`, resolved by the discovery of a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ledger.apimachinery.resource import GroupResource, Key
from ledger.replay.kinds import Kinds, UnknownType
from ledger.replay.moments import clock
from ledger.replay.past import Past, ReplayError
from ledger.scheme.definition import ResourceDefinition

UID_DIGITS_MIN = 6


@dataclass(frozen=True, slots=True)
class Target:
    """A type, or one object of it."""

    definition: ResourceDefinition
    key: Key | None = None  # None: all objects of the type

    @property
    def resource(self) -> GroupResource:
        return self.definition.stored_as


def parse_targets(past: Past, words: Sequence[str], namespace: str, revision: int) -> list[Target]:
    """kubectl's grammar: TYPE[,TYPE], TYPE NAME..., TYPE/NAME..., uid:DIGITS. Raises ReplayError.

    Names are looked for among all objects that ever were, so that what was deleted is found too.
    """
    kinds = past.kinds(revision)
    if not words:
        return []
    if any("/" in word or word.startswith("uid:") for word in words):
        return [_object(past, kinds, word, namespace) for word in words]
    definitions = [one for text in words[0].split(",") for one in _types(kinds, text)]
    if len(words) == 1:
        return [Target(one) for one in definitions]
    return [Target(one, find_key(past, one, name, namespace)) for one in definitions for name in words[1:]]


def _object(past: Past, kinds: Kinds, word: str, namespace: str) -> Target:
    if word.startswith("uid:"):
        return _by_uid(past, kinds, word[4:])
    type_name, slash, name = word.partition("/")
    if not slash or not name:
        raise ReplayError(f'"{word}" names no object: write TYPE/NAME, such as cm/orders-config')
    definition = _types(kinds, type_name)[0]
    return Target(definition, find_key(past, definition, name, namespace))


def _types(kinds: Kinds, text: str) -> list[ResourceDefinition]:
    in_category = [one for one in kinds.all() if text in one.categories and one.storage is None]
    if in_category:
        return in_category
    try:
        return [kinds.find(text)]
    except UnknownType as error:
        names = [one.resource for one in kinds.all()]
        near = get_close_matches(text, names, 3)
        hint = f" Near names: {', '.join(near)}." if near else ""
        raise ReplayError(f"{error}.{hint}") from None


def find_key(past: Past, definition: ResourceDefinition, name: str, namespace: str) -> Key:
    """The object of this name that is or was. Raises ReplayError where there is none, or where several namespaces have one."""
    resource = definition.stored_as
    if not definition.namespaced or namespace:
        key = Key(*resource, namespace if definition.namespaced else "", name)
        if past.version(key, past.head) is not None:
            return key
        raise no_object(past, definition, name, namespace)
    found = sorted(key for key in past.keys_ever(resource) if key.name == name)
    if len(found) > 1:
        where = ", ".join(key.namespace for key in found)
        raise ReplayError(f'{definition.resource} "{name}" is in several namespaces ({where}): say which with -n.')
    if not found:
        raise no_object(past, definition, name, "")
    return found[0]


def no_object(past: Past, definition: ResourceDefinition, name: str, namespace: str) -> ReplayError:
    ever = {key.name for key in past.keys_ever(definition.stored_as) if not namespace or key.namespace == namespace}
    near = get_close_matches(name, sorted(ever), 3)
    hint = f" Near names: {', '.join(near)}." if near else ""
    where = f" in {namespace}" if namespace else ""
    return ReplayError(f'no {definition.resource} "{name}"{where} between rv 1 and {past.head}.{hint}', 1)


def _by_uid(past: Past, kinds: Kinds, digits: str) -> Target:
    if len(digits) < UID_DIGITS_MIN:
        raise ReplayError(f'uid "{digits}" is too short: give {UID_DIGITS_MIN} digits or more')
    for key, uid in _uids(past):
        if uid.startswith(digits):
            definition = kinds.definition(GroupResource(*key[:2]))
            if definition is not None:
                return Target(definition, key)
    raise ReplayError(f'no object in the log has a uid that begins with "{digits}".', 1)


def _uids(past: Past) -> Iterator[tuple[Key, str]]:
    for change in past.store.changes_after(0):
        yield change.key, change.uid


def not_there(past: Past, target: Target, revision: int) -> ReplayError:
    """Why a named object is not to be seen at a revision: not yet, or no longer."""
    key = target.key
    assert key is not None
    what = f'{target.definition.resource} "{key.name}"'
    known = past.version(key, revision)
    if known is not None:
        time = past.store.time_of(known.revision) or 0
        return ReplayError(f"{what} was gone at rv {revision}; deleted at rv {known.revision} ({clock(time)}).", 1)
    first = next(past.store.versions(key, newest_first=False), None)
    if first is None:
        return no_object(past, target.definition, key.name, key.namespace)
    time = past.store.time_of(first.revision) or 0
    return ReplayError(f"{what} did not exist yet at rv {revision}; created at rv {first.revision} ({clock(time)}).", 1)
