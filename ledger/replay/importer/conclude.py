"""What a step left behind: the object after it, from the record and the state before.

One function for each Effect. They are pure: (step, its revisions, the record's facts, the state) -> changes. What the
record does not hold is concluded as kube-apiserver would have done it, and marked "inferred"; what cannot be concluded
is marked "unknown", and keeps what was known before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.selectors import LabelSelector, parse_field_selector, parse_label_selector
from ledger.apimachinery.times import rfc3339
from ledger.log.event import EXISTENCE, Change
from ledger.replay.importer import rollout, slices
from ledger.replay.importer.doubts import ALL, Doubts, altered_by, both, in_doubt, without
from ledger.replay.importer.naming import generate_name
from ledger.replay.importer.patched import Patched, after_patch
from ledger.replay.importer.record import Facts, query_of
from ledger.replay.importer.rules import Effect, Step, item_key, lives_on
from ledger.replay.importer.stored import Known, SelectableFields, State, change_of, core_event, removal_of
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.scheme import Scheme

INFERRED, UNKNOWN = "inferred", "unknown"
DEPLOYMENTS = ("apps", "deployments")
DEFAULT_GRACE_SECONDS = 30
ENDPOINT_SLICES = ("discovery.k8s.io", "endpointslices")
ZONE = "topology.kubernetes.io/zone"
TOPOLOGY_LABELS = (ZONE, "topology.kubernetes.io/region")  # what PodTopologyLabels copies


class Context(NamedTuple):
    """What concluding needs beside the record."""

    state: State
    fields: SelectableFields
    scheme: Scheme
    custom: Callable[[GroupResource], ResourceDefinition | None]  # as its CRD defines it by then
    places: Mapping[tuple[str, str, str], set[Key]]  # keys of the state by group, resource and namespace
    readiness: dict[Key, dict[str, str]]  # of EndpointSlices: when each pod's had changed when it was written last
    ended: set[Key]  # objects that were there once, and are not now
    base: dict[tuple[Key, int], Object]  # objects of the snapshot by key and revision: they win over what is concluded

    def put(
        self, key: Key, obj: Object, revision: int, confidence: str = "", note: str = "", doubts: Doubts = ()
    ) -> Change:
        """With a whole part in doubt it is unknown, whatever `confidence` says."""
        shown = self.base.get((key, revision))
        if shown is not None:
            obj, confidence, doubts = shown, INFERRED if confidence else "", ()
        return change_of(
            key,
            obj,
            revision,
            self.fields,
            like=self.state.get(key),
            confidence=UNKNOWN if any("." not in one for one in doubts) else confidence,
            note=note,
            doubts=doubts,
        )

    def gone(self, key: Key, revision: int, note: str = "", doubts: Doubts = ()) -> Change:
        known = self.state.get(key)
        confidence = UNKNOWN if doubts else INFERRED if note else ""
        return removal_of(key, revision, known, confidence=confidence, note=note, doubts=doubts)


Conclusion = Callable[[Step, tuple[int, ...], Facts, Context], list[Change]]


def conclude(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """The changes of a step at these revisions; fewer than `revisions` where there was nothing to change."""
    return CONCLUSIONS[step.effect](step, revisions, facts, context)


def state(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    assert facts.answer is not None
    key = written_key(step.key, facts.answer)
    answer = core_event(facts.answer) if key.resource == "events" else facts.answer
    if revisions[0] != facts.revision:
        return [
            context.put(key, answer, revisions[0], INFERRED, "another object has the revision it was answered with")
        ]
    return [context.put(key, answer, revisions[0])]


def written_key(key: Key, obj: Object) -> Key:
    """The key under the name that the object itself tells (generateName)."""
    name = (obj.get("metadata") or {}).get("name")
    return key._replace(name=name) if name and name != key.name else key


def metadata_only(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    known = context.state.get(step.key)
    obj = known.decoded() if known else {}
    obj["metadata"] = facts.meta
    doubts = without(known.doubts, ["metadata"]) if known else ALL
    note = "answered with metadata only; spec and status " + ("are not in the log" if doubts else "as before")
    return [context.put(step.key, obj, revisions[0], INFERRED, note, doubts)]


def scale(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    known = context.state.get(step.key)
    if known is None:
        obj = _stub(step, facts, context)
        return [context.put(step.key, obj, revisions[0], UNKNOWN, "scaled; the object is not in the log", ALL)]
    obj = known.decoded()
    spec = obj.setdefault("spec", {})
    wanted = ((facts.answer or {}).get("spec") or {}).get("replicas", 0)  # Go leaves a 0 out
    if spec.get("replicas") != wanted:
        spec["replicas"] = wanted
        _next_generation(obj["metadata"])
    doubts = without(known.doubts, ["spec.replicas"])
    return [context.put(step.key, obj, revisions[0], INFERRED, "answered with a Scale: generation concluded", doubts)]


def _next_generation(meta: Object) -> None:
    if meta.get("generation"):
        meta["generation"] += 1


def deleted(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """Where the deletion wrote deletionTimestamp first, the answer shows the object as that left it."""
    told = "" if revisions[-1] == facts.revision else "the revision is placed by time"
    changes = []
    if len(revisions) == 2 and facts.answer is not None and step.key in context.state:
        note = "the first half of a deletion; its revision is placed before the second"
        changes.append(context.put(step.key, facts.answer, revisions[0], INFERRED, note))
    return [*changes, context.gone(step.key, revisions[-1], told)]


def vanished(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    if step.key not in context.state:
        return []
    what = "its last finalizer was removed" if step.floor else "deleted"
    return [context.gone(step.key, revisions[0], f"{what}; the revision is placed by time")]


def collection(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """The answer shows each object as it was before: what has to wait for somebody becomes terminating."""
    assert facts.answer is not None
    items = {item_key(step.key, item): item for item in facts.answer["items"]}
    targets = [key for key in items if key in context.state]
    return _delete_all(
        targets, revisions, facts, context, "deleted with its collection; the revision is placed by time"
    )


def selected(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """Only the request is known: its selectors decide, on the state as it is known."""
    query = query_of(facts.uri)
    labels = parse_label_selector(query.get("labelSelector", [""])[0])
    fields = parse_field_selector(query.get("fieldSelector", [""])[0])
    targets, doubtful = [], []
    for key, known in context.state.items():
        if key[:2] != step.key[:2] or (step.key.namespace and key.namespace != step.key.namespace):
            continue
        if not labels.empty and in_doubt(known.doubts, "metadata.labels"):
            if EXISTENCE not in known.doubts:
                doubtful.append(key)
            continue
        if _selects(labels, known) and fields.matches({"metadata.name": key.name, "metadata.namespace": key.namespace}):
            targets.append(key)
    note = "matched the selector of a deletecollection whose answer is not in the log; placed by time"
    changes = _delete_all(targets, revisions, facts, context, note)
    for index, key in enumerate(doubtful, len(changes)):
        revision = revisions[index] if index < len(revisions) else 0
        changes.append(_perhaps_deleted(key, revision, context))
    return changes


def _perhaps_deleted(key: Key, revision: int, context: Context) -> Change:
    known = context.state[key]
    note = "perhaps deleted with its collection: its labels, which the selector asks for, are not in the log"
    return context.put(key, known.decoded(), revision, UNKNOWN, note, (EXISTENCE, *known.doubts))


def _selects(labels: LabelSelector, known: Known) -> bool:
    return labels.matches((known.decoded().get("metadata") or {}).get("labels") or {})


def _delete_all(
    targets: list[Key], revisions: tuple[int, ...], facts: Facts, context: Context, note: str
) -> list[Change]:
    changes = []
    for index, key in enumerate(targets):
        revision = revisions[index] if index < len(revisions) else 0  # 0: the caller finds one
        changes.append(_delete_one(key, revision, facts, context, note))
    return changes


def _delete_one(key: Key, revision: int, facts: Facts, context: Context, note: str) -> Change:
    known = context.state[key]
    before = known.decoded()
    already = "deletionTimestamp" in before["metadata"]
    obj = terminating(key, before, facts)
    if lives_on(key, obj):
        timed = () if already else _timed(facts, "metadata.deletionTimestamp")
        return context.put(key, obj, revision, INFERRED, f"terminating: {note}", both(known.doubts, timed))
    return context.gone(key, revision, note)


def _timed(facts: Facts, path: str) -> Doubts:
    """A time that the server wrote, in whole seconds, is in doubt where a second began during the request.

    It is taken as the time of the request: most of a slow write is spent waiting for the store, after that.
    """
    return () if facts.received // 1_000_000 == facts.answered // 1_000_000 else (path,)


def terminating(key: Key, obj: Object, facts: Facts) -> Object:
    """The object as a delete leaves it that cannot take it away at once (rest.BeforeDelete in k8s.io/apiserver)."""
    meta, options = obj["metadata"], _delete_options(facts)
    if "deletionTimestamp" in meta:
        # Asked a second time, a pod's time to end may be cut short: by its kubelet to 0, when it has ended.
        shorter = options.get("gracePeriodSeconds", None if isinstance(facts.request, dict) else 0)
        if isinstance(shorter, int) and shorter < meta.get("deletionGracePeriodSeconds", 0):
            meta["deletionGracePeriodSeconds"] = shorter
        return obj
    grace = _grace_seconds(obj, options.get("gracePeriodSeconds")) if key[:2] == ("", "pods") else 0
    meta["deletionTimestamp"] = rfc3339(facts.received + grace * 1_000_000)
    meta["deletionGracePeriodSeconds"] = grace
    _next_generation(meta)
    finalizer = _POLICY_FINALIZERS.get(options.get("propagationPolicy") or "")
    if finalizer and finalizer not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]
    return obj


_POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def _delete_options(facts: Facts) -> Object:
    options: Object = dict(facts.request) if isinstance(facts.request, dict) else {}
    query = query_of(facts.uri)
    if "gracePeriodSeconds" in query and query["gracePeriodSeconds"][0].isdigit():
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"][0])
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"][0]
    return options


def _grace_seconds(pod: Object, asked: Any) -> int:
    """CheckGracefulDelete of the pod strategy."""
    if "spec" not in pod:  # never logged: most pods run on nodes, and are given the default
        return asked if isinstance(asked, int) else DEFAULT_GRACE_SECONDS
    spec = pod["spec"]
    period = asked if isinstance(asked, int) else spec.get("terminationGracePeriodSeconds") or 0
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if period < 0 else int(period)


def asked_to_go(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """It lived on where a later request wrote it; where none did, and its finalizers are not known, it is taken as gone."""
    known = context.state.get(step.key)
    if known is None:
        return []
    note = "deleted, answer not in the log; placed by time"
    if not step.last:
        obj = terminating(step.key, known.decoded(), facts)
        doubts = both(known.doubts, ("metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds"))
        return [context.put(step.key, obj, revisions[0], INFERRED, f"terminating: {note}", doubts)]
    if in_doubt(known.doubts, "metadata.finalizers") or in_doubt(known.doubts, "status.phase"):
        return [context.gone(step.key, revisions[0], f"{note}; no later request writes it", doubts=(EXISTENCE,))]
    return [_delete_one(step.key, revisions[0], facts, context, note)]


def bound(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """What the binding subresource writes into the pod, and the labels that admission copies from the node."""
    known = context.state.get(step.key)
    request = facts.request if isinstance(facts.request, dict) else {}
    node = (request.get("target") or {}).get("name") or ""
    if known is None or not node:
        obj = known.decoded() if known else _stub(step, facts, context)
        note = "bound to a node that the log does not name"
        doubts = both(known.doubts, altered_by("binding")) if known else ALL
        return [context.put(step.key, obj, revisions[0], UNKNOWN, note, doubts)]
    pod = known.decoded()
    pod.setdefault("spec", {})["nodeName"] = node
    binding_meta = request.get("metadata") or {}
    _merge(pod["metadata"], "annotations", binding_meta.get("annotations") or {})
    _merge(pod["metadata"], "labels", {**(binding_meta.get("labels") or {}), **_topology(node, context.state)})
    status = pod.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    _set_condition(status, {"type": "PodScheduled", "status": "True", "lastProbeTime": None}, facts.received)
    note = "bound: node name, condition and topology labels concluded"
    doubts = both(known.doubts, _timed(facts, "status.conditions"))
    return [context.put(step.key, pod, revisions[0], INFERRED, note, doubts)]


def _merge(meta: Object, name: str, values: dict[str, str]) -> None:
    if values:
        meta[name] = {**(meta.get(name) or {}), **values}


def _topology(node: str, state: State) -> dict[str, str]:
    known = state.get(Key("", "nodes", "", node))
    labels = (known.decoded()["metadata"].get("labels") or {}) if known else {}
    return {name: labels[name] for name in TOPOLOGY_LABELS if name in labels}


def _set_condition(status: Object, condition: Object, moment: int) -> None:
    """UpdatePodCondition: the time of the transition stays where the status stays."""
    conditions = status.setdefault("conditions", [])
    condition["lastTransitionTime"] = rfc3339(moment)
    for index, existing in enumerate(conditions):
        if existing.get("type") == condition["type"]:
            if existing.get("status") == condition["status"]:
                condition["lastTransitionTime"] = existing.get("lastTransitionTime")
            conditions[index] = condition
            return
    conditions.append(condition)


def evicted(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """Two writes without a record: the DisruptionTarget condition, then the deletion."""
    known = context.state.get(step.key)
    if known is None:
        return []
    pod = known.decoded()
    condition = {"type": "DisruptionTarget", "status": "True", "lastProbeTime": None, "reason": "EvictionByEvictionAPI"}
    condition["message"] = "Eviction API: evicting"
    _set_condition(pod.setdefault("status", {}), condition, facts.received)
    doubts = both(known.doubts, _timed(facts, "status.conditions"))
    marked = context.put(step.key, deepcopy(pod), revisions[0], INFERRED, "evicted: condition concluded", doubts)
    if len(revisions) < 2:
        return [marked]
    request = facts.request if isinstance(facts.request, dict) else {}
    options = request.get("deleteOptions") or {}
    pod = terminating(step.key, pod, facts._replace(request=options))
    if lives_on(step.key, pod):
        doubts = both(doubts, _timed(facts, "metadata.deletionTimestamp"))
        note = "evicted: deletionTimestamp concluded"
        return [marked, context.put(step.key, pod, revisions[1], INFERRED, note, doubts)]
    return [marked, context.gone(step.key, revisions[1], "evicted; the revision is placed by time")]


def requested(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """Level Request: the request, applied to what was there."""
    known = context.state.get(step.key)
    request = facts.request
    if facts.verb == "create" and isinstance(request, dict):
        stub = _stub(step, facts, context)
        obj = {**stub, **request, "metadata": {**stub["metadata"], **(request.get("metadata") or {})}}
        note = "the answer is not in the log: as requested"
        return [context.put(step.key, obj, revisions[0], UNKNOWN, note, ("metadata", "spec", "status"))]
    if known is None:
        obj = request if isinstance(request, dict) and facts.verb == "update" else _stub(step, facts, context)
        note = "changed by a request, from a state not in the log"
        return [context.put(step.key, obj, revisions[0], UNKNOWN, note, ALL)]
    before = known.decoded()
    if facts.verb == "update" and isinstance(request, dict):
        told = ["status"] if facts.subresource == "status" else [name for name in request if name != "status"]
        outcome = Patched(_replaced(before, request, facts.subresource), "", without(known.doubts, told))
    else:
        outcome = after_patch(before, known.doubts, facts, known.api_version, known.kind, context.scheme)
    if outcome.obj is None:
        doubts = both(known.doubts, altered_by(facts.subresource, facts.uri))
        return [context.put(step.key, before, revisions[0], UNKNOWN, outcome.note, doubts)]
    note = "the answer is not in the log: the request applied to the state before"
    if outcome.note:
        note += f"; {outcome.note}"
    if "deletionTimestamp" in outcome.obj["metadata"] and not lives_on(step.key, outcome.obj):
        return [context.gone(step.key, revisions[0], note)]
    return [context.put(step.key, outcome.obj, revisions[0], INFERRED, note, outcome.doubts)]


# What the server keeps in metadata whatever an update says.
_SERVER_METADATA = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def _replaced(before: Object, request: Object, subresource: str) -> Object:
    """An update's object with what belongs to the other side: status through /status, the rest not."""
    if subresource == "status":
        return {**before, "status": request.get("status", {})}
    after = {**request, "metadata": dict(request.get("metadata") or {})}
    for name in _SERVER_METADATA:
        if name in before["metadata"]:
            after["metadata"][name] = before["metadata"][name]
    if "status" in before:
        after["status"] = before["status"]
    if "spec" in before and before["spec"] != after.get("spec"):
        _next_generation(after["metadata"])
    return after


