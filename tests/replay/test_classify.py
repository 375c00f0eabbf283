"""The class of a request, from the request alone."""

from __future__ import annotations

import pytest

from ledger.apimachinery.http import User
from ledger.log.event import Event
from ledger.replay.classify import class_of, parse_classes


def event(line: str) -> Event:
    """`alice patch apps/deployments/status 200 ?dryRun=All as bob` and optional `body=...`."""
    user, verb, path, code, *rest = line.split()
    group, resource, subresource = ([*path.split("/"), "", ""])[:3] if "/" in path else ("", path, "")
    if path.startswith("/"):
        group, resource, subresource = "", "", ""
    query = next((word for word in rest if word.startswith("?")), "")
    body = next((word[5:] for word in rest if word.startswith("body=")), "")
    spoken_for = User(rest[rest.index("as") + 1]) if "as" in rest else None
    return Event(
        "id",
        0,
        0,
        verb,
        f"/x{query}",
        User(user),
        int(code),
        impersonated=spoken_for,
        api_group=group if group != "core" else "",
        resource=resource,
        subresource=subresource,
        request_body=body.encode(),
    )


@pytest.mark.parametrize(
    "line, expected",
    [
        ("alice                                               patch  configmaps                        200", "intent"),
        ("ci-bot                                              create apps/deployments                  201", "intent"),
        ("alice                                               create core/pods/eviction                201", "intent"),
        ("system:serviceaccount:argocd:controller             patch  apps/deployments                  200", "intent"),
        ("system:serviceaccount:ops:op  create core/secrets 201 body={\"ownerReferences\":[]}", "reaction"),
        ("system:serviceaccount:ops:op  patch core/secrets 200 body={\"finalizers\":null}", "reaction"),
        ("system:serviceaccount:kube-system:job-controller    create core/pods                         201", "reaction"),
        ("system:kube-scheduler                               create core/pods/binding                 201", "reaction"),
        ("system:node:node-0                                  patch  core/pods/status                  200", "status"),
        ("alice                                               patch  apps/deployments/status           200", "status"),
        ("system:node:node-0                                  update coordination.k8s.io/leases        200", "heartbeat"),
        ("system:kube-scheduler                               create events.k8s.io/events              201", "event"),
        ("kubelet                                             patch  core/events                       200", "event"),
        ("alice                                               get    core/pods                         200", "read"),
        ("alice                                               list   core/pods                         404", "read"),
        ("alice                                               create core/pods/exec                    101", "read"),
        ("alice                                               get    /metrics                          200", "read"),
        ("dave                                                list   core/secrets                      403", "refused"),
        ("dave                                                patch  core/configmaps                   403", "refused"),
        ("system:kube-controller-manager                      update apps/deployments/status           409", "refused"),
        ("alice                                               patch  core/configmaps 200 ?dryRun=All",       "dry-run"),
        ("alice                                               create core/serviceaccounts/token        201", "review"),
        ("alice                          create authorization.k8s.io/selfsubjectaccessreviews          201", "review"),
        ("admin                                               patch  core/configmaps 200 as alice",          "intent"),
        ("admin                                               patch  core/pods 200 as system:node:n",        "reaction"),
    ],
)  # fmt: skip
def test_the_class_of_a_request(line: str, expected: str) -> None:
    assert class_of(event(line)) == expected


def test_classes_are_named_by_commas_or_all() -> None:
    assert parse_classes("intent, refused") == {"intent", "refused"}
    assert "heartbeat" in parse_classes("all")
    with pytest.raises(ValueError, match="'intents' is not a class: give intent, reaction"):
        parse_classes("intents")
