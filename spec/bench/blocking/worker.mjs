// worker.mjs - what node.mjs calls on worker threads.

export function giveBack(value) {
  return value
}

export function compute(steps) {
  let sum = 0
  for (let i = 1; i <= steps; i++) sum = (sum * 31 + i) % 1000003
  return sum
}
