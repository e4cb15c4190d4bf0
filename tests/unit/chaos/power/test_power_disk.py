"""What POSIX promises about a crash, and nothing more."""

from chaos.power.disk import Disk, Kept, Tree, halves
from chaos.power.images import images
from chaos.power.writelog import ROOT, Data, Names, Size, Sync
from tests.unit.chaos.power.rig_power import Script


def after(script: Script) -> Disk:
    disk = Disk(script.log)
    for half in halves(script.log):
        (disk.end if half.is_end else disk.begin)(half.op)
    return disk


def every(script: Script) -> set[tuple[tuple[str, bytes | None], ...]]:
    return {tuple(image.tree.items()) for image in images(script.log, 1, None)}


def none(script: Script) -> Tree:
    return after(script).image({})


def test_a_write_is_there_or_not_until_it_is_synced() -> None:
    script = Script(a=b"old").add(Data(1, 0, b"new"))
    assert none(script) == {"a": b"old"}
    assert after(script).image({0: None}) == {"a": b"new"}
    script.add(Sync(1))
    assert none(script) == {"a": b"new"}
    assert after(script).coming == []


def test_a_sync_covers_only_what_had_ended_before_it_began() -> None:
    script = Script(a=b"----").between(Sync(1), Data(1, 0, b"x"))
    assert none(script) == {"a": b"----"}


def test_a_sync_of_another_file_covers_nothing() -> None:
    script = Script(a=b"1", b=b"2").add(Data(1, 0, b"x")).add(Sync(2))
    assert none(script) == {"a": b"1", "b": b"2"}


def test_o_dsync_brings_its_own_write_and_no_other() -> None:
    script = Script(a=bytes(1024)).add(Data(1, 512, b"data")).add(Data(1, 0, b"meta", True))
    held = none(script)["a"] or b""
    assert held[:4] == b"meta"
    assert held[512:516] == bytes(4)


def test_a_name_needs_the_sync_of_its_folder_not_of_its_file() -> None:
    script = Script().add(Names(((ROOT, "a", 1),))).add(Data(1, 0, b"x")).add(Sync(1))
    assert none(script) == {}
    script.add(Sync(ROOT))
    assert none(script) == {"a": b"x"}


def test_a_rename_is_atomic_and_may_come_without_what_was_done_before_it() -> None:
    script = Script(a=b"old", b=b"new")
    script.add(Names(((ROOT, "b", None), (ROOT, "a", 2)))).add(Data(2, 0, b"NEW"))
    states = every(script)
    assert states == {
        (("a", b"old"), ("b", b"new")),
        (("a", b"old"), ("b", b"NEW")),
        (("a", b"new"),),
        (("a", b"NEW"),),
    }


def test_a_write_of_several_sectors_may_be_torn_a_write_of_one_may_not() -> None:
    wide = Script(a=bytes(1536)).add(Data(1, 0, b"\1" * 1536))
    kept: Kept = {0: frozenset({2})}
    assert after(wide).image(kept) == {"a": bytes(1024) + b"\1" * 512}
    narrow = Script(a=bytes(512)).add(Data(1, 100, b"\1" * 300))
    assert len(every(narrow)) == 2


def test_a_sector_holds_all_that_the_page_cache_held_of_it() -> None:
    script = Script(a=b"").add(Data(1, 0, b"first,")).add(Data(1, 6, b"second"))
    assert after(script).image({1: None}) == {"a": b"first,second"}
    assert after(script).image({0: None}) == {"a": b"first,"}


def test_a_file_may_have_grown_before_its_bytes_came() -> None:
    script = Script(a=b"x").add(Data(1, 1, b"yz"))
    assert after(script).image({}, grown=True) == {"a": b"x\0\0"}


def test_sizes_are_on_their_way_like_bytes() -> None:
    script = Script(a=b"xyz").add(Size(1, 1)).add(Size(1, 4, grow=True))
    assert after(script).image({0: None}) == {"a": b"x"}
    assert after(script).image({0: None, 1: None}) == {"a": b"x\0\0\0"}
    assert after(script).image({}) == {"a": b"xyz"}


def test_a_control_forgets_a_sync() -> None:
    script = Script(a=b"old").add(Data(1, 0, b"new")).add(Sync(1))
    lying = Disk(script.log, lambda _op: False)
    for half in halves(script.log):
        (lying.end if half.is_end else lying.begin)(half.op)
    assert lying.image({}) == {"a": b"old"}
