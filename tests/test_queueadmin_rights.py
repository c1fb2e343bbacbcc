"""Who may watch and who may act over the dashboard's socket, as of now and not of an hour ago."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from hypothesis import given
from hypothesis import strategies as st

from chat.database import web
from chat.models import Queue, QueueChange, State
from tests.acts import Bench, fresh, say
from tests.cast import Cast, person
from tests.dashboards import Dashboard

SIGNED_OUT, NO_QUEUE, TOO_MANY = 4001, 4003, 4004


async def stored(bench: Bench) -> Queue:
    return await web(Queue.objects.get, pk=bench.queue.pk)


async def trail() -> list[QueueChange]:
    return await web(list, QueueChange.objects.order_by("id"))


# -- who may watch ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["stranger", "guest", "alice", "staff", "former"])
async def test_only_staff_with_the_permission_may_watch(bench: Bench, cast: Cast, who: str) -> None:
    await say(cast.bob, "a secret")
    if who == "former":
        await web(
            cast.operator.__class__.objects.filter(pk=cast.operator.pk).update, is_staff=False
        )
    people = {
        "stranger": None,
        "guest": cast.guest,
        "alice": cast.alice,
        "staff": await web(person, "staff", is_staff=True),
        "former": cast.operator,
    }
    async with Dashboard(people[who]) as page:
        assert (await page.hear())["type"] == "closed", "not a single frame before the close"
        assert page.closed == SIGNED_OUT


async def test_a_superuser_may_do_everything(bench: Bench, cast: Cast) -> None:
    root = await web(person, "root", is_staff=True, is_superuser=True)
    async with Dashboard(root) as page:
        assert (await page.until(bool))["may"] == ["set", "pause", "cancel"]
        assert (await page.set("limit", 9))["type"] == "done"


@pytest.mark.parametrize(
    "query", ["?queue=999", "?queue=x", "?queue=-1", "?queue=1'", "?queue=" + "9" * 30]
)
async def test_a_queue_that_does_not_exist_is_not_shown(
    bench: Bench, cast: Cast, query: str
) -> None:
    async with Dashboard(cast.operator, query) as page:
        assert await page.is_closed() == NO_QUEUE


# -- who may act ------------------------------------------------------------------------------


async def test_a_watcher_sees_but_changes_nothing(bench: Bench, cast: Cast) -> None:
    row = await say(cast.alice)
    async with Dashboard(cast.watcher) as page:
        assert (await page.until(bool))["may"] == []
        for answer in (
            await page.set("limit", 9),
            await page.act("pause"),
            await page.act("resume"),
            await page.act("cancel", generation=row.pk),
        ):
            assert (answer["type"], answer["code"]) == ("refused", "not_permitted")
    assert await trail() == []
    assert (await fresh(row)).state == State.WAITING


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [("set_limit", "set"), ("pause_queue", "pause"), ("cancel_generation", "cancel")],
)
async def test_each_act_needs_its_own_permission(
    bench: Bench, cast: Cast, permission: str, allowed: str
) -> None:
    row = await say(cast.alice)
    await web(grant, cast.watcher, permission)
    async with Dashboard(cast.watcher) as page:
        answers = {
            "set": await page.set("limit", 9),
            "pause": await page.act("pause"),
            "cancel": await page.act("cancel", generation=row.pk),
        }
        assert page.board["may"] == [allowed]
    for act, answer in answers.items():
        assert answer["type"] == ("done" if act == allowed else "refused")


def grant(user: Any, permission: str) -> None:
    from django.contrib.auth.models import Permission

    user.user_permissions.add(Permission.objects.get(codename=permission))


async def test_a_permission_that_is_taken_away_counts_at_the_next_act(
    bench: Bench, cast: Cast
) -> None:
    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        await web(cast.operator.user_permissions.remove, await web(permission_named, "set_limit"))
        assert (await page.set("limit", 9))["code"] == "not_permitted"
    assert (await stored(bench)).limit == 4


def permission_named(name: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.get(codename=name)


@pytest.mark.parametrize("end", ["signed out", "deactivated", "no staff", "may not watch"])
async def test_whoever_may_not_watch_any_more_is_shut_out_at_the_next_act(
    bench: Bench, cast: Cast, end: str
) -> None:
    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        account = get_user_model().objects.filter(pk=cast.operator.pk)
        if end == "signed out":
            await web(Session.objects.all().delete)
        elif end == "deactivated":
            await web(account.update, is_active=False)
        elif end == "no staff":
            await web(account.update, is_staff=False)
        else:
            await web(cast.operator.user_permissions.clear)
        assert (await page.act("pause"))["type"] == "closed"
        assert page.closed == SIGNED_OUT
    assert not (await stored(bench)).paused


async def test_a_closed_account_is_shut_out_at_once_without_any_act(
    bench: Bench, cast: Cast
) -> None:
    def close() -> None:
        cast.operator.is_active = False
        cast.operator.save()

    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        await web(close)
        assert await page.is_closed() == SIGNED_OUT


async def test_permissions_are_read_again_by_the_clock(
    bench: Bench, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.identity_watch.LOOK_SECONDS", 0)
    monkeypatch.setattr("chat.identity_watch.STEP_SECONDS", 0.05)
    monkeypatch.setattr("chat.identity.tell", lambda *users: None)
    async with Dashboard(cast.watcher) as page:
        await page.until(bool)
        await web(grant, cast.watcher, "pause_queue")
        while (frame := await page.hear())["type"] != "may":
            pass
        assert frame["may"] == ["pause"]
        await web(cast.watcher.user_permissions.clear)
        assert await page.is_closed() == SIGNED_OUT


# -- frames that are wrong --------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "pause"}', '{"type": "grant"}', b"\x00"])
async def test_a_wrong_frame_gets_an_error_and_the_socket_stays(
    bench: Bench, cast: Cast, text: str | bytes
) -> None:
    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        await page.send(text)
        while (frame := await page.hear())["type"] != "error":
            pass
        assert frame["words"]
        assert (await page.act("pause"))["type"] == "done"


async def test_too_many_frames_close_the_socket(bench: Bench, cast: Cast, settings: Any) -> None:
    settings.CHATSITE_FRAMES_PER_MINUTE = 3
    async with Dashboard(cast.operator) as page:
        for _ in range(4):
            await page.send("{")
        assert await page.is_closed() == TOO_MANY


ACTS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["pause", "resume"])}),
    st.fixed_dictionaries({"type": st.just("cancel"), "generation": st.integers(-1, 3)}),
    st.fixed_dictionaries(
        {
            "type": st.just("set"),
            "name": st.sampled_from(["limit", "size", "paused", "turn_served"]),
            "value": st.integers(-1, 9),
            "seen": st.sampled_from([4, 1000]),
        }
    ),
)


@pytest.mark.parametrize("who", ["stranger", "alice", "watcher"])
async def test_no_sequence_of_frames_without_permission_changes_anything(
    bench: Bench, cast: Cast, who: str, settings: Any
) -> None:
    settings.CHATSITE_FRAMES_PER_MINUTE = 10_000
    row = await say(cast.bob)
    sequences: list[list[dict[str, Any]]] = []

    @given(st.lists(ACTS, max_size=8))
    def collect(frames: list[dict[str, Any]]) -> None:
        sequences.append(frames)

    collect()
    frames = [frame for sequence in sequences for frame in sequence][:300]
    async with Dashboard(getattr(cast, who, None)) as page:
        for frame in [*frames, {"type": "pause"}]:
            await page.send(json.dumps({**frame, "id": (last := str(uuid.uuid4()))}))
        if who == "watcher":
            while (answer := await page.hear()).get("id") != last:
                assert answer["type"] not in ("done", "closed")
            assert answer["code"] == "not_permitted"
        else:
            assert await page.is_closed() == SIGNED_OUT
    now = await stored(bench)
    assert (now.limit, now.size, now.paused) == (4, 1000, False)
    assert (await fresh(row)).state == State.WAITING
    assert await trail() == []
