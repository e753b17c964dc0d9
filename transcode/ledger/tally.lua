-- How many tasks of some films' jobs are in each state. A: films. Returns JSON: {state = number}.
local tally = {}
for _, film in ipairs(A.films) do
  local job = redis.call('GET', P .. 'film:' .. film)
  for _, task in ipairs(job and redis.call('SMEMBERS', tasks_key(job)) or {}) do
    local state = redis.call('HGET', task_key(job, task), 'state')
    if state then tally[state] = (tally[state] or 0) + 1 end
  end
end
return cjson.encode(tally)
