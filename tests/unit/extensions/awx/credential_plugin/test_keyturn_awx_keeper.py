# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The AWX credential plugin, with Keeper's unmodified SDK, against the sandbox's vault."""

from __future__ import annotations

import json
import secrets
import traceback
import typing as t

import pytest

from extensions.awx.credential_plugin import keyturn_awx_keeper as subject
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault, Response


class Scene:
    """A vault with one record, and a client of it."""

    def __init__(self, vault: KeeperSandbox) -> None:
        self.vault = vault
        config = vault.client_config()
        self.config = json.dumps(config)
        self.password = f"{{{{7*7}}}}\"' \\{secrets.token_urlsafe(18)}\n"
        self.key = secrets.token_urlsafe(24)
        self.hidden = [self.password, self.password.strip(), self.key, config["privateKey"], config["appKey"]]
        self.uid = self.add("Build server")

    def add(self, title: str, **fields: t.Any) -> str:
        pair = {"type": "keyPair", "label": "keys", "value": [{"privateKey": self.key, "publicKey": "public"}]}
        several = {"type": "url", "label": "several", "value": ["https://a.example.com", "https://b.example.com"]}
        twice = [{"type": "text", "label": "twice", "value": [text]} for text in "ab"]
        empty = {"type": "text", "label": "empty", "value": []}
        return self.vault.add_record(
            title=title,
            fields={"login": "builder", "password": self.password, **fields},
            custom=[pair, several, *twice, empty],
        )

    def lookup(self, notation: str) -> str:
        return subject.plugin.backend(config=self.config, notation=notation)

    def refused(self, notation: str) -> str:
        """What the user is told; never a secret."""
        with pytest.raises(subject.KeeperLookupError) as raised:
            self.lookup(notation)
        # AWX shows the text, and its log the traceback with everything that led there.
        shown = "".join(traceback.format_exception(raised.value))
        assert [secret for secret in self.hidden if secret in shown] == []
        return str(raised.value)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Scene]:
    with KeeperSandbox() as vault:
        for name, value in vault.environment().items():
            monkeypatch.setenv(name, value)
        yield Scene(vault)
        assert vault.errors == []


def test_it_finds_values(scene: Scene) -> None:
    assert scene.lookup(f"keeper://{scene.uid}/field/password") == scene.password
    assert scene.lookup("keeper://Build server/field/login") == "builder"
    assert scene.lookup(f"{scene.uid}/custom_field/keys[0][privateKey]") == scene.key
    assert scene.lookup(f"{scene.uid}/custom_field/several[1]") == "https://b.example.com"
    scene.config = scene.vault.client_config_base64()
    assert scene.lookup(f"keeper://{scene.uid}/field/password") == scene.password


def test_only_one_record_is_asked_for_by_its_uid(scene: Scene) -> None:
    scene.lookup(f"keeper://{scene.uid}/field/password")
    assert scene.vault.journal.labels() == [f"get_secret {scene.uid}"]


def test_it_never_guesses(scene: Scene) -> None:
    scene.add("Twin")
    scene.add("Twin")
    expected = {
        "keeper://Twin/field/password": "Several records have this title",
        "keeper://Nobody/field/password": "no record with this UID or title",
        f"keeper://{scene.uid}/field/nothing": "no such field",
        f"keeper://{scene.uid}/custom_field/twice": "several such fields",
        f"keeper://{scene.uid}/custom_field/several": "several values",
        f"keeper://{scene.uid}/custom_field/several[5]": "no value at this position",
        f"keeper://{scene.uid}/custom_field/empty": "The field is empty",
        f"keeper://{scene.uid}/custom_field/keys[0][nothing]": "The field is empty",
        f"keeper://{scene.uid}/title": "The notation is not valid",
        f"keeper://{scene.uid}/file/key.pem": "The notation is not valid",
        scene.uid: "The notation is not valid",
        "": "The notation is not valid",
        "%%%": "The notation is not valid",
    }
    assert {notation: words for notation, words in expected.items() if words not in scene.refused(notation)} == {}


def test_unusable_configurations(scene: Scene) -> None:
    good = json.loads(scene.config)
    token = f"US:{secrets.token_urlsafe(32)}"
    scene.hidden.append(token)
    for config in (
        "",
        token,
        "{",
        "[]",
        json.dumps({**good, "appKey": ""}),
        json.dumps({**good, "privateKey": "no key"}),
        json.dumps({name: value for name, value in good.items() if name != "hostname"}),
    ):
        scene.config = config
        text = scene.refused(f"keeper://{scene.uid}/field/password")
        assert "client configuration is not usable" in text or "could not be read" in text, config


def test_an_application_that_keeper_does_not_know(scene: Scene) -> None:
    scene.vault.clients.clear()
    assert "Keeper refused this application" in scene.refused(f"keeper://{scene.uid}/field/password")


def test_throttling_is_not_waited_out(scene: Scene) -> None:
    scene.vault.throttle(9)
    assert "throttling" in scene.refused(f"keeper://{scene.uid}/field/password")
    assert len(scene.vault.journal.labels()) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_answer(scene: Scene, drop: t.Literal["before", "after"]) -> None:
    scene.vault.faults.add(Fault("get_secret", times=9, drop=drop))
    assert "No answer from Keeper" in scene.refused(f"keeper://{scene.uid}/field/password")


def test_silence_has_an_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.vault.faults.add(Fault("get_secret", times=9, hang="before"))
    monkeypatch.setattr(subject, "_READ_TIMEOUT", 0.2)
    assert "No answer from Keeper (ReadTimeout)" in scene.refused(f"keeper://{scene.uid}/field/password")


def test_everything_together_has_an_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.vault.faults.add(Fault("get_secret", times=9, hang="before"))
    monkeypatch.setattr(subject, "_TOTAL_TIMEOUT", 0.2)
    assert "No complete answer from Keeper" in scene.refused(f"keeper://{scene.uid}/field/password")


def test_redirects_are_not_followed(scene: Scene) -> None:
    elsewhere = f"https://{scene.vault.hostname}/elsewhere"
    scene.vault.faults.add(Fault("get_secret", response=Response(307, b"", {"Location": elsewhere})))
    assert "could not be read" in scene.refused(f"keeper://{scene.uid}/field/password")
    assert len(scene.vault.journal.labels()) == 1


def test_rubbish_is_not_quoted(scene: Scene) -> None:
    scene.vault.faults.add(
        Fault("get_secret", times=9, response=Response(500, b"<p>sorry, " + scene.password.encode()))
    )
    assert "sorry" not in scene.refused(f"keeper://{scene.uid}/field/password")


@pytest.mark.parametrize("skip", [None, "TRUE"])
def test_tls_is_verified_whatever_the_environment_says(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, skip: str | None
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    if skip:
        monkeypatch.setenv("KSM_SKIP_VERIFY", skip)
    assert "does not verify" in scene.refused(f"keeper://{scene.uid}/field/password")
    assert scene.vault.journal.labels() == []
