"""No secret of the configuration is ever shown."""

from __future__ import annotations

import pytest

from stream_seg.settings import KafkaSettings, load_settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    "option", ["sasl_plain_password", "ssl_password", "sasl.password", "ssl.key.password", "sasl.jaas.config"]
)
def test_no_secret_of_kafka_is_shown(option: str) -> None:
    kafka = KafkaSettings.model_validate({"options": {option: SECRET, "client_id": "me"}})
    assert kafka.client_options() == {option: SECRET, "client_id": "me"}
    for shown in (repr(kafka), str(kafka), str(kafka.model_dump()), kafka.model_dump_json()):
        assert SECRET not in shown
        assert "me" in shown


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        (f"redis://:{SECRET}@h:1/0", "redis://:***@h:1/0"),
        (f"rediss://me:{SECRET}@[::1]:1", "rediss://me:***@[::1]:1"),
        (f"unix:///run/r.sock?db=1&password={SECRET}", "unix:///run/r.sock?db=1&password=***"),
        ("redis://h", "redis://h"),
        (f"redis://me:{SECRET}%40@h/2?protocol=3", "redis://me:***@h/2?protocol=3"),
    ],
)
def test_no_password_of_redis_is_shown(url: str, safe: str) -> None:
    settings = load_settings(None, overrides={"model.name": "m", "redis.url": url}, environ={}, needs=())
    assert settings.redis.url == url
    assert settings.redis.safe_url == safe
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.redis)
