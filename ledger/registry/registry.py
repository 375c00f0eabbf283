"""The generic store of any resource: create, update, patch, delete, deletecollection.

Every write runs the same way: look at the state, decide (pure), let admission have its say, and commit event and change
together. What the decision rested on travels to the commit as guards; when one of them no longer holds, the write is
decided again on the newer state, or the client is told of the conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ledger.admission.api import Attributes
from ledger.apimachinery.http import Request, User
from ledger.apimachinery.managedfields import manager_name
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError, already_exists, conflict, modified, not_found
from ledger.apimachinery.times import rfc3339
from ledger.log.api import Conflict
from ledger.log.event import Change, Guard, event_of
from ledger.projections.api import Stored, View
from ledger.projections.state import splice
from ledger.projections.store import Store
from ledger.registry import decide
from ledger.registry.allocators.api import Allocator
from ledger.registry.behaviour import Behaviour, Context, OfResource
from ledger.registry.body import change_of, check_size, decode, encode_body, key_of, removal_of
from ledger.registry.conversions import Conversions
from ledger.registry.options import DeleteOptions, WriteOptions
from ledger.registry.scales import scale_of
from ledger.registry.storage_keys import other_uid
from ledger.scheme.conversion import by_webhook
from ledger.scheme.definition import ResourceDefinition, Version

SCALE_PART = "scale"
ATTEMPTS_MAX = 256  # of deciding again after a lost race; each loss means that another write got through
GENERATE_ATTEMPTS_MAX = 8
NOBODY = User("system:apiserver", groups=("system:masters",))


@dataclass(slots=True)
class Call:
    """One request to a resource, its endpoint already looked up."""

    request: Request
    definition: ResourceDefinition
    version: Version  # of the request
    subresource: str
    namespace: str
    name: str

    @property
    def user(self) -> User:
        return self.request.user or NOBODY

    def named(self, name: str) -> Call:
        """The same with the name that a create gives its object."""
        return Call(self.request, self.definition, self.version, self.subresource, self.namespace, name)

    @property
    def key(self) -> Key:
        return key_of(self.definition, self.namespace, self.name)


@dataclass(slots=True)
class Written:
    """What a write answers: the object as stored (its version is the storage version)."""

    stored: Stored
    created: bool = False
    deleted: bool = False
    whole: bool = True  # a delete answers with the object rather than with a Status
    status: dict[str, Any] | None = None  # answer with this instead


T = TypeVar("T")
Transform = Callable[[Object | None, View], Object]  # current object in the request's version -> wanted object
# stored object -> the object as it is to go, and what else changes with it
Prepare = Callable[[Object, View], tuple[Object, list[Change]]]


class Registry:
    """Writes of all resources. `clock` gives microseconds since 1970, `new_suffix` what ends a generated name."""

    def __init__(
        self,
        store: Store,
        behaviour: Behaviour,
        admission: Any,
        clock: Callable[[], int],
        new_uid: Callable[[], str],
        new_suffix: Callable[[], str],
        allocators: Mapping[GroupResource, Allocator] | None = None,
        conversions: Conversions | None = None,
    ) -> None:
        self.store, self.behaviour, self.admission = store, behaviour, admission
        self.clock, self.new_uid, self.new_suffix = clock, new_uid, new_suffix
        self.allocators = allocators or {}  # of the resources whose objects own more than themselves
        self.conversions = conversions or Conversions()

    # --- create ---------------------------------------------------------------------------------------------------
    async def create(self, call: Call, obj: Object, options: WriteOptions) -> Written:
        """Stores a new object, given decoded and defaulted in the request's version; generates its name if asked to."""
        metadata = obj["metadata"]
        decide.wipe_system_fields(metadata)
        decide.check_namespace(call.definition, metadata, call.namespace)
        if decide.names_revision(metadata) and not options.dry_run:
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        self._dedup(call, metadata, False)
        base = metadata.get("generateName", "") if not metadata.get("name") else ""
        for attempt in range(GENERATE_ATTEMPTS_MAX):
            if base:
                metadata["name"] = decide.generated_name(base, self.new_suffix())
            try:
                return await self._create(call.named(metadata.get("name", "")), _copied(obj), options)
            except StatusError as error:
                if not base or error.reason != "AlreadyExists" or attempt + 1 == GENERATE_ATTEMPTS_MAX:
                    raise
        raise AssertionError("unreachable")

    async def _create(self, call: Call, obj: Object, options: WriteOptions, tracked: bool = False) -> Written:
        definition, resource = call.definition, call.definition.group_resource
        behaviour, now = self.behaviour.of(definition), self.clock()
        context = Context(call.user, rfc3339(now), call.version.name)
        uid = self.new_uid()
        if not tracked:
            manager = self._manager(call, options)
            obj = behaviour.track(definition, call.version, None, obj, manager, call.subresource, now)
        obj = behaviour.to_storage(definition, call.version, obj)
        attributes = self._attributes(call, "CREATE", obj, None, options)
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                attributes.start_over()
            committed = False
            try:
                obj = await self._admit(attributes, obj)
                decide.fill_system_fields(obj, now, uid)
                self._dedup(call, obj["metadata"], True)
                self._allocate(attributes)
                behaviour.before_create(definition, obj, context)
                await self.admission.validate(attributes)
                self._tell(call, attributes, context)
                if attributes.patched:
                    behaviour.prune(definition, obj)
                final = await self._at_rest(behaviour, definition, obj)
                if options.dry_run:
                    with self.store.view() as view:
                        if (existing := view.get(call.key)) is not None:
                            raise self._exists(call, existing)
                    return Written(_unsaved(definition, final), created=True)
                change = change_of(definition, final, expect=0)
                revisions = await self._commit(call, 201, [*attributes.companions, change], attributes.guards)
                committed = True
                return Written(_as_stored(change, revisions[-1]), created=True)
            except StatusError:
                self._tell(call, attributes, None)
                raise
            except Conflict as lost:
                if lost.key == call.key:
                    with self.store.view() as view:
                        existing = view.get(call.key)
                    raise self._exists(call, existing) from None
            finally:
                attributes.settled(committed)
        raise modified(resource, call.name)

    def _exists(self, call: Call, existing: Stored | None) -> StatusError:
        error = already_exists(call.definition.group_resource, call.name)
        if existing is not None and "deletionTimestamp" in decode(existing)["metadata"]:
            error.message = f"object is being deleted: {error.message}"
        return error

    # --- update and patch -----------------------------------------------------------------------------------------
    async def update(
        self,
        call: Call,
        transform: Transform,
        options: WriteOptions,
        *,
        create: bool = False,
        tracked: bool = False,
        direct: bool = False,
    ) -> Written:
        """Replaces the object by what `transform` makes of it; both are in the request's version.

        `create`: a missing object is created. `tracked`: managedFields are up to date already (apply). `direct`: a change the
        server itself makes (a binding): no admission, preparation or validation. After a lost race
        the wanted object is made again; one that names a resourceVersion is then refused as a conflict.
        """
        definition, resource = call.definition, call.definition.group_resource
        behaviour = self.behaviour.of(definition)
        for _ in range(ATTEMPTS_MAX):
            now = self.clock()
            context = Context(call.user, rfc3339(now), call.version.name)
            look = partial(self._look, behaviour, call, transform, create)
            stored, old, live, wanted = await self._converted(definition, look)
            if stored is None or old is None or live is None:
                if uid := wanted["metadata"].get("uid"):
                    why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    raise conflict(resource, call.name, why)
                decide.wipe_system_fields(wanted["metadata"])
                wanted["metadata"].pop("resourceVersion", None)
                decide.check_namespace(definition, wanted["metadata"], call.namespace)
                return await self._create(call, wanted, options, tracked)
            if direct:
                obj = behaviour.to_storage(definition, call.version, wanted)
                change = change_of(definition, await self._at_rest(behaviour, definition, obj), stored.revision)
                if options.dry_run:
                    return Written(_as_stored(change, stored.revision))
                try:
                    revisions = await self._commit(call, 201, [change], [])
                except Conflict:
                    continue
                return Written(_as_stored(change, revisions[0]))
            try:
                return await self._replace(call, stored, old, None if tracked else live, wanted, options, context, now)
            except Conflict:
                continue
        raise modified(resource, call.name)

    def _look(
        self, behaviour: OfResource, call: Call, transform: Transform, create: bool
    ) -> tuple[Stored | None, Object | None, Object | None, Object]:
        """(what is stored, the same in the version a write works in, in the request's version, what it shall be)."""
        definition = call.definition
        with self.store.view() as view:
            stored = view.get(call.key)
            if stored is None and not create:
                raise not_found(definition.group_resource, call.name)
            old = decode(stored) if stored is not None else None
            live = behaviour.from_storage(definition, call.version, old) if old is not None else None
            if old is not None and live is not None:
                old = behaviour.hub(definition, old, live)
            return stored, old, live, transform(live, view)

    async def _converted(self, definition: ResourceDefinition, work: Callable[[], T]) -> T:
        """What `work` gives, which may need versions that only a webhook makes."""
        return await self.conversions.run(definition, work) if by_webhook(definition) else work()

    async def _at_rest(self, behaviour: OfResource, definition: ResourceDefinition, obj: Object) -> Object:
        if not by_webhook(definition):
            return behaviour.at_rest(definition, obj)
        return await self.conversions.run(definition, partial(behaviour.at_rest, definition, obj))

    async def _replace(
        self,
        call: Call,
        stored: Stored,
        old: Object,
        live: Object | None,  # None: do not track
        wanted: Object,
        options: WriteOptions,
        context: Context,
        now: int,
    ) -> Written:
        definition, behaviour = call.definition, self.behaviour.of(call.definition)
        metadata = wanted["metadata"]
        decide.check_namespace(definition, metadata, call.namespace)
        if call.request.method == "PUT":
            self._dedup(call, metadata, False)
        if metadata.get("uid") and metadata["uid"] != stored.uid and "uid" in old["metadata"]:
            self._refuse_other_uid(call, metadata["uid"], stored.uid)
        decide.check_revision(definition, call.name, metadata.pop("resourceVersion", ""), stored.revision)
        if live is not None:
            manager = self._manager(call, options)
            track = partial(behaviour.track, definition, call.version, live, wanted, manager, call.subresource, now)
            wanted = await self._converted(definition, track)
        obj = behaviour.to_storage(definition, call.version, wanted)
        attributes = self._attributes(call, "UPDATE", obj, old, options)
        committed = False
        try:
            obj = await self._admit_update(call, attributes, obj)
            self._dedup(call, obj["metadata"], True)
            decide.carry_metadata(obj, old)
            obj["metadata"]["resourceVersion"] = str(stored.revision)
            if not call.subresource:
                self._allocate(attributes)
            behaviour.before_update(definition, call.subresource, obj, old, context)
            if call.subresource == SCALE_PART:
                attributes.object = self._scale(call, obj)
            await self.admission.validate(attributes)
            self._tell(call, attributes, context)
            if attributes.patched:
                behaviour.prune(definition, obj)
            written = await self._store_update(call, stored, obj, old, attributes)
            committed = not options.dry_run
            return written
        except StatusError:
            self._tell(call, attributes, None)
            raise
        finally:
            attributes.settled(committed)

    async def _admit_update(self, call: Call, attributes: Attributes, obj: Object) -> Object:
        """The object after mutating admission, which sees of a scaled object its Scale alone."""
        if call.subresource != SCALE_PART:
            return await self._admit(attributes, obj)
        assert attributes.old is not None and call.version.scale is not None
        shown = attributes.object = self._scale(call, obj)
        attributes.old = self._scale(call, attributes.old)
        before = shown["spec"].get("replicas", 0)
        replicas = (await self._admit(attributes, shown))["spec"].get("replicas", 0)
        if replicas == before:
            return obj
        form = self.behaviour.from_storage(call.definition, call.version, _copied(obj))
        form = decide.with_value_at(form, call.version.scale.spec_replicas, replicas)
        return self.behaviour.to_storage(call.definition, call.version, form)

    async def _admit(self, attributes: Attributes, obj: Object) -> Object:
        """The object after mutating admission, which may break managedFields no more than a client may."""
        managed = obj["metadata"].get("managedFields")
        await self.admission.admit(attributes)
        obj = attributes.object or obj
        if attributes.patched and obj["metadata"].get("managedFields") != managed:
            decide.check_admitted_managers(obj, managed, attributes.warnings)
        return obj

    def _scale(self, call: Call, obj: Object) -> Object:
        assert call.version.scale is not None
        return scale_of(call.version.scale, self.behaviour.from_storage(call.definition, call.version, _copied(obj)), 0)

    async def admit(
        self,
        call: Call,
        operation: str,
        obj: Object,
        options: dict[str, Any],
        dry_run: bool = False,
        complete: Callable[[Object], None] = lambda obj: None,
    ) -> Object:
        """Admission alone, for an object that is not stored: a Binding, an Eviction, the options of a connect.

        Gives the object as mutating plugins left it; `complete` fills in what validating ones see besides. Raises
        StatusError when one refuses.
        """
        attributes = Attributes(
            operation, call.definition, call.version, call.subresource, call.namespace, call.name, obj, None, call.user,
            dry_run, options, call.request,
        )  # fmt: skip
        try:
            await self.admission.admit(attributes)
            complete(attributes.object or obj)
            await self.admission.validate(attributes)
        finally:
            self._tell(call, attributes, None)
            attributes.settled(False)
        return attributes.object or obj

    async def _store_update(
        self, call: Call, stored: Stored, obj: Object, old: Object, attributes: Attributes
    ) -> Written:
        """Commits what was decided: a new state, the end of an object that was being deleted, or nothing new."""
        definition = call.definition
        if decide.is_finished_deleting(definition, obj, old):
            removal = replace(removal_of(stored), labels=obj["metadata"].get("labels") or {})
            answer = stored._replace(body=splice(encode_body(obj), stored.revision))
            if not attributes.dry_run:
                freed = self._freed(definition, old)
                await self._commit(call, 200, [*attributes.companions, *freed, removal], attributes.guards)
            return Written(answer, deleted=True)
        final = await self._at_rest(self.behaviour.of(definition), definition, obj)
        if decide.same_but_for(final, old if final is obj else decode(stored)):
            return Written(stored)
        change = change_of(definition, final, expect=stored.revision)
        if attributes.dry_run:
            return Written(_as_stored(change, stored.revision))
        revisions = await self._commit(call, 200, [*attributes.companions, change], attributes.guards)
        return Written(_as_stored(change, revisions[-1]))

    def _allocate(self, attributes: Attributes) -> None:
        """Gives the object what its kind has allocated to it; StatusError 422, 500."""
        allocator = self.allocators.get(attributes.definition.group_resource)
        if allocator is not None:
            with self.store.view() as view:
                allocator.allocate(attributes, view)

    def _freed(self, definition: ResourceDefinition, obj: Object) -> list[Change]:
        """The changes that give back what an object that goes had allocated."""
        allocator = self.allocators.get(definition.group_resource)
        if allocator is None:
            return []
        with self.store.view() as view:
            return allocator.free(obj, view)

    def _refuse_other_uid(self, call: Call, given: str, actual: str) -> None:
        """A PUT with another uid is a precondition that failed (storage.Preconditions.Check)."""
        if call.request.method != "PUT":
            return
        text = other_uid(call.definition, call.namespace, call.name, given, actual)
        raise conflict(call.definition.group_resource, call.name, text)

    # --- delete ---------------------------------------------------------------------------------------------------
    async def delete(
        self, call: Call, options: DeleteOptions, prepare: Prepare | None = None, admitted: bool = False
    ) -> Written:
        """Deletes, or marks as being deleted, one object; `prepare` may first change it, and others along with it.

        `admitted`: admission has let the request pass already, as what it is (an eviction).
        """
        definition = call.definition
        for _ in range(ATTEMPTS_MAX):
            with self.store.view() as view:
                stored = view.get(call.key)
            if stored is None:
                raise not_found(definition.group_resource, call.name)
            changes, guards, written = await self._plan_delete(call, stored, options, prepare, admitted=admitted)
            if options.dry_run or not changes:
                return written
            try:
                after = await self._commit(call, 200, changes, guards)
            except Conflict:
                continue
            revision = after[-1]
            return replace(
                written,
                stored=written.stored._replace(revision=revision, body=_respliced(written.stored.body, revision)),
            )
        raise modified(definition.group_resource, call.name)

    async def _plan_delete(
        self,
        call: Call,
        stored: Stored,
        options: DeleteOptions,
        prepare: Prepare | None = None,
        asked: str | None = None,
        admitted: bool = False,
    ) -> tuple[list[Change], list[Guard], Written]:
        """`asked`: the name admission is told, if it is not the object's: a collection is deleted without one."""
        definition = call.definition
        old = decode(stored)
        warning = definition.traits.more.get("deletion_warning")
        if warning and not options.propagation and warning not in call.request.warnings:
            call.request.warnings.append(warning)
        decide.check_preconditions(definition, stored.key.name, old["metadata"], options)
        told = options
        if options.uid is None and "precondition_failed" in definition.traits.more:
            told = replace(
                options, uid=stored.uid
            )  # what goes in two steps must not become another object between them
        attributes = Attributes(
            "DELETE", definition, call.version, "", call.namespace, stored.key.name if asked is None else asked, None, old,
            call.user, options.dry_run, told.as_object(), call.request,
        )  # fmt: skip
        try:
            if not admitted:
                await self.admission.admit(attributes)
                await self.admission.validate(attributes)
        finally:
            self._tell(call, attributes, None)
        going, changes = old, list[Change]()
        if prepare is not None:
            with self.store.view() as view:
                going, changes = prepare(old, view)
        grace = self.behaviour.grace_period(definition, old, options)
        outcome = decide.decide_delete(definition, going, options, self.clock(), grace)
        answer = stored
        expect: int | None = stored.revision
        if outcome.update is not None and not decide.same_but_for(outcome.update, old):
            update = change_of(definition, outcome.update, expect=expect)
            changes.append(update)
            answer, expect = _as_stored(update, stored.revision), None
        if outcome.remove:
            changes += self._freed(definition, old)
            changes.append(replace(removal_of(stored), expect=expect))
        return changes, attributes.guards, Written(answer, deleted=outcome.remove, whole=outcome.answer_object)

    async def delete_collection(self, call: Call, chosen: list[Stored], options: DeleteOptions) -> list[Stored]:
        """Deletes these objects in one commit; the answer is each as it was before (as kube-apiserver answers).

        The first refusal ends it: what comes before in the list goes all the same, and the client is told of the refusal.
        """
        for _ in range(ATTEMPTS_MAX):
            changes: list[Change] = []
            guards: list[Guard] = []
            refusal: StatusError | None = None
            with self.store.view() as view:
                current = [one for one in (view.get(stored.key) for stored in chosen) if one is not None]
            for stored in current:
                one = replace(call, namespace=stored.key.namespace, name=stored.key.name)
                try:
                    planned, more, _written = await self._plan_delete(one, stored, options, asked="")
                except StatusError as refused:
                    refusal = refused
                    break
                changes += planned
                guards += more
            if changes and not options.dry_run:
                try:
                    await self._commit(call, 200, changes, guards, refusal)
                except Conflict:
                    continue
            if refusal is not None:
                raise refusal
            return chosen
        raise modified(call.definition.group_resource, call.name)

    # --- the one commit -------------------------------------------------------------------------------------------
    async def _commit(
        self, call: Call, code: int, changes: list[Change], guards: list[Guard], refusal: StatusError | None = None
    ) -> tuple[int, ...]:
        """Appends the request's event with its changes, the request's own object last; returns their revisions.

        `refusal`: what the client is told although something was changed.
        """
        own = changes[-1]
        for change in changes:
            check_size(change)
        request = call.request
        request.object_ref = (own.key.namespace, own.key.name if call.name else "", own.uid)
        why = {} if refusal is None else {"reason": refusal.reason, "message": refusal.message}
        code = code if refusal is None else refusal.code
        commit = await self.store.append(event_of(request, code, self.clock(), **why), changes, guards)
        request.recorded = True
        return commit.revisions

    def _attributes(
        self, call: Call, operation: str, obj: Object, old: Object | None, options: WriteOptions
    ) -> Attributes:
        kind = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions"}[operation]
        return Attributes(
            operation, call.definition, call.version, call.subresource, call.namespace, call.name, obj, old, call.user,
            options.dry_run, options.as_object(kind), call.request,
        )  # fmt: skip

    def _manager(self, call: Call, options: WriteOptions) -> str:
        return manager_name(options.field_manager, call.request.headers.get("user-agent"))

    def _dedup(self, call: Call, metadata: dict[str, Any], after_admission: bool) -> None:
        if "ownerReferences" not in metadata:
            return
        warning = decide.owner_references_warning(metadata, after_admission)
        if warning:
            call.request.warnings.append(warning)

    def _tell(self, call: Call, attributes: Attributes, context: Context | None) -> None:
        """Passes on what admission and validation wanted the client and the audit log to know."""
        warnings = [*attributes.warnings, *(context.warnings if context is not None else ())]
        if warnings:
            call.request.warnings += [one for one in dict.fromkeys(warnings) if one not in call.request.warnings]
        if attributes.annotations:
            call.request.annotations.update(attributes.annotations)


def _copied(obj: Object) -> Object:
    """Copy as deep as a failed attempt may have written."""
    return {**obj, "metadata": dict(obj["metadata"])}


def _as_stored(change: Change, revision: int) -> Stored:
    assert change.body is not None or revision
    body = splice(change.body, revision) if change.body is not None else b""
    return Stored(change.key, revision, change.uid, change.api_version, change.kind, change.labels, change.fields, body)


def _respliced(body: bytes, revision: int) -> bytes:
    """The body with another resourceVersion in place of its own."""
    start = body.index(b'"resourceVersion":"') + 19
    return body[:start] + b"%d" % revision + body[body.index(b'"', start) :]


def _unsaved(definition: ResourceDefinition, obj: Object) -> Stored:
    """The answer to a dry-run create: it has no resourceVersion but the one the client sent."""
    change = change_of(definition, obj, None)
    assert change.body is not None
    if decide.names_revision(obj["metadata"]):
        change = replace(change, body=splice(change.body, int(obj["metadata"]["resourceVersion"])))
    body = change.body or b""
    return Stored(change.key, 0, change.uid, change.api_version, change.kind, change.labels, change.fields, body)
