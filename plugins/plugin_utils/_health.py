# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployment configurations, minimum healthy hosts and the order of instances by health. Pure: no input or output."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import (
    HealthConstraintsInvalid,
    InvalidDeploymentConfig,
    NoInstances,
)

MinimumType = t.Literal["MOST_CONCURRENCY", "HOST_COUNT", "FLEET_PERCENT"]
RevisionHealth = t.Literal["Current", "Old", "Unknown"]

PREDEFINED_PREFIX = "CodeDeployDefault."
_ZONAL = (
    "first_zone_monitor_duration_in_seconds",
    "monitor_duration_in_seconds",
    "minimum_healthy_hosts_per_zone",
)
_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,100}\Z")
_SHORTHAND = re.compile(r"type=(?P<type>[A-Z_]+),\s*value=(?P<value>-?[0-9]+)\Z")


@dataclass(frozen=True)
class ZonalConfig:
    """The part of a configuration that is for zones (``zonalConfig``), which are deployed to one after the other.

    ``type`` and ``value`` are those of ``minimumHealthyHostsPerZone``; the seconds are how long a zone bakes after it
    was deployed to, the first one and any other.
    """

    type: MinimumType
    value: int
    first_zone_monitor_seconds: int
    monitor_seconds: int


@dataclass(frozen=True)
class DeploymentConfig:
    """One deployment configuration.

    ``type`` and ``value`` are those of ``minimumHealthyHosts``: HOST_COUNT a number of instances, FLEET_PERCENT 0 to 99
    percent of them, MOST_CONCURRENCY (predefined OneAtATime alone) the number that may be in work at once.
    """

    name: str
    type: MinimumType
    value: int
    zonal: ZonalConfig | None = None


@dataclass(frozen=True)
class InstanceHealth:
    """What is known of an instance in its deployment group.

    ``healthy`` is the result of its last deployment (None: never deployed to); ``revision`` compares what it runs with
    the group's last successful revision.
    """

    name: str
    healthy: bool | None
    revision: RevisionHealth


PREDEFINED = {
    config.name: config
    for config in (
        DeploymentConfig(PREDEFINED_PREFIX + "OneAtATime", "MOST_CONCURRENCY", 1),
        DeploymentConfig(PREDEFINED_PREFIX + "HalfAtATime", "FLEET_PERCENT", 50),
        DeploymentConfig(PREDEFINED_PREFIX + "AllAtOnce", "HOST_COUNT", 0),
    )
}


def deployment_config(value: str | t.Mapping[str, t.Any] | DeploymentConfig) -> DeploymentConfig:
    """Read a deployment configuration.

    :param value: the name of a predefined configuration, with or without ``CodeDeployDefault.``; the command line's
        ``type=HOST_COUNT,value=8``; or a mapping in the API's shape (``minimumHealthyHosts``, as CreateDeploymentConfig
        takes and GetDeploymentConfig returns it), in snake_case, or the bare ``{type, value}``.
    :returns: the configuration; one without a name is named after its minimum (``HOST_COUNT=8``).
    :raises InvalidDeploymentConfig: an unknown name, a value out of range, or a part that servers cannot have.
    """
    if isinstance(value, DeploymentConfig):
        return value
    if isinstance(value, str):
        return _config_of_text(value.strip())
    if isinstance(value, t.Mapping):
        return _config_of_mapping(value)
    raise InvalidDeploymentConfig(
        f"A deployment configuration is a name or a mapping with minimum_healthy_hosts, not {value!r}.",
        "InvalidDeploymentConfigName",
    )


def without_zones(value: t.Any) -> t.Any:
    """Return a deployment configuration for the same number of healthy hosts that takes no notice of zones.

    A rollback is made with it: CodeDeploy's are not zonal.
    """
    config = deployment_config(value)
    if config.zonal is None:
        return value
    minimum = {"type": config.type, "value": config.value}
    return {"deployment_config_name": config.name, "minimum_healthy_hosts": minimum}