def unseen(step: Step, revisions: tuple[int, ...], facts: Facts, context: Context) -> list[Change]:
    """Level Metadata or a truncated event: a write took place, with a content that is nowhere."""
    known = context.state.get(step.key)
    if known is None and step.last and step.key in context.ended and not _creates(facts):
        return []  # what wrote it last took a finalizer away that nobody could know of
    if known is None or _creates(facts):
        stub = _stub(step, facts, context)
        return [context.put(step.key, stub, revisions[0], UNKNOWN, "its content is not in the log", ALL)]
    before = known.decoded()
    if step.key[:2] == DEPLOYMENTS and facts.subresource == "status" and facts.agent.endswith(rollout.CONTROLLER):
        written = _rolled_out(before, _owned(step.key, known, context), facts)
        if written is not None:
            note = "its content is not in the log: concluded as its controller does, from its ReplicaSets"
            told = ("status", "metadata.annotations") if rollout.is_settled(written) else ()
            doubts = without(known.doubts, told) if told else both(known.doubts, ("status", "metadata.annotations"))
            return [context.put(step.key, written, revisions[0], INFERRED, note, doubts)]
    if step.key[:2] == ENDPOINT_SLICES and facts.verb == "update" and facts.agent.endswith(slices.CONTROLLER):
        written = _sliced(step.key, before, context)
        if written is not None:
            note = "its content is not in the log: concluded as its controller does, from the service's pods"
            doubts = both(known.doubts, ("endpoints", "metadata.annotations"))
            return [context.put(step.key, written, revisions[0], INFERRED, note, doubts)]
    doubts = both(known.doubts, altered_by(facts.subresource, facts.uri))
    note = "its content after this write is not in the log; shown as it was before"
    if "deletionTimestamp" in before["metadata"] and step.last and facts.subresource in ("", "finalize"):
        note = "the last write of a terminating object, not in the log, probably took its last finalizer away"
        return [context.gone(step.key, revisions[0], note, (EXISTENCE,))]
    return [context.put(step.key, before, revisions[0], UNKNOWN, note, doubts)]


