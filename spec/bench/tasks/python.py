# python.py - the endpoints with FastAPI, served by uvicorn on uvloop.
#
#   python3 spec/bench/tasks/python.py create_task|background
#
# Tasks are asyncio's (create_task, run_in_executor), or FastAPI's BackgroundTasks. GET /counts
# tells how many were scheduled and how many have ended.
import asyncio
import sys

import uvicorn
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import PlainTextResponse

WAITING_MAX = 5000

app = FastAPI(default_response_class=PlainTextResponse)
scheduled, done = 0, 0


async def work():
    global done
    done += 1


def blocking_work():
    global done
    done += 1


def has_room(count):
    global scheduled
    if scheduled - done > WAITING_MAX:
        return False
    scheduled += count
    return True


@app.get("/none")
async def none():
    return "Hello, World!"


async def create_tasks(count: int):
    global scheduled
    scheduled += count
    for _ in range(count):
        asyncio.create_task(work())
    return "Hello, World!"


async def run_in_executor(count: int):
    if has_room(count):
        loop = asyncio.get_running_loop()
        for _ in range(count):
            loop.run_in_executor(None, blocking_work)
    return "Hello, World!"


async def add_tasks(count: int, tasks: BackgroundTasks):
    global scheduled
    scheduled += count
    for _ in range(count):
        tasks.add_task(work)
    return "Hello, World!"


async def add_blocking_tasks(count: int, tasks: BackgroundTasks):
    global scheduled
    scheduled += count
    for _ in range(count):
        tasks.add_task(blocking_work)
    return "Hello, World!"


ENDPOINTS = {
    "create_task": (create_tasks, run_in_executor),
    "background": (add_tasks, add_blocking_tasks),
}

sleeping = set()


@app.get("/waiting/{count}")
async def waiting(count: int):
    for _ in range(count):
        sleeping.add(asyncio.create_task(asyncio.sleep(3600)))
    return "Hello, World!"


@app.get("/counts")
async def counts():
    return f"{scheduled} {done}"


if __name__ == "__main__":
    coroutine, blocking = ENDPOINTS[sys.argv[1]]
    app.get("/coroutine/{count}")(coroutine)
    app.get("/blocking/{count}")(blocking)
    uvicorn.run(app, host="127.0.0.1", port=0, loop="uvloop", access_log=False)
