# python.py - the workloads with Python's pickle, and executors of asyncio.
#
#   python3 spec/bench/blocking/python.py NAME SECONDS
#
# Prints a line for each figure. A copy is pickled and loaded again; a call is run_in_executor with
# threads, the computing ones with processes (the quickest that Python has for either).
import asyncio
import math
import pickle
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

TRIPS, CALLERS, SAMPLES_MAX = 500, 64, 1000000
ELEMENTS, KEYS, STRING_BYTES = 1000000, 100000, 10000000
COMPUTING_CALLS, STEPS = 8, 4000000
THREADS, PROCESSES = 6, 2


def give_back(value):
    return value


def compute(steps):
    total = 0
    for i in range(1, steps + 1):
        total = (total * 31 + i) % 1000003
    return total


def copied(seconds, size, value):
    """Megabytes a second of one copy, where size counts as the value's size."""
    def copy():
        assert pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)) == value

    def timed():
        first = time.process_time()
        pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        return time.process_time() - first

    copy()
    spent, done = 0.0, 0
    while spent < seconds:
        spent += timed()
        done += 1
    return size * done / spent / 1e6


async def array(seconds):
    return copied(seconds, ELEMENTS * 8, [i * 3 for i in range(1, ELEMENTS + 1)])


async def table(seconds):
    keyed = {f"key {i}": i for i in range(1, KEYS + 1)}
    return copied(seconds, sum(len(key) + 8 for key in keyed), keyed)


async def string(seconds):
    return copied(seconds, STRING_BYTES, "0123456789" * (STRING_BYTES // 10))


def percentile(ordered, share):
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


async def trip(seconds):
    loop = asyncio.get_running_loop()
    samples = []
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(TRIPS):
            assert await loop.run_in_executor(pool, give_back, 7) == 7
        first = time.monotonic()
        while time.monotonic() - first < seconds and len(samples) < SAMPLES_MAX:
            begun = time.perf_counter()
            assert await loop.run_in_executor(pool, give_back, 7) == 7
            samples.append((time.perf_counter() - begun) * 1e6)
    samples.sort()
    return {"trip_p50": percentile(samples, 0.5), "trip_p99": percentile(samples, 0.99)}


async def calls(seconds):
    loop = asyncio.get_running_loop()
    first, done = time.monotonic(), 0

    async def call(pool):
        nonlocal done
        while True:
            assert await loop.run_in_executor(pool, give_back, 7) == 7
            done += 1
            if time.monotonic() - first >= seconds:
                return

    with ThreadPoolExecutor(THREADS) as pool:
        await asyncio.gather(*(call(pool) for _ in range(CALLERS)))
    return done / (time.monotonic() - first)


async def parallel(_seconds):
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, compute, STEPS) for _ in range(2)))
        begun = time.monotonic()
        await loop.run_in_executor(pool, compute, COMPUTING_CALLS * STEPS)
        alone = time.monotonic() - begun
        begun = time.monotonic()
        some = (loop.run_in_executor(pool, compute, STEPS) for _ in range(COMPUTING_CALLS))
        await asyncio.gather(*some)
        return alone / (time.monotonic() - begun)


WORKLOADS = {function.__name__: function for function in (array, table, string, trip, calls, parallel)}


def main():
    name, seconds = sys.argv[1], float(sys.argv[2])
    figures = asyncio.run(WORKLOADS[name](seconds))
    if not isinstance(figures, dict):
        figures = {name: figures}
    for figure, value in figures.items():
        print(f"{figure} {value:.2f}")


if __name__ == "__main__":
    main()
