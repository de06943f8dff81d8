# python.py - the workloads with asyncio's tasks.
#
#   python3 spec/bench/async/python.py NAME SECONDS
#
# Prints a line for each figure, nothing for a workload that it does not have. Time is CPU time of
# the process; memory is VmRSS.
import asyncio
import contextvars
import gc
import sys
from time import process_time_ns

SPAWNS, SWITCHES, VALUES, CALLS = 1000, 20000, 10000, 1000  # of one batch
MANY_TASKS, SLEEPERS, HOUR_S = 1000, 100000, 3600
GATHERED, READY_LIMIT_S = 10, 10


async def empty():
    pass


async def cost(seconds, count, batch):
    """Nanoseconds of one of the count operations of a batch."""
    await batch()  # warms up
    done, first = 0, process_time_ns()
    while True:
        await batch()
        done += count
        now = process_time_ns()
        if now - first >= seconds * 1e9:
            return (now - first) / done


async def spawn(seconds):
    async def batch():
        for _ in range(SPAWNS):
            last = asyncio.create_task(empty())
        await last

    return await cost(seconds, SPAWNS, batch)


async def spawn_wait(seconds):
    async def batch():
        for _ in range(SPAWNS):
            await asyncio.create_task(empty())

    return await cost(seconds, SPAWNS, batch)


async def take_turns(seconds, tasks):
    each, done = SWITCHES // tasks, 0

    async def turns():
        nonlocal done
        for _ in range(each):
            await asyncio.sleep(0)
        done += each

    async def batch():
        nonlocal done
        done = 0
        for _ in range(tasks):
            last = asyncio.create_task(turns())
        await last
        assert done == SWITCHES

    return await cost(seconds, SWITCHES, batch)


async def loop(seconds):
    async def batch():
        for _ in range(CALLS):
            await asyncio.sleep(0)

    return await cost(seconds, CALLS, batch)


async def hand_over(seconds, capacity):
    async def batch():
        queue, total = asyncio.Queue(capacity), 0

        async def producer():
            for i in range(1, VALUES + 1):
                await queue.put(i)
            await queue.put(None)

        task = asyncio.create_task(producer())
        while (value := await queue.get()) is not None:
            total += value
        await task
        assert total == VALUES * (VALUES + 1) // 2

    return await cost(seconds, VALUES, batch)


def rss_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


async def sleeping(_):
    tasks, begun = [None] * SLEEPERS, 0

    async def sleeper():
        nonlocal begun
        begun += 1
        await asyncio.sleep(HOUR_S)

    gc.collect()
    rss, first = rss_bytes(), process_time_ns()
    for i in range(SLEEPERS):
        tasks[i] = asyncio.create_task(sleeper())
    while begun < SLEEPERS:
        await asyncio.sleep(0)
    parked = process_time_ns()
    grown = rss_bytes() - rss
    gc.collect()
    cancelling = process_time_ns()
    for task in tasks:
        task.cancel()
    try:
        await tasks[-1]
    except asyncio.CancelledError:
        pass
    cancelled = process_time_ns()
    assert all(task.cancelled() for task in tasks)
    return {
        "sleep": (parked - first) / SLEEPERS,
        "sleep_bytes": grown / SLEEPERS,
        "cancel": (cancelled - cancelling) / SLEEPERS,
    }


async def event(seconds):
    async def batch():
        ping, pong, count = asyncio.Event(), asyncio.Event(), 0

        async def other():
            nonlocal count
            for _ in range(CALLS):
                await ping.wait()
                ping.clear()
                count += 1
                pong.set()

        task = asyncio.create_task(other())
        for _ in range(CALLS):
            ping.set()
            await pong.wait()
            pong.clear()
        await task
        assert count == CALLS

    return await cost(seconds, 2 * CALLS, batch)


async def gather(seconds):
    async def batch():
        for _ in range(CALLS):
            await asyncio.gather(*(empty() for _ in range(GATHERED)))

    return await cost(seconds, CALLS, batch)


async def timeout(seconds):
    if not hasattr(asyncio, "timeout"):  # before Python 3.11
        return None

    async def batch():
        for _ in range(CALLS):
            async with asyncio.timeout(READY_LIMIT_S):
                await empty()

    return await cost(seconds, CALLS, batch)


async def context(seconds):
    names = [contextvars.ContextVar(name) for name in ("user", "tenant", "trace")]
    for name in names:
        name.set("ann")

    async def write(value):
        names[2].set(value)

    async def batch():
        for i in range(SPAWNS):
            last = asyncio.create_task(write(i))
        await last
        assert names[2].get() == "ann"

    return await cost(seconds, SPAWNS, batch)


WORKLOADS = {
    "spawn": spawn,
    "spawn_wait": spawn_wait,
    "park": lambda seconds: take_turns(seconds, 2),
    "park_many": lambda seconds: take_turns(seconds, MANY_TASKS),
    "loop": loop,
    "channel_0": lambda seconds: hand_over(seconds, 1),
    "channel_100": lambda seconds: hand_over(seconds, 100),
    "sleeping": sleeping,
    "event": event,
    "gather": gather,
    "timeout": timeout,
    "context": context,
}


def main():
    name, seconds = sys.argv[1], float(sys.argv[2])
    figures = asyncio.run(WORKLOADS[name](seconds)) if name in WORKLOADS else None
    if isinstance(figures, float):
        figures = {name: figures}
    for figure, value in (figures or {}).items():
        print(f"{figure} {value:.2f}")


main()
