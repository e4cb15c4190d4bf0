"""Settings of the node: declared once, resolved once, frozen ever after.

Law: other parts import from here and take the `Settings` value as an argument; nobody else
looks at the environment or the configuration file.
"""

from node.limits import Limits
from node.settings.checks import (
    Address,
    agent_address,
    check_quorum_possible,
    is_loopback,
    is_wildcard,
    listen_hosts,
)
from node.settings.load import (
    Settings,
    load_settings,
    reload_differences,
    reload_settings,
    reloaded,
)
from node.settings.material import (
    Listeners,
    Material,
    check_secret_modes,
    find_material,
    plan_listeners,
    read_api_key,
)
from node.settings.mesh_sections import Federation, Quorum
from node.settings.sections import (
    SCHEMA_VERSION,
    SECTIONS,
    TABLE,
    Admin,
    Identity,
    Listen,
    Logging,
    Permissions,
    Storage,
)

__all__ = [
    "SCHEMA_VERSION",
    "SECTIONS",
    "TABLE",
    "Address",
    "Admin",
    "Federation",
    "Identity",
    "Limits",
    "Listen",
    "Listeners",
    "Logging",
    "Material",
    "Permissions",
    "Quorum",
    "Settings",
    "Storage",
    "agent_address",
    "check_quorum_possible",
    "check_secret_modes",
    "find_material",
    "is_loopback",
    "is_wildcard",
    "listen_hosts",
    "load_settings",
    "plan_listeners",
    "read_api_key",
    "reload_differences",
    "reload_settings",
    "reloaded",
]
