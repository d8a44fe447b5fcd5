"""``docker-compose.yml`` is valid and is what the tests run on: checked without a Docker engine."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream_seg.adapters.local.settings import (
    KAFKA_DEFAULT_PORT,
    KAFKA_SETTINGS,
    KAFKA_VERSION,
    REDIS_DEFAULT_PORT,
    REDIS_SETTINGS,
    REDIS_VERSION,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def compose_schema() -> dict[str, Any]:
    """The compose specification's own schema."""
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def in_the_image_s_name(broker_setting: str) -> str:
    """The environment variable by which the apache/kafka image takes a broker setting."""
    return "KAFKA_" + broker_setting.upper().replace(".", "_")


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, compose_schema())


def test_the_schema_would_find_a_mistake(compose: dict[str, Any]) -> None:
    broken = {**compose, "services": {"kafka": {"imagee": "apache/kafka"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, compose_schema())


def test_every_name_it_refers_to_is_there(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert set(services) == {"kafka", "redis", "worker"}
    mounted = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service["volumes"]
        if isinstance(volume, str)
    }
    assert mounted == set(compose["volumes"])
    for needed, condition in services["worker"]["depends_on"].items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in services[needed]


def test_versions_are_those_of_the_local_servers(services: dict[str, Any]) -> None:
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert services["redis"]["image"] == f"redis:{REDIS_VERSION}"


def test_broker_settings_are_those_of_the_local_servers(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    shared = {in_the_image_s_name(key): value for key, value in KAFKA_SETTINGS.items()}
    assert {key: environment.get(key) for key in shared} == shared
    # What is left is where things are: addresses and folders differ in a container, nothing else may.
    assert set(environment) - set(shared) == {
        "CLUSTER_ID",
        "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_CONTROLLER_QUORUM_VOTERS",
        "KAFKA_INTER_BROKER_LISTENER_NAME",
        "KAFKA_LISTENERS",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "KAFKA_LOG_DIRS",
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", environment["CLUSTER_ID"])


def test_redis_settings_are_those_of_the_local_servers_and_data_is_kept(services: dict[str, Any]) -> None:
    program, *options = services["redis"]["command"]
    assert program == "redis-server"
    settings = dict(zip(options[::2], options[1::2], strict=True))
    assert settings == {f"--{key}": value for key, value in {**REDIS_SETTINGS, "appendonly": "yes"}.items()}


def test_servers_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    assert services["kafka"]["ports"] == [f"127.0.0.1:{KAFKA_DEFAULT_PORT}:{KAFKA_DEFAULT_PORT}"]
    assert services["redis"]["ports"] == [f"127.0.0.1:{REDIS_DEFAULT_PORT}:{REDIS_DEFAULT_PORT}"]
    advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"HOST://127.0.0.1:{KAFKA_DEFAULT_PORT}" in advertised.split(",")


def test_the_worker_finds_both_servers_and_has_no_more_rights_than_it_needs(services: dict[str, Any]) -> None:
    worker = services["worker"]
    address = worker["environment"]["STREAM_SEG__KAFKA__BOOTSTRAP_SERVERS"]
    assert f"PLAINTEXT://{address}" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(
        ","
    )
    assert worker["environment"]["STREAM_SEG__REDIS__URL"] == f"redis://redis:{REDIS_DEFAULT_PORT}/0"
    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]


def test_the_image_is_built_in_stages_from_locks_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    final = lines[lines.index(stages[-1]) :]
    users = [line.split()[1] for line in final if line.startswith("USER ")]
    assert users == ["10001"]
    assert not any(line.startswith("RUN") and "pip" in line for line in final)
    for name in re.findall(r"-r (requirements/\S+)", "\n".join(lines)):
        assert "--hash=sha256:" in (ROOT / name).read_text()


@pytest.mark.parametrize("lock", ["lock.txt", "worker.txt", "build.txt"])
def test_locks_have_hashes_and_name_no_host(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text
    for requirement in text.replace("\\\n", " ").splitlines():
        if requirement and not requirement.lstrip().startswith("#"):
            assert re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement


def test_the_worker_is_locked_to_the_versions_that_are_tested() -> None:
    def pins(lock: str) -> set[str]:
        return set(
            re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / "requirements" / lock).read_text(), re.MULTILINE)
        )

    assert pins("worker.txt") <= pins("lock.txt")
    assert pins("build.txt") <= pins("lock.txt")