def minimum_healthy_hosts(config: DeploymentConfig, total: int) -> int:
    """The number of instances that must stay healthy, fixed once when a deployment starts.

    A percentage is rounded up (half of 9 is 5). OneAtATime leaves all but one.

    :param total: instances in the deployment group, at least 1.
    :returns: 0 to ``total`` - 1.
    :raises NoInstances: ``total`` is less than 1.
    :raises HealthConstraintsInvalid: as many instances would have to stay healthy as there are.
    """
    if total < 1:
        raise NoInstances("The deployment group has no instances.")
    if config.type == "MOST_CONCURRENCY":
        minimum = max(total - config.value, 0)
    elif config.type == "HOST_COUNT":
        minimum = config.value
    else:
        minimum = -(-total * config.value // 100)
    if minimum >= total:
        percent = f" ({config.value} %)" if config.type == "FLEET_PERCENT" else ""
        raise HealthConstraintsInvalid(
            f"Deployment configuration {config.name} leaves no instance to deploy to: of {total} in the deployment "
            f"group {minimum} must stay healthy{percent}. Choose one with at most {total - 1}, for example "
            f"{PREDEFINED_PREFIX}OneAtATime."
        )
    return minimum


def batch_size_of(hosts: t.Any, config: str | t.Mapping[str, t.Any] | DeploymentConfig) -> int:
    """The number of instances that may be out of service at once: all less those that must stay healthy.

    :param hosts: a list of instances, or their number as an int or in digits.
    :returns: 1 or more, because Ansible's ``serial`` takes 0 for all hosts; 1 for no instances.
    :raises InvalidDeploymentConfig: the configuration is wrong, or ``hosts`` is neither list nor number.
    :raises HealthConstraintsInvalid: the configuration is not possible for so few instances.
    """
    read = deployment_config(config)
    if isinstance(hosts, (str, int)) and not isinstance(hosts, bool) and re.match(r"[0-9]+\Z", str(hosts)):
        total = int(hosts)
    elif isinstance(hosts, t.Collection) and not isinstance(hosts, (str, bytes)):
        total = len(hosts)
    else:
        raise InvalidDeploymentConfig(f"Hosts are a list or a number of 0 or more, not {hosts!r}.", "InvalidInput")
    return total - minimum_healthy_hosts(read, total) if total else 1


def deployment_order(instances: t.Iterable[InstanceHealth]) -> list[str]:
    """The order in which CodeDeploy deploys to instances: unhealthy, unknown, old, current.

    An instance that was never deployed to counts as unhealthy there; it comes after those whose last deployment failed.
    Inside a class the order given is kept.
    """
    return [instance.name for instance in sorted(instances, key=_order_class)]


def _order_class(instance: InstanceHealth) -> int:
    if instance.healthy is False:
        return 0
    if instance.healthy is None:
        return 1
    return {"Unknown": 2, "Old": 3, "Current": 4}[instance.revision]


def _config_of_text(text: str) -> DeploymentConfig:
    name = text if text.startswith(PREDEFINED_PREFIX) else PREDEFINED_PREFIX + text
    if name in PREDEFINED:
        return PREDEFINED[name]
    shorthand = _SHORTHAND.match(text)
    if shorthand:
        return _custom(None, shorthand.group("type"), shorthand.group("value"))
    raise InvalidDeploymentConfig(
        f"There is no deployment configuration {text!r}. Predefined are {', '.join(sorted(PREDEFINED))}; a custom one "
        "is a mapping with minimum_healthy_hosts (type HOST_COUNT or FLEET_PERCENT, and value).",
        "DeploymentConfigDoesNotExist",
    )


def _config_of_mapping(value: t.Mapping[str, t.Any]) -> DeploymentConfig:
    info = value.get("deployment_config_info", value.get("deploymentConfigInfo", value))
    if not isinstance(info, t.Mapping):
        raise InvalidDeploymentConfig(
            f"deployment_config_info is a mapping, not {info!r}.", "InvalidDeploymentConfigName"
        )
    platform = info.get("compute_platform", info.get("computePlatform", "Server"))
    if platform != "Server":
        raise InvalidDeploymentConfig(
            f"The deployment configuration is for compute platform {platform}; instances need one for Server.",
            "InvalidComputePlatform",
        )
    name = info.get("deployment_config_name", info.get("deploymentConfigName"))
    minimum = info.get("minimum_healthy_hosts", info.get("minimumHealthyHosts"))
    if minimum is None and "type" in info:
        minimum = info
    if minimum is None and isinstance(name, str):
        return _config_of_text(name)
    if not isinstance(minimum, t.Mapping) or "type" not in minimum or "value" not in minimum:
        raise InvalidDeploymentConfig(f"minimum_healthy_hosts is a mapping with type and value, not {minimum!r}.")
    config = _named(name, minimum["type"], minimum["value"])
    zonal = info.get("zonal_config", info.get("zonalConfig"))
    return dataclasses.replace(config, zonal=_zonal(zonal)) if zonal else config


def _zonal(given: t.Any) -> ZonalConfig:
    """Read C(zonalConfig) (CreateDeploymentConfig); its durations are in seconds."""
    code = "InvalidZonalDeploymentConfiguration"
    if not isinstance(given, t.Mapping):
        raise InvalidDeploymentConfig(f"zonal_config is a mapping, not {given!r}.", code)
    values = camel_dict_to_snake_dict(dict(given))
    unknown = sorted(set(values) - set(_ZONAL))
    if unknown:
        raise InvalidDeploymentConfig(f"zonal_config has {', '.join(_ZONAL)}, not {', '.join(unknown)}.", code)
    durations = {}
    for name in _ZONAL[:2]:
        durations[name] = _integer(values[name], f"zonal_config: {name}", code) if name in values else None
        if (durations[name] or 0) < 0:
            raise InvalidDeploymentConfig(f"zonal_config: {name} is 0 or more seconds, not {values[name]!r}.", code)
    other = durations["monitor_duration_in_seconds"] or 0
    first = durations["first_zone_monitor_duration_in_seconds"]
    minimum = values.get("minimum_healthy_hosts_per_zone") or {"type": "FLEET_PERCENT", "value": 0}
    if not isinstance(minimum, t.Mapping) or set(minimum) != {"type", "value"}:
        raise InvalidDeploymentConfig(
            f"zonal_config: minimum_healthy_hosts_per_zone is a mapping with type and value, not {minimum!r}.", code
        )
    read = _custom(None, minimum["type"], minimum["value"])
    return ZonalConfig(read.type, read.value, other if first is None else first, other)


def _named(name: t.Any, minimum_type: t.Any, value: t.Any) -> DeploymentConfig:
    if name is None:
        return _custom(None, minimum_type, value)
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidDeploymentConfig(
            f"deployment_config_name {name!r} must be 1 to 100 letters, digits or characters of +=,.@_-.",
            "InvalidDeploymentConfigName",
        )
    if not name.startswith(PREDEFINED_PREFIX):
        return _custom(name, minimum_type, value)
    config = PREDEFINED.get(name)
    if config is None or (minimum_type, _integer(value)) != (config.type, config.value):
        raise InvalidDeploymentConfig(
            f"deployment_config_name {name!r}: names that start with {PREDEFINED_PREFIX} are those of the predefined "
            "configurations, and their values cannot be changed.",
            "InvalidDeploymentConfigName",
        )
    return config


def _custom(name: str | None, minimum_type: t.Any, value: t.Any) -> DeploymentConfig:
    number = _integer(value)
    if minimum_type == "HOST_COUNT":
        if number < 0:
            raise InvalidDeploymentConfig(f"minimum_healthy_hosts of type HOST_COUNT is 0 or more, not {value!r}.")
        return DeploymentConfig(name or f"HOST_COUNT={number}", "HOST_COUNT", number)
    if minimum_type == "FLEET_PERCENT":
        if not 0 <= number <= 99:
            raise InvalidDeploymentConfig(f"minimum_healthy_hosts of type FLEET_PERCENT is 0 to 99, not {value!r}.")
        return DeploymentConfig(name or f"FLEET_PERCENT={number}", "FLEET_PERCENT", number)
    if minimum_type == "MOST_CONCURRENCY":
        raise InvalidDeploymentConfig(
            f"minimum_healthy_hosts of type MOST_CONCURRENCY cannot be set, only {PREDEFINED_PREFIX}OneAtATime has it."
        )
    raise InvalidDeploymentConfig(
        f"The type of minimum_healthy_hosts is HOST_COUNT or FLEET_PERCENT, not {minimum_type!r}."
    )


def _integer(value: t.Any, name: str = "The value of minimum_healthy_hosts", code: str | None = None) -> int:
    if isinstance(value, str) and re.match(r"-?[0-9]+\Z", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidDeploymentConfig(f"{name} is a whole number, not {value!r}.", code)
    return value
