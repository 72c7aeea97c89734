# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As much of AWX's API as the awx.awx modules and awxkit need for our configuration: resources in memory."""

from __future__ import annotations

import json
import threading
import typing as t

from tests.sandbox.awx import rules
from tests.sandbox.server import Request, Response

PREFIX = "/api/v2/"
ENCRYPTED = "$encrypted$"
_HEADERS = {"Content-Type": "application/json", "X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1"}

Item = dict[str, t.Any]

# What a resource has besides its name, and what stands there if nobody says anything.
_FIELDS: dict[str, Item] = {
    "organizations": {"description": ""},
    "credential_types": {"description": "", "kind": "cloud", "managed": False, "inputs": {}, "injectors": {}},
    "credentials": {"description": "", "organization": None, "credential_type": None, "inputs": {}},
    "execution_environments": {"description": "", "organization": None, "image": "", "pull": ""},
    "projects": {
        "description": "",
        "organization": None,
        "scm_type": "",
        "scm_url": "",
        "scm_branch": "",
        "default_environment": None,
    },
    "inventories": {"description": "", "organization": None, "kind": "", "host_filter": None},
    "hosts": {"description": "", "inventory": None, "enabled": True, "variables": ""},
    "inventory_sources": {
        "description": "",
        "inventory": None,
        "source": "",
        "source_path": "",
        "source_project": None,
        "credential": None,
        "execution_environment": None,
        "overwrite": False,
        "overwrite_vars": False,
        "update_on_launch": False,
        "timeout": 0,
    },
    "job_templates": {
        "description": "",
        "organization": None,
        "project": None,
        "playbook": "",
        "inventory": None,
        "execution_environment": None,
        "job_type": "run",
        "job_slice_count": 1,
        "forks": 0,
        "timeout": 0,
        "survey_enabled": False,
        "ask_limit_on_launch": False,
        "ask_tags_on_launch": False,
        "ask_job_type_on_launch": False,
        "ask_variables_on_launch": False,
        "ask_verbosity_on_launch": False,
        "ask_diff_mode_on_launch": False,
        "allow_simultaneous": False,
        "verbosity": 0,
        "diff_mode": False,
        "use_fact_cache": False,
        "become_enabled": False,
        "extra_vars": "",
    },
    "notification_templates": {
        "description": "",
        "organization": None,
        "notification_type": "",
        "notification_configuration": {},
        "messages": {},
    },
    "schedules": {"description": "", "unified_job_template": None, "rrule": "", "enabled": True},
}
_NOTIFYING = tuple(f"notification_templates_{event}" for event in ("started", "success", "error"))
_UNIFIED = ("projects", "inventory_sources", "job_templates")


