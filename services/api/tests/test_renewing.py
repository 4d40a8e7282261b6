"""What is learnt again from time to time: once at a time, and nobody waits longer than he likes."""

from __future__ import annotations

import asyncio

from serving.renewing import Renewal


def test_who_asks_meanwhile_waits_for_the_same_work() -> None:
    async def work() -> None:
        done, go = 0, asyncio.Event()

        async def renew() -> None:
            nonlocal done
            await go.wait()
            done += 1

        renewal = Renewal(renew)
        asking = [asyncio.create_task(renewal.wait(60)) for _ in range(5)]
        await asyncio.sleep(0)
        assert renewal.running
        go.set()
        await asyncio.gather(*asking)
        assert (done, renewal.running) == (1, False)
        await renewal.wait(60)
        assert done == 2

    asyncio.run(work())


def test_who_does_not_wait_for_it_leaves_it_at_work() -> None:
    async def work() -> None:
        go = asyncio.Event()

        async def renew() -> None:
            await go.wait()

        renewal = Renewal(renew)
        assert not renewal.running
        await renewal.wait(0)
        assert renewal.running, "it goes on"
        go.set()
        await renewal.wait(60)
        assert not renewal.running

    asyncio.run(work())
