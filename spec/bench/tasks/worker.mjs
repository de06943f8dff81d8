// worker.mjs - the task that node.mjs runs on worker threads.

let done = 0

export default function work() {
  done++
}