class Controller:
    """One AWX. playbooks: what its project offers; blocked: environment variables that credentials must not set."""

    def __init__(self, token: str, *, playbooks: t.Collection[str], blocked: t.Collection[str]) -> None:
        self.token = token
        self.playbooks, self.blocked = playbooks, blocked
        self.items: dict[str, dict[int, Item]] = {name: {} for name in _FIELDS}
        self.secrets: dict[int, Item] = {}
        self.surveys: dict[int, Item] = {}
        self.associated: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._create("organizations", {"name": "Default"})

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        if request.path not in ("/api/", PREFIX) and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _answer(401, {"detail": "Authentication credentials were not provided."})
        with self._lock:
            try:
                return self._respond(request)
            except rules.Rejected as rejected:
                return _answer(400, {"__all__": [str(rejected)], "error": str(rejected)})
            except LookupError:
                return _answer(404, {"detail": "Not found."})

    def named(self, resource: str, name: str) -> Item:
        """The only item of this name."""
        (found,) = [item for item in self.items[resource].values() if item["name"] == name]
        return found

    def _respond(self, request: Request) -> Response:
        if request.path == "/api/":
            return _answer(200, {"available_versions": {"v2": PREFIX}, "current_version": PREFIX})
        parts = request.path.removeprefix(PREFIX).strip("/").split("/")
        if parts == [""]:
            return _answer(200, {name: f"{PREFIX}{name}/" for name in (*_FIELDS, "unified_job_templates")})
        resource, rest = parts[0], parts[1:]
        body = json.loads(request.body or b"{}")
        if resource == "project_updates":
            return _answer(200, {"id": int(rest[0]), "status": "successful"})
        if request.method == "OPTIONS":
            return self._options(resource)
        if not rest:
            if request.method == "POST":
                return _answer(201, self._create(resource, body))
            return self._list(resource, {name: values[0] for name, values in request.query.items()})
        number = int(rest[0])
        item = self.items[resource][number]
        if rest[1:] == ["survey_spec"]:
            return self._survey(number, request.method, body)
        if len(rest) == 2:
            linked = "notification_templates" if rest[1] in _NOTIFYING else rest[1]
            return self._associate(f"{resource}/{number}/{rest[1]}", linked, request.method, body)
        if request.method == "PATCH":
            self._store(resource, number, item | body)
        return _answer(200, self._shown(resource, number))

    def _options(self, resource: str) -> Response:
        kinds = {bool: "boolean", int: "integer", dict: "json"}
        fields = {name: {"type": kinds.get(type(value), "string")} for name, value in _FIELDS[resource].items()}
        actions = {"name": {"type": "string"}} | fields
        response = _answer(200, {"actions": {"GET": actions, "POST": actions}})
        response.headers["Allow"] = "GET, PATCH, DELETE, HEAD, OPTIONS"
        return response

    def _list(self, resource: str, query: dict[str, str]) -> Response:
        resources = _UNIFIED if resource == "unified_job_templates" else (resource,)
        found = [self._shown(name, number) for name in resources for number in self.items[name]]
        wanted = {name: value for name, value in query.items() if name not in ("page_size", "order_by", "page")}
        either = {name.removeprefix("or__"): wanted.pop(name) for name in list(wanted) if name.startswith("or__")}
        unknown = [name for name in (*wanted, *either) if any(name not in item for item in found)]
        if unknown:
            raise rules.Rejected(f"cannot filter by {unknown}")
        matching = [
            item
            for item in found
            if all(str(item[name]) == value for name, value in wanted.items())
            and (not either or any(str(item[name]) == value for name, value in either.items()))
        ]
        return _answer(200, {"count": len(matching), "next": None, "previous": None, "results": matching})

    def _create(self, resource: str, body: Item) -> Item:
        self._last += 1
        self._store(resource, self._last, {"name": None, **_FIELDS[resource], **body})
        return self._shown(resource, self._last)

    def _store(self, resource: str, number: int, item: Item) -> None:
        defaults = {"name": None, **_FIELDS[resource]}
        if item.keys() - defaults.keys():
            raise rules.Rejected(f"no such fields: {sorted(item.keys() - defaults.keys())}")
        # As AWX does, a null becomes what stands there by default.
        item = {name: defaults[name] if value is None else value for name, value in item.items()}
        if not item["name"]:
            raise rules.Rejected("name is required")
        self._check(resource, item)
        if resource == "credentials":
            item["inputs"] = self._keep_secrets(number, item)
        self.items[resource][number] = item

    def _check(self, resource: str, item: Item) -> None:
        if resource == "credential_types":
            rules.check_credential_type(item["inputs"], item["injectors"], self.blocked)
        if resource == "notification_templates":
            rules.check_notification(
                item["notification_type"], item["notification_configuration"], item["messages"] or {}
            )
        if resource == "schedules":
            rules.check_rrule(item["rrule"])
        if resource == "job_templates" and item["playbook"] not in self.playbooks:
            raise rules.Rejected(f"Playbook {item['playbook']} not found for project.")
        if resource == "job_templates" and (item["inventory"] is None or item["project"] is None):
            raise rules.Rejected("inventory and project are required")

    def _keep_secrets(self, number: int, item: Item) -> Item:
        """Keeps the inputs; returns them as AWX shows them."""
        fields = {
            field["id"]: field for field in self.items["credential_types"][item["credential_type"]]["inputs"]["fields"]
        }
        if item["inputs"].keys() - fields.keys():
            raise rules.Rejected(f"no such inputs: {sorted(item['inputs'].keys() - fields.keys())}")
        kept = self.secrets.get(number, {})
        given = {name: kept[name] if value == ENCRYPTED else value for name, value in item["inputs"].items()}
        self.secrets[number] = given
        return {name: ENCRYPTED if fields[name].get("secret") else value for name, value in given.items()}

    def _shown(self, resource: str, number: int) -> Item:
        url = f"{PREFIX}{resource}/{number}/"
        item = {"id": number, "type": resource.removesuffix("s"), "url": url, **self.items[resource][number]}
        item |= {"related": {}, "summary_fields": {}}
        if resource == "job_templates":
            item["related"] = {name: f"{url}{name}/" for name in ("survey_spec", "credentials", *_NOTIFYING)}
        if resource == "projects":
            item |= {"scm_revision": "", "summary_fields": {"current_update": {"id": number}}}
        return item

    def _survey(self, number: int, method: str, body: Item) -> Response:
        if method == "POST":
            rules.check_survey(body)
            self.surveys[number] = body
        return _answer(200, self.surveys.get(number, {}))

    def _associate(self, place: str, resource: str, method: str, body: Item) -> Response:
        linked = self.associated.setdefault(place, [])
        if method == "POST":
            if body.get("disassociate"):
                linked.remove(body["id"])
            else:
                linked.append(body["id"])
            return Response(204)
        return _answer(
            200, {"count": len(linked), "next": None, "results": [self._shown(resource, number) for number in linked]}
        )


def _answer(status: int, body: t.Any) -> Response:
    return Response(status, json.dumps(body).encode(), dict(_HEADERS))
