"""Rules of metadata: what a create or an update may say there (k8s.io/apimachinery/pkg/api/validation/objectmeta.go).

Maps are walked in sorted order where Go walks them in none, so that one request always gets one answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.apimachinery.field import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    quoted,
    required,
    too_long,
)
from ledger.apimachinery.names import NameFormat, is_dns1123_label, is_label_value, is_qualified_name
from ledger.apimachinery.remember import Passed, remembered
from ledger.apimachinery.resource import split_api_version

Meta = Mapping[str, Any]

ANNOTATION_BYTES_MAX = 256 << 10
FIELD_MANAGER_BYTES_MAX = 128
SUBRESOURCE_BYTES_MAX = 256
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"  # the garbage collector's finalizers
_STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND})


def validate_object_meta(
    meta: Meta, namespaced: bool, name_format: NameFormat, path: str = "metadata"
) -> list[FieldError]:
    """Findings in the metadata of an object about to be created; a generateName has become a name already."""
    errors: list[FieldError] = []
    base, name = meta.get("generateName", ""), meta.get("name", "")
    if base:
        errors += [invalid(f"{path}.generateName", base, text) for text in name_format(base, True)]
    if not name:
        errors.append(required(f"{path}.name", "name or generateName is required"))
    elif complaints := name_format(name, False):
        errors += [invalid(f"{path}.name", name, text) for text in complaints]
    namespace = meta.get("namespace", "")
    if not namespaced or namespace not in _passed_namespaces:
        errors += _validate_namespace(namespace, namespaced, path)
    errors += _validate_generation(meta, path)
    return errors + _validate_lists(meta, path, finalizers=True)


def _validate_lists(meta: Meta, path: str, finalizers: bool) -> list[FieldError]:
    """Findings in what metadata has several of. Most objects have few of them, so each is looked for first."""
    errors: list[FieldError] = []
    if labels := meta.get("labels"):
        errors += validate_labels(labels, f"{path}.labels")
    if annotations := meta.get("annotations"):
        errors += validate_annotations(annotations, f"{path}.annotations")
    if references := meta.get("ownerReferences"):
        errors += validate_owner_references(references, f"{path}.ownerReferences")
    if finalizers and (listed := meta.get("finalizers")):
        errors += validate_finalizers(listed, f"{path}.finalizers")
    if entries := meta.get("managedFields"):
        errors += validate_managed_fields(entries, f"{path}.managedFields")
    return errors


def validate_object_meta_update(new: Meta, old: Meta, path: str = "metadata", lists: bool = True) -> list[FieldError]:
    """Findings in the metadata of an update. `new` carries the server's own fields already (uid, generation, ...).

    `lists` False: `validate_object_meta` has found nothing in `new`, so its labels and the like are fine.
    """
    errors: list[FieldError] = []
    if old.get("deletionTimestamp") is not None:
        errors += _validate_no_new_finalizers(new, old, f"{path}.finalizers")
    if not new.get("resourceVersion"):
        errors.append(invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    errors += _validate_generation(new, path)
    generation = new.get("generation", 0)
    if generation < old.get("generation", 0):
        errors.append(invalid(f"{path}.generation", generation, "must not be decremented"))
    for name, absent in _IMMUTABLE:
        if new.get(name, absent) != old.get(name, absent):
            errors += validate_immutable(new.get(name, absent), old.get(name, absent), f"{path}.{name}")
    return errors + _validate_lists(new, path, finalizers=False) if lists else errors


# field -> what Go sees where JSON has none
_IMMUTABLE: Sequence[tuple[str, Any]] = (
    ("name", ""),
    ("namespace", ""),
    ("uid", ""),
    ("creationTimestamp", None),
    ("deletionTimestamp", None),
    ("deletionGracePeriodSeconds", None),
)


def validate_immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    return [] if new == old else [invalid(path, new, "field is immutable")]


def validate_labels(labels: Mapping[str, str] | None, path: str) -> list[FieldError]:
    items = tuple((labels or {}).items())
    if items in _passed_labels:
        return []
    errors: list[FieldError] = []
    for key, value in sorted(items):
        if not _is_good_key(key):
            errors += [invalid(path, key, text) for text in is_qualified_name(key)]
        errors += [invalid(path, value, text) for text in is_label_value(value)]
    if not errors and len(items) <= _ITEMS_KEPT_MAX:
        _passed_labels.keep(items)
    return errors


def validate_annotations(annotations: Mapping[str, str] | None, path: str) -> list[FieldError]:
    annotations = annotations or {}
    errors: list[FieldError] = []
    keys = tuple(annotations)
    if keys not in _passed_annotations:
        if not all(_is_good_key(key.lower()) for key in keys):
            errors = [invalid(path, key, text) for key in sorted(keys) for text in is_qualified_name(key.lower())]
        elif len(keys) <= _ITEMS_KEPT_MAX:
            _passed_annotations.keep(keys)
    if _bytes_at_most(annotations) > ANNOTATION_BYTES_MAX and _bytes_of(annotations) > ANNOTATION_BYTES_MAX:
        errors.append(too_long(path, ANNOTATION_BYTES_MAX))
    return errors


def _bytes_at_most(texts: Mapping[str, str]) -> int:
    return 4 * (sum(map(len, texts)) + sum(map(len, texts.values())))


def _bytes_of(texts: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in texts.items())


@remembered(4096)
def _is_good_key(key: str) -> bool:
    return not is_qualified_name(key)


# Objects made alike have the same; an entry is some kilobytes at most, as what passes has short names.
_passed_labels, _passed_annotations, _passed_entries, _passed_namespaces = (Passed(1024) for _ in range(4))
_ITEMS_KEPT_MAX = 16


def validate_owner_references(references: Sequence[Meta] | None, path: str) -> list[FieldError]:
    """Each names an owner in full, none is an Event, and at most one is the controller."""
    errors: list[FieldError] = []
    controller = ""
    for index, reference in enumerate(references or ()):
        errors += _validate_owner_reference(reference, f"{path}[{index}]")
        if not reference.get("controller"):
            continue
        this = f"{reference.get('kind', '')}/{reference.get('name', '')}"
        if controller:
            text = "Only one reference can have Controller set to true. Found"
            errors.append(invalid(path, references, f'{text} "true" in references for {controller} and {this}'))
        else:
            controller = this
    return errors


def _validate_owner_reference(reference: Meta, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version = reference.get("apiVersion", "")
    group, version = split_api_version(api_version)
    if not api_version:
        errors.append(required(f"{path}.apiVersion", "must not be empty"))
    elif not version or "/" in group:
        text = "must be <group>/<version> or <version>"
        errors.append(invalid(f"{path}.apiVersion", api_version, text))
    for name in ("kind", "name", "uid"):
        if not reference.get(name):
            errors.append(required(f"{path}.{name}", "must not be empty"))
    if (group, version, reference.get("kind")) == ("", "v1", "Event"):
        errors.append(invalid(path, dict(reference), "/v1, Kind=Event is disallowed from being an owner"))
    return errors


def validate_finalizers(finalizers: Sequence[str] | None, path: str) -> list[FieldError]:
    finalizers = finalizers or ()
    errors = [invalid(path, one, text) for one in finalizers for text in is_qualified_name(one)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(invalid(path, list(finalizers), text))
    return errors


def validate_standard_finalizers(
    finalizers: Sequence[str] | None, path: str = "metadata.finalizers"
) -> list[FieldError]:
    """The further rule of built-in kinds (core validation, on create and update): fully qualified or well known.

    Not part of `validate_object_meta`, because custom resources and a few groups go without it.
    """
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"{path}[{index}]", one, text)
        for index, one in enumerate(finalizers or ())
        if "/" not in one and one not in _STANDARD_FINALIZERS
    ]


def _validate_no_new_finalizers(new: Meta, old: Meta, path: str) -> list[FieldError]:
    added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
    if not added:
        return []
    shown = ", ".join(quoted(one) for one in added)
    text = "no new finalizers can be added if the object is being deleted, found new finalizers"
    return [forbidden(path, f"{text} []string{{{shown}}}")]


def validate_managed_fields(entries: Sequence[Meta] | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, entry in enumerate(entries or ()):
        get = entry.get
        says = get("operation", ""), get("fieldsType", ""), get("manager", ""), get("subresource", "")
        if says not in _passed_entries:
            found = _managed_entry_errors(f"{path}[{index}]", *says)
            errors += found
            if not found:
                _passed_entries.keep(says)
    return errors


def _managed_entry_errors(
    path: str, operation: str, fields_type: str, manager: str, subresource: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    if not operation:
        errors.append(required(f"{path}.operation", "must not be empty"))
    elif operation not in ("Apply", "Update"):
        errors.append(not_supported(f"{path}.operation", operation, ("Apply", "Update")))
    if fields_type and fields_type != "FieldsV1":
        errors.append(invalid(f"{path}.fieldsType", fields_type, "must be `FieldsV1`"))
    errors += validate_field_manager(manager, f"{path}.manager")
    if len(subresource.encode()) > SUBRESOURCE_BYTES_MAX:
        errors.append(too_long(f"{path}.subresource", SUBRESOURCE_BYTES_MAX))
    return errors


def validate_field_manager(manager: str, path: str = "fieldManager") -> list[FieldError]:
    """A manager's name: at most 128 bytes, all printable."""
    errors: list[FieldError] = []
    if len(manager.encode()) > FIELD_MANAGER_BYTES_MAX:
        errors.append(too_long(path, FIELD_MANAGER_BYTES_MAX))
    position = 0
    for character in manager:
        if not character.isprintable():
            shown = f"U+{ord(character):04X}"
            errors.append(invalid(path, manager, f"invalid character {shown} (at position {position})"))
        position += len(character.encode())
    return errors


def _validate_namespace(namespace: str, namespaced: bool, path: str) -> list[FieldError]:
    if namespaced:
        if not namespace:
            return [required(f"{path}.namespace")]
        complaints = is_dns1123_label(namespace)
        if not complaints:
            _passed_namespaces.keep(namespace)
        return [invalid(f"{path}.namespace", namespace, text) for text in complaints]
    return [forbidden(f"{path}.namespace", "not allowed on this type")] if namespace else []


def _validate_generation(meta: Meta, path: str) -> list[FieldError]:
    generation = meta.get("generation", 0)
    return [invalid(f"{path}.generation", generation, "must be greater than or equal to 0")] if generation < 0 else []
