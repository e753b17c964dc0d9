-- The weights of some videos' jobs: what is done, and how far the running tasks are. A: videos.
-- Returns JSON: rows {video, state, total, base, done, elapsed (milliseconds)}, without videos that have no job; hold.
local rows_by_job = {}
for _, video in ipairs(A.videos) do
  local job = redis.call('GET', video_key(video))
  if job then
    local state, total, base, done, started =
      unpack(redis.call('HMGET', job_key(job), 'state', 'total', 'base', 'done', 'started'))
    if state then
      rows_by_job[job] = {video = video, state = state, total = tonumber(total), base = tonumber(base),
        done = tonumber(done), elapsed = started and NOW - started or 0}
    end
  end
end
for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
  local job, id = split(member)
  local row = rows_by_job[job]
  if row then
    local state, weight, progress = unpack(redis.call('HMGET', task_key(job, id), 'state', 'weight', 'progress'))
    if state == 'running' then row.done = row.done + weight * progress end
  end
end
local rows = {}
for _, row in pairs(rows_by_job) do table.insert(rows, row) end
return cjson.encode({rows = rows, hold = redis.call('GET', P .. 'hold') or ''})
