"""A model to be hurt: its configuration file and the settings read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stream_seg.settings import Settings, load_settings
from tests.chaos.orders import create

_CONFIGURATION = """
[model]
name = "{model}"
segments = 4
forget_after_days = 12
[warm_up]
customers = {warm_up_customers}
[source]
topic = "{topic}"
[event]
customer = "customer"
time = "at"
time_unit = "ms"
[event.fields]
revenue = "revenue"
channel = "channel"
country = "country"
[features.days_since_order]
aggregate = "days_since"
transform = "log1p"
[features.orders]
aggregate = "count"
half_life_days = 10
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = 10
transform = "log1p"
[features.app_share]
aggregate = "share"
where = {{ channel = "app" }}
[features.countries]
aggregate = "distinct"
field = "country"
weight = 0.5
[clustering]
warm_up_idle_s = {warm_up_idle_s}
silent_report_s = 2.0
horizon_patience_s = 5.0
[kafka]
bootstrap_servers = "{bootstrap_servers}"
client = "{client}"
session_timeout_ms = {session_timeout_ms}
transaction_timeout_ms = {transaction_timeout_ms}
[kafka.options]
{fetch_bytes} = 4096
{kafka_options}
[redis]
url = "{redis_url}"
[delivery]
mode = "exactly_once"
"""


@dataclass(frozen=True)
class Scene:
    """One model on given servers; ``folder`` holds its configuration file."""

    folder: Path
    model: str
    topic: str
    bootstrap_servers: str
    redis_url: str
    client: str = "kafka-python"
    warm_up_customers: int = 15
    warm_up_idle_s: float = 1.0
    session_timeout_ms: int = 3000
    transaction_timeout_ms: int = 4000
    kafka_options: str = ""
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        """Write the configuration file."""
        object.__setattr__(self, "config", self.folder / f"{self.model}.toml")
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "config"}
        # Small fetches: warm-up reads no further ahead than it must, and batches are cut at many places.
        dotted = "max.partition.fetch.bytes"
        values["fetch_bytes"] = f'"{dotted}"' if self.client == "confluent" else dotted.replace(".", "_")
        self.config.write_text(_CONFIGURATION.format_map(values))

    @property
    def settings(self) -> Settings:
        """The settings as a worker reads them."""
        return load_settings(self.config, environ={})

    def create(self, partitions: int) -> None:
        """Create the input topic."""
        create(self.bootstrap_servers, self.topic, partitions)
