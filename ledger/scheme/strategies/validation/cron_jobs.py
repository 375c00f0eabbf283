"""CronJobs."""

from __future__ import annotations

import re

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.batch import Spec, job_template_spec
from ledger.scheme.strategies.validation.common import (
    meta_findings,
    meta_update_findings,
)
from ledger.scheme.strategies.validation.cron import location_error, schedule_error
from ledger.scheme.strategies.validation.findings import Findings


def cron_job(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _cron_job_spec(found, obj["spec"], None)
    name = obj["metadata"].get("name", "")
    if len(name) > 52:
        found.invalid("metadata.name", name, "must be no more than 52 characters")
    return found


def cron_job_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _cron_job_spec(found, obj["spec"], old["spec"])
    return found


def _cron_job_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    """That there is a schedule has a declared rule."""
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if schedule:
        _schedule(found, schedule, zone, "TZ" in (old or {}).get("schedule", ""))
    found.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if zone is not None and (old is None or old.get("timeZone") != zone):
        _time_zone(found, zone)
    policies = ("Allow", "Forbid", "Replace")
    found.one_of_required("spec.concurrencyPolicy", spec.get("concurrencyPolicy", ""), policies)
    template, path = get(spec, "jobTemplate.spec", {}), "spec.jobTemplate.spec"
    job_template_spec(found, path, template, get(old or {}, "jobTemplate.spec"))
    if template.get("selector") is not None:
        found.invalid(f"{path}.selector", template["selector"], "`selector` will be auto-generated")
    if template.get("manualSelector"):
        found.not_supported(f"{path}.manualSelector", True, ("nil", "false"))
    for key in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found.not_negative(f"spec.{key}", spec.get(key))


def _schedule(found: Findings, schedule: str, zone: str | None, zones_allowed: bool) -> None:
    error = schedule_error(schedule)
    if error:
        found.invalid("spec.schedule", schedule, error)
    if "TZ" in schedule and not zones_allowed:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        found.invalid("spec.schedule", schedule, text)
    elif "TZ" in schedule and zone is not None:
        text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        found.invalid("spec.schedule", schedule, text)


def _time_zone(found: Findings, zone: str) -> None:
    path = "spec.timeZone"
    if not zone:
        found.invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not re.fullmatch(r"[A-Za-z.\-_0-9+]{1,14}", part):
            found.invalid(path, zone, f"unknown time zone {zone}")
            return
    if zone.lower() == "local":
        where = "https://www.iana.org/time-zones"
        found.invalid(path, zone, f"timeZone must be an explicit time zone as defined in {where}")
    error = location_error(zone)
    if error:
        found.invalid(path, zone, error)
