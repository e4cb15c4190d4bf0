"""What can be said about a node that does not run.

Law: looks at files only and changes none; a section that needs the process is left out.
"""

import os
from collections.abc import Mapping

from node.doctor.facts import ConfigFacts, Facts, NodeFacts, TrustFacts
from node.doctor.finding import Section
from node.doctor.secrets_seen import identity_of
from node.doctor.table import examine
from node.errors import NodeError
from node.facts import LastExit
from node.paths import Paths
from node.settings import Settings, find_material, load_settings
from transport import allowlist
from transport.certificate import expires_at, load_der
from transport.errors import TransportError


def examine_offline(
    paths: Paths, *, environ: Mapping[str, str], now_ms: int, why: str, options: str = ""
) -> list[Section]:
    """The sections that need no process.

    Args:
        paths: where the node keeps its things.
        environ: the process environment.
        now_ms: wall clock, milliseconds since the epoch.
        why: in words, why no node can be reached.
        options: what leads a command to these places, after a space.
    """
    last = LastExit.read(paths.last_exit)
    code = last.code if last is not None else 0
    node = NodeFacts(running=False, trouble=why, last_exit=code, options=options)
    path = str(paths.config)
    try:
        settings = load_settings(paths, environ=environ, hostname=os.uname().nodename)
    except NodeError as error:
        words = f"{error.what}: {error.why}" if error.why else error.what
        config = ConfigFacts(path=path, trouble=words)
        return examine(Facts(now_ms=now_ms, node=node, config=config))
    config = ConfigFacts(path=path, warnings=settings.warnings)
    facts = _with_keys(settings, environ, now_ms, node, config)
    return examine(facts)


def _with_keys(
    settings: Settings,
    environ: Mapping[str, str],
    now_ms: int,
    node: NodeFacts,
    config: ConfigFacts,
) -> Facts:
    plain = Facts(now_ms=now_ms, node=node, config=config, settings=settings)
    if not settings.paths.node_key.exists():
        return plain
    try:
        material = find_material(settings, environ)
        cert = material.tls_cert
        expires = None if cert is None else int(expires_at(load_der(cert)).timestamp() * 1000)
    except (NodeError, TransportError) as error:
        unusable = ConfigFacts(path=config.path, warnings=config.warnings, trouble=str(error))
        return Facts(now_ms=now_ms, node=node, config=unusable, settings=settings)
    listed = material.allowlist or settings.paths.allowlist
    trouble = ""
    try:
        allowlist.load(listed, missing_is_empty=True)
    except TransportError as error:
        trouble = str(error)
    return Facts(
        now_ms=now_ms,
        node=node,
        config=config,
        settings=settings,
        identity=identity_of(material, expires),
        trust=TrustFacts(path=str(listed), outsiders={}, trouble=trouble),
    )
