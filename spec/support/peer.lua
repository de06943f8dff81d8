-- peer.lua - programs of others that specs talk to: whether they are there, started, ended.
--
-- peer.start(words) runs a program whose standard input is a pipe of ours; `first_line` is what it
-- wrote first. It ends when stop() closes that pipe, or with this process.

local program = require "support.program"

local peer = {}
peer.__index = peer
peer.__name = "peer"

local LIMIT_S = 30

--- Whether the shell finds a program.
function peer.is_there(name)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(program.quote { name })) == true
end

--- Runs a program to its end; raises what it wrote when it failed.
function peer.run(words)
  local pipe = assert(io.popen(program.quote(words) .. " 2>&1 </dev/null"))
  local output = pipe:read "a"
  if not pipe:close() then error(("%s failed: %s"):format(words[1], output), 2) end
  return output
end

---@param words string[]
function peer.start(words)
  local self = setmetatable({ out = os.tmpname() }, peer)
  local command = ("exec %s >%s 2>&1"):format(program.quote(words), self.out)
  self.pipe = assert(io.popen(command, "w"))
  self.first_line = program.wait(LIMIT_S, function()
    return program.read(self.out):match "^(.-)\n"
  end)
  if not self.first_line then
    local output = program.read(self.out)
    self:stop()
    error(("%s does not start: %s"):format(words[1], output), 2)
  end
  return self
end

--- Twice is harmless.
function peer:stop()
  if not self.pipe then return end
  self.pipe:close()
  self.pipe = nil
  os.remove(self.out)
end

--- Makes an authority of its own in a directory, and a certificate of it for 127.0.0.1 and
--- example.test: ca.pem, key.pem, certificate.pem.
function peer.make_certificate(directory)
  local function path(name) return directory .. "/" .. name end
  local curve = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes" }
  local function openssl(...)
    local words = { "openssl", ... }
    if words[2] == "req" then table.move(curve, 1, #curve, #words + 1, words) end
    peer.run(words)
  end
  openssl("req", "-x509", "-keyout", path "ca.key", "-out", path "ca.pem", "-days", "2",
    "-subj", "/CN=Spec CA")
  openssl("req", "-keyout", path "key.pem", "-out", path "request.pem", "-subj", "/CN=spec")
  local file <close> = assert(io.open(path "extension", "w"))
  file:write "subjectAltName=IP:127.0.0.1,DNS:example.test\n"
  file:close()
  openssl("x509", "-req", "-in", path "request.pem", "-CA", path "ca.pem", "-CAkey",
    path "ca.key", "-CAcreateserial", "-days", "2", "-extfile", path "extension", "-out",
    path "certificate.pem")
end

return peer
