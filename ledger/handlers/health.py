"""/healthz, /livez, /readyz and their single checks, worded as kube-apiserver words them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ledger.apimachinery.http import Request, Response
from ledger.registry.options import query_of

Check = Callable[[], str]  # "" when well, else the reason
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]


class Health:
    """`roots`: "healthz", "livez", "readyz" -> checks by name, in the order in which they are listed."""

    def __init__(self, roots: Mapping[str, Mapping[str, Check]]) -> None:
        self.roots = roots

    def paths(self) -> list[str]:
        """The paths it answers, as / lists them."""
        return [
            path for root, checks in self.roots.items() for path in (f"/{root}", *(f"/{root}/{one}" for one in checks))
        ]

    async def slis(self, request: Request) -> Response:
        """/metrics/slis: each check as a gauge, 1 when well (component-base's SLI metrics)."""
        lines = [
            "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.",
            "# TYPE kubernetes_healthcheck gauge",
        ]
        results = [
            (name, root, 0 if check() else 1)
            for root, checks in self.roots.items()
            if root != "livez"
            for name, check in checks.items()
        ]
        lines += [
            f'kubernetes_healthcheck{{name="{name}",type="{root}"}} {well}' for name, root, well in sorted(results)
        ]
        return Response(200, [("content-type", METRICS_TEXT)], ("\n".join(lines) + "\n").encode())

    async def __call__(self, request: Request) -> Response | None:
        """The answer, None for a path that is none of its own."""
        assert request.info is not None
        root, _, name = request.info.path.strip("/").partition("/")
        checks = self.roots[root]
        if name:
            if name not in checks:
                return None
            why = checks[name]()
            body = f"internal server error: {why}\n" if why else "ok"
            return Response(500 if why else 200, TEXT, body.encode())
        return self._all(root, checks, request)

    def _all(self, root: str, checks: Mapping[str, Check], request: Request) -> Response:
        query = query_of(request)
        excluded = query.get("exclude", [])
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif check():
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        unknown = [name for name in excluded if name not in checks]
        if unknown:
            shown = ", ".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {shown}")
        if failed:
            lines.append(f"{root} check failed")
            return Response(500, TEXT, ("\n".join(lines) + "\n").encode())
        if "verbose" not in query:
            return Response(200, TEXT, b"ok")
        lines.append(f"{root} check passed")
        return Response(200, TEXT, ("\n".join(lines) + "\n").encode())
