import pytest

from crdt.roles import (
    READER,
    ROLES,
    SYSTEM_ADMIN,
    TEAM_ADMIN,
    WRITER,
    Grant,
    read_grant,
    weakest,
    within,
)

TEAM = Grant(role=TEAM_ADMIN, namespaces=("a", "b/c"))


@pytest.mark.parametrize(
    ("namespace", "inside"),
    [("a", True), ("a/x/y", True), ("ab", False), ("b", False), ("b/c", True), ("*", False)],
)
def test_a_subtree_is_told_by_whole_segments(namespace: str, inside: bool) -> None:  # noqa: FBT001 - parametrized
    assert within(namespace, TEAM.namespaces) is inside
    assert within(namespace, ("*",))


@pytest.mark.parametrize(
    ("grant", "creates", "own", "others_inside", "others_outside"),
    [
        (Grant(role=READER), False, False, False, False),
        (Grant(role=WRITER), True, True, False, False),
        (TEAM, True, True, True, False),
        (Grant(role=SYSTEM_ADMIN), True, True, True, True),
    ],
)
def test_what_each_role_may_change(
    grant: Grant,
    creates: bool,  # noqa: FBT001 - parametrized
    own: bool,  # noqa: FBT001 - parametrized
    others_inside: bool,  # noqa: FBT001 - parametrized
    others_outside: bool,  # noqa: FBT001 - parametrized
) -> None:
    assert grant.allows(creates=True, own=False, namespace="z") is creates
    assert grant.allows(creates=False, own=True, namespace="z") is own
    assert grant.allows(creates=False, own=False, namespace="a/x") is others_inside
    assert grant.allows(creates=False, own=False, namespace="z") is others_outside


def test_who_governs_where() -> None:
    assert Grant(role=SYSTEM_ADMIN).governs("*")
    assert TEAM.governs("a/x")
    assert not TEAM.governs("*")
    assert not Grant(role=WRITER, namespaces=("a",)).governs("a")


def test_of_concurrent_roles_only_what_all_allow_holds() -> None:
    reader, system = Grant(role=READER), Grant(role=SYSTEM_ADMIN)
    assert weakest([system, reader]) == reader
    assert weakest([]) is None
    assert weakest([None, None]) is None
    assert weakest([None, system]) is None
    assert weakest([None, reader]) == Grant(role=READER, governs_nothing=True)
    stripped = weakest([None, TEAM])
    assert stripped is not None
    assert not stripped.governs("a")
    assert not stripped.allows(creates=False, own=False, namespace="z")
    both = weakest([TEAM, Grant(role=TEAM_ADMIN, namespaces=("a/x", "d"))])
    assert both == Grant(role=TEAM_ADMIN, namespaces=("a/x",))


@pytest.mark.parametrize(
    "body",
    [
        {"role": "root"},
        {"role": None},
        {"role": TEAM_ADMIN, "namespaces": "a"},
        {"role": TEAM_ADMIN, "namespaces": [""]},
        {"role": TEAM_ADMIN, "namespaces": ["a"] * 65},
    ],
)
def test_a_grant_of_another_shape_is_none(body: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"role|namespace"):
        read_grant(body)


def test_a_grant_is_read_and_taken_away() -> None:
    for role in ROLES:
        assert read_grant({"role": role, "namespaces": ["a"]}) == Grant(
            role=role, namespaces=("a",)
        )
    assert read_grant({"role": ""}) is None
    assert read_grant({}) is None
