-- Weights of some films' jobs: what is done, and how far the running tasks are. A: films.
-- Returns JSON: rows {film, state, total, base, done, elapsed (milliseconds)}, films without a job left out; hold.
local found = {}
for _, film in ipairs(A.films) do
  local job = redis.call('GET', P .. 'film:' .. film)
  if job then
    local state, total, base, done, started =
      unpack(redis.call('HMGET', job_key(job), 'state', 'total', 'base', 'done', 'started'))
    if state then
      found[job] = {film = film, state = state, total = tonumber(total), base = tonumber(base),
        done = tonumber(done), elapsed = started and NOW - started or 0}
    end
  end
end
for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
  local job, id = split(member)
  if found[job] then
    local state, weight, progress = unpack(redis.call('HMGET', task_key(job, id), 'state', 'weight', 'progress'))
    if state == 'running' then found[job].done = found[job].done + weight * progress end
  end
end
local rows = {}
for _, row in pairs(found) do table.insert(rows, row) end
return cjson.encode({rows = rows, hold = redis.call('GET', P .. 'hold') or ''})