def _rolled_out(deployment: Object, replica_sets: list[Object], facts: Facts) -> Object | None:
    try:
        return rollout.after_status_write(deployment, replica_sets, rfc3339(facts.received))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # objects not of their kind's shape: the log does not hold them whole


def _sliced(key: Key, before: Object, context: Context) -> Object | None:
    namespace = key.namespace
    service = context.state.get(
        Key("", "services", namespace, str((before["metadata"].get("labels") or {}).get(slices.SERVICE_NAME)))
    )
    if service is None:
        return None
    pods = [context.state[pod].decoded() for pod in sorted(context.places.get(("", "pods", namespace), ()))]
    nodes = {node.name: context.state[node].decoded() for node in context.places.get(("", "nodes", ""), ())}
    try:
        labels = {name: node["metadata"].get("labels") or {} for name, node in nodes.items()}
        zones = {name: found[ZONE] for name, found in labels.items() if ZONE in found}
        return slices.after_slice_write(before, service.decoded(), pods, zones, context.readiness.setdefault(key, {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # objects not of their kind's shape: the log does not hold them whole


def _owned(owner: Key, known: Known, context: Context) -> list[Object]:
    """The ReplicaSets of a Deployment."""
    keys = context.places.get(("apps", "replicasets", owner.namespace), ())
    found = [context.state[key].decoded() for key in sorted(keys) if known.uid.encode() in context.state[key].body]
    return [
        one for one in found if any(by.get("uid") == known.uid for by in one["metadata"].get("ownerReferences") or ())
    ]


def _stub(step: Step, facts: Facts, context: Context) -> Object:
    """All that is known of an object whose content was never logged: it exists."""
    meta: Object = {"name": step.key.name}
    if step.key.namespace:
        meta["namespace"] = step.key.namespace
    if uid := facts.uid or step.uid:
        meta["uid"] = uid
    if _creates(facts):
        meta["creationTimestamp"] = rfc3339(facts.received)
        if not facts.key.name and (base := generate_name(step.key.name)):
            meta["generateName"] = base
    definition = context.scheme.definition(GroupResource(*step.key[:2])) or context.custom(GroupResource(*step.key[:2]))
    version = definition.versions.get(facts.version) if definition else None
    if version is None:
        return {"metadata": meta}
    return {"apiVersion": version.kind.api_version, "kind": version.kind.kind, "metadata": meta}


def _creates(facts: Facts) -> bool:
    """Updates and applies can create as well: then they are answered 201."""
    return facts.verb == "create" or (facts.code == 201 and not facts.subresource)


CONCLUSIONS: dict[Effect, Conclusion] = {
    Effect.STATE: state,
    Effect.METADATA: metadata_only,
    Effect.SCALE: scale,
    Effect.DELETED: deleted,
    Effect.VANISHED: vanished,
    Effect.COLLECTION: collection,
    Effect.SELECTED: selected,
    Effect.ASKED_TO_GO: asked_to_go,
    Effect.BOUND: bound,
    Effect.EVICTED: evicted,
    Effect.REQUESTED: requested,
    Effect.UNSEEN: unseen,
}
