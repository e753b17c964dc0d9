-- Returns how many tasks of some videos' jobs are in each state, as JSON: {state = number}. A: videos.
local counts = {}
for _, video in ipairs(A.videos) do
  local job = redis.call('GET', video_key(video))
  for _, task in ipairs(job and redis.call('SMEMBERS', tasks_key(job)) or {}) do
    local state = redis.call('HGET', task_key(job, task), 'state')
    if state then counts[state] = (counts[state] or 0) + 1 end
  end
end
return cjson.encode(counts)
