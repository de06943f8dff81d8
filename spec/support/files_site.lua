-- files_site.lua - spec/apps/files as a process, in a directory with files to serve.
--
-- files_site.start() gives a server (support.server) with `dir`, the app's directory, and what is
-- beside it; files_site.stop(server) ends it and removes them. Beside the app's directory lies
-- secret.txt, which no request may reach.

local lfs = require "lfs"
local program = require "support.program"
local server = require "support.server"

local files_site = {}

files_site.SECRET = "nobody may see this"
files_site.LARGE_BYTES = 300000

local function make(path)
  assert(lfs.mkdir(path))
end

function files_site.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function link(target, path)
  assert(lfs.link(target, path, true))
end

--- Bytes that say where they stand: eight digits for every eight bytes.
function files_site.large()
  local parts = {}
  for at = 0, files_site.LARGE_BYTES - 1, 8 do parts[#parts + 1] = ("%08d"):format(at) end
  return table.concat(parts):sub(1, files_site.LARGE_BYTES)
end

local function fill_public(public)
  local write = files_site.write
  make(public)
  write(public .. "/index.html", "<p>home</p>")
  write(public .. "/hello.txt", "hello, file")
  write(public .. "/empty.txt", "")
  write(public .. "/route.txt", "never seen")
  write(public .. "/posted.txt", "gotten")
  write(public .. "/large.bin", files_site.large())
  write(public .. "/a b+c.txt", "odd name")
  write(public .. "/café.txt", "utf-8 name")
  write(public .. "/.hidden", "hidden")
  make(public .. "/.well-known")
  write(public .. "/.well-known/thing", "well known")
  make(public .. "/docs")
  write(public .. "/docs/index.html", "<p>docs</p>")
  make(public .. "/sub")
  write(public .. "/sub/index.html", "<p>sub</p>")
  make(public .. "/sub/bare")
  make(public .. "/assets")
  write(public .. "/assets/only-public.txt", "behind the mounts")
  write(public .. "/assets/app.js", "never seen")
end

local function fill_links(public, dir)
  link("hello.txt", public .. "/link.txt")
  link("sub", public .. "/link-sub")
  link("../../secret.txt", public .. "/out.txt")
  link("..", public .. "/up")
  link(dir .. "/public/hello.txt", public .. "/absolute.txt")
  link("nowhere", public .. "/dangling.txt")
  link("/dev/zero", public .. "/zero")
  link("/proc/self/environ", public .. "/environ")
  assert(os.execute(("mkfifo '%s/fifo'"):format(public)))
end

local function fill_assets(assets)
  local write = files_site.write
  make(assets)
  write(assets .. "/app.js", ("let a = 1;\n"):rep(200))
  write(assets .. "/app.js.gz", "pretends to be gzip")
  write(assets .. "/app.js.br", "pretends to be brotli")
  write(assets .. "/only-gz.css", "body { color: red }")
  write(assets .. "/only-gz.css.gz", "gzip again")
  write(assets .. "/stale.js", "new")
  write(assets .. "/stale.js.gz", "old gzip")
  lfs.touch(assets .. "/stale.js.gz", os.time() - 100)
  write(assets .. "/pic.png", "png")
  write(assets .. "/pic.png.gz", "never looked at")
  write(assets .. "/dir.js", "plain")
  make(assets .. "/dir.js.gz")
end

--- A directory with the app's in it.
function files_site.make()
  local base = os.tmpname()
  os.remove(base)
  make(base)
  local dir = base .. "/app"
  make(dir)
  files_site.write(base .. "/secret.txt", files_site.SECRET)
  files_site.write(dir .. "/app.lua", program.read(program.root() .. "/spec/apps/files/app.lua"))
  fill_public(dir .. "/public")
  fill_links(dir .. "/public", dir)
  fill_assets(dir .. "/assets")
  make(dir .. "/inner")
  files_site.write(dir .. "/inner/deep.txt", "deep")
  return dir
end

function files_site.remove(dir)
  assert(os.execute(("rm -r '%s'"):format(dir:match "^(.*)/app$")))
end

---@param arguments? string[] of `perilune serve`
function files_site.start(arguments)
  local dir = files_site.make()
  local self = server.start(dir, arguments)
  self.dir = dir
  return self
end

function files_site.stop(self)
  self:kill()
  files_site.remove(self.dir)
end

return files_site
